"""Directions that know no region: SeFa, GANSpace, local basis and random ones, to compare with."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import jacfwd

from lowrankgan.arrays import Array
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.subspace import orient

_BATCH = 4096  # latents


def sefa(generator: Generator, layers: Sequence[int], count: int) -> Array:
    """Leading right singular vectors of the style weights, their rows of unit length.

    Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021.

    Args:
        generator: any.
        layers: slots whose weights are stacked.
        count: number of directions, at most w_dim.

    Returns:
        [count, w_dim] orthonormal rows in float64.
    """
    weights = generator.style_weights()
    stacked = torch.cat([weights[layer] for layer in layers]).double()
    stacked = stacked / stacked.norm(dim=1, keepdim=True).clamp_min(torch.finfo(stacked.dtype).tiny)
    return _leading(stacked.T @ stacked, count)


def ganspace(generator: Generator, label: int | None, samples: int, seed: int, count: int) -> Array:
    """Leading principal components of w, mapped from random z at truncation 1.

    Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", NeurIPS 2020.

    Args:
        generator: any; where w is z, its components are equally strong and say nothing.
        label: class of a conditional generator.
        samples: number of w.
        seed: of z.
        count: number of directions, at most w_dim.

    Returns:
        [count, w_dim] orthonormal rows in float64.

    Raises:
        LowRankGANError: w does not depend on z.
    """
    drawn = np.random.RandomState(seed).randn(samples, generator.z_dim)
    z = torch.from_numpy(drawn).to(generator.device, generator.dtype)
    with torch.no_grad():
        w = torch.cat([_mapped(generator, part, label) for part in z.split(_BATCH)]).double()
    return _leading(torch.cov((w - w[0]).T), count)


def local_basis(generator: Generator, z: Tensor, label: int | None, count: int) -> Array:
    """Leading left singular vectors of the mapping network's Jacobian dw/dz.

    Choi et al., "Do Not Escape From the Manifold: Discovering the Local Coordinates on the Latent
    Space of GANs", ICLR 2022; over several z, of the mean of J J^T.

    Args:
        generator: any.
        z: [N, z_dim] latents to differentiate at.
        label: class of a conditional generator.
        count: number of directions, at most w_dim.

    Returns:
        [count, w_dim] orthonormal rows in float64.

    Raises:
        LowRankGANError: w does not depend on z.
    """
    with torch.no_grad():
        found = [jacfwd(lambda v: _mapped(generator, v[None], label)[0])(one).double() for one in z]
    return _leading(torch.stack([j @ j.T for j in found]).mean(0), count)


def random_directions(dimension: int, seed: int, count: int) -> Array:
    """Rows [count, dimension] of unit length, uniform on the sphere."""
    rows = np.random.RandomState(seed).randn(count, dimension)
    return orient(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _mapped(generator: Generator, z: Tensor, label: int | None) -> Tensor:
    labels = None if label is None else torch.full((len(z),), label, device=z.device)
    return generator.mapping(z, labels)[:, : generator.w_dim]


def _leading(matrix: Tensor, count: int) -> Array:
    if not matrix.any():
        raise LowRankGANError(
            "w does not depend on z (latent=class), so no direction leads; leave the method out"
        )
    vectors = torch.linalg.eigh(matrix.cpu())[1]
    return orient(vectors.flip(1)[:, :count].T.numpy())
