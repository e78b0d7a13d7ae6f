"""Draw one figure; each kind reads what earlier steps wrote, and some render a few faces."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from safetensors.numpy import load_file

from edited import faces_of
from job import Job, run
from lowrankgan.figures.comparison import outside_change
from lowrankgan.figures.curves import inside_outside_curves
from lowrankgan.figures.differences import difference_maps
from lowrankgan.figures.generalization import generalization_matrix, transfer_matrix
from lowrankgan.figures.linearity import prediction_curves
from lowrankgan.figures.sensitivity import sensitivity_maps
from lowrankgan.figures.spectra import spectra
from lowrankgan.figures.strips import edit_strips
from lowrankgan.figures.style import save
from lowrankgan.figures.sweep import outside_by_rank
from lowrankgan.images import to_bytes


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
    table = pd.read_csv(job.input("generalize") / "matrix.csv")
    table = table[(table["target"] == target) & (table["direction"] == 1)]
    table = table[table["method"] == table["method"].iloc[0]]
    means = pd.read_csv(job.input("tables") / "generalization.csv")
    means = means[(means["target"] == target) & (means["direction"] == 1)]
    shown = means[(means["measure"] == measure) & means["method"].isin(table["method"])]
    return generalization_matrix(table, measure, shown)


def _transfer(job: Job) -> Figure:
    target, measure = job.settings["target"], job.settings["measure"]
    table = pd.read_csv(job.input("generalize") / "crossed.csv")
    table = table[(table["target"] == target) & (table["direction"] == 1)]
    table = table[table["method"] == table["method"].iloc[0]]
    found = pd.read_csv(job.input("tables") / "transfer.csv")
    found = found[found["method"].isin(table["method"])]
    chosen = (found["target"] == target) & (found["measure"] == measure)
    return transfer_matrix(table, measure, found[chosen].set_index("region"))


def _sweep(job: Job) -> Figure:
    table = pd.read_csv(job.input("tables") / "sweep.csv")
    target, measure = job.settings["target"], job.settings["measure"]
    chosen = (table["target"] == target) & (table["measure"] == measure)
    return outside_by_rank(table[chosen], measure)


def _spectra(job: Job) -> Figure:
    values: dict[str, dict[str, NDArray[np.float64]]] = {}
    ranks: dict[str, dict[str, dict[str, int]]] = {}
    for folder in job.inputs["factorize"]:
        for key, value in load_file(folder / "factors.safetensors").items():
            if key.startswith("spectrum/"):
                _, side, region = key.split("/")
                values.setdefault(region, {})[side] = value
        for row in pd.read_csv(folder / "ranks.csv").to_dict("records"):
            found = ranks.setdefault(row["region"], {}).setdefault(row["side"], {})
            found[f"{row['rule']} {row['value']:.3g}"] = row["rank"]
    return spectra(values, ranks)


def _sensitivity(job: Job) -> Figure:
    found = [load_file(folder / "gram.safetensors") for folder in job.inputs["jacobian"]]
    names = sorted(key.removeprefix("mask/") for key in found[0] if key.startswith("mask/"))
    return sensitivity_maps(
        np.stack([arrays["image"] for arrays in found]),
        np.stack([arrays["sensitivity"] for arrays in found]),
        {name: np.stack([arrays[f"mask/{name}"] for arrays in found]) for name in names},
        job.settings["colour_map"],
    )


def _linearity(job: Job) -> Figure:
    return prediction_curves(pd.read_csv(job.input("linearity") / "errors.csv"))


def _strips(job: Job) -> Figure:
    editor = _Editor(job)
    method = job.settings["labels"].index(job.settings["method"])
    steps, region = job.settings["steps"], job.settings["region"]
    matched = editor.matched_steps(method).abs()  # so that a column has one sign for all faces
    images = np.stack([editor.edited(method, matched * step) for step in steps], axis=1)
    labels = [f"{step:+.2g} α" if step else "original" for step in steps]
    title = f"{region.replace('_', ' ')}: α is the step of matched change inside"
    return edit_strips(images, labels, editor.masks, title, original=len(steps) // 2)


def _gallery(job: Job) -> Figure:
    editor, region = _Editor(job), job.settings["region"]
    method = job.settings["labels"].index(job.settings["method"])
    table = pd.read_csv(job.input("distinct") / "attributes.csv").set_index("direction")
    table = table[table["region"] == region]
    scores = table.drop(columns=["region", "distinct", "tint"])
    relative = scores / scores.abs().max()
    images, labels = [editor.originals], ["original"]
    for number in table.index[table["distinct"]]:
        images.append(editor.edited(method, editor.matched_steps(method, number), number))
        name = str(relative.loc[number].abs().idxmax())
        change = scores.loc[number, name]
        labels.append(f"{number}: {name.replace('_', ' ')}\n{change:+.2g}")
    title = f"{region.replace('_', ' ')}: distinct directions, with what each changes most"
    return edit_strips(np.stack(images, axis=1), labels, editor.masks, title, original=0)


def _differences(job: Job) -> Figure:
    editor, region = _Editor(job), job.settings["region"]
    edited = {
        name: editor.edited(index, editor.matched_steps(index))
        for index, name in enumerate(job.settings["labels"])
    }
    title = f"{region.replace('_', ' ')}: equal change inside the region"
    colour_map = job.settings["colour_map"]
    return difference_maps(editor.originals, edited, editor.masks, colour_map, title)


class _Editor:
    """The first test faces, edited along directions of each method."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._region = job.settings["region"]
        self._batches = list(faces_of(job, job.settings["faces"]))
        self.originals = to_bytes(torch.cat([faces.originals for faces in self._batches]))
        masks = [faces.masks[self._region] for faces in self._batches]
        self.masks = torch.cat(masks).cpu().numpy()

    def matched_steps(self, method: int, number: int = 1) -> "pd.Series[float]":
        """By face, the signed step at which the method reaches the target."""
        edits = pd.read_csv(self._job.inputs["edit"][method] / "edits.csv")
        chosen = (
            (edits["region"] == self._region)
            & (edits["target"] == self._job.settings["target"])
            & (edits["direction"] == number)
        )
        return edits[chosen].set_index("face")["step"]

    def edited(self, method: int, steps: "pd.Series[float]", number: int = 1) -> NDArray[np.uint8]:
        """The method's edits [faces, R, R, 3] with a step for each face."""
        images = []
        for faces in self._batches:
            offset = faces.directions(self._job.inputs["subspace"][method])[self._region]
            chosen = [steps[seed] for seed in faces.seeds]
            images.append(faces.edited(range(len(chosen)), offset[number - 1], chosen))
        return to_bytes(torch.cat(images))


_KINDS: dict[str, Callable[[Job], Figure]] = {
    "comparison": _comparison,
    "curves": _curves,
    "differences": _differences,
    "gallery": _gallery,
    "generalization": _generalization,
    "linearity": _linearity,
    "sensitivity": _sensitivity,
    "spectra": _spectra,
    "strips": _strips,
    "sweep": _sweep,
    "transfer": _transfer,
}


if __name__ == "__main__":
    run(main)
