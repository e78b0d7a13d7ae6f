"""StyleGAN2 as NVlabs pickles it (stylegan2-ada-pytorch, the stylegan3 repository, and forks).

Everything is in the file: tensors have the canonical names, and each module's attributes tell
what shapes do not. Defaults differ between the repositories, so they are never consulted. Half
precision is a setting of theirs for speed; weights are float32, and are run so.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.nvlabs import synthesis_has, take_apart
from lowrankgan.generators.formats.state_dict import positive
from lowrankgan.generators.formats.stylegan2_layout import AVERAGED, MOST_TAPS, average_w

DEFAULTS: dict[str, Any] = {}
_NOISE = (".noise_const", ".noise_strength")
_SYNTHESIS = (
    r"b4\.const"
    r"|b\d+\.((conv[01]\.|skip\.)?resample_filter|skip\.weight)"
    r"|b\d+\.(torgb|conv[01])\.(weight|bias|affine\.(weight|bias))"
    r"|b\d+\.conv[01]\.noise_(const|strength)"
)


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    return synthesis_has(content, "b4")


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The exponential moving average of the generator.

    Raises:
        LowRankGANError: a tensor or attribute is missing, or the network is a variant that no
            official code makes.
    """
    state, attributes = take_apart(content, _SYNTHESIS, "StyleGAN2")
    layers = {
        name: values
        for name, values in attributes.items()
        if name.startswith("synthesis.b") and name.endswith((".conv0", ".conv1"))
    }
    for name, values in [*layers.items(), *_mapping_layers(attributes).items()]:
        activation = _plain("activation", values.get("activation", "lrelu"))
        if activation != "lrelu":
            raise LowRankGANError(f"{name}.activation: {activation!r}, expected 'lrelu'")
    for name, values in layers.items():
        if not _plain("use_noise", values.get("use_noise", True)):
            state = {key: t for key, t in state.items() if not _is_noise(key, name)}
    rgb = {k: v for k, v in attributes.items() if k.endswith(".torgb")}
    blocks = [v for k, v in attributes.items() if k.count(".") == 1 and k.startswith("synthesis.b")]
    gain = _common(_mapping_layers(attributes).values(), "bias_gain", 0.01)
    settings = {
        "architecture": _common(blocks, "architecture", "skip"),
        "lr_multiplier": positive("bias_gain", gain),
        "conv_clamp": _common([*layers.values(), *rgb.values()], "conv_clamp", None),
    }
    state = {key: _regular(key, value) for key, value in state.items()}
    assumed: tuple[str, ...] = ()
    if "mapping.w_avg" not in state:
        state["mapping.w_avg"] = average_w(state, settings["lr_multiplier"])
        assumed = (AVERAGED,)
    return Checkpoint("stylegan2", settings, state, "NVlabs pickle of StyleGAN2", assumed)


def _mapping_layers(
    attributes: Mapping[str, Mapping[str, Any]],
) -> dict[str, Mapping[str, Any]]:
    return {name: values for name, values in attributes.items() if name.startswith("mapping.fc")}


def _common(modules: Iterable[Mapping[str, Any]], name: str, missing: Any) -> Any:
    """The value of an attribute that all modules share, as a plain one."""
    values = {_plain(name, module.get(name, missing)) for module in modules}
    if len(values) != 1:
        raise LowRankGANError(f"{name}: layers differ in it ({values}), expected one value")
    return values.pop()


def _plain(name: str, value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise LowRankGANError(f"{name}: expected a number, got {type(value).__name__}") from error
    if not math.isfinite(number):
        raise LowRankGANError(f"{name}: {number}, expected a finite number")
    return number


def _is_noise(key: str, layer: str) -> bool:
    return key.startswith(f"{layer}.") and key.endswith(_NOISE)


def _regular(key: str, value: Tensor) -> Tensor:
    """Filters, which are 1-D if they are long, as squares."""
    if key.endswith(".resample_filter") and value.ndim == 1:
        if len(value) > MOST_TAPS:
            raise LowRankGANError(f"{key} has {len(value)} taps, expected {MOST_TAPS} at most")
        return value.outer(value)
    return value
