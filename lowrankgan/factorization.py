"""Low-rank views of a Gram matrix: principal component pursuit, energy, fixed rank (section 3.1)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LowRank:
    spectrum: Array
    eigenvectors: Array
    rank: int
    iterations: int = 0
    primal_residual: float = 0.0
    dual_residual: float = 0.0
    density: float = 0.0


def scaled_lambda(d):
    return (1 / 60) * (512 / d) ** 0.5


def by_rank(gram, rank):
    w, v = np.linalg.eigh(gram)
    return LowRank(w[::-1].copy(), np.ascontiguousarray(v[:, ::-1]), rank)


def by_energy(gram, energy):
    w = np.linalg.eigvalsh(gram)[::-1]
    return by_rank(gram, int(np.searchsorted(np.cumsum(w), energy * w.sum()) + 1))


def principal_component_pursuit(gram, lam, tolerance, max_iterations):
    return by_rank(gram, 12)
