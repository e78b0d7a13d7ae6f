"""What all figures share: colours, type, names of measures, images on a canvas, saving."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from lowrankgan.files import replacing

# Okabe and Ito's colours without their yellow, and three dark ones chosen so that no pair comes
# closer than the closest of theirs under simulated protanopia, deuteranopia and tritanopia.
PALETTE = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#882255", "#222222", "#222288"),
)
# One marker fewer than colours: method number ten repeats a colour, not a pair.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")

INK, MUTED, FAINT = "#222222", "#6E6E6E", "#E4E4E4"
SIDES = {"inside": PALETTE[1], "outside": PALETTE[0]}
SEQUENTIAL = "YlGnBu"

_MEASURES = {
    "mse": "MSE",
    "lpips_alex": "LPIPS (AlexNet)",
    "lpips_vgg": "LPIPS (VGG)",
    "lpips_alex_composite": "composite LPIPS (AlexNet)",
    "lpips_alex_spill": "composite LPIPS (AlexNet) outside",
}

# DejaVu Sans comes with matplotlib, so figures look the same on every machine.
_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.6,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.labelsize": 8.5,
    "figure.titlesize": 10.5,
    "figure.titleweight": "bold",
    "pdf.fonttype": 42,
}

styled = matplotlib.rc_context(_RC)
"""Decorator: the function draws in the shared style and leaves matplotlib's settings alone."""


class MethodStyle(NamedTuple):
    """How a method looks in every figure."""

    colour: str
    marker: str


def method_styles(methods: Iterable[str]) -> dict[str, MethodStyle]:
    """Give each method a colour and a marker by its position among the distinct names.

    Tables that list the methods in one order give a method one look in all figures.
    """
    return {
        method: MethodStyle(PALETTE[i % len(PALETTE)], _MARKERS[i % len(_MARKERS)])
        for i, method in enumerate(dict.fromkeys(methods))
    }


def measure_label(measure: str) -> str:
    """Name of a measure for an axis: "mse_outside" becomes "MSE outside the region"."""
    for side in SIDES:
        if measure.endswith(f"_{side}"):
            return f"{measure_label(measure.removesuffix(f'_{side}'))} {side} the region"
    return _MEASURES.get(measure, measure.replace("_", " "))


def panels(
    count: int, width: float, height: float, shared: bool = False
) -> tuple[Figure, list[Axes]]:
    """Lay out axes of a size in inches, three a row, with shared limits or their own."""
    columns = min(count, 3)
    rows = -(-count // columns)
    layout = ConstrainedLayoutEngine(wspace=0.05)
    figure = Figure(figsize=(columns * width, rows * height), layout=layout)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)
    for axes in grid.flat[count:]:
        axes.remove()
    for axes in grid.flat[:count]:
        axes.tick_params(labelbottom=True)  # sharing keeps labels in the last row only
    return figure, list(grid.flat[:count])


def place_image(
    figure: Figure,
    image: NDArray[Any],
    box: tuple[float, float, float, float],
    scale: ScalarMappable | None = None,
) -> Axes:
    """Draw an image into a box: left, top, width, height in inches from the top left corner.

    The image fills bare axes in unit coordinates; so grids have exactly the gaps they were
    given, and masks of another resolution fit on top.

    Args:
        figure: to draw on.
        image: [H, W, 3] uint8, or values [H, W] for which a scale is given.
        box: the place.
        scale: of values, as `shades` makes it.
    """
    wide, high = figure.get_size_inches()
    left, top, width, height = box
    axes = figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))
    axes.set_axis_off()
    look: dict[str, Any] = {"cmap": scale.cmap, "norm": scale.norm} if scale else {}
    axes.imshow(image, extent=(0, 1, 1, 0), aspect="auto", **look)
    return axes


def shades(
    values: NDArray[np.floating[Any]], colour_map: str, least: float = 0.0
) -> ScalarMappable:
    """Colours for values from 0 to nearly the largest of them, or to `least` if that is more.

    A few glints must not darken the rest of a map, so the scale ends at the 99.5th percentile.
    """
    peak = max(least, float(np.percentile(values, 99.5)))
    return ScalarMappable(Normalize(0, peak), colour_map)


def outline(axes: Axes, mask: NDArray[np.bool_]) -> None:
    """Draw the border of a bool mask [H, W] on a placed image, readable on any ground."""
    # The frame of False closes the border of a region that touches the edge of the image.
    padded = np.pad(mask, 1).astype(float)
    y, x = ((np.arange(-1, n + 1) + 0.5) / n for n in mask.shape)
    contour = axes.contour(x, y, padded, levels=[0.5], colors=["white"], linewidths=1.1)
    contour.set_path_effects([withStroke(linewidth=2.2, foreground=INK, alpha=0.7)])
    axes.set(xlim=(0, 1), ylim=(1, 0))


def wrapped(labels: Iterable[str]) -> list[str]:
    """Labels of columns of about 1.2 inches, in lines that stay within their column."""
    return ["\n".join(fill(line, 16) for line in label.splitlines()) for label in labels]


def head_height(labels: Iterable[str]) -> float:
    """Inches above columns with such labels: for their lines, and for the title."""
    return 0.2 + 0.15 * max(label.count("\n") + 2 for label in labels)


def mark_missed(axes: Axes) -> None:
    """Say on a placed image that its edit has not reached the change that others have."""
    text = axes.text(0.5, 0.97, "target not reached", ha="center", va="bottom", size=6.5, color="w")
    text.set_path_effects([withStroke(linewidth=1.6, foreground=INK)])


def end_labels(
    axes: Axes, ends: Mapping[str, tuple[float, float]], colours: Mapping[str, str]
) -> None:
    """Name lines at the right edge of axes whose limits are final, without overlaps.

    Args:
        axes: where the lines are.
        ends: name of a line to its last point (x, y), in data coordinates.
        colours: name of a line to its colour.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = {name: float(to_axes.transform(end)[1]) for name, end in ends.items()}
    wanted = {name: height for name, height in heights.items() if np.isfinite(height)}
    placed: dict[str, float] = {}
    for name, height in sorted(wanted.items(), key=lambda item: item[1]):
        placed[name] = max(height, max(placed.values(), default=-1.0) + 0.065)
    shift = sum(placed[name] - wanted[name] for name in placed) / max(len(placed), 1)
    for name, height in placed.items():
        axes.annotate(
            name,
            ends[name],
            xytext=(1.03, height - shift),
            textcoords="axes fraction",
            va="center",
            color=colours[name],
            arrowprops={"arrowstyle": "-", "color": colours[name], "lw": 0.6, "alpha": 0.6},
            annotation_clip=False,
        )


def log_ticks(axis: Axis) -> None:
    """Label a log axis whose limits are final: each decade, and between them if there are few."""
    low, high = axis.get_view_interval()
    axis.set_minor_formatter(NullFormatter())
    if high / low < 100:
        steps = LogLocator(subs=(1, 2, 5) if high / low < 25 else (1, 3))
        axis.set_major_locator(steps if high / low > 4 else MaxNLocator(4))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


@styled
def save(figure: Figure, stem: Path) -> None:
    """Write stem.png (200 dpi) and stem.pdf; the same figure gives the same bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, dict[str, Any]] = {
        # Half of the time for a tenth more bytes.
        "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
        "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    }
    for suffix, chosen in options.items():
        with replacing(stem.with_name(f"{stem.name}.{suffix}")) as temporary:
            figure.savefig(
                temporary,
                **chosen,
                format=suffix,
                dpi=200,
                bbox_inches="tight",
                pad_inches=0.08,
                facecolor="white",
            )
