"""Editing directions: attribute directions, null spaces and projections (paper, section 3).

Directions are rows, bases are columns. Whatever is returned has the sign that `orient` gives it.
"""

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from lowrankgan.arrays import Array
from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import LowRank

_VANISHED = 1e-6  # relative length of a projection that is nothing but rounding


def principal_directions(inside: LowRank, count: int) -> Array:
    """Attribute directions of the region, unprojected.

    Args:
        inside: factorisation of the region's Gram matrix.
        count: number of directions.

    Returns:
        [count, d] orthonormal rows, the leading eigenvectors.

    Raises:
        LowRankGANError: count is not in 1 to the rank of the low-rank part.
    """
    if not 1 <= count <= inside.rank:
        raise LowRankGANError(
            f"{count} directions asked for, the low-rank part of the region has rank "
            f"{inside.rank}; ask for fewer, or raise its energy, rank or lambda"
        )
    return orient(inside.eigenvectors[:, :count].T)


def null_space(outside: LowRank, relaxation: int = 0) -> Array:
    """Directions that leave the background alone.

    The published code clamps an exhausted null space to one vector, to which every direction
    then collapses; here it is an error.

    Args:
        outside: factorisation of the background's Gram matrix.
        relaxation: number of its weakest directions that are let into the null space
            (`num_relax` of the published code).

    Returns:
        N [d, d - rank + relaxation] with orthonormal columns.

    Raises:
        LowRankGANError: the null space is empty, or the relaxation is not in 0 to the rank.
    """
    if not 0 <= relaxation <= outside.rank:
        raise LowRankGANError(
            f"relaxation is {relaxation}; the background has rank {outside.rank}, which allows "
            "0 to that"
        )
    basis = outside.eigenvectors[:, outside.rank - relaxation :]
    if basis.shape[1] == 0:
        raise LowRankGANError(
            f"the background has full rank {outside.rank}, so its null space is empty; raise "
            "the relaxation, or lower the energy, the rank or lambda"
        )
    return orient(basis.T).T


def project(directions: Array, basis: Array) -> Array:
    """Project attribute directions into a null space, as published: N N^T v, normalised.

    The results are neither orthogonal nor ranked any more; see `constrained_optimum`.

    Args:
        directions: [count, d] unit rows.
        basis: N [d, n] with orthonormal columns.

    Returns:
        [count, d] unit rows.

    Raises:
        LowRankGANError: a direction lies outside the null space altogether.
    """
    projected = directions @ basis @ basis.T
    lengths = np.linalg.norm(projected, axis=1, keepdims=True)
    if lengths.min() < _VANISHED:
        raise LowRankGANError(
            f"direction {int(lengths.argmin()) + 1} has no part in the null space of the "
            "background; raise relaxation"
        )
    return orient(projected / lengths)


def constrained_optimum(gram: Array, basis: Array, count: int) -> Array:
    """Directions that change the region most among those that leave the background alone.

    The leading eigenvectors of N^T M N, mapped back by N (Rayleigh EigenDirections,
    arXiv 2201.10423): unlike projections, they are orthonormal and ranked by their effect.

    Args:
        gram: M [d, d] of the region.
        basis: N [d, n] with orthonormal columns.
        count: number of directions.

    Returns:
        [count, d] orthonormal rows.

    Raises:
        LowRankGANError: count is not in 1 to n.
    """
    size = basis.shape[1]
    if not 1 <= count <= size:
        raise LowRankGANError(
            f"{count} directions asked for, the null space has {size} dimensions; raise relaxation"
        )
    return orient((basis @ _leading(basis.T @ gram @ basis, None, count).T).T)


def rayleigh_optimum(inside: Array, outside: Array, ridge: float, count: int) -> Array:
    """Directions of the largest change of the region for each change of the rest.

    Leading eigenvectors of the generalised eigenproblem M_A v = s (M_B + ridge tr(M_B)/d I) v
    (ReSeFa, ICML 2022). Where the null space of `null_space` is cut at a rank, here each direction
    pays for what it leaks. The ridge is a price on the length of v: without one, the quotient is
    won by directions of next to no effect, whose edits leave the linear range before they show.

    Args:
        inside: M_A [d, d] of the region.
        outside: M_B [d, d] of the rest.
        ridge: above 0, in units of the mean eigenvalue of M_B.
        count: number of directions, 1 to d.

    Returns:
        [count, d] unit rows, ranked by their quotient; orthogonal by M_B, not to one another.

    Raises:
        LowRankGANError: count is out of range, or the ridge is not positive.
    """
    d = len(inside)
    if not ridge > 0:
        raise LowRankGANError(f"ridge: {ridge:g}, expected more than 0")
    metric = outside + ridge * np.trace(outside) / d * np.eye(d)
    return _unit(_leading(inside, metric, count))


def restricted_optimum(
    candidates: Array, inside: Array, outside: Array, price: float, count: int
) -> Array:
    """`rayleigh_optimum` among the combinations of some candidates.

    What some tens of directions of one image do to other images takes as many columns of their
    Jacobians, where to analyse them takes hundreds.

    Args:
        candidates: V [k, d] rows.
        inside: V M_A V^T [k, k] of the region.
        outside: V M_B V^T [k, k] of the rest.
        price: on the squared length of a direction, above 0, in the units of M_B.
        count: number of directions, 1 to k.

    Returns:
        [count, d] unit rows, ranked by their quotient.

    Raises:
        LowRankGANError: count is out of range.
    """
    metric = outside + price * candidates @ candidates.T
    return _unit(_leading(inside, metric, count) @ candidates)


def _leading(gram: Array, metric: Array | None, count: int) -> Array:
    """Leading eigenvectors, generalised where there is a metric, rows [count, d]."""
    d = len(gram)
    if not 1 <= count <= d:
        raise LowRankGANError(f"{count} directions asked for; expected 1 to {d}")
    _, vectors = scipy.linalg.eigh(gram, metric, subset_by_index=(d - count, d - 1))
    return vectors[:, ::-1].T


def _unit(rows: Array) -> Array:
    return orient(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def most_local(candidates: Array, inside: Array, outside: Array, count: int) -> Array:
    """The candidates that change the region most for each change of the rest, to first order.

    Gives directions that know no region (SeFa, GANSpace) their best chance at one.

    Args:
        candidates: [n, d] unit rows.
        inside: M_A [d, d] of the region.
        outside: M_B [d, d] of the rest.
        count: number of directions, 1 to n.

    Returns:
        [count, d] rows, by descending v^T M_A v / v^T M_B v.
    """
    gains, leaks = (
        np.einsum("nd,de,ne->n", candidates, gram, candidates) for gram in (inside, outside)
    )
    return orient(candidates[np.argsort(-gains / leaks, kind="stable")[:count]])


def by_leakage(leaks: Array, reached: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Order of directions by what they leak when they change their region by given amounts.

    To first order the quotient of `rayleigh_optimum` is that order already. At the steps of an
    edit it need not be: a direction of little effect takes a long one and leaves the linear range.

    Args:
        leaks: [count, n] change of the rest in n edits, at amounts that are the same for all.
        reached: [count, n] whether the edit changed its region by that amount.

    Returns:
        [count] positions, by descending share of what is reached, and there by the ascending
        geometric mean of the leaks, which weighs every amount alike.
    """
    return np.lexsort((np.log(leaks).mean(axis=1), -reached.mean(axis=1)))


def principal_angles(a: Array, b: Array) -> Array:
    """Principal angles between the spans of the rows of a [m, d] and b [n, d].

    Returns:
        [min(m, n)] angles in radians, ascending.
    """
    return np.sort(scipy.linalg.subspace_angles(a.T, b.T))


def orient(directions: Array) -> Array:
    """Give rows [count, d] the sign that makes their largest component positive.

    An eigenvector's sign is arbitrary and may differ between machines.
    """
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], axis=1)
    return np.ascontiguousarray(directions * np.sign(largest))
