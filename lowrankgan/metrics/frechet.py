"""Frechet distance between two sets of features, taken as normal distributions.

Dowson and Landau, "The Frechet distance between multivariate normal distributions", 1982. It is
FID in the features of InceptionV3 alone; in others it has a scale of its own, so give the distance
between two sets of real images beside it.
"""

import numpy as np
from numpy.typing import NDArray

from lowrankgan.errors import LowRankGANError

Features = NDArray[np.floating]


def frechet_distance(first: Features, second: Features) -> float:
    """Squared distance |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in float64.

    Args:
        first: [N, d] features, N at least 2.
        second: [M, d] features, M at least 2.

    Raises:
        LowRankGANError: the shapes do not fit.
    """
    if first.ndim != 2 or first.shape[1:] != second.shape[1:] or min(len(first), len(second)) < 2:
        raise LowRankGANError(
            f"features: expected two sets [N, d], N at least 2, got {first.shape}, {second.shape}"
        )
    a, b = first.astype(np.float64), second.astype(np.float64)
    covariance, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = _root(np.atleast_2d(covariance))
    # C1 C2 has the eigenvalues of R C2 R with R R = C1, which is symmetric.
    mixed = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ np.atleast_2d(other) @ root), 0)).sum()
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return float(shift + np.trace(np.atleast_2d(covariance + other)) - 2 * mixed)


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
