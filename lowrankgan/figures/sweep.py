"""What an edit leaks against the rank that its method gives the background."""

import pandas as pd
from matplotlib.figure import Figure

from lowrankgan.figures.style import (
    FAINT,
    end_labels,
    log_ticks,
    measure_label,
    method_styles,
    panels,
    styled,
)


@styled
def outside_by_rank(table: pd.DataFrame, measure: str) -> Figure:
    """Draw one panel a region and one line a method: means with their intervals.

    Args:
        table: columns region, name (of the method), kept (directions that the background keeps),
            mean, low and high (NaN without one).
        measure: that the means are of, such as "mse_outside".
    """
    styles = method_styles(table["name"])
    regions = table["region"].unique()
    figure, grid = panels(len(regions), 3.6, 3.1)
    for axes, region in zip(grid, regions, strict=True):
        ends = {}
        chosen = table[table["region"] == region]
        for name, line in chosen.sort_values("kept").groupby("name", sort=False):
            colour, marker = styles[str(name)]
            axes.fill_between(
                line["kept"], line["low"], line["high"], color=colour, alpha=0.15, lw=0
            )
            axes.plot(line["kept"], line["mean"], color=colour, marker=marker, ms=3.5)
            if len(reached := line.dropna(subset=["mean"])):
                ends[str(name)] = reached["kept"].iloc[-1], reached["mean"].iloc[-1]
        axes.set(yscale="log", title=region.replace("_", " "))
        axes.grid(color=FAINT)
        log_ticks(axes.yaxis)
        end_labels(axes, ends, {name: style.colour for name, style in styles.items()})
    figure.supxlabel("directions that the background keeps")
    figure.supylabel(measure_label(measure))
    return figure
