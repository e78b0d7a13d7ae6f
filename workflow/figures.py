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


def figure_steps(
    sources: Sources,
    edits: Sequence[Edits],
    first: str,
    jacobians: Sequence[Step],
    factors: Sequence[Step],
    tables: Step,
) -> dict[str, Step]:
    """Readable name to step.

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
        chosen = sources.measured | {"faces": settings.faces, "resolution": settings.resolution}
        chosen |= {"region": name, "labels": [one.label for one in known], "target": target.name}
        strips = chosen | {"steps": list(settings.strip_steps), "method": first}
        if "distinct" in tables.parents:
            found = edited | {"distinct": list(tables.parents["distinct"])}
            figures[f"gallery_{name}"] = _picture("gallery", chosen | {"method": first}, found)
        figures[f"strips_{name}"] = _picture("strips", strips, edited)
        figures[f"differences_{name}"] = _picture("differences", chosen | colours, edited)
    return figures


def _plot(kind: str, settings: dict[str, Any], parents: dict[str, Sequence[Step]]) -> Step:
    return Step("plot", {"kind": kind} | settings, parents)


def _picture(kind: str, settings: dict[str, Any], parents: dict[str, list[Step]]) -> Step:
    return Step("picture", {"kind": kind} | settings, parents)
