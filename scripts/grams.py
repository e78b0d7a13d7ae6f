"""What the scripts that work on Gram matrices share; needs no torch."""

import itertools
import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from job import Job
from lowrankgan.arrays import Array
from lowrankgan.layer_groups import join


def grams_of(job: Job, region: str, stage: str = "jacobian") -> list[tuple[Array, Array]]:
    """One region's (inside, outside) Gram matrices, one pair for each step of a stage.

    Of J at each analysis image, or of single styles where the stage is `styles`; those of groups of
    layers are joined where the settings name the layers that are moved alike.
    """
    joined, found = job.settings.get("joined"), []
    for folder in job.inputs[stage]:
        with safe_open(folder / "gram.safetensors", "numpy") as file:
            groups = json.loads(file.metadata()["groups"])
            alike = [*itertools.chain(*groups)] if joined == "all" else joined
            pair = [file.get_tensor(f"{side}/{region}") for side in ("inside", "outside")]
        inside, outside = (join(gram, groups, alike) if alike else gram for gram in pair)
        found.append((inside, outside))
    return found


def averaged(grams: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The mean over some images."""
    inside, outside = (sum(side) / len(grams) for side in zip(*grams, strict=True))
    return inside, outside


def save_grams(
    job: Job,
    grams: Mapping[str, tuple[Array, Array]],
    groups: Sequence[Sequence[int]],
    others: Mapping[str, NDArray[np.generic]],
    **said: str,
) -> None:
    """Write one image's (inside, outside) Gram matrices by region name, for `grams_of`.

    Args:
        job: whose output it is.
        grams: by region name.
        groups: slots that move, those of each group by an offset of its own.
        others: further arrays for the same file.
        said: further metadata of it.
    """
    arrays = dict(others)
    for name, (inside, outside) in grams.items():
        arrays |= {f"inside/{name}": inside, f"outside/{name}": outside}
    kept = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    metadata = {"groups": json.dumps(groups), **said}
    save_file(kept, job.output / "gram.safetensors", metadata)


def save_directions(job: Job, directions: Mapping[str, Array]) -> None:
    """Write each region's directions, [k, n w_dim] of n groups that move or [k, L, w_dim]."""
    said = {"layers": job.settings["layers"], "splits": job.settings.get("splits", [])}
    metadata = {key: json.dumps(value) for key, value in said.items()}
    kept = {key: np.ascontiguousarray(rows) for key, rows in directions.items()}
    save_file(kept, job.output / "directions.safetensors", metadata)
