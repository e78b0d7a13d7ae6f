from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.biggan import BigGAN
from lowrankgan.generators.biggan_deep import BigGANDeep
from lowrankgan.generators.biggan_layers import statistics_weights
from lowrankgan.generators.checkpoint import load_checkpoint, save_checkpoint
from lowrankgan.generators.formats import ajbrock_biggan, huggingface_biggan
from lowrankgan.generators.readers.content import read_content
from tests.derivatives import check_derivatives
from tests.references import CHECKPOINTS, arrays, close

CLASSES = {"biggan": BigGAN, "biggan_deep": BigGANDeep}
AJBROCK = ["mybn", "flat", "unshared", "cross_replica", "deep_64", "deep_standing"]
LINEARIZED = [("mybn", "z"), ("flat", "class")]
OPTIONS = {"flat": {"BN_eps": 1e-3}}


def _ajbrock(name: str, latent: str = "z") -> Generator:
    content = read_content(CHECKPOINTS / f"ajbrock_{name}.pth")
    return _build(ajbrock_biggan, content, latent, OPTIONS.get(name, {}))


def _huggingface(name: str, latent: str = "z") -> Generator:
    return _build(huggingface_biggan, read_content(CHECKPOINTS / name), latent)


def _build(
    module: Any, content: Any, latent: str = "z", options: Mapping[str, Any] | None = None
) -> Generator:
    checkpoint = module.convert(content, options or {})
    return CLASSES[checkpoint.architecture](checkpoint.state, **checkpoint.settings, latent=latent)


def _render(generator: Generator, w: Tensor) -> Tensor:
    return generator.synthesis(generator.broadcast(w))


@pytest.mark.parametrize("latent", ["z", "class"])
def test_reference_of_ajbrock(latent: str) -> None:
    reference = arrays("ajbrock_biggan_r128.npz")
    generator = _ajbrock("biggan_r128", latent)
    w = generator.mapping(reference["z"], reference["y"])
    assert generator.layer_resolutions == (4, 8, 16, 32, 64, 128)
    assert (generator.w_dim, generator.carried_dim) == ((24, 16) if latent == "z" else (16, 24))
    assert close(_render(generator, w), reference["img"])


@pytest.mark.parametrize("latent", ["z", "class"])
@pytest.mark.parametrize("name", AJBROCK)
def test_variants_of_ajbrock(name: str, latent: str) -> None:
    reference = arrays("biggan_variants.npz", f"ajbrock_{name}.")
    generator = _ajbrock(name, latent)
    w = generator.mapping(reference["z"], reference["label"])
    assert close(_render(generator, w), reference["image"])


@pytest.mark.parametrize("latent", ["z", "class"])
@pytest.mark.parametrize("name", ["hf_biggan_deep_128", "hf_biggan_deep_32"])
def test_reference_of_huggingface(name: str, latent: str) -> None:
    generator = _huggingface(name, latent)
    for truncation, z, label, image in _huggingface_images(name):
        w = generator.mapping(z, label)
        carried = torch.cat([w[:, :-1], torch.full_like(w[:, -1:], truncation)], dim=1)
        assert close(_render(generator, carried), image)


def _huggingface_images(name: str) -> list[tuple[float, Tensor, Tensor, Tensor]]:
    """Truncation, z, labels and images."""
    if name == "hf_biggan_deep_32":
        found = arrays("biggan_variants.npz", f"{name}.")
        return [(t, found["z"], found["label"], found[f"image_{t}"]) for t in (0.3, 0.35)]
    found = arrays(f"{name}/reference.npz")
    label = found["y"].argmax(1)
    return [(t, found["z"], label, found[f"img_trunc{t}"]) for t in (0.4, 0.405, 0.58, 1.0)]


def test_embedding_equals_the_one_hot_product() -> None:
    reference = arrays("hf_biggan_deep_128/reference.npz")
    w = _huggingface("hf_biggan_deep_128").mapping(reference["z"], reference["y"].argmax(1))
    assert torch.equal(w[:, 32:64], reference["embed"])


@pytest.mark.parametrize("latent", ["z", "class"])
def test_truncation_scales_z_and_chooses_statistics(latent: str) -> None:
    """Also one truncation for each image of a batch."""
    generator = _huggingface("hf_biggan_deep_128", latent)
    images = {
        t: (z, label, image) for t, z, label, image in _huggingface_images("hf_biggan_deep_128")
    }
    rows = []
    for truncation in (0.4, 0.58):
        z, label, _ = images[truncation]
        rows.append(generator.truncate(generator.mapping(z / truncation, label), truncation)[:1])
    expected = torch.cat([images[t][2][:1] for t in (0.4, 0.58)])
    assert close(_render(generator, torch.cat(rows)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_are_those_of_python_arithmetic(dtype: torch.dtype) -> None:
    """0.14, 0.28, 0.56, 0.58 and 0.94 fall below the step that they are on."""
    steps = 51
    truncations = [k / 1000 for k in range(1, 1001)]
    expected = torch.zeros(len(truncations), steps)
    for row, truncation in enumerate(truncations):
        position = truncation / (1.0 / (steps - 1))
        start, part = int(position), position % 1
        expected[row, start] = part or 1
        if part:
            expected[row, start + 1] = 1 - part
    weights = statistics_weights(torch.tensor(truncations, dtype=dtype)[:, None], steps)
    torch.testing.assert_close(weights.float(), expected, atol=1e-6, rtol=0)
    assert expected[579, 28] > 0.99


@pytest.mark.parametrize("latent", ["z", "class"])
@pytest.mark.parametrize("name", [*AJBROCK, "hf_biggan_deep_32"])
def test_derivatives_equal_differences(name: str, latent: str) -> None:
    generator = (_huggingface if name.startswith("hf") else _ajbrock)(name, latent).double()
    seeded = torch.Generator().manual_seed(1)
    z = torch.randn(1, generator.z_dim, generator=seeded, dtype=torch.float64)
    w = generator.truncate(generator.mapping(z, torch.tensor([3])), 0.58)
    edited, carried = w.split([generator.w_dim, generator.carried_dim], dim=1)

    def image(v: Tensor) -> Tensor:
        return _render(generator, torch.cat([v, carried], dim=1))

    check_derivatives(image, edited, linearized=(name, latent) in LINEARIZED)


@pytest.mark.parametrize(
    ("name", "latent", "reading"),
    [
        ("mybn", "z", {0, 1, 2, 3}),
        ("mybn", "class", {1, 2, 3}),
        ("flat", "z", {0}),
        ("flat", "class", {1, 2, 3}),
        ("deep_64", "z", set(range(9))),
        ("deep_64", "class", set(range(9))),
    ],
)
def test_slots_that_read_the_latent(name: str, latent: str, reading: set[int]) -> None:
    generator = _ajbrock(name, latent)
    w = generator.mapping(torch.ones(1, generator.z_dim), torch.tensor([0]))
    offset = F.pad(torch.ones(generator.w_dim), (0, generator.carried_dim))
    slots = [w] * generator.num_layers
    image = generator(slots)
    moved = {
        layer
        for layer in range(generator.num_layers)
        if not torch.equal(generator([*slots[:layer], w + offset, *slots[layer + 1 :]]), image)
    }
    assert moved == reading


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (None, "5 classes, expected a label"),
        ([5, 0], "label: 5, expected 0 to 4"),
        ([0, -1], "label: -1, expected 0 to 4"),
    ],
)
def test_labels_that_do_not_fit(label: list[int] | None, message: str) -> None:
    generator = _ajbrock("mybn")
    with pytest.raises(LowRankGANError, match=message):
        generator.mapping(torch.zeros(2, 12), None if label is None else torch.tensor(label))


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(LowRankGANError, match="BN_eps is 'small', expected a positive number"):
        ajbrock_biggan.convert(read_content(CHECKPOINTS / "ajbrock_flat.pth"), {"BN_eps": "small"})
    generator = _huggingface("hf_biggan_deep_32")
    w = generator.mapping(torch.zeros(1, 6), torch.tensor([0]))
    with pytest.raises(LowRankGANError, match=r"truncation 1\.5: expected 0 to 1"):
        generator.truncate(w, 1.5)
    with pytest.raises(LowRankGANError, match="latent: 'w' is unknown"):
        _ajbrock("mybn", "w")


FILES = {
    "ajbrock_mybn.pth": (ajbrock_biggan, "state_dict"),
    "ajbrock_unshared.pth": (ajbrock_biggan, None),
    "ajbrock_deep_64.pth": (ajbrock_biggan, None),
    "hf_biggan_deep_32": (huggingface_biggan, "state"),
}


@pytest.mark.parametrize("file", FILES)
def test_every_missing_or_misshapen_tensor_is_a_clear_line(file: str) -> None:
    module, inside = FILES[file]
    content = read_content(CHECKPOINTS / file)
    state = dict(content[inside] if inside else content)
    unused = (".sv0", ".accumulation_counter")
    repeated = ("blocks.2.", "blocks.4.", "blocks.5.", "blocks.6.")
    for key, value in state.items():
        if key.endswith(unused) or key.startswith(repeated):
            continue
        missing = {other: tensor for other, tensor in state.items() if other != key}
        for broken in (missing, {**state, key: torch.cat([value.reshape(-1), value.reshape(-1)])}):
            with pytest.raises(LowRankGANError) as caught:
                _build(module, {**content, inside: broken} if inside else broken)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "file"),
    [(ajbrock_biggan, "ajbrock_cross_replica.pth"), (huggingface_biggan, "hf_biggan_deep_32")],
)
def test_exported_state_is_whole(module: Any, file: str, tmp_path: Path) -> None:
    checkpoint = module.convert(read_content(CHECKPOINTS / file), {})
    save_checkpoint(checkpoint, tmp_path / "weights.safetensors")
    found = load_checkpoint(tmp_path / "weights.safetensors")
    assert found.description() == checkpoint.description()
    generator = CLASSES[found.architecture](found.state, **found.settings)
    assert generator.state_dict().keys() == checkpoint.state.keys()
    assert all(torch.equal(found.state[key], value) for key, value in checkpoint.state.items())


def test_synchronised_norm_of_several_devices_multiplies() -> None:
    """The same file with the gain taken as it was in training on several devices."""
    content = dict(read_content(CHECKPOINTS / "ajbrock_cross_replica.pth"))
    plain = {key.replace("bn.running_", "stored_"): value for key, value in content.items()}
    expected = ajbrock_biggan.convert(plain, {}).state
    found = ajbrock_biggan.convert(content, {"cross_replica_gain": "multiply"}).state
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_content_is_told_apart() -> None:
    formats = (ajbrock_biggan, huggingface_biggan)
    ajbrock = read_content(CHECKPOINTS / "ajbrock_mybn.pth")
    folder = read_content(CHECKPOINTS / "hf_biggan_deep_32")
    for content, expected in (
        (ajbrock, [True, False]),
        (folder, [False, True]),
        (folder["state"], [False, True]),
        ({1: 2, "state": None, "config": 3, "G": {}}, [False, False]),
        ([b"", None], [False, False]),
    ):
        assert [known.recognises(content) for known in formats] == expected


def test_what_a_file_does_not_tell_is_said() -> None:
    content = read_content(CHECKPOINTS / "hf_biggan_deep_128")
    whole = huggingface_biggan.convert(content, {})
    bare = huggingface_biggan.convert(content["state"], {})
    assert whole.assumed == ()
    assert [sentence.split()[0] for sentence in bare.assumed] == ["eps", "layers"]
    assert bare.settings == whole.settings
    assert all(torch.equal(bare.state[key], value) for key, value in whole.state.items())
    synchronised = read_content(CHECKPOINTS / "ajbrock_cross_replica.pth")
    assumed = ajbrock_biggan.convert(synchronised, {"BN_eps": 1e-5}).assumed
    assert [sentence.split()[0] for sentence in assumed] == ["SN_eps", "cross_replica_gain"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention_layer_position": 2}, "attention_layer_position is 2"),
        ({"layers": [[True, 16, 8]]}, r"layers: \[\[16, 8\]\]"),
        ({"layers": 3}, "layers: expected a list"),
        ({"layers": [[True, float("inf"), 8]]}, "layers: expected a list"),
        ({"layers": [["false", 16, 8]]}, "layers: expected a list"),
        ({"eps": None}, "eps is None, expected a positive number"),
    ],
)
def test_config_of_another_model(change: dict[str, Any], message: str) -> None:
    content = read_content(CHECKPOINTS / "hf_biggan_deep_32")
    with pytest.raises(LowRankGANError, match=message):
        huggingface_biggan.convert({**content, "config": {**content["config"], **change}}, {})


def test_parts_that_do_not_make_a_model() -> None:
    state = read_content(CHECKPOINTS / "hf_biggan_deep_32")["state"]
    ends = {key: value for key, value in state.items() if ".layers." not in key}
    with pytest.raises(LowRankGANError, match=r"generator.layers.0 is missing, expected a block"):
        huggingface_biggan.convert(ends, {})
    attention = {key: value for key, value in state.items() if ".layers.0.snconv" in key}
    with pytest.raises(LowRankGANError, match=r"generator.layers.1 is missing, expected a block"):
        huggingface_biggan.convert({**ends, **attention}, {})
    first = ("gen_z.bias", "gen_z.weight_orig", "gen_z.weight_u")
    cut = {key: value[:3] for key, value in state.items() if key.endswith(first)}
    with pytest.raises(LowRankGANError, match=r"gen_z.bias has 3 values, expected a multiple of"):
        huggingface_biggan.convert({**state, **cut}, {})
