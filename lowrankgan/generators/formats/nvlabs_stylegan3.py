"""StyleGAN3 as NVlabs pickles it; tensors have the canonical names, attributes the geometry."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.nvlabs import synthesis_has, take_apart

DEFAULTS: dict[str, Any] = {}
_SYNTHESIS = (
    r"input\.(weight|transform|freqs|phases|affine\.(weight|bias))"
    r"|[^.]+\.(weight|bias|magnitude_ema|(up|down)_filter|affine\.(weight|bias))"
)


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    return synthesis_has(content, "input")


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The exponential moving average of the generator.

    Raises:
        LowRankGANError: a tensor or attribute is missing or malformed, or the network is a
            variant that no official code makes.
    """
    state, attributes = take_apart(content, _SYNTHESIS, "StyleGAN3")
    names = attributes["synthesis"].get("layer_names")
    if not isinstance(names, list) or not all(f"synthesis.{name}" in attributes for name in names):
        raise LowRankGANError("synthesis.layer_names: expected the names of the layers")
    source = _Attributes("synthesis.input", attributes)
    fourier = {
        "size": source.square("size"),
        "sampling_rate": source.number("sampling_rate"),
        "bandwidth": source.number("bandwidth"),
    }
    layers = [_layer(name, _Attributes(f"synthesis.{name}", attributes)) for name in names]
    settings = {
        "fourier": fourier,
        "layers": layers,
        "output_scale": _Attributes("synthesis", attributes).number("output_scale"),
        "lr_multiplier": _Attributes("mapping.fc0", attributes).number("bias_gain"),
    }
    return Checkpoint("stylegan3", settings, state, "NVlabs pickle of StyleGAN3")


def _layer(name: str, attributes: "_Attributes") -> dict[str, Any]:
    return {
        "name": name,
        "size": attributes.square("out_size"),
        "up": attributes.whole("up_factor"),
        "down": attributes.whole("down_factor"),
        "padding": [int(value) for value in attributes.values("padding", 4)],
        "clamp": attributes.optional("conv_clamp"),
        "rgb": bool(attributes.get("is_torgb")),
    }


class _Attributes:
    """The plain attributes of one module, which need not be what they should."""

    def __init__(self, name: str, modules: Mapping[str, Mapping[str, Any]]) -> None:
        self._name, self._values = name, modules.get(name, {})

    def get(self, key: str) -> Any:
        if key not in self._values:
            raise LowRankGANError(f"{self._name}.{key} is missing, expected an attribute")
        return self._values[key]

    def values(self, key: str, count: int) -> list[float]:
        try:
            values = np.broadcast_to(np.asarray(self.get(key), dtype=np.float64), [count])
        except (TypeError, ValueError, OverflowError) as error:
            raise LowRankGANError(f"{self._name}.{key}: expected {count} numbers") from error
        if not np.isfinite(values).all():
            raise LowRankGANError(f"{self._name}.{key}: expected finite numbers")
        return [float(value) for value in values]

    def number(self, key: str) -> float:
        return self.values(key, 1)[0]

    def whole(self, key: str) -> int:
        number = self.number(key)
        if number < 1 or number != int(number):
            raise LowRankGANError(f"{self._name}.{key}: {number}, expected 1, 2, ...")
        return int(number)

    def optional(self, key: str) -> float | None:
        return None if self.get(key) is None else self.number(key)

    def square(self, key: str) -> int:
        width, height = self.values(key, 2)
        if width != height or width < 1:
            raise LowRankGANError(f"{self._name}.{key}: {width} x {height}, expected a square")
        return int(width)
