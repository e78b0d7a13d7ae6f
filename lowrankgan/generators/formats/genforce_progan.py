"""ProGAN of genforce/genforce and of Hammer, and of InterFaceGAN before them.

| | genforce, Hammer | InterFaceGAN |
|---|---|---|
| layers | `layer{0, 1, ...}.{weight, bias}` | `layer{1, 2, ...}.{conv.weight, wscale.bias}` |
| outputs | `output{0, 1, ...}.*`, one a resolution | `output_{size}x{size}.*`, the last |
| level of detail | `lod` | none |
| `final_tanh` there is | `final: tanh` here | `final: hardtanh` |
| where a label joins z | `z_gain: null` here; Hammer `z_gain: 1` | no labels |
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.state_dict import take, unwrapped

# The first three are settings of the generator; num_classes is label_size or label_dim there.
# fused_scale null is what the shapes tell, which they do where a resolution has another width
# than the one before.
DEFAULTS: dict[str, Any] = {
    "final": "linear",
    "num_classes": 0,
    "z_gain": None,
    "use_wscale": True,
    "fused_scale": None,
}


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    names = unwrapped(content).keys()
    return {"layer0.weight", "layer1.weight", "output0.weight"} <= names or (
        {"layer1.conv.weight", "layer1.wscale.bias"} <= names
    )


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The smoothed generator, else the generator, else a bare state dict.

    Raises:
        LowRankGANError: a tensor is missing or has another shape, or an option is malformed.
    """
    found = unwrapped(content)
    source = _renamed(found) if "layer1.conv.weight" in found else found
    chosen = {**DEFAULTS, **options}
    count = 1 + _last(source, r"layer(\d+)\.") // 2
    told = _fused_by_shape(source, count)
    if chosen["fused_scale"] is None:
        chosen["fused_scale"] = bool(told)
    for name in ("use_wscale", "fused_scale"):
        if not isinstance(chosen[name], bool):
            raise LowRankGANError(f"{name} is {chosen[name]!r}, expected true or false")
    state = _layers(source, count, chosen["fused_scale"], chosen["use_wscale"])
    state |= _outputs(source, count, chosen["use_wscale"])
    settings = {
        "lod": float(take(source, "lod")) if "lod" in source else 0.0,
        **{name: chosen[name] for name in ("final", "num_classes", "z_gain")},
    }
    open_questions = ["final", "num_classes", "use_wscale"]
    open_questions += ["fused_scale"] if told is None else []
    open_questions += ["z_gain"] if chosen["num_classes"] else []
    assumed = tuple(
        f"{name} is {chosen[name]}, which the file does not tell"
        for name in open_questions
        if name not in options
    )
    return Checkpoint("progan", settings, state, "genforce checkpoint of ProGAN", assumed)


def _renamed(source: Mapping[str, Any]) -> dict[str, Any]:
    """InterFaceGAN's names as genforce's."""
    depth = _last(source, r"layer(\d+)\.")
    names = {f"layer{i + 1}": f"layer{i}" for i in range(depth)}
    parts = {".conv.weight": ".weight", ".wscale.bias": ".bias"}
    renamed: dict[str, Any] = {}
    for key, value in source.items():
        name, _, part = key.partition(".")
        if re.fullmatch(r"output_\d+x\d+", name):
            name = f"output{depth // 2 - 1}"
        renamed[names.get(name, name) + parts.get(f".{part}", f".{part}")] = value
    return renamed


def _last(source: Mapping[str, Any], name: str) -> int:
    """The largest index in the names that match.

    Raises:
        LowRankGANError: it is beyond what so many names could count.
    """
    last = max(int(found[1]) for key in source if (found := re.match(name, key)))
    if last > len(source):
        raise LowRankGANError(f"layer {last} is named, but there are only {len(source)} tensors")
    return last


def _fused_by_shape(source: Mapping[str, Any], count: int) -> bool | None:
    """Whether layers that double the size are stored transposed; None if all widths are equal."""
    for block in range(1, count):
        before, inside = (take(source, f"layer{2 * block + i}.bias", -1) for i in (-1, 1))
        if len(before) != len(inside):
            weight = take(source, f"layer{2 * block}.weight", -1, -1, 3, 3)
            return weight.shape[0] == len(before)
    return None


def _layers(
    source: Mapping[str, Any], count: int, fused: bool, use_wscale: bool
) -> dict[str, Tensor]:
    """Layers with their learning rate equalised, as convolutions of the enlarged image."""
    state = {}
    for index in range(2 * count):
        weight = take(source, f"layer{index}.weight", -1, -1, -1, -1)
        if fused and index and index % 2 == 0:
            weight = weight.transpose(0, 1).flip((2, 3)).contiguous()
        gain = (2 / weight[0].numel()) ** 0.5 if use_wscale else 1.0
        state[f"layers.{index}.weight"] = weight * gain
        state[f"layers.{index}.bias"] = take(source, f"layer{index}.bias", len(weight))
    return state


def _outputs(source: Mapping[str, Any], count: int, use_wscale: bool) -> dict[str, Tensor]:
    """Output layers with their learning rate equalised."""
    state = {}
    for index in range(count):
        if f"output{index}.weight" in source:
            weight = take(source, f"output{index}.weight", -1, -1, 1, 1)
            gain = weight.shape[1] ** -0.5 if use_wscale else 1.0
            state[f"outputs.{index}.weight"] = weight * gain
            state[f"outputs.{index}.bias"] = take(source, f"output{index}.bias", len(weight))
    return state
