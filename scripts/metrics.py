"""Measure every edited face inside and outside its region, and its attributes."""

from typing import Any

import pandas as pd
from torch import Tensor

from edited import Face, directions_of, faces_of, perceptual_of
from job import Job, run
from lowrankgan.metrics.masked import inside_outside, masked_mse
from scores import scores_of


def main(job: Job) -> None:
    measures, directions = _Measures(job), directions_of(job.input("subspace"))
    edits = pd.read_csv(job.input("edit") / "edits.csv")
    table: list[dict[Any, Any]] = []
    for face in faces_of(job):
        measures.begin(face)
        for row in edits[edits["face"] == face.seed].to_dict("records"):
            direction = directions[row["region"]][row["direction"] - 1]
            edited = face.edited(direction, row["step"])
            table.append(row | measures.compare(edited, row["region"]))
    pd.DataFrame(table).to_csv(job.output / "metrics.csv", index=False)


class _Measures:
    """Every measure; what they need of the original is computed once for a face."""

    def __init__(self, job: Job) -> None:
        self._trunks = {"alex": perceptual_of(job, "alex"), "vgg": perceptual_of(job, "vgg")}
        self._scores = scores_of(job)

    def begin(self, face: Face) -> None:
        self._original, self._masks = face.original, face.masks
        self._before = {n: self._scores(face.original, mask) for n, mask in face.masks.items()}
        self._features = {n: trunk.features(face.original) for n, trunk in self._trunks.items()}

    def compare(self, edited: Tensor, region: str) -> dict[str, float]:
        """Measures of one edited face [1, 3, R, R] in [0, 1]; attributes as their change."""
        mask = self._masks[region]
        inside, outside = masked_mse(self._original, edited, mask)
        values = {"mse_inside": float(inside), "mse_outside": float(outside)}
        for net, trunk in self._trunks.items():
            distance = trunk.distance_map(self._features[net], trunk.features(edited))
            inside, outside = inside_outside(distance, mask)
            values |= {f"lpips_{net}_inside": float(inside), f"lpips_{net}_outside": float(outside)}
        # The composite form: what the change of the region alone amounts to in the whole picture.
        alex = self._trunks["alex"]
        composite = alex.features(edited.where(mask[:, None], self._original))
        values["lpips_alex_composite"] = float(alex.distance(self._features["alex"], composite))
        scores, before = self._scores(edited, mask), self._before[region]
        return values | {name: score - before[name] for name, score in scores.items()}


if __name__ == "__main__":
    run(main)
