"""The table of published changes that stands beside what is measured."""

import csv
from pathlib import Path

from lowrankgan.errors import LowRankGANError
from lowrankgan.weights import hash_of

_WORDS, _NUMBERS = ("method", "generator", "region"), ("inside", "outside")


def hash_of_published(path: Path) -> str:
    """SHA-256 of a CSV file of published changes, read now, for it is needed only at the end.

    Raises:
        LowRankGANError: it cannot be read, lacks a column, or has a change that is no number.
    """
    found = hash_of(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [
                [*(row[name] for name in _WORDS), *(float(row[name]) for name in _NUMBERS)]
                for row in csv.DictReader(stream, strict=True)
            ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        columns = ", ".join((*_WORDS, *_NUMBERS))
        raise LowRankGANError(
            f"{path}: cannot be read ({error}); expected a CSV file with the columns {columns}, "
            "the last two numbers"
        ) from error
    if not rows:
        raise LowRankGANError(f"{path}: holds no published change")
    return found
