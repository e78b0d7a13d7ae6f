"""Test faces and their edits, a few at a time: memory does not grow with their number."""

import json
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from faces import (
    device_of,
    generator_of,
    groups_of,
    latents_of,
    masks_of,
    points_of,
    rendered,
)
from job import Job
from lowrankgan.editing import move, offsets
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.images import to_unit
from lowrankgan.metrics.perceptual import Perceptual
from lowrankgan.progress import progress
from lowrankgan.regions import Points

log = logging.getLogger(__name__)

# Pixels that are rendered together; on a CPU more than one image of 1024 px gains nothing.
_PIXELS = {"cpu": 1 << 20, "cuda": 1 << 23}
_MOST = 64  # images
T = TypeVar("T")


@dataclass(frozen=True)
class Faces:
    """Some test faces at the resolution R at which change is measured.

    Attributes:
        seeds: [N] that they were sampled with.
        originals: [N, 3, R, R] in [0, 1].
        masks: region name to bool [N, R, R].
    """

    seeds: list[int]
    originals: Tensor
    masks: dict[str, Tensor]
    _generator: Generator
    _ws: Tensor

    def directions(self, folder: Path) -> dict[str, Tensor]:
        """See `directions_of`."""
        return directions_of(folder, self._generator)

    def batches(self, items: Sequence[T]) -> list[list[T]]:
        """What stands for one edit each, in groups of as many as are best rendered together."""
        return _batches(items, self._generator, self.originals.shape[-1])

    @torch.inference_mode()
    def edited(self, faces: Sequence[int], offsets: Tensor, steps: Sequence[float]) -> Tensor:
        """Render M of the faces [M, 3, R, R] in [0, 1], each moved along its own direction.

        Args:
            faces: [M] positions among the faces; one may come more than once.
            offsets: [M, L, w_dim], or [L, w_dim] for all.
            steps: [M] along them.
        """
        ws = self._ws[list(faces)]
        ws = move(ws, offsets.to(ws), ws.new_tensor(steps))
        return to_unit(self._generator.render(ws, self.originals.shape[-1]))


def faces_of(job: Job, chosen: Collection[int] | None = None) -> Iterator[Faces]:
    """The test faces in order, or those of some seeds, in batches.

    An image without a face, where a region is of landmarks, is left out and named in the log.

    Raises:
        LowRankGANError: none is left.
    """
    generator = generator_of(job)
    latents, seeds = latents_of(job, generator)
    wanted = [i for i, seed in enumerate(seeds) if chosen is None or seed in chosen]
    empty, side = True, job.settings["resolution"]
    for batch in progress(_batches(wanted, generator, side), "faces"):
        images = rendered(generator, latents[batch], side)
        points = points_of(job, images)
        seen = _seen(points, [seeds[i] for i in batch])
        if not seen:
            continue
        empty, shown = False, [batch[k] for k in seen]
        own = [seeds[i] for i in shown]
        masks = {
            name: torch.from_numpy(mask).to(images.device)
            for name, mask in masks_of(job, side, [points[k] for k in seen], own).items()
        }
        yield Faces(own, to_unit(images[seen]), masks, generator, latents[shown])
    if empty:
        first, last = (seeds[wanted[end]] for end in (0, -1))
        raise LowRankGANError(
            f"no face was found on any of the images of seeds {first} to {last}; choose "
            "others, lower sample.psi, or a region that is not of landmarks"
        )


def _seen(points: Sequence[Points | None], seeds: Sequence[int]) -> list[int]:
    """Positions of the images on which regions can be drawn; the others are named in the log."""
    seen = []
    for position, (found, seed) in enumerate(zip(points, seeds, strict=True)):
        if found is None or np.isfinite(found).all():
            seen.append(position)
        else:
            log.warning("no face was found on the image of seed %d, which is left out", seed)
    return seen


def _batches(items: Sequence[T], generator: Generator, side: int) -> list[list[T]]:
    """Items in groups of as many images as are best rendered, and measured at a side, together."""
    pixels = max(generator.resolution, side) ** 2
    size = min(_MOST, max(1, _PIXELS[generator.device.type] // pixels))
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def perceptual_of(job: Job, net: Literal["alex", "vgg"]) -> Perceptual:
    """LPIPS on the device where the faces are rendered."""
    name = {"alex": "alexnet.ckpt", "vgg": "vgg16.ckpt"}[net]
    return Perceptual(job.input("perceptual") / "files" / name, net, device_of())


def directions_of(folder: Path, generator: Generator) -> dict[str, Tensor]:
    """Region name to its directions as offsets in W+ [k, L, w_dim], float64 on the CPU."""
    shape, found = (generator.num_layers, generator.w_dim), {}
    with safe_open(folder / "directions.safetensors", "pt") as file:
        said = {key: json.loads(value) for key, value in file.metadata().items()}
        groups = groups_of(said, generator)
        for region in sorted(file.keys()):
            rows = file.get_tensor(region)
            if rows.ndim == 2 and rows.shape[1] == len(groups) * generator.w_dim:
                rows = offsets(rows, generator.num_layers, groups)
            if rows.shape[1:] != shape:
                raise LowRankGANError(
                    f"directions of {region!r} have shape {tuple(rows.shape)}, expected "
                    f"[k, {len(groups) * generator.w_dim}] or [k, {shape[0]}, {shape[1]}]"
                )
            found[region] = rows
    return found
