"""Train a BigGAN; goes on from the last checkpoint of a run that was stopped."""

import hashlib
from pathlib import Path

import pandas as pd
import torch
from PIL import Image

from faces import device_of
from job import Job, run
from lowrankgan import generators, training
from lowrankgan.generators.checkpoint import save_checkpoint
from lowrankgan.images import image_grid, to_bytes, to_unit
from lowrankgan.progress import progress
from lowrankgan.records import RECORD, sha256
from lowrankgan.training.data import load
from lowrankgan.training.generator import export, render
from lowrankgan.training.settings import Settings
from lowrankgan.training.trainer import Trainer

_ROWS = 10


def main(job: Job) -> None:
    settings = Settings.from_json(job.settings)
    data = load(job.input("dataset") / "training.safetensors")
    trainer = Trainer(settings, data, device_of())
    # Not in the output, which a stopped job loses; by what it is of, for it may outlive that.
    folder = job.output.parent / "checkpoint" / _origin(job)
    trainer.resume(folder)
    for _ in progress(range(trainer.step, settings.steps), "training steps"):
        trainer.advance()
        if trainer.step % settings.report_every == 0:
            trainer.save(folder)
            _samples(trainer, data.classes).save(folder / f"samples_{trainer.step:06d}.png")
    save_checkpoint(export(trainer.calibrated()), job.output / "generator.safetensors")
    _samples(trainer, data.classes).save(job.output / "samples.png")
    losses = pd.DataFrame(trainer.losses, columns=["discriminator", "generator"])
    losses.to_csv(job.output / "losses.csv", index_label="step")


def _origin(job: Job) -> str:
    """Digits that tell apart what checkpoints are of, beside settings: the data and the code."""
    code = [
        path
        for package in (training, generators)
        for path in sorted(Path(package.__path__[0]).glob("*.py"))
    ]
    hashes = [sha256(path) for path in (job.input("dataset") / RECORD, *code)]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:12]


@torch.no_grad()
def _samples(trainer: Trainer, classes: int) -> Image.Image:
    """The same latents at every checkpoint, one column a class."""
    generator, random = trainer.calibrated(), torch.Generator().manual_seed(trainer.settings.seed)
    z = torch.randn(_ROWS * classes, generator.z_dim, generator=random)
    labels = torch.arange(classes).repeat(_ROWS)
    images = render(generator, z.to(generator.device), labels.to(generator.device))
    return image_grid(to_bytes(to_unit(images)), classes)


if __name__ == "__main__":
    run(main)
