"""Editing directions of every region by one method."""

from pathlib import Path

import pandas as pd
from safetensors.numpy import load_file, save_file

from grams import Gram, grams_of
from job import Job, run
from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import LowRank, by_rank
from lowrankgan.subspace import constrained_optimum, null_space, principal_directions, project


def main(job: Job) -> None:
    directions = {}
    for region, (inside, _) in grams_of(job).items():
        try:
            directions[region] = _directions(job, region, inside)
        except LowRankGANError as error:
            raise LowRankGANError(f"region {region!r}: {error}") from error
    save_file(directions, job.output / "directions.safetensors")


def _directions(job: Job, region: str, gram: Gram) -> Gram:
    """Directions [count, d] of one region."""
    count = job.settings["directions"]
    if job.settings["solver"] == "unprojected":
        return principal_directions(by_rank(gram, count), count)
    folder = job.input("factorize")
    basis = null_space(_read(folder, "outside", region), job.settings["relaxation"])
    if job.settings["solver"] == "constrained":
        return constrained_optimum(gram, basis, count)
    return project(principal_directions(_read(folder, "inside", region), count), basis)


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
