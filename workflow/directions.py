"""Steps that find editing directions, and what their edits are measured to change."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lowrankgan.direction_files import read_directions
from lowrankgan.errors import LowRankGANError
from lowrankgan.weights import hash_of
from workflow.analysis import Analysis, Grams
from workflow.method_schema import (
    Channels,
    FromFile,
    Global,
    Method,
    Ranking,
    Rayleigh,
    Restriction,
)
from workflow.sources import Sources
from workflow.steps import Step

# Settings of a method that others read than the step of its subspace.
_NOT_OF_SUBSPACE = ("rule", "value", "lam", "ranked", "restricted")
# Settings that a restricted J shares with the image's.
_OF_JACOBIAN = ("resolution", "pixels", "tangents", "chunk")


class Directions:
    """Plans the subspaces of methods."""

    def __init__(self, sources: Sources, analysis: Analysis) -> None:
        self._sources, self._c, self._analysis = sources, sources.c, analysis

    def of(self, method: Method, seeds: Sequence[int], grams: Grams, factors: Step | None) -> Step:
        """Directions of every region by one method.

        Args:
            method: it.
            seeds: of the analysis images that it averages.
            grams: of these.
            factors: the step that gives them a rank, where the method needs one.
        """
        layers = self._c.layers_of(method)
        common: dict[str, Any] = {"directions": self._c.edit.directions, "layers": layers}
        own = method.model_dump(mode="json", exclude=set(Method.model_fields))
        if isinstance(method, Channels):
            inputs = self._sources.image_inputs(self._sources.sample(seeds))
            shape = {"resolution": self._c.jacobian.resolution, "regions": self._sources.regions}
            return Step("channels", own | common | shape, inputs)
        if isinstance(method, FromFile):
            own["sha256"] = self._files(method)
            return Step("subspace", own | common)
        if splits := self._c.jacobian_of(method).splits:
            common["splits"] = list(splits)
        parents = {"jacobian": grams.jacobians}
        if factors:
            parents["factorize"] = [factors]
        if isinstance(method, Rayleigh) and method.prior:
            parents["styles"] = [self._analysis.styles(method.prior, grams.jacobians[0])]
            own["prior"] = method.prior.weights_of(len(seeds))
        if isinstance(method, Global):
            inputs = {"generator": self._sources.generator}
            inputs["sample"] = [self._sources.sample(seeds)]
            drawn = own | {"layers": layers, "label": self._c.sample.label}
            parents["candidates"] = [Step("candidates", drawn, inputs)]
            own = {"solver": "most_local"}
        own = {key: value for key, value in own.items() if key not in _NOT_OF_SUBSPACE}
        found = Step("subspace", own | common | dict(grams.settings), parents)
        if isinstance(method, Rayleigh) and method.restricted and len(seeds) == 1:
            return self._restricted(found, method.restricted, seeds)
        if isinstance(method, Rayleigh) and method.ranked:
            return self._ranked(found, common, method.ranked, seeds)
        return found

    def _files(self, method: FromFile) -> dict[str, str]:
        """SHA-256 by region of the files of directions, which are read now to see that they fit.

        Raises:
            LowRankGANError: one does not fit, or cannot be read.
        """
        generator, found, offsets = self._c.generator, dict[str, str](), set[bool]()
        for region, path in method.files.items():
            found[region] = hash_of(Path(path))
            sizes = read_directions(Path(path)).shape[1:]
            offsets.add(len(sizes) > 1)
            expected = (generator.num_layers, generator.w_dim)[-len(sizes) :]
            if any(known not in (None, size) for known, size in zip(expected, sizes, strict=True)):
                raise LowRankGANError(
                    f"{path}: directions of shape {list(sizes)}, {generator.name} needs "
                    f"{list(expected)}"
                )
        if method.layers and offsets == {True}:
            raise LowRankGANError(
                f"{path}: offsets in W+ say themselves which layers move; leave out `layers`"
            )
        return found

    def _restricted(self, found: Step, restriction: Restriction, seeds: Sequence[int]) -> Step:
        """Combinations of leading directions; each face counts as much as the image does."""
        leading = {"directions": restriction.candidates}
        candidates = Step("subspace", {**found.settings, **leading}, found.parents)
        (jacobian,) = found.parents["jacobian"]
        settings = {key: jacobian.settings[key] for key in _OF_JACOBIAN}
        settings |= {"layers": found.settings["layers"], "regions": self._sources.regions}
        settings["splits"] = found.settings.get("splits", [])
        faces = restriction.beside(seeds)
        inputs = self._sources.image_inputs(self._sources.sample(faces))
        restrict = Step("restrict", settings, {**inputs, "subspace": [candidates]})
        parents = {**found.parents, "subspace": [candidates], "restrict": [restrict]}
        share = len(faces) / (1 + len(faces))
        return Step("subspace", {**found.settings, "share": share}, parents)

    def _ranked(
        self, found: Step, common: dict[str, Any], ranking: Ranking, seeds: Sequence[int]
    ) -> Step:
        """Leading directions in the order of what they leak on the faces of the ranking."""
        tried, more = (
            Step("subspace", {**found.settings, "directions": number}, found.parents)
            for number in (ranking.directions, max(ranking.directions, self._c.edit.directions))
        )
        faces = self._sources.sample(ranking.seeds(seeds))
        metrics = metrics_step(self._sources, tried, faces, identity=False)
        leaks = {target.name: target.outside for target in self._c.edit.named_targets}
        own = {"solver": "ranked", "leaks": leaks}
        return Step("subspace", own | common, {"subspace": [more], "metrics": [metrics]})


def metrics_step(
    sources: Sources,
    subspace: Step,
    sample: Step,
    published: bool = False,
    vgg: bool = False,
    identity: bool = True,
) -> Step:
    """Edits of some faces to matched change along the directions of a subspace.

    Args:
        sources: of the experiment.
        subspace: the step of the directions.
        sample: the faces.
        published: whether these are edited by published steps too.
        vgg: whether LPIPS is taken by VGG too, where the experiment asks for it. It costs more than
            a rendering, and says whether methods differ for AlexNet alone.
        identity: whether persons are compared, where the experiment asks for it.
    """
    settings = {key: getattr(sources.c.edit, key) for key in ("tolerance", "max_step")}
    settings |= sources.measured | {"targets": [list(t) for t in sources.c.edit.named_targets]}
    steps = list(sources.c.edit.published_steps) if published else []
    settings["published_steps"] = steps
    settings["published_faces"] = sources.c.edit.published_faces if steps else 0
    settings |= {"vgg": vgg and sources.c.metric.vgg} | sources.scores(sample)
    parents = {"subspace": [subspace], "perceptual": sources.perceptual}
    if identity and sources.identity:
        parents["identity"] = sources.identity
    return Step("metrics", settings, sources.scored_inputs(sample) | parents)
