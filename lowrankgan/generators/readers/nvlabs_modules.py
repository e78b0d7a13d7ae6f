"""NVlabs' pickled modules (stylegan2-ada-pytorch, stylegan3 and forks) as tensors and attributes.

Layout: `torch_utils/persistence.py` of those repositories, over the `__dict__` of
`torch.nn.Module`.
"""

from typing import Any

from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.pickle_tree import Record


def flatten(record: Record) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """Take a module apart.

    Args:
        record: a record named "persistent" of a content tree.

    Returns:
        Parameters and buffers by dotted name, and by dotted name of every module, "" for the
        root, its plain attributes (those whose name has no leading underscore).

    Raises:
        LowRankGANError: a record is no such module.
    """
    tensors: dict[str, Tensor] = {}
    attributes: dict[str, dict[str, Any]] = {}
    _collect(record, "", tensors, attributes)
    return tensors, attributes


def _collect(
    module: Any, name: str, tensors: dict[str, Tensor], attributes: dict[str, dict[str, Any]]
) -> None:
    label = name or "the root"
    state = module.state.get("state") if isinstance(module, Record) else None
    if not isinstance(state, dict):
        raise LowRankGANError(f"{label}: expected a pickled NVlabs module, found another object")
    attributes[name] = {key: value for key, value in state.items() if str(key)[:1] != "_"}
    prefix = f"{name}." if name else ""
    for key, value in (
        _part(state, "_parameters", label) | _part(state, "_buffers", label)
    ).items():
        if isinstance(value, Tensor):
            tensors[f"{prefix}{key}"] = value
        elif value is not None:
            raise LowRankGANError(f"{prefix}{key}: expected a tensor, found no tensor")
    for key, value in _part(state, "_modules", label).items():
        if value is not None:
            _collect(value, f"{prefix}{key}", tensors, attributes)


def _part(state: dict[str, Any], part: str, label: str) -> dict[str, Any]:
    found = state.get(part)
    if not isinstance(found, dict):
        raise LowRankGANError(f"{label}: expected a pickled NVlabs module, it has no {part}")
    return found
