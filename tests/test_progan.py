"""ProGAN against the definition in genforce's terms, written with plain operations."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import jvp, vmap

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.reading import read_checkpoint


def _state(fused: bool, classes: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    widths = {0: (6 + classes, 6), 1: (6, 6), 2: (6, 5), 3: (5, 5), 4: (5, 4), 5: (4, 4)}
    state: dict[str, Tensor] = {"lod": torch.zeros(())}
    for index, (inputs, outputs) in widths.items():
        up = fused and index in (2, 4)
        size = 4 if index == 0 else 3
        shape = (inputs, outputs) if up else (outputs, inputs)
        state[f"layer{index}.weight"] = torch.randn(*shape, size, size)
        state[f"layer{index}.bias"] = torch.randn(outputs)
    for block, width in enumerate((6, 5, 4)):
        state[f"output{block}.weight"] = torch.randn(3, width, 1, 1)
        state[f"output{block}.bias"] = torch.randn(3)
    return state


def _plain(state: dict[str, Tensor], z: Tensor, label: Tensor, fused: bool) -> Tensor:
    def norm(x: Tensor) -> Tensor:
        return x / torch.sqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)

    x = torch.cat([norm(z) * 6**0.5, label], dim=1)[:, :, None, None]
    for index in range(6):
        weight, bias = state[f"layer{index}.weight"], state[f"layer{index}.bias"]
        up = index in (2, 4)
        fan_in = weight.shape[0 if up and fused else 1] * weight.shape[2] ** 2
        weight = weight * (2 / fan_in) ** 0.5
        x = norm(x)
        if up and fused:
            weight = F.pad(weight, (1, 1, 1, 1))
            weight = sum(weight[:, :, a : a + 4, b : b + 4] for a in (0, 1) for b in (0, 1))  # type: ignore[assignment]
            x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
        else:
            x = F.interpolate(x, scale_factor=2, mode="nearest") if up else x
            x = F.conv2d(x, weight, bias, padding=3 if index == 0 else 1)
        x = F.leaky_relu(x, 0.2)
    return F.conv2d(norm(x), state["output2.weight"] / 2, state["output2.bias"])


def _load(tmp_path: Path, state: dict[str, Tensor], **options: int) -> Generator:
    torch.save({"generator_smooth": state}, tmp_path / "model.pth")
    return build_generator(read_checkpoint(tmp_path / "model.pth", options))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("classes", [0, 3])
def test_images_equal_those_of_plain_operations(tmp_path: Path, fused: bool, classes: int) -> None:
    state = _state(fused, classes)
    generator = _load(tmp_path, state, num_classes=classes)
    assert (generator.resolution, generator.z_dim, generator.num_classes) == (16, 6, classes)
    z = torch.randn(2, 6)
    label = torch.tensor([0, 2]) if classes else None
    one_hot = torch.zeros(2, 0) if label is None else F.one_hot(label, classes).float()
    found = generator.synthesis(generator.broadcast(generator.mapping(z, label)))
    expected = _plain(state, z, one_hot, fused)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fused", [True, False])
def test_derivatives_equal_differences(tmp_path: Path, fused: bool) -> None:
    generator = _load(tmp_path, _state(fused, 0)).double()
    w, tangents = torch.randn(1, 6).double(), torch.randn(2, 1, 6).double()

    def image(v: Tensor) -> Tensor:
        return generator.synthesis(generator.broadcast(v))

    together = vmap(lambda tangent: jvp(image, (w,), (tangent,))[1])(tangents)
    for tangent, derivative in zip(tangents, together, strict=True):
        torch.testing.assert_close(jvp(image, (w,), (tangent,))[1], derivative)
        difference = (image(w + 1e-7 * tangent) - image(w - 1e-7 * tangent)) / 2e-7
        assert (derivative - difference).norm() < 1e-5 * difference.norm()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lod", torch.ones(()), "lod is 1.0, expected 0"),
        ("layer3.bias", None, r"layer3\.bias is missing"),
        ("layer3.weight", torch.zeros(5, 4, 3, 3), "channels do not follow"),
        ("output2.weight", torch.zeros(1, 4, 1, 1), "output2.bias has the shape"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, key: str, value: Tensor | None, message: str
) -> None:
    state = {k: v for k, v in _state(False, 0).items() if k != key}
    with pytest.raises(LowRankGANError, match=message):
        _load(tmp_path, state if value is None else {**state, key: value})
