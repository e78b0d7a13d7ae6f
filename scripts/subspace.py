"""Editing directions of every region by one method."""

from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from grams import averaged, grams_of, save_directions
from job import Job, run
from lowrankgan.arrays import Array
from lowrankgan.direction_files import read_directions
from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import LowRank, by_rank
from lowrankgan.published import published_directions
from lowrankgan.shrinkage import cross_validated_weight, shrink
from lowrankgan.subspace import (
    by_leakage,
    constrained_optimum,
    most_local,
    null_space,
    principal_directions,
    project,
    rayleigh_optimum,
    restricted_optimum,
)
from lowrankgan.weights import verify


def main(job: Job) -> None:
    found = {"file": _from_files, "ranked": _ranked}.get(job.settings["solver"], _from_grams)
    save_directions(job, found(job))


def _from_files(job: Job) -> dict[str, Array]:
    found = {}
    for region, path in job.settings["files"].items():
        verify(Path(path), job.settings["sha256"][region])
        found[region] = read_directions(Path(path))[: job.settings["directions"]]
    return found


def _ranked(job: Job) -> dict[str, Array]:
    """Directions of another step, those measured in the order of what they leaked."""
    s, found = job.settings, load_file(job.input("subspace") / "directions.safetensors")
    table = pd.read_csv(job.input("metrics") / "metrics.csv")
    for target, column in s["leaks"].items():
        table.loc[table.target == target, "leak"] = table[column]
    for region, rows in found.items():
        edits = table[table.region == region].pivot(index="direction", columns=["face", "target"])
        order = by_leakage(edits["leak"].to_numpy(), edits["reached"].to_numpy())
        rest = range(len(order), len(rows))
        found[region] = rows[[*order, *rest][: s["directions"]]]
    return found


def _from_grams(job: Job) -> dict[str, Array]:
    found = {}
    for region in job.settings["regions"]:
        try:
            found[region] = _directions(job, region, *_grams(job, region))
        except LowRankGANError as error:
            raise LowRankGANError(f"region {region!r}: {error}") from error
    return found


def _grams(job: Job, region: str) -> tuple[Array, Array]:
    """Those of J, drawn towards those of single styles where the method has a prior."""
    weights, images = job.settings.get("prior"), grams_of(job, region)
    mean = averaged(images)
    if not weights:
        return mean
    (styles,) = grams_of(job, region, "styles")
    weight = weights[0]
    if len(weights) > 1:
        weight = cross_validated_weight(images, styles, weights, job.settings["ridge"])
        print(f"{region}: the prior has a weight of {weight:g}")
    return shrink(mean[0], styles[0], weight), shrink(mean[1], styles[1], weight)


def _directions(job: Job, region: str, inside: Array, outside: Array) -> Array:
    """Directions [count, d] of one region."""
    s = job.settings
    count, solver = s["directions"], s["solver"]
    if solver == "unprojected":
        return principal_directions(by_rank(inside, count), count)
    if solver == "rayleigh" and "restrict" in job.inputs:
        return _restricted(job, region, inside, outside)
    if solver == "rayleigh":
        return rayleigh_optimum(inside, outside, s["ridge"], count)
    if solver == "most_local":
        candidates = load_file(job.input("candidates") / "candidates.safetensors")["directions"]
        return most_local(candidates, inside, outside, count)
    rest = _read(job.input("factorize"), "outside", region)
    if solver == "constrained":
        return constrained_optimum(inside, null_space(rest, s["relaxation"]), count)
    low_rank = _read(job.input("factorize"), "inside", region)
    if solver == "published":
        return published_directions(low_rank, rest, count)
    return project(principal_directions(low_rank, count), null_space(rest, s["relaxation"]))


def _restricted(job: Job, region: str, inside: Array, outside: Array) -> Array:
    """Combinations of leading directions, by what they do to further faces as well."""
    s, rows = job.settings, load_file(job.input("subspace") / "directions.safetensors")[region]
    further, share = load_file(job.input("restrict") / "gram.safetensors"), s["share"]
    region_mean, rest_mean = (
        (1 - share) * rows @ gram @ rows.T + share * further[f"{side}/{region}"]
        for side, gram in (("inside", inside), ("outside", outside))
    )
    price = s["ridge"] * np.trace(outside) / len(outside)
    return restricted_optimum(rows, region_mean, rest_mean, price, s["directions"])


def _read(folder: Path, side: str, region: str) -> LowRank:
    """What `scripts/factorize.py` wrote of one Gram matrix."""
    arrays = load_file(folder / "factors.safetensors")
    ranks = pd.read_csv(folder / "ranks.csv").set_index(["side", "region"])["rank"].to_dict()
    return LowRank(
        spectrum=arrays[f"spectrum/{side}/{region}"],
        eigenvalues=arrays[f"eigenvalues/{side}/{region}"],
        eigenvectors=arrays[f"eigenvectors/{side}/{region}"],
        rank=ranks[side, region],
    )


if __name__ == "__main__":
    run(main)
