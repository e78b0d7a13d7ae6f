"""J in the features of LPIPS, against LPIPS itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.gram import gram_matrices
from lowrankgan.metrics.masked import inside_outside
from lowrankgan.metrics.perceptual import Perceptual
from lowrankgan.perceptual_jacobian import PerceptualJacobian

SIDE = 64


@pytest.fixture(scope="module")
def alex(lpips_weights: Path) -> Perceptual:
    return Perceptual(lpips_weights / "alexnet.ckpt", "alex")


def smooth(count: int, seed: int) -> Tensor:
    """Random images [count, 3, R, R] in about [-1, 1], with edges wide enough to be linear in."""
    drawn = torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return 0.3 * F.interpolate(drawn, size=SIDE, mode="bicubic")


def masks() -> dict[str, NDArray[np.bool_]]:
    found = np.zeros((2, SIDE, SIDE), dtype=bool)
    found[0, 10:25, 20:41], found[1, 40:, :] = True, True
    return {"box": found[0], "bottom": found[1]}


def ignored(_: Tensor) -> None:
    """What is seen on the way."""


def test_gram_matrices_are_lpips_at_small_steps(alex: Perceptual) -> None:
    image, columns = smooth(1, 0)[0], smooth(5, 1)
    features = PerceptualJacobian(columns, image, alex, ignored)
    grams = gram_matrices(features, masks(), shares=features.shares(masks()))
    direction = torch.randn(5, generator=torch.Generator().manual_seed(2))
    offset, step = torch.einsum("k,kchw->chw", direction, columns), 5e-4
    both = torch.stack([image + step * offset, image - step * offset])  # odd orders cancel
    before, after = (alex.features((x + 1) / 2) for x in (image[None], both))
    distances = alex.distance_map(before, after)
    v = direction.double().numpy()
    for name, mask in masks().items():
        pair = torch.from_numpy(mask).expand(2, -1, -1)
        for gram, changes in zip(grams[name], inside_outside(distances, pair), strict=True):
            expected = float(changes.mean()) / step**2
            assert v @ gram @ v == pytest.approx(expected, rel=1e-2)


def test_columns_that_are_not_held_are_seen_once(alex: Perceptual) -> None:
    image, columns = smooth(1, 0)[0], smooth(7, 1)
    whole = PerceptualJacobian(columns, image, alex, ignored)
    expected = gram_matrices(whole, masks(), shares=whole.shares(masks()))
    seen: list[Tensor] = []
    parts = PerceptualJacobian(columns, image, alex, seen.append)
    found = gram_matrices(parts, masks(), held=2, shares=parts.shares(masks()))
    torch.testing.assert_close(torch.cat(seen), columns, rtol=0, atol=0)
    for name, (inside, outside) in expected.items():
        np.testing.assert_allclose(found[name][0], inside, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(found[name][1], outside, rtol=1e-4, atol=1e-9)


def test_shares_of_a_mask_and_its_complement_make_up_every_place(alex: Perceptual) -> None:
    mask = masks()["box"]
    features = PerceptualJacobian(smooth(2, 1), smooth(1, 0)[0], alex, ignored)
    shares = features.shares({"box": mask, "rest": ~mask})
    torch.testing.assert_close(shares["box"] + shares["rest"], torch.ones(features.shape[2]))
    assert 0 < float(shares["box"].mean()) < 0.2


def test_an_image_too_small_for_lpips_is_refused(alex: Perceptual) -> None:
    with pytest.raises(LowRankGANError, match="at least 32 px"):
        PerceptualJacobian(torch.zeros(2, 3, 16, 16), torch.zeros(3, 16, 16), alex, ignored)
