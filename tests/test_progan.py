"""ProGAN against arrays of the official implementations (tests/data/checkpoints)."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.reading import read_checkpoint
from tests.derivatives import check_derivatives
from tests.references import CHECKPOINTS, arrays, close

_OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "fused": {"final": "tanh"},
    "fading": {"num_classes": 3, "use_wscale": False, "fused_scale": True},
    "growing": {},
    "hammer": {"num_classes": 4, "z_gain": 1},
    "interfacegan": {"final": "hardtanh"},
}


def _load(name: str) -> Generator:
    return build_generator(read_checkpoint(CHECKPOINTS / f"progan_{name}.pth", _OPTIONS[name]))


def _latent(generator: Generator, name: str) -> tuple[Tensor, Tensor]:
    """w and the reference image."""
    reference = arrays("progan.npz", f"{name}.")
    label = reference["label"] if generator.num_classes else None
    return generator.mapping(reference["z"].to(generator.dtype), label), reference["image"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", _OPTIONS)
def test_every_reference_image_is_reproduced(name: str, dtype: torch.dtype) -> None:
    generator = _load(name).to(dtype)
    w, expected = _latent(generator, name)
    assert generator.layer_resolutions == (4,)
    assert generator.resolution == expected.shape[-1]
    found = generator.synthesis(generator.broadcast(w))
    assert found.dtype == dtype
    assert close(found, expected.expand(-1, 3, -1, -1))  # one is grey
    halved = generator.synthesis(generator.broadcast(generator.truncate(w, 0.5)))
    torch.testing.assert_close(halved, found, atol=1e-4, rtol=1e-4)


def test_what_the_file_does_not_tell_is_said() -> None:
    def asked(name: str, options: dict[str, Any]) -> list[str]:
        checkpoint = read_checkpoint(CHECKPOINTS / f"progan_{name}.pth", options)
        return [sentence.split()[0] for sentence in checkpoint.assumed]

    # Transposed weights show where a resolution is narrower than the one before.
    assert asked("fused", {}) == ["final", "num_classes", "use_wscale"]
    assert asked("growing", {}) == ["final", "num_classes", "use_wscale", "fused_scale"]
    *open_questions, average = asked("fading", _OPTIONS["fading"])
    # Nor does the file have an average of the weights.
    assert (open_questions, average) == (["final", "z_gain"], "the")


@pytest.mark.parametrize("name", ["plain", "fused", "fading", "growing"])
def test_derivatives_equal_differences(name: str) -> None:
    generator = _load(name).double()
    w, _ = _latent(generator, name)
    edited, carried = w[:1].split([generator.w_dim, generator.carried_dim], dim=1)
    check_derivatives(lambda v: generator([torch.cat([v, carried], dim=1)]), edited)


def _refusal(tmp_path: Path, state: dict[str, Tensor], options: dict[str, Any]) -> str:
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(LowRankGANError) as caught:
        build_generator(read_checkpoint(tmp_path / "model.pth", options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["plain", "fused", "interfacegan"])
def test_what_does_not_fit_is_one_line(tmp_path: Path, name: str) -> None:
    content = torch.load(CHECKPOINTS / f"progan_{name}.pth", weights_only=True)
    state = content.get("generator_smooth", content)
    used = [key for key in state if not key.startswith("output")]
    used += [key for key in state if key.startswith("output")][-2:]
    for key in used:
        assert _refusal(tmp_path, {**state, key: torch.zeros(5, 7, 9)}, _OPTIONS[name])
        if key != "lod":
            rest = {other: value for other, value in state.items() if other != key}
            assert _refusal(tmp_path, rest, _OPTIONS[name])


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("num_classes", 12, "num_classes is 12, expected a whole number less than the 12"),
        ("z_gain", 0, "z_gain is 0, expected a positive number"),
        ("lod", 4, "lod is 4, expected 0 to 3"),
        ("final", "relu", "final is 'relu', expected one of"),
        ("use_wscale", "yes", "use_wscale is 'yes', expected true or false"),
        ("fused_scale", True, r"layer6.bias has the shape \[8\], expected 12"),
    ],
)
def test_an_option_that_does_not_fit_is_one_line(option: str, value: Any, message: str) -> None:
    with pytest.raises(LowRankGANError, match=message):
        build_generator(read_checkpoint(CHECKPOINTS / "progan_plain.pth", {option: value}))


@pytest.mark.parametrize(
    ("label", "message"), [(None, "expected a label"), ([1, 4], "label: 4, expected 0 to 3")]
)
def test_a_label_that_does_not_fit_is_one_line(label: list[int] | None, message: str) -> None:
    generator = _load("hammer")
    with pytest.raises(LowRankGANError, match=message):
        generator.mapping(torch.zeros(2, 8), None if label is None else torch.tensor(label))
