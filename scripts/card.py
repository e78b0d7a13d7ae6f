"""Assess a trained generator and write its model card."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from faces import device_of
from job import Job, run
from lowrankgan.figures.style import save
from lowrankgan.figures.training import loss_curves
from lowrankgan.generators.base import Generator
from lowrankgan.generators.checkpoint import load_checkpoint
from lowrankgan.generators.loading import load_generator
from lowrankgan.metrics.frechet import frechet_distance
from lowrankgan.training.card import model_card
from lowrankgan.training.classifier import batches, judge, load_classifier
from lowrankgan.training.data import LabelledImages, load
from lowrankgan.training.settings import Settings
from lowrankgan.weights import hash_of

_BATCH = 200
Judged = tuple[Tensor, Tensor, Tensor]


def main(job: Job) -> None:
    data = job.input("dataset")
    training, held_out = (load(data / f"{name}.safetensors") for name in ("training", "held_out"))
    summary, per_class = _assess(job, training, held_out)
    for name, table in (("quality", summary), ("classes", per_class)):
        table.to_csv(job.output / f"{name}.csv", index=False)
    losses = pd.read_csv(job.input("train") / "losses.csv", index_col="step")
    save(loss_curves(losses), job.output / "curves")
    shutil.copyfile(job.input("train") / "samples.png", job.output / "samples.png")
    (job.output / "card.md").write_text(model_card(_values(job, training), summary, per_class))


def _assess(
    job: Job, training: LabelledImages, held_out: LabelledImages
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy and Frechet distance of samples and of real images, and accuracy by class."""
    device, count = device_of(), job.settings["samples"]
    classifier = load_classifier(job.input("classifier") / "classifier.safetensors", device)
    generator = load_generator(job.input("train") / "generator.safetensors", device)
    random = torch.Generator().manual_seed(job.settings["seed"])
    seeded = torch.Generator().manual_seed(job.settings["seed"])
    chosen = torch.randperm(len(training.labels), generator=seeded)[:count]
    real = LabelledImages(training.pixels[chosen], training.labels[chosen], training.classes)
    reference = judge(classifier, batches(held_out, device))
    sets = {
        f"{count} samples": judge(classifier, _samples(generator, count, random)),
        f"{len(real.labels)} training images": judge(classifier, batches(real, device)),
        f"{len(held_out.labels)} held-out images": reference,
    }
    rows = [
        {
            "images": name,
            "classifier accuracy": float((given == seen).float().mean()),
            "Frechet distance to held-out": _distance(features, reference[0], random),
        }
        for name, (features, given, seen) in sets.items()
    ]
    return pd.DataFrame(rows), _by_class(sets, job.settings["classes"])


def _distance(features: Tensor, reference: Tensor, random: torch.Generator) -> float:
    """Of the reference to itself: between two random halves of it."""
    if features is not reference:
        return frechet_distance(features.numpy(), reference.numpy())
    order = torch.randperm(len(reference), generator=random)
    first, second = reference[order].tensor_split(2)
    return frechet_distance(first.numpy(), second.numpy())


def _by_class(sets: dict[str, Judged], names: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({"class": names})
    for title, (_, given, seen) in sets.items():
        correct = pd.Series((given == seen).float().numpy())
        table[title] = correct.groupby(given.numpy()).mean()
    return table


@torch.no_grad()
def _samples(
    generator: Generator, count: int, random: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    for labels in (torch.arange(count) % generator.num_classes).split(_BATCH):
        z = torch.randn(len(labels), generator.z_dim, generator=random)
        w = generator.mapping(z.to(generator.device), labels.to(generator.device))
        yield generator.synthesis(generator.broadcast(w)), labels


def _values(job: Job, training: LabelledImages) -> dict[str, Any]:
    """What the card names besides the tables."""
    record = json.loads((job.input("train") / "record.json").read_text())
    settings = Settings.from_json(record["settings"])
    weights = job.input("train") / "generator.safetensors"
    state = load_checkpoint(weights).state
    side = settings.resolution
    return asdict(settings) | {
        "name": job.settings["name"],
        "description": job.settings["description"],
        "limits": job.settings["limits"],
        "classes": ", ".join(job.settings["classes"]),
        "images": len(training.labels),
        "count": job.settings["samples"],
        "resolution": side,
        "shift": round(settings.translation * side),
        "square": round(settings.cutout * side),
        "z_dim": settings.z_dim,
        "layers": len(settings.channels),
        "parameters": sum(value.numel() for value in state.values()),
        "size": weights.stat().st_size,
        "sha256": hash_of(weights),
        "versions": f"torch {record['versions']['torch']}, {record['machine']}",
    }


if __name__ == "__main__":
    run(main)
