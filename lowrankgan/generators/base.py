"""What an editor of images needs of a generator; every architecture implements this interface."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrankgan.errors import LowRankGANError


class Generator(nn.Module, ABC):
    """A pretrained generator G: latent to image, written functionally (no operation in place).

    Two latent spaces are told apart. z is what is sampled. w is what is edited and what Jacobians
    are taken with respect to: StyleGAN's intermediate latent, or z itself where there is no
    mapping network (BigGAN at a fixed class, DCGAN). Every layer that reads the latent has a slot
    of its own: W+ holds one w for each, and "layers" always means indices of these slots.

    A row of w has w_dim components that edits move, then `carried_dim` that they never do, such
    as BigGAN's class embedding: D = w_dim + carried_dim in all.

    Attributes:
        z_dim: size of z.
        w_dim: number d of components of w that are edited.
        carried_dim: number of further components that synthesis needs.
        num_layers: number L of slots of W+.
        layer_resolutions: per slot, the side in pixels of the feature map it modulates.
        num_classes: number of class labels, 0 for an unconditional generator.
        resolution: side of the square image in pixels.
        w_mean: [w_dim] centre of truncation, zeros where w is z.
    """

    z_dim: int
    w_dim: int
    carried_dim: int = 0
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

    def mapping(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map z [N, z_dim], with class labels [N] int64 if conditional, to w [N, D].

        Raises:
            LowRankGANError: a label is missing, out of range, or given where there are no classes.
        """
        classes = self.num_classes
        if classes and label is None:
            raise LowRankGANError(
                f"the generator has {classes} classes, expected a label; set sample.label"
            )
        expected = f"0 to {classes - 1}" if classes else "none, as the generator has no classes"
        for value in () if label is None else label.tolist():
            if not 0 <= value < classes:
                raise LowRankGANError(f"sample.label: {value}, expected {expected}")
        return self._map(z, label)

    @abstractmethod
    def _map(self, z: Tensor, label: Tensor | None) -> Tensor:
        """`mapping` of labels that fit."""

    @abstractmethod
    def forward(self, slots: Sequence[Tensor]) -> Tensor:
        """Render one w [N, D] for each of the L slots as RGB images [N, 3, H, W].

        Slots are apart, not stacked, so that forward mode leaves out what comes before the first
        slot that has a tangent.
        """

    @abstractmethod
    def style_weights(self) -> list[Tensor]:
        """For each slot, the weight [C, w_dim] of the affine maps that read it, stacked.

        Their outputs, or styles, are the channel scales of StyleGAN's layers, the gains and
        biases of BigGAN's norms, or the first layer's features where that alone reads the latent.
        """

    def forward_averaged(self, slots: Sequence[Tensor], resolution: int) -> Tensor:
        """`forward`, area-averaged to [N, 3, resolution, resolution].

        An architecture may compute the same values without rendering every pixel first.
        """
        return area_average(self(slots), resolution)

    def synthesis(self, ws: Tensor) -> Tensor:
        """Render W+ latents [N, L, D] as RGB images [N, 3, H, W].

        Values are nominally in [-1, 1] and not clamped, so that the Jacobian exists everywhere.
        """
        images: Tensor = self(ws.unbind(1))
        return images

    def render(self, ws: Tensor, resolution: int) -> Tensor:
        """`synthesis`, area-averaged to [N, 3, resolution, resolution]."""
        return self.forward_averaged(ws.unbind(1), resolution)

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Truncation trick: w [..., D] moved towards the mean; psi 1 changes nothing."""
        return torch.cat(
            [self.w_mean.lerp(w[..., : self.w_dim], psi), w[..., self.w_dim :]], dim=-1
        )

    def broadcast(self, w: Tensor) -> Tensor:
        """W [N, D] as W+ [N, L, D], the same w in every slot."""
        return w.unsqueeze(1).expand(-1, self.num_layers, -1)


def pixel_norm(x: Tensor) -> Tensor:
    """Scale each vector of channels of x [N, C, ...] to a mean square of 1.

    Karras et al., arXiv 1710.10196, section 4.2.
    """
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def area_average(images: Tensor, resolution: int) -> Tensor:
    """Average images [N, C, H, H] over areas to [N, C, resolution, resolution]."""
    factor, remainder = divmod(images.shape[-1], resolution)
    if remainder == 0 and factor:
        return F.avg_pool2d(images, factor)
    return F.interpolate(images, size=(resolution, resolution), mode="area")
