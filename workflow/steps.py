"""Jobs, each cached under the hash of exactly what it reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lowrankgan.records import RECORD, canonical, key_of, packed


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
        return key_of(self.stage, self.settings, parents)

    @property
    def folder(self) -> str:
        return f"results/{self.stage}/{self.key}"

    @property
    def record(self) -> str:
        """The file that says what made the folder; it is written last."""
        return f"{self.folder}/{RECORD}"

    @property
    def job(self) -> str:
        """What the script is told, as one line of JSON, compressed if it is long."""
        inputs = {role: [step.folder for step in steps] for role, steps in self.parents.items()}
        return packed(
            canonical({"settings": self.settings, "inputs": inputs, "output": self.folder})
        )


# Steps by stage and key.
Steps = Mapping[tuple[str, str], Step]


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
