"""Safetensors as this project exports them: canonical tensors, described in the metadata."""

from collections.abc import Mapping
from typing import Any

from lowrankgan.generators.checkpoint import METADATA_KEY, Checkpoint, checkpoint_from

DEFAULTS: dict[str, Any] = {}


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    return isinstance(content, Mapping) and METADATA_KEY in (content.get("metadata") or {})


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint that was exported."""
    return checkpoint_from(content["metadata"], content["state"])
