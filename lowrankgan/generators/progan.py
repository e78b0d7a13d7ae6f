"""ProGAN (Karras et al., arXiv 1710.10196), also called PGGAN or progressive GAN.

State keys, with the equalised learning rate applied and B = 0, 1, ... the resolutions:
`layers.{2 B}.{weight, bias}`, the convolution that doubles the size (B = 0: from one pixel),
`layers.{2 B + 1}.{weight, bias}`, and `outputs.{B}.{weight, bias}`, of which only those that the
image is made of need be there.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator, pixel_norm
from lowrankgan.generators.formats.state_dict import positive, take, take_rgb
from lowrankgan.generators.forward_mode import convolve, convolve_transposed

_LEAK = 0.2
_FINAL: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda image: image,
    "tanh": torch.tanh,
    "hardtanh": F.hardtanh,
}


class ProGAN(Generator):
    """Pixel-normalised convolutions; w is z, and W+ has a single slot.

    Only the direction of z matters, so that truncation changes nothing. Where there are classes,
    w carries the one-hot label, which joins z before the first convolution.

    Args:
        state: see the module.
        num_classes: size of the label, 0 without.
        z_gain: factor of the pixel-normalised z where the label joins it; None is the square root
            of its size.
        lod: level of detail of growing: 0 is the whole generator, at k the last k resolutions
            are nearest neighbours, and between whole numbers two images are blended.
        final: activation of the image, one of "linear", "tanh", "hardtanh".

    Raises:
        LowRankGANError: a tensor is missing or has another shape, or a setting is malformed.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        num_classes: int = 0,
        z_gain: float | None = None,
        lod: float = 0.0,
        final: str = "linear",
    ) -> None:
        super().__init__()
        first = take(state, "layers.0.weight", -1, -1, -1, -1)
        indices = [int(found[1]) for key in state if (found := re.match(r"layers\.(\d+)\.", key))]
        count = 1 + max(indices) // 2
        if max(indices) > len(state):
            raise LowRankGANError(
                f"layer {max(indices)} is named, but there are only {len(state)} tensors"
            )
        if final not in _FINAL:
            raise LowRankGANError(f"final is {final!r}, expected one of {list(_FINAL)}")
        if not isinstance(lod, int | float) or not 0 <= lod <= count - 1:
            raise LowRankGANError(f"lod is {lod!r}, expected 0 to {count - 1}")
        if not isinstance(num_classes, int) or not 0 <= num_classes < first.shape[1]:
            raise LowRankGANError(
                f"num_classes is {num_classes!r}, expected a whole number less than the "
                f"{first.shape[1]} channels of layers.0.weight"
            )
        self.num_classes = self.carried_dim = num_classes
        self.z_dim = self.w_dim = first.shape[1] - num_classes
        self.z_gain = self.z_dim**0.5 if z_gain is None else positive("z_gain", z_gain)
        self.layers = nn.ModuleList()
        widths, size = [first.shape[1]], first.shape[2]
        active = math.ceil(count - lod)
        for index in range(2 * active):
            kernel = size if index == 0 else 3
            doubles = index > 0 and index % 2 == 0
            layer = _Layer(state, f"layers.{index}", widths[-1], kernel, doubles)
            self.layers.append(layer)
            widths.append(layer.bias.numel())
        # Share of the image before in the last one, and what is left to nearest neighbours.
        self.blend, self.enlargement = lod % 1.0, 2 ** int(lod)
        shown = range(active - 2, active) if self.blend else range(active - 1, active)
        self.outputs = nn.ModuleDict(
            {str(b): _Output(state, f"outputs.{b}", widths[2 * b + 2]) for b in shown}
        )
        self.final = _FINAL[final]
        self.register_buffer("w_mean", torch.zeros(self.w_dim))
        self.layer_resolutions, self.resolution = (size,), size << (count - 1)
        self.requires_grad_(False).eval()

    def _map(self, z: Tensor, label: Tensor | None) -> Tensor:
        """z [N, z_dim], followed by the one-hot label where there are classes."""
        if label is None:
            return z
        return torch.cat([z, F.one_hot(label, self.num_classes).to(z)], dim=1)

    def style_weights(self) -> list[Tensor]:
        weight = cast(_Layer, self.layers[0]).weight[:, : self.z_dim]
        return [weight.transpose(1, 3).reshape(-1, self.z_dim)]

    def forward(self, slots: Sequence[Tensor]) -> Tensor:
        z, label = slots[0].split([self.z_dim, self.num_classes], dim=1)
        x = torch.cat([pixel_norm(z) * self.z_gain, label], dim=1)[:, :, None, None]
        images = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index % 2 and str(index // 2) in self.outputs:
                images.append(self.outputs[str(index // 2)](x))
        image = images[-1]
        if self.blend:
            image = image * (1 - self.blend) + _enlarge(images[0], 2) * self.blend
        return self.final(_enlarge(image, self.enlargement))


class _Layer(nn.Module):
    """Pixel norm, convolution, perhaps of the image at twice its size, and leaky ReLU."""

    def __init__(
        self, state: Mapping[str, Tensor], name: str, inputs: int, kernel: int, doubles: bool
    ) -> None:
        super().__init__()
        weight = take(state, f"{name}.weight", -1, inputs, kernel, kernel)
        self.bias = nn.Parameter(take(state, f"{name}.bias", weight.shape[0]))
        self.doubles, self.padding = doubles, 1 if kernel == 3 else kernel - 1
        self.weight = nn.Parameter(_doubling(weight) if doubles else weight)

    def forward(self, x: Tensor) -> Tensor:
        x = pixel_norm(x)
        if self.doubles:
            x = convolve_transposed(x, self.weight, stride=2, padding=1)
            return F.leaky_relu(x + self.bias[:, None, None], _LEAK)
        return F.leaky_relu(convolve(x, self.weight, self.bias, padding=self.padding), _LEAK)


class _Output(nn.Module):
    """Pixel norm and a convolution of 1 x 1 to RGB."""

    def __init__(self, state: Mapping[str, Tensor], name: str, inputs: int) -> None:
        super().__init__()
        weight, bias = take_rgb(state, name, inputs)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return convolve(pixel_norm(x), self.weight, self.bias)


def _doubling(weight: Tensor) -> Tensor:
    """The transposed convolution [I, O, 4, 4] of stride 2 that equals nearest neighbours at twice
    the size followed by a convolution [O, I, 3, 3], at less than half the multiplications."""
    padded = F.pad(weight.flip((2, 3)).transpose(0, 1), (1, 1, 1, 1))
    return F.avg_pool2d(padded, 2, stride=1) * 4


def _enlarge(x: Tensor, factor: int) -> Tensor:
    """Nearest neighbours at `factor` times the size."""
    return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3) if factor > 1 else x
