"""Jacobian at one face: the Gram matrices of every region, and what figures show of it."""

import contextlib
import math
from collections.abc import Iterator
from typing import BinaryIO

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
    held = int(s["memory_gb"] * 1e9 / (4 * math.prod(columns.shape[1:])))
    with _kept(job, columns.shape) if s["save"] else contextlib.nullcontext() as file:

        def seen(block: Tensor) -> None:
            sensitivity.add(block)
            if file:
                file.write(block.float().cpu().numpy().tobytes())

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


@contextlib.contextmanager
def _kept(job: Job, shape: tuple[int, ...]) -> Iterator[BinaryIO]:
    """File of J itself, [w_dim, C, R, R] float32, to which its columns are written in order.

    Not mapped into memory: a disk that is full would end the process by a signal.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with (job.output / "jacobian.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        yield file


if __name__ == "__main__":
    run(main)
