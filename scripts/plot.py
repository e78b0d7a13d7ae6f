"""Draw one figure of numbers that earlier steps wrote; needs no torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from safetensors import safe_open

from job import Job, run
from lowrankgan.figures.comparison import outside_change
from lowrankgan.figures.curves import inside_outside_curves
from lowrankgan.figures.generalization import generalization_matrix, transfer_matrix
from lowrankgan.figures.linearity import prediction_curves
from lowrankgan.figures.sensitivity import sensitivity_maps
from lowrankgan.figures.spectra import spectra
from lowrankgan.figures.style import save
from lowrankgan.figures.sweep import outside_by_rank


def main(job: Job) -> None:
    save(_KINDS[job.settings["kind"]](job), job.output / "figure")


def _comparison(job: Job) -> Figure:
    summary = pd.read_csv(job.input("tables") / "summary.csv")
    target, measure = job.settings["target"], job.settings["measure"]
    chosen = (summary["source"] == "average") & (summary["target"] == target)
    return outside_change(summary[chosen & (summary["measure"] == measure)], measure)


def _curves(job: Job) -> Figure:
    labelled = zip(job.settings["labels"], job.inputs["metrics"], strict=True)
    table = pd.concat(pd.read_csv(f / "metrics.csv").assign(method=name) for name, f in labelled)
    table = table[(table["target"] == "published") & (table["direction"] == 1)]
    return inside_outside_curves(
        table.rename(columns={"mse_inside": "inside", "mse_outside": "outside"}), "mse"
    )


def _generalization(job: Job) -> Figure:
    target, measure = job.settings["target"], job.settings["measure"]
    table = _of_first(pd.read_csv(job.input("generalize") / "matrix.csv"), target)
    means = pd.read_csv(job.input("tables") / "generalization.csv")
    means = means[(means["target"] == target) & (means["direction"] == 1)]
    shown = means[(means["measure"] == measure) & means["method"].isin(table["method"])]
    return generalization_matrix(table, measure, shown)


def _transfer(job: Job) -> Figure:
    target, measure = job.settings["target"], job.settings["measure"]
    table = _of_first(pd.read_csv(job.input("generalize") / "crossed.csv"), target)
    found = pd.read_csv(job.input("tables") / "transfer.csv")
    found = found[found["method"].isin(table["method"])]
    chosen = (found["target"] == target) & (found["measure"] == measure)
    return transfer_matrix(table, measure, found[chosen].set_index("region"))


def _of_first(table: pd.DataFrame, target: str) -> pd.DataFrame:
    """The first direction of the first method, at a target."""
    table = table[(table["target"] == target) & (table["direction"] == 1)]
    return table[table["method"] == table["method"].iloc[0]]


def _sweep(job: Job) -> Figure:
    table = pd.read_csv(job.input("tables") / "sweep.csv")
    target, measure = job.settings["target"], job.settings["measure"]
    chosen = (table["target"] == target) & (table["measure"] == measure)
    return outside_by_rank(table[chosen], measure)


def _spectra(job: Job) -> Figure:
    values: dict[str, dict[str, NDArray[np.float64]]] = {}
    ranks: dict[str, dict[str, dict[str, int]]] = {}
    for folder in job.inputs["factorize"]:
        for key, value in read_arrays(folder / "factors.safetensors", ("spectrum/",)).items():
            _, side, region = key.split("/")
            values.setdefault(region, {})[side] = value
        for row in pd.read_csv(folder / "ranks.csv").to_dict("records"):
            found = ranks.setdefault(row["region"], {}).setdefault(row["side"], {})
            found[f"{row['rule']} {row['value']:.4g}"] = row["rank"]
    return spectra(values, ranks)


def _sensitivity(job: Job) -> Figure:
    shown = ("image", "sensitivity", "mask/")
    found = [read_arrays(folder / "gram.safetensors", shown) for folder in job.inputs["jacobian"]]
    names = sorted(job.settings["regions"])
    return sensitivity_maps(
        np.stack([arrays["image"] for arrays in found]),
        np.stack([arrays["sensitivity"] for arrays in found]),
        {name: np.stack([arrays[f"mask/{name}"] for arrays in found]) for name in names},
        job.settings["colour_map"],
    )


def read_arrays(path: Path, beginnings: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Arrays whose names begin so. The others are matrices, gigabytes of ten images and more."""
    with safe_open(path, "np") as file:
        names = [name for name in sorted(file.keys()) if name.startswith(beginnings)]
        return {name: file.get_tensor(name) for name in names}


def _linearity(job: Job) -> Figure:
    return prediction_curves(pd.read_csv(job.input("linearity") / "errors.csv"))


_KINDS: dict[str, Callable[[Job], Figure]] = {
    "comparison": _comparison,
    "curves": _curves,
    "generalization": _generalization,
    "linearity": _linearity,
    "sensitivity": _sensitivity,
    "spectra": _spectra,
    "sweep": _sweep,
    "transfer": _transfer,
}


if __name__ == "__main__":
    run(main)
