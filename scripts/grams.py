"""What the scripts that work on Gram matrices share; needs no torch."""

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from job import Job
from lowrankgan.layer_groups import join

Gram = NDArray[np.float64]


def grams_of(job: Job, stage: str = "jacobian") -> dict[str, tuple[Gram, Gram]]:
    """Region name to its (inside, outside) Gram matrices, averaged over the analysis images.

    Of J, or of single styles where the stage is `styles`; those of groups of layers are joined
    where the settings say so.
    """
    joined, folders = job.settings.get("joined", False), job.inputs[stage]
    totals: dict[str, Gram] = {}
    for folder in folders:  # one in memory at a time
        arrays = load_file(folder / "gram.safetensors")
        for key, gram in arrays.items():
            if key.startswith(("inside/", "outside/")):
                alike = join(gram, arrays["groups"].item()) if joined else gram
                totals[key] = totals[key] + alike if key in totals else alike
    mean = {key: total / len(folders) for key, total in totals.items()}
    names = sorted(key.removeprefix("inside/") for key in mean if key.startswith("inside/"))
    return {name: (mean[f"inside/{name}"], mean[f"outside/{name}"]) for name in names}


def save_grams(
    job: Job,
    grams: Mapping[str, tuple[Gram, Gram]],
    groups: int,
    others: Mapping[str, NDArray[np.generic]],
) -> None:
    """Write one image's (inside, outside) Gram matrices by region name, for `grams_of`.

    Args:
        job: whose output it is.
        grams: region name to its two.
        groups: number of groups of layers that they are of.
        others: further arrays for the same file.
    """
    arrays = {"groups": np.array(groups)} | dict(others)
    for name, (inside, outside) in grams.items():
        arrays |= {f"inside/{name}": inside, f"outside/{name}": outside}
    kept = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    save_file(kept, job.output / "gram.safetensors")


def save_directions(job: Job, directions: Mapping[str, Gram]) -> None:
    """Write each region's directions, [k, n w_dim] of n groups that move or [k, L, w_dim]."""
    said = {"layers": job.settings["layers"], "splits": job.settings.get("splits", [])}
    metadata = {key: json.dumps(value) for key, value in said.items()}
    save_file(dict(directions), job.output / "directions.safetensors", metadata)
