"""StyleGAN2 and its formats against arrays of the official implementations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats import nvlabs_stylegan2
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.readers.content import Record, read_content
from lowrankgan.generators.reading import read_checkpoint
from lowrankgan.generators.stylegan2 import StyleGAN2
from lowrankgan.gram import gram_matrices
from lowrankgan.jacobian import jacobian
from tests.derivatives import check_derivatives
from tests.references import CHECKPOINTS, arrays, close

NVLABS = "nv_sg2ada_uncond_r32.pkl"
SAME_WEIGHTS = {
    "tf_sg2_legacy_uncond_r32.pkl": "TensorFlow pickle",
    "rosinality_uncond_r32.pt": "rosinality checkpoint",
    "genforce_uncond_r32.pth": "genforce checkpoint",
    "resefa_uncond_r32.pth": "Hammer or ReSeFa checkpoint",
}


@pytest.mark.parametrize("name", [NVLABS, "nv_sg2ada_uncond_r32_clamp2.pkl"])
def test_every_reference_array_is_reproduced(name: str) -> None:
    reference = arrays(Path(name).with_suffix(".npz").name)
    for noise in ("const", "none"):
        generator = build_generator(read_checkpoint(CHECKPOINTS / name, {"noise": noise}))
        w = generator.mapping(reference["z"])
        ws = generator.broadcast(w)
        truncated = generator.broadcast(generator.truncate(w, 0.7))
        cut = torch.cat([truncated[:, :3], ws[:, 3:]], dim=1)
        for key, found in {
            "ws_psi1": ws,
            "ws_psi0.7": truncated,
            "ws_psi0.7_cut3": cut,
        }.items():
            assert close(found, reference[key], 1e-5), key
        latents = {"wplus": reference["wplus"], "psi1": ws, "psi07": truncated, "psi07_cut3": cut}
        seen = {key for key in reference if key.startswith("img_") and key.endswith(noise)}
        assert seen
        for key in seen:
            name_of_latent = key.removeprefix("img_").removesuffix(f"_{noise}")
            found = generator.synthesis(latents[name_of_latent])
            assert close(found, reference[key], 2e-5), key


@pytest.mark.parametrize("name", SAME_WEIGHTS)
def test_every_layout_gives_identical_tensors(name: str) -> None:
    expected = read_checkpoint(CHECKPOINTS / NVLABS, {})
    found = read_checkpoint(CHECKPOINTS / name, {})
    assert found.format == SAME_WEIGHTS[name]
    for key, value in found.state.items():
        assert torch.equal(value, expected.state[key]), key
    # The official file also has the filter where nothing is up-sampled.
    assert all(key.endswith("resample_filter") for key in expected.state.keys() - found.state)
    one, other = (build_generator(checkpoint) for checkpoint in (expected, found))
    ws = arrays("nv_sg2ada_uncond_r32.npz")["wplus"]
    torch.testing.assert_close(one.synthesis(ws), other.synthesis(ws), rtol=0, atol=0)


def test_a_training_checkpoint_of_rosinality_averages_w(tmp_path: Path) -> None:
    content = torch.load(CHECKPOINTS / "rosinality_uncond_r32.pt", weights_only=True)
    state = {f"module.{key}": value for key, value in content["g_ema"].items()}
    torch.save({"g": {}, "g_ema": state, "args": None}, tmp_path / "000100.pt")
    found = read_checkpoint(tmp_path / "000100.pt", {"lr_multiplier": 0.02})
    assert found.settings["lr_multiplier"] == 0.02
    assert any("average of w" in sentence for sentence in found.assumed)
    generator = build_generator(found)
    drawn = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(5))
    spread = generator.mapping(drawn).std(0)
    error = (generator.mapping(drawn).mean(0) - generator.w_mean).abs()
    assert (error < 5 * spread * (1 / 10_000 + 1 / 20_000) ** 0.5).all()


def test_the_jacobian_equals_the_official_one_in_float64() -> None:
    reference = arrays("nv_sg2ada_uncond_r32_jacobian_f64.npz")
    generator = build_generator(read_checkpoint(CHECKPOINTS / NVLABS, {})).double()
    ws = generator.broadcast(reference["w"].reshape(1, -1).double())
    columns = jacobian(generator, ws[0], range(generator.num_layers), 32)
    expected = reference["J_w"].permute(3, 0, 1, 2)
    assert (columns - expected).norm() < 1e-5 * expected.norm()
    top, bottom, left, right = reference["region"].tolist()
    mask = np.zeros((32, 32), dtype=bool)
    mask[top:bottom, left:right] = True
    inside, outside = gram_matrices(columns, {"region": mask})["region"]
    for gram, key in ((inside, "gram_fg"), (outside, "gram_bg")):
        official = reference[key].numpy()
        assert np.linalg.norm(gram - official) < 1e-5 * np.linalg.norm(official)


def _random(architecture: str, classes: int = 0, **settings: Any) -> StyleGAN2:
    """A StyleGAN2 of 16 px with random float64 weights, by the canonical names."""
    torch.manual_seed(0)
    state = {f"mapping.fc{i}.weight": 100 * torch.randn(8, 8) for i in range(2)}
    state |= {f"mapping.fc{i}.bias": torch.randn(8) for i in range(2)}
    state["mapping.w_avg"] = torch.randn(8)
    if classes:
        state["mapping.fc0.weight"] = 100 * torch.randn(8, 8 + 4)
        state |= {
            "mapping.embed.weight": torch.randn(4, classes),
            "mapping.embed.bias": torch.randn(4),
        }
    channels = {4: 6, 8: 5, 16: 4}
    state["synthesis.b4.const"] = torch.randn(6, 4, 4)
    taps = torch.tensor([1.0, 3.0, 2.0, 1.0])  # not symmetric, as a wrong flip would not show else
    for size, outputs in channels.items():
        block, inputs = f"synthesis.b{size}", channels.get(size // 2, 6)
        state[f"{block}.resample_filter"] = taps.outer(taps) / taps.sum() ** 2
        for part in ("conv0", "conv1", "torgb"):
            if (part == "conv0" and size == 4) or (
                part == "torgb" and architecture != "skip" and size < 16
            ):
                continue
            width = inputs if part == "conv0" else outputs
            kernel = (3, width, 1, 1) if part == "torgb" else (outputs, width, 3, 3)
            state |= {
                f"{block}.{part}.weight": torch.randn(kernel),
                f"{block}.{part}.bias": torch.randn(kernel[0]),
                f"{block}.{part}.affine.weight": torch.randn(width, 8),
                f"{block}.{part}.affine.bias": torch.randn(width),
            }
            if part != "torgb":
                state[f"{block}.{part}.noise_const"] = torch.randn(size, size)
                state[f"{block}.{part}.noise_strength"] = torch.randn(())
                state[f"{block}.{part}.resample_filter"] = state[f"{block}.resample_filter"]
        if architecture == "resnet" and size > 4:
            state[f"{block}.skip.weight"] = torch.randn(outputs, inputs, 1, 1)
    return StyleGAN2(state, architecture, **settings).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("noise", ["const", "random"])
def test_derivatives_equal_differences(architecture: str, noise: str) -> None:
    generator = _random(architecture, noise=noise, conv_clamp=3.0)
    w = torch.randn(1, 8, dtype=torch.float64)
    check_derivatives(lambda v: generator.synthesis(generator.broadcast(v)), w)


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_slots_and_styles(architecture: str) -> None:
    generator = _random(architecture)
    assert generator.layer_resolutions == (4, 8, 8, 16, 16, 16)
    ws = torch.randn(2, 6, 8, dtype=torch.float64)
    styles = generator.styles(ws.unbind(1))
    assert len(styles) == (8 if architecture == "skip" else 6)
    torch.testing.assert_close(generator.from_styles(styles), generator.synthesis(ws))
    image = generator.synthesis(ws)
    for slot in range(6):
        moved = ws.clone()
        moved[:, slot] += 1
        assert (generator.synthesis(moved) - image).abs().amax((1, 2, 3)).min() > 1e-6, slot


def test_labels_choose_the_class() -> None:
    generator = _random("skip", classes=3)
    assert (generator.z_dim, generator.num_classes) == (8, 3)
    z = torch.randn(1, 8, dtype=torch.float64).expand(3, 8)
    w = generator.mapping(z, torch.tensor([0, 1, 1]))
    assert (w[0] - w[1]).abs().max() > 1e-3
    torch.testing.assert_close(w[1], w[2])
    with pytest.raises(LowRankGANError, match=r"3 classes, expected a label; set sample\.label"):
        generator.mapping(z)


def test_random_noise_is_that_of_the_seed_for_every_image_of_every_batch() -> None:
    ws = torch.randn(3, 6, 8, dtype=torch.float64)
    one, other = (_random("skip", noise="random", noise_seed=seed) for seed in (1, 2))
    image = one.synthesis(ws)
    torch.testing.assert_close(one.synthesis(ws[[2, 0]]), image[[2, 0]])
    assert (other.synthesis(ws) - image).abs().max() > 1e-3


@pytest.mark.parametrize("name", [NVLABS, *SAME_WEIGHTS])
def test_what_does_not_fit_is_one_line(name: str) -> None:
    whole = read_checkpoint(CHECKPOINTS / name, {})
    for key in [key for key in whole.state if "resample" not in key or "conv0" in key][::7]:
        if key.endswith((".noise_const", ".embed.weight")):
            continue
        for state in (
            {k: v for k, v in whole.state.items() if k != key},
            {**whole.state, key: torch.zeros(7, 7, 7)},
        ):
            with pytest.raises(LowRankGANError) as caught:
                build_generator(Checkpoint("stylegan2", whole.settings, state, whole.format))
            assert "\n" not in str(caught.value)


def _parts(record: Record, name: str = "") -> dict[str, dict[str, Any]]:
    """Every module of a pickled network by its name, as the dictionary of its attributes."""
    state = record.state["state"]
    found = {name: state}
    for key, part in state["_modules"].items():
        if isinstance(part, Record):
            found |= _parts(part, f"{name}.{key}".strip("."))
    return found


def _pickled() -> tuple[Any, dict[str, dict[str, Any]]]:
    content = read_content(CHECKPOINTS / NVLABS)
    return content, _parts(content["G_ema"])


def test_attributes_of_a_pickle_are_honoured() -> None:
    content, parts = _pickled()
    for name, part in parts.items():
        if name.endswith(("conv0", "conv1")):
            part["use_noise"] = False
            part["conv_clamp"] = np.float64(7)
        if name.endswith("torgb"):
            part["conv_clamp"] = 7
            part["_parameters"] |= {k: v[:1] for k, v in part["_parameters"].items()}
        if name.startswith("mapping.fc"):
            part["bias_gain"] = 0.02
        if "resample_filter" in part["_buffers"]:
            part["_buffers"]["resample_filter"] = torch.arange(1.0, 9) / 36
    content = {"G": content["G_ema"], "G_ema": None}
    del parts["mapping"]["_buffers"]["w_avg"]
    assert nvlabs_stylegan2.recognises(content)
    found = nvlabs_stylegan2.convert(content, {})
    assert found.settings == {"architecture": "skip", "lr_multiplier": 0.02, "conv_clamp": 7.0}
    assert any("average of w" in sentence for sentence in found.assumed)
    assert not any("noise" in key for key in found.state)
    image = build_generator(found).synthesis(torch.randn(1, 8, 64))
    assert image.shape == (1, 3, 32, 32)
    assert torch.equal(image[:, 0], image[:, 2])  # grey


@pytest.mark.parametrize(
    ("module", "name", "value", "message"),
    [
        (
            "mapping.fc3",
            "activation",
            "relu",
            r"mapping\.fc3\.activation: 'relu', expected 'lrelu'",
        ),
        ("synthesis.b8.conv1", "conv_clamp", 3, "conv_clamp: layers differ in it"),
        ("synthesis.b8", "architecture", "orig", "architecture: layers differ in it"),
        ("mapping.fc1", "bias_gain", [1], "bias_gain: expected a number, got list"),
        ("synthesis.b16.conv0", "conv_clamp", float("inf"), "conv_clamp: inf, expected a finite"),
    ],
)
def test_attributes_that_no_official_code_makes_are_refused(
    module: str, name: str, value: Any, message: str
) -> None:
    content, parts = _pickled()
    parts[module][name] = value
    with pytest.raises(LowRankGANError, match=message):
        nvlabs_stylegan2.convert(content, {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": "loud"}, "noise is 'loud', expected one of const, none, random"),
        ({"architecture": "deep"}, "architecture is 'deep', expected one of skip, resnet, orig"),
        ({"lr_multiplier": "fast"}, "lr_multiplier is 'fast', expected a positive number"),
        ({"joint_normalization": "no"}, "joint_normalization is 'no', expected true or false"),
    ],
)
def test_unknown_settings_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(LowRankGANError, match=message):
        read_and_build(settings)


def read_and_build(settings: dict[str, str]) -> None:
    build_generator(read_checkpoint(CHECKPOINTS / NVLABS, settings))
