"""Progress of long loops, with an estimate of the time that is left, for terminals and logs."""

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], name: str, total: int | None = None) -> Iterator[T]:
    """Pass items through and show how many of them are done.

    Args:
        items: what a long loop goes through.
        name: what is counted.
        total: number of items, where they have no length.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    # A log file gets a line now and then in place of a bar that redraws itself.
    interval = 0.5 if sys.stderr.isatty() else 10.0
    yield from tqdm(items, desc=name, total=total, mininterval=interval, file=sys.stderr)
