"""Edit the test faces: the steps of matched change, found by search, and the published steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from faces import EditedFaces, directions_of
from job import Job, run
from lowrankgan.editing import ChangeMatcher
from lowrankgan.metrics.masked import inside_outside, masked_mse
from lowrankgan.metrics.perceptual import Perceptual
from lowrankgan.progress import progress

Measure = Callable[[NDArray[np.int_], NDArray[np.float64]], dict[str, NDArray[np.float64]]]


def main(job: Job) -> None:
    s, faces = job.settings, EditedFaces(job)
    trunk = Perceptual(job.input("perceptual") / "files" / "alexnet.ckpt", "alex", faces.w.device)
    features = [trunk.features(original[None]) for original in faces.originals]
    cases = [
        (name, index, direction)
        for name, rows in directions_of(job.input("subspace"), faces.w).items()
        for index, direction in enumerate(rows)
    ]
    table: list[dict[str, Any]] = []
    for case in progress(cases, "directions"):
        name, index, direction = case
        measure = _measure(faces, trunk, features, name, direction)
        matcher = ChangeMatcher(measure, len(faces.seeds), s["tolerance"], s["max_step"])
        common = {"region": name, "direction": index + 1}
        for target, change in s["targets"].items():
            match = matcher.match(target, change)
            for face, step, reached in zip(faces.seeds, match.steps, match.reached, strict=True):
                table.append(
                    common | {"face": face, "target": target, "step": step, "reached": reached}
                )
        for face in faces.seeds[: s["published_faces"]]:
            for step in s["published_steps"]:
                row = {"face": face, "target": "published", "step": step, "reached": True}
                table.append(common | row)
    pd.DataFrame(table).to_csv(job.output / "edits.csv", index=False)


def _measure(
    faces: EditedFaces, trunk: Perceptual, features: list[Any], region: str, direction: Tensor
) -> Measure:
    """Change inside the region by both measures, as the search asks for it."""

    def measure(
        chosen: NDArray[np.int_], steps: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        mse, lpips = [], []
        for face, step in zip(chosen, steps, strict=True):
            image, mask = faces.edited(direction, [face], [step]), faces.mask(region, [face])
            distance = trunk.distance_map(features[face], trunk.features(image))
            mse.append(float(masked_mse(faces.originals[[face]], image, mask)[0]))
            lpips.append(float(inside_outside(distance, mask)[0]))
        return {"mse": np.array(mse), "lpips": np.array(lpips)}

    return measure


if __name__ == "__main__":
    run(main)
