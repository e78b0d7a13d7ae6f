"""What a file of a classifier says of itself; needs no torch, so that a plan can ask."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lowrankgan.errors import LowRankGANError

KEY = "classifier"  # of the metadata


def classifier_sizes(path: Path) -> dict[str, int]:
    """`resolution` of the images in pixels, and number of `classes`.

    Raises:
        LowRankGANError: the file is missing, broken, or not one of this project.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            sizes = json.loads((file.metadata() or {})[KEY])
        return {name: int(sizes[name]) for name in ("resolution", "classes")}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise LowRankGANError(f"{path}: is missing or not a classifier ({error})") from error
