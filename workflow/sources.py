"""Steps that every experiment begins with, weights and samples, and its regions."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowrankgan.errors import LowRankGANError
from lowrankgan.records import canonical
from lowrankgan.regions import build_region, region_mask
from lowrankgan.training.classifier_sizes import classifier_sizes
from lowrankgan.weights import hash_of
from workflow.generator_schema import Download, Generator, LocalFile, Package
from workflow.region_schema import Region
from workflow.schema import Configuration
from workflow.steps import Step


class Sources:
    """What further steps of an experiment build on.

    Attributes:
        c: the experiment.
        regions: those that are edited.
        analysed: these and others whose Gram matrices the same Jacobian gives.
        generator, perceptual, landmarks, identity: the weights, each a list of one, or of none.
        test: the test faces.

    Raises:
        LowRankGANError: a file that the configuration names cannot be read, or a region covers
            nothing or everything at a resolution at which it is needed.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.c = configuration
        self.regions = _regions(configuration.region)
        self.analysed = _regions(configuration.jacobian.regions) | self.regions
        for resolution in {configuration.edit.resolution, configuration.figure.resolution}:
            _draw(self.regions, resolution)
        for resolution in configuration.analysis_resolutions:
            _draw(self.analysed, resolution)
        self.generator = [_convert(configuration.generator)]
        self.perceptual = [_fetch(configuration.metric.perceptual)]
        self.landmarks = [_fetch(configuration.metric.landmarks)]
        identity = configuration.metric.identity
        self.identity = [_fetch(identity)] if identity else []
        self.test = self.sample(configuration.sample.test_seeds)

    def sample(self, seeds: Sequence[int], label: int | None = None) -> Step:
        """Latents of some seeds, of another class than the experiment's if one is named."""
        settings = {key: getattr(self.c.sample, key) for key in ("psi", "cutoff", "label")}
        if label is not None:
            settings["label"] = label
        return Step("sample", settings | {"seeds": list(seeds)}, {"generator": self.generator})

    def image_inputs(
        self, sample: Step, regions: Mapping[str, Any] | None = None
    ) -> dict[str, list[Step]]:
        """Of a step that finds regions in images: those that are edited, or others."""
        inputs = {"generator": self.generator, "sample": [sample]}
        if "landmarks" in canonical(regions or self.regions):
            inputs["landmarks"] = self.landmarks
        return inputs

    def scores(self, sample: Step) -> dict[str, Any]:
        """Settings of a step that scores attributes of edits of some faces.

        Raises:
            LowRankGANError: the classifier is of other images.
        """
        settings: dict[str, Any] = {"attributes": self.c.metric.attributes}
        if self.c.metric.attributes == "garments" and self.c.metric.classifier:
            path, label = Path(self.c.metric.classifier.path), sample.settings["label"]
            sizes = classifier_sizes(path)
            if self.c.edit.resolution != sizes["resolution"] or label >= sizes["classes"]:
                raise LowRankGANError(
                    f"{path}: judges images of {sizes['resolution']} px and of classes 0 to "
                    f"{sizes['classes'] - 1}; edit.resolution is {self.c.edit.resolution}, the "
                    f"class is {label}"
                )
            settings |= {"classifier": str(path), "sha256": hash_of(path), "label": label}
        return settings

    def scored_inputs(self, sample: Step) -> dict[str, list[Step]]:
        """Inputs of such a step."""
        inputs = self.image_inputs(sample)
        if self.c.metric.attributes == "landmarks":
            inputs["landmarks"] = self.landmarks
        return inputs

    @property
    def measured(self) -> dict[str, Any]:
        """Settings of a step that measures change."""
        return {"resolution": self.c.edit.resolution, "regions": self.regions}


def _fetch(weights: Package | Download) -> Step:
    return Step("fetch", weights.model_dump(mode="json"))


def _convert(generator: Generator) -> Step:
    """Read the published weights, whatever their format, into the project's own."""
    settings = generator.model_dump(mode="json", exclude={"name", "weights"})
    if not isinstance(generator.weights, LocalFile):
        return Step("convert", settings, {"weights": [_fetch(generator.weights)]})
    path = Path(generator.weights.path)
    return Step("convert", settings | {"path": str(path), "sha256": hash_of(path)})


def _regions(regions: Mapping[str, Region]) -> dict[str, Any]:
    return {name: _region(region.model_dump(mode="json")) for name, region in regions.items()}


def _draw(regions: Mapping[str, Any], resolution: int) -> None:
    """Refuse now what would end a step after hours; landmarks are known of images only."""
    for name, values in regions.items():
        region = build_region(values)
        if not region.needs_landmarks:
            region_mask(name, region, resolution)


def _region(values: dict[str, Any]) -> dict[str, Any]:
    """Plain values of a region, in which a mask file is identified by its content too."""
    if values["kind"] == "union":
        return values | {"parts": [_region(part) for part in values["parts"]]}
    if values["kind"] == "complement":
        return values | {"of": _region(values["of"])}
    if values["kind"] != "mask":
        return values
    try:
        content = Path(values["path"]).read_bytes()
    except OSError as error:
        raise LowRankGANError(
            f"{values['path']}: mask of a region cannot be read ({error.strerror})"
        ) from error
    return values | {"sha256": hashlib.sha256(content).hexdigest()}
