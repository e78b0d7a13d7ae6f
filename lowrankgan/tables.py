"""Tables of measures: summaries with intervals, paired comparisons, and their files.

All start from one long table of metrics, one row per source (analysis image), method, region,
direction, face and target of matched change, with a bool column `reached` and one float column a
measure. Faces that did not reach the target enter no mean; their share is reported beside it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from lowrankgan.errors import LowRankGANError
from lowrankgan.files import replacing
from lowrankgan.metrics.bootstrap import bootstrap_interval

_KEYS = ["source", "method", "region", "direction", "target"]  # of one direction at one strength
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "λ": r"$\lambda$"}
)


def summarize(
    metrics: pd.DataFrame, measures: Sequence[str], seed: int, resamples: int, level: float
) -> pd.DataFrame:
    """Average each measure over the faces that reached the target, with bootstrap intervals.

    Args:
        metrics: see the module.
        measures: columns to average; where one is NaN (no face was found) it does not count.
        seed: of the resampling.
        resamples: number of bootstrap resamples of the faces.
        level: of the intervals, in (0, 1).

    Returns:
        One row per source, method, region, direction, target and measure, in the order of the
        metrics: mean, low, high (NaN without faces; an interval needs two), faces (all that were
        tried), reached (share of them, in [0, 1]), counted (faces behind the mean).
    """
    rows = []
    for key, group in metrics.groupby(_KEYS, sort=False):
        for measure in measures:
            values = group[measure].where(group["reached"]).dropna().to_numpy(dtype=float)
            low, high = bootstrap_interval(values, np.mean, seed, resamples, level)
            mean = values.mean() if values.size else np.nan
            numbers = (mean, low, high, len(group), group["reached"].mean(), values.size)
            rows.append((*key, measure, *numbers))
    numbered = ["mean", "low", "high", "faces", "reached", "counted"]
    return pd.DataFrame(rows, columns=[*_KEYS, "measure", *numbered])


def movement(metrics: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """How far attributes move, and that for each change outside.

    Sizes are averaged, not changes: a direction that opens closed mouths closes open ones, and the
    two must not cancel.

    Args:
        metrics: see the module.
        scores: columns with the change of an attribute; where one is NaN (no face was found), the
            edit does not count, nor does what it changes outside.

    Returns:
        One row per source, method, region, direction, target and measure with faces that reached
        it: moved (mean size of the change), per_outside_change (over the root of the mean MSE
        outside, or over the mean LPIPS outside where that is what was matched).
    """
    outside = ["mse_outside", "lpips_alex_outside"]
    changes = metrics[metrics["reached"]].melt([*_KEYS, *outside], list(scores), "measure", "moved")
    changes = changes.dropna(subset="moved").assign(moved=lambda rows: rows["moved"].abs())
    means = changes.groupby([*_KEYS, "measure"])[["moved", *outside]].mean().reset_index()
    by_lpips = means["target"].astype(str).str.startswith("lpips")
    length = means["lpips_alex_outside"].where(by_lpips, np.sqrt(means["mse_outside"]))
    return means.assign(per_outside_change=means["moved"] / length).drop(columns=outside)


def compare(
    metrics: pd.DataFrame,
    baseline: str,
    measures: Sequence[str],
    seed: int,
    resamples: int,
    level: float,
) -> pd.DataFrame:
    """Divide each method's mean by the baseline's, over the faces on which both reached.

    First directions only: how many more a method has is its own affair.

    Args:
        metrics: see the module.
        baseline: the method that the others of the same source are compared with.
        measures: columns to compare, at least 0, such as "mse_outside".
        seed: of the resampling.
        resamples: number of bootstrap resamples of the faces, in pairs.
        level: of the intervals, in (0, 1).

    Returns:
        One row per source, method, region, target and measure, in the order of the metrics:
        ratio (below 1, the method changes less), low, high, faces (pairs that count).

    Raises:
        LowRankGANError: the baseline is not among the methods.
    """
    if baseline not in set(metrics["method"]):
        methods = ", ".join(metrics["method"].unique())
        raise LowRankGANError(f"baseline {baseline!r} is not among the methods: {methods}")
    keys, pairing = ["source", "method", "region", "target"], ["source", "region", "target", "face"]
    first = metrics[metrics["direction"] == 1].copy()
    first[list(measures)] = first[list(measures)].where(first["reached"])
    theirs = first.loc[first["method"] == baseline, [*pairing, *measures]]
    pairs = first[first["method"] != baseline].merge(
        theirs, how="left", on=pairing, suffixes=("", "_baseline"), validate="m:1"
    )
    rows = []
    for key, group in pairs.groupby(keys, sort=False):
        for measure in measures:
            both = group[[measure, f"{measure}_baseline"]].dropna().to_numpy(dtype=float)
            rows.append((*key, measure, *_ratio(both, seed, resamples, level), len(both)))
    return pd.DataFrame(rows, columns=[*keys, "measure", "ratio", "low", "high", "faces"])


def transfer(
    metrics: pd.DataFrame, measures: Sequence[str], seed: int, resamples: int, level: float
) -> pd.DataFrame:
    """Divide what directions of the other images do to a face by what those of its own image do.

    First directions only; faces are the analysis images themselves.

    Args:
        metrics: see the module, with sources named "seed <face>".
        measures: columns to compare, at least 0, such as "mse_outside".
        seed: of the resampling.
        resamples: number of bootstrap resamples of the faces.
        level: of the intervals, in (0, 1).

    Returns:
        One row per method, region, target and measure, in the order of the metrics: own and
        others (means over the faces), ratio, low, high, faces.
    """
    first = metrics[metrics["direction"] == 1].copy()
    first[list(measures)] = first[list(measures)].where(first["reached"])
    first["own"] = first["source"] == "seed " + first["face"].astype(str)
    rows = []
    for key, group in first.groupby(["method", "region", "target"], sort=False):
        for measure in measures:
            means = group.pivot_table(measure, "face", "own", "mean").reindex(columns=[False, True])
            pairs = means.dropna().to_numpy(dtype=float)
            others, own = pairs.mean(0) if len(pairs) else (np.nan, np.nan)
            ratio = _ratio(pairs, seed, resamples, level)
            rows.append((*key, measure, own, others, *ratio, len(pairs)))
    names = ["method", "region", "target", "measure", "own", "others", "ratio", "low", "high"]
    return pd.DataFrame(rows, columns=[*names, "faces"])


def _ratio(
    pairs: NDArray[np.float64], seed: int, resamples: int, level: float
) -> tuple[float, float, float]:
    """Ratio of the column means of pairs [N, 2], and its interval."""
    if not len(pairs):
        return np.nan, np.nan, np.nan

    def ratio(faces: NDArray[Any], axis: int) -> Any:
        chosen = pairs[faces.astype(int)]
        return chosen[..., 0].mean(axis) / chosen[..., 1].mean(axis)

    # Resampling the faces' numbers keeps the two values of a face together.
    faces = np.arange(len(pairs), dtype=float)
    return float(ratio(faces, 0)), *bootstrap_interval(faces, ratio, seed, resamples, level)


def write_table(table: pd.DataFrame, stem: Path, caption: str, digits: int) -> None:
    """Write stem.csv in full precision, stem.md and stem.tex for reading, from one table.

    Args:
        table: any columns; the index is not written.
        stem: path without a suffix.
        caption: plain text, above the table in Markdown and LaTeX.
        digits: significant digits of floats in Markdown and LaTeX.
    """
    text = table.map(lambda value: _text(value, digits))
    numeric = [is_numeric_dtype(kind) and not is_bool_dtype(kind) for kind in table.dtypes]
    stem.parent.mkdir(parents=True, exist_ok=True)
    contents = {
        "csv": table.to_csv(index=False, lineterminator="\n"),
        "md": _markdown(text, numeric, caption),
        "tex": _latex(text, numeric, caption),
    }
    for suffix, content in contents.items():
        with replacing(stem.with_name(f"{stem.name}.{suffix}")) as temporary:
            temporary.write_text(content, encoding="utf-8")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose cells are not padded, for some are many times as long as others."""
    lines = [f"| {' | '.join(cells)} |\n" for cells in (head, *rows)]
    return "".join([lines[0], "|---" * len(head) + "|\n", *lines[1:]])


def _text(value: Any, digits: int) -> str:
    if not isinstance(value, float):
        return str(value)
    return "–" if np.isnan(value) else f"{value:#.{digits}g}".rstrip(".")


def _markdown(text: pd.DataFrame, numeric: Sequence[bool], caption: str) -> str:
    align = ["right" if number else "left" for number in numeric]
    body = text.to_markdown(index=False, colalign=align, disable_numparse=True)
    return f"{caption}\n\n{body}\n"


def _latex(text: pd.DataFrame, numeric: Sequence[bool], caption: str) -> str:
    def row(cells: Sequence[str]) -> str:
        return " & ".join(cells) + r" \\"

    body = [
        row([_number(c) if n else c.translate(_LATEX) for c, n in zip(cells, numeric, strict=True)])
        for cells in text.itertuples(index=False)
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption.translate(_LATEX)}}}",
        rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in numeric)}}}",
        *(r"\toprule", row([str(name).translate(_LATEX) for name in text.columns]), r"\midrule"),
        *(*body, r"\bottomrule", r"\end{tabular}", r"\end{table}"),
    ]
    return "\n".join(lines) + "\n"


def _number(cell: str) -> str:
    """A number in math mode, where a minus is a minus and 1.5e-05 a power of ten."""
    if cell == "–":
        return "--"
    mantissa, _, exponent = cell.partition("e")
    return f"${mantissa}" + (rf" \times 10^{{{int(exponent)}}}" if exponent else "") + "$"
