"""Unrolls a configuration into steps."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workflow.analysis import Analysis
from workflow.directions import Directions, metrics_step
from workflow.figures import Drawn, Edits, figure_steps
from workflow.method_schema import FromFile, Method, Published, Ruled
from workflow.published_changes import hash_of_published
from workflow.schema import Configuration
from workflow.sources import Sources
from workflow.steps import Step, lineage

# Steps of the factorisation by source, rule and value.
Factors = Mapping[tuple[str, str, float | str], Step]
AVERAGE = "average"
_TABLES = ("comparison", "summary", "attributes", "ranks", "generalization", "angles")


@dataclass(frozen=True)
class Plan:
    """All steps of an experiment.

    Attributes:
        tables: the step that writes the tables.
        figures: by readable name.
        methods: label to the step that measures its edits of the test faces.
    """

    tables: Step
    figures: Mapping[str, Drawn]
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
        return [self.tables, *self.drawing]

    @property
    def drawing(self) -> list[Step]:
        """Steps that draw, each once, though it may draw several figures."""
        return list({drawn.step.key: drawn.step for drawn in self.figures.values()}.values())

    @property
    def measured(self) -> dict[tuple[str, str], Step]:
        """Steps that neither are tables nor read them: several experiments' can be run as one."""
        drawn = [step for step in self.drawing if "tables" not in step.parents]
        return lineage(itertools.chain(*self.tables.parents.values(), drawn))

    @cached_property
    def steps(self) -> dict[tuple[str, str], Step]:
        """Steps by stage and key, each after the steps that it builds on."""
        return lineage(self.final)


def unroll(configuration: Configuration) -> Plan:
    """Unroll an experiment into its steps.

    Raises:
        LowRankGANError: a file that the configuration names cannot be read.
    """
    return _Unroller(configuration).plan()


@dataclass(frozen=True)
class _Method:
    """A subspace method at one value of the rule that it sweeps."""

    label: str
    subspace: Method
    value: float | str | None

    def regions(self, edited: Collection[str]) -> Collection[str]:
        """Of those that are edited, the ones it has directions of; of files, there may be few."""
        return self.subspace.files if isinstance(self.subspace, FromFile) else edited

    @property
    def rule(self) -> str | None:
        """What gives its Gram matrices a rank."""
        if isinstance(self.subspace, Ruled):
            return self.subspace.rule
        return "published" if isinstance(self.subspace, Published) else None


class _Unroller:
    def __init__(self, configuration: Configuration) -> None:
        self.c, self.sources = configuration, Sources(configuration)
        self.analysis = Analysis(self.sources)
        self.directions = Directions(self.sources, self.analysis)
        self.other_classes = {
            f"class {label}": self.sources.sample(configuration.sample.test_seeds, label)
            for label in configuration.sample.other_labels
        }
        seeds = configuration.sample.analysis_seeds
        self.single = seeds[: configuration.edit.transfer_images]
        self.seeds: dict[str, tuple[int, ...]] = {AVERAGE: seeds}  # by source of directions
        if len(seeds) > 1:
            self.seeds |= {f"seed {seed}": (seed,) for seed in self.single}

    def plan(self) -> Plan:
        methods = list(self._methods())
        base = self.analysis.grams(self.c.jacobian, self.c.sample.analysis_seeds)
        factors = {
            (AVERAGE, rule, value): self.analysis.factorize(base, rule, value)
            for rule in ("pursuit", "energy", "rank")
            for value in self.c.values(rule)
        }
        subspaces, ranked_by = {}, dict[str, str]()
        for source, images in self.seeds.items():
            alike = self.analysis.grams(self.c.jacobian, images)
            for m in methods if source == AVERAGE else self._transferred(methods):
                seeds = images[: m.subspace.images]
                grams = self.analysis.grams(self.c.jacobian_of(m.subspace), seeds)
                found = None
                if m.rule and m.value is not None:
                    own = m.label if source == AVERAGE else f"{source} {m.label}"
                    name = source if grams == alike else own
                    found = self.analysis.factorize(grams, m.rule, m.value)
                    factors[name, m.rule, m.value] = found
                    ranked_by.setdefault(m.label, name)
                subspaces[source, m.label] = self.directions.of(m.subspace, seeds, grams, found)
        single = self.sources.sample(self.single)
        metrics = {
            pair: metrics_step(
                self.sources,
                subspace,
                self.sources.test,
                published=pair[0] == AVERAGE,
                vgg=pair[0] == AVERAGE,
            )
            for pair, subspace in subspaces.items()
        }
        crossed = {
            pair: metrics_step(self.sources, subspace, single)
            for pair, subspace in subspaces.items()
            if pair[0] != AVERAGE
        }
        generalize = self._generalize(subspaces, metrics, crossed)
        for name, sample in self.other_classes.items():
            for m in methods:
                metrics[name, m.label] = metrics_step(
                    self.sources, subspaces[AVERAGE, m.label], sample, vgg=True
                )
        unlike = self._distinct(subspaces, metrics)
        exact = self._linearity([(m.label, subspaces[AVERAGE, m.label]) for m in methods])
        swept = self._swept(methods, ranked_by)
        tables = self._tables(swept, factors, metrics, generalize, exact, unlike)
        edits = [
            Edits(
                m.label,
                m.regions(self.sources.regions),
                subspaces[AVERAGE, m.label],
                metrics[AVERAGE, m.label],
            )
            for m in methods
        ]
        ranks = [step for (source, *_), step in factors.items() if source == AVERAGE]
        first = self._shown([m.label for m in methods])
        figures = figure_steps(self.sources, edits, first, base.jacobians, ranks, tables)
        return Plan(tables, figures, {one.label: one.metrics for one in edits})

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

    def _distinct(
        self, subspaces: Mapping[tuple[str, str], Step], metrics: Mapping[tuple[str, str], Step]
    ) -> Step | None:
        """Of the method that figures show."""
        if self.c.distinct is None:
            return None
        pair = AVERAGE, self._shown([label for source, label in subspaces if source == AVERAGE])
        settings = self.sources.measured | self.c.distinct.model_dump()
        settings |= {"target": self.c.edit.named_targets[0].name}
        settings |= self.sources.scores(self.sources.test)
        parents = {"subspace": [subspaces[pair]], "metrics": [metrics[pair]]}
        parents |= {"perceptual": self.sources.perceptual}
        return Step("distinct", settings, self.sources.scored_inputs(self.sources.test) | parents)

    def _shown(self, labels: Sequence[str]) -> str:
        """The method that figures show, at the first value of its rule."""
        name = self.c.figure.method
        return next(one for one in labels if one == name or one.startswith(f"{name} "))

    def _linearity(self, subspaces: Sequence[tuple[str, Step]]) -> Step | None:
        if self.c.linearity is None:
            return None
        settings = {
            "layers": self.c.model_dump(mode="json")["edit"]["layers"],
            "regions": self.sources.regions,
            "steps": list(self.c.linearity.steps),
            "labels": [label for label, _ in subspaces],
        }
        sample = self.sources.sample(self.c.sample.analysis_seeds)
        parents = {"subspace": [subspace for _, subspace in subspaces]}
        return Step("linearity", settings, self.sources.image_inputs(sample) | parents)

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
        swept: list[list[Any]],
        factors: Factors,
        metrics: Mapping[tuple[str, str], Step],
        generalize: Step,
        linearity: Step | None,
        distinct: Step | None,
    ) -> Step:
        keys = ("resamples", "level", "seed", "attributes", "vgg", "baseline")
        settings: dict[str, Any] = {key: getattr(self.c.metric, key) for key in keys}
        settings["identity"] = self.c.metric.identity is not None
        settings["classes"] = list(self.other_classes)
        settings["transfer"] = bool(generalize.parents["crossed"])
        settings["regions"] = len(self.sources.regions)
        settings["sweep"] = swept
        settings["target"] = self.c.edit.named_targets[0].name
        settings["generator"] = self.c.generator.name
        settings["published"] = self.c.metric.published
        if self.c.metric.published:
            settings["sha256"] = hash_of_published(Path(self.c.metric.published))
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

    def _swept(self, methods: Sequence[_Method], by: Mapping[str, str]) -> list[list[Any]]:
        """Methods whose rule has several values, each: label, name, rule, value, relaxation, and
        the source of the factors that give it its rank."""
        names = {id(subspace): name for name, subspace in self.c.subspace.items()}
        return [
            [m.label, names[id(m.subspace)], m.rule, m.value, m.subspace.relaxation, by[m.label]]
            for m in methods
            if isinstance(m.subspace, Ruled) and len(self.c.values_of(m.subspace)) > 1
        ]
