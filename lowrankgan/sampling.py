"""Latents from seeds, one seed a face, so that a face does not depend on the batch it came in."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lowrankgan.generators.base import Generator


def sample_latents(generator: Generator, seeds: Sequence[int], psi: float) -> tuple[Tensor, Tensor]:
    """Sample z from a standard normal distribution and map it to truncated w.

    Args:
        generator: unconditional generator.
        seeds: one non-negative seed per face, drawn as NVlabs' tools draw them.
        psi: truncation; 1 is none.

    Returns:
        z [N, z_dim] and w [N, w_dim], of the generator's dtype and device.
    """
    drawn = np.stack([np.random.RandomState(seed).randn(generator.z_dim) for seed in seeds])
    z = torch.from_numpy(drawn).to(generator.device, generator.dtype)
    with torch.no_grad():
        return z, generator.truncate(generator.mapping(z), psi)
