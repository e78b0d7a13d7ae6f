"""Low-rank views of a Gram matrix: how many latent directions move a region, and which.

The spectrum of M = J^T J / rows decays but never ends, so a rule has to say where it stops
mattering: principal component pursuit (the paper's), a share of the energy, or a fixed rank.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from lowrankgan.errors import LowRankGANError

Array = NDArray[np.float64]
_Real = NDArray[np.floating[Any]]

_ROUNDING = 1e-10  # relative; a Gram matrix accumulated in float32 is off by far more

# Of the pursuit, measured on generators' Gram matrices; they decide how fast, not what it finds.
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
    values, vectors, pursuit = _pursue(
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


def _pursue(
    matrix: Array, eigenvectors: Array, lam: float, tolerance: float, max_iterations: int
) -> tuple[_Real, _Real, Pursuit]:
    """Pursuit of a matrix of spectral norm 1: eigenvalues [r] and eigenvectors [d, r] of L.

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
    now: _Real = matrix.astype(np.float32)
    x, step, adapted = np.zeros_like(now), _FIRST_STEP, 0
    multiplier, rest, move = (np.zeros_like(now) for _ in range(3))  # in place: a seventh faster
    block: _Real | None = eigenvectors[:, :_SPARE].astype(now.dtype)
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


def _leading(matrix: _Real, block: _Real | None) -> tuple[_Real, _Real]:
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


def _widened(columns: _Real, width: int, others: Array) -> _Real:
    """The first of some columns [d, k]; where there are too few, those of `others` after k."""
    return np.hstack([columns[:, :width], others[:, columns.shape[1] : width]])


def _missed(matrix: _Real, values: _Real, vectors: _Real, threshold: float) -> float:
    """How far leading eigenpairs are from being those of a symmetric matrix [d, d].

    Returns:
        The norm of what couples the vectors [d, r] to the rest of the space; infinity where that
        holds an eigenvalue beyond the threshold, which shows in that no Cholesky factor exists.
    """
    rest = vectors * values @ vectors.T - matrix
    for side in (rest, -rest):
        side[np.diag_indices_from(side)] += threshold
        if scipy.linalg.lapack.dpotrf(side)[1]:
            return np.inf
        side[np.diag_indices_from(side)] -= threshold
    return float(np.linalg.norm(rest @ vectors))


def _orthonormal(columns: _Real) -> _Real:
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


def _complete(vectors: _Real, gram: Array) -> Array:
    """Extend orthonormal columns [d, r] to a basis [d, d], by descending energy of M."""
    rest = scipy.linalg.qr(vectors)[0][:, vectors.shape[1] :]
    _, rotation = np.linalg.eigh(rest.T @ gram @ rest)
    return np.hstack([vectors, rest @ rotation[:, ::-1]])
