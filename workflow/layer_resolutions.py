"""Layers that a configuration names by their resolution, as slots of W+ of its generator."""

import re
from collections.abc import Mapping
from typing import Any

_HOLDERS = ("edit", "jacobian", "subspace")  # sections with layers, or with methods that have them
_NAMED = re.compile(r"(\d+)px(\+?)")


def with_slots(values: Any) -> Any:
    """A configuration in which layers are slots of W+, also where they are named by resolution.

    In `layers`, 32px stands for all slots that modulate feature maps of 32 pixels a side, and
    32px+ for these and all of larger ones; in `splits`, 32px stands for the first of them. So one
    experiment serves generators of different depth. All else stays as it is, to be checked.

    Raises:
        ValueError: a generator has no such layers, or its `layer_resolutions` are not given.
    """
    if not isinstance(values, Mapping):
        return values
    generator = values.get("generator")
    sides = generator.get("layer_resolutions") if isinstance(generator, Mapping) else None
    held = {key: _resolved(values[key], sides, key) for key in _HOLDERS if key in values}
    return {**values, **held}


def _resolved(section: Any, sides: Any, path: str) -> Any:
    if not isinstance(section, Mapping):
        return section
    found = {}
    for key, value in section.items():
        if key in ("layers", "splits") and isinstance(value, list):
            slots = [_slots(item, sides, f"{path}.{key}") for item in value]
            value = [slot for some in slots for slot in (some if key == "layers" else some[:1])]
        found[key] = _resolved(value, sides, f"{path}.{key}")
    return found


def _slots(item: Any, sides: Any, path: str) -> list[Any]:
    named = _NAMED.fullmatch(item) if isinstance(item, str) else None
    if not named:
        return [item]
    if not isinstance(sides, list):
        raise ValueError(
            f"{path}: {item} needs generator.layer_resolutions, which `lowrankgan inspect` prints"
        )
    least, beyond = int(named[1]), bool(named[2])
    found = [slot for slot, side in enumerate(sides) if side == least or (beyond and side > least)]
    if not found:
        raise ValueError(f"{path}: {item}, the generator's layers are at {sorted(set(sides))} px")
    return found
