"""How much a region and the rest of an image change with single styles, by a few reverse passes."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vjp

from lowrankgan.arrays import Array
from lowrankgan.generators.base import Generator
from lowrankgan.progress import progress

# Of each slot that is asked for: its number, and offsets [C, w_dim] of its w, one for each style.
Offsets = Sequence[tuple[int, Tensor]]


def style_offsets(generator: Generator, layers: Sequence[int]) -> Offsets:
    """Offsets that come nearest to changing one style by one and no other of its slot.

    By the pseudoinverse of the style weights, in float64: exactly so in a slot that has no more
    styles than w has components. Where it has more, styles cannot move one by one, and each moves
    by less than one, in the mean by the rank of the weights over their number.
    """
    weights = generator.style_weights()
    return [(slot, torch.linalg.pinv(weights[slot].double().cpu()).T) for slot in layers]


def squared_changes(
    generator: Generator,
    ws: Tensor,
    offsets: Offsets,
    masks: Mapping[str, NDArray[np.bool_]],
    probes: int,
    seed: int,
) -> dict[str, tuple[Array, Array]]:
    """Mean squared change of each region and of the rest for each offset, to first order.

    For a random vector p of signs over some pixels, the mean square of p^T J u is the squared
    change of those pixels along u, so that some reverse passes serve thousands of offsets u
    (Hutchinson's estimator). Of the rest, p^T J u is what the region leaves of that of the image.

    Args:
        generator: any.
        ws: [N, L, D] W+ latents, over which squared changes are averaged.
        offsets: from `style_offsets`, C in all.
        masks: region name to bool [N, R, R] on the analysis grid.
        probes: number of vectors p for each latent, of 1 + len(masks) reverse passes each; the
            relative error of a squared change is about sqrt(2 / (N probes)).
        seed: of the probes.

    Returns:
        Region name to (inside, outside), each [C] float64.
    """
    side, signs = next(iter(masks.values())).shape[-1], np.random.RandomState(seed)
    count = sum(len(rows) for _, rows in offsets)
    means = {name: np.zeros((2, count)) for name in masks}
    for i, number in progress(list(np.ndindex(len(ws), probes)), "probes"):
        if number == 0:
            along = _reverse(generator, ws[i], offsets, side)
        probe = signs.choice((-1.0, 1.0), (3, side, side))
        whole = along(probe)
        for name, mask in masks.items():
            inside, areas = along(probe * mask[i]), [mask[i].sum(), (~mask[i]).sum()]
            rows = len(ws) * probes * 3 * np.array(areas)[:, None]
            means[name] += np.stack([inside, whole - inside]) ** 2 / rows
    return {name: (inside, outside) for name, (inside, outside) in means.items()}


def _reverse(
    generator: Generator, latent: Tensor, offsets: Offsets, side: int
) -> Callable[[Array], Array]:
    """p^T J u of every offset u, as a function of p [3, side, side]."""

    def image(slots: Tensor) -> Tensor:
        return generator.forward_averaged([slot[None] for slot in slots], side)

    seen, backward = vjp(image, latent)[:2]

    def along(probe: Array) -> Array:
        # In the memory format of the image, for a mixture of formats costs half as much again.
        cotangent = torch.empty_like(seen).copy_(torch.from_numpy(probe))
        gradient = backward(cotangent)[0][:, : generator.w_dim].detach().double().cpu()
        return np.concatenate([(rows @ gradient[slot]).numpy() for slot, rows in offsets])

    return along
