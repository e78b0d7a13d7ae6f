"""PyTorch's tensors in pickles: storages, and views into them that are checked before use."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from torch import Tensor

from lowrankgan.generators.readers.pickle_values import Budget, Standin, Table, Token

_MAX_DIMENSIONS = 8
_MAX_NUMBER = 1 << 40
_MAX_DEVICE = 16  # characters


@dataclass(frozen=True, eq=False)
class StorageType(Token):
    """A class of storages, such as `torch.FloatStorage`."""

    dtype: torch.dtype = torch.float32


@dataclass(eq=False)
class Storage(Standin):
    """So many elements of a type, whose bytes are read when a tensor needs them.

    Attributes:
        dtype: type of its elements.
        count: number of its elements.
        read: gives its bytes; `count` times the size of an element is checked here.
    """

    dtype: torch.dtype
    count: int
    read: Callable[[], bytes | memoryview]

    @cached_property
    def elements(self) -> np.ndarray[Any, Any]:
        """[count] elements as integers of their size."""
        data = self.read()
        if len(data) != self.count * self.dtype.itemsize:
            raise ValueError(f"it has a storage of {self.count} elements in {len(data)} bytes")
        return np.frombuffer(data, f"<i{self.dtype.itemsize}")


@dataclass(frozen=True, eq=False)
class View(Standin):
    """A tensor: offset, size and stride in elements of a storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def final(self, budget: Budget) -> Tensor:
        """The tensor, in contiguous memory of its own."""
        self._check()
        budget.bytes.spend(math.prod(self.size) * self.storage.dtype.itemsize)
        if not math.prod(self.size):
            return torch.empty(self.size, dtype=self.storage.dtype)
        elements = self.storage.elements
        steps = [
            step * elements.itemsize if side > 1 else 0
            for side, step in zip(self.size, self.stride, strict=True)
        ]
        values = torch.from_numpy(as_strided(elements[self.offset :], self.size, steps).copy())
        # A truth value other than 0 and 1 would be undefined behaviour.
        return values != 0 if self.storage.dtype is torch.bool else values.view(self.storage.dtype)

    def _check(self) -> None:
        if len(self.size) != len(self.stride) or len(self.size) > _MAX_DIMENSIONS:
            raise ValueError("it has a tensor whose size and stride do not fit each other")
        numbers = (self.offset, *self.size, *self.stride)
        if not all(type(number) is int and 0 <= number < _MAX_NUMBER for number in numbers):
            raise ValueError("it has a tensor whose offset, size or stride is no ordinary number")
        if math.prod(max(side, 1) for side in self.size) > _MAX_NUMBER:
            raise ValueError("it has a tensor whose size is out of range")
        last = sum((side - 1) * step for side, step in zip(self.size, self.stride, strict=True))
        if math.prod(self.size) and self.offset + last >= self.storage.count:
            raise ValueError(
                f"it has a tensor that reaches element {self.offset + last} of a storage of "
                f"{self.storage.count}"
            )


def _tensor(arguments: tuple[Any, ...], budget: Budget) -> View:
    """`_rebuild_tensor[_v2]`: what follows the four is requires_grad, hooks and metadata."""
    match arguments:
        case (Storage() as storage, int(offset), tuple(size), tuple(stride), *_):
            return View(storage, offset, size, stride)
    raise ValueError("it has a tensor in no known form")


def _parameter(arguments: tuple[Any, ...], budget: Budget) -> View:
    """`_rebuild_parameter[_with_state]`: what follows the tensor is requires_grad, hooks, state."""
    match arguments:
        case (View() as tensor, *_):
            return tensor
    raise ValueError("it has a parameter that is no tensor")


def _size(arguments: tuple[Any, ...], budget: Budget) -> tuple[Any, ...]:
    match arguments:
        case (tuple(sides),) if len(sides) <= _MAX_DIMENSIONS:
            return sides
    raise ValueError("it has a torch.Size in no known form")


def _device(arguments: tuple[Any, ...], budget: Budget) -> str:
    match arguments:
        case (str(kind),) if len(kind) <= _MAX_DEVICE:
            return kind
        case (str(kind), int(index)) if len(kind) <= _MAX_DEVICE and 0 <= index < _MAX_NUMBER:
            return f"{kind}:{index}"
    raise ValueError("it has a torch.device in no known form")


STORAGES: Table = {
    ("torch", f"{name}Storage"): StorageType(dtype=dtype)
    for name, dtype in {
        "Double": torch.float64,
        "Float": torch.float32,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Bool": torch.bool,
    }.items()
}
TENSORS: Table = {
    **STORAGES,
    ("torch._utils", "_rebuild_tensor"): Token(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Token(_tensor),
    ("torch._utils", "_rebuild_parameter"): Token(_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): Token(_parameter),
    ("torch", "Size"): Token(_size),
    ("torch", "device"): Token(_device),
}
