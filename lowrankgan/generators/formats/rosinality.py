"""StyleGAN2 of rosinality/stylegan2-pytorch: `g_ema` of converted and of training checkpoints.

Filters are stored times the square of the up-sampling, the modulation's bias with its 1, and the
convolutions that double the size as NVlabs has them. Training checkpoints have no `latent_avg`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.state_dict import positive, take, unwrapped
from lowrankgan.generators.formats.stylegan2_layout import (
    AVERAGED,
    Layer,
    average_w,
    dense_layers,
    layers_of,
)

DEFAULTS: dict[str, Any] = {"lr_multiplier": 0.01}
"""`lr_mlp` of its command line, which scales the mapping network."""
_MAX_RESOLUTION = 2048  # for which noise is drawn, lest a file ask for more than memory holds


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    return "convs.0.conv.modulation.weight" in unwrapped(content)


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The exponential moving average of the generator, or a bare state dict.

    Raises:
        LowRankGANError: a tensor is missing or has another shape.
    """
    source = unwrapped(content)
    lr_multiplier = positive("lr_multiplier", {**DEFAULTS, **options}["lr_multiplier"])
    noises = _noises(source)
    state = dense_layers(source, "style.", first=1) | _synthesis({**noises, **source})
    assumed = [f"lr_multiplier is {lr_multiplier}, which the file does not tell"]
    if isinstance(content.get("latent_avg"), Tensor):
        state["mapping.w_avg"] = take(content, "latent_avg", -1)
    else:
        state["mapping.w_avg"] = average_w(state, lr_multiplier)
        assumed.append(AVERAGED)
    if noises:
        assumed.append("the file has no stored noise; it is seeded")
    settings = {"lr_multiplier": lr_multiplier}
    return Checkpoint("stylegan2", settings, state, "rosinality checkpoint", tuple(assumed))


def _resolution(source: Mapping[str, Any]) -> int:
    count = sum(key.startswith("convs.") and key.endswith("conv.weight") for key in source)
    return 4 << (count // 2)


def _noises(source: Mapping[str, Any]) -> dict[str, Tensor]:
    """Noise for checkpoints of before the code stored any; empty where it is stored."""
    if "noises.noise_0" in source or _resolution(source) > _MAX_RESOLUTION:
        return {}
    seeded = torch.Generator().manual_seed(0)
    return {
        f"noises.noise_{layer.index}": torch.randn(1, 1, layer.size, layer.size, generator=seeded)
        for layer in layers_of(_resolution(source))
        if layer.is_convolution
    }


def _synthesis(source: Mapping[str, Any]) -> dict[str, Tensor]:
    state = {"synthesis.b4.const": take(source, "input.input", 1, -1, 4, 4)[0]}
    for layer in layers_of(_resolution(source)):
        state |= _output(source, layer) if layer.kind == "torgb" else _convolution(source, layer)
    return state


def _convolution(source: Mapping[str, Any], layer: Layer) -> dict[str, Tensor]:
    name = f"convs.{layer.index - 1}" if layer.index else "conv1"
    noise = take(source, f"noises.noise_{layer.index}", 1, 1, layer.size, layer.size)
    found = {
        f"{layer.name}.bias": take(source, f"{name}.activate.bias", -1),
        f"{layer.name}.noise_const": noise[0, 0],
        f"{layer.name}.noise_strength": take(source, f"{name}.noise.weight", 1)[0],
    }
    if layer.kind == "conv0":
        kernel = take(source, f"{name}.conv.blur.kernel", -1, -1) / 4
        found[f"{layer.name}.resample_filter"] = kernel
        found[f"synthesis.b{layer.size}.resample_filter"] = kernel
    return found | _modulated(source, layer, name)


def _output(source: Mapping[str, Any], layer: Layer) -> dict[str, Tensor]:
    name = f"to_rgbs.{layer.index - 1}" if layer.index else "to_rgb1"
    bias = take(source, f"{name}.bias", 1, -1, 1, 1).flatten()
    return {f"{layer.name}.bias": bias} | _modulated(source, layer, name)


def _modulated(source: Mapping[str, Any], layer: Layer, name: str) -> dict[str, Tensor]:
    return {
        f"{layer.name}.weight": take(source, f"{name}.conv.weight", 1, -1, -1, -1, -1)[0],
        f"{layer.name}.affine.weight": take(source, f"{name}.conv.modulation.weight", -1, -1),
        f"{layer.name}.affine.bias": take(source, f"{name}.conv.modulation.bias", -1),
    }
