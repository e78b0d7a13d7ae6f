from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrankgan import pursuit
from lowrankgan.arrays import Array
from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import (
    LowRank,
    by_energy,
    by_rank,
    principal_component_pursuit,
    scaled_lambda,
)

DATA = Path(__file__).parent / "data"
REFERENCE = dict(np.load(DATA / "reference_gram_64.npz"))
PUBLISHED = dict(np.load(DATA / "official_robustpca_64.npz"))  # of the paper's own solver


def gram_of(dimension: int, decay: float, seed: int = 0) -> Array:
    """A Gram matrix whose k-th eigenvalue is k ** -decay."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))
    gram = basis * np.arange(1.0, dimension + 1) ** -decay @ basis.T
    return (gram + gram.T) / 2


def low_rank_part(found: LowRank) -> Array:
    return found.eigenvectors * found.eigenvalues @ found.eigenvectors.T


def objective(gram: Array, low_rank: Array, lam: float) -> float:
    return float(np.linalg.norm(low_rank, "nuc") + lam * np.abs(gram - low_rank).sum())


def lower_bound(gram: Array, lam: float) -> float:
    """A bound on the objective from below, by the textbook method with a constant step.

    Weak duality: <M, Y> is one for any Y with |Y_ij| <= lam and ||Y||_2 <= 1. So the bound holds
    even where the method that found Y has not converged.
    """
    mu = 30 / np.linalg.norm(gram, 2)
    sparse = dual = np.zeros_like(gram)
    for _ in range(1000):
        values, vectors = np.linalg.eigh(gram - sparse + dual / mu)
        low_rank = vectors * (values - np.clip(values, -1 / mu, 1 / mu)) @ vectors.T
        pull = dual + mu * (gram - low_rank)
        dual = np.clip(pull, -lam, lam)
        sparse = (pull - dual) / mu
    return float(np.sum(gram * dual) / max(1.0, np.linalg.norm(dual, 2)))


PROBLEMS = {
    "reference, inside": (REFERENCE["gram_fg"], scaled_lambda(64)),
    "reference, outside": (REFERENCE["gram_bg"], scaled_lambda(64)),
    "reference, large lambda": (REFERENCE["gram_bg"], 1 / 8),
    "slow decay": (gram_of(32, 0.5), scaled_lambda(32)),
    "fast decay": (gram_of(32, 2.0), scaled_lambda(32)),
    "fast decay, large lambda": (gram_of(48, 2.0), 48**-0.5),
    "lambda so large that S is zero": (gram_of(16, 1.0), 1.5),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_pursuit_closes_the_duality_gap(name: str) -> None:
    gram, lam = PROBLEMS[name]
    found = principal_component_pursuit(gram, lam, 1e-7, 2000)
    reached = objective(gram, low_rank_part(found), lam)
    assert reached - lower_bound(gram, lam) < 2e-6 * reached


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    dimension=st.integers(2, 24),
    decay=st.floats(0.0, 4.0),
    weight=st.floats(0.2, 3.0),
    seed=st.integers(0, 99),
)
def test_rank_is_bounded_by_lambda(dimension: int, decay: float, weight: float, seed: int) -> None:
    lam = weight / np.sqrt(dimension)
    found = principal_component_pursuit(gram_of(dimension, decay, seed), lam, 1e-5, 5000)
    assert found.rank <= (lam * dimension) ** 2
    assert found.rank == np.count_nonzero(found.eigenvalues)


@pytest.mark.parametrize("side", ["gram_fg", "gram_bg"])
@pytest.mark.parametrize("inverse", [8, 60])
def test_pursuit_is_no_worse_than_the_published_solver(side: str, inverse: int) -> None:
    gram, published = REFERENCE[side], PUBLISHED[f"{side}_L_lamb{inverse}"]
    found = principal_component_pursuit(gram, 1 / inverse, 1e-6, 2000)
    reached = objective(gram, low_rank_part(found), 1 / inverse)
    assert reached <= (1 + 1e-6) * objective(gram, published, 1 / inverse)


@pytest.mark.parametrize(("side", "error"), [("gram_fg", 1e-4), ("gram_bg", 5e-4)])
def test_pursuit_finds_what_the_published_solver_found(side: str, error: float) -> None:
    published = PUBLISHED[f"{side}_L_lamb8"]  # where it got to within 2e-6 of the optimum
    found = principal_component_pursuit(REFERENCE[side], 1 / 8, 1e-6, 2000)
    difference = np.linalg.norm(low_rank_part(found) - published)
    assert difference < error * np.linalg.norm(published)
    assert found.rank == 32
    assert found.eigenvalues.min() < 0


@pytest.mark.parametrize("side", ["gram_fg", "gram_bg"])
def test_pursuit_leaves_no_rank_where_the_published_solver_does(side: str) -> None:
    gram, lam = REFERENCE[side], 1 / 60
    # Y = lam sign(M) is a subgradient of both terms at L = 0, so L = 0 is the optimum.
    assert np.linalg.norm(lam * np.sign(gram), 2) < 1
    assert principal_component_pursuit(gram, lam, 1e-6, 2000).rank == 0
    assert np.linalg.matrix_rank(PUBLISHED[f"{side}_L_lamb60"]) == 1


def test_pursuit_recovers_what_was_planted() -> None:
    rng = np.random.default_rng(3)
    factor = rng.standard_normal((60, 3))
    sparse = np.triu(np.where(rng.random((60, 60)) < 0.02, rng.uniform(-9, 9, (60, 60)), 0), 1)
    sparse += sparse.T
    np.fill_diagonal(sparse, 1 + np.abs(sparse).sum(axis=1))  # dominant: positive definite
    found = principal_component_pursuit(factor @ factor.T + sparse, 60**-0.5, 1e-7, 2000)
    assert found.rank == 3
    np.testing.assert_allclose(low_rank_part(found), factor @ factor.T, atol=1e-4)
    assert found.pursuit is not None
    assert found.pursuit.density == np.mean(sparse != 0)


def test_pursuit_does_not_depend_on_the_unit() -> None:
    gram = gram_of(24, 1.0)
    one, other = (
        principal_component_pursuit(scale * gram, 0.2, 1e-6, 1000) for scale in (1.0, 1e-12)
    )
    np.testing.assert_allclose(other.eigenvalues, 1e-12 * one.eigenvalues, rtol=1e-6, atol=1e-20)


@pytest.mark.parametrize(("name", "value"), [("_SPARE", 96), ("_SPARE", 1), ("_SINGLE", (0, 0.0))])
def test_the_way_to_the_optimum_does_not_matter(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All eigenvectors followed, or one before it looks for what it missed; or no rounding."""
    gram = gram_of(96, 1.2)
    usual = principal_component_pursuit(gram, scaled_lambda(96), 1e-7, 2000)
    monkeypatch.setattr(pursuit, name, value)
    other = principal_component_pursuit(gram, scaled_lambda(96), 1e-7, 2000)
    assert usual.rank == other.rank > 1
    np.testing.assert_allclose(usual.eigenvalues, other.eigenvalues, atol=1e-6)


def test_an_eigenvalue_that_is_not_followed_is_missed() -> None:
    values, vectors = np.linalg.eigh(gram_of(16, 0.5))
    matrix = vectors * values @ vectors.T
    kept = [15, 13]  # not the second of them, which is values[14]
    threshold = values[14]
    assert pursuit._missed(matrix, values[kept], vectors[:, kept], 0.99 * threshold) == np.inf
    assert pursuit._missed(matrix, values[kept], vectors[:, kept], 1.01 * threshold) < 1e-12
    turned = vectors[:, kept] + 0.1 * vectors[:, [0, 1]]
    assert pursuit._missed(matrix, values[kept], turned, 2 * threshold) > 0.01


def test_unconverged_pursuit_says_what_to_change() -> None:
    with pytest.raises(LowRankGANError, match=r"tolerance 1e-09 in 5 iterations .*raise max_iter"):
        principal_component_pursuit(gram_of(16, 1.0), 0.1, 1e-9, 5)


@pytest.mark.parametrize(
    "found",
    [
        principal_component_pursuit(gram_of(40, 1.0), scaled_lambda(40), 1e-6, 2000),
        principal_component_pursuit(gram_of(40, 1.0), 1e-3, 1e-6, 2000),
        by_rank(gram_of(40, 1.0), 7),
    ],
    ids=["pursuit", "pursuit of rank 0", "truncation"],
)
def test_basis_is_complete_and_ordered(found: LowRank) -> None:
    gram, basis = gram_of(40, 1.0), found.eigenvectors
    np.testing.assert_allclose(basis.T @ basis, np.eye(40), atol=1e-12)
    np.testing.assert_allclose(found.spectrum, np.arange(1.0, 41) ** -1.0, atol=1e-12)
    assert np.all(np.diff(np.abs(found.eigenvalues)) <= 0)
    assert np.all(found.eigenvalues[found.rank :] == 0)
    rest = basis[:, found.rank :]
    energy = rest.T @ gram @ rest
    np.testing.assert_allclose(energy, np.diag(np.diag(energy)), atol=1e-12)
    assert np.all(np.diff(np.diag(energy)) < 0)


def test_fixed_rank_is_the_best_approximation() -> None:
    gram = gram_of(30, 1.0)
    u, s, vt = np.linalg.svd(gram)
    found = by_rank(gram, 5)
    assert found.rank == 5
    np.testing.assert_allclose(low_rank_part(found), u[:, :5] * s[:5] @ vt[:5], atol=1e-12)


@given(
    values=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=12),
    energy=st.floats(0.01, 1.0),
)
def test_energy_takes_the_smallest_rank(values: list[float], energy: float) -> None:
    found = by_energy(np.diag(values), energy)
    held = sorted(values, reverse=True)
    assert sum(held[: found.rank]) >= (energy - 1e-12) * sum(held)
    assert sum(held[: found.rank - 1]) < energy * sum(held)


def test_energy_of_a_singular_matrix_stops_at_its_rank() -> None:
    factor = np.random.default_rng(0).standard_normal((50, 4))
    found = by_energy(factor @ factor.T, 1 - 1e-9)
    assert found.rank == 4
    assert found.spectrum.min() == 0


def test_scaled_lambda_is_the_published_one_at_512() -> None:
    assert scaled_lambda(512) == pytest.approx(1 / 60)
    shares = [scaled_lambda(d) ** 2 * d for d in (64, 128, 512)]
    assert shares == pytest.approx([0.1422] * 3, rel=1e-3)


def _polluted() -> Array:
    """Accumulated in float32, as a Gram matrix of rank 20 must not be."""
    rng = np.random.default_rng(0)
    jacobian = (rng.standard_normal((4000, 20)) @ rng.standard_normal((20, 40))).astype(np.float32)
    return (jacobian.T @ jacobian).astype(np.float64)


@pytest.mark.parametrize(
    ("gram", "message"),
    [
        (np.ones((3, 4)), r"shape \(3, 4\)"),
        (np.ones(3), r"shape \(3,\)"),
        (np.diag([1.0, np.nan]), "not finite"),
        (np.zeros((4, 4)), "is zero"),
        (np.array([[1.0, 0.1], [0.0, 1.0]]), r"asymmetric by 1\.0e-01"),
        (np.diag([2.0, 1.0, -0.5]), r"negative eigenvalue -5\.0e-01"),
        (_polluted(), "float64"),
    ],
)
def test_what_is_no_gram_matrix_is_refused(gram: Array, message: str) -> None:
    for factorise in (
        lambda: by_rank(gram, 1),
        lambda: by_energy(gram, 0.9),
        lambda: principal_component_pursuit(gram, 0.1, 1e-6, 100),
    ):
        with pytest.raises(LowRankGANError, match=message):
            factorise()


@pytest.mark.parametrize("rank", [-1, 0, 5])
def test_rank_out_of_range(rank: int) -> None:
    with pytest.raises(LowRankGANError, match=f"rank is {rank}"):
        by_rank(np.eye(4), rank)


@pytest.mark.parametrize("energy", [-0.1, 0.0, 1.01, np.nan])
def test_energy_out_of_range(energy: float) -> None:
    with pytest.raises(LowRankGANError, match="energy is"):
        by_energy(np.eye(4), energy)


@pytest.mark.parametrize("lam", [0.0, -1.0, np.nan])
def test_lambda_out_of_range(lam: float) -> None:
    with pytest.raises(LowRankGANError, match="lambda is"):
        principal_component_pursuit(np.eye(4), lam, 1e-6, 100)
