"""DCGAN training checkpoint of gan-face-generate: `netG_state_dict` beside an optimiser's state."""

from collections.abc import Mapping
from typing import Any

from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.state_dict import tensors

DEFAULTS: dict[str, Any] = {}


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    return isinstance(content, Mapping) and isinstance(content.get("netG_state_dict"), Mapping)


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The state of its generator, as it is.

    Raises:
        LowRankGANError: a value is no tensor.
    """
    return Checkpoint("dcgan", {}, tensors(content["netG_state_dict"]), "DCGAN training checkpoint")
