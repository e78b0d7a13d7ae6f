"""Editing directions of every region by one method."""

import numpy as np
from grams import Gram, grams_of
from job import Job, run
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from lowrankgan.errors import LowRankGANError
from lowrankgan.subspace import constrained_optimum, null_space, principal_directions, project


def main(job: Job) -> None:
    directions = {}
    for name, (inside, outside) in grams_of(job).items():
        try:
            directions[name] = _directions(job, name, inside)
        except LowRankGANError as error:
            raise LowRankGANError(f"region {name!r}: {error}") from error
    save_file(directions, job.output / "directions.safetensors")
