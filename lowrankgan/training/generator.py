"""The generator in training: the BigGAN that is rendered from, with weights that learn."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from lowrankgan.generators.biggan import BigGAN
from lowrankgan.generators.biggan_layers import EPSILON, BatchNorm
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.training.settings import Settings


def trainable_generator(settings: Settings, classes: int) -> BigGAN:
    """A BigGAN of random weights in training mode, spectrally normalised but for the embedding."""
    generator = BigGAN(_initial_state(settings, classes))
    normalise_spectrally(generator, (nn.Linear, nn.Conv2d))
    return generator.requires_grad_(True).train()


def normalise_spectrally(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> None:
    """Divide the weight of every layer of these kinds by its largest singular value."""
    for layer in [module for module in network.modules() if isinstance(module, kinds)]:
        parametrizations.spectral_norm(layer)


def render(generator: BigGAN, z: Tensor, labels: Tensor) -> Tensor:
    """Images [N, 3, H, W] in [-1, 1] of z [N, z_dim] and labels [N]."""
    y = generator.embedding(labels)
    return generator([torch.cat([z, y], dim=1)] * generator.num_layers)


@torch.no_grad()
def calibrate(generator: BigGAN, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Store the statistics of every norm over batches of z and labels, and leave training mode.

    They are the moments of all inputs together, so batches of one size weigh the same.
    """
    norms = [module for module in generator.modules() if isinstance(module, BatchNorm)]
    moments: dict[nn.Module, list[Tensor]] = {norm: [] for norm in norms}

    def note(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0].double()
        moments[norm].append(torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]))

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    generator.train()
    for z, labels in batches:
        render(generator, z, labels)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, square = torch.stack(moments[norm]).mean(0)
        norm.mean.copy_(mean[None])
        norm.variance.copy_((square - mean.square() + EPSILON)[None])
    generator.eval()


def export(generator: BigGAN) -> Checkpoint:
    """The weights as they are rendered from, spectral normalisation multiplied in."""
    state = {
        name: value.detach().clone()
        for name, value in generator.state_dict().items()
        if "parametrizations" not in name
    }
    for name, layer in generator.named_modules():
        if parametrize.is_parametrized(layer):
            state[f"{name}.weight"] = layer.weight.detach().clone()
    return Checkpoint("biggan", {}, state, "trained by this project")


def _initial_state(settings: Settings, classes: int) -> dict[str, Tensor]:
    """Random weights in the layout of `BigGAN`: orthogonal matrices, norms that do nothing."""
    state = dict(_zeros(settings, classes))
    for name, value in state.items():
        if name.endswith(("variance", "output_norm.gain")):
            value.fill_(1)
        elif value.ndim > 1 and not name.endswith("mean"):
            nn.init.orthogonal_(value)
    return state


def _zeros(settings: Settings, classes: int) -> Iterator[tuple[str, Tensor]]:
    channels = settings.channels
    yield "embedding.weight", torch.zeros(classes, settings.embedding)
    yield "linear.weight", torch.zeros(16 * channels[0], settings.chunk)
    yield "linear.bias", torch.zeros(16 * channels[0])
    for i, (inputs, outputs) in enumerate(pairwise(channels)):
        block = f"blocks.{i}"
        for norm, size in (("norm1", inputs), ("norm2", outputs)):
            for part in ("gain", "bias"):
                shape = size, settings.chunk + settings.embedding
                yield f"{block}.{norm}.{part}.weight", torch.zeros(shape)
            for part in ("mean", "variance"):
                yield f"{block}.{norm}.{part}", torch.zeros(1, size)
        yield from _convolution(f"{block}.conv1", inputs, outputs, 3)
        yield from _convolution(f"{block}.conv2", outputs, outputs, 3)
        yield from _convolution(f"{block}.shortcut", inputs, outputs, 1)
    for part in ("gain", "bias"):
        yield f"output_norm.{part}", torch.zeros(channels[-1])
    for part in ("mean", "variance"):
        yield f"output_norm.{part}", torch.zeros(1, channels[-1])
    yield from _convolution("output", channels[-1], 3, 3)


def _convolution(name: str, inputs: int, outputs: int, side: int) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", torch.zeros(outputs, inputs, side, side)
    yield f"{name}.bias", torch.zeros(outputs)
