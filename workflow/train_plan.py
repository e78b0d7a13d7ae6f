"""Unrolls a training into steps: data, classifier, generator, and the model card."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowrankgan.errors import LowRankGANError
from lowrankgan.records import canonical
from lowrankgan.weights import hash_of
from workflow.steps import Step, lineage
from workflow.train_schema import PictureFolder, Training


@dataclass(frozen=True)
class TrainPlan:
    """All steps of a training.

    Attributes:
        card: the step that assesses the generator; its folder is what people open.
    """

    card: Step

    @property
    def steps(self) -> dict[tuple[str, str], Step]:
        """Steps by stage and key, each after the steps that it builds on."""
        return lineage([self.card])


def unroll_training(training: Training) -> TrainPlan:
    """Unroll a training into its steps.

    Raises:
        LowRankGANError: a folder of pictures cannot be read.
    """
    schedule = training.schedule.model_dump(mode="json")
    network = training.network.model_dump(mode="json")
    resolution = 4 << (len(training.network.channels) - 1)
    read = {"resolution": resolution, "classes": len(training.classes)}
    data = Step("dataset", _data(training) | read)
    judge = training.classifier.model_dump(mode="json")
    classifier = Step("classifier", judge, {"dataset": [data]})
    train = Step("train", network | schedule, {"dataset": [data]})
    parents = {"dataset": [data], "classifier": [classifier], "train": [train]}
    told = {"name", "description", "limits", "classes"}
    settings = training.model_dump(mode="json", include=told)
    settings |= {"samples": training.assessed, "seed": training.schedule.seed}
    return TrainPlan(Step("card", settings, parents))


def _data(training: Training) -> dict[str, Any]:
    """Plain values of the data, in which a folder is identified by its files and their content."""
    values = training.data.model_dump(mode="json")
    if not isinstance(training.data, PictureFolder):
        return values
    path = Path(training.data.path)
    if not path.is_dir():
        raise LowRankGANError(f"{path}: is no folder; data.path holds one folder for each class")
    files = sorted(file for file in path.glob("*/*") if file.is_file())
    listed = [[str(file.relative_to(path)), hash_of(file)] for file in files]
    return values | {"files": hashlib.sha256(canonical(listed).encode()).hexdigest()}
