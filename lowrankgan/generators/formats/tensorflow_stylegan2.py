"""StyleGAN2 as its TensorFlow code pickles it: the tuple (G, D, Gs) of network records.

Convolutions are stored H x W x I x O, those that double the size turned round; dense layers are
transposed; the 1 of the modulation's bias is not stored.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.state_dict import take
from lowrankgan.generators.formats.stylegan2_layout import (
    blur_filter,
    dense_layers,
    layers_of,
    plain_embedding,
)
from lowrankgan.generators.readers.content import Record

DEFAULTS: dict[str, Any] = {}
_MIN_VERSION = 4
_SOURCES = {"conv": "Conv", "conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB"}
_FILTER = blur_filter(torch.tensor([1.0, 3.0, 3.0, 1.0]))  # the official code stores none
# Settings of the official code that may have just one value here.
_FIXED = {
    "mapping_nonlinearity": "lrelu",
    "nonlinearity": "lrelu",
    "normalize_latents": True,
    "resample_kernel": [1, 3, 3, 1],
}


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    return (
        isinstance(content, tuple | list)
        and len(content) == 3
        and isinstance(content[2], Record)
        and content[2].name == "Network"
    )


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The exponential moving average Gs.

    Raises:
        LowRankGANError: the file is of an older version, a variable is missing, or the network
            is not StyleGAN2.
    """
    network = content[2].state
    version = network.get("version")
    if not isinstance(version, int) or version < _MIN_VERSION:
        raise LowRankGANError(
            f"version is {version!r}, expected at least {_MIN_VERSION}: a pickle of StyleGAN2, "
            "not of the first StyleGAN or ProGAN"
        )
    arguments = network.get("static_kwargs") or {}
    for name, value in _FIXED.items():
        if arguments.get(name, value) != value:
            raise LowRankGANError(f"{name}: {arguments[name]!r}, expected {value!r}")
    variables = _variables(network)
    state = _mapping(variables) | _synthesis(variables, arguments.get("use_noise", True))
    clamp = arguments.get("conv_clamp")
    settings = {
        "architecture": arguments.get("architecture", "skip"),
        "lr_multiplier": float(arguments.get("mapping_lrmul", 0.01)),
        "conv_clamp": None if clamp is None else float(clamp),
        "joint_normalization": "mapping/LabelConcat/weight" in variables,
    }
    return Checkpoint("stylegan2", settings, state, "TensorFlow pickle")


def _variables(network: Mapping[str, Any]) -> dict[str, Tensor]:
    """Variables of a network and of its components, by their path."""
    found = {}
    for name, value in network.get("variables") or ():
        if isinstance(value, np.ndarray | float | int):
            found[str(name)] = torch.from_numpy(np.array(value, dtype=np.float32))
    for name, component in (network.get("components") or {}).items():
        if isinstance(component, Record):
            found |= {f"{name}/{key}": v for key, v in _variables(component.state).items()}
    return found


def _mapping(variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {
        key.removeprefix("mapping/").replace("/", "."): value.T if value.ndim == 2 else value
        for key, value in variables.items()
        if key.startswith("mapping/Dense")
    }
    state = dense_layers(renamed, "Dense")
    state["mapping.w_avg"] = take(variables, "dlatent_avg", -1)
    if "mapping/LabelEmbed/weight" in variables:
        state["mapping.embed.weight"] = variables["mapping/LabelEmbed/weight"].T
        state["mapping.embed.bias"] = take(variables, "mapping/LabelEmbed/bias", -1)
    elif "mapping/LabelConcat/weight" in variables:
        state |= plain_embedding(take(variables, "mapping/LabelConcat/weight", -1, -1))
    return state


def _synthesis(variables: Mapping[str, Tensor], noise: bool) -> dict[str, Tensor]:
    def get(name: str, *shape: int) -> Tensor:
        return take(variables, f"synthesis/{name}", *shape)

    resolution = 4
    while f"synthesis/{2 * resolution}x{2 * resolution}/Conv0_up/weight" in variables:
        resolution *= 2
    state = {"synthesis.b4.const": get("4x4/Const/const", 1, -1, 4, 4)[0]}
    for layer in layers_of(resolution):
        side = f"{layer.size}x{layer.size}"
        source = (
            f"{side}/{_SOURCES['conv' if layer.size == 4 and layer.is_convolution else layer.kind]}"
        )
        if layer.kind == "torgb" and f"synthesis/{source}/weight" not in variables:
            continue  # the resnet and orig architectures have only the last
        doubles = layer.kind == "conv0"
        weight = get(f"{source}/weight", -1, -1, -1, -1)
        state |= {
            f"{layer.name}.weight": _convolution(weight, turned=doubles),
            f"{layer.name}.bias": get(f"{source}/bias", -1),
            f"{layer.name}.affine.weight": get(f"{source}/mod_weight", -1, -1).T,
            f"{layer.name}.affine.bias": get(f"{source}/mod_bias", -1) + 1,
        }
        if noise and layer.is_convolution:
            stored = get(f"noise{layer.index}", 1, 1, layer.size, layer.size)
            state[f"{layer.name}.noise_const"] = stored[0, 0]
            state[f"{layer.name}.noise_strength"] = get(f"{source}/noise_strength")
        if doubles:
            block = f"synthesis.b{layer.size}"
            state |= {f"{name}.resample_filter": _FILTER for name in (layer.name, block)}
            if f"synthesis/{side}/Skip/weight" in variables:
                skip = get(f"{side}/Skip/weight", 1, 1, -1, -1)
                state[f"{block}.skip.weight"] = _convolution(skip, turned=True)
    return state


def _convolution(weight: Tensor, turned: bool) -> Tensor:
    """H x W x I x O to O x I x H x W."""
    return (weight.flip((0, 1)) if turned else weight).permute(3, 2, 0, 1)
