"""BigGAN-deep of pytorch-pretrained-biggan: `config.json` and `pytorch_model.bin`, or just that.

Keys are `embeddings.weight`, `generator.gen_z.*`, `generator.layers.{i}.*` (blocks, and attention
among them), `generator.bn.*` and `generator.conv_to_rgb.*`. Spectral normalisation divides
`weight_orig` by u^T W v with the stored `weight_u` and `weight_v`; a file saved without it has
`weight`. The config tells which blocks double the resolution, and epsilon; `DEFAULTS` stands in
for it: every second block, as in all the published models, and their epsilon.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.state_dict import positive, take

# As in config.json: epsilon of the batch norms; of each block [doubles, inputs, outputs].
DEFAULTS: dict[str, Any] = {"eps": 1e-4, "layers": None}

_LAYERS = "generator.layers"


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    _, state = _parts(content)
    keys = ("embeddings.weight", "generator.gen_z.bias", "generator.conv_to_rgb.bias")
    return all(key in state for key in keys)


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The generator with spectral normalisation applied.

    Raises:
        LowRankGANError: weights are missing or of a wrong shape, or the config is not theirs.
    """
    config, source = _parts(content)
    chosen = {**DEFAULTS, **config, **options}
    eps = positive("eps", chosen["eps"])
    count = len({key.split(".")[2] for key in source if key.startswith(f"{_LAYERS}.")})
    attentions = [i for i in range(count) if _has(source, f"{_LAYERS}.{i}.snconv1x1_")]
    blocks = [i for i in range(count) if i not in attentions]
    if not blocks:
        raise LowRankGANError(
            f"{_LAYERS}.{count} is missing, expected a block; is the file complete?"
        )
    state = {"embedding.weight": take(source, "embeddings.weight", -1, -1).T.contiguous()}
    for target, index in enumerate(blocks):
        state |= _block(source, f"{_LAYERS}.{index}", f"blocks.{target}", eps)
    for before, index in enumerate(attentions):
        state |= _attention(source, f"{_LAYERS}.{index}", f"attentions.{index - before}")
    state |= _ends(source, state["blocks.0.norm1.mean"].shape[1], eps)
    upsampling = [index % 2 == 1 for index in range(len(blocks))]
    if chosen["layers"] is not None:
        upsampling = _upsampling(chosen["layers"], state)
    if "attention_layer_position" in config:
        _check_attention(config["attention_layer_position"], attentions, len(blocks))
    assumed = tuple(
        f"{key} is {value}, which the file does not tell"
        for key, value in (("eps", eps), ("layers", "doubling in every second block"))
        if key not in config and key not in options
    )
    settings = {"upsampling": upsampling}
    title = "BigGAN-deep of pytorch-pretrained-biggan"
    return Checkpoint("biggan_deep", settings, state, title, assumed)


def _parts(content: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Config and state dict of a content tree, either of them empty if it is missing."""
    if not isinstance(content, Mapping):
        return {}, {}
    config, state = (
        {str(key): value for key, value in part.items()} if isinstance(part, Mapping) else {}
        for part in (content.get("config"), content.get("state", content))
    )
    return config, state


def _has(source: Mapping[str, Any], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in source)


def _weight(source: Mapping[str, Any], name: str, ndim: int) -> Tensor:
    if f"{name}.weight" in source and f"{name}.weight_v" not in source:
        return take(source, f"{name}.weight", *[-1] * ndim)
    weight = take(source, f"{name}.weight_orig", *[-1] * ndim)
    matrix = weight.double().flatten(1)
    u = take(source, f"{name}.weight_u", len(matrix)).double()
    v = take(source, f"{name}.weight_v", matrix.shape[1]).double()
    return (weight / (u @ matrix @ v)).float()


def _layer(source: Mapping[str, Any], name: str, target: str, ndim: int) -> dict[str, Tensor]:
    weight = _weight(source, name, ndim)
    return {f"{target}.weight": weight, f"{target}.bias": take(source, f"{name}.bias", len(weight))}


def _statistics(
    source: Mapping[str, Any], name: str, target: str, channels: int, eps: float
) -> dict[str, Tensor]:
    mean = take(source, f"{name}.running_means", -1, channels)
    variance = take(source, f"{name}.running_vars", len(mean), channels)
    return {f"{target}.mean": mean, f"{target}.variance": variance + eps}


def _block(source: Mapping[str, Any], name: str, target: str, eps: float) -> dict[str, Tensor]:
    state = {}
    for index in range(4):
        norm, to = f"{name}.bn_{index}", f"{target}.norm{index + 1}"
        state[f"{to}.gain.weight"] = gain = _weight(source, f"{norm}.scale", 2)
        state[f"{to}.bias.weight"] = _weight(source, f"{norm}.offset", 2)
        state |= _statistics(source, norm, to, len(gain), eps)
        state |= _layer(source, f"{name}.conv_{index}", f"{target}.conv{index + 1}", 4)
    return state


def _attention(source: Mapping[str, Any], name: str, target: str) -> dict[str, Tensor]:
    names = {"query": "theta", "key": "phi", "value": "g", "output": "o_conv"}
    weights = {
        f"{target}.{to}.weight": _weight(source, f"{name}.snconv1x1_{of}", 4)
        for to, of in names.items()
    }
    return {**weights, f"{target}.gamma": take(source, f"{name}.gamma", 1)[0]}


def _ends(source: Mapping[str, Any], channels: int, eps: float) -> dict[str, Tensor]:
    """The first linear layer and the output layer."""
    linear = _layer(source, "generator.gen_z", "linear", 2)
    if len(linear["linear.bias"]) % channels:
        raise LowRankGANError(
            f"generator.gen_z.bias has {len(linear['linear.bias'])} values, expected a multiple of "
            f"the first block's {channels} channels"
        )
    output = _layer(source, "generator.conv_to_rgb", "output", 4)
    gain = take(source, "generator.bn.weight", -1)
    return {
        # rows are pixels first, then channels
        **{
            key: v.unflatten(0, (-1, channels)).transpose(0, 1).flatten(0, 1)
            for key, v in linear.items()
        },
        "output_norm.gain": gain,
        "output_norm.bias": take(source, "generator.bn.bias", len(gain)),
        **_statistics(source, "generator.bn", "output_norm", len(gain), eps),
        **{key: value[:3] for key, value in output.items()},  # the other channels are not used
    }


def _upsampling(layers: Any, state: Mapping[str, Tensor]) -> list[bool]:
    """From the `layers` of a config, checked against the blocks that there are."""
    width = len(state["output_norm.gain"])
    found = [
        [
            state[f"blocks.{i}.{key}"].shape[axis] // width
            for key, axis in (("conv1.weight", 1), ("conv4.weight", 0))
        ]
        for i in range(sum(key.endswith(".conv4.weight") for key in state))
    ]
    if not isinstance(layers, list | tuple) or not all(_is_layer(layer) for layer in layers):
        raise LowRankGANError("layers: expected a list of [doubles, inputs, outputs]")
    told = [list(layer[1:]) for layer in layers]
    if told != found:
        raise LowRankGANError(
            f"layers: {told} are not the inputs and outputs of the blocks, which are {found}; "
            "is this the config of another model?"
        )
    return [bool(doubles) for doubles, _, _ in layers]


def _is_layer(layer: Any) -> bool:
    is_triple = isinstance(layer, list | tuple) and len(layer) == 3
    return is_triple and all(isinstance(value, int) for value in layer)


def _check_attention(position: Any, attentions: list[int], blocks: int) -> None:
    expected = [position] if isinstance(position, int) and 0 <= position < blocks else []
    if attentions != expected:
        raise LowRankGANError(
            f"attention_layer_position is {position}, but attention is at {attentions}; "
            "is this the config of another model?"
        )
