"""Which test faces are edited."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import edited
from edited import faces_of
from job import Job
from lowrankgan.errors import LowRankGANError
from tests.conftest import ROOT

MOUTH = {"kind": "landmarks", "indices": [61, 291, 0, 17], "margin": 0.02}
BOX = {"kind": "box", "top": 0.5, "left": 0.25, "bottom": 0.75, "right": 0.75}


class Album:
    """Renders a face where w is 1, and black where it is 0."""

    device, resolution = torch.device("cpu"), 256

    def render(self, ws: Tensor, resolution: int) -> Tensor:
        face = np.array(Image.open(ROOT / "tests/data/face_256.png").convert("RGB"))
        image = torch.from_numpy(face).permute(2, 0, 1) / 127.5 - 1
        return torch.stack([image if w else -torch.ones_like(image) for w in ws.flatten()])


@pytest.fixture
def faces_in(landmark_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "files").symlink_to(landmark_weights)
    monkeypatch.setattr(edited, "generator_of", lambda job: Album())

    def faces_in(
        album: list[int], chosen: list[int] | None = None, **regions: dict[str, Any]
    ) -> list[int]:
        ws = torch.tensor(album)[:, None, None]
        monkeypatch.setattr(
            edited, "latents_of", lambda job, generator: (ws, list(range(100, 100 + len(ws))))
        )
        settings = {"resolution": 256, "regions": regions}
        job = Job(settings, {"landmarks": [tmp_path]}, tmp_path)
        found = list(faces_of(job, chosen))
        for faces in found:
            assert len(faces.originals) == len(faces.seeds)
            assert all(mask.any((1, 2)).all() for mask in faces.masks.values())
        return [seed for faces in found for seed in faces.seeds]

    return faces_in


def test_an_image_without_a_face_is_left_out_where_a_region_is_of_landmarks(
    faces_in: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert faces_in([1, 0, 1], mouth=MOUTH, box=BOX) == [100, 102]
    assert [record.getMessage() for record in caplog.records] == [
        "no face was found on the image of seed 101, which is left out"
    ]
    assert faces_in([1, 0, 1], box=BOX) == [100, 101, 102]
    assert faces_in([1, 0, 1, 1], [101, 103], mouth=MOUTH) == [103]


@pytest.mark.parametrize(("resolution", "side", "together"), [(1024, 256, 1), (128, 256, 16)])
def test_as_many_images_are_together_as_the_larger_of_two_sizes_allows(
    resolution: int, side: int, together: int
) -> None:
    generator: Any = SimpleNamespace(device=torch.device("cpu"), resolution=resolution)
    assert len(next(iter(edited._batches(range(33), generator, side)))) == together


def test_images_of_which_none_has_a_face_are_refused(faces_in: Any) -> None:
    with pytest.raises(LowRankGANError, match=r"no face .* seeds 100 to 101; choose"):
        faces_in([0, 0], mouth=MOUTH)
