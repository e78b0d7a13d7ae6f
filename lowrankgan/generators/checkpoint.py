"""What every reader of a checkpoint format returns, and every generator is built from."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.files import replacing
from lowrankgan.memory import shortage

METADATA_KEY = "lowrankgan"


_MALFORMED = (
    *(TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError),
    AttributeError,
)


@dataclass(frozen=True)
class Checkpoint:
    """Weights of a generator in the project's own layout, whatever file they came from.

    Attributes:
        architecture: a key of `lowrankgan.generators.loading.ARCHITECTURES`.
        settings: plain JSON values that shapes do not tell, keyword arguments of the generator.
        state: float32 tensors on the CPU by the generator's own names.
        format: name of the file format that they came from, for people.
        assumed: what the file does not tell and was assumed, one sentence each, for people.
    """

    architecture: str
    settings: Mapping[str, Any]
    state: Mapping[str, Tensor]
    format: str
    assumed: tuple[str, ...] = ()

    def description(self) -> dict[str, Any]:
        """Everything but the tensors, as plain JSON values."""
        return {
            "architecture": self.architecture,
            "settings": dict(self.settings),
            "format": self.format,
            "assumed": list(self.assumed),
        }


@contextmanager
def refused_as(what: str) -> Iterator[None]:
    """Give what comes of sizes and settings in a file, and no check has foreseen, in one line.

    Args:
        what: the line says before the reason.

    Raises:
        LowRankGANError: something was malformed. Memory that runs out is told as it is.
    """
    try:
        yield
    except _MALFORMED as error:
        if shortage(error):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise LowRankGANError(f"{what} ({reason})") from error


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint as safetensors, whole or not at all; the description is its metadata.

    Raises:
        LowRankGANError: the file cannot be written.
    """
    # Each a tensor of its own, for safetensors refuses one that has several names, as filters have.
    state = {
        key: value.detach().cpu().contiguous().clone() for key, value in checkpoint.state.items()
    }
    metadata = {METADATA_KEY: json.dumps(checkpoint.description(), sort_keys=True)}
    try:
        with replacing(path) as temporary:
            save_file(state, temporary, metadata)
    except (OSError, SafetensorError) as error:
        raise LowRankGANError(f"{path}: cannot be written ({error})") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        LowRankGANError: the file is missing, broken, or not one of this project.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = file.get_tensors()
    except (OSError, SafetensorError) as error:
        raise LowRankGANError(f"{path}: is missing or not a safetensors file ({error})") from error
    return checkpoint_from(metadata, state)


def checkpoint_from(metadata: Mapping[str, str], state: Mapping[str, Tensor]) -> Checkpoint:
    """A checkpoint from the metadata and the tensors of a safetensors file.

    Raises:
        LowRankGANError: the metadata is not that of this project.
    """
    try:
        description = json.loads(metadata[METADATA_KEY])
        values = {key: description[key] for key in ("architecture", "settings", "format")}
        if [type(value) for value in values.values()] != [str, dict, str]:
            raise TypeError("a value has another type")
        return Checkpoint(state=state, assumed=tuple(description["assumed"]), **values)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise LowRankGANError(
            "safetensors without this project's metadata, expected a file that "
            "`lowrankgan convert` wrote"
        ) from error
