"""Which of many edits of one region are attributes of their own, and what they change."""

import numpy as np
from torch import Tensor

from lowrankgan.arrays import Array


def distinct(apart: Array, degrees: Array, least: float, least_degrees: float) -> list[int]:
    """Choose edits in order of rank, each unlike all that were chosen before it.

    Args:
        apart: [K, K] perceptual distance between two edits inside the region, over that of an edit
            from its original; NaN where the two were never measured on one face.
        degrees: [K, K] angle between two directions, 0 to 90.
        least: distance from which two edits differ.
        least_degrees: angle from which two directions differ.

    Returns:
        Positions of the chosen edits, ascending; the first that was measured is always among them.
    """
    chosen: list[int] = []
    for candidate in np.flatnonzero(~np.isnan(np.diag(apart))).tolist():
        near = apart[candidate] < least  # NaN is not: the angle alone decides
        unlike = ~near & (degrees[candidate] >= least_degrees)
        if unlike[chosen].all():
            chosen.append(candidate)
    return chosen


def angles(directions: Array) -> Array:
    """Angles [K, K] in degrees between the lines along directions [K, ...]."""
    rows = directions.reshape(len(directions), -1)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.degrees(np.arccos(np.clip(np.abs(rows @ rows.T), 0, 1)))


def colour_shift(original: Tensor, edited: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """How the colour of a region changes as a whole.

    Args:
        original: [N, 3, H, W] in [0, 1].
        edited: likewise.
        mask: bool [N, H, W].

    Returns:
        Each [N]: brightness, the mean change of grey; red_green and blue_yellow, the mean change
        along the two opponent axes; and tint, the share of the squared change that is one shift of
        colour, at equal grey, of all pixels: 0 for what moves edges, 1 for a filter of colour.
    """
    weight = mask[:, None] / mask.sum((1, 2))[:, None, None, None]
    change = edited - original
    red, green, blue = ((change * weight).sum((2, 3))).unbind(1)
    grey = (red + green + blue) / 3
    shift = (red - grey).square() + (green - grey).square() + (blue - grey).square()
    total = (change.square() * weight).sum((1, 2, 3))
    return {
        "brightness": grey,
        "red_green": red - green,
        "blue_yellow": blue - (red + green) / 2,
        "tint": shift / total.clamp_min(1e-12),
    }
