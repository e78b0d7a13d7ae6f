"""Jacobian at one face: the Gram matrices of every region, and what figures show of it."""

import numpy as np
import torch
from safetensors.numpy import save_file

from faces import generator_of, latents_of, layers_of, masks_of
from job import Job, run
from lowrankgan.gram import gram_matrices, sensitivity
from lowrankgan.images import to_bytes, to_unit
from lowrankgan.jacobian import jacobian


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    ws, _ = latents_of(job, generator)
    with torch.no_grad():
        image = generator.render(ws, s["resolution"])
    masks = {name: mask[0] for name, mask in masks_of(job, image).items()}
    columns = jacobian(generator, ws[0], layers_of(job, generator), s["resolution"], s["chunk"])
    arrays = {"image": to_bytes(to_unit(image))[0], "sensitivity": sensitivity(columns)}
    for name, (inside, outside) in gram_matrices(columns, masks).items():
        arrays |= {
            f"inside/{name}": inside,
            f"outside/{name}": outside,
            f"mask/{name}": masks[name],
        }
    save_file(
        {key: np.ascontiguousarray(a) for key, a in arrays.items()}, job.output / "gram.safetensors"
    )
    if s["save"]:
        save_file({"columns": columns.numpy()}, job.output / "jacobian.safetensors")


if __name__ == "__main__":
    run(main)
