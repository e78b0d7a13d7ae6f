"""Steps from the Jacobians of the analysis images to the ranks of their Gram matrices."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lowrankgan.layer_groups import covering, split
from workflow.method_schema import Channels, FromFile, Jacobian, Prior
from workflow.sources import Sources
from workflow.steps import Step

_OF_STYLES = ("layers", "splits", "resolution", "regions")  # settings that they share with J


@dataclass(frozen=True)
class Grams:
    """Where a method's Gram matrices are from.

    Attributes:
        jacobians: steps of J, one of each analysis image.
        settings: of a step that reads them.
    """

    jacobians: list[Step]
    settings: Mapping[str, Any]


class Analysis:
    """Plans Gram matrices, each Jacobian once for all methods that it serves."""

    def __init__(self, sources: Sources) -> None:
        self._sources, self._c = sources, sources.c
        self._regions = {"regions": sources.analysed}
        self._grouped = list(self._planned())

    def grams(self, jacobian: Jacobian, seeds: Sequence[int]) -> Grams:
        """Of J at some images; of groups, where another method has those computed."""
        computed = [
            next((j for j, at in self._grouped if at == seed and _holds(j, jacobian)), jacobian)
            for seed in seeds
        ]
        steps = [
            Step("jacobian", one.model_dump(mode="json") | self._regions, self._inputs([seed]))
            for one, seed in zip(computed, seeds, strict=True)
        ]
        settings: dict[str, Any] = {"regions": sorted(self._sources.regions)}
        if any(one != jacobian for one in computed):
            settings["joined"] = jacobian.model_dump(mode="json")["layers"]
        return Grams(steps, settings)

    def styles(self, prior: Prior, jacobian: Step) -> Step:
        """Of the layers, the grid and the regions of a J."""
        drawn = {"probes": prior.probes, "seed": prior.seed}
        drawn |= {key: jacobian.settings[key] for key in _OF_STYLES}
        return Step("styles", drawn, self._inputs(prior.latents))

    def factorize(self, grams: Grams, rule: str, value: float | str) -> Step:
        """Ranks of both Gram matrices of every region that is edited."""
        settings = {"rule": rule, "value": value, **grams.settings}
        if rule == "pursuit":
            settings["tolerance"] = self._c.factorization.tolerance
            settings["max_iterations"] = self._c.factorization.max_iterations
        return Step("factorize", settings, {"jacobian": grams.jacobians})

    def _inputs(self, seeds: Sequence[int]) -> dict[str, list[Step]]:
        return self._sources.image_inputs(self._sources.sample(seeds), self._sources.analysed)

    def _planned(self) -> Iterator[tuple[Jacobian, int]]:
        """J of groups of layers, and the seed of each image at which a method has it computed."""
        planned = [(self._c.jacobian, self._c.sample.analysis_seeds)]
        planned += [
            (self._c.jacobian_of(method), self._c.sample.analysis_seeds[: method.images])
            for method in self._c.subspace.values()
            if not isinstance(method, FromFile | Channels)
        ]
        for jacobian, seeds in planned:
            if jacobian.splits:
                yield from ((jacobian, seed) for seed in seeds)


def _holds(held: Jacobian, wanted: Jacobian) -> bool:
    """Whether the groups of layers of a J make up the layers of one in which these move alike."""
    alike = {"layers": wanted.layers, "splits": ()}
    if held.model_copy(update=alike) != wanted:
        return False
    if held.layers == "all" or wanted.layers == "all":
        return held.layers == wanted.layers
    return bool(covering(split(held.layers, held.splits), wanted.layers))
