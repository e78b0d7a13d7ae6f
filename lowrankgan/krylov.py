"""Leading directions of a region without its Gram matrix: products with J^T J by one jvp, one vjp.

Where only a few directions are asked for, a block Krylov method needs some tens of products, each
about three forward passes, in place of a column for every component of w. A null space needs the
whole spectrum, and so the whole Gram matrix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vjp

from lowrankgan.arrays import Array
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.jacobian import moved_image
from lowrankgan.linearization import Linearization

Operator = Callable[[Array], Array]

_SPARE = 3  # vectors of a block beyond those that are asked for
_MAX_BLOCKS = 20


@dataclass(frozen=True)
class Leading:
    """Leading eigenpairs of M = J^T J / rows, as far as they were resolved.

    Attributes:
        values: [k] Ritz values, descending; an eigenvalue of M lies within values * residuals.
        vectors: [k, d] orthonormal rows.
        residuals: [k] ||M v - s v|| / s.
        products: vectors that M was multiplied with.
    """

    values: Array
    vectors: Array
    residuals: Array
    products: int


def region_operator(
    generator: Generator,
    ws: Tensor,
    layers: Sequence[int],
    resolution: int,
    mask: NDArray[np.bool_],
) -> Operator:
    """The Gram matrix of a region as a function that multiplies rows [n, d] with it.

    Args:
        generator: written functionally, see `Generator`.
        ws: [L, D] W+ latent.
        layers: slots that move together.
        resolution: side R of the analysis grid.
        mask: bool [R, R], the region.
    """
    image = moved_image(generator, [layers], resolution)
    inside = torch.from_numpy(mask).to(ws.device)

    def region(latent: Tensor, offset: Tensor) -> Tensor:
        return image(latent, offset)[:, inside]

    origin = ws.new_zeros(generator.w_dim)
    with torch.no_grad():
        forward = Linearization(region, origin.shape).at(ws)
    backward = vjp(partial(region, ws), origin)[1]
    rows = 3 * int(mask.sum())

    def multiply(vectors: Array) -> Array:
        tangents = torch.from_numpy(vectors).to(origin)
        found = [backward(change)[0] for t in tangents.split(2) for change in forward(t)]
        return torch.stack(found).double().cpu().numpy() / rows

    return multiply


def leading_directions(
    operator: Operator, dimension: int, count: int, tolerance: float, seed: int = 0
) -> Leading:
    """Leading eigenvectors of a symmetric positive semi-definite operator, by block Krylov.

    Musco and Musco, "Randomized Block Krylov Methods for Stronger and Faster Approximate Singular
    Value Decomposition", 2015; with full orthogonalisation and Rayleigh-Ritz in float64.

    Args:
        operator: multiplies rows [n, d] with M, as `region_operator` does.
        dimension: d.
        count: eigenpairs k, at least 1; a few more are carried along.
        tolerance: on each relative residual, above the rounding of the operator's dtype.
        seed: of the first block.

    Raises:
        LowRankGANError: count is not in 1 to d, or 20 blocks do not reach the tolerance.
    """
    if not 1 <= count <= dimension:
        raise LowRankGANError(f"{count} directions asked for; expected 1 to {dimension}")
    width = min(count + _SPARE, dimension)
    block = np.random.default_rng(seed).standard_normal((width, dimension))
    basis, images = np.empty((0, dimension)), np.empty((0, dimension))
    worst = np.inf
    for _ in range(_MAX_BLOCKS):
        block = _orthonormal(block, basis)
        basis = np.vstack([basis, block])
        images = np.vstack([images, operator(block)])
        projected = basis @ images.T
        values, rotation = np.linalg.eigh((projected + projected.T) / 2)
        chosen = rotation[:, ::-1][:, :count].T
        values = values[::-1][:count]
        vectors = chosen @ basis
        errors = np.linalg.norm(chosen @ images - values[:, None] * vectors, axis=1)
        residuals = errors / np.maximum(values, np.finfo(float).tiny)
        worst = float(residuals.max())
        if len(values) == count and (worst <= tolerance or len(basis) == dimension):
            return Leading(values, vectors, residuals, len(basis))
        block = images[-len(block) :]
    raise LowRankGANError(
        f"the leading {count} directions were not resolved: relative residual {worst:.1e} after "
        f"{len(basis)} products, expected {tolerance:g}; raise the tolerance or ask for others"
    )


def _orthonormal(block: Array, basis: Array) -> Array:
    """Rows that span the block beyond the basis; twice, for once leaves rounding behind."""
    room = basis.shape[1] - len(basis)
    for _ in range(2):
        block = block - (block @ basis.T) @ basis
        block = np.linalg.qr(block.T)[0].T[:room]
    return block
