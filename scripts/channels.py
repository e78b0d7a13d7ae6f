"""Single channels of style space whose effect falls into each region."""

import torch

from faces import generator_of, latents_of, layers_of, masks_of
from grams import save_directions
from job import Job, run
from lowrankgan.style_channels import local_channels


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    ws, _ = latents_of(job, generator)
    with torch.inference_mode():
        images = generator.render(ws, s["resolution"])
    masks, layers = masks_of(job, images), layers_of(job, generator)
    found = local_channels(generator, ws, layers, masks, s["probes"], s["seed"], s["directions"])
    save_directions(job, found)


if __name__ == "__main__":
    run(main)
