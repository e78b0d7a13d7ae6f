"""Gram matrices of few images, drawn towards a prior, with a weight that carries over best.

Of how an image changes along a direction, the Gram matrices of a few images are a noisy estimate
for all others, and a direction is fitted to the noise. Ledoit and Wolf (2004) draw covariances of
few samples towards a target that varies less; here the target is `lowrankgan.style_gram`.
"""

import math
from collections.abc import Sequence

import numpy as np

from lowrankgan.arrays import Array
from lowrankgan.progress import progress
from lowrankgan.subspace import rayleigh_optimum

Grams = tuple[Array, Array]
"""Of a region and of the rest, each [d, d] positive semi-definite."""


def shrink(gram: Array, target: Array, weight: float) -> Array:
    """(1 - weight) M + weight tr(M)/tr(T) T.

    Args:
        gram: M [d, d].
        target: T [d, d] positive semi-definite.
        weight: 0 to 1.

    Returns:
        [d, d], of the trace of M.
    """
    return (1 - weight) * gram + weight * np.trace(gram) / np.trace(target) * target


def cross_validated_weight(
    images: Sequence[Grams], target: Grams, weights: Sequence[float], ridge: float
) -> float:
    """The weight at which directions of some images leak least on another, to first order.

    Each image is left out in turn, the direction of `rayleigh_optimum` is found on the others, and
    its change of the rest for each change of the region is taken on the one that was left out.

    Args:
        images: Gram matrices of each of at least two analysis images.
        target: what both are drawn towards.
        weights: to choose from.
        ridge: of `rayleigh_optimum`.

    Returns:
        That of the least geometric mean over the images.
    """
    totals = [sum(grams) for grams in zip(*images, strict=True)]

    def leak(weight: float) -> float:
        logarithm = 0.0
        for held_out in images:
            inside, outside = (
                shrink(total - gram, prior, weight)
                for total, gram, prior in zip(totals, held_out, target, strict=True)
            )
            direction = rayleigh_optimum(inside, outside, ridge, 1)[0]
            region, rest = (direction @ gram @ direction for gram in held_out)
            logarithm += math.log(rest / region)
        return logarithm

    return min(progress(weights, "weights of the prior"), key=leak)
