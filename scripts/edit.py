"""Edit the test faces: the steps of matched change, found by search, and the published steps."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pandas as pd
from torch import Tensor

from edited import Face, directions_of, faces_of, perceptual_of
from job import Job, run
from lowrankgan.editing import ChangeMatcher
from lowrankgan.metrics.masked import inside_outside, masked_mse
from lowrankgan.metrics.perceptual import Features, Perceptual

Change = Callable[[float], dict[str, float]]


def main(job: Job) -> None:
    trunk, directions = perceptual_of(job, "alex"), directions_of(job.input("subspace"))
    published = [
        {"target": "published", "step": step, "reached": True}
        for step in job.settings["published_steps"]
    ]
    first_steps: dict[tuple[str, int], float] = {}  # where the search ended on the last face
    table: list[dict[str, Any]] = []
    for number, face in enumerate(faces_of(job)):
        features = trunk.features(face.original)
        for region, rows in directions.items():
            for index, direction in enumerate(rows, start=1):
                change = cache(_Change(face, trunk, features, region, direction))
                found = _matched(job, change, first_steps.get((region, index), 1.0))
                first_steps[region, index] = abs(found[0]["step"])
                if number < job.settings["published_faces"]:
                    found += published
                common = {"region": region, "direction": index, "face": face.seed}
                table += [common | row for row in found]
    pd.DataFrame(table).to_csv(job.output / "edits.csv", index=False)


class _Change:
    """Change of one face inside a region, as a function of the step along one direction."""

    def __init__(
        self, face: Face, trunk: Perceptual, features: Features, region: str, direction: Tensor
    ) -> None:
        self._face, self._trunk, self._features = face, trunk, features
        self._mask, self._direction = face.masks[region], direction

    def __call__(self, step: float) -> dict[str, float]:
        image = self._face.edited(self._direction, step)
        distance = self._trunk.distance_map(self._features, self._trunk.features(image))
        return {
            "mse": float(masked_mse(self._face.original, image, self._mask)[0]),
            "lpips": float(inside_outside(distance, self._mask)[0]),
        }


def _matched(job: Job, change: Change, first_step: float) -> list[dict[str, Any]]:
    """The signed step that reaches each target, or comes closest to it.

    A mouth that is shut cannot be shut: of the two signs, the one is taken in which the direction
    changes the region more.
    """
    s = job.settings
    sign = 1.0 if change(first_step)["mse"] >= change(-first_step)["mse"] else -1.0
    matcher = ChangeMatcher(
        lambda step: change(sign * step), s["tolerance"], s["max_step"], first_step
    )
    rows = []
    for target, value in s["targets"].items():
        step, reached = matcher.match(target, value)
        rows.append({"target": target, "step": sign * step, "reached": reached})
    return rows


if __name__ == "__main__":
    run(main)
