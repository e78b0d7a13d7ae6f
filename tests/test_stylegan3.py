"""StyleGAN3 against arrays of the official implementation, its filters against SciPy."""

from collections.abc import Mapping

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor
from torch.func import jvp, linearize, vmap

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.alias_free import filtered_leaky_relu
from lowrankgan.generators.base import Generator
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.reading import read_checkpoint
from lowrankgan.generators.stylegan3 import StyleGAN3
from tests.test_stylegan2 import CHECKPOINTS, arrays, close

_T = CHECKPOINTS / "nv_sg3t_uncond_r32.pkl"


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


def _rotational(classes: int = 0) -> StyleGAN3:
    """A small configuration R: 1 x 1 convolutions and radial filters, random float64 weights."""
    torch.manual_seed(0)
    state = {f"mapping.fc{i}.weight": 100 * torch.randn(8, 8) for i in range(2)}
    state |= {f"mapping.fc{i}.bias": torch.randn(8) for i in range(2)}
    state["mapping.w_avg"] = torch.randn(8)
    if classes:
        state["mapping.fc0.weight"] = 100 * torch.randn(8, 8 + 8)
        state["mapping.embed.weight"] = torch.randn(8, classes)
        state["mapping.embed.bias"] = torch.randn(8)
    state |= {
        "synthesis.input.weight": torch.randn(4, 4),
        "synthesis.input.transform": torch.eye(3),
        "synthesis.input.freqs": torch.randn(4, 2),
        "synthesis.input.phases": torch.rand(4),
        "synthesis.input.affine.weight": torch.randn(4, 8),
        "synthesis.input.affine.bias": torch.tensor([1.0, 0, 0, 0]),
    }
    for name, outputs in (("L0_12_5", 5), ("L1_8_3", 3)):
        inputs = 4 if outputs == 5 else 5
        state |= {
            f"synthesis.{name}.weight": torch.randn(outputs, inputs, 1, 1),
            f"synthesis.{name}.bias": torch.randn(outputs),
            f"synthesis.{name}.magnitude_ema": torch.tensor(1.7),
            f"synthesis.{name}.affine.weight": torch.randn(inputs, 8),
            f"synthesis.{name}.affine.bias": torch.ones(inputs),
        }
    state["synthesis.L0_12_5.up_filter"] = torch.rand(12) / 6
    state["synthesis.L0_12_5.down_filter"] = torch.rand(12, 12) / 36
    layers = [
        {"name": "L0_12_5", "size": 12, "up": 2, "down": 2, "padding": [11, 10, 11, 10]},
        {"name": "L1_8_3", "size": 8, "up": 1, "down": 1, "padding": [-2, -2, -2, -2]},
    ]
    whole = [layer | {"clamp": 256.0, "rgb": i == 1} for i, layer in enumerate(layers)]
    fourier = {"size": 12, "sampling_rate": 16.0, "bandwidth": 2.0}
    return StyleGAN3(state, fourier, whole).double()


def _reference() -> Generator:
    return build_generator(read_checkpoint(_T, {})).double()


@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node")
@pytest.mark.parametrize("make", [_rotational, _reference])
def test_derivatives_equal_differences(make) -> None:
    generator: Generator = make()
    torch.manual_seed(1)
    w = torch.randn(1, generator.w_dim, dtype=torch.float64)
    tangents = torch.randn(2, 1, generator.w_dim, dtype=torch.float64)

    def image(v: Tensor) -> Tensor:
        return generator.synthesis(generator.broadcast(v))

    assert image(w).shape == (1, 3, generator.resolution, generator.resolution)
    together = vmap(lambda tangent: jvp(image, (w,), (tangent,))[1])(tangents)
    _, linear = linearize(image, w)
    for tangent, derivative in zip(tangents, together, strict=True):
        torch.testing.assert_close(jvp(image, (w,), (tangent,))[1], derivative)
        torch.testing.assert_close(linear(tangent), derivative)
        # A step so small that hardly any of the many leaky ReLUs has its kink in it.
        difference = (image(w + 1e-9 * tangent) - image(w - 1e-9 * tangent)) / 2e-9
        assert (derivative - difference).norm() < 1e-5 * difference.norm()


def test_labels_choose_the_class() -> None:
    generator, z = _rotational(classes=3), torch.randn(1, 8, dtype=torch.float64).expand(2, 8)
    w = generator.mapping(z, torch.tensor([0, 2]))
    assert (w[0] - w[1]).abs().max() > 1e-3


@pytest.mark.parametrize("step", range(5))
def test_what_does_not_fit_is_one_line(step: int) -> None:
    whole = read_checkpoint(_T, {})
    optional = ("up_filter", "down_filter")
    for key in [key for key in whole.state if not key.endswith(optional)][step::5]:
        for state in (
            {k: v for k, v in whole.state.items() if k != key},
            {**whole.state, key: torch.zeros(7, 7, 7)},
        ):
            with pytest.raises(LowRankGANError) as caught:
                _build(state, whole.settings)
            assert "\n" not in str(caught.value)


def _build(state: Mapping[str, Tensor], settings: Mapping[str, object]) -> StyleGAN3:
    return StyleGAN3(state, **settings)  # type: ignore[arg-type]
