"""Differentiable augmentation (Zhao et al., arXiv 2006.10738), drawn on the CPU for any device."""

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(images: Tensor, translation: float, cutout: float, random: torch.Generator) -> Tensor:
    """Shift each image and blank a square of it.

    Args:
        images: [N, C, H, H] in [-1, 1].
        translation: largest shift in fractions of H; the border is repeated.
        cutout: side of the square in fractions of H; it may reach over the edge.
        random: what shifts and squares are drawn from.

    Returns:
        [N, C, H, H], differentiable in the images.
    """
    return _cut(_shift(images, translation, random), cutout, random)


def _shift(images: Tensor, translation: float, random: torch.Generator) -> Tensor:
    count, side = len(images), images.shape[-1]
    largest = round(translation * side)
    padded = F.pad(images, [largest] * 4, mode="replicate")
    start = torch.randint(2 * largest + 1, (2, count, 1), generator=random)
    rows, columns = (start + torch.arange(side)).to(images.device)
    image = torch.arange(count, device=images.device)[:, None, None]
    # Indices on both sides of a slice put the channels last.
    return padded[image, :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def _cut(images: Tensor, cutout: float, random: torch.Generator) -> Tensor:
    count, side = len(images), images.shape[-1]
    length = round(cutout * side)
    start = torch.randint(1 - length, side, (2, count, 1), generator=random)
    position = torch.arange(side)
    rows, columns = (position >= start) & (position < start + length)
    kept = ~(rows[:, :, None] & columns[:, None])
    return images * kept[:, None].to(images)
