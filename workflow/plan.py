"""Unrolls a configuration into steps."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lowrankgan.errors import LowRankGANError
from lowrankgan.layer_groups import covering, split
from lowrankgan.records import canonical
from lowrankgan.weights import hash_of
from workflow.schema import (
    Channels,
    Configuration,
    Download,
    FromFile,
    Generator,
    Global,
    Jacobian,
    LocalFile,
    Method,
    Package,
    Prior,
    Published,
    Rayleigh,
    Region,
    Ruled,
)
from workflow.steps import Step, lineage

# Steps of the factorisation by source, rule and value.
Factors = Mapping[tuple[str, str, float | str], Step]
AVERAGE = "average"
_OF_STYLES = ("layers", "splits", "resolution", "regions")  # settings that they share with J
_NOT_OF_SUBSPACE = ("rule", "value", "lam", "ranked")  # settings of a method that others read
_TABLES = ("comparison", "summary", "attributes", "ranks", "generalization", "angles")


@dataclass(frozen=True)
class Plan:
    """All steps of an experiment.

    Attributes:
        tables: the step that writes the tables.
        figures: readable name to the step that draws the figure.
        methods: label to the step that measures its edits of the test faces.
    """

    tables: Step
    figures: Mapping[str, Step]
    methods: Mapping[str, Step]

    @property
    def table_names(self) -> tuple[str, ...]:
        """What the step of the tables writes."""
        settings, parents = self.tables.settings, self.tables.parents
        named = ("classes", "transfer", "sweep", "published")
        names = [*_TABLES, *(name for name in named if settings[name])]
        names += ["regions"] if settings["regions"] > 1 else []
        names += ["distinct"] if "distinct" in parents else []
        return (*names, "exactness") if "linearity" in parents else tuple(names)

    @property
    def final(self) -> list[Step]:
        """The steps whose output people look at."""
        return [self.tables, *self.figures.values()]

    @property
    def measured(self) -> dict[tuple[str, str], Step]:
        """Steps that neither are tables nor read them: several experiments' can be run as one."""
        drawn = [step for step in self.figures.values() if "tables" not in step.parents]
        return lineage(itertools.chain(*self.tables.parents.values(), drawn))

    @cached_property
    def steps(self) -> dict[tuple[str, str], Step]:
        """Steps by stage and key, each after the steps that it builds on."""
        return lineage(self.final)


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
    subspace: Method
    value: float | str | None

    def finds(self, region: str) -> bool:
        """Whether it has directions of a region: those of files may not."""
        return not isinstance(self.subspace, FromFile) or region in self.subspace.files

    @property
    def rule(self) -> str | None:
        """What gives its Gram matrices a rank."""
        if isinstance(self.subspace, Ruled):
            return self.subspace.rule
        return "published" if isinstance(self.subspace, Published) else None


@dataclass(frozen=True)
class _Grams:
    """Where a method's Gram matrices are from.

    Attributes:
        jacobians: steps of J, one of each analysis image.
        settings: of a step that reads them.
    """

    jacobians: list[Step]
    settings: Mapping[str, Any]


class _Unroller:
    def __init__(self, configuration: Configuration) -> None:
        self.c = configuration
        self.regions = _regions(configuration.region)
        self.analysed = _regions(configuration.jacobian.regions) | self.regions
        self.generator = [_convert(configuration.generator)]
        self.perceptual = [_fetch(configuration.metric.perceptual)]
        self.landmarks = [_fetch(configuration.metric.landmarks)]
        self.test = self._sample(configuration.sample.test_seeds)
        self.other_classes = {
            f"class {label}": self._sample(configuration.sample.test_seeds, label)
            for label in configuration.sample.other_labels
        }
        seeds = configuration.sample.analysis_seeds
        self.sources: dict[str, tuple[int, ...]] = {AVERAGE: seeds}
        if len(seeds) > 1:
            self.sources |= {f"seed {seed}": (seed,) for seed in seeds}
        self.grouped = list(self._grouped())

    def plan(self) -> Plan:
        methods = list(self._methods())
        base = self._grams(self.c.jacobian, self.c.sample.analysis_seeds)
        factors = {
            (AVERAGE, rule, value): self._factorize(base, rule, value)
            for rule in ("pursuit", "energy", "rank")
            for value in self.c.values(rule)
        }
        subspaces = {}
        for source in self.sources:
            for m in methods if source == AVERAGE else self._transferred(methods):
                jacobian, seeds = self.c.jacobian_of(m.subspace), self._seeds(source, m.subspace)
                grams = self._grams(jacobian, seeds)
                found = None
                if m.rule and m.value is not None:
                    name = source if source != AVERAGE or grams == base else m.label
                    found = self._factorize(grams, m.rule, m.value)
                    factors[name, m.rule, m.value] = found
                subspaces[source, m.label] = self._subspace(source, m, grams, found)
        analysis = self._sample(self.c.sample.analysis_seeds)
        metrics = {
            pair: self._metrics(subspace, self.test, published=pair[0] == AVERAGE)
            for pair, subspace in subspaces.items()
        }
        crossed = {
            pair: self._metrics(subspace, analysis)
            for pair, subspace in subspaces.items()
            if pair[0] != AVERAGE
        }
        generalize = self._generalize(subspaces, metrics, crossed)
        for name, sample in self.other_classes.items():
            for m in methods:
                metrics[name, m.label] = self._metrics(subspaces[AVERAGE, m.label], sample)
        unlike = self._distinct(subspaces, metrics)
        exact = self._linearity([(m.label, subspaces[AVERAGE, m.label]) for m in methods])
        tables = self._tables(methods, factors, metrics, generalize, exact, unlike)
        averaged = [(m, subspaces[AVERAGE, m.label], metrics[AVERAGE, m.label]) for m in methods]
        figures = self._figures(averaged, base.jacobians, factors, metrics, generalize, tables)
        measured = {m.label: metrics[AVERAGE, m.label] for m in methods}
        return Plan(tables, figures, measured)

    def _methods(self) -> Iterator[_Method]:
        for name, subspace in self.c.subspace.items():
            values: tuple[float | str | None, ...] = (None,)
            if isinstance(subspace, Ruled):
                values = self.c.values_of(subspace)
            elif isinstance(subspace, Published):
                values = (subspace.lam,)
            for value in values:
                label = name if len(values) == 1 else f"{name} {value}"
                yield _Method(label, subspace, value)

    def _transferred(self, methods: Sequence[_Method]) -> list[_Method]:
        """Methods that are also tested with the directions of each single analysis image."""
        chosen = [self.c.subspace[name] for name in self.c.edit.transfer_methods]
        return [method for method in methods if any(method.subspace is one for one in chosen)]

    def _image_inputs(
        self, sample: Step, regions: Mapping[str, Any] | None = None
    ) -> dict[str, list[Step]]:
        """Of a step that finds regions in images: those that are edited, or others."""
        inputs = {"generator": self.generator, "sample": [sample]}
        if "landmarks" in canonical(regions or self.regions):
            inputs["landmarks"] = self.landmarks
        return inputs

    def _sample(self, seeds: Sequence[int], label: int | None = None) -> Step:
        settings = {key: getattr(self.c.sample, key) for key in ("psi", "cutoff", "label")}
        if label is not None:
            settings["label"] = label
        return Step("sample", settings | {"seeds": list(seeds)}, {"generator": self.generator})

    def _seeds(self, source: str, method: Method) -> tuple[int, ...]:
        """Analysis images that a method averages."""
        return self.sources[source][: method.images]

    def _grouped(self) -> Iterator[tuple[Jacobian, int]]:
        """J of groups of layers, and the seed of each image at which a method has it computed."""
        planned = [(self.c.jacobian, self.c.sample.analysis_seeds)]
        planned += [
            (self.c.jacobian_of(method), self._seeds(AVERAGE, method))
            for method in self.c.subspace.values()
            if not isinstance(method, FromFile | Channels)
        ]
        for jacobian, seeds in planned:
            if jacobian.splits:
                yield from ((jacobian, seed) for seed in seeds)

    def _grams(self, jacobian: Jacobian, seeds: Sequence[int]) -> _Grams:
        """Of J at some images; of groups, where another method has those computed."""
        computed = [
            next((j for j, at in self.grouped if at == seed and _holds(j, jacobian)), jacobian)
            for seed in seeds
        ]
        steps = [
            Step(
                "jacobian",
                one.model_dump(mode="json") | {"regions": self.analysed},
                self._image_inputs(self._sample([seed]), self.analysed),
            )
            for one, seed in zip(computed, seeds, strict=True)
        ]
        settings: dict[str, Any] = {"regions": sorted(self.regions)}
        if any(one != jacobian for one in computed):
            settings["joined"] = jacobian.model_dump(mode="json")["layers"]
        return _Grams(steps, settings)

    def _styles(self, prior: Prior, jacobian: Step) -> Step:
        """Of the layers, the grid and the regions of a J."""
        drawn = {"probes": prior.probes, "seed": prior.seed}
        drawn |= {key: jacobian.settings[key] for key in _OF_STYLES}
        inputs = self._image_inputs(self._sample(prior.latents), self.analysed)
        return Step("styles", drawn, inputs)

    def _factorize(self, grams: _Grams, rule: str, value: float | str) -> Step:
        settings = {"rule": rule, "value": value, **grams.settings}
        if rule == "pursuit":
            settings["tolerance"] = self.c.factorization.tolerance
            settings["max_iterations"] = self.c.factorization.max_iterations
        return Step("factorize", settings, {"jacobian": grams.jacobians})

    def _subspace(self, source: str, m: _Method, grams: _Grams, factors: Step | None) -> Step:
        method, layers = m.subspace, self.c.layers_of(m.subspace)
        common: dict[str, Any] = {"directions": self.c.edit.directions, "layers": layers}
        own = method.model_dump(mode="json", exclude=set(Method.model_fields))
        if isinstance(method, Channels):
            inputs = self._image_inputs(self._sample(self._seeds(source, method)))
            shape = {"resolution": self.c.jacobian.resolution, "regions": self.regions}
            return Step("channels", own | common | shape, inputs)
        if isinstance(method, FromFile):
            own["sha256"] = {region: hash_of(Path(path)) for region, path in method.files.items()}
            return Step("subspace", own | common)
        if splits := self.c.jacobian_of(method).splits:
            common["splits"] = list(splits)
        parents = {"jacobian": grams.jacobians}
        if factors:
            parents["factorize"] = [factors]
        if isinstance(method, Rayleigh) and method.prior:
            parents["styles"] = [self._styles(method.prior, grams.jacobians[0])]
            own["prior"] = method.prior.weight
        if isinstance(method, Global):
            inputs = {"generator": self.generator}
            inputs["sample"] = [self._sample(self._seeds(source, method))]
            drawn = own | {"layers": layers, "label": self.c.sample.label}
            parents["candidates"] = [Step("candidates", drawn, inputs)]
            own = {"solver": "most_local"}
        own = {key: value for key, value in own.items() if key not in _NOT_OF_SUBSPACE}
        found = Step("subspace", own | common | dict(grams.settings), parents)
        if isinstance(method, Rayleigh) and method.ranked:
            return self._ranked(found, common, method.ranked, self._seeds(source, method))
        return found

    def _ranked(
        self, found: Step, common: dict[str, Any], count: int, seeds: Sequence[int]
    ) -> Step:
        """Leading directions in the order of what they leak on the analysis images."""
        tried, more = (
            Step("subspace", {**found.settings, "directions": number}, found.parents)
            for number in (count, max(count, self.c.edit.directions))
        )
        metrics = self._metrics(tried, self._sample(seeds), vgg=False)
        leaks = {target.name: _COLUMNS[target.measure] for target in self.c.edit.named_targets}
        own = {"solver": "ranked", "leaks": leaks}
        return Step("subspace", own | common, {"subspace": [more], "metrics": [metrics]})

    def _measured(self) -> dict[str, Any]:
        return {"resolution": self.c.edit.resolution, "regions": self.regions}

    def _metrics(
        self, subspace: Step, sample: Step, published: bool = False, vgg: bool = True
    ) -> Step:
        settings = {key: getattr(self.c.edit, key) for key in ("tolerance", "max_step")}
        settings |= self._measured() | {"targets": [list(t) for t in self.c.edit.named_targets]}
        settings["published_steps"] = list(self.c.edit.published_steps) if published else []
        settings["published_faces"] = self.c.edit.published_faces
        settings |= {"attributes": self.c.metric.attributes, "vgg": vgg and self.c.metric.vgg}
        parents = {"subspace": [subspace], "perceptual": self.perceptual}
        if self.c.metric.classifier is None:
            parents["landmarks"] = self.landmarks
        else:
            path = Path(self.c.metric.classifier.path)
            settings |= {"classifier": str(path), "sha256": hash_of(path)}
            settings["label"] = sample.settings["label"]
        return Step("metrics", settings, self._image_inputs(sample) | parents)

    def _distinct(
        self, subspaces: Mapping[tuple[str, str], Step], metrics: Mapping[tuple[str, str], Step]
    ) -> Step | None:
        """Of the method that figures show."""
        if self.c.distinct is None:
            return None
        pair = AVERAGE, self._shown([label for source, label in subspaces if source == AVERAGE])
        settings = self._measured() | self.c.distinct.model_dump()
        settings |= {"target": self.c.edit.named_targets[0].name}
        settings |= {"attributes": self.c.metric.attributes}
        parents = {"subspace": [subspaces[pair]], "metrics": [metrics[pair]]}
        parents |= {"perceptual": self.perceptual, "landmarks": self.landmarks}
        return Step("distinct", settings, self._image_inputs(self.test) | parents)

    def _shown(self, labels: Sequence[str]) -> str:
        """The method that figures show, at the first value of its rule."""
        return next(label for label in labels if label.startswith(self.c.figure.method))

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
        self,
        subspaces: Mapping[tuple[str, str], Step],
        metrics: Mapping[tuple[str, str], Step],
        crossed: Mapping[tuple[str, str], Step],
    ) -> Step:
        labels = {label for source, label in metrics if source != AVERAGE}
        pairs = [pair for pair in metrics if pair[1] in labels or not labels]
        parents = {
            "subspace": [subspaces[pair] for pair in pairs],
            "metrics": [metrics[pair] for pair in pairs],
            "crossed": list(crossed.values()),
        }
        return Step("generalize", {"pairs": pairs, "crossed": list(crossed)}, parents)

    def _tables(
        self,
        methods: Sequence[_Method],
        factors: Factors,
        metrics: Mapping[tuple[str, str], Step],
        generalize: Step,
        linearity: Step | None,
        distinct: Step | None,
    ) -> Step:
        keys = ("resamples", "level", "seed", "attributes", "vgg", "baseline")
        settings: dict[str, Any] = {key: getattr(self.c.metric, key) for key in keys}
        settings["classes"] = list(self.other_classes)
        settings["transfer"] = bool(generalize.parents["crossed"])
        settings["regions"] = len(self.regions)
        settings["sweep"] = self._swept(methods)
        settings["target"] = self.c.edit.named_targets[0].name
        settings["generator"] = self.c.generator.name
        settings["published"] = self.c.metric.published
        if self.c.metric.published:
            settings["sha256"] = hash_of(Path(self.c.metric.published))
        settings |= {"pairs": list(metrics), "factors": list(factors)}
        parents = {
            "metrics": list(metrics.values()),
            "factorize": list(factors.values()),
            "generalize": [generalize],
        }
        if linearity:
            parents["linearity"] = [linearity]
        if distinct:
            parents["distinct"] = [distinct]
        return Step("tables", settings, parents)

    def _swept(self, methods: Sequence[_Method]) -> list[list[Any]]:
        """Methods whose rule has several values: label, name, rule, value, relaxation."""
        names = {id(subspace): name for name, subspace in self.c.subspace.items()}
        return [
            [m.label, names[id(m.subspace)], m.rule, m.value, m.subspace.relaxation]
            for m in methods
            if isinstance(m.subspace, Ruled) and len(self.c.values_of(m.subspace)) > 1
        ]

    def _figures(
        self,
        averaged: Sequence[tuple[_Method, Step, Step]],
        jacobians: list[Step],
        factors: Factors,
        metrics: Mapping[tuple[str, str], Step],
        generalize: Step,
        tables: Step,
    ) -> dict[str, Step]:
        labels = [m.label for m, *_ in averaged]
        first = self._shown(labels)
        colours = {"colour_map": self.c.figure.colour_map}
        mapped = colours | {"regions": list(self.regions)}
        target = self.c.edit.named_targets[0]
        at = {"target": target.name, "measure": _COLUMNS[target.measure]}
        shared = self._measured() | {
            "faces": self.c.figure.faces,
            "resolution": self.c.figure.resolution,
        }
        figures = {
            "comparison": _plot("comparison", at, {"tables": [tables]}),
            "generalization": _plot(
                "generalization", at, {"generalize": [generalize], "tables": [tables]}
            ),
            "spectra": _plot(
                "spectra", {}, {"factorize": [f for k, f in factors.items() if k[0] == AVERAGE]}
            ),
            "sensitivity": _plot("sensitivity", mapped, {"jacobian": jacobians}),
        }
        if self.c.edit.published_steps:
            curves = {"metrics": [metrics[AVERAGE, label] for label in labels]}
            figures["curves"] = _plot("curves", {"labels": labels}, curves)
        if tables.settings["transfer"]:
            figures["transfer"] = _plot(
                "transfer", at, {"generalize": [generalize], "tables": [tables]}
            )
        if tables.settings["sweep"]:
            figures["sweep"] = _plot("sweep", at, {"tables": [tables]})
        if "linearity" in tables.parents:
            exact = {"linearity": list(tables.parents["linearity"])}
            figures["linearity"] = _plot("linearity", {}, exact)
        for name in self.regions:
            known = [row for row in averaged if row[0].finds(name)]
            edited = self._image_inputs(self.test)
            edited |= {"subspace": [s for _, s, _ in known], "metrics": [m for *_, m in known]}
            chosen = shared | {"region": name, "labels": [m.label for m, *_ in known]}
            chosen |= {"target": target.name}
            steps = {"steps": list(self.c.figure.strip_steps), "method": first}
            if "distinct" in tables.parents:
                found = edited | {"distinct": list(tables.parents["distinct"])}
                figures[f"gallery_{name}"] = _picture("gallery", chosen | {"method": first}, found)
            figures[f"strips_{name}"] = _picture("strips", chosen | steps, edited)
            figures[f"differences_{name}"] = _picture("differences", chosen | colours, edited)
        return figures


# Column of the measured change that a target speaks of.
_COLUMNS = {"mse": "mse_outside", "lpips": "lpips_alex_outside"}


def _holds(held: Jacobian, wanted: Jacobian) -> bool:
    """Whether the groups of layers of a J make up the layers of one in which these move alike."""
    alike = {"layers": wanted.layers, "splits": ()}
    if held.model_copy(update=alike) != wanted:
        return False
    if held.layers == "all" or wanted.layers == "all":
        return held.layers == wanted.layers
    return bool(covering(split(held.layers, held.splits), wanted.layers))


def _fetch(weights: Package | Download) -> Step:
    return Step("fetch", weights.model_dump(mode="json"))


def _convert(generator: Generator) -> Step:
    """Read the published weights, whatever their format, into the project's own."""
    settings = generator.model_dump(mode="json", exclude={"name", "weights"})
    if not isinstance(generator.weights, LocalFile):
        return Step("convert", settings, {"weights": [_fetch(generator.weights)]})
    path = Path(generator.weights.path)
    return Step("convert", settings | {"path": str(path), "sha256": hash_of(path)})


def _plot(kind: str, settings: dict[str, Any], parents: dict[str, list[Step]]) -> Step:
    return Step("plot", {"kind": kind} | settings, parents)


def _picture(kind: str, settings: dict[str, Any], parents: dict[str, list[Step]]) -> Step:
    return Step("picture", {"kind": kind} | settings, parents)


def _regions(regions: Mapping[str, Region]) -> dict[str, Any]:
    return {name: _region(region.model_dump(mode="json")) for name, region in regions.items()}


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
