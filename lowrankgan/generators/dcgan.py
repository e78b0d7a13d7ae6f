"""DCGAN (Radford et al., arXiv 1511.06434), in the layout of gan-face-generate."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator


class DCGAN(Generator):
    """Transposed convolutions with batch normalisation; w is z, and W+ has a single slot.

    Args:
        state: state dict whose `main.{3 i}.weight` are the transposed convolutions and whose
            `main.{3 i + 1}.*` are the batch normalisations; sizes are inferred. Each
            normalisation is folded into the convolution before it.

    Raises:
        LowRankGANError: the state dict is not that of a DCGAN.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        depth = sum(key.endswith(".weight") and value.ndim == 4 for key, value in state.items())
        try:
            folded = [_fold(state, 3 * i, last=i == depth - 1) for i in range(depth)]
            self.z_dim = self.w_dim = folded[0][0].shape[0]
        except (KeyError, IndexError, RuntimeError) as error:
            raise LowRankGANError(f"not the weights of a DCGAN: {error}") from error
        self.weights = nn.ParameterList(weight for weight, _ in folded)
        self.biases = nn.ParameterList(bias for _, bias in folded)
        self.register_buffer("w_mean", torch.zeros(self.w_dim))
        self.layer_resolutions = (4,)
        self.resolution = 4 << (depth - 1)
        self.requires_grad_(False).eval()

    def _map(self, z: Tensor, label: Tensor | None) -> Tensor:
        return z

    def forward(self, slots: Sequence[Tensor]) -> Tensor:
        x = F.conv_transpose2d(slots[0][:, :, None, None], self.weights[0], self.biases[0])
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            x = F.conv_transpose2d(F.relu(x), weight, bias, stride=2, padding=1)
        return torch.tanh(x)


def _fold(state: Mapping[str, Tensor], index: int, last: bool) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution with the batch normalisation that follows it."""
    weight = state[f"main.{index}.weight"]
    if last:
        return weight, torch.zeros(weight.shape[1])
    norm = {
        key: state[f"main.{index + 1}.{key}"]
        for key in ("weight", "bias", "running_mean", "running_var")
    }
    scale = norm["weight"] * (norm["running_var"] + 1e-5).rsqrt()
    return weight * scale[:, None, None], norm["bias"] - norm["running_mean"] * scale
