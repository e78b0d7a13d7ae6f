"""BigGAN-deep (Brock et al., arXiv 1809.11096, appendix B, figure 16)."""

from collections.abc import Callable, Mapping, Sequence

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
        self.conv1 = nn.Conv2d(inputs, hidden, 1)
        self.norm2 = norm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3)
        self.norm3 = norm(hidden)
        self.conv3 = nn.Conv2d(hidden, hidden, 3)
        self.norm4 = norm(hidden)
        self.conv4 = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor, statistics: Tensor) -> Tensor:
        h = apply(self.conv1, F.relu(self.norm1(x, condition, statistics)))
        h = F.relu(self.norm2(h, condition, statistics))
        h = apply(self.conv2, self.resize(h))
        h = apply(self.conv3, F.relu(self.norm3(h, condition, statistics)))
        h = apply(self.conv4, F.relu(self.norm4(h, condition, statistics)))
        return h + self.resize(x[:, : h.shape[1]])


class BigGANDeep(ClassConditionalGenerator):
    """BigGAN-deep: bottleneck blocks; every layer that reads the latent takes all of it.

    The output layer takes the truncation of the last slot of W+, where statistics depend on it.

    Each `blocks.{i}` has `norm{1,2,3,4}` and `conv{1,2,3,4}` (1 x 1, 3 x 3, 3 x 3, 1 x 1); the rest
    of the layout is that of `ClassConditionalGenerator`.

    Args:
        state: float32 state dict in that layout; every size is inferred from it.
        upsampling: for each block, whether it doubles the resolution.
        latent: what is edited, "z" at a fixed class or "class", the embedding, at a fixed z.

    Raises:
        LowRankGANError: the state dict is not that of a BigGAN-deep, or `latent` is unknown.
    """

    block = _Block

    def __init__(
        self, state: Mapping[str, Tensor], upsampling: Sequence[bool], latent: str = "z"
    ) -> None:
        super().__init__(state, latent, upsampling)

    def _z_dim(self, chunk: int) -> int:
        if chunk < 1:
            raise ValueError("the norms of the blocks take no more than the class")
        if chunk + self.y_dim != self.linear.in_features:
            raise ValueError("linear and the norms of the blocks take latents of different sizes")
        return chunk

    def _first(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.cat([z, y], dim=1)

    def _condition(self, block: int, z: Tensor, y: Tensor) -> Tensor:
        return torch.cat([z, y], dim=1)
