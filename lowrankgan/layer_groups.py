"""Groups of layers of W+, each moved by an offset of its own."""

from collections.abc import Sequence
from itertools import pairwise


def split(layers: Sequence[int], begins: Sequence[int]) -> list[list[int]]:
    """Layers, cut before each of some slots; where that leaves nothing, there is no group.

    Args:
        layers: slots that move.
        begins: slots before which to cut, of any generator: it may have fewer layers.
    """
    edges = [0, *sorted(begins), max(layers) + 1]
    groups = [[n for n in layers if a <= n < b] for a, b in pairwise(edges)]
    return [group for group in groups if group]
