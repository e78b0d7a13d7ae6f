"""What a file of a classifier says of itself; needs no torch, so that a plan can ask."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lowrankgan.errors import LowRankGANError

_DAMAGE = (OSError, SafetensorError, KeyError, TypeError, ValueError, OverflowError, RecursionError)
KEY = "classifier"  # of the metadata
_MOST = {"resolution": 1024, "classes": 10_000}


def classifier_sizes(path: Path) -> dict[str, int]:
    """`resolution` of the images in pixels, and number of `classes`.

    Raises:
        LowRankGANError: the file is missing, broken, or not one of this project.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            told = json.loads((file.metadata() or {})[KEY])
        sizes = {name: int(told[name]) for name in _MOST}
        if not all(0 < size <= _MOST[name] for name, size in sizes.items()):
            raise ValueError(f"its sizes are {sizes}, expected {_MOST} at most")
        return sizes
    except _DAMAGE as error:
        raise LowRankGANError(f"{path}: is missing or not a classifier ({error})") from error
