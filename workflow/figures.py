"""Steps that draw an experiment's figures."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from workflow.sources import Sources
from workflow.steps import Step


@dataclass(frozen=True)
class Edits:
    """A method's edits of the test faces.

    Attributes:
        label: its name.
        regions: those that it has directions of.
        subspace, metrics: its directions, and what they change.
    """

    label: str
    regions: Collection[str]
    subspace: Step
    metrics: Step


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        step: what draws it.
        path: of its files in the folder of the step, without the suffix.
    """

    step: Step
    path: str = "figure"

    @property
    def files(self) -> str:
        """Its files without the suffix."""
        return f"{self.step.folder}/{self.path}"


def figure_steps(
    sources: Sources,
    edits: Sequence[Edits],
    first: str,
    jacobians: Sequence[Step],
    factors: Sequence[Step],
    tables: Step,
) -> dict[str, Drawn]:
    """Readable name to figure.

    Args:
        sources: of the experiment.
        edits: of every method.
        first: label of the method that strips show.
        jacobians: of the analysis images.
        factors: of their averaged Gram matrices.
        tables: the step of the tables.
    """
    settings, target = sources.c.figure, sources.c.edit.named_targets[0]
    at = {"target": target.name, "measure": target.outside}
    colours = {"colour_map": settings.colour_map}
    mapped = colours | {"regions": list(sources.regions)}
    numbers = {"generalize": tables.parents["generalize"], "tables": [tables]}
    figures = {
        "comparison": _plot("comparison", at, {"tables": [tables]}),
        "generalization": _plot("generalization", at, numbers),
        "spectra": _plot("spectra", {}, {"factorize": factors}),
        "sensitivity": _plot("sensitivity", mapped, {"jacobian": jacobians}),
    }
    if sources.c.edit.published_steps:
        labels = {"labels": [one.label for one in edits]}
        figures["curves"] = _plot("curves", labels, {"metrics": [one.metrics for one in edits]})
    if tables.settings["transfer"]:
        figures["transfer"] = _plot("transfer", at, numbers)
    if tables.settings["sweep"]:
        figures["sweep"] = _plot("sweep", at, {"tables": [tables]})
    if "linearity" in tables.parents:
        exact = {"linearity": tables.parents["linearity"]}
        figures["linearity"] = _plot("linearity", {}, exact)
    for name in sources.regions:
        known = [one for one in edits if name in one.regions]
        edited = sources.image_inputs(sources.test)
        edited["subspace"] = [one.subspace for one in known]
        edited["metrics"] = [one.metrics for one in known]
        kinds = ["strips", "differences"]
        if "distinct" in tables.parents:
            kinds.append("gallery")
            edited["distinct"] = list(tables.parents["distinct"])
        chosen = sources.measured | {"faces": settings.faces, "resolution": settings.resolution}
        chosen |= {"region": name, "labels": [one.label for one in known], "target": target.name}
        chosen |= {"kinds": kinds, "method": first, "steps": list(settings.strip_steps)} | colours
        pictures = Step("picture", chosen, edited)
        figures |= {f"{kind}_{name}": Drawn(pictures, f"figures/{kind}") for kind in kinds}
    return figures


def _plot(kind: str, settings: dict[str, Any], parents: dict[str, Sequence[Step]]) -> Drawn:
    return Drawn(Step("plot", {"kind": kind} | settings, parents))
