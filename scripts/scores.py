"""Scores of an edited image as a whole: attributes, and whether it is still the same person."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from faces import device_of, landmarks_of
from job import Job
from lowrankgan.metrics.attributes import ATTRIBUTES
from lowrankgan.metrics.garments import GarmentScores
from lowrankgan.metrics.identity import FaceIdentity
from lowrankgan.training.classifier import load_classifier
from lowrankgan.weights import verify

Scores = Callable[[Tensor, Tensor], dict[str, float]]
Embedding = Callable[[Tensor], NDArray[Any]]


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


def embedding_of(job: Job) -> Embedding | None:
    """Embedding [N, 128] of faces [N, 3, R, R] in [0, 1]; None if identity is not measured."""
    if "identity" not in job.inputs:
        return None
    landmarks = landmarks_of(job)
    identity = FaceIdentity(job.input("identity") / "files" / "recognition.dat")
    return lambda images: identity(images, landmarks(images)[0])
