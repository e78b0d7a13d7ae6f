"""Jacobian at one face: the Gram matrices of every region, and what figures show of it."""

import math
from collections.abc import Callable

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor

from faces import generator_of, latents_of, layers_of, masks_of
from job import Job, run
from lowrankgan.gram import Sensitivity, gram_matrices
from lowrankgan.images import to_bytes, to_unit
from lowrankgan.jacobian import Jacobian


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    side = s["resolution"]
    ws, _ = latents_of(job, generator)
    with torch.inference_mode():
        image = generator.render(ws, side)
    masks = {name: mask[0] for name, mask in masks_of(job, image).items()}
    layers = layers_of(job, generator)
    columns = Jacobian(generator, ws[0], layers, side, s["pixels"], s["chunk"])
    sensitivity = Sensitivity(side)
    keep = _keep(job, columns.shape) if s["save"] else None

    def seen(block: Tensor) -> None:
        sensitivity.add(block)
        if keep:
            keep(block)

    held = int(s["memory_gb"] * 1e9 / (4 * math.prod(columns.shape[1:])))
    grams = gram_matrices(columns, masks, held, seen)
    arrays = {"image": to_bytes(to_unit(image))[0], "sensitivity": sensitivity.map()}
    for name, (inside, outside) in grams.items():
        arrays |= {
            f"inside/{name}": inside,
            f"outside/{name}": outside,
            f"mask/{name}": masks[name],
        }
    save_file(
        {key: np.ascontiguousarray(a) for key, a in arrays.items()}, job.output / "gram.safetensors"
    )


def _keep(job: Job, shape: tuple[int, ...]) -> Callable[[Tensor], None]:
    """Writes J itself, [w_dim, C, R, R] float32, as its columns come by."""
    path = job.output / "jacobian.npy"
    file = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    start = 0

    def write(block: Tensor) -> None:
        nonlocal start
        file[start : start + len(block)] = block.cpu().numpy()
        start += len(block)

    return write


if __name__ == "__main__":
    run(main)
