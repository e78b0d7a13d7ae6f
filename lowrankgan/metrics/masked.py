"""Means inside and outside a region: how far an edit keeps to the region it was made for."""

import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError


def inside_outside(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Average a map over a region and over its complement.

    Args:
        values: [N, H, W] floating, such as an LPIPS map or a squared error.
        mask: [H, W] or [N, H, W] bool, True inside the region.

    Returns:
        Means inside and outside, each [N].

    Raises:
        LowRankGANError: the mask is not boolean, has another size than the map, or leaves nothing
            inside or nothing outside.
    """
    if mask.dtype != torch.bool or mask.shape not in (values.shape, values.shape[1:]):
        raise LowRankGANError(
            f"mask: expected bool of shape {list(values.shape[1:])} or {list(values.shape)}, "
            f"got {mask.dtype} of shape {list(mask.shape)}; resize it to the images"
        )
    mask = mask.to(values.device).expand_as(values)
    pixels = mask.sum((1, 2))
    if not (mask.any((1, 2)) & ~mask.all((1, 2))).all():
        raise LowRankGANError(
            f"mask: covers {int(pixels.min())} to {int(pixels.max())} of {mask[0].numel()} pixels "
            "of an image; choose a region that leaves pixels both inside and outside"
        )
    inside = (values * mask).sum((1, 2)) / pixels
    outside = (values * ~mask).sum((1, 2)) / (mask[0].numel() - pixels)
    return inside, outside


def masked_mse(a: Tensor, b: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error over pixels and channels, inside and outside a region.

    Args:
        a: images [N, 3, H, W]. Nominally in [0, 1]; clamped to it, as a viewer would see them.
        b: images that broadcast against `a`, such as one original [1, 3, H, W].
        mask: [H, W] or [N, H, W] bool, True inside the region.

    Returns:
        Errors inside and outside, each [N].

    Raises:
        LowRankGANError: as `inside_outside`.
    """
    error = (a.clamp(0, 1) - b.clamp(0, 1)).square().mean(1)
    return inside_outside(error, mask)
