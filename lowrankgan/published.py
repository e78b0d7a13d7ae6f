"""LowRankGAN exactly as its authors published it, traps and all, to compare with.

Source: the paper's section 3 and the authors' code. What it does differently from the rest of this
package is kept on purpose: the solver's fixed penalty and its stop by the primal residual alone,
ranks by tolerance, and a null space that is clamped to one vector where it is empty.
"""

import numpy as np

from lowrankgan.arrays import Array
from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import LowRank, decompose
from lowrankgan.pursuit import Pursuit
from lowrankgan.subspace import orient

_TOLERANCE = 1e-7  # of ||M - L - S|| over ||M||, Frobenius
_MAX_ITERATIONS = 10_000


def published_pursuit(gram: Array, lam: float) -> LowRank:
    """Split M into L + S by the authors' solver, at the point where it stops.

    An augmented Lagrangian method with the penalty mu = d^2 / (4 ||M||_1), the induced norm, which
    does not grow. On a slowly decaying spectrum it stops after two iterations, far from optimal,
    with an L of full rank. Where theirs takes singular values, this takes eigenvalues, which for
    symmetric matrices are the same but for the sign, at two fifths of the time.

    Args:
        gram: M [d, d] float64.
        lam: weight of S; 1/60 in the paper, whatever d is.

    Returns:
        L with the rank that `numpy.linalg.matrix_rank` gives it; eigenvectors are its left
        singular vectors.

    Raises:
        LowRankGANError: M is no Gram matrix, or 10,000 iterations do not reach its tolerance.
    """
    spectrum, _ = decompose(gram)
    mu = gram.size / (4 * float(np.linalg.norm(gram, 1)))
    sparse, multiplier = np.zeros_like(gram), np.zeros_like(gram)
    for iteration in range(1, _MAX_ITERATIONS + 1):
        values, vectors = np.linalg.eigh(gram - sparse + multiplier / mu)
        values = _shrunk(values, 1 / mu)
        kept = values != 0
        low = (vectors[:, kept] * values[kept]) @ vectors[:, kept].T
        rest = gram - low + multiplier / mu
        before, sparse = sparse, _shrunk(rest, lam / mu)
        residual = gram - low - sparse
        multiplier = multiplier + mu * residual
        primal = float(np.linalg.norm(residual) / np.linalg.norm(gram))
        if primal <= _TOLERANCE:
            dual = float(mu * np.linalg.norm(sparse - before) / np.linalg.norm(multiplier))
            found = Pursuit(iteration, primal, dual, float(np.mean(sparse != 0)))
            left, values, _ = np.linalg.svd(low)
            rank = int(np.linalg.matrix_rank(low))
            values *= np.sign(np.sum(left * (low @ left), axis=0))  # L may be indefinite
            values[rank:] = 0
            return LowRank(spectrum, values, left, rank, found)
    raise LowRankGANError(
        f"the published solver with lambda {lam:g} did not stop within {_MAX_ITERATIONS} iterations"
    )


def _shrunk(values: Array, threshold: float) -> Array:
    """Drawn towards zero, and zero within the threshold."""
    return np.sign(values) * np.maximum(np.abs(values) - threshold, 0)


def published_directions(inside: LowRank, outside: LowRank, count: int) -> Array:
    """Directions of the region, projected into the null space of the rest as the authors do.

    The null space starts at column min(max(1, r_B), d - 1) of the eigenvectors: of a background
    of full rank one vector is left, to which every direction collapses.

    Args:
        inside: the region's low-rank part.
        outside: the background's.
        count: number of directions.

    Returns:
        [count, d] unit rows.
    """
    d = len(outside.spectrum)
    null = outside.eigenvectors[:, min(max(1, outside.rank), d - 1) :]
    projected = inside.eigenvectors[:, :count].T @ null @ null.T
    return orient(projected / np.linalg.norm(projected, axis=1, keepdims=True))
