"""Losses of a training, smoothed."""

import pandas as pd
from matplotlib.figure import Figure

from lowrankgan.figures.style import FAINT, PALETTE, end_labels, panels, styled

_WINDOWS = 100  # points that are left of each curve


@styled
def loss_curves(losses: pd.DataFrame) -> Figure:
    """Draw the losses over steps, each point the mean of a window.

    Args:
        losses: one row a step, one column a network.
    """
    window = max(len(losses) // _WINDOWS, 1)
    smooth = losses.groupby(losses.index // window).mean()
    figure, (axes,) = panels(1, 6.0, 2.8)
    axes.grid(axis="y", color=FAINT)
    colours = dict(zip(losses.columns, PALETTE, strict=False))
    for name, colour in colours.items():
        axes.plot((smooth.index + 0.5) * window, smooth[name], color=colour)
    axes.set(xlabel="step", ylabel="hinge loss", xlim=(0, len(losses)))
    ends = {str(name): (float(len(losses)), float(smooth[name].iloc[-1])) for name in colours}
    end_labels(axes, ends, colours)
    return figure
