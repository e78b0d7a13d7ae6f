"""Layers that a configuration names by their resolution, as slots of W+ of its generator."""

import re
from collections.abc import Mapping
from typing import Any

_HOLDERS = ("edit", "jacobian", "subspace")  # sections with layers, or with methods that have them
_NAMED = re.compile(r"(\d+)px(\+?)")


def with_slots(values: Any) -> Any:
    """A configuration in which layers are slots of W+, also where they are named by resolution.

    In `layers`, 32px stands for all slots that modulate feature maps of 32 pixels a side, and
    32px+ for these and all of larger ones. In `splits`, 32px stands for the first slot of 32 pixels
    or more, or for nothing if no slot qualifies or the first one does. So one experiment serves
    generators of different depth. All else stays as it is, to be checked.

    Raises:
        ValueError: a generator has no such layers, or its `layer_resolutions` are not given.
    """
    if not isinstance(values, Mapping):
        return values
    generator = values.get("generator")
    sides = generator.get("layer_resolutions") if isinstance(generator, Mapping) else None
    if not isinstance(sides, list) or not all(isinstance(side, int) for side in sides):
        sides = None  # not given, or to be refused
    held = {key: _resolved(values[key], sides, key) for key in _HOLDERS if key in values}
    return {**values, **held}


def _resolved(section: Any, sides: list[int] | None, path: str) -> Any:
    if not isinstance(section, Mapping):
        return section
    found = {}
    for key, value in section.items():
        at = f"{path}.{key}"
        if key in ("layers", "splits") and isinstance(value, list):
            value = [slot for item in value for slot in _slots(item, sides, at)]
        found[key] = _resolved(value, sides, at)
    return found


def _slots(item: Any, sides: list[int] | None, path: str) -> list[Any]:
    named = _NAMED.fullmatch(item) if isinstance(item, str) else None
    if not named:
        return [item]
    if sides is None:
        raise ValueError(
            f"{path}: {item} needs generator.layer_resolutions, which `lowrankgan inspect` prints"
        )
    least, beyond = int(named[1]), bool(named[2])
    if path.endswith(".splits"):
        first = [slot for slot, side in enumerate(sides) if side >= least][:1]
        return first if any(first) else []
    found = [slot for slot, side in enumerate(sides) if side == least or (beyond and side > least)]
    if not found:
        raise ValueError(f"{path}: {item}, the generator's layers are at {sorted(set(sides))} px")
    return found
