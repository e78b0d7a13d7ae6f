"""The main figure: change outside the region at matched change inside, by method."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lowrankgan.figures.style import (
    FAINT,
    INK,
    MUTED,
    MethodStyle,
    log_ticks,
    measure_label,
    method_styles,
    panels,
    styled,
)

_INCHES = 0.2  # height of one direction of one method


class _Lane(NamedTuple):
    """Where in the row of a method a direction lies, and how far its marker fades to white."""

    offset: float
    tint: float


@styled
def outside_change(summary: pd.DataFrame, measure: str) -> Figure:
    """Draw means and intervals on a log axis: one panel a region, one row a method.

    The column beside each panel says what share of the faces reached the target; the mean is
    over those only.

    Args:
        summary: columns region, method, direction, mean, low, high, reached; one row each, so
            rows of `tables.summarize` for one source, target and measure. NaN means are not
            drawn, their rows stay. A repeated key is a ValueError.
        measure: name of the measure, such as "mse_outside".
    """
    styles = method_styles(summary["method"])
    lanes = _lanes(sorted(summary["direction"].unique()))
    regions = summary["region"].unique()
    height = len(styles) * (_INCHES * len(lanes) + 0.1) + 0.7
    figure, grid = panels(len(regions), 3.1, height, shared=True)
    places = dict(zip(regions, grid, strict=True))
    for region, axes in places.items():
        axes.set_title(str(region).replace("_", " "))
        _prepare(axes)
    keyed = summary.set_index(["region", "method", "direction"])
    rows: dict[Any, dict[Any, Any]] = keyed.to_dict("index")
    for (region, method, direction), row in rows.items():
        lane = lanes[direction]
        position = list(styles).index(method) + lane.offset
        _draw_row(places[region], row, position, styles[method], lane.tint)
    log_ticks(grid[0].xaxis)
    grid[0].set_yticks(range(len(styles)), list(styles))
    grid[0].set_ylim(len(styles) - 0.5, -0.5)
    figure.supxlabel(f"{measure_label(measure)} (mean and interval; less is better)")
    if len(lanes) > 1:
        figure.legend(handles=_key(lanes), ncols=len(lanes), loc="outside upper right")
    return figure


def _lanes(directions: list[int]) -> dict[int, _Lane]:
    count = len(directions)
    return {
        direction: _Lane(0.75 * (i - (count - 1) / 2) / count, i / max(count - 1, 1))
        for i, direction in enumerate(directions)
    }


def _prepare(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.grid(axis="x", color=FAINT)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.text(1.03, 1.02, "reached", transform=axes.transAxes, color=MUTED, size=7)


def _draw_row(
    axes: Axes, row: Mapping[Any, Any], height: float, style: MethodStyle, tint: float
) -> None:
    axes.hlines(height, row["low"], row["high"], color=style.colour, lw=1.4)
    axes.plot(row["mean"], height, **_look(style, tint))
    short = row["reached"] < 1
    axes.text(
        1.03,
        height,
        f"{math.floor(100 * row['reached'] + 1e-9)}%",
        transform=axes.get_yaxis_transform(),
        va="center",
        size=7,
        color=INK if short else MUTED,
        weight="bold" if short else "normal",
    )


def _look(style: MethodStyle, tint: float) -> dict[str, Any]:
    fill = [part + (1 - part) * tint for part in to_rgb(style.colour)]
    return {"marker": style.marker, "ls": "", "ms": 5.5, "mec": style.colour, "mfc": fill}


def _key(lanes: Mapping[int, _Lane]) -> list[Line2D]:
    style = MethodStyle(MUTED, "o")
    return [
        Line2D([], [], label=f"direction {direction}", **_look(style, lane.tint))
        for direction, lane in lanes.items()
    ]
