"""Sample faces by seed: latents for the later stages, pictures for people."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from faces import generator_of
from job import Job, run
from lowrankgan.images import SHEET_FACES, contact_sheet, to_bytes, to_unit
from lowrankgan.progress import progress
from lowrankgan.sampling import sample_latents


def main(job: Job) -> None:
    generator, seeds = generator_of(job), job.settings["seeds"]
    chosen = {key: job.settings[key] for key in ("psi", "cutoff", "label")}
    z, faces = sample_latents(generator, seeds, **chosen)
    latents = {"z": z.cpu(), "ws": faces.cpu(), "seeds": torch.tensor(seeds)}
    save_file(latents, job.output / "latents.safetensors")
    folder = job.output / "images"
    folder.mkdir()
    shown = list[NDArray[np.uint8]]()
    for seed, ws in progress(list(zip(seeds, faces.split(1), strict=True)), "faces"):
        with torch.inference_mode():
            image = to_bytes(to_unit(generator.synthesis(ws)))
        # At the default level PNG takes as long as the rendering, and is a tenth smaller.
        Image.fromarray(image[0]).save(folder / f"seed_{seed:06d}.png", compress_level=1)
        shown += [*image[: SHEET_FACES - len(shown)]]
    contact_sheet(shown, job.output / "faces.png")


if __name__ == "__main__":
    run(main)
