"""StyleGAN3 as NVlabs pickles it; tensors have the canonical names, attributes the geometry."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.nvlabs_stylegan2 import network, submodule
from lowrankgan.generators.formats.state_dict import take
from lowrankgan.generators.readers.nvlabs_modules import flatten

DEFAULTS: dict[str, Any] = {}


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    return submodule(submodule(network(content), "synthesis"), "input") is not None


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The exponential moving average of the generator.

    Raises:
        LowRankGANError: a tensor or attribute is missing or malformed.
    """
    found = network(content)
    assert found is not None  # as `recognises` has seen
    state, attributes = flatten(found)
    names = attributes["synthesis"].get("layer_names")
    if not isinstance(names, list) or not all(f"synthesis.{name}" in attributes for name in names):
        raise LowRankGANError("synthesis.layer_names: expected the names of the layers")
    source = _Attributes("synthesis.input", attributes["synthesis.input"])
    fourier = {
        "size": source.square("size"),
        "sampling_rate": source.number("sampling_rate"),
        "bandwidth": source.number("bandwidth"),
    }
    layers = []
    for name in names:
        layer = _Attributes(f"synthesis.{name}", attributes[f"synthesis.{name}"])
        layers.append(
            {
                "name": name,
                "size": layer.square("out_size"),
                "up": int(layer.number("up_factor")),
                "down": int(layer.number("down_factor")),
                "padding": [int(value) for value in layer.values("padding", 4)],
                "clamp": layer.optional("conv_clamp"),
                "rgb": bool(layer.get("is_torgb")),
            }
        )
    settings = {
        "fourier": fourier,
        "layers": layers,
        "output_scale": _Attributes("synthesis", attributes["synthesis"]).number("output_scale"),
        "lr_multiplier": _Attributes("mapping.fc0", attributes.get("mapping.fc0", {})).number(
            "bias_gain"
        ),
    }
    take(state, "mapping.w_avg", -1)
    return Checkpoint("stylegan3", settings, state, "NVlabs pickle of StyleGAN3")


class _Attributes:
    """The plain attributes of one module, which need not be what they should."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self._name, self._values = name, values

    def get(self, key: str) -> Any:
        if key not in self._values:
            raise LowRankGANError(f"{self._name}.{key} is missing, expected an attribute")
        return self._values[key]

    def values(self, key: str, count: int) -> list[float]:
        try:
            values = np.broadcast_to(np.asarray(self.get(key), dtype=np.float64), [count])
        except (TypeError, ValueError) as error:
            raise LowRankGANError(f"{self._name}.{key}: expected {count} numbers") from error
        if not np.isfinite(values).all():
            raise LowRankGANError(f"{self._name}.{key}: expected finite numbers")
        return [float(value) for value in values]

    def number(self, key: str) -> float:
        return self.values(key, 1)[0]

    def optional(self, key: str) -> float | None:
        return None if self.get(key) is None else self.number(key)

    def square(self, key: str) -> int:
        width, height = self.values(key, 2)
        if width != height or width < 1:
            raise LowRankGANError(f"{self._name}.{key}: {width} x {height}, expected a square")
        return int(width)
