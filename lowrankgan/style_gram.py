"""Gram matrices of a region and of the rest as they would be if styles acted one by one."""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from torch import Tensor

from lowrankgan.arrays import Array
from lowrankgan.generators.base import Generator
from lowrankgan.style_sensitivity import squared_changes, style_offsets


def style_gram_matrices(
    generator: Generator,
    ws: Tensor,
    groups: Sequence[Sequence[int]],
    masks: Mapping[str, NDArray[np.bool_]],
    probes: int,
    seed: int,
) -> dict[str, tuple[Array, Array]]:
    """A^T diag(e) A: style weights A, and the mean squared change e of the region with each style.

    J = (dx/ds) A. Which styles a region follows is alike in all images, and a few reverse passes
    at each of many tell it; how their effects cancel in a pixel is one image's own, and a direction
    that is found on few images is fitted to it. Without the products of different styles that is
    left out, and of a Gram matrix that is drawn towards this one (`lowrankgan.shrinkage`) the
    directions carry over better.

    Args:
        generator: any.
        ws: [N, L, D] W+ latents, over which squared changes are averaged.
        groups: slots that move, those of each group by an offset of its own.
        masks: region name to bool [N, R, R] on the analysis grid.
        probes: for each latent, see `squared_changes`.
        seed: of the probes.

    Returns:
        Region name to (inside, outside), each [n w_dim, n w_dim] float64 for n groups, symmetric
        and positive semi-definite, in the units of `gram_matrices`.
    """
    layers = [slot for group in groups for slot in group]
    offsets = style_offsets(generator, layers)
    styles = [weights.detach().double().cpu().numpy() for weights in generator.style_weights()]
    weights = [np.concatenate([styles[slot] for slot in group]) for group in groups]
    changes = squared_changes(generator, ws, offsets, masks, probes, seed)
    return {
        name: (_weighted(weights, inside), _weighted(weights, outside))
        for name, (inside, outside) in changes.items()
    }


def _weighted(weights: Sequence[Array], energies: Array) -> Array:
    """A^T diag(e) A of each group's A, along the diagonal; e [C] goes through all groups."""
    ends = np.cumsum([len(rows) for rows in weights])[:-1]
    scaled = [
        rows * np.sqrt(own)[:, None]
        for rows, own in zip(weights, np.split(energies, ends), strict=True)
    ]
    return scipy.linalg.block_diag(*(rows.T @ rows for rows in scaled))
