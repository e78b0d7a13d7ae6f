"""Directions of each analysis image on each face, and the angles between their subspaces."""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from job import Job, run
from lowrankgan.arrays import Array
from lowrankgan.subspace import principal_angles

_ANGLES = ["method", "region", "source", "other", "angle", "degrees"]
_REGIONS = ["method", "source", "region", "other", "angle", "degrees"]


def main(job: Job) -> None:
    pairs, crossed = job.settings["pairs"], job.settings["crossed"]
    _matched(pairs, job.inputs["metrics"]).to_csv(job.output / "matrix.csv", index=False)
    if crossed:
        faces = _matched(crossed, job.inputs["crossed"])
        faces.to_csv(job.output / "crossed.csv", index=False)
    found = [
        (source, method, load_file(folder / "directions.safetensors"))
        for (source, method), folder in zip(pairs, job.inputs["subspace"], strict=True)
    ]
    angles, regions = [], []
    for (source, method, one), (other, same, two) in combinations(found, 2):
        if method == same:
            for region in one:
                angles += _rows((method, region, source, other), one[region], two[region])
    for source, method, one in found:
        for region, other in combinations(one, 2):
            if one[region].shape[1:] == one[other].shape[1:]:  # of files, one may be in W+
                regions += _rows((method, source, region, other), one[region], one[other])
    pd.DataFrame(angles, columns=_ANGLES).to_csv(job.output / "angles.csv", index=False)
    pd.DataFrame(regions, columns=_REGIONS).to_csv(job.output / "regions.csv", index=False)


def _matched(pairs: Iterable[tuple[str, str]], folders: Iterable[Path]) -> pd.DataFrame:
    """Measures at matched change, of every source and method."""
    labelled = zip(pairs, folders, strict=True)
    return pd.concat(
        pd.read_csv(folder / "metrics.csv").assign(source=source, method=method)
        for (source, method), folder in labelled
    ).query("target != 'published'")


def _rows(common: tuple[str, ...], one: Array, two: Array) -> list[tuple[str | float, ...]]:
    degrees = np.degrees(principal_angles(one.reshape(len(one), -1), two.reshape(len(two), -1)))
    return [(*common, index, angle) for index, angle in enumerate(degrees, start=1)]


if __name__ == "__main__":
    run(main)
