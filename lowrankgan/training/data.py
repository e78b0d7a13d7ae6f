"""Labelled images: the IDX files of MNIST and its kin, or a folder with one folder a class."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from torch import Tensor

from lowrankgan.errors import LowRankGANError

_LEAST_HELD_OUT = 4  # two halves of which have a covariance each
_IMAGES, _LABELS = 0x00000803, 0x00000801


@dataclass(frozen=True)
class LabelledImages:
    """Images in memory.

    Attributes:
        pixels: uint8 [N, 3, R, R], or [N, 1, R, R] if they are grey.
        labels: int64 [N].
        classes: number of classes.
    """

    pixels: Tensor
    labels: Tensor
    classes: int

    def batch(self, chosen: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Images float32 [n, 3, R, R] in [-1, 1] and labels [n] of the chosen indices [n]."""
        images = self.pixels[chosen].to(device).float() / 127.5 - 1
        return images.expand(-1, 3, -1, -1), self.labels[chosen].to(device)


def read_idx(images: Path, labels: Path, resolution: int) -> LabelledImages:
    """Read IDX files; grey images are padded with black to the resolution.

    Raises:
        LowRankGANError: a file is missing, broken or of another kind, or the images are larger.
    """
    grey, classes = _idx(images, _IMAGES, 3), _idx(labels, _LABELS, 1)
    before = (resolution - grey.shape[1]) // 2
    after = resolution - grey.shape[1] - before
    if len(grey) != len(classes) or grey.shape[1] != grey.shape[2] or before < 0:
        raise LowRankGANError(
            f"{images}: {grey.shape} images and {len(classes)} labels, expected as many of each, "
            f"square and of at most {resolution} px"
        )
    padded = np.pad(grey, ((0, 0), (before, after), (before, after)))
    return LabelledImages(
        torch.from_numpy(padded)[:, None], torch.from_numpy(classes).long(), int(classes.max()) + 1
    )


def read_folder(
    folder: Path, resolution: int, held_out_every: int
) -> tuple[LabelledImages, LabelledImages]:
    """Read pictures, one folder a class in the order of their names; centre-cropped and resized.

    Returns:
        Those to train on, and those that are held out: of each class the first, and on from it
        in equal steps.

    Raises:
        LowRankGANError: there are no two classes with pictures, or one cannot be read.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    listed = [sorted(path for path in c.iterdir() if path.is_file()) for c in classes]
    if len(listed) < 2 or min(map(len, listed)) < 2:
        raise LowRankGANError(
            f"{folder}: expected two folders or more, one for each class, of two pictures or more"
        )
    if (number := sum(len(files[::held_out_every]) for files in listed)) < _LEAST_HELD_OUT:
        raise LowRankGANError(
            f"{folder}: {number} pictures would be held out, expected {_LEAST_HELD_OUT} or more; "
            "add pictures, or lower data.held_out_every"
        )
    kept = [[path for i, path in enumerate(files) if i % held_out_every] for files in listed]
    held_out = [files[::held_out_every] for files in listed]
    return _pictures(kept, resolution), _pictures(held_out, resolution)


def save(data: LabelledImages, path: Path) -> None:
    """Write as safetensors."""
    save_file({"pixels": data.pixels, "labels": data.labels}, path)


def load(path: Path) -> LabelledImages:
    """Read what `save` wrote."""
    tensors = load_file(path)
    labels = tensors["labels"]
    return LabelledImages(tensors["pixels"], labels, int(labels.max()) + 1)


def _pictures(classes: Sequence[Sequence[Path]], resolution: int) -> LabelledImages:
    files = [(path, label) for label, paths in enumerate(classes) for path in paths]
    pixels = np.stack([_picture(path, resolution) for path, _ in files])
    labels = torch.tensor([label for _, label in files])
    return LabelledImages(
        torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels, len(classes)
    )


def _picture(path: Path, resolution: int) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as opened:
            image = _of_bytes(_upright(opened))
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            cropped = image.convert("RGB").crop((left, top, left + side, top + side))
    except (OSError, Image.DecompressionBombError) as error:
        raise LowRankGANError(f"{path}: is not a readable picture") from error
    return np.asarray(cropped.resize((resolution, resolution), Image.Resampling.LANCZOS))


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data says, unless these are broken."""
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, struct.error, ValueError, TypeError):
        return image


def _of_bytes(image: Image.Image) -> Image.Image:
    """An 8-bit version of a 16-bit picture, which `convert` would clip instead of scaling."""
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))


def _idx(path: Path, magic: int, dimensions: int) -> NDArray[np.uint8]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LowRankGANError(f"{path}: cannot be read ({error.strerror})") from error
    size = 4 * (dimensions + 1)
    if int.from_bytes(content[:4], "big") == magic and len(content) >= size:
        shape = [int(n) for n in np.frombuffer(content[4:size], ">u4")]
        if len(content) == size + np.prod(shape):
            return np.frombuffer(content, np.uint8, offset=size).reshape(shape).copy()
    raise LowRankGANError(f"{path}: is not an IDX file of {dimensions} dimensions of bytes")
