"""The solver of principal component pursuit (paper, section 3); see `lowrankgan.factorization`."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from lowrankgan.arrays import Array, Real
from lowrankgan.errors import LowRankGANError

# Measured on generators' Gram matrices; they decide how fast, not what it finds.
_FIRST_STEP = 0.5
_STEP_FACTOR = 1.2
_RESIDUAL_RATIO = (0.01, 0.02)  # of primal to dual, which the step is adapted to keep
_PATIENCE = 0.05  # share of the iterations so far in which the step is not adapted again
_OVER_RELAXATION = 1.9
_SPARE = 16  # eigenvectors that are followed beyond those that survive the shrinkage
_SINGLE = (150, 3e-4)  # iterations in single precision at most, and the residuals that end it


@dataclass(frozen=True)
class Pursuit:
    """How principal component pursuit ended.

    Attributes:
        iterations: each costs about a tenth of an eigendecomposition of M.
        primal_residual: ||M - L - S|| / ||M||, Frobenius.
        dual_residual: distance of the multiplier Y from a subgradient of ||L||_* over ||Y||.
        density: share of the entries of S that are not zero.
    """

    iterations: int
    primal_residual: float
    dual_residual: float
    density: float


def pursue(
    matrix: Array, eigenvectors: Array, lam: float, tolerance: float, max_iterations: int
) -> tuple[Real, Real, Pursuit]:
    """Pursuit of a matrix of spectral norm 1: eigenvalues [r] and eigenvectors [d, r] of L.

    Args:
        matrix: M [d, d] float64, symmetric, of spectral norm 1.
        eigenvectors: [d, d] of M as columns, by descending eigenvalue.
        lam: weight of S.
        tolerance: on both residuals, see `Pursuit`.
        max_iterations: after which it has failed.

    Raises:
        LowRankGANError: it did not converge.

    The augmented Lagrangian method, alternating and over-relaxed, in the one variable
    x = S + step Y with step = 1 / mu. Clipping x gives step Y and the remainder S, so Y is a
    subgradient of lam ||S||_1 at all times, and x moves by M - L - S.

    Large steps come near the optimum soon, small ones resolve L's small eigenvalues. A step that
    shrinks on a schedule freezes the iterates before they are optimal, so it follows the
    residuals, both ways. It does so ever more rarely: at a constant step the method converges.

    Few eigenvalues survive the shrinkage, so a block of eigenvectors is followed from iteration
    to iteration; what it missed is looked for before anything is final. The first iterations are
    in single precision, at half the cost. What rounding has made asymmetric of x would stay, for
    no eigenvalue sees it, so it is taken out.
    """
    scale = np.linalg.norm(matrix)
    now: Real = matrix.astype(np.float32)
    x, step, adapted = np.zeros_like(now), _FIRST_STEP, 0
    multiplier, rest, move = (np.zeros_like(now) for _ in range(3))  # in place: a seventh faster
    block: Real | None = eigenvectors[:, :_SPARE].astype(now.dtype)
    primal = dual = np.inf
    for iteration in range(1, max_iterations + 1):
        if now is not matrix and (iteration > _SINGLE[0] or max(primal, dual) < _SINGLE[1]):
            now, x = matrix, (x + x.T).astype(matrix.dtype) / 2
            multiplier, rest, move = (np.zeros_like(now) for _ in range(3))
        bound = lam * step
        np.clip(x, -bound, bound, out=multiplier)
        np.subtract(now, x, out=rest)
        rest += multiplier
        values, vectors = _leading(np.add(rest, multiplier, out=move), block)
        rank = int(np.sum(np.abs(values) > step))
        values, kept = values[:rank], vectors[:, :rank]
        shrunk = values - step * np.sign(values)
        np.matmul(kept * shrunk, kept.T, out=move)
        np.subtract(rest, move, out=move)
        np.clip(np.add(x, move, out=rest), -bound, bound, out=rest)  # step Y after the move
        length = np.linalg.norm(rest)
        rest -= multiplier  # M - L - S after the move
        primal = float(np.linalg.norm(rest) / scale)
        dual = float(np.linalg.norm(np.subtract(move, rest, out=rest)) / length)
        block = _widened(vectors, rank + _SPARE, eigenvectors)
        if now is matrix and max(primal, dual) < tolerance:
            drawn = matrix - x + 2 * multiplier  # what was drawn towards zero
            dual += _missed(drawn, values, kept, (1 + tolerance) * step) / float(length)
            if dual < tolerance:
                density = float(np.mean(np.abs(x + move) > bound))
                return shrunk, kept, Pursuit(iteration, primal, dual, density)
            block = None
        move *= _OVER_RELAXATION
        x += move
        factor = _adaptation(primal, dual)
        if factor != 1 and iteration - adapted >= _PATIENCE * iteration:
            x += (factor - 1) * np.clip(x, -bound, bound)  # S and Y stay
            step, adapted = factor * step, iteration
    raise LowRankGANError(
        f"principal component pursuit with lambda {lam:g} did not reach the tolerance "
        f"{tolerance:g} in {max_iterations} iterations (primal residual {primal:.1e}, dual "
        f"{dual:.1e}); raise max_iterations or the tolerance"
    )


def _adaptation(primal: float, dual: float) -> float:
    """What to multiply the step by: a smaller one favours the primal residual."""
    low, high = _RESIDUAL_RATIO
    if primal > high * dual:
        return 1 / _STEP_FACTOR
    return _STEP_FACTOR if primal < low * dual else 1.0


def _leading(matrix: Real, block: Real | None) -> tuple[Real, Real]:
    """Eigenvalues [k] of a symmetric matrix [d, d], by descending magnitude, and vectors [d, k].

    All of them without a block. With the block [d, k] of the iteration before, by one step of
    subspace iteration, much cheaper and soon as good.
    """
    if block is None:
        values, vectors = np.linalg.eigh(matrix)
    else:
        basis = _orthonormal(matrix @ block.astype(matrix.dtype, copy=False))
        values, rotation = np.linalg.eigh(basis.T @ matrix @ basis)
        vectors = basis @ rotation
    order = np.argsort(-np.abs(values))
    return values[order], vectors[:, order]


def _widened(columns: Real, width: int, others: Array) -> Real:
    """The first of some columns [d, k]; where there are too few, those of `others` after k."""
    return np.hstack([columns[:, :width], others[:, columns.shape[1] : width]])


def _missed(matrix: Real, values: Real, vectors: Real, threshold: float) -> float:
    """How far leading eigenpairs are from being those of a symmetric matrix [d, d].

    Returns:
        The norm of what couples the vectors [d, r] to the rest of the space; infinity where that
        holds an eigenvalue beyond the threshold, which shows in that no Cholesky factor exists.
    """
    rest = vectors * values @ vectors.T - matrix
    beyond = threshold * np.eye(len(rest))
    if any(scipy.linalg.lapack.dpotrf(beyond + side)[1] for side in (rest, -rest)):
        return np.inf
    return float(np.linalg.norm(rest @ vectors))


def _orthonormal(columns: Real) -> Real:
    """An orthonormal basis [d, k] of columns that are nearly orthogonal, of whatever lengths.

    By Cholesky's factor of their Gram matrix, a third of the work of Householder's reflections,
    which serve where little of a column is its own, so that the factor would be rounding.
    """
    gram = columns.T @ columns
    try:
        factor = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return np.linalg.qr(columns)[0]
    if np.min(factor.diagonal() / np.sqrt(gram.diagonal())) < np.finfo(gram.dtype).eps ** 0.25:
        return np.linalg.qr(columns)[0]
    return scipy.linalg.solve_triangular(factor, columns.T, lower=True, check_finite=False).T
