"""The table and the figure of benchmarks, from their results.json alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lowrankgan.figures.style import (
    FAINT,
    INK,
    MUTED,
    PALETTE,
    end_labels,
    log_ticks,
    panels,
    styled,
)
from lowrankgan.files import replacing
from lowrankgan.tables import markdown_table

_UNITS = {"seconds": "time", "gb": "memory"}
_NAMES = {"d": "d", "resolution": "resolution", "regions": "regions"}
_NAMES |= {"images": "analysis images", "faces": "edited faces"}


class Ratio(NamedTuple):
    """How many times longer one side takes than the other.

    Attributes:
        name: both sides.
        values: median, least and largest over the repeats.
        aim: what was aimed at.
        error: relative error of what was computed, of both sides where it is known.
        note: what was left out of the measurement.
    """

    name: str
    values: tuple[float, float, float]
    aim: str = ""
    error: str = ""
    note: str = ""


def write(stem: Path) -> None:
    """Write stem.md and stem.png from stem.json."""
    results = json.loads(stem.with_suffix(".json").read_text())
    with replacing(stem.with_suffix(".md")) as temporary:
        temporary.write_text(table(results))
    with replacing(stem.with_suffix(".png")) as temporary:
        figure(results).savefig(
            temporary, format="png", dpi=150, facecolor="white", metadata={"Software": None}
        )


def ratios(results: Mapping[str, Any]) -> list[Ratio]:
    """Every comparison that was measured."""
    found = list(_of_jacobian(results))
    if "factorization" in results:
        pursuit = results["factorization"]
        excess = " and ".join(f"{pursuit['excess'][side]:.0e}" for side in ("published", "this"))
        found.append(
            Ratio(
                "published pursuit / this one, on one core",
                _ratio(pursuit["seconds"]["published"], pursuit["seconds"]["this"]),
                "at least 20",
                f"objective above the optimum by {excess}",
                f"{pursuit['matrix']}; both run to their end",
            )
        )
    if "forward" in results:
        forward = results["forward"]
        found.append(
            Ratio(
                "OpenVINO's forward / this one",
                _ratio(forward["seconds"]["openvino"], forward["seconds"]["this"]),
                "at least 1",
                f"{forward['error']:.0e}",
                f"{forward['resolution']} px, float32",
            )
        )
    return found


def _of_jacobian(results: Mapping[str, Any]) -> Iterator[Ratio]:
    measured, grams = results["jacobian"], results["grams"]
    times, share, errors = measured["seconds"], measured["extrapolated"], measured["error"]
    d, rows = measured["d"], measured["resolution"] ** 2
    floor_aim = "at most 2" if results["machine"]["gpu"] else "at most 1.5"
    columns = "" if share["engine"] == d else f" and {share['engine']} of {d} columns"
    engines = {"engine": f"this engine ({measured['tangents']} tangents)"}
    if "exact engine" in times:
        engines["exact engine"] = f"this engine in {measured['dtype']}"
    others = [
        ("published", "published loop", "at least 200", f"{share['published']} of {rows} rows"),
        ("vmap(jvp)", "vmap(jvp)", "", f"{share['vmap(jvp)']} of {d}"),
    ]
    for engine, name in engines.items():
        for side, other, aim, timed in others:
            yield Ratio(
                f"{other} / {name}",
                _ratio(times[side], times[engine]),
                aim,
                f"{errors[side]:.0e} and {errors[engine]:.0e} of float64",
                f"extrapolated from {timed}{columns}",
            )
        yield Ratio(
            f"{name} / floor ({d} forward passes)",
            _ratio(times[engine], times["floor"]),
            floor_aim,
            "",
            f"{measured['floor']}" + (f"; extrapolated from {share['engine']}" if columns else ""),
        )
    whole = grams["seconds"]["jacobian"]
    yield Ratio(
        f"all {d} columns in {measured['dtype']}, measured / floor",
        _ratio(whole, times["floor"]),
        floor_aim,
    )
    yield Ratio(
        f"Gram matrices of {grams['regions']} regions / all columns",
        _ratio(grams["seconds"]["grams"], whole),
        "at most 0.1",
    )
    if "krylov" in results:
        krylov = results["krylov"]
        yield Ratio(
            f"all columns / {krylov['count']} directions without J",
            _ratio(whole, krylov["seconds"]["matrix-free"]),
            "",
            f"{krylov['error']:.0e}",
            f"{krylov['products']} products, residual {krylov['relative_residual']:.0e}",
        )


def _ratio(over: Sequence[float], under: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and largest; of what was timed in turn, each repeat has its own ratio."""
    top, bottom = np.array(over), np.array(under)
    if len(top) != len(bottom):
        top, bottom = (top, np.median(bottom)) if len(top) > 1 else (np.median(top), bottom)
    each = top / bottom
    return float(np.median(each)), float(np.min(each)), float(np.max(each))


def table(results: Mapping[str, Any]) -> str:
    """Markdown: the ratios, what was measured in seconds and GB, the exponents, the machine."""
    compared = []
    for ratio in ratios(results):
        middle, low, high = (f"{value:#.3g}".rstrip(".") for value in ratio.values)
        spread = f"{middle} ({low} to {high})" if low != high else f"{middle} (once)"
        compared.append([ratio.name, spread, ratio.aim, ratio.error, ratio.note])
    head = ["ratio of times", "median (range over repeats)", "aim", "relative error", ""]
    parts = [markdown_table(head, compared)]
    parts.append(markdown_table(["limit", "measured", "aim"], _limits(results)))
    if "scaling" in results:
        head = ["cost grows with", "as its power, time", "memory", "measured at"]
        parts.append(markdown_table(head, _powers(results["scaling"]["sizes"])))
        parts.append(
            "Each J begins with a trace that takes as long for a small problem as for a large\n"
            "one, so that the powers of d and resolution are lower than those of its columns.\n"
        )
    machine = results["machine"]
    versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items() if v)
    device = machine["gpu"] or f"{machine['cpu']}, {machine['threads']} threads"
    load = " to ".join(f"{value:.1f}" for value in machine["load"])
    parts.append(
        f"{results['jacobian']['generator']}; J at {results['jacobian']['resolution']} px.\n"
        f"{device}, load {load} from start to end; {machine['date']}; {versions}.\n"
    )
    return "\n".join(parts)


def _powers(sizes: Mapping[str, Any]) -> Iterator[list[str]]:
    for size, found in sizes.items():
        powers = [f"{found['exponent'][key]:.2f}" for key in _UNITS]
        yield [_NAMES[size], *powers, ", ".join(map(str, found["value"]))]


def _limits(results: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    grams = results["grams"]
    columns = f"all columns of J in {results['jacobian']['dtype']}"
    yield columns, f"{grams['seconds']['jacobian'][0]:.1f} s", ""
    yield "peak memory up to there", f"{grams['peak_gb']:.1f} GB", ""
    if "sweep" in results:
        sweep = results["sweep"]
        name = (
            f"{sweep['pursuits']} pursuits ({sweep['lambdas']} lambdas, {sweep['regions']} regions"
        )
        took = f"{sweep['seconds']:.0f} s, {sweep['core_seconds']:.0f} core-seconds"
        yield f"{name}, inside and outside) on {sweep['processes']} cores", took, "120 s"
    if "planning" in results:
        plan = results["planning"]
        yield f"`snakemake -n` of {plan['jobs']:,} jobs", f"{plan['seconds']:.0f} s", "60 s"


@styled
def figure(results: Mapping[str, Any]) -> Figure:
    """The ratios, and time and memory against size."""
    drawn, axes = panels(3 if "scaling" in results else 1, 4.2, 3.4)
    _draw_ratios(axes[0], ratios(results))
    for one, key in zip(axes[1:], _UNITS, strict=False):
        _draw_scaling(one, results["scaling"]["sizes"], key)
    return drawn


def _draw_ratios(axes: Axes, found: Sequence[Ratio]) -> None:
    places = range(len(found))
    middle, low, high = np.array([ratio.values for ratio in found]).T
    axes.barh(places, middle, color=PALETTE[0], height=0.6, zorder=2)
    spread = np.array([middle - low, high - middle])
    axes.errorbar(middle, places, xerr=spread, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    for place, ratio in zip(places, found, strict=True):
        axes.text(
            ratio.values[2] * 1.15, place, f"{ratio.values[0]:.3g}", va="center", fontsize=7.5
        )
    axes.axvline(1, color=MUTED, lw=0.8)
    axes.set(xscale="log", xlim=(min(low) / 3, max(high) * 6), title="Ratios of times")
    axes.set_yticks(list(places), [ratio.name for ratio in found])
    axes.invert_yaxis()
    axes.grid(axis="x", color=FAINT)


def _draw_scaling(axes: Axes, sizes: Mapping[str, Any], key: str) -> None:
    ends, colours = {}, {}
    for (size, found), colour in zip(sizes.items(), PALETTE, strict=False):
        relative = np.array(found["value"]) / found["value"][0]
        measured = found[key]
        axes.plot(relative, measured, color=colour, marker="o", ms=3)
        name = f"{_NAMES[size]} (power {found['exponent'][key]:.2f})"
        ends[name], colours[name] = (float(relative[-1]), measured[-1]), colour
    unit = {"seconds": "seconds", "gb": "GB beyond imports and weights"}[key]
    axes.set(xscale="log", yscale="log", xlabel="size over the smallest", ylabel=unit)
    axes.set_title(f"{_UNITS[key].capitalize()} against size")
    axes.grid(color=FAINT)
    log_ticks(axes.xaxis)
    end_labels(axes, ends, colours)
