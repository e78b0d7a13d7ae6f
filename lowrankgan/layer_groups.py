"""Groups of layers of W+, each moved by an offset of its own."""

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from lowrankgan.arrays import Array


def split(layers: Sequence[int], begins: Sequence[int]) -> list[list[int]]:
    """Layers, cut before each of some slots; where that leaves nothing, there is no group.

    Args:
        layers: slots that move.
        begins: slots before which to cut, of any generator: it may have fewer layers.
    """
    edges = [0, *sorted(begins), max(layers) + 1]
    groups = [[n for n in layers if a <= n < b] for a, b in pairwise(edges)]
    return [group for group in groups if group]


def covering(groups: Sequence[Sequence[int]], layers: Collection[int]) -> list[int]:
    """Places of the groups that make up some layers; none where these cut through a group."""
    found = [place for place, group in enumerate(groups) if set(group) <= set(layers)]
    return found if sum(len(groups[place]) for place in found) == len(layers) else []


def join(gram: Array, groups: Sequence[Sequence[int]], layers: Collection[int]) -> Array:
    """The Gram matrix of some layers moved alike, from that of groups: the sum of their blocks.

    Moved alike, J is the sum of the groups' J, so that this is exact.

    Args:
        gram: [n w_dim, n w_dim] float64 for n groups.
        groups: slots of each.
        layers: slots that some of the groups make up, see `covering`.

    Returns:
        [w_dim, w_dim] float64, exactly symmetric where `gram` is.
    """
    count, chosen = len(groups), covering(groups, layers)
    size = len(gram) // count
    total = gram.reshape(count, size, count, size)[chosen][:, :, chosen].sum((0, 2))
    return np.asarray(total + total.T) / 2
