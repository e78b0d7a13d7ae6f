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


def save_directions(job: Job, directions: Mapping[str, Gram]) -> None:
    """Write each region's directions, [k, w_dim] of the layers that move or [k, L, w_dim]."""
    layers = json.dumps(job.settings["layers"])
    save_file(dict(directions), job.output / "directions.safetensors", {"layers": layers})
