"""Low-rank views of a Gram matrix: how many latent directions move a region, and which.

The spectrum of M = J^T J / rows decays but never ends, so a rule has to say where it stops
mattering: principal component pursuit (the paper's), a share of the energy, or a fixed rank.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from lowrankgan.arrays import Array, Real
from lowrankgan.errors import LowRankGANError
from lowrankgan.pursuit import Pursuit, pursue

_ROUNDING = 1e-10  # relative; a Gram matrix accumulated in float32 is off by far more


@dataclass(frozen=True)
class LowRank:
    """The low-rank part L of a Gram matrix M, in a basis of the whole latent space.

    Attributes:
        spectrum: [d] eigenvalues of M, descending; negative rounding is set to zero.
        eigenvalues: [d] eigenvalues of L, by descending magnitude, exactly zero beyond the rank.
        eigenvectors: [d, d] orthonormal columns. The first `rank` are eigenvectors of L; the
            others span its kernel and are ordered by the energy that M has there.
        rank: of L.
        pursuit: how it ended; None for a truncation.
    """

    spectrum: Array
    eigenvalues: Array
    eigenvectors: Array
    rank: int
    pursuit: Pursuit | None = None


def scaled_lambda(dimension: int) -> float:
    """Carry the paper's lambda = 1/60 at d = 512 over to another dimension: 0.377 / sqrt(d).

    At the optimum, Y is a subgradient of both terms: |Y_ij| <= lambda, and r of its singular
    values are 1. So rank r <= ||Y||_F^2 <= lambda^2 d^2. This lambda caps the rank at 14 % of d
    for every d; a constant 1/60 does so at 72 for d = 512, at 4 for 128 and at 1 for 64.
    """
    return float(np.sqrt(512 / dimension) / 60)


def by_rank(gram: Array, rank: int) -> LowRank:
    """Keep a fixed number of leading eigenvectors.

    Args:
        gram: M [d, d] float64.
        rank: number of eigenvectors, 1 to d.

    Raises:
        LowRankGANError: M is no Gram matrix, or the rank is out of range.
    """
    return _truncate(*decompose(gram), rank)


def by_energy(gram: Array, energy: float) -> LowRank:
    """Keep the fewest leading eigenvectors that hold a share of the trace.

    The rule of Rayleigh EigenDirections (arXiv 2201.10423), there with 0.99.

    Args:
        gram: M [d, d] float64.
        energy: the share, above 0 and at most 1.

    Raises:
        LowRankGANError: M is no Gram matrix, or the share is out of range.
    """
    if not 0 < energy <= 1:
        raise LowRankGANError(f"energy is {energy:g}; it is a share, above 0 and at most 1")
    spectrum, eigenvectors = decompose(gram)
    held = np.cumsum(spectrum)
    rank = int(np.searchsorted(held, energy * held[-1])) + 1
    return _truncate(spectrum, eigenvectors, rank)


def principal_component_pursuit(
    gram: Array, lam: float, tolerance: float, max_iterations: int
) -> LowRank:
    """Split M into a low-rank and a sparse part: min ||L||_* + lam ||S||_1 with L + S = M.

    The paper's rule. The published solver stops by the primal residual alone, where L may still
    be far from optimal and of too high a rank; here the dual residual has to be small too. The
    rank counts the eigenvalues that survive the shrinkage, not what exceeds some rounding. With a
    large lam some of them are negative: M is positive semi-definite, M - S need not be.

    Args:
        gram: M [d, d] float64.
        lam: weight of S; see `scaled_lambda`.
        tolerance: on both residuals, see `Pursuit`; the relative duality gap ends near it.
        max_iterations: about 150 reach 1e-4 on Gram matrices of StyleGAN2 generators.

    Raises:
        LowRankGANError: M is no Gram matrix, lam is not positive, or it did not converge.
    """
    if not lam > 0:
        raise LowRankGANError(f"lambda is {lam:g}; it has to be positive, such as 0.377 / sqrt(d)")
    spectrum, eigenvectors = decompose(gram)
    values, vectors, pursuit = pursue(
        gram / spectrum[0], eigenvectors, lam, tolerance, max_iterations
    )
    eigenvalues = np.zeros_like(spectrum)
    eigenvalues[: len(values)] = spectrum[0] * values
    return LowRank(spectrum, eigenvalues, _complete(vectors, gram), len(values), pursuit)


def decompose(gram: Array) -> tuple[Array, Array]:
    """Eigenvalues [d] of a Gram matrix M [d, d], descending, and its eigenvectors as columns.

    Negative rounding is set to zero.

    Raises:
        LowRankGANError: M is not finite, square, symmetric and positive semi-definite.
    """
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise LowRankGANError(f"the Gram matrix has shape {gram.shape}; it has to be square")
    if not np.isfinite(gram).all():
        raise LowRankGANError("the Gram matrix is not finite; check the Jacobian and the weights")
    largest = np.abs(gram).max()
    if largest == 0:
        raise LowRankGANError("the Gram matrix is zero: nothing moves this region; enlarge it")
    asymmetry = np.abs(gram - gram.T).max() / largest
    if asymmetry > _ROUNDING:
        raise LowRankGANError(f"the Gram matrix is asymmetric by {asymmetry:.1e}; form J^T J")
    values, vectors = np.linalg.eigh(gram)
    if values[0] < -_ROUNDING * values[-1]:
        raise LowRankGANError(
            f"the Gram matrix has the negative eigenvalue {values[0]:.1e} beside the largest, "
            f"{values[-1]:.1e}; accumulate J^T J in float64"
        )
    return np.maximum(values[::-1], 0), vectors[:, ::-1]


def _truncate(spectrum: Array, eigenvectors: Array, rank: int) -> LowRank:
    dimension = len(spectrum)
    if not 1 <= rank <= dimension:
        raise LowRankGANError(f"rank is {rank}; a latent space of {dimension} allows 1 to that")
    return LowRank(spectrum, np.where(np.arange(dimension) < rank, spectrum, 0), eigenvectors, rank)


def _complete(vectors: Real, gram: Array) -> Array:
    """Extend orthonormal columns [d, r] to a basis [d, d], by descending energy of M."""
    rest = scipy.linalg.qr(vectors)[0][:, vectors.shape[1] :]
    _, rotation = np.linalg.eigh(rest.T @ gram @ rest)
    return np.hstack([vectors, rest @ rotation[:, ::-1]])
