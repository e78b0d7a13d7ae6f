"""Edit the test faces: the steps of matched change, found by search, and the published steps."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from edited import Faces, faces_of, perceptual_of
from job import Job, run
from lowrankgan.editing import ChangeMatcher
from lowrankgan.metrics.masked import inside_outside, masked_mse
from lowrankgan.metrics.perceptual import Features, Perceptual


@dataclass(frozen=True)
class _Search:
    """The search on one face along one direction."""

    face: int
    region: str
    number: int
    direction: Tensor
    matcher: ChangeMatcher


def main(job: Job) -> None:
    s, trunk = job.settings, perceptual_of(job, "alex")
    first_steps: dict[tuple[str, int], float] = {}  # where the search ended on the faces before
    shown, table = 0, list[dict[str, Any]]()
    for faces in faces_of(job):
        directions = faces.directions(job.input("subspace"))
        searches = [
            _Search(face, region, number, direction, _matcher(job, first_steps, region, number))
            for face in range(len(faces.seeds))
            for region, rows in directions.items()
            for number, direction in enumerate(rows, start=1)
        ]
        _run(searches, faces, trunk)
        for search in searches:
            found = [(name, *search.matcher.match(name)) for name, *_ in s["targets"]]
            first_steps[search.region, search.number] = abs(found[0][1])
            if shown + search.face < s["published_faces"]:
                found += [("published", step, True) for step in s["published_steps"]]
            common = {"region": search.region, "direction": search.number}
            common |= {"face": faces.seeds[search.face]}
            keys = ("target", "step", "reached")
            table += [common | dict(zip(keys, row, strict=True)) for row in found]
        shown += len(faces.seeds)
    pd.DataFrame(table).to_csv(job.output / "edits.csv", index=False)


def _matcher(
    job: Job, first_steps: dict[tuple[str, int], float], region: str, number: int
) -> ChangeMatcher:
    s = job.settings
    first_step = first_steps.get((region, number), 1.0)
    targets = {name: (measure, value) for name, measure, value in s["targets"]}
    return ChangeMatcher(targets, s["tolerance"], s["max_step"], first_step)


def _run(searches: list[_Search], faces: Faces, trunk: Perceptual) -> None:
    """Bring all searches to their end, what they propose rendered together."""
    originals = trunk.features(faces.originals)
    while waiting := [s for s in searches if s.matcher.propose() is not None]:
        for batch in faces.batches(waiting):
            _measure(batch, faces, trunk, originals)


def _measure(batch: list[_Search], faces: Faces, trunk: Perceptual, originals: Features) -> None:
    steps = [step for s in batch if (step := s.matcher.propose()) is not None]
    chosen = [s.face for s in batch]
    images = faces.edited(chosen, torch.stack([s.direction for s in batch]), steps)
    masks = torch.stack([faces.masks[s.region][s.face] for s in batch])
    distances = trunk.distance_map(originals[chosen], trunk.features(images))
    mse = masked_mse(faces.originals[chosen], images, masks)[0].tolist()
    lpips = inside_outside(distances, masks)[0].tolist()
    for search, step, *changes in zip(batch, steps, mse, lpips, strict=True):
        search.matcher.observe(step, dict(zip(("mse", "lpips"), changes, strict=True)))


if __name__ == "__main__":
    run(main)
