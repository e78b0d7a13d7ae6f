"""Directions from files, as the authors publish theirs (.npy) or as safetensors."""

from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from lowrankgan.arrays import Array
from lowrankgan.errors import LowRankGANError

_KEY = "directions"
_DAMAGE = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, MemoryError),
    *(OverflowError, SyntaxError, BadZipFile, TokenError, SafetensorError, RecursionError),
)


def read_directions(path: Path) -> Array:
    """Read directions of one region and give them unit length.

    Args:
        path: .npy (no pickled objects), or .safetensors with one tensor, or one named
            "directions", of shape [d], [k, d] or, for offsets in W+, [k, L, d].

    Returns:
        [k, d] or [k, L, d] float64. Of an offset in W+, the slot that moves most has unit length.

    Raises:
        LowRankGANError: the file cannot be read, or is no such array.
    """
    try:
        if path.suffix == ".npy":
            rows = np.load(path, allow_pickle=False)
        else:
            found = load_file(path)
            if _KEY not in found and len(found) != 1:
                raise ValueError(f"it holds {len(found)} tensors, none of them named {_KEY!r}")
            rows = found[_KEY] if _KEY in found else found.popitem()[1]
        if not isinstance(rows, np.ndarray):
            raise ValueError("it is an archive")
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else "it is empty or too large"
        raise LowRankGANError(
            f"{path}: no directions can be read ({reason}); expected a .npy or .safetensors file"
        ) from error
    if rows.dtype.kind != "f" or not 1 <= rows.ndim <= 3 or not rows.size:
        raise LowRankGANError(
            f"{path}: {rows.dtype} of shape {rows.shape}, expected floats [d], [k, d] or [k, L, d]"
        )
    rows = np.atleast_2d(rows).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    lengths = lengths.reshape(len(rows), -1).max(1).reshape(-1, *[1] * (rows.ndim - 1))
    if not np.isfinite(lengths).all() or not lengths.all():
        raise LowRankGANError(f"{path}: a direction is zero or not finite")
    return np.ascontiguousarray(rows / lengths)
