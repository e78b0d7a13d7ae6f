"""Difference maps: where in the image each method's edit changes something."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lowrankgan.figures.style import (
    head_height,
    mark_missed,
    outline,
    place_image,
    shades,
    styled,
    wrapped,
)

_CELL, _GAP, _FACE_GAP, _FOOTER, _BAR = 1.2, 0.03, 0.14, 0.5, 0.1  # inches


@styled
def difference_maps(
    original: NDArray[np.uint8],
    edited: Mapping[str, NDArray[np.uint8]],
    mask: NDArray[np.bool_],
    colour_map: str,
    title: str,
    missed: Mapping[str, NDArray[np.bool_]],
) -> Figure:
    """Draw each face's original and, by method, the edit above its difference from the original.

    The difference is the absolute one averaged over RGB, in grey levels (units of 1/255), on one
    scale for the whole figure.

    Args:
        original: [faces, H, W, 3] uint8.
        edited: method to [faces, H, W, 3] uint8.
        mask: the region, bool [h, w] for all faces or [faces, h, w]; any resolution.
        colour_map: matplotlib's name of a sequential colour map.
        title: of the figure.
        missed: method to [faces], edits that have not reached their target; they are marked.
    """
    faces, height, width = original.shape[:3]
    regions = np.broadcast_to(mask, (faces, *mask.shape[-2:]))
    differences = {method: _difference(original, images) for method, images in edited.items()}
    # Nothing changed at all still needs a scale: one grey level.
    scale = shades(np.stack(list(differences.values())), colour_map, least=1.0)
    high = _CELL * height / width
    block = 2 * high + _GAP + _FACE_GAP
    columns = [(2 + i) * (_CELL + _GAP) for i in range(len(edited))]
    names = dict(zip(edited, wrapped(edited), strict=True))
    head = head_height(names.values())
    size = columns[-1] + _CELL, head + faces * block - _FACE_GAP + _FOOTER
    figure = Figure(figsize=size)
    figure.suptitle(title, x=0, y=1, ha="left", va="top")
    for face in range(faces):
        top = head + face * block
        large = place_image(figure, original[face], (0, top, 2 * _CELL + _GAP, 2 * high + _GAP))
        outline(large, regions[face])
        _head(large, "original", face)
        for left, method in zip(columns, edited, strict=True):
            above = place_image(figure, edited[method][face], (left, top, _CELL, high))
            _head(above, names[method], face)
            if missed[method][face]:
                mark_missed(above)
            box = left, top + high + _GAP, _CELL, high
            below = place_image(figure, differences[method][face], box, scale)
            outline(below, regions[face])
    _draw_scale(figure, scale)
    return figure


def _difference(
    original: NDArray[np.uint8], edited: NDArray[np.uint8]
) -> NDArray[np.floating[Any]]:
    """Absolute difference averaged over RGB, [faces, H, W], in grey levels."""
    difference: NDArray[np.floating[Any]] = np.abs(edited.astype(np.float32) - original).mean(-1)
    return difference


def _head(axes: Axes, name: str, face: int) -> None:
    if face == 0:
        axes.set_title(name, loc="center", weight="normal", size=8.5, pad=4)


def _draw_scale(figure: Figure, scale: ScalarMappable) -> None:
    """Draw a colour bar below the last columns."""
    wide, high = figure.get_size_inches()
    length = 2 * _CELL + _GAP
    bottom = _FOOTER - _BAR - 0.1
    bar = figure.add_axes((1 - length / wide, bottom / high, length / wide, _BAR / high))
    label = "mean |difference| over RGB (1/255)"
    figure.colorbar(scale, cax=bar, orientation="horizontal", extend="max", label=label)
    bar.spines[:].set_visible(False)
