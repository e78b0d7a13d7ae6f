"""Directions of each analysis image on each test face, and the angles between their subspaces."""

from itertools import combinations

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from job import Job, run
from lowrankgan.subspace import principal_angles

_ANGLES = ["method", "region", "source", "other", "angle", "degrees"]


def main(job: Job) -> None:
    matrix, angles, found = [], [], []
    folders = zip(job.inputs["metrics"], job.inputs["subspace"], strict=True)
    for (source, method), (metrics, subspace) in zip(job.settings["pairs"], folders, strict=True):
        matrix.append(pd.read_csv(metrics / "metrics.csv").assign(source=source, method=method))
        found.append((source, method, load_file(subspace / "directions.safetensors")))
    for (source, method, one), (other, same, two) in combinations(found, 2):
        if method != same:
            continue
        for region in one:
            degrees = np.degrees(principal_angles(one[region], two[region]))
            common = (method, region, source, other)
            angles += [(*common, index, angle) for index, angle in enumerate(degrees, start=1)]
    matched = pd.concat(matrix).query("target != 'published'")
    matched.to_csv(job.output / "matrix.csv", index=False)
    pd.DataFrame(angles, columns=_ANGLES).to_csv(job.output / "angles.csv", index=False)


if __name__ == "__main__":
    run(main)
