"""Measure every edited face inside and outside its region, and its attributes."""

from typing import Any

import pandas as pd
import torch

from edited import Faces, faces_of, perceptual_of
from job import Job, run
from lowrankgan.metrics.masked import inside_outside, masked_mse
from lowrankgan.metrics.perceptual import Perceptual
from scores import Scores, scores_of

Row = dict[Any, Any]


def main(job: Job) -> None:
    trunks = {"alex": perceptual_of(job, "alex")}
    if job.settings["vgg"]:
        trunks["vgg"] = perceptual_of(job, "vgg")
    scores = scores_of(job)
    edits = pd.read_csv(job.input("edit") / "edits.csv")
    table: list[Row] = []
    for faces in faces_of(job):
        directions = faces.directions(job.input("subspace"))
        measures = _Measures(faces, trunks, scores)
        here = edits[edits["face"].isin(faces.seeds)]
        for _, group in here.groupby(here["target"] == "published"):
            for batch in faces.batches(group.to_dict("records")):
                along = torch.stack([directions[r["region"]][r["direction"] - 1] for r in batch])
                found = measures.compare(batch, along)
                table += [row | values for row, values in zip(batch, found, strict=True)]
    pd.DataFrame(table).to_csv(job.output / "metrics.csv", index=False)


class _Measures:
    """Every measure; what they need of the original faces is computed once."""

    def __init__(self, faces: Faces, trunks: dict[str, Perceptual], scores: Scores) -> None:
        self._faces, self._trunks, self._scores = faces, trunks, scores
        self._features = {name: t.features(faces.originals) for name, t in trunks.items()}
        self._before = [
            {name: scores(image[None], mask[i][None]) for name, mask in faces.masks.items()}
            for i, image in enumerate(faces.originals)
        ]

    def compare(self, rows: list[Row], directions: torch.Tensor) -> list[dict[str, float]]:
        """Measures of the edits that the rows describe; attributes as their change.

        Rows are all of matched change or all at published steps, of which no table or figure
        shows LPIPS by VGG: it costs more than the rendering.
        """
        chosen = [self._faces.seeds.index(row["face"]) for row in rows]
        edited = self._faces.edited(chosen, directions, [row["step"] for row in rows])
        originals = self._faces.originals[chosen]
        masks = torch.stack(
            [self._faces.masks[row["region"]][i] for row, i in zip(rows, chosen, strict=True)]
        )
        columns = _both("mse", *masked_mse(originals, edited, masks))
        for name, trunk in self._trunks.items():
            if name == "vgg" and rows[0]["target"] == "published":
                continue
            distance = trunk.distance_map(self._features[name][chosen], trunk.features(edited))
            columns |= _both(f"lpips_{name}", *inside_outside(distance, masks))
        # The composite form: what the change of the region alone amounts to in the whole picture.
        alex = self._trunks["alex"]
        composite = alex.features(edited.where(masks[:, None], originals))
        columns["lpips_alex_composite"] = alex.distance(self._features["alex"][chosen], composite)
        values = {name: column.tolist() for name, column in columns.items()}
        found = []
        for k, (row, i) in enumerate(zip(rows, chosen, strict=True)):
            before = self._before[i][row["region"]]
            scores = self._scores(edited[k : k + 1], masks[k : k + 1])
            change = {name: score - before[name] for name, score in scores.items()}
            found.append({name: column[k] for name, column in values.items()} | change)
        return found


def _both(name: str, inside: torch.Tensor, outside: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"{name}_inside": inside, f"{name}_outside": outside}


if __name__ == "__main__":
    run(main)
