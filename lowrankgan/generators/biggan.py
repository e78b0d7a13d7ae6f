"""BigGAN (Brock et al., arXiv 1809.11096, appendix B, figure 15)."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrankgan.generators.biggan_layers import ClassConditionalGenerator, apply, upsample


class _Block(nn.Module):
    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        norm: Callable[[int], nn.Module],
        doubles: bool,
    ) -> None:
        super().__init__()
        self.resize = upsample if doubles else nn.Identity()
        self.norm1 = norm(inputs)
        self.conv1 = nn.Conv2d(inputs, hidden, 3)
        self.norm2 = norm(hidden)
        self.conv2 = nn.Conv2d(hidden, outputs, 3)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor, statistics: Tensor) -> Tensor:
        h = F.relu(self.norm1(x, condition, statistics))
        h = apply(self.conv1, self.resize(h))
        h = F.relu(self.norm2(h, condition, statistics))
        return apply(self.conv2, h) + self.resize(apply(self.shortcut, x))


class BigGAN(ClassConditionalGenerator):
    """BigGAN, whose every block doubles the resolution.

    With hierarchical latents z is cut into equal chunks, one for each slot of W+: the first
    linear layer takes the first, and the norms of block i take chunk i + 1 and the class.
    Without, the first linear layer takes all of z, and the blocks take the class alone.

    Each `blocks.{i}` has `norm{1,2}`, `conv{1,2}` (3 x 3) and `shortcut` (1 x 1); the rest of the
    layout is that of `ClassConditionalGenerator`.

    Args:
        state: float32 state dict in that layout; every size is inferred from it.
        latent: what is edited, "z" at a fixed class or "class", the embedding, at a fixed z.

    Raises:
        LowRankGANError: the state dict is not that of a BigGAN, or `latent` is unknown.
    """

    block = _Block

    def __init__(self, state: Mapping[str, Tensor], latent: str = "z") -> None:
        super().__init__(state, latent)

    def _z_dim(self, chunk: int) -> int:
        if chunk not in (0, self.linear.in_features):
            raise ValueError(f"linear takes {self.linear.in_features} of z, but the blocks {chunk}")
        return self.linear.in_features + len(self.blocks) * chunk

    def _first(self, z: Tensor, y: Tensor) -> Tensor:
        return z[:, : self.linear.in_features]

    def _condition(self, block: int, z: Tensor, y: Tensor) -> Tensor:
        first = self.linear.in_features
        chunk = (self.z_dim - first) // len(self.blocks)
        start = first + block * chunk
        return torch.cat([z[:, start : start + chunk], y], dim=1)
