"""Single channels of style space, ranked by how much of their effect falls into a region.

Wu, Lischinski and Shechtman, "StyleSpace Analysis", CVPR 2021, edit one channel of one layer's
style. The same edit is made in W+ here, by the offset that moves this style and the least else, so
that it goes through the protocol of all directions.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vjp

from lowrankgan.factorization import Array
from lowrankgan.generators.base import Generator
from lowrankgan.progress import progress


def local_channels(
    generator: Generator,
    ws: Tensor,
    layers: Sequence[int],
    masks: Mapping[str, NDArray[np.bool_]],
    probes: int,
    seed: int,
    count: int,
) -> dict[str, Array]:
    """The channels of the largest change of a region for each change of the rest.

    There are thousands of channels. For a random vector p of signs over a region's pixels, the
    mean square of p^T J u is the squared change of the region along u, so that some reverse passes
    rank all channels at once (Hutchinson's estimator).

    Args:
        generator: any.
        ws: [N, L, D] W+ latents, over which squared changes are averaged.
        layers: slots whose channels are candidates.
        masks: region name to bool [N, R, R] on the analysis grid.
        probes: vectors p for each latent, region and side; the relative error of a squared change
            is about sqrt(2 / (N * probes)).
        seed: of the probes.
        count: number of directions.

    Returns:
        Region name to offsets [count, L, w_dim] in float64, each zero but in one slot, of unit
        length there.
    """
    offsets = _offsets(generator, layers)
    signs = np.random.RandomState(seed)
    gradients: dict[str, tuple[list[Tensor], list[Tensor]]] = {name: ([], []) for name in masks}
    side = next(iter(masks.values())).shape[-1]

    def image(slots: Tensor) -> Tensor:
        return generator.forward_averaged([slot[None] for slot in slots], side)[0]

    for index, latent in enumerate(progress(ws, "style channels")):
        backward = vjp(image, latent)[1]
        for name, mask in masks.items():
            for part, chosen in zip(gradients[name], (mask[index], ~mask[index]), strict=True):
                for _ in range(probes):
                    probe = signs.choice((-1.0, 1.0), (3, side, side)) * chosen
                    scaled = torch.from_numpy(probe / chosen.sum() ** 0.5).to(latent)
                    part.append(backward(scaled)[0].detach()[:, : generator.w_dim].double().cpu())
    found = {}
    for name, sides in gradients.items():
        inside, outside = (
            np.concatenate([(torch.stack(g)[:, s] @ o.T).square().mean(0) for s, o in offsets])
            for g in sides
        )
        ranked = np.argsort(-inside / outside, kind="stable")[:count]
        found[name] = np.stack([_placed(generator, offsets, int(channel)) for channel in ranked])
    return found


def _offsets(generator: Generator, layers: Sequence[int]) -> list[tuple[int, Tensor]]:
    """By slot, the unit offsets [C, w_dim] of w, each of which moves one style."""
    weights = generator.style_weights()
    found = []
    for slot in layers:
        inverse = torch.linalg.pinv(weights[slot].double().cpu()).T
        length = inverse.norm(dim=1, keepdim=True).clamp_min(torch.finfo(inverse.dtype).tiny)
        found.append((slot, inverse / length))
    return found


def _placed(generator: Generator, offsets: Sequence[tuple[int, Tensor]], channel: int) -> Array:
    for slot, rows in offsets:
        if channel < len(rows):
            placed = np.zeros((generator.num_layers, generator.w_dim))
            placed[slot] = rows[channel].numpy()
            return placed
        channel -= len(rows)
    raise IndexError(channel)
