"""What an editor of images needs of a generator; every architecture implements this interface."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Generator(nn.Module, ABC):
    """A pretrained generator G: latent to image, written functionally (no operation in place).

    Two latent spaces are told apart. z is what is sampled. w is what is edited and what Jacobians
    are taken with respect to: StyleGAN's intermediate latent, or z itself where there is no
    mapping network (BigGAN at a fixed class, DCGAN). Every layer that reads the latent has a slot
    of its own: W+ holds one w for each, and "layers" always means indices of these slots.

    Attributes:
        z_dim: size of z.
        w_dim: size d of w.
        num_layers: number L of slots of W+.
        layer_resolutions: per slot, the side in pixels of the feature map it modulates.
        num_classes: number of class labels, 0 for an unconditional generator.
        resolution: side of the square image in pixels.
        w_mean: [w_dim] centre of truncation, zeros where w is z.
    """

    z_dim: int
    w_dim: int
    layer_resolutions: tuple[int, ...]
    num_classes: int = 0
    resolution: int
    w_mean: Tensor

    @property
    def num_layers(self) -> int:
        return len(self.layer_resolutions)

    @property
    def device(self) -> torch.device:
        return self.w_mean.device

    @property
    def dtype(self) -> torch.dtype:
        return self.w_mean.dtype

    @abstractmethod
    def mapping(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map z [N, z_dim], with class labels [N] int64 if conditional, to w [N, w_dim]."""

    @abstractmethod
    def synthesis(self, ws: Tensor, label: Tensor | None = None) -> Tensor:
        """Render W+ latents [N, num_layers, w_dim] as RGB images [N, 3, H, W].

        Values are nominally in [-1, 1] and not clamped, so that the Jacobian exists everywhere.
        """

    def render(self, ws: Tensor, resolution: int, label: Tensor | None = None) -> Tensor:
        """`synthesis`, area-averaged to [N, 3, resolution, resolution].

        An architecture may compute the same values without rendering every pixel first.
        """
        return area_average(self.synthesis(ws, label), resolution)

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Truncation trick: w [..., w_dim] moved towards the mean; psi 1 changes nothing."""
        return self.w_mean + psi * (w - self.w_mean)

    def broadcast(self, w: Tensor) -> Tensor:
        """W [N, w_dim] as W+ [N, num_layers, w_dim], the same w in every slot."""
        return w.unsqueeze(1).expand(-1, self.num_layers, -1)


def area_average(images: Tensor, resolution: int) -> Tensor:
    """Average images [N, C, H, H] over areas to [N, C, resolution, resolution]."""
    factor, remainder = divmod(images.shape[-1], resolution)
    if remainder == 0 and factor:
        return F.avg_pool2d(images, factor)
    return F.interpolate(images, size=(resolution, resolution), mode="area")
