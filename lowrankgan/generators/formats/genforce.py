"""StyleGAN2 of genforce/genforce, and of Hammer and ReSeFa, which look alike and differ inside.

| | genforce | Hammer, ReSeFa |
|---|---|---|
| average of w | `truncation.w_avg` | `w_avg` |
| filter | `filter.kernel`, times 4 | `filter`, of sum 1 |
| convolutions that double the size | turned round | as NVlabs |
| bias of the modulation | without its 1 | with its 1 |
| label | `label_weight`, normalised with z, or `LabelEmbed` by itself | `embedding` by itself |
| settings | nowhere | `model_kwargs_init`, but not in a bare state dict |
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.state_dict import positive, take, unwrapped
from lowrankgan.generators.formats.stylegan2_layout import (
    Layer,
    dense_layers,
    layers_of,
    plain_embedding,
    refuse_other,
)

DEFAULTS: dict[str, Any] = {"lr_multiplier": 0.01, "conv_clamp": None}
"""Learning rate multiplier of the mapping network; bound of activations (Hammer only)."""
_EMBEDDINGS = ("embedding", "LabelEmbed")
# Arguments of Hammer's generator that may have just one value here; "gian" is its spelling.
_ONLY = {
    "final_tanh": False,
    "const_input": True,
    "demodulate": True,
    "use_wscale": True,
    "wscale_gain": 1.0,
    "lr_mul": 1.0,
    "normalize_z": True,
    "mapping_use_wscale": True,
    "mapping_wscale_gain": 1.0,
    "embedding_use_wscale": True,
    "embedding_wscale_gian": 1.0,
    "embedding_lr_mul": 1.0,
    "normalize_embedding": True,
    "eps": 1e-8,
}


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    return "synthesis.layer0.style.weight" in unwrapped(content)


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The smoothed generator, else the generator, else a bare state dict.

    Raises:
        LowRankGANError: a tensor is missing or has another shape, or the file tells of a setting
            that no StyleGAN2 here has.
    """
    source = unwrapped(content)
    hammer = "truncation.w_avg" not in source and "mapping.label_weight" not in source
    told = _told(content)
    refuse_other(told, _ONLY)
    found = {"lr_multiplier": told.get("mapping_lr_mul"), "conv_clamp": told.get("conv_clamp")}
    chosen = DEFAULTS | {k: v for k, v in found.items() if v is not None} | dict(options)
    clamp = None if chosen["conv_clamp"] is None else positive("conv_clamp", chosen["conv_clamp"])
    settings = {
        "architecture": _architecture(source),
        "lr_multiplier": positive("lr_multiplier", chosen["lr_multiplier"]),
        "conv_clamp": clamp,
        "joint_normalization": "mapping.label_weight" in source,
    }
    state = dense_layers(source, "mapping.dense") | _embedding(source) | _synthesis(source, hammer)
    state["mapping.w_avg"] = take(source, "w_avg" if hammer else "truncation.w_avg", -1)
    silent = [] if told else list(DEFAULTS) if hammer else ["lr_multiplier"]
    assumed = [f"{name} is {settings[name]}, which the file does not tell" for name in silent]
    name = "Hammer or ReSeFa checkpoint" if hammer else "genforce checkpoint"
    return Checkpoint("stylegan2", settings, state, name, tuple(assumed))


def _told(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments that Hammer saves of the generator's constructor; empty where it did not."""
    models = content.get("model_kwargs_init")
    for name in ("generator_smooth", "generator"):
        if isinstance(models, Mapping) and isinstance(models.get(name), Mapping):
            return models[name]
    return {}


def _architecture(source: Mapping[str, Any]) -> str:
    if "synthesis.output0.weight" in source:
        return "skip"
    return "resnet" if "synthesis.residual1.weight" in source else "orig"


def _embedding(source: Mapping[str, Any]) -> dict[str, Tensor]:
    for name in _EMBEDDINGS:
        if f"mapping.{name}.weight" in source:
            weight = take(source, f"mapping.{name}.weight", -1, -1)
            bias = source.get(f"mapping.{name}.bias", torch.zeros(len(weight)))
            return {"mapping.embed.weight": weight, "mapping.embed.bias": bias}
    if "mapping.label_weight" in source:
        return plain_embedding(take(source, "mapping.label_weight", -1, -1))
    return {}


def _synthesis(source: Mapping[str, Any], hammer: bool) -> dict[str, Tensor]:
    if "synthesis.early_layer.const" not in source:
        raise LowRankGANError(
            "synthesis.early_layer.const is missing, expected StyleGAN2 with a constant input, "
            "not the first StyleGAN"
        )
    state = {"synthesis.b4.const": take(source, "synthesis.early_layer.const", 1, -1, 4, 4)[0]}
    count = sum(
        key.startswith("synthesis.layer") and key.endswith(".style.weight") for key in source
    )
    for layer in layers_of(4 << (count // 2)):
        name = f"synthesis.{'layer' if layer.is_convolution else 'output'}{layer.index}"
        if not layer.is_convolution and f"{name}.weight" not in source:
            continue  # only skip networks have one at every resolution
        weight = take(source, f"{name}.weight", -1, -1, -1, -1)
        doubles = layer.kind == "conv0"
        state |= {
            f"{layer.name}.weight": weight if hammer or not doubles else weight.flip((2, 3)),
            f"{layer.name}.bias": take(source, f"{name}.bias", -1),
            f"{layer.name}.affine.weight": take(source, f"{name}.style.weight", -1, -1),
            f"{layer.name}.affine.bias": take(source, f"{name}.style.bias", -1)
            + (0 if hammer else 1),
        }
        if f"{name}.noise" in source:
            noise = take(source, f"{name}.noise", 1, 1, layer.size, layer.size)
            state[f"{layer.name}.noise_const"] = noise[0, 0]
            state[f"{layer.name}.noise_strength"] = take(source, f"{name}.noise_strength")
        if doubles:
            state |= _block(source, layer, name, hammer)
    return state


def _block(source: Mapping[str, Any], layer: Layer, name: str, hammer: bool) -> dict[str, Tensor]:
    """What belongs to a whole resolution: its filter, and the skip of a residual network."""
    if hammer:
        kernel = take(source, f"{name}.filter", -1, -1)
    else:
        kernel = take(source, f"{name}.filter.kernel", 1, 1, -1, -1)[0, 0] / 4
    block = f"synthesis.b{layer.size}"
    found = {f"{layer.name}.resample_filter": kernel, f"{block}.resample_filter": kernel}
    residual = f"synthesis.residual{layer.size.bit_length() - 3}.weight"
    if residual in source:
        found[f"{block}.skip.weight"] = take(source, residual, -1, -1, 1, 1)
    return found
