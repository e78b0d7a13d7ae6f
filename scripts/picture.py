"""Draw pictures of some test faces, edited along the directions of a region."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edited import faces_of
from job import Job, run
from lowrankgan.figures.differences import difference_maps
from lowrankgan.figures.strips import edit_strips
from lowrankgan.figures.style import save
from lowrankgan.images import to_bytes


def main(job: Job) -> None:
    editor = _Editor(job)
    for kind in job.settings["kinds"]:
        save(_KINDS[kind](job, editor), job.output / "figures" / kind)


def _strips(job: Job, editor: "_Editor") -> Figure:
    method = job.settings["labels"].index(job.settings["method"])
    steps, region = job.settings["steps"], job.settings["region"]
    matched = editor.matched(method)
    length = matched["step"].abs()  # so that a column has one sign for all faces
    edits = [editor.edited(method, length * x) if x else editor.originals for x in steps]
    missed = np.repeat(matched[["missed"]].to_numpy(), len(steps), axis=1)
    labels = [f"{step:+.2g} α" if step else "original" for step in steps]
    title = f"{region.replace('_', ' ')}: α is the step of matched change inside"
    images = np.stack(edits, axis=1)
    return edit_strips(images, labels, editor.masks, title, steps.index(0), missed)


def _gallery(job: Job, editor: "_Editor") -> Figure:
    region = job.settings["region"]
    method = job.settings["labels"].index(job.settings["method"])
    table = pd.read_csv(job.input("distinct") / "attributes.csv").set_index("direction")
    table = table[table["region"] == region]
    scores = table.drop(columns=["region", "distinct", "tint"])
    relative = scores / scores.abs().max()
    images, labels = [editor.originals], ["original"]
    missed = [np.zeros(len(editor.originals), dtype=bool)]
    for number in table.index[table["distinct"]]:
        matched = editor.matched(method, number)
        images.append(editor.edited(method, matched["step"], number))
        missed.append(matched["missed"].to_numpy())
        name = str(relative.loc[number].abs().idxmax())
        change = scores.loc[number, name]
        labels.append(f"{number}: {name.replace('_', ' ')}\n{change:+.2g}")
    title = f"{region.replace('_', ' ')}: distinct directions, with what each changes most"
    stacked, marks = np.stack(images, axis=1), np.stack(missed, axis=1)
    return edit_strips(stacked, labels, editor.masks, title, 0, marks)


def _differences(job: Job, editor: "_Editor") -> Figure:
    region = job.settings["region"]
    matched = {name: editor.matched(i) for i, name in enumerate(job.settings["labels"])}
    edited = {
        name: editor.edited(index, found["step"])
        for index, (name, found) in enumerate(matched.items())
    }
    missed = {name: found["missed"].to_numpy() for name, found in matched.items()}
    title = f"{region.replace('_', ' ')}: equal change inside the region"
    colour_map = job.settings["colour_map"]
    return difference_maps(editor.originals, edited, editor.masks, colour_map, title, missed)


class _Editor:
    """The first test faces, edited along directions of each method."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._region = job.settings["region"]
        # Those that were measured, for landmarks may be found at one resolution and not at another.
        measured = sorted(set(pd.read_csv(job.inputs["metrics"][0] / "metrics.csv")["face"]))
        self._batches = list(faces_of(job, measured[: job.settings["faces"]]))
        self._rendered: dict[tuple[int, int, int, float], NDArray[np.uint8]] = {}
        self.originals = to_bytes(torch.cat([faces.originals for faces in self._batches]))
        masks = [faces.masks[self._region] for faces in self._batches]
        self.masks = torch.cat(masks).cpu().numpy()

    def matched(self, method: int, number: int = 1) -> pd.DataFrame:
        """By face, the signed `step` nearest to the target, and whether that is `missed`."""
        edits = pd.read_csv(self._job.inputs["metrics"][method] / "metrics.csv")
        chosen = (
            (edits["region"] == self._region)
            & (edits["target"] == self._job.settings["target"])
            & (edits["direction"] == number)
        )
        seeds = [seed for faces in self._batches for seed in faces.seeds]
        found = edits[chosen].set_index("face").loc[seeds]
        return pd.DataFrame({"step": found["step"], "missed": ~found["reached"].astype(bool)})

    def edited(self, method: int, steps: "pd.Series[float]", number: int = 1) -> NDArray[np.uint8]:
        """The method's edits [faces, R, R, 3] with a step for each face; each is rendered once."""
        images = []
        for faces in self._batches:
            edits = [(method, number, seed, float(steps[seed])) for seed in faces.seeds]
            new = [i for i, edit in enumerate(edits) if edit not in self._rendered]
            if new:
                offset = faces.directions(self._job.inputs["subspace"][method])[self._region]
                found = faces.edited(new, offset[number - 1], [edits[i][-1] for i in new])
                chosen = [edits[i] for i in new]
                self._rendered |= dict(zip(chosen, to_bytes(found), strict=True))
            images += [self._rendered[edit] for edit in edits]
        return np.stack(images)


_KINDS: dict[str, Callable[[Job, "_Editor"], Figure]] = {
    "differences": _differences,
    "gallery": _gallery,
    "strips": _strips,
}


if __name__ == "__main__":
    run(main)
