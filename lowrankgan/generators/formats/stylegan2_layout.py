"""What the converters of StyleGAN2 share: the canonical names, and the average of w."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.formats.state_dict import take
from lowrankgan.generators.stylegan_mapping import MappingNetwork

MOST_TAPS = 64  # of a filter of which a file has one side
_SAMPLES = 10_000
AVERAGED = f"the file has no average of w; it is that of {_SAMPLES:,} seeded latents"


@dataclass(frozen=True)
class Layer:
    """A modulated layer of the synthesis network.

    Attributes:
        name: canonical prefix.
        size: side of its output in pixels.
        index: among the convolutions, or among the output layers.
        kind: "conv1", "conv0" (which doubles the size) or "torgb".
    """

    name: str
    size: int
    index: int
    kind: str

    @property
    def is_convolution(self) -> bool:
        return self.kind != "torgb"


def layers_of(resolution: int) -> Iterator[Layer]:
    """Every layer of a skip network: the convolutions and the output layer of each resolution."""
    size, convolution = 4, 0
    for block in range(resolution.bit_length() - 2):
        for kind in ("conv1",) if size == 4 else ("conv0", "conv1"):
            yield Layer(f"synthesis.b{size}.{kind}", size, convolution, kind)
            convolution += 1
        yield Layer(f"synthesis.b{size}.torgb", size, block, "torgb")
        size *= 2


def average_w(
    state: Mapping[str, Tensor], lr_multiplier: float, joint_normalization: bool = False
) -> Tensor:
    """The mean [w_dim] of w over 10,000 seeded latents, with labels drawn evenly."""
    seeded = torch.Generator().manual_seed(0)
    mapping = MappingNetwork(state, lr_multiplier, joint_normalization)
    z = torch.randn(_SAMPLES, mapping.z_dim, generator=seeded)
    classes = mapping.num_classes
    labels = torch.randint(classes, (_SAMPLES,), generator=seeded) if classes else None
    with torch.no_grad():
        w: Tensor = mapping(z, labels).mean(0)
    return w


def refuse_other(arguments: Mapping[str, Any], only: Mapping[str, Any]) -> None:
    """Refuse arguments of a generator that differ from the only values that are supported.

    Raises:
        LowRankGANError: one does.
    """
    for name, value in only.items():
        given = arguments.get(name, value)
        if not isinstance(given, str | bool | int | float) or given != value:
            raise LowRankGANError(f"{name} is {str(given)[:40]!r}, expected {value!r}")


def plain_embedding(weight: Tensor) -> dict[str, Tensor]:
    """A matrix [classes, z_dim] of label embeddings without a bias or scale."""
    return {
        # The canonical layer divides by the root of its inputs.
        "mapping.embed.weight": weight.T * len(weight) ** 0.5,
        "mapping.embed.bias": weight.new_zeros(weight.shape[1]),
    }


def dense_layers(state: Mapping[str, Tensor], prefix: str, first: int = 0) -> dict[str, Tensor]:
    """Fully connected layers `{prefix}{i}.{weight,bias}` under the mapping's canonical names."""
    found = {}
    index = first
    parts = ("weight", "bias")
    while index == first or any(f"{prefix}{index}.{part}" in state for part in parts):
        weight = take(state, f"{prefix}{index}.weight", -1, -1)
        found[f"mapping.fc{index - first}.weight"] = weight
        found[f"mapping.fc{index - first}.bias"] = take(
            state, f"{prefix}{index}.bias", weight.shape[0]
        )
        index += 1
    return found
