"""Reader of pickled numpy arrays, such as flax checkpoints, that executes nothing.

An array is made only from a known dtype, a shape and exactly as many bytes as the two ask for.
Arguments of numpy's globals: `array_reduce`, `array_setstate`, `arraydescr_reduce` and
`array_scalar` in numpy/_core/src/multiarray.
"""

import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.pickle_machine import interpret
from lowrankgan.generators.readers.pickle_tree import grow
from lowrankgan.generators.readers.pickle_values import Budget, Standin, Table, Token

_MAX_BYTES = 1 << 28
_MAX_DIMENSIONS = 8
_MAX_SIDE = 1 << 31
_DTYPES = {"b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}


@dataclass(frozen=True, eq=False)
class _Dtype(Standin):
    code: str

    def build(self, state: Any, budget: Budget) -> None:
        match state:
            case (3, "<" | "|", None, None, None, -1, -1, 0):
                return
        raise ValueError("it has an array of structures or of another byte order")


@dataclass(eq=False)
class _Array(Standin):
    """An array, which `_reconstruct` makes empty and BUILD fills."""

    value: np.ndarray[Any, Any] | None = None

    def build(self, state: Any, budget: Budget) -> None:
        match state:
            case (1, shape, _Dtype(code), 0 | 1 as fortran, bytes() | str() as data) if (
                self.value is None
            ):
                self.value = _array(_raw(data, budget), code, shape, fortran == 1, budget)
            case _:
                raise ValueError("it has an array in no known form")

    def final(self, budget: Budget) -> np.ndarray[Any, Any]:
        if self.value is None:
            raise ValueError("it has an array without data")
        budget.bytes.spend(self.value.nbytes)  # for every use: what reads it may copy it
        return self.value


def _array(
    data: bytes, code: str, shape: Any, fortran: bool, budget: Budget
) -> np.ndarray[Any, Any]:
    if not isinstance(shape, tuple) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("it has an array whose shape is no tuple of sizes")
    if not all(type(side) is int and 0 <= side < _MAX_SIDE for side in shape):
        raise ValueError("it has an array whose shape is no tuple of sizes")
    dtype = np.dtype(f"<{code}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"it has an array of shape {shape} and type {code} in {len(data)} bytes")
    if code == "b1":
        budget.bytes.spend(len(data))
        if not set(data) <= {0, 1}:
            raise ValueError("it has a truth value other than 0 and 1")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _raw(data: bytes | str, budget: Budget) -> bytes:
    """Bytes that Python 2 wrote are text of the same codes."""
    if isinstance(data, str):
        budget.bytes.spend(len(data))
        return data.encode("latin1")
    return data


def _dtype(arguments: tuple[Any, ...], budget: Budget) -> _Dtype:
    match arguments:
        case (str(code), 0, 1) if code in _DTYPES:
            return _Dtype(code)
    raise ValueError("it has an array of something other than numbers")


def _reconstruct(arguments: tuple[Any, ...], budget: Budget) -> _Array:
    match arguments:
        case (token, (0,), b"b" | "b") if token is _NDARRAY:
            return _Array()
    raise ValueError("it has an array in no known form")


def _from_buffer(arguments: tuple[Any, ...], budget: Budget) -> _Array:
    match arguments:
        case (bytes(data), _Dtype(code), shape, "C" | "F" as order):
            return _Array(_array(data, code, shape, order == "F", budget))
    raise ValueError("it has an array in no known form")


def _scalar(arguments: tuple[Any, ...], budget: Budget) -> Any:
    match arguments:
        case (_Dtype(code), bytes() | str() as data):
            return _array(_raw(data, budget), code, (), False, budget).item()
    raise ValueError("it has a scalar in no known form")


def _encode(arguments: tuple[Any, ...], budget: Budget) -> bytes:
    """Bytes in protocol 2."""
    match arguments:
        case (str(text), "latin1"):
            budget.bytes.spend(len(text))
            return text.encode("latin1")
    raise ValueError("it encodes text in another way than bytes need")


_NDARRAY = Token()
_MULTIARRAY = {"_reconstruct": Token(_reconstruct), "scalar": Token(_scalar)}
NUMPY: Table = {
    **{("numpy.core.multiarray", name): token for name, token in _MULTIARRAY.items()},
    **{("numpy._core.multiarray", name): token for name, token in _MULTIARRAY.items()},
    ("numpy.core.numeric", "_frombuffer"): Token(_from_buffer),  # protocol 5
    ("numpy._core.numeric", "_frombuffer"): Token(_from_buffer),
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): Token(_dtype),
    ("_codecs", "encode"): Token(_encode),
}


def read_numpy_pickle(path: Path) -> dict[str, Any]:
    """Read a pickle (protocol 2 to 5) of nested dictionaries of numeric numpy arrays.

    Args:
        path: the pickle, at most 256 MiB.

    Returns:
        Nested dictionaries with string keys; their leaves are little-endian arrays of numbers
        (read-only, on the file's bytes), int and float.

    Raises:
        LowRankGANError: the file cannot be read, is too large, truncated or malformed, or names
            or holds anything else than the above.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise LowRankGANError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > _MAX_BYTES:
        raise LowRankGANError(f"{path}: larger than {_MAX_BYTES} bytes, not a file of weights")
    budget = Budget(len(data))
    try:
        root = grow(interpret(BytesIO(data), NUMPY, budget), budget)
        _check(root)
    except (ValueError, MemoryError) as error:
        raise LowRankGANError(
            f"{path}: expected a pickle of numeric numpy arrays only, but "
            f"{str(error)[:200]}; fetch the file again from its source"
        ) from error
    return root


def _check(root: Any) -> None:
    if not isinstance(root, dict):
        raise ValueError("it is not a dictionary")
    for key, value in root.items():
        if not isinstance(key, str) or type(value) not in (dict, np.ndarray, int, float):
            raise ValueError(f"it holds a {type(value).__name__} at a {type(key).__name__}")
        if isinstance(value, dict):
            _check(value)
