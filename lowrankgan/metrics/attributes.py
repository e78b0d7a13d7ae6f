"""Scores of facial attributes from the landmarks of `landmarks.FaceLandmarks`.

Every function takes points [..., 468, 2], (x, y) with y downwards and the same unit on both axes,
and returns scores [...]; NaN points give NaN. The scores are ratios of lengths within the face, so
position, size and rotation of the face in the image do not matter. "Left" and "right" are the
image's. A turned head foreshortens widths: compare a face with its own edits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating[Any]]

# Indices in MediaPipe's face mesh.
LEFT_EYE = {"upper": 159, "lower": 145, "outer": 33, "inner": 133}
RIGHT_EYE = {"upper": 386, "lower": 374, "outer": 263, "inner": 362}
_UPPER_LIP, _LOWER_LIP = 13, 14  # the inner edges
_INNER_CORNERS = 78, 308
_OUTER_CORNERS = 61, 291


def eye_opening(points: Points) -> Points:
    """Distance between the lids over the width of the eye, mean of both eyes; 0 is closed."""
    openings = [
        _distance(points, eye["upper"], eye["lower"])
        / _distance(points, eye["outer"], eye["inner"])
        for eye in (LEFT_EYE, RIGHT_EYE)
    ]
    return (openings[0] + openings[1]) / 2


def mouth_opening(points: Points) -> Points:
    """Distance between the inner edges of the lips over the mouth's width; 0 is closed."""
    return _distance(points, _UPPER_LIP, _LOWER_LIP) / _distance(points, *_INNER_CORNERS)


def smile(points: Points) -> Points:
    """How far the corners of the mouth are drawn outwards and upwards.

    The lip corner puller (FACS action unit 12) draws each corner obliquely back and up. The score
    is the mean over both corners of the outward plus the upward displacement from the centre of
    the lips, over the distance between the outer corners of the eyes, whose line also says what
    is upward. Neutral faces have about 0.3, broad smiles 0.5. A dropping jaw lowers the centre of
    the lips and raises the score by half the opening: read it beside `mouth_opening`.
    """
    across = points[..., RIGHT_EYE["outer"], :] - points[..., LEFT_EYE["outer"], :]
    scale = np.linalg.norm(across, axis=-1)
    right = across / scale[..., None]
    up = np.stack([right[..., 1], -right[..., 0]], axis=-1)
    centre = points[..., [_UPPER_LIP, _LOWER_LIP], :].mean(-2)
    left_corner, right_corner = (points[..., i, :] - centre for i in _OUTER_CORNERS)
    outward = ((right_corner - left_corner) * right).sum(-1)
    upward = ((right_corner + left_corner) * up).sum(-1)
    score: Points = (outward + upward) / (2 * scale)
    return score


ATTRIBUTES: dict[str, Callable[[Points], Points]] = {
    "eye_opening": eye_opening,
    "mouth_opening": mouth_opening,
    "smile": smile,
}


def _distance(points: Points, a: int, b: int) -> Points:
    distance: Points = np.linalg.norm(points[..., a, :] - points[..., b, :], axis=-1)
    return distance
