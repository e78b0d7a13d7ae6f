"""Checkpoints and arrays that official implementations wrote, and how close is close enough."""

import numpy as np
import torch
from torch import Tensor

from tests.conftest import ROOT

CHECKPOINTS = ROOT / "tests/data/checkpoints"


def arrays(name: str, prefix: str = "") -> dict[str, Tensor]:
    """The arrays of one file whose names have a prefix, by the rest of their names."""
    with np.load(CHECKPOINTS / name) as file:
        found = [key for key in file.files if key.startswith(prefix)]
        return {key.removeprefix(prefix): torch.from_numpy(file[key]) for key in found}


def close(found: Tensor, expected: Tensor, tolerance: float = 2e-5) -> bool:
    """Whether shapes are equal and no difference exceeds a share of the largest value."""
    if found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= tolerance * expected.abs().max())
