"""Single channels of style space, ranked by how much of their effect falls into a region.

Wu, Lischinski and Shechtman, "StyleSpace Analysis", CVPR 2021, edit one channel of one layer's
style. The same edit is made in W+ here, by the offset that moves this style and the least else, so
that it goes through the protocol of all directions.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lowrankgan.arrays import Array
from lowrankgan.generators.base import Generator
from lowrankgan.style_sensitivity import Offsets, squared_changes, style_offsets


def local_channels(
    generator: Generator,
    ws: Tensor,
    layers: Sequence[int],
    masks: Mapping[str, NDArray[np.bool_]],
    probes: int,
    seed: int,
    least: float,
    count: int,
) -> dict[str, Array]:
    """The channels of the largest change of a region for each change of the rest.

    Among those that change the region at all: the most local of thousands is one whose effect is a
    thousandth of the strongest's, and no step within reach makes an edit of it.

    Args:
        generator: any.
        ws: [N, L, D] W+ latents, over which squared changes are averaged.
        layers: slots whose channels are candidates.
        masks: region name to bool [N, R, R] on the analysis grid.
        probes: for each latent, see `squared_changes`.
        seed: of the probes.
        least: squared change of the region per length in w that a channel must have, as a share of
            the strongest channel's; weaker ones come after all others.
        count: number of directions.

    Returns:
        Region name to offsets [count, L, w_dim] in float64, each zero but in one slot, of unit
        length there.
    """
    offsets = style_offsets(generator, layers)
    changes = squared_changes(generator, ws, offsets, masks, probes, seed)
    squared_lengths = np.concatenate([rows.square().sum(1).numpy() for _, rows in offsets])
    moving = squared_lengths > np.finfo(np.float64).eps * squared_lengths.max()
    found = {}
    for name, (inside, outside) in changes.items():
        # Styles that do not depend on w, as where a class alone makes them, have no offset.
        strength = np.divide(inside, squared_lengths, out=np.zeros_like(inside), where=moving)
        locality = np.divide(inside, outside, out=np.zeros_like(inside), where=moving)
        ranked = np.lexsort((-locality, strength < least * strength.max()))[:count]
        found[name] = np.stack([_placed(generator, offsets, int(channel)) for channel in ranked])
    return found


def _placed(generator: Generator, offsets: Offsets, channel: int) -> Array:
    for slot, rows in offsets:
        if channel < len(rows):
            placed = np.zeros((generator.num_layers, generator.w_dim))
            placed[slot] = (rows[channel] / rows[channel].norm()).numpy()
            return placed
        channel -= len(rows)
    raise IndexError(channel)
