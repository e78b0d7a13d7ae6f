"""What the converters of NVlabs' pickles share: finding the generator and taking it apart."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.content import Record
from lowrankgan.generators.readers.nvlabs_modules import flatten

_MAPPING = r"mapping\.(w_avg|(fc\d+|embed)\.(weight|bias))"


def synthesis_has(content: Any, name: str) -> bool:
    """Whether a content tree holds a generator whose synthesis network has a submodule."""
    return _submodule(_submodule(_network(content), "synthesis"), name) is not None


def take_apart(
    content: Any, synthesis: str, architecture: str
) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """The tensors and attributes, as `flatten` gives them, of a generator that is there.

    Args:
        content: content tree with a generator.
        synthesis: pattern of the names of the synthesis network's tensors, without the prefix.
        architecture: for the message.

    Raises:
        LowRankGANError: a record is no module, or a tensor has a name that no official code gives.
    """
    found = _network(content)
    assert found is not None  # as `recognises` has seen
    state, attributes = flatten(found)
    for key in state:
        if not re.fullmatch(rf"{_MAPPING}|synthesis\.({synthesis})", key):
            raise LowRankGANError(
                f"{key} is unknown, expected a {architecture} of the official code"
            )
    return state, attributes


def _network(content: Any) -> Record | None:
    """The generator in a pickle of NVlabs: `G_ema`, else `G`, else the pickled module itself."""
    if isinstance(content, Mapping):
        found = [content[key] for key in ("G_ema", "G") if isinstance(content.get(key), Record)]
        content = found[0] if found else None
    return content if isinstance(content, Record) and content.name == "persistent" else None


def _submodule(record: Any, name: str) -> Any:
    """A submodule, or None where there is none."""
    for key in ("state", "_modules"):
        record = record.state if isinstance(record, Record) else record
        record = record.get(key) if isinstance(record, Mapping) else None
    return record.get(name) if isinstance(record, Mapping) else None
