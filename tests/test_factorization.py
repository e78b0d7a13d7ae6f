from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lowrankgan.factorization import (
    Array,
    LowRank,
    principal_component_pursuit,
    scaled_lambda,
)

DATA = Path(__file__).parent / "data"
REFERENCE = dict(np.load(DATA / "reference_gram_64.npz"))
PUBLISHED = dict(np.load(DATA / "official_robustpca_64.npz"))


def gram_of(dimension: int, decay: float, seed: int) -> Array:
    """A Gram matrix whose k-th eigenvalue falls like k ** -decay."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))
    gram: Array = basis * np.arange(1.0, dimension + 1) ** -decay @ basis.T
    return (gram + gram.T) / 2


def low_rank_part(found: LowRank) -> Array:
    return found.eigenvectors * found.eigenvalues @ found.eigenvectors.T


def objective(gram: Array, low_rank: Array, lam: float) -> float:
    nuclear = np.linalg.norm(low_rank, "nuc")
    return float(nuclear + lam * np.abs(gram - low_rank).sum())


def dual_bound(gram: Array, low_rank: Array, lam: float) -> float:
    """The best lower bound on the objective that the subgradients at a claimed optimum give.

    Any Y with |Y_ij| <= lam and ||Y||_2 <= 1 bounds the objective from below by <M, Y>. Where
    S = M - L is not zero Y has to be lam sign(S); elsewhere, and there only, it is free, and is
    found by alternating projections onto what being a subgradient of ||L||_* asks for.
    """
    values, vectors = np.linalg.eigh(low_rank)
    kept = np.abs(values) > 1e-9 * np.abs(values).max(initial=1e-300)
    basis, rest = vectors[:, kept], vectors[:, ~kept]
    signs = basis * np.sign(values[kept]) @ basis.T
    sparse = gram - low_rank
    fixed = np.abs(sparse) > 1e-5 * np.abs(gram).max()
    y = lam * np.sign(sparse)
    for _ in range(2000):
        w, v = np.linalg.eigh(rest.T @ y @ rest)
        z = signs + rest @ (v * np.clip(w, -1, 1)) @ v.T @ rest.T
        y = np.where(fixed, lam * np.sign(sparse), np.clip(z, -lam, lam))
    return float(np.sum(gram * y) / max(1.0, np.linalg.norm(y, 2)))


def cases() -> Iterator[object]:
    for name, gram in REFERENCE.items():
        for lam in (1 / 8, scaled_lambda(64)):
            yield pytest.param(gram, lam, id=f"{name}-{lam:.3f}")
    for decay in (0.8, 2.0):
        gram = gram_of(48, decay, seed=1)
        yield pytest.param(gram, scaled_lambda(48), id=f"decay-{decay}")
        yield pytest.param(1e-12 * gram, scaled_lambda(48), id=f"decay-{decay}-tiny")


@pytest.mark.parametrize(("gram", "lam"), cases())
def test_pursuit_is_optimal(gram: Array, lam: float) -> None:
    found = principal_component_pursuit(gram, lam, 1e-7, 5000)
    low_rank = low_rank_part(found)
    reached = objective(gram, low_rank, lam)
    assert reached - dual_bound(gram, low_rank, lam) < 1e-4 * reached
