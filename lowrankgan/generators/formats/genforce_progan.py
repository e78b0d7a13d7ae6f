"""ProGAN of genforce/genforce, of Hammer, and of InterFaceGAN before them.

| | genforce, Hammer | InterFaceGAN |
|---|---|---|
| layers | `layer{0, 1, ...}.{weight, bias}` | `layer{1, 2, ...}.{conv.weight, wscale.bias}` |
| output | `output{0, 1, ...}.*`, one a resolution | `output_{size}x{size}.*`, the last |
| level of detail | `lod` | none |
| `final_tanh` | a hyperbolic tangent | a hard one |
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.state_dict import take

# As the repositories' own arguments of these names. Without label_size there are no classes.
# fused_scale None looks at the shapes, which tell it where a layer's widths differ. latent_gain
# is the factor of the normalised z where a label joins it: None is genforce's, the square root
# of its size, and Hammer has 1.
DEFAULTS: dict[str, Any] = {
    "final_tanh": False,
    "use_wscale": True,
    "fused_scale": None,
    "label_size": 0,
    "latent_gain": None,
}
_WRAPPERS = ("models", "generator_smooth", "generator", "state")


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    state = _state(content)
    return {"layer0.weight", "layer1.weight", "output0.weight"} <= state.keys() or (
        {"layer1.conv.weight", "layer1.wscale.bias"} <= state.keys()
    )


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The smoothed generator, else the generator, else a bare state dict.

    Raises:
        LowRankGANError: a tensor is missing or has another shape, or an option is malformed.
    """
    found = _state(content)
    old = "layer1.conv.weight" in found
    source = _renamed(found) if old else found
    chosen = _checked({**DEFAULTS, **options})
    count = sum(re.fullmatch(r"layer\d+\.weight", key) is not None for key in source) // 2
    fused = _is_fused(source, count, chosen["fused_scale"])
    state: dict[str, Tensor] = {}
    for index in range(2 * count):
        doubles = index > 0 and index % 2 == 0
        weight = take(source, f"layer{index}.weight", -1, -1, -1, -1)
        if doubles and fused:
            weight = weight.transpose(0, 1).flip((2, 3))
        state[f"layers.{index}.weight"] = _scaled(weight, 2.0, chosen["use_wscale"])
        state[f"layers.{index}.bias"] = take(source, f"layer{index}.bias", -1)
    for index in range(count):
        if f"output{index}.weight" in source:
            weight = _scaled(
                take(source, f"output{index}.weight", -1, -1, 1, 1), 1.0, chosen["use_wscale"]
            )
            bias = take(source, f"output{index}.bias", len(weight))
            grey = 3 if len(weight) == 1 else 1
            state[f"outputs.{index}.weight"] = weight.repeat(grey, 1, 1, 1)
            state[f"outputs.{index}.bias"] = bias.repeat(grey)
    settings = {
        "num_classes": chosen["label_size"],
        "z_norm": _z_norm(state, chosen),
        "lod": float(take(source, "lod")) if "lod" in source else 0.0,
        "final": ("hardtanh" if old else "tanh") if chosen["final_tanh"] else "linear",
    }
    chosen["fused_scale"] = fused
    told = _told(source, count)
    assumed = tuple(
        f"{name} is {chosen[name]}, which the file does not tell"
        for name in ("final_tanh", "use_wscale", "fused_scale", "label_size")
        if name not in options and not (name == "fused_scale" and told is not None)
    )
    title = "InterFaceGAN checkpoint of ProGAN" if old else "genforce checkpoint of ProGAN"
    return Checkpoint("progan", settings, state, title, assumed)
