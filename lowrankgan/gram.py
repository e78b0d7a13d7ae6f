"""Gram matrices of a region and of its complement, from one Jacobian (paper, section 3)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowrankgan.errors import LowRankGANError

_PIXELS = 1 << 14  # of J that are in float64 at a time: 64 MB for 512 columns
_STRIP = 256  # rows of products at a time
_PARTNERS = 64  # columns that stand beside those that are held


class Columns(Protocol):
    """J transposed: `columns[a:b]` is [b - a, C, R, R], held already or computed on demand."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: slice, /) -> Tensor: ...


def gram_matrices(
    columns: Columns,
    masks: Mapping[str, NDArray[np.bool_]],
    held: int | None = None,
    seen: Callable[[Tensor], None] | None = None,
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Form M = J^T J / rows inside and outside of every region.

    v^T M v is the mean squared change of the region per unit step along v, to first order.
    Products accumulate in float64, on the device of J: in float32 the tail of the spectrum, and
    with it every rank by tolerance, is rounding error.

    Of a J that memory does not hold, a block of columns is kept while those after it pass by. For
    n blocks that computes (n + 1) / 2 times the columns, where n tiles of the image, each with all
    columns, would take n times as many.

    Args:
        columns: d columns [C, R, R] each.
        masks: region name to bool mask [R, R].
        held: columns in memory at a time, at least 2; None holds all.
        seen: told the columns [n, C, R, R] in order, each of them once.

    Returns:
        Region name to (inside, outside), each [d, d] float64 and exactly symmetric.

    Raises:
        LowRankGANError: a region is empty or covers the whole image.
    """
    sums = _Sums(len(columns), masks)
    for start, block in _blocks(columns, held):
        if seen is not None:
            seen(block)
        sums.add(start, block, start, block)
        for position, partners in _partners(columns, held, start + len(block)):
            sums.add(start, block, position, partners)
    return sums.grams()


def _blocks(columns: Columns, held: int | None) -> Iterator[tuple[int, Tensor]]:
    d = len(columns)
    size = d if held is None or held >= d else held - min(_PARTNERS, held // 2)
    for start in range(0, d, size):
        yield start, columns[start : start + size]


def _partners(columns: Columns, held: int | None, first: int) -> Iterator[tuple[int, Tensor]]:
    size = min(_PARTNERS, (held or 2) // 2)
    for start in range(first, len(columns), size):
        yield start, columns[start : start + size]


class _Sums:
    """Sums of products of columns over every region and over the whole image."""

    def __init__(self, d: int, masks: Mapping[str, NDArray[np.bool_]]) -> None:
        self._area, self._channels = 0, 0
        self._pixels: dict[str, Tensor] = {}
        for name, mask in masks.items():
            self._area, count = mask.size, int(mask.sum())
            if not 0 < count < mask.size:
                raise LowRankGANError(
                    f"region {name!r} covers {count} of {mask.size} pixels of the analysis grid; "
                    "inside and outside both need at least one"
                )
            self._pixels[name] = torch.from_numpy(mask.ravel().nonzero()[0])
        self._totals = {name: np.zeros((d, d)) for name in masks}
        self._whole = np.zeros((d, d))

    def add(self, row: int, left: Tensor, column: int, right: Tensor) -> None:
        """Add the products of two blocks of columns, at their place in the upper triangle."""
        self._channels = left.shape[1]
        place = slice(row, row + len(left)), slice(column, column + len(right))
        self._whole[place] = _products(left, right, slice(None))
        for name, pixels in self._pixels.items():
            self._totals[name][place] = _products(left, right, pixels)

    def grams(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        # The complement by subtraction: one sweep over J serves any number of regions.
        whole, found = _symmetric(self._whole), {}
        for name, pixels in self._pixels.items():
            inside, count = _symmetric(self._totals[name]), len(pixels)
            outside = (whole - inside) / (self._channels * (self._area - count))
            found[name] = (inside / (self._channels * count), outside)
        return found


def _symmetric(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.triu(upper) + np.triu(upper, 1).T


def _products(left: Tensor, right: Tensor, pixels: Tensor | slice) -> NDArray[np.float64]:
    """Products of columns, summed over channels and some of the pixels.

    Of columns with themselves, below the diagonal only what shares a strip with it.
    """
    total = torch.zeros(len(left), len(right), dtype=torch.float64, device=left.device)
    for channel in range(left.shape[1]):
        one = left[:, channel].flatten(1)[:, pixels]
        other = one if right is left else right[:, channel].flatten(1)[:, pixels]
        for start in range(0, one.shape[1], _PIXELS):
            part = one[:, start : start + _PIXELS].double()
            same = part if other is one else other[:, start : start + _PIXELS].double()
            for row in range(0, len(part), _STRIP):
                first = row if other is one else 0
                total[row : row + _STRIP, first:].addmm_(part[row : row + _STRIP], same[first:].T)
    return total.cpu().numpy()


class Sensitivity:
    """Root mean squared derivative of each pixel over channels and the components of w.

    Args:
        resolution: side R of the analysis grid.
    """

    def __init__(self, resolution: int) -> None:
        self._sum, self._count = torch.zeros(resolution, resolution, dtype=torch.float64), 0

    def add(self, columns: Tensor) -> None:
        """Take in some columns [n, C, R, R]."""
        self._sum += columns.square().sum((0, 1)).cpu()
        self._count += columns.shape[0] * columns.shape[1]

    def map(self) -> NDArray[np.float32]:
        """[R, R], of the columns so far."""
        return (self._sum / self._count).sqrt().numpy().astype(np.float32)
