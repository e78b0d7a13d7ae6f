"""StyleGAN3 against arrays of the official implementation, its filters against SciPy."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.alias_free import filtered_leaky_relu
from lowrankgan.generators.base import Generator
from lowrankgan.generators.formats import nvlabs_stylegan3
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.readers.content import read_content
from lowrankgan.generators.reading import read_checkpoint
from lowrankgan.generators.stylegan3 import StyleGAN3
from tests.derivatives import check_derivatives
from tests.references import CHECKPOINTS, arrays, close

_T = CHECKPOINTS / "nv_sg3t_uncond_r32.pkl"
_SMALL = ("nv_sg3r_cond_r16", "nv_sg3t_cond_r16")


def _load(name: str) -> Generator:
    return build_generator(read_checkpoint(CHECKPOINTS / f"{name}.pkl", {}))


def test_every_reference_array_is_reproduced() -> None:
    reference = arrays("nv_sg3t_uncond_r32.npz")
    generator = build_generator(read_checkpoint(_T, {}))
    assert generator.layer_resolutions == (36,) * 6 + (52,) * 8 + (32, 32)
    w = generator.mapping(reference["z"])
    latents = {
        "psi1": generator.broadcast(w),
        "psi07": generator.broadcast(generator.truncate(w, 0.7)),
        "wplus": reference["wplus"],
    }
    assert close(latents["psi1"], reference["ws_psi1"], 1e-5)
    assert close(latents["psi07"], reference["ws_psi0.7"], 1e-5)
    cut = torch.cat([latents["psi07"][:, :3], latents["psi1"][:, 3:]], dim=1)
    assert close(cut, reference["ws_psi0.7_cut3"], 1e-5)
    seen = [key for key in reference if key.startswith("img_")]
    assert len(seen) >= 3
    for key in seen:
        found = generator.synthesis(latents[key.split("_")[1]])
        assert close(found, reference[key], 2e-5), key


@pytest.mark.parametrize("radial", [True, False])
@pytest.mark.parametrize(("up", "down"), [(2, 2), (4, 2), (1, 2), (2, 1)])
def test_the_filtered_nonlinearity_equals_its_definition(radial: bool, up: int, down: int) -> None:
    """Zeros between the samples, a convolution, the nonlinearity, a convolution, a subset."""
    random = np.random.default_rng(0)
    x = random.standard_normal((7, 7))
    rise = random.standard_normal(6) if up > 1 else None
    fall = random.standard_normal((4, 4) if radial else 4)
    spread = np.zeros((7 * up, 7 * up))
    spread[::up, ::up] = x
    padded = np.pad(spread, ((5, 4), (4, 3)))[:, 2:]
    kernel = np.ones((1, 1)) if rise is None else np.outer(rise, rise)
    higher = scipy.signal.convolve2d(padded, kernel, mode="valid") * up**2
    bent = np.clip(np.where(higher > 0, higher, 0.2 * higher) * 2**0.5, -2, 2)
    square = fall if radial else np.outer(fall, fall)
    expected = scipy.signal.convolve2d(bent, square, mode="valid")[::down, ::down]
    found = filtered_leaky_relu(
        torch.from_numpy(x)[None, None],
        None if rise is None else torch.from_numpy(rise),
        torch.from_numpy(fall),
        up,
        down,
        (2, 3, 5, 4),
        2**0.5,
        0.2,
        2.0,
    )
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", _SMALL)
def test_images_of_both_configurations(name: str, dtype: torch.dtype) -> None:
    """R with radial filters, T with unusual ones, both with classes."""
    reference = {key: _as(value, dtype) for key, value in arrays(f"{name}.npz").items()}
    generator = _load(name).to(dtype)
    w = generator.mapping(reference["z"], reference["label"])
    assert close(w, reference["w"], 1e-5)
    latents = {
        "psi1": generator.broadcast(w),
        "psi07": generator.broadcast(generator.truncate(w, 0.7)),
        "wplus": reference["wplus"],
    }
    for key, ws in latents.items():
        found = generator.synthesis(ws)
        assert found.dtype == dtype
        assert close(found, reference[f"img_{key}"], 2e-5), key


def _as(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value


@pytest.mark.parametrize("name", _SMALL)
def test_derivatives_equal_differences(name: str) -> None:
    generator = _load(name).double()
    torch.manual_seed(1)
    w = torch.randn(1, generator.w_dim, dtype=torch.float64)
    check_derivatives(lambda v: generator.synthesis(generator.broadcast(v)), w, step=1e-7)


@pytest.mark.parametrize("name", _SMALL)
def test_what_does_not_fit_is_one_line(name: str) -> None:
    whole = read_checkpoint(CHECKPOINTS / f"{name}.pkl", {})
    for key, value in whole.state.items():
        without = {k: v for k, v in whole.state.items() if k != key}
        larger = torch.cat([value.reshape(-1), value.reshape(-1)]).expand(2, 3, -1)
        for state in (without, {**whole.state, key: larger}):
            with pytest.raises(LowRankGANError) as caught:
                _build(state, whole.settings)
            assert "\n" not in str(caught.value)


def _build(state: Mapping[str, Tensor], settings: Mapping[str, object]) -> StyleGAN3:
    return StyleGAN3(state, **settings)  # type: ignore[arg-type]


def _changed(content: Any, module: str, part: str, name: str, value: Any) -> Any:
    """A copy of a content tree in which one attribute or tensor is another."""
    record = copy.deepcopy(content["G_ema"] if "G_ema" in content else content["G"])
    state = record.state["state"]
    for step in module.split(".") if module else []:
        state = state["_modules"][step].state["state"]
    (state[part] if part else state)[name] = value
    return {"G_ema": record}


@pytest.mark.parametrize(
    ("module", "part", "name", "value", "message"),
    [
        ("synthesis", "", "layer_names", ["L0"], "layer_names: expected the names"),
        ("synthesis.L0_28_20", "", "up_factor", 0.5, r"up_factor: 0\.5, expected 1, 2"),
        ("synthesis.L0_28_20", "", "padding", [1, 2, 3], "padding: expected 4 numbers"),
        ("synthesis.L0_28_20", "", "conv_clamp", math.nan, "conv_clamp: expected finite"),
        ("synthesis.input", "", "size", np.array([28, 14]), "28.0 x 14.0, expected a square"),
        ("synthesis.input", "_buffers", "extra", torch.ones(1), "input.extra is unknown"),
    ],
)
def test_a_pickle_of_another_network_is_one_line(
    module: str, part: str, name: str, value: Any, message: str
) -> None:
    content = read_content(CHECKPOINTS / "nv_sg3r_cond_r16.pkl")
    assert nvlabs_stylegan3.recognises(content)
    with pytest.raises(LowRankGANError, match=message):
        nvlabs_stylegan3.convert(_changed(content, module, part, name, value), {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr_multiplier": "fast"}, "lr_multiplier is 'fast', expected a positive number"),
        ({"output_scale": 0}, "output_scale is 0, expected a positive number"),
        ({"fourier": 1}, "stylegan3: a setting is missing or malformed"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LowRankGANError, match=message):
        build_generator(read_checkpoint(_T, settings))


def test_padding_that_gives_another_size_is_one_line() -> None:
    whole = read_checkpoint(CHECKPOINTS / "nv_sg3r_cond_r16.pkl", {})
    layers = [{**layer, "padding": [0, 0, 0, 0]} for layer in whole.settings["layers"]]
    with pytest.raises(LowRankGANError, match="make it 17 x 17 px, expected 28 x 28"):
        _build(whole.state, {**whole.settings, "layers": layers})


def test_grey_images_are_rendered_as_rgb() -> None:
    content = read_content(CHECKPOINTS / "nv_sg3r_cond_r16.pkl")
    colours = nvlabs_stylegan3.convert(content, {}).state
    layer = "synthesis.L6_16_3"
    for name in ("weight", "bias"):
        content = _changed(content, layer, "_parameters", name, colours[f"{layer}.{name}"][1:2])
    checkpoint = nvlabs_stylegan3.convert(content, {})
    image = build_generator(checkpoint).synthesis(torch.ones(1, 8, 16))
    expected = _load("nv_sg3r_cond_r16").synthesis(torch.ones(1, 8, 16))[:, 1:2]
    torch.testing.assert_close(image, expected.expand(-1, 3, -1, -1))
