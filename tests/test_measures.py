"""What edits measure, on images whose change is known."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from edited import Faces
from lowrankgan.generators.base import Generator
from lowrankgan.metrics.perceptual import Perceptual
from measures import Edits, Measures


def test_what_spills_out_of_a_region_is_all_that_an_edit_of_the_region_alone_has_outside(
    lpips_weights: Path,
) -> None:
    seeded = torch.Generator().manual_seed(0)
    originals = torch.rand(1, 3, 64, 64, generator=seeded)
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, 20:40, 20:40] = True
    none = torch.empty(0)
    faces = Faces([0], originals, {"box": mask}, cast(Generator, None), none)
    trunk = Perceptual(lpips_weights / "alexnet.ckpt", "alex")
    measures = Measures(faces, {"alex": trunk}, lambda image, mask: {})
    noise = torch.rand(1, 3, 64, 64, generator=seeded)
    within = noise.where(mask[:, None], originals)
    edits = Edits(torch.cat([within, noise]), [0, 0], ["box", "box"])
    alone, everywhere = measures.changes(edits)
    spilled, same = (row["lpips_alex_spill"] for row in measures.others(edits, [False] * 2))
    assert alone["mse_outside"] == 0
    assert spilled == pytest.approx(alone["lpips_alex_outside"], rel=1e-6)
    assert same == pytest.approx(spilled, rel=1e-6)
    assert 0 < spilled < everywhere["lpips_alex_outside"]


def test_lpips_by_vgg_is_measured_of_those_edits_that_are_asked_for(lpips_weights: Path) -> None:
    seeded = torch.Generator().manual_seed(0)
    originals, mask = torch.rand(1, 3, 64, 64, generator=seeded), torch.ones(1, 64, 64) > 0
    mask[:, :20] = False
    faces = Faces([0], originals, {"box": mask}, cast(Generator, None), torch.empty(0))
    vgg = Perceptual(lpips_weights / "vgg16.ckpt", "vgg")
    trunks = {"alex": Perceptual(lpips_weights / "alexnet.ckpt", "alex"), "vgg": vgg}
    measures = Measures(faces, trunks, lambda image, mask: {})
    edits = Edits(torch.rand(3, 3, 64, 64, generator=seeded), [0] * 3, ["box"] * 3)
    distances = vgg.distance_map(vgg.features(originals), vgg.features(edits.images))
    expected = distances[:, 20:].mean((1, 2)).tolist()
    for asked in ([False, True, True], [False] * 3):
        found = [row["lpips_vgg_inside"] for row in measures.others(edits, asked)]
        assert found == pytest.approx(
            [value if one else np.nan for value, one in zip(expected, asked, strict=True)],
            nan_ok=True,
        )


def test_identity_is_the_distance_of_an_edit_from_its_own_original(lpips_weights: Path) -> None:
    originals = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 64, 64, dtype=torch.bool)
    mask[:, 20:40, 20:40] = True
    faces = Faces([0, 1], originals, {"box": mask}, cast(Generator, None), torch.empty(0))
    trunk = Perceptual(lpips_weights / "alexnet.ckpt", "alex")

    def mean_colour(images: torch.Tensor) -> np.ndarray:
        return images.mean((2, 3)).numpy()

    measures = Measures(faces, {"alex": trunk}, lambda image, mask: {}, mean_colour)
    edits = Edits(torch.stack([originals[1] + 0.2, originals[0]]), [1, 0], ["box", "box"])
    redder, same = (row["identity"] for row in measures.others(edits, [False] * 2))
    assert redder == pytest.approx(0.2 * 3**0.5, rel=1e-5)
    assert same == 0
