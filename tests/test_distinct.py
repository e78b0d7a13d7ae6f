"""Attributes of their own, and what they change."""

import numpy as np
import pytest
import torch

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
