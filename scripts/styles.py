"""Gram matrices of every region at one face, as if styles acted one by one."""

import torch
from safetensors.numpy import save_file

from faces import generator_of, latents_of, layers_of, masks_of
from job import Job, run
from lowrankgan.style_gram import style_gram_matrices


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    ws, _ = latents_of(job, generator)
    with torch.inference_mode():
        image = generator.render(ws, s["resolution"])
    masks = {name: mask[0] for name, mask in masks_of(job, image).items()}
    layers = layers_of(job, generator)
    grams = style_gram_matrices(generator, ws[0], layers, masks, s["probes"], s["seed"])
    arrays = {f"inside/{name}": inside for name, (inside, _) in grams.items()}
    arrays |= {f"outside/{name}": outside for name, (_, outside) in grams.items()}
    save_file(arrays, job.output / "gram.safetensors")


if __name__ == "__main__":
    run(main)
