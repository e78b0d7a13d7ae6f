import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrankgan.arrays import Array
from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import by_energy, by_rank
from lowrankgan.subspace import (
    by_leakage,
    constrained_optimum,
    most_local,
    null_space,
    orient,
    principal_angles,
    principal_directions,
    project,
    rayleigh_optimum,
    restricted_optimum,
)

D = 20


def gram_of(seed: int) -> Array:
    jacobian = np.random.default_rng(seed).standard_normal((60, D)) * np.arange(1, D + 1) ** -1.0
    return jacobian.T @ jacobian / 60


INSIDE, OUTSIDE = gram_of(0), gram_of(1)
BASIS = null_space(by_rank(OUTSIDE, 8))


def first_order_change(directions: Array, gram: Array) -> Array:
    return np.sum((directions @ gram) * directions, axis=1)


def assert_oriented(directions: Array) -> None:
    largest = np.abs(directions).argmax(axis=1)
    assert np.all(directions[np.arange(len(directions)), largest] > 0)


def assert_orthonormal(directions: Array) -> None:
    np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-12)


def test_principal_directions_are_the_leading_eigenvectors() -> None:
    directions = principal_directions(by_rank(INSIDE, 6), 3)
    values = np.linalg.eigvalsh(INSIDE)[::-1][:3]
    np.testing.assert_allclose(directions @ INSIDE, values[:, None] * directions, atol=1e-12)
    assert_orthonormal(directions)
    assert_oriented(directions)


@pytest.mark.parametrize("count", [-1, 0, 7])
def test_no_more_directions_than_the_rank(count: int) -> None:
    with pytest.raises(LowRankGANError, match=f"{count} directions asked for.* rank 6"):
        principal_directions(by_rank(INSIDE, 6), count)


@pytest.mark.parametrize("relaxation", [0, 3, 8])
def test_null_space_is_orthogonal_to_what_is_kept(relaxation: int) -> None:
    outside = by_rank(OUTSIDE, 8)
    basis = null_space(outside, relaxation)
    kept = 8 - relaxation
    assert basis.shape == (D, D - kept)
    assert_orthonormal(basis.T)
    np.testing.assert_allclose(outside.eigenvectors[:, :kept].T @ basis, 0, atol=1e-12)


def test_nothing_in_the_null_space_moves_a_background_of_low_rank() -> None:
    factor = np.random.default_rng(2).standard_normal((D, 5))
    outside = factor @ factor.T
    basis = null_space(by_energy(outside, 1 - 1e-9))
    assert basis.shape == (D, D - 5)
    np.testing.assert_allclose(outside @ basis, 0, atol=1e-10)


def test_an_empty_null_space_is_refused_until_it_is_relaxed() -> None:
    full = by_rank(OUTSIDE, D)
    with pytest.raises(LowRankGANError, match=r"full rank 20.*raise the relaxation"):
        null_space(full)
    assert null_space(full, relaxation=1).shape == (D, 1)


@pytest.mark.parametrize("relaxation", [-1, 9])
def test_relaxation_out_of_range(relaxation: int) -> None:
    with pytest.raises(LowRankGANError, match=f"relaxation is {relaxation}.* rank 8"):
        null_space(by_rank(OUTSIDE, 8), relaxation)


def test_projection_is_the_nearest_unit_vector_in_the_null_space() -> None:
    directions = principal_directions(by_rank(INSIDE, 4), 4)
    projected = project(directions, BASIS)
    np.testing.assert_allclose(np.linalg.norm(projected, axis=1), 1)
    np.testing.assert_allclose(project(projected, BASIS), projected, atol=1e-12)
    assert_oriented(projected)
    inside = np.random.default_rng(3).standard_normal((500, BASIS.shape[1])) @ BASIS.T
    inside /= np.linalg.norm(inside, axis=1, keepdims=True)
    cosine = np.abs(np.sum(directions * projected, axis=1))
    assert np.all(np.abs(directions @ inside.T) <= cosine[:, None])


def test_a_direction_that_vanishes_is_named() -> None:
    kept = by_rank(OUTSIDE, 8).eigenvectors[:, :1].T
    with pytest.raises(LowRankGANError, match="direction 2 has no part"):
        project(np.vstack([BASIS[:, 0], kept]), BASIS)


def test_constrained_optimum_solves_its_eigenproblem() -> None:
    directions = constrained_optimum(INSIDE, BASIS, 4)
    assert_orthonormal(directions)
    assert_oriented(directions)
    projector = BASIS @ BASIS.T
    np.testing.assert_allclose(directions @ projector, directions, atol=1e-12)
    change = first_order_change(directions, INSIDE)
    np.testing.assert_allclose(
        directions @ INSIDE @ projector, change[:, None] * directions, atol=1e-12
    )
    assert np.all(np.diff(change) < 0)


@given(st.lists(st.floats(-1, 1), min_size=12, max_size=12).filter(lambda u: max(u) > 0.1))
def test_nothing_in_the_null_space_beats_the_constrained_optimum(u: list[float]) -> None:
    rival = project((BASIS @ u)[None], BASIS)
    best = first_order_change(constrained_optimum(INSIDE, BASIS, 1), INSIDE)
    assert first_order_change(rival, INSIDE) <= best * (1 + 1e-12)


def test_the_constrained_optimum_beats_the_projection() -> None:
    projected = project(principal_directions(by_rank(INSIDE, 1), 1), BASIS)
    optimum = constrained_optimum(INSIDE, BASIS, 1)
    assert first_order_change(optimum, INSIDE) > 1.01 * first_order_change(projected, INSIDE)


@pytest.mark.parametrize("count", [0, 13])
def test_no_more_optima_than_the_null_space_has_dimensions(count: int) -> None:
    with pytest.raises(LowRankGANError, match=f"{count} directions asked for.* 12 dimensions"):
        constrained_optimum(INSIDE, BASIS, count)


def test_principal_angles_of_a_known_tilt() -> None:
    e = np.eye(5)
    tilted = np.cos(0.3) * e[1] + np.sin(0.3) * e[2]
    angles = principal_angles(e[:2], np.vstack([tilted, -e[0]]))
    np.testing.assert_allclose(angles, [0, 0.3], atol=1e-12)
    np.testing.assert_allclose(principal_angles(e[:1], e[3:]), [np.pi / 2])


def test_orientation_does_not_depend_on_the_sign() -> None:
    directions = np.random.default_rng(6).standard_normal((9, D))
    np.testing.assert_array_equal(orient(directions), orient(-directions))
    np.testing.assert_array_equal(np.abs(orient(directions)), np.abs(directions))
    assert_oriented(orient(directions))


def test_the_rayleigh_optimum_is_optimal_and_ranked() -> None:
    ridge = 0.05
    found = rayleigh_optimum(INSIDE, OUTSIDE, ridge, 3)
    price = OUTSIDE + ridge * np.trace(OUTSIDE) / D * np.eye(D)
    quotients = first_order_change(found, INSIDE) / first_order_change(found, price)
    # The gradient of the quotient vanishes at each, and none of many others is better.
    np.testing.assert_allclose(found @ INSIDE, quotients[:, None] * (found @ price), atol=1e-10)
    assert (np.diff(quotients) < 0).all()
    others = np.random.default_rng(2).normal(size=(2000, D))
    assert (first_order_change(others, INSIDE) / first_order_change(others, price)).max() < (
        quotients[0]
    )
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    assert_oriented(found)


def test_a_large_ridge_leaves_the_leading_eigenvector() -> None:
    found = rayleigh_optimum(INSIDE, OUTSIDE, 1e9, 1)
    np.testing.assert_allclose(found, principal_directions(by_rank(INSIDE, 1), 1), atol=1e-6)
    for count, ridge, told in (
        (0, 1.0, "0 directions asked for; expected 1 to 20"),
        (D + 1, 1.0, "21 directions asked for; expected 1 to 20"),
        (1, 0.0, "ridge: 0, expected more than 0"),
    ):
        with pytest.raises(LowRankGANError, match=told):
            rayleigh_optimum(INSIDE, OUTSIDE, ridge, count)


def test_among_all_combinations_the_optimum_is_that_of_no_restriction() -> None:
    candidates = np.random.default_rng(5).normal(size=(D, D))
    inside, outside = (candidates @ gram @ candidates.T for gram in (INSIDE, OUTSIDE))
    found = restricted_optimum(candidates, inside, outside, 0.05 * np.trace(OUTSIDE) / D, 3)
    np.testing.assert_allclose(found, rayleigh_optimum(INSIDE, OUTSIDE, 0.05, 3), atol=1e-8)


def test_among_few_candidates_no_combination_is_better() -> None:
    seeded = np.random.default_rng(5)
    candidates, price = seeded.normal(size=(4, D)), 0.1
    inside, outside = (candidates @ gram @ candidates.T for gram in (INSIDE, OUTSIDE))
    found = restricted_optimum(candidates, inside, outside, price, 2)
    others = seeded.normal(size=(2000, 4)) @ candidates
    first, second, *rest = (
        (v @ INSIDE @ v) / (v @ OUTSIDE @ v + price * v @ v) for v in (*found, *others)
    )
    assert first > second
    assert first > max(rest)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    assert_oriented(found)
    with pytest.raises(LowRankGANError, match="5 directions asked for; expected 1 to 4"):
        restricted_optimum(candidates, inside, outside, price, 5)


def test_the_most_local_candidates_come_first() -> None:
    candidates = np.eye(D)
    found = most_local(candidates, INSIDE, OUTSIDE, 4)
    ratios = np.diag(INSIDE) / np.diag(OUTSIDE)
    np.testing.assert_array_equal(found.argmax(1), np.argsort(-ratios)[:4])


def test_what_leaks_least_comes_first_and_what_fails_last() -> None:
    leaks = np.array([[1.0, 9.0], [2.0, 2.0], [1e-3, 1e-3], [100.0, 0.01]])  # means 3, 2, 1e-3, 1
    reached = np.array([[True, True], [True, True], [True, False], [True, True]])
    assert by_leakage(leaks, reached).tolist() == [3, 1, 0, 2]
