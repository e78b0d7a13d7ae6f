"""Strips of edited images: one face a row, one step of the edit a column."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lowrankgan.figures.style import INK, MUTED, outline, place_image, styled

_CELL, _GAP, _HEADER = 1.2, 0.03, 0.46  # inches


@styled
def edit_strips(
    images: NDArray[np.uint8], labels: Sequence[str], mask: NDArray[np.bool_], title: str
) -> Figure:
    """Draw faces by steps, with the region outlined on the original in the middle.

    Args:
        images: [faces, steps, H, W, 3] uint8; steps is odd and the middle one is the original.
        labels: one for each column.
        mask: the region, bool [h, w] for all faces or [faces, h, w]; any resolution.
        title: of the figure.
    """
    faces, steps, height, width = images.shape[:4]
    regions = np.broadcast_to(mask, (faces, *mask.shape[-2:]))
    high = _CELL * height / width
    size = steps * (_CELL + _GAP) - _GAP, _HEADER + faces * (high + _GAP) - _GAP
    figure = Figure(figsize=size)
    figure.suptitle(title, x=0, y=1, ha="left", va="top")
    for step, label in zip(range(steps), labels, strict=True):
        original = step == steps // 2
        for face in range(faces):
            box = step * (_CELL + _GAP), _HEADER + face * (high + _GAP), _CELL, high
            axes = place_image(figure, images[face, step], box)
            if original:
                outline(axes, regions[face])
            if face == 0:
                colour, weight = (INK, "bold") if original else (MUTED, "normal")
                axes.set_title(label, loc="center", color=colour, weight=weight, size=8.5, pad=4)
    return figure
