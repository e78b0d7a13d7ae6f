"""Pretrained generators, one file an architecture, and the way to load one by name."""

from collections.abc import Callable
from pathlib import Path

import torch

from lowrankgan.allocator import keep_freed_memory
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.dcgan import DCGAN
from lowrankgan.generators.mobilestylegan import MobileStyleGAN
from lowrankgan.generators.readers.mobilestylegan_ir import read_mobilestylegan
from lowrankgan.generators.readers.torch_zip import read_torch_zip


def _dcgan(folder: Path) -> Generator:
    state = read_torch_zip(folder / "weights.tar").get("netG_state_dict")
    if not isinstance(state, dict):
        raise LowRankGANError(f"{folder / 'weights.tar'}: has no netG_state_dict")
    return DCGAN(state)


ARCHITECTURES: dict[str, Callable[[Path], Generator]] = {
    "mobilestylegan": lambda folder: MobileStyleGAN(read_mobilestylegan(folder)),
    "dcgan": _dcgan,
}


def load_generator(
    architecture: str, folder: Path, device: torch.device | str = "cpu"
) -> Generator:
    """Load a generator from the folder that holds its published files.

    On a CPU it also has the C library keep freed memory, without which large feature maps cost
    several times the arithmetic.

    Args:
        architecture: a key of `ARCHITECTURES`.
        folder: where its files lie under the names they were published with.
        device: where its weights go.

    Raises:
        LowRankGANError: the architecture is unknown, or the files are missing or broken.
    """
    if architecture not in ARCHITECTURES:
        raise LowRankGANError(
            f"architecture {architecture!r} is unknown, expected one of {sorted(ARCHITECTURES)}"
        )
    if torch.device(device).type == "cpu":
        keep_freed_memory()
    return ARCHITECTURES[architecture](folder).to(device)
