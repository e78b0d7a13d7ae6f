"""Strips of edited images: one face a row, one edit or one step of it a column."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lowrankgan.figures.style import (
    INK,
    MUTED,
    head_height,
    mark_missed,
    outline,
    place_image,
    styled,
    wrapped,
)

_CELL, _GAP = 1.2, 0.03  # inches


@styled
def edit_strips(
    images: NDArray[np.uint8],
    labels: Sequence[str],
    mask: NDArray[np.bool_],
    title: str,
    original: int,
    missed: NDArray[np.bool_],
) -> Figure:
    """Draw faces by edits, with the region outlined on the original.

    Args:
        images: [faces, edits, H, W, 3] uint8.
        labels: one for each column.
        mask: the region, bool [h, w] for all faces or [faces, h, w]; any resolution.
        title: of the figure.
        original: column of the images that are not edited.
        missed: [faces, edits], edits that have not reached their target; they are marked.
    """
    faces, steps, height, width = images.shape[:4]
    regions = np.broadcast_to(mask, (faces, *mask.shape[-2:]))
    high, names = _CELL * height / width, wrapped(labels)
    head = head_height(names)
    size = steps * (_CELL + _GAP) - _GAP, head + faces * (high + _GAP) - _GAP
    figure = Figure(figsize=size)
    figure.suptitle(title, x=0, y=1, ha="left", va="top")
    for step, label in zip(range(steps), names, strict=True):
        for face in range(faces):
            box = step * (_CELL + _GAP), head + face * (high + _GAP), _CELL, high
            axes = place_image(figure, images[face, step], box)
            if step == original:
                outline(axes, regions[face])
            elif missed[face, step]:
                mark_missed(axes)
            if face == 0:
                colour, weight = (INK, "bold") if step == original else (MUTED, "normal")
                axes.set_title(label, loc="center", color=colour, weight=weight, size=8.5, pad=4)
    return figure
