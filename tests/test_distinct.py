"""Attributes of their own, and what they change."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from job import Job
from lowrankgan.distinct import angles, colour_shift, distinct


def test_each_is_unlike_all_that_were_chosen() -> None:
    apart = np.array(
        [[0, 0.9, 0.2, 0.8], [0.9, 0, 0.9, 0.4], [0.2, 0.9, 0, 0.9], [0.8, 0.4, 0.9, 0]]
    )
    degrees = np.full((4, 4), 90.0)
    assert distinct(apart, degrees, 0.5, 45) == [0, 1]
    assert distinct(apart, degrees, 0.3, 45) == [0, 1, 3]
    degrees[3, 1] = 30  # the same direction, nearly
    assert distinct(apart, degrees, 0.3, 45) == [0, 1]
    assert distinct(apart, degrees, 2.0, 45) == [0]


def test_an_edit_that_was_never_measured_counts_for_nothing() -> None:
    apart = np.array([[np.nan] * 3, [np.nan, 0, 0.2], [np.nan, 0.2, 0]])
    degrees = np.full((3, 3), 90.0)
    assert distinct(apart, degrees, 0.5, 45) == [1]
    assert distinct(apart, degrees, 0.1, 45) == [1, 2]
    apart[1, 2] = apart[2, 1] = np.nan  # never on one face
    assert distinct(apart, degrees, 0.5, 45) == [1, 2]


def test_angles_are_between_lines() -> None:
    found = angles(np.array([[[1.0, 0]], [[-3.0, 0]], [[1.0, 1.0]]]))
    np.testing.assert_allclose(found, [[0, 0, 45], [0, 0, 45], [45, 45, 0]], atol=1e-5)


def test_a_filter_of_colour_is_all_tint_and_an_edge_none() -> None:
    original = torch.full((2, 3, 4, 4), 0.5)
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    edited = original.clone()
    edited[0, 0, :2] += 0.2  # redder
    edited[0, 2, :2] -= 0.2
    edited[1, :, 0] += 0.3  # brighter above, darker below
    edited[1, :, 1] -= 0.3
    edited[:, :, 2:] = torch.rand(2, 3, 2, 4)  # outside
    found = colour_shift(original, edited, mask)
    assert found["tint"].tolist() == pytest.approx([1, 0], abs=1e-6)
    assert found["red_green"].tolist() == pytest.approx([0.2, 0], abs=1e-6)
    assert found["blue_yellow"].tolist() == pytest.approx([-0.3, 0], abs=1e-6)
    assert found["brightness"].tolist() == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("reached", [[True, False], [False, False]])
def test_a_direction_that_no_face_reached_keeps_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: list[bool]
) -> None:
    """And of the faces, the first that were measured are shown, whatever their seeds."""
    step = importlib.import_module("distinct")
    table = [
        {"region": "eyes", "direction": k + 1, "face": face, "target": "mse", "step": 1.0}
        | {"reached": reached[k]}
        for face in (7, 9)
        for k in range(2)
    ]
    pd.DataFrame(table).to_csv(tmp_path / "metrics.csv", index=False)

    def faces_of(job: Job, chosen: list[int]) -> list[SimpleNamespace]:
        assert chosen == [7]
        face = SimpleNamespace(seeds=chosen, originals=torch.zeros(1, 3, 8, 8))
        face.masks = {"eyes": torch.eye(8, dtype=torch.bool)[None]}
        face.directions = lambda folder: {"eyes": torch.eye(2, 4)[:, None]}
        face.batches = lambda items: [list(items)]
        face.edited = lambda faces, offsets, steps: torch.full((len(steps), 3, 8, 8), 0.5)
        return [face]

    trunk = SimpleNamespace(
        features=lambda images: images,
        distance_map=lambda one, other: (one - other).square().mean(1),
    )
    monkeypatch.setattr(step, "faces_of", faces_of)
    monkeypatch.setattr(step, "perceptual_of", lambda job, net: trunk)
    monkeypatch.setattr(step, "scores_of", lambda job: lambda image, mask: {"smile": 1.0})
    settings = {"target": "mse", "faces": 1, "apart": 0.5, "degrees": 45.0}
    folders = {"metrics": [tmp_path], "subspace": [tmp_path]}
    step.main(Job(settings, folders, tmp_path))
    found = pd.read_csv(tmp_path / "attributes.csv")
    assert found[["region", "direction"]].to_numpy().tolist() == [["eyes", 1], ["eyes", 2]]
    assert found["distinct"].tolist() == reached
    assert found["brightness"].notna().tolist() == reached
