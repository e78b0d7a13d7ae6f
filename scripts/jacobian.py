"""Jacobian at one face: the Gram matrices of every region, and what figures show of it."""

import contextlib
import math
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from torch import Tensor

from faces import analysed, generator_of, groups_of, rendered
from grams import save_grams
from job import Job, run
from lowrankgan.gram import Sensitivity, gram_matrices
from lowrankgan.images import to_bytes, to_unit
from lowrankgan.jacobian import GroupedJacobian
from lowrankgan.linearization import fast_tangents


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    side = s["resolution"]
    ws, found = analysed(job, generator)
    masks = {name: mask[0] for name, mask in found.items()}
    groups = groups_of(s, generator)
    tangents = fast_tangents(ws) if s["tangents"] == "fast" else ws.dtype
    columns = GroupedJacobian(generator, ws[0], groups, side, s["pixels"], tangents, s["chunk"])
    sensitivity = Sensitivity(side)
    held = int(s["memory_gb"] * 1e9 / (4 * math.prod(columns.shape[1:])))
    with _kept(job, columns.shape) if s["save"] else contextlib.nullcontext() as file:

        def seen(block: Tensor) -> None:
            sensitivity.add(block)
            if file:
                file.write(block.float().cpu().numpy().tobytes())

        grams = gram_matrices(columns, masks, held, seen)
    image = to_bytes(to_unit(rendered(generator, ws, side)))[0]
    arrays = {"image": image, "sensitivity": sensitivity.map()}
    arrays |= {f"mask/{name}": mask for name, mask in masks.items()}
    taken = ", ".join(sorted(map(str, columns.tangents)))
    save_grams(job, grams, groups, arrays, tangents=taken)


@contextlib.contextmanager
def _kept(job: Job, shape: tuple[int, ...]) -> Iterator[BinaryIO]:
    """File of J itself, [n w_dim, C, R, R] float32 for n groups, its columns written in order.

    Not mapped into memory: a disk that is full would end the process by a signal.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with (job.output / "jacobian.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        yield file


if __name__ == "__main__":
    run(main)
