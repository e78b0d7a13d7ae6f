"""How far the first-order prediction of an edit holds."""

import pandas as pd
from matplotlib.figure import Figure

from lowrankgan.figures.style import FAINT, MUTED, end_labels, method_styles, panels, styled

_TENTH = "10 %"


@styled
def prediction_curves(errors: pd.DataFrame) -> Figure:
    """Draw one panel a region and one line a method; first order holds where it is low.

    Lines are medians over images, bands their range.

    Args:
        errors: columns region, method, seed, step (above 0) and error (relative, above 0).
    """
    styles = method_styles(errors["method"])
    regions = errors["region"].unique()
    figure, grid = panels(len(regions), 3.7, 3.0, shared=True)
    labels = []
    for axes, region in zip(grid, regions, strict=True):
        axes.set(xscale="log", yscale="log")
        axes.set_title(str(region).replace("_", " "))
        axes.grid(color=FAINT)
        axes.axhline(0.1, color=MUTED, lw=0.8, ls=(0, (4, 3)))
        ends, colours = {_TENTH: (errors["step"].max(), 0.1)}, {_TENTH: MUTED}
        for name, group in errors[errors["region"] == region].groupby("method", sort=False):
            line = group.groupby("step")["error"].agg(["min", "median", "max"])
            colour, marker = styles[str(name)]
            axes.fill_between(line.index, line["min"], line["max"], color=colour, alpha=0.15, lw=0)
            axes.plot(line.index, line["median"], color=colour, marker=marker, ms=3.5)
            ends[str(name)] = line.index[-1], line["median"].iloc[-1]
            colours[str(name)] = colour
        axes.margins(x=0)
        labels.append((axes, ends, colours))
    for axes, ends, colours in labels:  # once the limits that panels share are final
        axes.get_ylim()
        end_labels(axes, ends, colours)
    figure.supxlabel("step along the direction")
    figure.supylabel("relative error of first order")
    return figure
