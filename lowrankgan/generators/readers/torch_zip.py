"""Reader of PyTorch's zip checkpoints that hold nothing but tensors and plain values."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from lowrankgan.errors import LowRankGANError


def read_torch_zip(path: Path) -> dict[str, Any]:
    """Load a checkpoint through PyTorch's restricted unpickler; no code of the file is run.

    Raises:
        LowRankGANError: the file is missing, damaged, or holds more than tensors.
    """
    if not zipfile.is_zipfile(path):
        raise LowRankGANError(f"{path}: is missing or not a PyTorch zip checkpoint; fetch it again")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise LowRankGANError(
            f"{path}: is damaged or holds more than tensors ({reason})"
        ) from error
    if not isinstance(content, dict):
        raise LowRankGANError(
            f"{path}: expected a dictionary of tensors, found {type(content).__name__}"
        )
    return content
