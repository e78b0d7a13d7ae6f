"""Generalisation: directions found on one image, applied to others."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from lowrankgan.figures.style import FAINT, INK, MUTED, SEQUENTIAL, log_ticks, measure_label, styled

_MOST_ANNOTATED = 10
_MOST_NAMED = 40  # of more faces, only some are named
_WIDEST = 10.0  # inches of a heat map
_UNREACHED: dict[str, Any] = {"facecolor": FAINT, "edgecolor": MUTED, "hatch": "////", "lw": 0}


@styled
def generalization_matrix(table: pd.DataFrame, measure: str, means: pd.DataFrame) -> Figure:
    """Draw one heat map a region: analysis images by test faces, the change outside as colour.

    Args:
        table: columns region, source, face, reached (bool) and the measure; one row each, so of
            one method, direction and target. Faces that did not reach the target are hatched.
        measure: column of the table, such as "mse_outside"; above 0.
        means: columns region, source, mean, low, high, one row each: rows of `tables.summarize`
            for the same method, direction, target and measure; drawn to the right of each row.
    """
    table = table.assign(value=table[measure].where(table["reached"]))
    matrices = {
        str(region): faces.pivot(index="source", columns="face", values="value").loc[
            faces["source"].unique()
        ]
        for region, faces in table.groupby("region", sort=False)
    }
    norm = _scale(table["value"])
    figure, grid = _panels(list(matrices.values()))
    for (region, matrix), row in zip(matrices.items(), grid, strict=True):
        _draw_matrix(row[0], matrix, norm)
        row[0].set_title(region.replace("_", " "))
        intervals = means[means["region"] == region].set_index("source")
        _draw_means(row[1], intervals.reindex(matrix.index))
    grid[-1, 0].set_xlabel("test face")
    grid[-1, 1].set_xlabel("mean over faces and interval")
    log_ticks(grid[-1, 1].xaxis)
    _explain(figure, grid, norm, measure_label(measure))
    return figure


@styled
def transfer_matrix(table: pd.DataFrame, measure: str, ratios: pd.DataFrame) -> Figure:
    """Draw one heat map a region: analysis images by themselves, the diagonal framed.

    Args:
        table: as for `generalization_matrix`, of the faces that are the sources, "seed <face>".
        measure: column of the table; above 0.
        ratios: indexed by region, columns ratio, low and high of `tables.transfer`.
    """
    table = table.assign(value=table[measure].where(table["reached"]))
    regions, norm = table["region"].unique(), _scale(table["value"])
    count = table["face"].nunique()
    side = max(1.6, 0.36 * count)
    figure = Figure(figsize=(len(regions) * (side + 0.8) + 0.6, side + 1.6), layout="constrained")
    grid = figure.subplots(1, len(regions), squeeze=False)
    if not table["reached"].all():
        figure.legend(handles=[_hatching()], loc="outside upper right")
    for axes, region in zip(grid[0], regions, strict=True):
        faces = table[table["region"] == region]
        matrix = faces.pivot(index="source", columns="face", values="value")
        _draw_matrix(axes, matrix.loc[[f"seed {face}" for face in matrix.columns]], norm)
        for i in range(len(matrix)):
            axes.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, ec=INK, lw=1.4))
        axes.set_xlabel("face")
        ratio, low, high = ratios.loc[region, ["ratio", "low", "high"]]
        title = f"others / own {ratio:.2f} ({low:.2f} to {high:.2f})"
        axes.set_title(f"{region.replace('_', ' ')}\n{title}", size=8.5)
    _draw_scale(figure, list(grid[0]), norm, measure_label(measure))
    return figure


def _scale(values: "pd.Series[float]") -> LogNorm:
    reached = values.dropna()
    # Where no face reached the target there is nothing to shade, but the bar needs its ends.
    return LogNorm(reached.min(), reached.max()) if len(reached) else LogNorm(0.1, 1)


def _panels(matrices: Sequence[pd.DataFrame]) -> tuple[Figure, NDArray[np.object_]]:
    sources, faces = matrices[0].shape
    heat = min(_WIDEST, max(3.2, faces * (0.46 if faces <= _MOST_ANNOTATED else 0.2)))
    widths = [heat, 1.9]
    size = sum(widths) + 1.2, len(matrices) * (0.27 * sources + 0.4) + 1.1
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(matrices), 2, squeeze=False, width_ratios=widths, sharex="col")
    return figure, grid


def _draw_matrix(axes: Axes, matrix: pd.DataFrame, norm: LogNorm) -> None:
    values = matrix.to_numpy(dtype=float)
    rows, columns = values.shape
    axes.imshow(np.ma.masked_invalid(values), cmap=SEQUENTIAL, norm=norm, aspect="auto")
    named = range(0, columns, math.ceil(columns / _MOST_NAMED))
    axes.set_xticks(named, [str(matrix.columns[k]) for k in named])
    axes.set_yticks(range(rows), [str(source) for source in matrix.index])
    if columns <= _MOST_NAMED:  # lines between more would hide them
        axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    for row, column in np.argwhere(np.isnan(values)):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, zorder=0.2, **_UNREACHED))
    if columns <= _MOST_ANNOTATED:
        _annotate(axes, values, norm)


def _annotate(axes: Axes, values: NDArray[np.float64], norm: LogNorm) -> None:
    unit = 10.0 ** _exponent(norm)
    for row, column in np.argwhere(~np.isnan(values)):
        value = values[row, column]
        axes.text(
            column,
            row,
            f"{value / unit:#.2g}".rstrip(".") if value < 99 * unit else f"{value / unit:.0f}",
            ha="center",
            va="center",
            size=7,
            color="white" if norm(value) > 0.5 else INK,
        )


def _exponent(norm: LogNorm) -> int:
    """Power of ten, a multiple of three, that spares the numbers in the cells their zeros."""
    return 3 * math.floor(math.log10(norm.inverse(1.0)) / 3)


def _draw_means(axes: Axes, intervals: pd.DataFrame) -> None:
    """Draw means and intervals at the heights of the rows of the matrix to the left."""
    heights = range(len(intervals))
    axes.hlines(heights, intervals["low"], intervals["high"], color=MUTED, lw=1.4)
    axes.plot(intervals["mean"], heights, "o", color=INK, ms=4)
    axes.set(xscale="log", ylim=(len(intervals) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT)


def _hatching() -> Patch:
    return Patch(**_UNREACHED, label="target not reached")


def _explain(figure: Figure, grid: NDArray[np.object_], norm: LogNorm, label: str) -> None:
    """Add the scale below the matrices, and what hatching means above the last panel."""
    _draw_scale(figure, list(grid[:, 0]), norm, label)
    if any(axes.patches for axes in grid[:, 0]):
        grid[0, 1].legend(handles=[_hatching()], loc="lower right", bbox_to_anchor=(1, 1))


def _draw_scale(figure: Figure, panels: list[Axes], norm: LogNorm, label: str) -> None:
    """Add the bar of colours below the panels, with the unit of the numbers in their cells."""
    if any(axes.texts for axes in panels) and (exponent := _exponent(norm)):
        label += f" (numbers in $10^{{{exponent}}}$)"
    bar = figure.colorbar(
        ScalarMappable(norm, SEQUENTIAL),
        ax=panels,
        location="bottom",
        aspect=45,
        pad=0.02,
        label=label,
    )
    bar.outline.set_visible(False)
    log_ticks(bar.ax.xaxis)
