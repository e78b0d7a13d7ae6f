"""Measure every edited face inside and outside its region, and its attributes."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from torch import Tensor

from faces import EditedFaces, directions_of, landmarks_of
from job import Job, run
from lowrankgan.metrics.attributes import ATTRIBUTES
from lowrankgan.metrics.landmarks import FaceLandmarks
from lowrankgan.metrics.masked import inside_outside, masked_mse
from lowrankgan.metrics.perceptual import Perceptual
from lowrankgan.progress import progress


def main(job: Job) -> None:
    faces = EditedFaces(job)
    files, device = job.input("perceptual") / "files", faces.w.device
    trunks = {
        "alex": Perceptual(files / "alexnet.ckpt", "alex", device),
        "vgg": Perceptual(files / "vgg16.ckpt", "vgg", device),
    }
    directions = directions_of(job.input("subspace"), faces.w)
    edits = pd.read_csv(job.input("edit") / "edits.csv").to_dict("records")
    originals = [_Original(image[None], trunks, landmarks_of(job)) for image in faces.originals]
    table = []
    for row in progress(edits, "edited faces"):
        face = faces.seeds.index(row["face"])
        direction = directions[row["region"]][row["direction"] - 1]
        image = faces.edited(direction, [face], [row["step"]])
        table.append(row | originals[face].compare(image, faces.mask(row["region"], [face])))
    pd.DataFrame(table).to_csv(job.output / "metrics.csv", index=False)


class _Original:
    """A face before its edits, seen once by every network."""

    def __init__(
        self, image: Tensor, trunks: Mapping[str, Perceptual], landmarks: FaceLandmarks
    ) -> None:
        self._image, self._trunks, self._landmarks = image, trunks, landmarks
        self._features = {net: trunk.features(image) for net, trunk in trunks.items()}
        self._points = landmarks(image)[0]

    def compare(self, edited: Tensor, mask: Tensor) -> dict[str, Any]:
        """Every measure of one edited face [1, 3, R, R] in [0, 1]; attributes as their change."""
        mse = masked_mse(self._image, edited, mask)
        values = {"mse_inside": float(mse[0]), "mse_outside": float(mse[1])}
        for net, trunk in self._trunks.items():
            distance = trunk.distance_map(self._features[net], trunk.features(edited))
            inside, outside = inside_outside(distance, mask)
            values |= {f"lpips_{net}_inside": float(inside), f"lpips_{net}_outside": float(outside)}
        # The composite form: what the change of the region alone amounts to in the whole picture.
        composite = self._trunks["alex"].features(edited.where(mask[:, None], self._image))
        distance = self._trunks["alex"].distance(self._features["alex"], composite)
        values["lpips_alex_composite"] = float(distance)
        points = self._landmarks(edited)[0]
        for name, score in ATTRIBUTES.items():
            values[name] = float(score(points)[0] - score(self._points)[0])
        return values


if __name__ == "__main__":
    run(main)
