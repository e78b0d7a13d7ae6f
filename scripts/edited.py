"""Test faces and their edits, one face at a time: memory does not grow with their number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.numpy import load_file
from torch import Tensor

from faces import device_of, generator_of, latents_of, layers_of, masks_of
from job import Job
from lowrankgan.editing import move
from lowrankgan.generators.base import Generator
from lowrankgan.images import to_unit
from lowrankgan.metrics.perceptual import Perceptual
from lowrankgan.progress import progress


@dataclass(frozen=True)
class Face:
    """A test face at the resolution R at which change is measured.

    Attributes:
        seed: that it was sampled with.
        original: [1, 3, R, R] in [0, 1].
        masks: region name to bool [1, R, R].
    """

    seed: int
    original: Tensor
    masks: dict[str, Tensor]
    _generator: Generator
    _ws: Tensor
    _layers: Sequence[int]

    @torch.no_grad()
    def edited(self, direction: Tensor, step: float) -> Tensor:
        """Render the face [1, 3, R, R] in [0, 1], moved along a direction [w_dim]."""
        steps = self._ws.new_tensor([step])
        ws = move(self._ws, direction.to(self._ws), steps, self._layers)
        return to_unit(self._generator.render(ws, self.original.shape[-1]))


def faces_of(job: Job, count: int | None = None) -> Iterator[Face]:
    """The test faces in order, or the first `count` of them."""
    generator = generator_of(job)
    layers = layers_of(job, generator)
    latents, seeds = latents_of(job, generator)
    chosen = list(zip(latents, seeds, strict=True))[:count]
    for face, seed in progress(chosen, "faces"):
        ws = face[None]
        with torch.no_grad():
            image = generator.render(ws, job.settings["resolution"])
        masks = {
            name: torch.from_numpy(mask).to(image.device)
            for name, mask in masks_of(job, image).items()
        }
        yield Face(seed, to_unit(image), masks, generator, ws, layers)


def perceptual_of(job: Job, net: Literal["alex", "vgg"]) -> Perceptual:
    """LPIPS on the device where the faces are rendered."""
    name = {"alex": "alexnet.ckpt", "vgg": "vgg16.ckpt"}[net]
    return Perceptual(job.input("perceptual") / "files" / name, net, device_of())


def directions_of(folder: Path) -> dict[str, Tensor]:
    """Region name to its directions [k, w_dim] in float64."""
    found = load_file(folder / "directions.safetensors")
    return {name: torch.from_numpy(rows) for name, rows in found.items()}
