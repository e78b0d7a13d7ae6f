"""DCGAN (Radford et al., arXiv 1511.06434), in the layout of gan-face-generate."""

import re
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrankgan.generators.base import Generator
from lowrankgan.generators.formats.state_dict import take


class DCGAN(Generator):
    """Transposed convolutions with batch normalisation; w is z, and W+ has a single slot.

    Args:
        state: state dict whose `main.{3 i}.weight` are the transposed convolutions and whose
            `main.{3 i + 1}.*` are the batch normalisations; sizes are inferred. Each
            normalisation is folded into the convolution before it.

    Raises:
        LowRankGANError: a tensor is missing or has another shape.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        indices = [int(found[1]) for key in state if (found := re.match(r"main\.(\d+)\.", key))]
        depth, channels, folded = 1 + max(indices, default=0) // 3, -1, []
        for i in range(depth):
            folded.append(_fold(state, 3 * i, channels, last=i == depth - 1))
            channels = folded[i][0].shape[1]
        self.z_dim = self.w_dim = folded[0][0].shape[0]
        self.weights = nn.ParameterList(weight for weight, _ in folded)
        self.biases = nn.ParameterList(bias for _, bias in folded)
        self.register_buffer("w_mean", torch.zeros(self.w_dim))
        self.layer_resolutions = (4,)
        self.resolution = 4 << (depth - 1)
        self.requires_grad_(False).eval()

    def _map(self, z: Tensor, label: Tensor | None) -> Tensor:
        return z

    def style_weights(self) -> list[Tensor]:
        return [self.weights[0].flatten(1).T]

    def forward(self, slots: Sequence[Tensor]) -> Tensor:
        x = F.conv_transpose2d(slots[0][:, :, None, None], self.weights[0], self.biases[0])
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            x = F.conv_transpose2d(F.relu(x), weight, bias, stride=2, padding=1)
        return torch.tanh(x)


def _fold(
    state: Mapping[str, Tensor], index: int, inputs: int, last: bool
) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution with the batch normalisation that follows it."""
    weight = take(state, f"main.{index}.weight", inputs, 3 if last else -1, 4, 4)
    if last:
        return weight, torch.zeros(3)
    norm = {
        key: take(state, f"main.{index + 1}.{key}", weight.shape[1])
        for key in ("weight", "bias", "running_mean", "running_var")
    }
    scale = norm["weight"] * (norm["running_var"] + 1e-5).rsqrt()
    return weight * scale[:, None, None], norm["bias"] - norm["running_mean"] * scale
