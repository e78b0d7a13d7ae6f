"""What the scripts that render faces share: loading from the folders of earlier steps."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from job import Job
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.loading import load_generator
from lowrankgan.images import to_unit
from lowrankgan.layer_groups import split
from lowrankgan.metrics.landmarks import FaceLandmarks
from lowrankgan.regions import Points, Region, build_region, region_mask


def device_of() -> torch.device:
    """The GPU, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def generator_of(job: Job) -> Generator:
    """Load the generator onto the GPU, if there is one."""
    return load_generator(job.input("generator") / "generator.safetensors", device_of())


def layers_of(job: Job, generator: Generator) -> Sequence[int]:
    """The slots of W+ that move."""
    return slots(job.settings["layers"], generator)


def groups_of(settings: Mapping[str, Any], generator: Generator) -> list[list[int]]:
    """The slots of W+ that move, those of each group by an offset of its own."""
    return split(slots(settings["layers"], generator), settings["splits"])


def slots(layers: Literal["all"] | Sequence[int], generator: Generator) -> Sequence[int]:
    """Slots of a generator by their numbers, or all of them."""
    if layers == "all":
        return range(generator.num_layers)
    if max(layers) >= generator.num_layers:
        raise LowRankGANError(
            f"layers: {max(layers)}, the generator has 0 to {generator.num_layers - 1}"
        )
    return layers


def latents_of(job: Job, generator: Generator) -> tuple[Tensor, list[int]]:
    """The sampled W+ [N, L, D] on the generator's device, and the seed of each."""
    latents = load_file(job.input("sample") / "latents.safetensors")
    return latents["ws"].to(generator.device), latents["seeds"].tolist()


def analysed(job: Job, generator: Generator) -> tuple[Tensor, dict[str, NDArray[np.bool_]]]:
    """The sampled W+ [N, L, D], and the masks of their images as J sees them."""
    (ws, seeds), side = latents_of(job, generator), job.settings["resolution"]
    points: list[Points | None] = [None] * len(ws)
    if _asks_for_landmarks(job):
        points = [points_of(job, rendered(generator, one[None], side))[0] for one in ws]
    return ws, masks_of(job, side, points, seeds)


@torch.inference_mode()
def rendered(generator: Generator, ws: Tensor, side: int) -> Tensor:
    """Images [N, 3, side, side] of W+ [N, L, D], nominally in [-1, 1]."""
    return generator.render(ws, side)


def points_of(job: Job, images: Tensor) -> list[Points | None]:
    """Landmarks of each of the images [N, 3, R, R] nominally in [-1, 1], if a region asks for them.

    They are NaN where no face was found.
    """
    if not _asks_for_landmarks(job):
        return [None] * len(images)
    return list(landmarks_of(job)(to_unit(images))[0])


def masks_of(
    job: Job, side: int, points: Sequence[Points | None], seeds: Sequence[int]
) -> dict[str, NDArray[np.bool_]]:
    """Region name to masks [N, side, side] on images of some seeds, given `points_of` them."""
    masks = {}
    for name, region in _regions_of(job).items():
        if region.needs_landmarks:
            faces = zip(points, seeds, strict=True)
            found = [region_mask(f"{name}, image of seed {n}", region, side, p) for p, n in faces]
        else:
            found = [region_mask(name, region, side)] * len(seeds)
        masks[name] = np.stack(found)
    return masks


def _asks_for_landmarks(job: Job) -> bool:
    return any(region.needs_landmarks for region in _regions_of(job).values())


def _regions_of(job: Job) -> dict[str, Region]:
    return {name: build_region(spec) for name, spec in job.settings["regions"].items()}


def landmarks_of(job: Job) -> FaceLandmarks:
    """The model, loaded once though regions, attributes and identity all ask for it."""
    return _landmarks(job.input("landmarks") / "files" / "face_landmark.tflite")


_landmarks = cache(FaceLandmarks)
