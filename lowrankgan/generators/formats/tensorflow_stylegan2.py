"""StyleGAN2 as its TensorFlow code pickles it: the tuple (G, D, Gs) of network records, or Gs.

Convolutions are stored H x W x I x O, those that double the size turned round; dense layers are
transposed; the 1 of the modulation's bias is not stored, nor is the filter.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.state_dict import positive, take
from lowrankgan.generators.formats.stylegan2_layout import (
    MOST_TAPS,
    dense_layers,
    layers_of,
    plain_embedding,
    refuse_other,
)
from lowrankgan.generators.readers.content import Record

DEFAULTS: dict[str, Any] = {}
_MIN_VERSION = 4
_SOURCES = {"conv": "Conv", "conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB"}
_GROWN = "ToRGB_lod0"  # the output layer of configurations B to D, which grow and have no skips
_KERNEL = (1, 3, 3, 1)
# Arguments of the official code that may have just one value here.
_ONLY = {"mapping_nonlinearity": "lrelu", "nonlinearity": "lrelu", "normalize_latents": True}


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    return _network(content) is not None


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The exponential moving average Gs.

    Raises:
        LowRankGANError: the file is of an older version, a variable is missing, or the network
            is not StyleGAN2.
    """
    network = _network(content)
    assert network is not None  # as `recognises` has seen
    version = network.get("version")
    if not isinstance(version, int) or version < _MIN_VERSION:
        raise LowRankGANError(
            f"version is {str(version)[:40]!r}, expected at least {_MIN_VERSION}: a pickle of "
            "StyleGAN2, not of the first StyleGAN or ProGAN"
        )
    given = network.get("static_kwargs")
    arguments = given if isinstance(given, Mapping) else {}
    refuse_other(arguments, _ONLY)
    variables = _variables(network)
    grown = f"synthesis/{_GROWN}/weight" in variables
    if grown and take(variables, "synthesis/lod").item() > 0:
        raise LowRankGANError("synthesis/lod is above 0, expected a network that has grown up")
    clamp = arguments.get("conv_clamp")
    settings = {
        "architecture": "orig" if grown else arguments.get("architecture", "skip"),
        "lr_multiplier": positive("mapping_lrmul", arguments.get("mapping_lrmul", 0.01)),
        "conv_clamp": None if clamp is None else positive("conv_clamp", clamp),
        "joint_normalization": "mapping/LabelConcat/weight" in variables,
    }
    noisy = arguments.get("use_noise", True) is not False
    state = _mapping(variables) | _synthesis(variables, _filter(arguments), noisy)
    if _kept(arguments.get("label_size"), int) and "mapping.embed.weight" not in state:
        raise LowRankGANError(
            "mapping/LabelEmbed/weight is missing, expected it as label_size is not 0"
        )
    assumed: tuple[str, ...] = ()
    if not isinstance(content, tuple | list) and not str(network.get("name")).startswith("Gs"):
        assumed = ("the file has one network alone, which is taken for the average of the weights",)
    return Checkpoint("stylegan2", settings, state, "TensorFlow pickle", assumed)


def _network(content: Any) -> Mapping[str, Any] | None:
    """Gs, in its tuple or by itself."""
    if isinstance(content, tuple | list) and len(content) == 3:
        content = content[2]
    return content.state if isinstance(content, Record) and content.name == "Network" else None


def _filter(arguments: Mapping[str, Any]) -> Tensor:
    """The low-pass filter [k, k] of sum 1 of `resample_kernel`, None being a box."""
    taps = arguments.get("resample_kernel", _KERNEL)
    taps = (1, 1) if taps is None else taps
    try:
        if len(taps) > MOST_TAPS:
            raise ValueError
        kernel = torch.tensor([float(tap) for tap in taps])
        kernel = kernel.outer(kernel)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise LowRankGANError(
            f"resample_kernel is {str(taps)[:40]!r}, expected a list of {MOST_TAPS} numbers at most"
        ) from error
    return kernel / kernel.sum()


def _variables(network: Mapping[str, Any]) -> dict[str, Tensor]:
    """Variables of a network and of its components, by their path."""
    found = {}
    for pair in _kept(network.get("variables"), list):
        name, value = pair if isinstance(pair, tuple | list) and len(pair) == 2 else ("", None)
        if isinstance(value, np.ndarray | float | int) and np.asarray(value).dtype.kind in "fiu":
            found[str(name)] = torch.from_numpy(np.array(value, dtype=np.float32))
    for name, component in _kept(network.get("components"), dict).items():
        if isinstance(component, Record):
            found |= {f"{name}/{key}": v for key, v in _variables(component.state).items()}
    return found


def _kept(value: Any, kind: type[Any]) -> Any:
    return value if isinstance(value, kind) else kind()


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


def _synthesis(variables: Mapping[str, Tensor], filter: Tensor, noisy: bool) -> dict[str, Tensor]:
    def get(name: str, *shape: int) -> Tensor:
        return take(variables, f"synthesis/{name}", *shape)

    resolution = 4
    while f"synthesis/{2 * resolution}x{2 * resolution}/Conv0_up/weight" in variables:
        resolution *= 2
    state = {"synthesis.b4.const": get("4x4/Const/const", 1, -1, 4, 4)[0]}
    for layer in layers_of(resolution):
        side = f"{layer.size}x{layer.size}"
        first = layer.size == 4 and layer.is_convolution
        source = f"{side}/{_SOURCES['conv' if first else layer.kind]}"
        if layer.kind == "torgb" and f"synthesis/{source}/weight" not in variables:
            if layer.size < resolution:
                continue  # only skip networks have one at every resolution
            source = _GROWN if f"synthesis/{_GROWN}/weight" in variables else source
        doubles = layer.kind == "conv0"
        weight = get(f"{source}/weight", -1, -1, -1, -1)
        state |= {
            f"{layer.name}.weight": _convolution(weight, turned=doubles),
            f"{layer.name}.bias": get(f"{source}/bias", -1),
            f"{layer.name}.affine.weight": get(f"{source}/mod_weight", -1, -1).T,
            f"{layer.name}.affine.bias": get(f"{source}/mod_bias", -1) + 1,
        }
        if noisy and layer.is_convolution:
            stored = get(f"noise{layer.index}", 1, 1, layer.size, layer.size)
            state[f"{layer.name}.noise_const"] = stored[0, 0]
            state[f"{layer.name}.noise_strength"] = get(f"{source}/noise_strength")
        if doubles:
            block = f"synthesis.b{layer.size}"
            state |= {f"{name}.resample_filter": filter for name in (layer.name, block)}
            if f"synthesis/{side}/Skip/weight" in variables:
                skip = get(f"{side}/Skip/weight", 1, 1, -1, -1)
                state[f"{block}.skip.weight"] = _convolution(skip, turned=True)
    return state


def _convolution(weight: Tensor, turned: bool) -> Tensor:
    """H x W x I x O to O x I x H x W."""
    return (weight.flip((0, 1)) if turned else weight).permute(3, 2, 0, 1)
