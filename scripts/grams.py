"""What the scripts that work on Gram matrices share; needs no torch."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from job import Job
from lowrankgan.arrays import Array
from lowrankgan.layer_groups import join


def grams_of(job: Job, stage: str = "jacobian") -> dict[str, tuple[Array, Array]]:
    """Region name to its (inside, outside) Gram matrices, averaged over the analysis images.

    Of J, or of single styles where the stage is `styles`; those of groups of layers are joined
    where the settings say so.
    """
    joined, folders = job.settings.get("joined", False), job.inputs[stage]
    total: dict[str, Array] = {}
    for folder in folders:  # one in memory at a time
        for key, gram in _read(folder, joined).items():
            total[key] = total.get(key, 0) + gram
    mean = {key: gram / len(folders) for key, gram in total.items()}
    names = sorted(key.removeprefix("inside/") for key in mean if key.startswith("inside/"))
    return {name: (mean[f"inside/{name}"], mean[f"outside/{name}"]) for name in names}


def _read(folder: Path, joined: bool) -> dict[str, Array]:
    """One image's Gram matrices by side and region."""
    arrays = load_file(folder / "gram.safetensors")
    grams = {k: gram for k, gram in arrays.items() if k.startswith(("inside/", "outside/"))}
    if not joined:
        return grams
    return {key: join(gram, arrays["groups"].item()) for key, gram in grams.items()}


def save_grams(
    job: Job,
    grams: Mapping[str, tuple[Array, Array]],
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


def save_directions(job: Job, directions: Mapping[str, Array]) -> None:
    """Write each region's directions, [k, n w_dim] of n groups that move or [k, L, w_dim]."""
    said = {"layers": job.settings["layers"], "splits": job.settings.get("splits", [])}
    metadata = {key: json.dumps(value) for key, value in said.items()}
    save_file(dict(directions), job.output / "directions.safetensors", metadata)
