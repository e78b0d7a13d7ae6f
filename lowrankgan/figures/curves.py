"""Change outside the region against change inside it, as the step of the edit grows."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lowrankgan.figures.style import (
    FAINT,
    MUTED,
    MethodStyle,
    end_labels,
    log_ticks,
    measure_label,
    method_styles,
    panels,
    styled,
)

_EQUAL = "outside = inside"


@styled
def inside_outside_curves(table: pd.DataFrame, measure: str) -> Figure:
    """Draw one panel a region and one line a method; what lies lower is more local.

    A point of a line is one length of step: the medians over faces of the changes inside and
    outside, both signs of the step taken together. The band holds the middle half of the faces.

    Args:
        table: columns region, method, face, step (any sign; 0 is left out), inside and outside
            (at least 0).
        measure: name of the measure, such as "mse".
    """
    styles = method_styles(table["method"])
    regions = table["region"].unique()
    figure, grid = panels(len(regions), 3.9, 3.1)
    for axes, region in zip(grid, regions, strict=True):
        _draw_region(axes, table[table["region"] == region], styles)
        axes.set_title(region.replace("_", " "))
    figure.supxlabel(f"{measure_label(measure)} inside the region")
    figure.supylabel(f"{measure_label(measure)} outside the region")
    return figure


def _draw_region(axes: Axes, table: pd.DataFrame, styles: dict[str, MethodStyle]) -> None:
    axes.set(xscale="log", yscale="log")
    axes.grid(color=FAINT)
    ends: dict[str, tuple[float, float]] = {}
    for method, faces in table.groupby("method", sort=False):
        name = str(method)
        line = _quartiles(faces)
        colour, marker = styles[name]
        axes.fill_between(line["inside"], line["low"], line["high"], color=colour, alpha=0.15, lw=0)
        axes.plot(line["inside"], line["outside"], color=colour, marker=marker, ms=3.5, label=name)
        ends[name] = line["inside"].iloc[-1], line["outside"].iloc[-1]
    colours = {name: style.colour for name, style in styles.items()}
    ends |= _draw_diagonal(axes)
    log_ticks(axes.xaxis)
    log_ticks(axes.yaxis)
    end_labels(axes, ends, colours | {_EQUAL: MUTED})


def _quartiles(faces: pd.DataFrame) -> pd.DataFrame:
    """Median inside, and quartiles outside (low, outside, high), by growing length of step."""
    # Rounded because -1.3333 and 1.3333 of one linspace may differ in their last bit.
    lengths = faces["step"].abs().round(9)
    groups = faces[lengths > 0].groupby(lengths)
    return pd.DataFrame(
        {
            "inside": groups["inside"].median(),
            "low": groups["outside"].quantile(0.25),
            "outside": groups["outside"].median(),
            "high": groups["outside"].quantile(0.75),
        }
    )


def _draw_diagonal(axes: Axes) -> dict[str, tuple[float, float]]:
    """Draw the line of equal change; return its end by its name, or nothing if it is not in view.

    The axes are not widened for it.
    """
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    axes.axline((left, left), (right, right), color=MUTED, lw=0.8, ls=(0, (4, 3)), zorder=1)
    axes.set(xlim=(left, right), ylim=(low, high))
    end = min(right, high)
    return {_EQUAL: (end, end)} if end > max(left, low) else {}
