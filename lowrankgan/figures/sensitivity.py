"""Sensitivity maps: which pixels the latent moves most, and where the regions lie on them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from lowrankgan.figures.style import INK, outline, place_image, styled

_CELL, _GAP, _BAR = 2.1, 0.04, 0.1  # inches
_TOP_PERCENTILE = 99.5  # a few glints must not darken the rest of the map


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
    shades = ScalarMappable(Normalize(0, float(np.percentile(maps, _TOP_PERCENTILE))), colour_map)
    figure = Figure(figsize=(count * (_CELL + _GAP) + 0.6, 2 * high + _GAP))
    for i in range(count):
        left = i * (_CELL + _GAP)
        place_image(figure, images[i], (left, 0, _CELL, high))
        axes = place_image(figure, maps[i], (left, high + _GAP, _CELL, high), shades)
        for name, mask in masks.items():
            outline(axes, mask[i])
            _name(axes, name, mask[i])
    _draw_scale(figure, shades, count * (_CELL + _GAP), high)
    return figure


def _name(axes: Axes, name: str, mask: NDArray[np.bool_]) -> None:
    """Write a region's name above its top edge, in the middle of its width."""
    rows, columns = np.nonzero(mask)
    if rows.size:
        middle = (columns.min() + columns.max() + 1) / 2 / mask.shape[1]
        axes.text(
            middle,
            rows.min() / mask.shape[0] - 0.015,
            name.replace("_", " "),
            ha="center",
            va="bottom",
            size=7.5,
            color="white",
            path_effects=[withStroke(linewidth=1.8, foreground=INK)],
        )


def _draw_scale(figure: Figure, shades: ScalarMappable, left: float, height: float) -> None:
    wide, high = figure.get_size_inches()
    bar = figure.add_axes(((left + 0.04) / wide, 0, _BAR / wide, height / high))
    figure.colorbar(shades, cax=bar, extend="max", label="RMS derivative of a pixel by w")
    bar.spines[:].set_visible(False)
