"""Edit the test faces to matched change, found by search, and by published steps; measure them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import geometric_mean
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from edited import Faces, faces_of, perceptual_of
from job import Job, run
from lowrankgan.editing import ChangeMatcher
from measures import Edits, Measures
from scores import embedding_of, scores_of

_PUBLISHED = "published"  # instead of a target
_COLUMNS = {"mse": "mse_inside", "lpips": "lpips_alex_inside"}  # what a target speaks of


@dataclass(frozen=True)
class _Search:
    """The search on one face along one direction, and what its edits measure, by step."""

    face: int
    region: str
    number: int
    direction: Tensor
    matcher: ChangeMatcher
    measured: dict[float, dict[str, float]] = field(default_factory=dict)


_Steps = Sequence[tuple[_Search, float]]


def main(job: Job) -> None:
    s, scores, embedding = job.settings, scores_of(job), embedding_of(job)
    trunks = {"alex": perceptual_of(job, "alex")}
    if s["vgg"]:
        trunks["vgg"] = perceptual_of(job, "vgg")
    ends = defaultdict[tuple[str, int], list[float]](list)  # of searches on the faces before
    shown, table = 0, list[dict[str, Any]]()
    for faces in faces_of(job):
        measures = Measures(faces, trunks, scores, embedding)
        directions = faces.directions(job.input("subspace"))
        searches = [
            _Search(face, region, number, direction, _matcher(job, ends[region, number]))
            for face in range(len(faces.seeds))
            for region, along in directions.items()
            for number, direction in enumerate(along, start=1)
        ]
        _search(searches, faces, measures)
        rows = list[tuple[_Search, str, float, bool]]()
        for search in searches:
            found = [(name, *search.matcher.match(name)) for name, *_ in s["targets"]]
            ends[search.region, search.number] += [
                abs(step) for _, step, reached in found if reached
            ]
            if shown + search.face < s["published_faces"]:
                found += [(_PUBLISHED, step, True) for step in s["published_steps"]]
            rows += [(search, *row) for row in found]
        shown += len(faces.seeds)
        matched = [(search, step) for search, target, step, _ in rows if target != _PUBLISHED]
        _complete(matched, faces, measures)
        # Of published steps nothing but changes is shown.
        _complete([(search, step) for search, _, step, _ in rows], faces, measures, others=False)
        table += [
            {"region": search.region, "direction": search.number, "face": faces.seeds[search.face]}
            | {"target": target, "step": step, "reached": reached}
            | search.measured[step]
            for search, target, step, reached in rows
        ]
    pd.DataFrame(table).to_csv(job.output / "metrics.csv", index=False)


def _matcher(job: Job, ends: Sequence[float]) -> ChangeMatcher:
    """A search that starts amid the steps that reached the targets on other faces."""
    s = job.settings
    targets = {name: (measure, value) for name, measure, value in s["targets"]}
    return ChangeMatcher(targets, s["tolerance"], s["max_step"], geometric_mean(ends or [1.0]))


def _search(searches: Sequence[_Search], faces: Faces, measures: Measures) -> None:
    """Bring all searches to their end, what they propose rendered together.

    What arrives at a target is measured at once, for to render it again would cost more; LPIPS by
    VGG, which costs more than the rendering, where LPIPS was to be equal.
    """
    while waiting := [(s, step) for s in searches if (step := s.matcher.propose()) is not None]:
        for batch in faces.batches(waiting):
            edits = _rendered(batch, faces)
            changes = measures.changes(edits)
            for (search, step), found in zip(batch, changes, strict=True):
                seen = {measure: found[column] for measure, column in _COLUMNS.items()}
                search.matcher.observe(step, seen)
            reached = [search.matcher.arrived(step) for search, step in batch]
            arrived = [i for i, equal in enumerate(reached) if equal]
            if arrived:
                others = measures.others(edits[arrived], ["lpips" in reached[i] for i in arrived])
                for i, found in zip(arrived, others, strict=True):
                    search, step = batch[i]
                    search.measured[step] = changes[i] | found


def _complete(steps: _Steps, faces: Faces, measures: Measures, others: bool = True) -> None:
    """Measure what has not been measured, such as the edit that is nearest to a missed target."""
    missing = [(search, step) for search, step in steps if step not in search.measured]
    for batch in faces.batches(missing):
        edits = _rendered(batch, faces)
        found = measures.changes(edits)
        if others:
            more = measures.others(edits, [False] * len(batch))
            found = [one | other for one, other in zip(found, more, strict=True)]
        for (search, step), measured in zip(batch, found, strict=True):
            search.measured[step] = measured


def _rendered(steps: _Steps, faces: Faces) -> Edits:
    chosen = [search.face for search, _ in steps]
    directions = torch.stack([search.direction for search, _ in steps])
    images = faces.edited(chosen, directions, [step for _, step in steps])
    return Edits(images, chosen, [search.region for search, _ in steps])


if __name__ == "__main__":
    run(main)
