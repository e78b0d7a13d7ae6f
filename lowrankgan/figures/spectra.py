"""Spectra of the Gram matrices, with the ranks that each rule takes from them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lowrankgan.figures.style import FAINT, SIDES, end_labels, panels, styled

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
    figure, grid = panels(len(values), 3.7, 3.2)
    curves = {
        region: {side: np.sort(v)[::-1] / v.max() for side, v in sides.items()}
        for region, sides in values.items()
    }
    lowest = min(float(c.min()) for sides in curves.values() for c in sides.values())
    floor = float(np.clip(lowest, _FLOOR, 0.1))  # a flat spectrum still gets a decade
    flags = max(sum(map(len, sides.values())) for sides in ranks.values())
    for axes, region in zip(grid, values, strict=True):
        _prepare(axes, floor, flags)
        _draw_curves(axes, curves[region], floor)
        _draw_ranks(axes, curves[region], ranks[region], floor)
        axes.set_title(region.replace("_", " "))
    figure.supxlabel("index of the eigenvalue")
    figure.supylabel("eigenvalue / largest")
    return figure


def _prepare(axes: Axes, floor: float, flags: int) -> None:
    """Leave the upper part of the axes to the flags, so that no label lies on a curve."""
    free = 0.05 + flags * _FLAG
    axes.set_yscale("log")
    axes.set_ylim(floor, floor ** -(free / (1 - free)))
    axes.set_yticks([10.0**k for k in range(0, math.floor(math.log10(floor)) - 1, -2)])
    axes.set_yticks([], minor=True)
    axes.grid(axis="y", color=FAINT)


def _draw_curves(axes: Axes, curves: Mapping[str, NDArray[np.floating[Any]]], floor: float) -> None:
    for side, curve in curves.items():
        axes.plot(np.arange(1, len(curve) + 1), curve, color=SIDES[side], label=side)
    axes.set_xlim(1, max(map(len, curves.values())))
    ends = {side: (len(c), max(float(c[-1]), floor)) for side, c in curves.items()}
    end_labels(axes, ends, SIDES)


def _draw_ranks(
    axes: Axes,
    curves: Mapping[str, NDArray[np.floating[Any]]],
    ranks: Mapping[str, Mapping[str, int]],
    floor: float,
) -> None:
    flags = sorted(
        (rank, side, rule) for side, rules in ranks.items() for rule, rank in rules.items()
    )
    for level, (rank, side, rule) in enumerate(flags):
        point = rank, max(float(curves[side][rank - 1]), floor)
        label = rule if rule.endswith(f" {rank}") else f"{rule}: {rank}"
        _fly(axes, point, 0.97 - level * _FLAG, label, SIDES[side])


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
