"""A small classifier of the real labels, to judge samples and edits by."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lowrankgan.errors import LowRankGANError
from lowrankgan.progress import progress
from lowrankgan.training.classifier_sizes import KEY, classifier_sizes
from lowrankgan.training.data import LabelledImages

_CHANNELS = (16, 32, 64)
_FEATURES = 64
_BATCH = 500  # of evaluation


class Classifier(nn.Module):
    """Logits [N, classes] of images [N, 3, R, R] in [-1, 1].

    Three convolutions and two linear layers.

    Args:
        resolution: R in pixels, at least 8.
        classes: number of classes.
    """

    def __init__(self, resolution: int, classes: int) -> None:
        super().__init__()
        self.sizes = {"resolution": resolution, "classes": classes}
        layers: list[nn.Module] = []
        for inputs, outputs in zip((3, *_CHANNELS), _CHANNELS, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        side = resolution >> len(_CHANNELS)
        self.body = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(_CHANNELS[-1] * side * side, _FEATURES), nn.ReLU()
        )
        self.head = nn.Linear(_FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images))
        return logits


def train_classifier(
    data: LabelledImages, steps: int, batch: int, rate: float, seed: int, device: torch.device
) -> Classifier:
    """Train with Adam, the learning rate falling linearly to zero; the seed decides all."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = Classifier(data.pixels.shape[-1], data.classes).to(device)
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(classifier.parameters(), rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    for _ in progress(range(steps), "classifier steps"):
        chosen = torch.randint(len(data.labels), (batch,), generator=random)
        images, labels = data.batch(chosen, device)
        optimiser.zero_grad()
        F.cross_entropy(classifier(images), labels).backward()
        optimiser.step()
        schedule.step()
    return classifier.requires_grad_(False).eval()


def batches(data: LabelledImages, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """All images and labels in order."""
    for chosen in torch.arange(len(data.labels)).split(_BATCH):
        yield data.batch(chosen, device)


@torch.no_grad()
def judge(
    classifier: Classifier, images: Iterator[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Features [N, 64], labels as given [N] and as found [N] of batches of images, on the CPU."""
    found = []
    for batch, labels in images:
        features = classifier.body(batch)
        found.append((features, labels, classifier.head(features).argmax(1)))
    features, given, seen = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
    return features, given, seen


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write as safetensors, sizes as metadata."""
    state = {key: value.cpu().contiguous() for key, value in classifier.state_dict().items()}
    save_file(state, path, {KEY: json.dumps(classifier.sizes)})


def load_classifier(path: Path, device: torch.device) -> Classifier:
    """Read what `save_classifier` wrote.

    Raises:
        LowRankGANError: the file is missing, broken, or not one of this project.
    """
    classifier = Classifier(**classifier_sizes(path))
    try:
        classifier.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise LowRankGANError(f"{path}: is missing or not a classifier ({error})") from error
    return classifier.to(device).requires_grad_(False).eval()
