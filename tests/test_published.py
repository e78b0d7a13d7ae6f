"""The published method against what the authors' own code computed."""

import numpy as np
import pytest

from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import by_rank
from lowrankgan.published import published_directions, published_pursuit
from tests.conftest import ROOT

REFERENCE = dict(np.load(ROOT / "tests/data/reference_gram_64.npz"))
SOLVED = dict(np.load(ROOT / "tests/data/official_robustpca_64.npz"))


@pytest.mark.parametrize("side", ["gram_fg", "gram_bg"])
@pytest.mark.parametrize("inverse", [8, 60])
def test_the_solver_stops_where_the_authors_does(side: str, inverse: int) -> None:
    found = published_pursuit(REFERENCE[side], 1 / inverse)
    assert found.pursuit is not None
    assert found.pursuit.iterations == SOLVED[f"{side}_iters_lamb{inverse}"]
    expected = SOLVED[f"{side}_L_lamb{inverse}"]
    values, vectors = np.linalg.eigh(expected)
    ordered = values[np.argsort(-abs(values))]
    np.testing.assert_allclose(found.eigenvalues, ordered, atol=1e-10)
    low = found.eigenvectors * found.eigenvalues @ found.eigenvectors.T
    np.testing.assert_allclose(low, expected, atol=1e-9)
    assert not found.eigenvalues[found.rank :].any()
    assert found.rank == np.linalg.matrix_rank(expected)
    leading = vectors[:, np.argmax(abs(values))]
    assert abs(found.eigenvectors[:, 0] @ leading) == pytest.approx(1, abs=1e-9)
    assert found.pursuit.primal_residual <= 1e-7


def test_a_slow_spectrum_stops_it_with_full_rank() -> None:
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    gram = (basis * np.linspace(1, 0.9, 64)) @ basis.T
    found = published_pursuit((gram + gram.T) / 2, 1 / 60)
    assert found.pursuit is not None
    assert found.pursuit.dual_residual > 0.1
    assert found.rank == 64


def test_directions_leave_the_background_or_collapse_to_one() -> None:
    random = np.random.default_rng(1).normal(size=(2, 9, 9))
    inside, outside = (a @ a.T for a in random)
    rows = published_directions(by_rank(inside, 3), by_rank(outside, 4), 3)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    leading = np.linalg.eigh(outside)[1][:, -4:]
    np.testing.assert_allclose(rows @ leading, 0, atol=1e-12)
    collapsed = published_directions(by_rank(inside, 3), by_rank(outside, 9), 3)
    np.testing.assert_allclose(np.abs(collapsed @ collapsed.T), 1)


def test_what_is_no_gram_matrix_is_refused() -> None:
    with pytest.raises(LowRankGANError, match="is asymmetric"):
        published_pursuit(np.triu(np.ones((4, 4))), 1 / 60)
