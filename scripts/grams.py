"""What the scripts that work on Gram matrices share; needs no torch."""

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from job import Job

Gram = NDArray[np.float64]


def grams_of(job: Job, stage: str = "jacobian") -> Mapping[str, tuple[Gram, Gram]]:
    """Region name to its (inside, outside) Gram matrices, averaged over the analysis images.

    Of J, or of single styles where the stage is `styles`.
    """
    images = [load_file(folder / "gram.safetensors") for folder in job.inputs[stage]]
    names = [key.removeprefix("inside/") for key in images[0] if key.startswith("inside/")]
    return {
        name: (
            np.mean([image[f"inside/{name}"] for image in images], axis=0),
            np.mean([image[f"outside/{name}"] for image in images], axis=0),
        )
        for name in sorted(names)
    }


def save_grams(
    job: Job,
    grams: Mapping[str, tuple[Gram, Gram]],
    others: Mapping[str, NDArray[np.generic]],
) -> None:
    """Write one image's (inside, outside) Gram matrices by region name, for `grams_of`.

    Args:
        job: whose output it is.
        grams: region name to its two.
        others: further arrays for the same file.
    """
    arrays = dict(others)
    for name, (inside, outside) in grams.items():
        arrays |= {f"inside/{name}": inside, f"outside/{name}": outside}
    kept = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    save_file(kept, job.output / "gram.safetensors")


def save_directions(job: Job, directions: Mapping[str, Gram]) -> None:
    """Write each region's directions, [k, n w_dim] of n groups that move or [k, L, w_dim]."""
    said = {"layers": job.settings["layers"], "splits": job.settings.get("splits", [])}
    metadata = {key: json.dumps(value) for key, value in said.items()}
    save_file(dict(directions), job.output / "directions.safetensors", metadata)
