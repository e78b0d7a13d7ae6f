"""Leading directions without a Gram matrix, against those of the matrix."""

import numpy as np
import pytest
import torch

from lowrankgan.errors import LowRankGANError
from lowrankgan.gram import gram_matrices
from lowrankgan.jacobian import Jacobian
from lowrankgan.krylov import leading_directions, region_operator
from tests.test_mobilestylegan import small_mobilestylegan


def _matrix(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(len(spectrum),) * 2))[0]
    return (basis * spectrum) @ basis.T, basis


def test_the_operator_is_the_gram_matrix_of_the_region() -> None:
    generator, ws = small_mobilestylegan(), torch.randn(8, 8, dtype=torch.float64)
    mask, layers = np.zeros((16, 16), dtype=bool), [2, 3, 6]
    mask[4:9, 3:12] = True
    inside, _ = gram_matrices(Jacobian(generator, ws, layers, 16), {"box": mask})["box"]
    operator = region_operator(generator, ws, layers, 16, mask)
    np.testing.assert_allclose(operator(np.eye(8)), inside, rtol=1e-9, atol=1e-12)
    found = leading_directions(operator, 8, 3, 1e-8)
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(inside)[::-1][:3], rtol=1e-8)


def test_few_products_resolve_a_decaying_spectrum_within_the_bound() -> None:
    spectrum = np.arange(1, 201) ** -1.5
    matrix, basis = _matrix(spectrum)
    found = leading_directions(lambda v: v @ matrix, 200, 5, 1e-4)
    assert found.products <= 80
    assert (found.residuals <= 1e-4).all()
    assert (np.abs(found.values - spectrum[:5]) <= found.values * found.residuals).all()
    np.testing.assert_allclose(np.abs(np.diag(found.vectors @ basis[:, :5])), 1, atol=1e-6)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(5), atol=1e-12)


def test_all_directions_of_a_small_matrix() -> None:
    spectrum = np.array([3.0, 2.0, 2.0, 0.0])
    matrix, _ = _matrix(spectrum)
    found = leading_directions(lambda v: v @ matrix, 4, 3, 1e-10)
    np.testing.assert_allclose(found.values, spectrum[:3], rtol=1e-12)


def test_what_cannot_be_resolved_is_one_line() -> None:
    noise = np.random.default_rng(0)
    with pytest.raises(LowRankGANError, match="were not resolved: relative residual"):
        leading_directions(lambda v: v + 0.1 * noise.normal(size=v.shape), 300, 2, 1e-9)
    with pytest.raises(LowRankGANError, match="0 directions asked for; expected 1 to 4"):
        leading_directions(lambda v: v, 4, 0, 1e-9)
