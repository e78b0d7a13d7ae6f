"""Latents from seeds, one seed a face, so that a face does not depend on the batch it came in."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lowrankgan.generators.base import Generator


def sample_latents(
    generator: Generator,
    seeds: Sequence[int],
    psi: float,
    cutoff: int | None = None,
    label: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Sample z from a standard normal distribution and map it to truncated W+.

    Args:
        generator: any generator.
        seeds: one non-negative seed per face, drawn as NVlabs' tools draw them.
        psi: truncation; 1 is none.
        cutoff: number of leading slots that are truncated; None truncates all.
        label: class of a conditional generator.

    Returns:
        z [N, z_dim] and ws [N, L, D], of the generator's dtype and device.

    Raises:
        LowRankGANError: the label does not fit the generator.
    """
    drawn = np.stack([np.random.RandomState(seed).randn(generator.z_dim) for seed in seeds])
    z = torch.from_numpy(drawn).to(generator.device, generator.dtype)
    with torch.no_grad():
        labels = None if label is None else torch.full((len(seeds),), label, device=z.device)
        w = generator.mapping(z, labels)
        ws, truncated = (generator.broadcast(v) for v in (w, generator.truncate(w, psi)))
    cutoff = generator.num_layers if cutoff is None else cutoff
    return z, torch.cat([truncated[:, :cutoff], ws[:, cutoff:]], dim=1)
