"""Safetensors as this project exports them: canonical tensors, described in the metadata."""

from collections.abc import Mapping
from typing import Any

from lowrankgan.generators.checkpoint import METADATA_KEY, Checkpoint, checkpoint_from
from lowrankgan.generators.formats.state_dict import tensors

DEFAULTS: dict[str, Any] = {}


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    metadata = content.get("metadata") if isinstance(content, Mapping) else None
    return isinstance(metadata, Mapping) and METADATA_KEY in metadata


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint that was exported.

    Raises:
        LowRankGANError: the metadata is not that of this project, or a value is no tensor.
    """
    return checkpoint_from(content["metadata"], tensors(content.get("state")))
