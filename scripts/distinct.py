"""Which directions of a region are attributes of their own: how far their edits are apart.

An edit that has not reached the target says nothing of that, and does not count.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from edited import Faces, faces_of, perceptual_of
from job import Job, run
from lowrankgan.arrays import Array
from lowrankgan.distinct import angles, colour_shift, distinct
from lowrankgan.metrics.masked import inside_outside
from lowrankgan.metrics.perceptual import Perceptual
from scores import Scores, scores_of


def main(job: Job) -> None:
    s, trunk, scores = job.settings, perceptual_of(job, "alex"), scores_of(job)
    edits = pd.read_csv(job.input("metrics") / "metrics.csv")
    edits = edits[edits["target"] == s["target"]].sort_values("direction")
    measured = sorted(set(edits["face"]))[: s["faces"]]
    apart: dict[str, list[Array]] = {}
    degrees: dict[str, Array] = {}
    changes: list[pd.DataFrame] = []
    for faces in faces_of(job, measured):
        for region, rows in faces.directions(job.input("subspace")).items():
            degrees[region] = angles(rows.numpy())
            for face, seed in enumerate(faces.seeds):
                here = edits[(edits["region"] == region) & (edits["face"] == seed)]
                reached = here["reached"].to_numpy(bool)
                edited = _Edited(faces, region, face, rows, here["step"].tolist())
                between = edited.apart(trunk)
                between[~(reached & reached[:, None])] = np.nan
                apart.setdefault(region, []).append(between)
                changes.append(edited.changes(scores)[reached])
    pairs: list[dict[str, Any]] = []
    chosen: dict[tuple[str, int], bool] = {}
    for region, found in apart.items():
        mean, angle = np.ma.masked_invalid(found).mean(0).filled(np.nan), degrees[region]
        kept = distinct(mean, angle, s["apart"], s["degrees"])
        chosen |= {(region, i + 1): i in kept for i in range(len(mean))}
        for i, j in zip(*np.tril_indices(len(mean), -1), strict=True):
            common = {"region": region, "direction": i + 1, "other": j + 1}
            pairs.append(common | {"apart": mean[i, j], "degrees": angle[i, j]})
    keys = ["region", "direction"]
    every = pd.MultiIndex.from_tuples(chosen, names=keys)  # also what no face reached
    means = pd.concat(changes).groupby(keys).mean().reindex(every)
    means.insert(0, "distinct", list(chosen.values()))
    means.reset_index().to_csv(job.output / "attributes.csv", index=False)
    pd.DataFrame(pairs).to_csv(job.output / "pairs.csv", index=False)


class _Edited:
    """One face, edited along all directions of a region at matched change."""

    def __init__(
        self, faces: Faces, region: str, face: int, directions: Tensor, steps: list[float]
    ) -> None:
        count = len(directions)
        images = []
        for batch in faces.batches(range(count)):
            chosen = [steps[i] for i in batch]
            images.append(faces.edited([face] * len(batch), directions[batch], chosen))
        self._images = torch.cat(images)
        self._region, self._original = region, faces.originals[[face]]
        self._mask = faces.masks[region][face].expand(count, -1, -1)

    def apart(self, trunk: Perceptual) -> Array:
        """Distances [K, K] between edits inside the region, over those from the original."""
        found, count = [], len(self._images)
        original, edited = trunk.features(self._original), trunk.features(self._images)
        for features in (original, *(edited[[i]] for i in range(count))):
            distance = trunk.distance_map(features[[0] * count], edited)
            found.append(inside_outside(distance, self._mask)[0])
        length, between = found[0], torch.stack(found[1:])
        return (between / (length * length[:, None]).sqrt()).double().cpu().numpy()

    def changes(self, scores: Scores) -> pd.DataFrame:
        """Change of every attribute, a row a direction."""
        mask = self._mask[:1]
        before = pd.Series(scores(self._original, mask))
        after = pd.DataFrame([scores(image[None], mask) for image in self._images])
        shift = colour_shift(self._original.expand_as(self._images), self._images, self._mask)
        colours = pd.DataFrame({name: values.cpu().numpy() for name, values in shift.items()})
        found = pd.concat([after - before, colours], axis=1)
        found.insert(0, "region", self._region)
        found.insert(1, "direction", range(1, len(found) + 1))
        return found


if __name__ == "__main__":
    run(main)
