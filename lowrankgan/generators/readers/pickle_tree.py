"""The tree of plain values, arrays and tensors that comes out of a pickle in the end."""

from dataclasses import dataclass
from typing import Any

from lowrankgan.generators.readers.pickle_values import Budget, Standin

_MAX_DEPTH = 64


@dataclass(eq=False)
class Record:
    """An object of a known class as data: its attributes, and none of its behaviour.

    Attributes:
        name: "persistent" (an NVlabs module), "Network" (TensorFlow's) or "Namespace" (argparse).
        state: its attributes by name; of a persistent object its meta dictionary.
    """

    name: str
    state: dict[str, Any]


def grow(value: Any, budget: Budget, depth: int = _MAX_DEPTH) -> Any:
    """Copy what a pickle made into a finite tree, replacing stand-ins by what they stand for.

    What is shared is copied for each use, so that nothing in the result is anything else's alias;
    an object that contains itself never ends, and is refused for its depth.

    Raises:
        ValueError: it is too deep or too large, or holds what is no value.
    """
    budget.nodes.spend(1)
    if not depth:
        raise ValueError(f"it is nested deeper than {_MAX_DEPTH}, or contains itself")
    match value:
        case None | bool() | int() | float() | str() | bytes():
            return value
        case dict():
            return {key: grow(item, budget, depth - 1) for key, item in value.items()}
        case list():
            return [grow(item, budget, depth - 1) for item in value]
        case tuple():
            return tuple(grow(item, budget, depth - 1) for item in value)
        case Record():
            return Record(value.name, grow(value.state, budget, depth - 1))
        case Standin():
            final = value.final(budget)
            return grow(final, budget, depth - 1) if isinstance(final, Record) else final
    raise ValueError("it holds the name of a class or function where a value belongs")
