"""What the scripts that render faces share: loading from the folders of earlier steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors
from torch import Tensor

from job import Job
from lowrankgan.editing import move
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators import load_generator
from lowrankgan.generators.base import Generator
from lowrankgan.images import to_unit
from lowrankgan.metrics.landmarks import FaceLandmarks
from lowrankgan.regions import Mask, Points, build_region


def generator_of(job: Job) -> Generator:
    """Load the generator onto the GPU, if there is one, and check its configured sizes."""
    settings = job.settings["generator"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = job.input("generator") / "files"
    generator = load_generator(settings["architecture"], folder, device)
    for key in ("resolution", "w_dim", "num_layers"):
        if getattr(generator, key) != settings[key]:
            raise LowRankGANError(
                f"generator.{key}: {settings[key]}, the weights in {folder} have "
                f"{getattr(generator, key)}; correct the configuration"
            )
    return generator


def layers_of(job: Job, generator: Generator) -> Sequence[int]:
    """The slots of W+ that are edited."""
    layers = job.settings["layers"]
    return range(generator.num_layers) if layers == "all" else layers


def latents_of(job: Job, generator: Generator) -> tuple[Tensor, list[int]]:
    """The sampled w [N, w_dim] on the generator's device, and the seed of each."""
    latents = load_tensors(job.input("sample") / "latents.safetensors")
    return latents["w"].to(generator.device), latents["seeds"].tolist()


def directions_of(folder: Path, like: Tensor) -> dict[str, Tensor]:
    """Region name to its directions [k, w_dim], in the dtype and on the device of `like`."""
    found = load_file(folder / "directions.safetensors")
    return {name: torch.from_numpy(rows).to(like) for name, rows in found.items()}


def masks_of(job: Job, images: Tensor) -> dict[str, NDArray[np.bool_]]:
    """Region name to masks [N, R, R] on images [N, 3, R, R] nominally in [-1, 1]."""
    points: list[Points | None] = [None] * len(images)
    if "landmarks" in job.inputs:
        points = list(landmarks_of(job)(to_unit(images))[0])
    masks = {}
    for name, spec in job.settings["regions"].items():
        masks[name] = np.stack([_mask(name, spec, images.shape[-1], p) for p in points])
    return masks


def _mask(name: str, spec: Mapping[str, Any], resolution: int, points: Points | None) -> Mask:
    try:
        mask = build_region(spec).mask(resolution, points)
    except LowRankGANError as error:
        raise LowRankGANError(f"region.{name}: {error}") from error
    if mask.all() or not mask.any():
        raise LowRankGANError(
            f"region.{name}: covers {mask.mean():.0%} of the {resolution} px grid, "
            "expected a part of it; enlarge it, or raise the resolution"
        )
    return mask


def landmarks_of(job: Job) -> FaceLandmarks:
    return FaceLandmarks(job.input("landmarks") / "files" / "face_landmark.tflite")


class EditedFaces:
    """The test faces at the resolution at which change is measured, and their edits.

    Attributes:
        generator: what renders them.
        w: [N, w_dim] latents.
        seeds: seed of each face; `count` keeps the first ones.
        originals: [N, 3, R, R] in [0, 1].
        masks: region name to bool [N, R, R].
    """

    def __init__(self, job: Job, count: int | None = None) -> None:
        self.generator = generator_of(job)
        w, seeds = latents_of(job, self.generator)
        self.w, self.seeds = w[:count], seeds[:count]
        self._layers = layers_of(job, self.generator)
        self._resolution: int = job.settings["resolution"]
        images = self._render(self.generator.broadcast(self.w))
        self.originals = to_unit(images)
        self.masks = masks_of(job, images)

    def edited(self, direction: Tensor, faces: Sequence[int], steps: Sequence[float]) -> Tensor:
        """Render edits [n, 3, R, R] in [0, 1] of some faces, each with its own step."""
        ws = self.generator.broadcast(self.w[list(faces)])
        alpha = torch.tensor(list(steps), dtype=ws.dtype, device=ws.device)
        return to_unit(self._render(move(ws, direction, alpha, self._layers)))

    def mask(self, region: str, faces: Sequence[int]) -> Tensor:
        """Masks [n, R, R] of some faces on the generator's device."""
        return torch.from_numpy(self.masks[region][list(faces)]).to(self.w.device)

    @torch.no_grad()
    def _render(self, ws: Tensor) -> Tensor:
        batch = 16 if ws.is_cuda else 1
        return torch.cat(
            [self.generator.render(part, self._resolution) for part in ws.split(batch)]
        )
