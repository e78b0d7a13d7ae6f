"""The README's tables, each between two comments there, from the results that are committed."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from lowrankgan.files import replacing
from lowrankgan.tables import markdown_table

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"

_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_REGIONS = ("eyes", "mouth", "nose")
_AUTHORS = "the authors' own"
_OUTSIDE = ("lpips_alex_outside", "lpips_alex_spill")


def rewritten(text: str) -> str:
    """The README with every table as the results have it."""
    return _BLOCK.sub(lambda block: block[1] + _TABLES[block[2]]() + block[3], text)


def _methods() -> str:
    table = _read("paper_localization_48/comparison.csv")
    table = table[table["measure"] != "lpips_vgg_outside"]
    tried, cells = table["faces"].max(), dict[str, dict[tuple[str, str], str]]()
    for row in table.itertuples():
        method = _AUTHORS if str(row.method).startswith("authors") else f"`{row.method}`"
        reached = "" if row.faces == tried else f", {row.faces} faces"
        cell = _interval(row.ratio, row.low, row.high, reached)
        cells.setdefault(method, {})[str(row.region), str(row.target)] = cell
    columns = {
        (region, target): name.format(region)
        for region in _REGIONS
        for target, name in {
            "mse": "{}: MSE at 0.01",
            "lpips 0.05": "{}: LPIPS at 0.05",
            "lpips 0.15": "{}: LPIPS at 0.15",
        }.items()
    }
    rows = [[name, *(found[column] for column in columns)] for name, found in cells.items()]
    return markdown_table(["outside over that of `ours`", *columns.values()], rows)


def _spill() -> str:
    rows = []
    for name, ours, authors in _by_lpips():
        whole, part = ([one.loc[m, "mean"] for one in (ours, authors)] for m in _OUTSIDE)
        beyond = (whole[0] - part[0]) / (whole[1] - part[1])
        ratios = (part[1] / whole[1], part[0] / whole[0], whole[0] / whole[1], beyond)
        rows.append([name, *map(_number, ratios)])
    head = ["region, LPIPS inside", "spill, share of the authors' outside", "of `ours`"]
    return markdown_table([*head, "`ours` over the authors'", "the same beyond the spill"], rows)


def _identity() -> str:
    def cell(found: Any) -> str:
        apart = _interval(*found.loc["identity", ["mean", "low", "high"]])
        share, faces = found.loc["same_person", ["mean", "counted"]]
        return f"{apart}, {'all' if share == 1 else f'{share * faces:.0f} of {faces:.0f}'}"

    rows = [[name, *map(cell, both)] for name, *both in _by_lpips()]
    return markdown_table(["region, LPIPS inside", "`ours`", _AUTHORS], rows)


def _by_lpips() -> Iterator[tuple[str, Any, Any]]:
    """By region and strength, the summaries of `ours` and of the authors' own, by measure."""
    table = _read("paper_localization_48/summary.csv")
    first = table[table["direction"] == 1].set_index("measure")
    for region in _REGIONS:
        for strength in ("0.05", "0.15"):
            edits = first[(first["region"] == region) & (first["target"] == f"lpips {strength}")]
            ours, authors = (edits[edits["method"] == m] for m in ("ours", f"authors_{region}"))
            yield f"{region}, {strength}", ours, authors


def _default() -> str:
    cells = _ratios("ffhq_quick/comparison.csv", "method", "region", "target", "measure")
    columns = {
        "MSE at equal MSE": ("mse", "mse_outside"),
        "LPIPS (Alex) at equal LPIPS": ("lpips", "lpips_alex_outside"),
        "LPIPS (VGG) at equal LPIPS (Alex)": ("lpips", "lpips_vgg_outside"),
    }
    rows = [
        [region, method, *(cells[method, region, *column] for column in columns.values())]
        for method in ("projected", "constrained")
        for region in _REGIONS
    ]
    return markdown_table(["region", "method", *columns], rows)


def _garments() -> str:
    keys = ("method", "target", "measure", "region", "on")
    cells = _ratios("biggan_fashion/classes.csv", *keys)
    edit = ("constrained", "mse", "mse_outside")
    classes = {"pullovers": "average", "coats": "class 4", "shirts": "class 6"}
    classes |= {"T-shirts": "class 0"}
    regions = {"sleeves": "garment_sleeves", "collar": "garment_collar", "left half": "left_half"}
    rows = [
        [name, *(cells[*edit, region, on] for on in classes.values())]
        for name, region in regions.items()
    ]
    return markdown_table(["region, found on pullovers", *classes], rows)


def _speed() -> str:
    ratios, _, _ = (ROOT / "benchmarks" / "results.md").read_text().partition("\n\n")
    return f"{ratios}\n"


def _ratios(path: str, *keys: str) -> dict[Any, str]:
    """Ratios with their intervals, by the keys."""
    table = _read(path).set_index([*keys])[["ratio", "low", "high"]]
    return {key: _interval(*row) for key, *row in table.itertuples()}


def _read(path: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / "docs" / "results" / path)


def _interval(middle: Any, low: Any, high: Any, note: str = "") -> str:
    return f"{_number(middle)} ({_number(low)} to {_number(high)}{note})"


def _number(value: Any) -> str:
    """Three digits or two, for values differ by a thousand."""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


_TABLES: dict[str, Callable[[], str]] = {
    "methods": _methods,
    "spill": _spill,
    "identity": _identity,
    "default": _default,
    "garments": _garments,
    "speed": _speed,
}


if __name__ == "__main__":
    text = rewritten(README.read_text())
    with replacing(README) as temporary:
        temporary.write_text(text)
