"""StyleGAN2 (Karras et al., arXiv 1912.04958), with its skip, resnet and orig synthesis networks.

State keys are those of NVlabs' stylegan2-ada-pytorch, whose weights are stored before the
equalised learning rate is applied: `mapping.{w_avg, fc{i}.*, embed.*}` and
`synthesis.b{size}.{const, resample_filter, conv0.*, conv1.*, torgb.*, skip.weight}`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.formats.state_dict import positive, take
from lowrankgan.generators.forward_mode import convolve
from lowrankgan.generators.stylegan2_layers import (
    Convolution,
    Modulated,
    ToRGB,
    up_filter,
    upsample,
)
from lowrankgan.generators.stylegan_mapping import MappingNetwork

_ARCHITECTURES = ("skip", "resnet", "orig")
_NOISES = ("const", "none", "random")


class StyleGAN2(Generator):
    """StyleGAN2, conditional or not, of any size; sizes are inferred from the state.

    Slots of W+: the convolution at 4 px, two per further block, and the last output layer, which
    is 2 log2(resolution) - 2 in all. In the skip architecture every other output layer shares its
    w with the first convolution of the next block.

    Args:
        state: see the module.
        architecture: of the synthesis network.
        lr_multiplier: of the mapping network.
        conv_clamp: bound of activations, times their gain; None is no bound.
        noise: "const" adds the stored noise, "none" no noise, "random" noise drawn from noise_seed,
            the same for every image and each call: an edit and its original share it.
        noise_seed: of the random noise.
        joint_normalization: of z and the embedded label, see `MappingNetwork`.

    Raises:
        LowRankGANError: a tensor is missing or has another shape, or a setting is unknown.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        architecture: Literal["skip", "resnet", "orig"] = "skip",
        lr_multiplier: float = 0.01,
        conv_clamp: float | None = None,
        noise: Literal["const", "none", "random"] = "const",
        noise_seed: int = 0,
        joint_normalization: bool = False,
    ) -> None:
        super().__init__()
        _check("architecture", architecture, _ARCHITECTURES)
        _check("noise", noise, _NOISES)
        if not isinstance(noise_seed, int) or not 0 <= noise_seed < 1 << 32:
            raise LowRankGANError(f"noise_seed is {noise_seed!r}, expected 0 to 4294967295")
        clamp = None if conv_clamp is None else positive("conv_clamp", conv_clamp)
        self.mapping_network = MappingNetwork(state, lr_multiplier, joint_normalization)
        self.z_dim, self.w_dim = self.mapping_network.z_dim, self.mapping_network.w_dim
        self.num_classes = self.mapping_network.num_classes
        self.register_buffer("w_mean", take(state, "mapping.w_avg", self.w_dim).clone())
        self.const = nn.Parameter(take(state, "synthesis.b4.const", -1, 4, 4)[None])
        found = re.findall(r"^synthesis\.b(\d+)\.", "\n".join(state), flags=re.MULTILINE)
        sizes = [4 << i for i in range(max(map(int, found)).bit_length() - 2)]
        channels, blocks = self.const.shape[1], []
        for size in sizes:
            last = size == sizes[-1]
            blocks.append(_Block(state, size, channels, self.w_dim, architecture, clamp, last))
            channels = blocks[-1].channels
        self.blocks = nn.ModuleList(blocks)
        self.resolution = sizes[-1]
        self.layer_resolutions = (4, *(s for s in sizes[1:] for _ in range(2)), sizes[-1])
        self.noise, self.noise_seed = noise, noise_seed
        self.requires_grad_(False).eval()

    def _map(self, z: Tensor, label: Tensor | None) -> Tensor:
        w: Tensor = self.mapping_network(z, label)
        return w

    def style_weights(self) -> list[Tensor]:
        found: list[list[Tensor]] = [[] for _ in range(self.num_layers)]
        first = 0
        for block in self._blocks():
            for slot, layer in enumerate(block.layers, start=first):
                found[slot].append(cast(Modulated, layer).affine.weight)
            first += block.num_convolutions
        return [torch.cat(weights) for weights in found]

    def forward(self, slots: Sequence[Tensor]) -> Tensor:
        return self.from_styles(self.styles(slots))

    def styles(self, slots: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Style space (Wu et al., arXiv 2011.12799): the channel scales [N, C_i] of every layer.

        Args:
            slots: L latents w [N, w_dim].

        Returns:
            The styles of each block's convolutions and output layer, in the order of synthesis.
        """
        found: list[Tensor] = []
        first = 0
        for block in self._blocks():
            found += block.styles(slots[first:])
            first += block.num_convolutions
        return tuple(found)

    def from_styles(self, styles: Sequence[Tensor]) -> Tensor:
        """Render styles, as `styles` gives them, as images [N, 3, H, W] nominally in [-1, 1]."""
        noises = _Noises(self.noise, self.noise_seed)
        remaining = iter(styles)
        x, image = self.const, None
        for block in self._blocks():
            chosen = [next(remaining) for _ in block.layers]
            x, image = block(x, image, chosen, noises)
        assert image is not None  # the last block has an output layer
        return image

    def _blocks(self) -> Iterator["_Block"]:
        for block in self.blocks:
            assert isinstance(block, _Block)
            yield block


class _Noises:
    """The noise of one synthesis, layer by layer."""

    def __init__(self, mode: str, seed: int) -> None:
        # NumPy's, for torch's random numbers cannot be drawn under vmap.
        self._mode, self._random = mode, np.random.RandomState(seed)

    def of(self, layer: Convolution) -> Tensor | None:
        """Noise [H, W] for a layer, None where there is none."""
        if self._mode == "none" or layer.noise is None:
            return None
        if self._mode == "const":
            return layer.noise
        return torch.from_numpy(self._random.randn(*layer.noise.shape)).to(layer.noise)


class _Block(nn.Module):
    """The layers of one resolution."""

    filter: Tensor

    def __init__(
        self,
        state: Mapping[str, Tensor],
        size: int,
        inputs: int,
        w_dim: int,
        architecture: str,
        clamp: float | None,
        last: bool,
    ) -> None:
        super().__init__()
        name = f"synthesis.b{size}"
        self.resnet = architecture == "resnet" and size > 4
        convolutions, before = ["conv1"] if size == 4 else ["conv0", "conv1"], inputs
        layers: list[Modulated] = []
        for part in convolutions:
            up = part == "conv0"
            layer = Convolution(state, f"{name}.{part}", size, inputs, w_dim, up, clamp)
            layers.append(layer)
            inputs = layer.channels
        if last or architecture == "skip":
            layers.append(ToRGB(state, f"{name}.torgb", inputs, w_dim, clamp))
        self.layers = nn.ModuleList(layers)
        self.channels, self.num_convolutions = inputs, len(convolutions)
        if size > 4:
            self.register_buffer("filter", up_filter(state, f"{name}.resample_filter"))
        if self.resnet:
            skip = take(state, f"{name}.skip.weight", inputs, before, 1, 1)
            self.skip = nn.Parameter(skip / (2 * before) ** 0.5)

    def styles(self, slots: Sequence[Tensor]) -> list[Tensor]:
        pairs = zip(self.layers, slots[: len(self.layers)], strict=True)
        return [cast(Modulated, layer).affine(w) for layer, w in pairs]

    def forward(
        self, x: Tensor, image: Tensor | None, styles: Sequence[Tensor], noises: _Noises
    ) -> tuple[Tensor, Tensor | None]:
        before = x
        for index in range(self.num_convolutions):
            layer = cast(Convolution, self.layers[index])
            halved = self.resnet and index == self.num_convolutions - 1
            noise = noises.of(layer)
            x = layer(x, styles[index], noise, 0.5**0.5 if halved else 1.0)
        if self.resnet:
            x = x + upsample(convolve(before, self.skip), self.filter)
        if image is not None:
            image = upsample(image, self.filter)
        if len(self.layers) > self.num_convolutions:
            rgb = self.layers[-1](x, styles[-1])
            image = rgb if image is None else image + rgb
        return x, image


def _check(name: str, value: object, allowed: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in allowed:
        given = str(value)[:40]
        raise LowRankGANError(f"{name} is {given!r}, expected one of {', '.join(allowed)}")
