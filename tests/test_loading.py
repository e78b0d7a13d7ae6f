"""Weights that do not fit their architecture are one line, never a traceback."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import METADATA_KEY, Checkpoint, save_checkpoint
from lowrankgan.generators.formats import ajbrock_biggan, dcgan, genforce_progan, own
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.readers.content import read_content
from lowrankgan.generators.reading import read_checkpoint
from tests.references import CHECKPOINTS
from tests.test_mobilestylegan import small_state


def _dcgan() -> Checkpoint:
    state = {f"main.{3 * i}.weight": torch.randn(4, 3 if i == 2 else 4, 4, 4) for i in range(3)}
    for i in (1, 4):
        state |= {f"main.{i}.{key}": torch.ones(4) for key in ("weight", "bias", "running_mean")}
        state |= {f"main.{i}.running_var": torch.ones(4)}
    return dcgan.convert({"netG_state_dict": state}, {})


def _checkpoint(name: str) -> Checkpoint:
    if name == "dcgan":
        return _dcgan()
    if name == "mobilestylegan":
        return Checkpoint(name, {}, small_state(), "")
    return ajbrock_biggan.convert(read_content(CHECKPOINTS / name), {})


def _others(value: Tensor) -> list[Any]:
    flat = value.flatten()
    others = ["text", torch.zeros(()), torch.zeros(0), flat.repeat(2), value[None]]
    if value.ndim:
        others.append(torch.cat([value, value]))
    if value.ndim > 1:
        others.append(torch.cat([value, value], dim=1))
    return others


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "name", ["dcgan", "mobilestylegan", "ajbrock_mybn.pth", "ajbrock_deep_64.pth"]
)
def test_what_does_not_fit_is_one_line(name: str) -> None:
    whole = _checkpoint(name)
    metadata = {METADATA_KEY: json.dumps(whole.description())}
    for key, value in whole.state.items():
        assert _refused({"metadata": metadata, "state": {**whole.state, key: None}})
        for other in _others(value):
            _refused({"metadata": metadata, "state": {**whole.state, key: other}})


def _refused(content: Any) -> bool:
    """Whether it is, in one line; what is not, such as one more class, renders an image."""
    try:
        generator = build_generator(own.convert(content, {}))
    except LowRankGANError as error:
        assert "\n" not in str(error)
        return True
    label = torch.zeros(1, dtype=torch.int64) if generator.num_classes else None
    w = generator.mapping(torch.zeros(1, generator.z_dim), label)
    assert generator.synthesis(generator.broadcast(w)).shape[1] == 3
    return False


@pytest.mark.parametrize(
    "path",
    [p for p in sorted(CHECKPOINTS.iterdir()) if p.is_dir() or p.suffix in (".pkl", ".pt", ".pth")],
    ids=lambda path: path.name,
)
def test_every_format_is_exported_and_read_back(path: Path, tmp_path: Path) -> None:
    found = read_checkpoint(path, {})
    save_checkpoint(found, tmp_path / "model.safetensors")
    again = read_checkpoint(tmp_path / "model.safetensors", {})
    assert again.description() == found.description()
    assert again.state.keys() == found.state.keys()
    assert all(torch.equal(again.state[key], value) for key, value in found.state.items())
    assert build_generator(again).resolution == build_generator(found).resolution


def test_metadata_that_is_none_of_ours() -> None:
    for metadata in (3, METADATA_KEY, torch.zeros(2)):
        assert not own.recognises({"metadata": metadata})
    for rest in ({}, {"state": []}, {"state": {}}):
        with pytest.raises(LowRankGANError, match="expected"):
            own.convert({"metadata": {METADATA_KEY: "{}"}, **rest}, {})


@pytest.mark.parametrize(
    "changed",
    [
        {"architecture": ["biggan"]},
        {"settings": []},
        {"format": None},
        {"assumed": 3},
    ],
)
def test_metadata_of_other_types_is_refused(changed: dict[str, Any]) -> None:
    whole = _checkpoint("mobilestylegan")
    metadata = {METADATA_KEY: json.dumps(whole.description() | changed)}
    with pytest.raises(LowRankGANError, match="without this project's metadata"):
        own.convert({"metadata": metadata, "state": dict(whole.state)}, {})


@pytest.mark.parametrize(
    "changed",
    [
        {"layers.0.padding": [1, 2, 3]},
        {"layers.0.down": 0},
        {"output_scale": 10**400},
        {"lr_multiplier": None},
    ],
)
def test_settings_that_mean_nothing_are_refused(changed: dict[str, Any]) -> None:
    whole = read_checkpoint(CHECKPOINTS / "nv_sg3t_cond_r16.pkl", {})
    settings = json.loads(json.dumps(whole.settings))
    for key, value in changed.items():
        *parents, last = key.split(".")
        part = settings
        for name in parents:
            part = part[int(name) if name.isdigit() else name]
        part[last] = value
    with pytest.raises(LowRankGANError) as caught:
        build_generator(replace(whole, settings=settings))
    assert "\n" not in str(caught.value)


def test_layers_of_progan_that_no_tensor_holds_are_refused() -> None:
    whole = read_checkpoint(CHECKPOINTS / "progan_plain.pth", {})
    state = {**whole.state, "layers.10000000000.weight": torch.zeros(1)}
    with pytest.raises(LowRankGANError, match="layer 10000000000 is named, but there are only"):
        build_generator(replace(whole, state=state, settings={**whole.settings, "lod": 5e9}))


def test_embeddings_that_leave_nothing_of_z_are_refused() -> None:
    whole = _checkpoint("ajbrock_deep_64.pth")
    classes = len(whole.state["embedding.weight"])
    state = {**whole.state, "embedding.weight": torch.zeros(classes, 1000)}
    with pytest.raises(LowRankGANError, match="not the weights of a BigGANDeep"):
        build_generator(replace(whole, state=state))


def test_filters_and_affines_of_other_sizes_are_refused() -> None:
    whole = read_checkpoint(CHECKPOINTS / "rosinality_uncond_r32.pt", {})
    for name in ("b8.conv0", "b8.torgb"):
        key = f"synthesis.{name}.affine"
        twice = {
            part: whole.state[f"{key}.{part}"].repeat_interleave(2, 0)
            for part in ("weight", "bias")
        }
        state = {**whole.state, **{f"{key}.{part}": value for part, value in twice.items()}}
        with pytest.raises(LowRankGANError, match=rf"{key}\.bias has the shape"):
            build_generator(replace(whole, state=state))


def test_metadata_without_a_setting_is_refused() -> None:
    whole = replace(_checkpoint("ajbrock_deep_64.pth"), settings={})
    with pytest.raises(LowRankGANError, match="biggan_deep: a setting is missing or malformed"):
        build_generator(whole)


def test_numbers_of_blocks_and_layers_beyond_what_the_file_holds_are_refused() -> None:
    """They would be built one after another, up to any number that a name can say."""
    whole = _checkpoint("ajbrock_mybn.pth")
    state = {**whole.state, "blocks.999999999.conv1.weight": torch.zeros(1)}
    with pytest.raises(LowRankGANError, match="block 999999999 is named, but there are only"):
        build_generator(replace(whole, state=state))
    progan = dict(read_content(CHECKPOINTS / "progan_fading.pth"))
    progan["generator"] = {**progan["generator"], "layer999999999.weight": torch.zeros(1)}
    with pytest.raises(LowRankGANError, match="layer 999999999 is named, but there are only"):
        genforce_progan.convert(progan, {})
