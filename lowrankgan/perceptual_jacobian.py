"""The Jacobian in the features of LPIPS in place of pixels.

A direction that shifts the texture of hair changes many pixels and next to nothing that one sees:
its features stay. To first order such a direction leaks as much as one that changes the person, so
that of one image the Gram matrices of pixels hide directions which those of features show.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.func import jvp, vjp, vmap

from lowrankgan.gram import Columns
from lowrankgan.metrics.perceptual import Perceptual

_BLOCK = 256  # columns in RGB at a time
_CHUNK = 16  # of these, in features; more gain nothing on a CPU


class PerceptualJacobian:
    """J of the features, transposed: `columns[a:b]` is [b - a, 1, P] float32.

    The P places are those of all channels of all layers, each scaled by how much of the distance
    map is up-sampled from it. With `shares`, v^T M v of `gram_matrices` is the LPIPS of a region,
    as `distance_map` has it, per squared unit step along v, as steps become small.

    Args:
        columns: J of the same image in RGB, nominally in [-1, 1]; see `jacobian.Jacobian`.
        image: [3, R, R], nominally in [-1, 1].
        perceptual: LPIPS.
        seen: told the columns in RGB in order, each of them once.

    Attributes:
        shape: (d, 1, P).

    Raises:
        LowRankGANError: the image is too small for LPIPS.
    """

    def __init__(
        self,
        columns: Columns,
        image: Tensor,
        perceptual: Perceptual,
        seen: Callable[[Tensor], None],
    ) -> None:
        self._columns, self._seen, self._told = columns, seen, 0
        self._image, self._features = (image[None] + 1) / 2, perceptual.weighted_features
        with torch.no_grad():
            maps = self._features(self._image)
        self._sizes = [one.shape[1:] for one in maps]
        self._areas = self._sources(torch.ones_like(image[0]))
        self.shape = (len(columns), 1, len(self._areas))

    def __len__(self) -> int:
        return self.shape[0]

    @torch.no_grad()
    def __getitem__(self, chosen: slice) -> Tensor:
        rows = range(len(self))[chosen]
        found = self._image.new_empty(len(rows), *self.shape[1:])
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            block = self._columns[part.start : part.stop]
            if part.stop > self._told:
                self._seen(block[max(0, self._told - part.start) :])
                self._told = part.stop
            along = vmap(self._derivative, chunk_size=_CHUNK)(block.to(self._image) / 2)
            place = found[start : start + len(part), 0]
            torch.cat([one.flatten(1) for one in along], dim=1, out=place)
            place *= self._areas.sqrt()
        return found

    def shares(self, masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, Tensor]:
        """Of masks [R, R], what `gram_matrices` asks for: the share of each in every place [P]."""
        grids = {name: torch.from_numpy(mask).to(self._image) for name, mask in masks.items()}
        return {name: self._sources(grid) / self._areas for name, grid in grids.items()}

    def _derivative(self, tangent: Tensor) -> tuple[Tensor, ...]:
        return jvp(self._features, (self._image,), (tangent[None],))[1]

    def _sources(self, grid: Tensor) -> Tensor:
        """Sum of a grid [R, R] over what is up-sampled from each place [P]."""
        return torch.cat([_source(grid, size).flatten() for size in self._sizes])


def _source(grid: Tensor, size: Sequence[int]) -> Tensor:
    """[C, H, W] of one layer: the adjoint of its up-sampling in `Perceptual.distance_map`."""

    def upsampled(layer: Tensor) -> Tensor:
        return F.interpolate(layer, size=grid.shape, mode="bilinear", align_corners=False)

    (sums,) = vjp(upsampled, grid.new_zeros(1, 1, *size[1:]))[1](grid[None, None])
    return sums[0].expand(*size)
