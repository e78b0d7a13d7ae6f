"""Sensitivity maps: which pixels the latent moves most, and where the regions lie on them."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from lowrankgan.figures.style import INK, outline, place_image, shades, styled

_CELL, _GAP, _BAR = 2.1, 0.04, 0.1  # inches
_ROOM, _LINE = 0.25, 0.055  # width and height of a name, in images


@styled
def sensitivity_maps(
    images: NDArray[np.uint8],
    maps: NDArray[np.floating[Any]],
    masks: Mapping[str, NDArray[np.bool_]],
    colour_map: str,
) -> Figure:
    """Draw each image above its sensitivity map, on which the regions are outlined and named.

    Args:
        images: [n, H, W, 3] uint8.
        maps: [n, R, R] float, root mean squared derivative of each pixel, at least 0; one scale
            serves all of them.
        masks: region name to bool [n, R, R].
        colour_map: matplotlib's name of a sequential colour map.
    """
    count, height, width = images.shape[:3]
    high = _CELL * height / width
    scale = shades(maps, colour_map)
    figure = Figure(figsize=(count * (_CELL + _GAP) + 0.6, 2 * high + _GAP))
    for i in range(count):
        left = i * (_CELL + _GAP)
        place_image(figure, images[i], (left, 0, _CELL, high))
        axes = place_image(figure, maps[i], (left, high + _GAP, _CELL, high), scale)
        for mask in masks.values():
            outline(axes, mask[i])
        _name_regions(axes, {name: mask[i] for name, mask in masks.items()})
    _draw_scale(figure, scale, count * (_CELL + _GAP), high)
    return figure


def _name_regions(axes: Axes, masks: Mapping[str, NDArray[np.bool_]]) -> None:
    """Write names beside their regions, one below the other where they would meet."""
    taken: list[tuple[str, float]] = []
    for name, mask in masks.items():
        rows, columns = (np.flatnonzero(mask.any(axis)) / len(mask) for axis in (1, 0))
        if not rows.size:
            continue
        x, align = _beside(columns[0], columns[-1])
        height = rows[0] + _LINE if align == "center" else (rows[0] + rows[-1]) / 2
        while any(align == side and abs(height - h) < _LINE for side, h in taken):
            height += _LINE
        taken.append((align, height))
        halo = withStroke(linewidth=1.8, foreground=INK)
        axes.text(
            x,
            height,
            name.replace("_", " "),
            ha=align,
            va="center",
            size=7.5,
            color="white",
            path_effects=[halo],
        )


def _beside(left: float, right: float) -> tuple[float, Literal["left", "center", "right"]]:
    """Where a name goes: to the outer side of the region, the inner one, or onto it."""
    outer_is_left = left + right < 0.95
    if left > _ROOM and (outer_is_left or 1 - right < _ROOM):
        return left - 0.02, "right"
    if 1 - right > _ROOM:
        return right + 0.02, "left"
    return (left + right) / 2, "center"


def _draw_scale(figure: Figure, scale: ScalarMappable, left: float, height: float) -> None:
    wide, high = figure.get_size_inches()
    bar = figure.add_axes(((left + 0.04) / wide, 0, _BAR / wide, height / high))
    figure.colorbar(scale, cax=bar, extend="max", label="RMS derivative of a pixel by w")
    bar.spines[:].set_visible(False)
