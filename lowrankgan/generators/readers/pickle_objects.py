"""The classes, other than those of arrays, whose objects lie in checkpoints; all become data."""

from typing import Any

from lowrankgan.generators.readers.pickle_machine import pairs
from lowrankgan.generators.readers.pickle_tree import Record
from lowrankgan.generators.readers.pickle_values import (
    AttributedDict,
    Budget,
    Standin,
    Table,
    Token,
)

# Source code that the official loaders execute; nothing here has a use for it.
_SOURCE_KEYS = {"module_src", "build_module_src"}


class _Object(Standin):
    """An object that is given its attributes once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: dict[Any, Any] | None = None

    def build(self, state: Any, budget: Budget) -> None:
        if self.state is not None or not isinstance(state, dict):
            raise ValueError(f"it sets the state of a {self.name} twice, or to no attributes")
        self.state = state

    def final(self, budget: Budget) -> Record:
        if self.state is None or not all(isinstance(key, str) for key in self.state):
            raise ValueError(f"it holds a {self.name} without attributes")
        kept = {key: value for key, value in self.state.items() if key not in _SOURCE_KEYS}
        return Record(self.name, kept)


def _persistent(arguments: tuple[Any, ...], budget: Budget) -> _Object:
    """`torch_utils.persistence._reconstruct_persistent_obj(meta)` of NVlabs' repositories."""
    if len(arguments) != 1:
        raise ValueError("it has a persistent object without its description")
    made = _Object("persistent")
    made.build(arguments[0], budget)
    return made


def _ordered(arguments: tuple[Any, ...], budget: Budget) -> AttributedDict:
    """`collections.OrderedDict`, from nothing or, in Python 2, from a list of pairs."""
    match arguments:
        case ():
            return AttributedDict()
        case (list(items),):
            budget.nodes.spend(len(items))
            if all(isinstance(item, list | tuple) and len(item) == 2 for item in items):
                return AttributedDict(pairs(items))
    raise ValueError("it has an OrderedDict of something other than pairs")


def _set(arguments: tuple[Any, ...], budget: Budget) -> list[Any]:
    """`set`, up to protocol 3; a list, so that nothing is hashed."""
    match arguments:
        case (list(items),):
            return items
    raise ValueError("it has a set of something other than items")


OBJECTS: Table = {
    ("collections", "OrderedDict"): Token(call=_ordered),
    ("builtins", "set"): Token(call=_set),
    ("__builtin__", "set"): Token(call=_set),
    ("argparse", "Namespace"): Token(new=lambda: _Object("Namespace")),
    ("dnnlib.util", "EasyDict"): Token(new=AttributedDict),
    ("easydict", "EasyDict"): Token(new=AttributedDict),  # settings in checkpoints of Hammer's runs
    ("dnnlib.tflib.network", "Network"): Token(new=lambda: _Object("Network")),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): Token(call=_persistent),
}
