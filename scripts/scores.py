"""Attribute scores of an edited image, of the set that the configuration names."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from faces import device_of, landmarks_of
from job import Job
from lowrankgan.metrics.attributes import ATTRIBUTES
from lowrankgan.metrics.garments import GarmentScores
from lowrankgan.training.classifier import load_classifier
from lowrankgan.weights import verify

Scores = Callable[[Tensor, Tensor], dict[str, float]]


def scores_of(job: Job) -> Scores:
    """Scores by name of an image [1, 3, R, R] in [0, 1] with a region [1, R, R]."""
    s = job.settings
    if s["attributes"] == "garments":
        path = Path(s["classifier"])
        verify(path, s["sha256"])
        return GarmentScores(load_classifier(path, device_of()), s["label"])
    landmarks = landmarks_of(job)

    def scores(image: Tensor, region: Tensor) -> dict[str, float]:
        points = landmarks(image)[0]
        return {name: float(score(points)[0]) for name, score in ATTRIBUTES.items()}

    return scores
