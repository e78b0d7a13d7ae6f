"""Layouts and variants of StyleGAN2 against a transcribed official code, and unsound files."""

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.formats import (
    genforce,
    nvlabs_stylegan2,
    rosinality,
    tensorflow_stylegan2,
)
from lowrankgan.generators.formats.state_dict import unwrapped
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.readers.content import Record, read_content
from lowrankgan.generators.reading import read_checkpoint
from tests.references import CHECKPOINTS, arrays, close

VARIANTS = {
    "nv_sg2_resnet_r16.pkl": 0,
    "nv_sg2_orig_cond_r16.pkl": 3,
    "nv_sg2_grey_cond_r16.pkl": 4,
    "hammer_resnet_cond_r16.pth": 3,
    "genforce_ada_cond_r16.pth": 3,
    "genforce_cond_r16.pth": 4,
    "tf_sg2_grown_cond_r16.pkl": 4,
    "tf_sg2_resnet_cond_r16.pkl": 3,
}


def generator(name: str, **options: Any) -> Generator:
    return build_generator(read_checkpoint(CHECKPOINTS / name, options))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_variants_equal_the_official_code(name: str, dtype: torch.dtype) -> None:
    reference = arrays("stylegan2.npz", f"{Path(name).stem}.")
    z, wplus = reference["z"].to(dtype), reference["wplus"].to(dtype)
    loud, quiet = generator(name).to(dtype), generator(name, noise="none").to(dtype)
    assert (loud.num_classes, loud.resolution, loud.num_layers) == (VARIANTS[name], 16, 6)
    w = loud.mapping(z, reference["label"] if VARIANTS[name] else None)
    assert close(w, reference["w"], 1e-5)
    truncated = loud.broadcast(loud.truncate(w, 0.7))
    images = {
        "psi07": loud.synthesis(truncated),
        "wplus": loud.synthesis(wplus),
        "none": quiet.synthesis(wplus),
    }
    for key, image in images.items():
        assert close(image, reference[f"img_{key}"].expand(-1, 3, -1, -1)), key


def test_what_a_file_tells_is_not_assumed_and_options_come_first() -> None:
    told = read_checkpoint(CHECKPOINTS / "hammer_resnet_cond_r16.pth", {})
    assert (told.settings["lr_multiplier"], told.settings["conv_clamp"]) == (0.2, 1.2)
    assert not told.assumed
    chosen = read_checkpoint(CHECKPOINTS / "hammer_resnet_cond_r16.pth", {"lr_multiplier": 0.5})
    assert chosen.settings["lr_multiplier"] == 0.5
    bare = genforce.convert(unwrapped(_read("hammer_resnet_cond_r16.pth")), {})
    assert [sentence.split()[0] for sentence in bare.assumed] == ["lr_multiplier", "conv_clamp"]


def test_checkpoints_of_hammers_runs_hold_settings_in_dictionaries_of_easydict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EasyDict(dict[str, Any]):
        def __init__(self, **values: Any) -> None:
            super().__init__(values)
            self.__dict__.update(values)

    EasyDict.__module__, EasyDict.__qualname__ = "easydict", "EasyDict"
    monkeypatch.setitem(sys.modules, "easydict", types.SimpleNamespace(EasyDict=EasyDict))
    content = _read("hammer_resnet_cond_r16.pth")
    told = {key: EasyDict(**value) for key, value in content["model_kwargs_init"].items()}
    torch.save({**content, "model_kwargs_init": told}, tmp_path / "run.pth")
    expected = read_checkpoint(CHECKPOINTS / "hammer_resnet_cond_r16.pth", {})
    assert read_checkpoint(tmp_path / "run.pth", {}).description() == expected.description()


def test_noise_that_rosinality_did_not_store_is_seeded() -> None:
    content = _read("rosinality_uncond_r32.pt")
    stored = rosinality.convert(content, {})
    state = {k: v for k, v in content["g_ema"].items() if not k.startswith("noises.")}
    found, again = (rosinality.convert({**content, "g_ema": state}, {}) for _ in range(2))
    assert any("noise" in sentence for sentence in found.assumed)
    for key, value in stored.state.items():
        assert torch.equal(found.state[key], again.state[key])
        assert torch.equal(found.state[key], value) != key.endswith("noise_const"), key


def test_images_of_four_channels_are_refused() -> None:
    content = _read("genforce_ada_cond_r16.pth")
    state = dict(content["generator_smooth"])
    state["synthesis.output0.weight"] = torch.zeros(4, 10, 1, 1)
    with pytest.raises(LowRankGANError, match=r"have 4 channels, expected 3 \(RGB\) or 1"):
        build_generator(genforce.convert(state, {}))


def _read(name: str) -> Any:
    return read_content(CHECKPOINTS / name)


def _hammer(**arguments: Any) -> Any:
    content = _read("hammer_resnet_cond_r16.pth")
    return {**content, "model_kwargs_init": {"generator": arguments}}


def _genforce_without(key: str) -> Any:
    return {
        k: v
        for k, v in _read("genforce_cond_r16.pth")["models"]["generator_smooth"].items()
        if k != key
    }


def _tensorflow(lod: float = 0.0, **arguments: Any) -> Any:
    content = _read("tf_sg2_grown_cond_r16.pkl")[2]
    content.state["static_kwargs"] |= arguments
    variables = content.state["components"]["synthesis"].state["variables"]
    variables[:] = [(k, lod if k == "lod" else v) for k, v in variables]
    return content


def _nvlabs_with(key: str) -> Any:
    content = _read("nv_sg2_grey_cond_r16.pkl")
    content.state["state"]["_modules"]["synthesis"].state["state"]["_buffers"][key] = torch.ones(1)
    return content


@pytest.mark.parametrize(
    ("layout", "content", "message"),
    [
        (genforce, lambda: _hammer(final_tanh=True), "final_tanh is 'True', expected False"),
        (genforce, lambda: _hammer(lr_mul=torch.ones(2)), "lr_mul is .* expected 1.0"),
        (genforce, lambda: _hammer(conv_clamp="x"), "conv_clamp is 'x', expected a positive"),
        (
            genforce,
            lambda: _genforce_without("synthesis.early_layer.const"),
            "const is missing, expected StyleGAN2 with a constant input, not the first StyleGAN",
        ),
        (genforce, lambda: _genforce_without("truncation.w_avg"), "truncation.w_avg is missing"),
        (tensorflow_stylegan2, lambda: _tensorflow(lod=1.0), "synthesis/lod is above 0"),
        (tensorflow_stylegan2, lambda: _tensorflow(nonlinearity="relu"), "nonlinearity is 'relu'"),
        (tensorflow_stylegan2, lambda: _tensorflow(resample_kernel="no"), "resample_kernel is"),
        (
            tensorflow_stylegan2,
            lambda: Record("Network", {"version": 3}),
            "version is '3', expected at least 4",
        ),
        (nvlabs_stylegan2, lambda: _nvlabs_with("attention"), "synthesis.attention is unknown"),
    ],
)
def test_variants_that_are_not_supported_are_one_line(
    layout: Any, content: Any, message: str
) -> None:
    with pytest.raises(LowRankGANError, match=message) as caught:
        layout.convert(content(), {})
    assert "\n" not in str(caught.value)


def _mutations(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """A content tree with each of its tensors in turn replaced by text."""
    if isinstance(tree, Tensor | np.ndarray):
        return [(path, "no tensor")]
    if isinstance(tree, Record):
        return [(p, Record(tree.name, t)) for p, t in _mutations(tree.state, path)]
    if isinstance(tree, dict):
        return [
            (p, {**tree, key: t})
            for key, value in tree.items()
            for p, t in _mutations(value, f"{path}/{key}")
        ]
    if isinstance(tree, list | tuple):
        return [
            (p, type(tree)([*tree[:i], t, *tree[i + 1 :]]))
            for i, value in enumerate(tree)
            for p, t in _mutations(value, f"{path}/{i}")
        ]
    return []


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("nv_sg2_resnet_r16.pkl", nvlabs_stylegan2),
        ("tf_sg2_resnet_cond_r16.pkl", tensorflow_stylegan2),
        ("hammer_resnet_cond_r16.pth", genforce),
        ("genforce_ada_cond_r16.pth", genforce),
        ("rosinality_uncond_r32.pt", rosinality),
    ],
)
def test_every_tensor_is_needed_and_missing_ones_are_named(name: str, layout: Any) -> None:
    cases = _mutations(_read(name))
    assert len(cases) > 30
    for path, content in cases:
        try:
            assert layout.recognises(content)
            build_generator(layout.convert(content, {}))
        except LowRankGANError as error:
            assert "\n" not in str(error), path
        else:  # filters where nothing is up-sampled are not read, and an average can be made
            assert path.endswith(("filter", "kernel", "latent_avg")), path


@pytest.mark.parametrize(
    "junk", [None, 3, "x", [], torch.ones(2), np.ones(2), Record("persistent", {}), {"a": 1}]
)
def test_any_content_is_recognised_or_not(junk: Any) -> None:
    for layout in (nvlabs_stylegan2, tensorflow_stylegan2, rosinality, genforce):
        for content in (junk, {"G_ema": junk, "G": junk, "models": junk, "g_ema": junk}):
            assert not layout.recognises(content)
        assert not layout.recognises((junk, junk, junk))
