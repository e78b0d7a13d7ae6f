"""Reads a checkpoint of any known format, recognised by its content; nothing in it is executed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint, refused_as
from lowrankgan.generators.formats import (
    ajbrock_biggan,
    dcgan,
    genforce,
    genforce_progan,
    huggingface_biggan,
    nvlabs_stylegan2,
    nvlabs_stylegan3,
    own,
    rosinality,
    tensorflow_stylegan2,
)
from lowrankgan.generators.formats.state_dict import not_averaged
from lowrankgan.generators.readers.content import read_content
from lowrankgan.generators.readers.mobilestylegan_ir import read_mobilestylegan

FORMATS: tuple[ModuleType, ...] = (
    own,
    nvlabs_stylegan2,
    nvlabs_stylegan3,
    tensorflow_stylegan2,
    rosinality,
    genforce,
    genforce_progan,
    huggingface_biggan,
    ajbrock_biggan,
    dcgan,
)


def read_checkpoint(path: Path, options: Mapping[str, Any]) -> Checkpoint:
    """Read the weights of a generator.

    Args:
        path: a file, or a folder where a format has several files.
        options: settings that the format leaves open (its `DEFAULTS`) or that its generator takes.

    Returns:
        The checkpoint; options that its format does not take are among its settings.

    Raises:
        LowRankGANError: the file is missing, broken, hostile, or of no known format.
    """
    if (path / "SynthesisNetwork.xml").is_file():
        state = read_mobilestylegan(path)
        return Checkpoint("mobilestylegan", options, state, "MobileStyleGAN as OpenVINO graphs")
    content = read_content(path)
    try:
        with refused_as("is malformed"):
            known = _format_of(content)
            chosen = {key: value for key, value in options.items() if key in known.DEFAULTS}
            checkpoint: Checkpoint = known.convert(content, chosen)
    except LowRankGANError as error:
        raise LowRankGANError(f"{path}: {error}") from error
    rest = {key: value for key, value in options.items() if key not in chosen}
    return replace(
        checkpoint,
        settings={**checkpoint.settings, **rest},
        assumed=(*checkpoint.assumed, *not_averaged(content)),
    )


def _format_of(content: Any) -> ModuleType:
    for known in FORMATS:
        if known.recognises(content):
            return known
    raise LowRankGANError(f"is of no known format; it holds {_outline(content)}")


def _outline(content: Any) -> str:
    if isinstance(content, Mapping):
        names = [str(key)[:40] for key in list(content)[:8]]
        return f"{len(content)} entries: {', '.join(names)}{', ...' if len(content) > 8 else ''}"
    return f"a {type(content).__name__}"
