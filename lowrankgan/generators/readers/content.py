"""Reads a checkpoint of any container as a tree of plain values and tensors; executes nothing."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.numpy_pickle import NUMPY
from lowrankgan.generators.readers.pickle_machine import interpret, pairs
from lowrankgan.generators.readers.pickle_objects import OBJECTS
from lowrankgan.generators.readers.pickle_tree import Record, grow
from lowrankgan.generators.readers.pickle_values import Budget, Table
from lowrankgan.generators.readers.torch_pickle import TORCH, is_legacy, read_legacy, read_zip
from lowrankgan.mistakes import is_safetensors, mistaken

__all__ = ["Record", "read_content"]

_TABLE: Table = {**OBJECTS, **NUMPY, **TORCH}
_MAX_BYTES = 8 << 30
_MAX_CONFIG_BYTES = 1 << 20
_HEAD = 512
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def read_content(path: Path) -> Any:
    """Read a checkpoint, recognised by its content.

    Args:
        path: PyTorch's zip or legacy format, another pickle (NVlabs, TensorFlow StyleGAN2),
            safetensors, or a Hugging Face folder.

    Returns:
        Nested dict, list, tuple, str, int, float, bool, None, bytes, `torch.Tensor` (on the CPU,
        contiguous, memory of its own), `numpy.ndarray` (read-only) and `Record`. Keys are
        printable text or integers, sets are lists, and every subclass of dict is a dict.
        A safetensors file is `{"metadata": {...}, "state": {...}}`, a folder is
        `{"config": {...}, "state": {...}}`.

    Raises:
        LowRankGANError: the file is missing, damaged, of no known container, or holds anything
            else than weights and plain values.
    """
    try:
        return _read_folder(path) if path.is_dir() else _read_file(path)
    except OSError as error:
        raise LowRankGANError(
            f"{path}: cannot be read ({error.strerror}), put the file of weights there or correct "
            "the path"
        ) from error
    except (ValueError, MemoryError) as error:
        raise LowRankGANError(
            f"{path}: is damaged or holds more than weights and plain values: "
            f"{str(error)[:200] or 'it is too large'}; nothing in it was run, fetch it again from "
            "its source or save only its state dict"
        ) from error


def _read_folder(folder: Path) -> dict[str, Any]:
    found = [name for name in _WEIGHTS if (folder / name).is_file()]
    if not found or not (folder / "config.json").is_file():
        raise LowRankGANError(
            f"{folder}: is a folder, expected a file of weights or config.json beside one of "
            f"{', '.join(_WEIGHTS)}"
        )
    content = _read_file(folder / found[0])
    state = content["state"] if found[0] == "model.safetensors" else content
    return {"config": _read_config(folder / "config.json"), "state": state}


def _read_config(path: Path) -> Any:
    with path.open("rb") as file:
        text = file.read(_MAX_CONFIG_BYTES + 1)
    try:
        if len(text) > _MAX_CONFIG_BYTES:
            raise ValueError("larger than 1 MiB")
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("its config.json is no JSON text") from error
    if not isinstance(config, dict):
        raise ValueError("its config.json is no JSON object")
    return config


def _read_file(path: Path) -> Any:
    size = path.stat().st_size
    if not 0 < size <= _MAX_BYTES:
        raise LowRankGANError(
            f"{path}: is {'larger than 8 GiB, no file of weights' if size else 'empty'}; fetch it "
            "again from its source"
        )
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if is_safetensors(head, size):
        return _read_safetensors(path)
    if head.startswith((b"PK\x03\x04", b"\x80")):
        content = _read_pickled(path, head)
        if not isinstance(content, dict | list | tuple | Record):
            raise ValueError(f"it holds no weights but {type(content).__name__}")
        return content
    if mistake := mistaken(head, size):
        raise LowRankGANError(f"{path}: {mistake}")
    raise LowRankGANError(
        f"{path}: is no PyTorch file, pickle or safetensors, it starts with {head[:8]!r}; fetch it "
        "again from its source"
    )


def _read_pickled(path: Path, head: bytes) -> Any:
    if head.startswith(b"PK"):
        return read_zip(path, _TABLE)
    data = path.read_bytes()
    if is_legacy(head):
        return read_legacy(data, _TABLE)
    budget = Budget(len(data))
    return grow(interpret(BytesIO(data), _TABLE, budget), budget)


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = pairs(file.get_tensors().items())
    except SafetensorError as error:
        raise ValueError(f"it is no sound safetensors file ({str(error)[:80]!a})") from error
    return {"metadata": metadata, "state": state}
