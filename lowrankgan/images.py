"""Images between the generator's range and files that people look at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

SHEET_FACES = 36  # of a contact sheet
_SHEET_SIDE = 256


def to_unit(images: Tensor) -> Tensor:
    """Images [..., H, W] nominally in [-1, 1] to [0, 1], clamped as a viewer would see them."""
    return ((images + 1) / 2).clamp(0, 1)


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """Images [N, 3, H, W] in [0, 1] to uint8 [N, H, W, 3]."""
    scaled = (images * 255).round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).cpu().numpy()


def contact_sheet(images: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """Save faces, each uint8 [H, W, 3], side by side as one picture."""
    shown = [Image.fromarray(image) for image in images]
    side = min(_SHEET_SIDE, shown[0].width)
    columns = min(len(shown), 6)
    sheet = Image.new("RGB", (columns * side, -(-len(shown) // columns) * side), "white")
    for index, image in enumerate(shown):
        small = image.resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(small, (index % columns * side, index // columns * side))
    sheet.save(path)


def image_grid(images: NDArray[np.uint8], columns: int) -> Image.Image:
    """Images [N, H, W, 3] row by row without gaps, N a multiple of the columns."""
    _, height, width, channels = images.shape
    tiles = images.reshape(-1, columns, height, width, channels).swapaxes(1, 2)
    return Image.fromarray(tiles.reshape(-1, columns * width, channels))
