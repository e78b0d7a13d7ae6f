"""Gram matrices of a region and of its complement, from one Jacobian (paper, section 3)."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowrankgan.errors import LowRankGANError

_BLOCK = 1 << 14  # pixels of J that are in float64 at a time: 64 MB for 512 columns


def gram_matrices(
    columns: Tensor, masks: Mapping[str, NDArray[np.bool_]]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Form M = J^T J / rows inside and outside of every region.

    v^T M v is the mean squared change of the region per unit step along v, to first order.
    Products accumulate in float64: in float32 the tail of the spectrum, and with it every rank
    by tolerance, is rounding error.

    Args:
        columns: [d, 3, R, R] transposed Jacobian.
        masks: region name to bool mask [R, R].

    Returns:
        Region name to (inside, outside), each [d, d] float64 and exactly symmetric.

    Raises:
        LowRankGANError: a region is empty or covers the whole image.
    """
    pixels = columns.flatten(2)
    whole, area = _sum_of_products(pixels), pixels.shape[2]
    grams = {}
    for name, mask in masks.items():
        selected = torch.from_numpy(mask.ravel())
        count = int(selected.sum())
        if not 0 < count < area:
            raise LowRankGANError(
                f"region {name!r} covers {count} of {area} pixels of the analysis grid; "
                "inside and outside both need at least one"
            )
        inside = _sum_of_products(pixels[:, :, selected])
        # The complement by subtraction: one sweep over J serves any number of regions.
        outside = (whole - inside) / (3 * (area - count))
        grams[name] = (inside / (3 * count), outside)
    return grams


def sensitivity(columns: Tensor) -> NDArray[np.float32]:
    """Root mean squared derivative of each pixel over RGB and the components of w, [R, R]."""
    return columns.square().mean((0, 1)).sqrt().numpy().astype(np.float32)


def _sum_of_products(pixels: Tensor) -> NDArray[np.float64]:
    total = torch.zeros(len(pixels), len(pixels), dtype=torch.float64)
    for channel in pixels.unbind(1):
        for block in channel.split(_BLOCK, dim=1):
            exact = block.double()
            total.addmm_(exact, exact.T)
    return ((total + total.T) / 2).numpy()
