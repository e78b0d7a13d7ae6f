"""Spectra of the Gram matrices, with the ranks that each rule takes from them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lowrankgan.figures.style import FAINT, SIDES, end_labels, styled

_MOST_COLUMNS = 3
_FLOOR = 1e-8  # below it the largest eigenvalue's rounding error begins to show
_FLAG = 0.062  # height of one flag in axes


@styled
def spectra(
    values: Mapping[str, Mapping[str, NDArray[np.floating[Any]]]],
    ranks: Mapping[str, Mapping[str, Mapping[str, int]]],
) -> Figure:
    """Draw each region's eigenvalues, over the largest, and flag the rank by each rule.

    Args:
        values: region to side ("inside" or "outside") to [d] eigenvalues, in any order.
        ranks: region to side to rule to rank in 1..d; the rules' names are drawn as given.
    """
    columns = min(len(values), _MOST_COLUMNS)
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(3.7 * columns, 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (region, sides) in zip(grid.flat, values.items(), strict=False):
        curves = {side: np.sort(v)[::-1] / v.max() for side, v in sides.items()}
        _draw_curves(axes, curves)
        flags = sorted(
            (rank, side, rule)
            for side, rules in ranks[region].items()
            for rule, rank in rules.items()
        )
        _make_room(axes, len(flags))
        for level, (rank, side, rule) in enumerate(flags):
            point = rank, max(float(curves[side][rank - 1]), _FLOOR)
            _fly(axes, point, 0.97 - level * _FLAG, f"{rule}: {rank}", SIDES[side])
        ends = {side: (len(c), max(float(c[-1]), _FLOOR)) for side, c in curves.items()}
        end_labels(axes, ends, SIDES)
        axes.set_title(region.replace("_", " "))
    for axes in grid.flat[len(values) :]:
        axes.remove()
    figure.supxlabel("index of the eigenvalue", size=8.5)
    figure.supylabel("eigenvalue / largest", size=8.5)
    return figure


def _draw_curves(axes: Axes, curves: Mapping[str, NDArray[np.floating[Any]]]) -> None:
    for side, curve in curves.items():
        axes.plot(np.arange(1, len(curve) + 1), curve, color=SIDES[side], label=side)
    axes.set_yscale("log")
    axes.set_xlim(1, max(map(len, curves.values())))
    axes.grid(axis="y", color=FAINT)


def _make_room(axes: Axes, flags: int) -> None:
    """Leave the upper part of the axes to the flags, so that no label lies on a curve."""
    low = max(axes.get_ylim()[0], _FLOOR)
    free = 0.05 + flags * _FLAG
    axes.set_ylim(low, low ** -(free / (1 - free)))
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= 1])


def _fly(axes: Axes, point: tuple[float, float], height: float, label: str, colour: str) -> None:
    """Plant a pole on a curve and write its label at the top.

    Callers pass growing ranks with falling heights; so a label never meets the next pole.
    """
    to_data = (axes.transAxes + axes.transData.inverted()).transform
    top = float(to_data((0, height))[1])
    axes.plot([point[0]] * 2, [point[1], top], color=colour, lw=0.8)
    axes.plot(*point, "o", ms=3.5, color=colour)
    far = point[0] > 0.6 * axes.get_xlim()[1]
    axes.annotate(
        label,
        (point[0], top),
        xytext=(-3 if far else 3, 0),
        textcoords="offset points",
        ha="right" if far else "left",
        va="center",
        size=7.5,
        color=colour,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )
