"""From a checkpoint to its generator."""

import inspect
from pathlib import Path

import torch

from lowrankgan.allocator import keep_freed_memory
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.biggan import BigGAN
from lowrankgan.generators.biggan_deep import BigGANDeep
from lowrankgan.generators.checkpoint import Checkpoint, load_checkpoint, refused_as
from lowrankgan.generators.dcgan import DCGAN
from lowrankgan.generators.mobilestylegan import MobileStyleGAN
from lowrankgan.generators.progan import ProGAN
from lowrankgan.generators.stylegan2 import StyleGAN2
from lowrankgan.generators.stylegan3 import StyleGAN3

ARCHITECTURES: dict[str, type[Generator]] = {
    "biggan": BigGAN,
    "biggan_deep": BigGANDeep,
    "dcgan": DCGAN,
    "mobilestylegan": MobileStyleGAN,
    "progan": ProGAN,
    "stylegan2": StyleGAN2,
    "stylegan3": StyleGAN3,
}


def build_generator(checkpoint: Checkpoint) -> Generator:
    """Build the generator of a checkpoint.

    Raises:
        LowRankGANError: the architecture or a setting is unknown, missing or malformed, or
            the weights do not fit it.
    """
    if checkpoint.architecture not in ARCHITECTURES:
        raise LowRankGANError(
            f"architecture {checkpoint.architecture!r} is unknown, "
            f"expected one of {sorted(ARCHITECTURES)}"
        )
    architecture = ARCHITECTURES[checkpoint.architecture]
    known = list(inspect.signature(architecture).parameters)[1:]
    for name in checkpoint.settings:
        if name not in known:
            raise LowRankGANError(
                f"generator.options.{name}: unknown to {checkpoint.architecture}, "
                f"expected one of {known}"
            )
    with refused_as(f"{checkpoint.architecture}: a setting is missing or malformed"):
        return architecture(checkpoint.state, **checkpoint.settings)


def load_generator(path: Path, device: torch.device | str = "cpu") -> Generator:
    """Load a generator from the safetensors file of a converted checkpoint.

    On a CPU it also has the C library keep freed memory, without which large feature maps cost
    several times the arithmetic; on a GPU, convolutions in float32 no longer be rounded to TF32,
    which would put a Jacobian some 1e-3 off.

    Args:
        path: what `lowrankgan convert` or `save_checkpoint` wrote.
        device: where its weights go.

    Raises:
        LowRankGANError: the file is missing or broken.
    """
    if torch.device(device).type == "cpu":
        keep_freed_memory()
    else:
        torch.backends.cudnn.allow_tf32 = False
    return build_generator(load_checkpoint(path)).to(device)
