"""Tensors of a state dict in a file that need not be what it seems."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.pickle_tree import Record

_AVERAGES = {"g_ema": "g", "G_ema": "G", "generator_smooth": "generator"}  # and what is in training
# Outer ones first, and of two beside each other the average of the weights.
_WRAPPERS = ("state", "models", *_AVERAGES, "state_dict", *_AVERAGES.values())
_MAX_BITS = 128
_MOST_LEVELS = 8  # for a file may hold itself


def unwrapped(content: Any) -> dict[str, Any]:
    """The state dict of the generator in a content tree, without DataParallel's prefix.

    It may lie in the wrappers of several formats; empty where there is none.
    """
    found = _levels(content)[-1]
    return {str(key).removeprefix("module."): value for key, value in found.items()}


def _levels(content: Any) -> list[Mapping[Any, Any]]:
    """The content tree, and what lies in one wrapper after another; one empty level at least."""
    found: list[Mapping[Any, Any]] = []
    while isinstance(content, Mapping) and len(found) < _MOST_LEVELS:
        found.append(content)
        content = next((v for key in _WRAPPERS if isinstance(v := content.get(key), Mapping)), None)
    return found or [{}]


def not_averaged(content: Any) -> tuple[str, ...]:
    """What is assumed of a content tree that has weights in training without their average."""
    for networks in _levels(content):
        found = {key for key, value in networks.items() if isinstance(value, Mapping | Record)}
        for average, training in _AVERAGES.items():
            if training in found and average not in found:
                return (
                    f"the file has no {average}, the average of the weights; {training} is taken",
                )
    return ()


def take(state: Mapping[str, Any], key: str, *shape: int) -> Tensor:
    """The tensor of a key, checked against a shape, in which -1 is any size but none.

    It is float32, on the CPU and contiguous.

    Raises:
        LowRankGANError: the key is missing, or its value is not a real tensor of that shape.
    """
    value = state.get(key)
    if not isinstance(value, Tensor):
        raise LowRankGANError(f"{key} is missing, expected a tensor; is the file complete?")
    found = tuple(value.shape)
    if len(found) != len(shape) or any(
        want not in (-1, size) or not size for want, size in zip(shape, found, strict=True)
    ):
        sizes = " x ".join("any" if size == -1 else str(size) for size in shape)
        raise LowRankGANError(f"{key} has the shape {list(found)}, expected {sizes or 'a scalar'}")
    if value.is_complex():
        raise LowRankGANError(f"{key} holds {value.dtype}, expected real numbers")
    return value.detach().to("cpu", torch.float32).contiguous()


def tensors(state: Any) -> dict[str, Tensor]:
    """A state dict whose shapes its generator checks; float32, on the CPU and contiguous.

    Raises:
        LowRankGANError: it is no state dict, or a value is no tensor.
    """
    if not isinstance(state, Mapping):
        raise LowRankGANError(f"expected a state dict, got {type(state).__name__}")
    return {
        str(key): take(state, key, *[-1] * getattr(value, "ndim", 0))
        for key, value in state.items()
    }


def take_rgb(state: Mapping[str, Any], name: str, inputs: int) -> tuple[Tensor, Tensor]:
    """Weight [3, inputs, 1, 1] and bias [3] of a convolution to RGB; grey is repeated.

    Raises:
        LowRankGANError: one is missing or has another shape, or images are neither RGB nor grey.
    """
    weight = take(state, f"{name}.weight", -1, inputs, 1, 1)
    if len(weight) not in (1, 3):
        raise LowRankGANError(
            f"{name}.weight: images have {len(weight)} channels, expected 3 (RGB) or 1 (grey)"
        )
    bias = take(state, f"{name}.bias", len(weight))
    return weight.expand(3, -1, -1, -1).contiguous(), bias.expand(3).contiguous()


def positive(name: str, value: Any) -> float:
    """A setting that must be a positive number.

    Raises:
        LowRankGANError: it is something else.
    """
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise LowRankGANError(f"{name} is too large, expected a positive number")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise LowRankGANError(f"{name} is {value!r}, expected a positive number")
    return float(value)
