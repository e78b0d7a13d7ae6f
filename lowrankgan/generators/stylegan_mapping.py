"""The mapping network that StyleGAN2 and StyleGAN3 share: z and a class label to w."""

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import pixel_norm
from lowrankgan.generators.formats.state_dict import positive, take

_LEAK = 0.2
_MOST = 1 << 15


class MappingNetwork(nn.Module):
    """Fully connected layers with leaky ReLU on the normalised z and embedded label.

    Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (arXiv 1912.04958).

    Args:
        state: NVlabs' names: `mapping.fc{i}.{weight,bias}`, `mapping.embed.{weight,bias}` if
            conditional.
        lr_multiplier: learning rate multiplier of its layers, by which weights are stored divided.
        joint_normalization: z and the embedded label are normalised together (TensorFlow,
            genforce), not each by itself (NVlabs' PyTorch code).

    Raises:
        LowRankGANError: a tensor is missing or has another shape, or a setting is malformed.
    """

    def __init__(
        self, state: Mapping[str, Tensor], lr_multiplier: float, joint_normalization: bool = False
    ) -> None:
        super().__init__()
        lr_multiplier = positive("lr_multiplier", lr_multiplier)
        if not isinstance(joint_normalization, bool):
            raise LowRankGANError(
                f"joint_normalization is {joint_normalization!r}, expected true or false"
            )
        numbers = re.findall(r"^mapping\.fc(\d+)\.", "\n".join(state), flags=re.MULTILINE)
        size = take(state, "mapping.fc0.weight", -1, -1).shape[1]
        conditional = any(key.startswith("mapping.embed.") for key in state)
        self.embed = dense(state, "mapping.embed", -1) if conditional else None
        self.num_classes = 0 if self.embed is None else self.embed.in_features
        self.z_dim = size - (0 if self.embed is None else self.embed.out_features)
        if not (1 <= self.z_dim <= _MOST and self.num_classes <= _MOST):
            raise LowRankGANError(
                f"mapping takes {self.z_dim} components of z and {self.num_classes} classes, "
                f"expected 1 to {_MOST} and at most {_MOST}"
            )
        layers = []
        for index in range(1 + max(map(int, numbers))):
            layers.append(dense(state, f"mapping.fc{index}", size, lr_multiplier))
            size = layers[-1].out_features
        self.layers = nn.ModuleList(layers)
        self.w_dim, self.joint_normalization = size, joint_normalization

    def forward(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Map z [N, z_dim], with labels [N] int64 if conditional, to w [N, w_dim]."""
        x = pixel_norm(z) if label is None else self._with_label(z, label)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), _LEAK) * 2**0.5
        return x

    def _with_label(self, z: Tensor, label: Tensor) -> Tensor:
        assert self.embed is not None
        embedded = self.embed(F.one_hot(label, self.num_classes).to(z))
        if self.joint_normalization:
            return pixel_norm(torch.cat([z, embedded], dim=1))
        return torch.cat([pixel_norm(z), pixel_norm(embedded)], dim=1)


def dense(
    state: Mapping[str, Tensor], name: str, inputs: int, lr_multiplier: float = 1.0
) -> nn.Linear:
    """A fully connected layer with its equalised learning rate folded in."""
    weight = take(state, f"{name}.weight", -1, inputs)
    bias = take(state, f"{name}.bias", weight.shape[0])
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
    layer.weight.data = weight * (lr_multiplier / weight.shape[1] ** 0.5)
    layer.bias.data = bias * lr_multiplier
    return layer
