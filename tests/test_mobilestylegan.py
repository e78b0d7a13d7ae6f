import numpy as np
import pytest
import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator, area_average
from lowrankgan.generators.mobilestylegan import MobileStyleGAN, inverse_haar
from lowrankgan.generators.readers.mobilestylegan_ir import read_mobilestylegan
from lowrankgan.generators.readers.openvino_ir import read_openvino_ir
from tests.conftest import ROOT
from tests.derivatives import check_derivatives


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    """OpenVINO 2026.4's float32 output (INFERENCE_PRECISION_HINT f32) of the same files."""
    with np.load(ROOT / "tests/data/mobilestylegan_openvino.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def test_mapping_equals_openvino(mobilestylegan: Generator, reference: dict[str, Tensor]) -> None:
    w = mobilestylegan.mapping(reference["z"])
    torch.testing.assert_close(w, reference["w"], atol=1e-4, rtol=0)


def test_synthesis_equals_openvino(mobilestylegan: Generator, reference: dict[str, Tensor]) -> None:
    image = mobilestylegan.synthesis(mobilestylegan.broadcast(0.7 * reference["w"]))
    assert image.shape == (2, 3, 1024, 1024)
    exact = {"atol": 1e-4, "rtol": 0.0}
    torch.testing.assert_close(image[:, :, 3::8, 3::8], reference["lattice"], **exact)
    torch.testing.assert_close(image[:, :, 460:500, 330:430], reference["eyes"], **exact)
    torch.testing.assert_close(area_average(image, 64), reference["area64"], **exact)


@pytest.mark.parametrize("resolution", [1024, 512, 256, 96])
def test_render_is_the_area_average(
    mobilestylegan: Generator, reference: dict[str, Tensor], resolution: int
) -> None:
    ws = mobilestylegan.broadcast(reference["w"][:1])
    expected = area_average(mobilestylegan.synthesis(ws), resolution)
    torch.testing.assert_close(mobilestylegan.render(ws, resolution), expected, atol=1e-5, rtol=0)


def test_rendering_in_place_is_the_same_and_leaves_no_trace(
    mobilestylegan: Generator, reference: dict[str, Tensor]
) -> None:
    ws = mobilestylegan.broadcast(reference["w"])
    expected = mobilestylegan.render(ws, 256)
    with torch.inference_mode():
        for _ in range(2):
            assert torch.equal(mobilestylegan.render(ws, 256), expected)


def test_each_slot_of_w_plus_changes_the_image(
    mobilestylegan: Generator, reference: dict[str, Tensor]
) -> None:
    w = reference["w"]
    base = mobilestylegan.broadcast(w[:1])
    image = mobilestylegan.render(base, 128)
    for layer in range(mobilestylegan.num_layers):
        ws = torch.stack([w[1] if i == layer else w[0] for i in range(23)])[None]
        assert (mobilestylegan.render(ws, 128) - image).abs().max() > 1e-4, layer


def test_layers_name_their_resolution(mobilestylegan: Generator) -> None:
    assert mobilestylegan.num_layers == 23
    assert mobilestylegan.layer_resolutions[0] == 4
    assert mobilestylegan.layer_resolutions[1:4] == (8, 8, 8)
    assert mobilestylegan.layer_resolutions[-2:] == (512, 1024)


def test_truncation(mobilestylegan: Generator, reference: dict[str, Tensor]) -> None:
    w, mean = reference["w"], mobilestylegan.w_mean
    torch.testing.assert_close(mobilestylegan.truncate(w, 1.0), w)
    torch.testing.assert_close(mobilestylegan.truncate(w, 0.0), mean.expand(2, -1))
    torch.testing.assert_close(mobilestylegan.truncate(w, 0.5), (w + mean) / 2)


def test_mean_of_w_is_the_centre_of_the_mapping(mobilestylegan: Generator) -> None:
    z = torch.from_numpy(np.random.RandomState(3).randn(4000, 512)).float()
    w = mobilestylegan.mapping(z)
    error = w.mean(0) - mobilestylegan.w_mean
    # Two independent means: their difference is a few standard errors per component.
    assert (error / (w.std(0) * (1 / 4000 + 1 / 10_000) ** 0.5)).abs().max() < 5


def test_inverse_haar_undoes_the_forward_transform() -> None:
    image = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    a, b = image[..., 0::2, 0::2], image[..., 0::2, 1::2]
    c, d = image[..., 1::2, 0::2], image[..., 1::2, 1::2]
    bands = [a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d]
    torch.testing.assert_close(inverse_haar(torch.cat(bands, 1) / 2), image)


def test_derivatives_in_float64() -> None:
    generator = small_mobilestylegan()
    torch.manual_seed(0)
    w = torch.randn(1, 8, dtype=torch.float64)
    check_derivatives(lambda v: generator.synthesis(generator.broadcast(v)), w)


def test_a_wrong_state_is_refused_in_one_line() -> None:
    state = small_state()
    del state["blocks.0.conv2.bias"]
    with pytest.raises(LowRankGANError, match=r"not the weights of a MobileStyleGAN.*conv2"):
        MobileStyleGAN(state)
    without = {key: value for key, value in state.items() if not key.startswith("blocks.")}
    for other in (without, {**small_state(), "w_mean": torch.zeros(3)}):
        with pytest.raises(LowRankGANError, match=r"not the weights of a MobileStyleGAN: "):
            MobileStyleGAN(other)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'version="10"', b'version="11"', "expected an OpenVINO graph"),
        (b"<net", b"<!DOCTYPE x [<!ENTITY a 'b'>]><net", "document type"),
        (b"<net", b"\0<net", "is not UTF-8 or declares"),
        (b"</net>", b"", "is not XML"),
        (b'to-port="1"', b'to-port="x"', "an edge has the port 'x'"),
        (b'offset="1050672"', b'offset="9999999"', "fetch the weights again"),
        (b'offset="1050672"', b'offset="-4"', "but 1048576 bytes"),
        (b'shape="512, 512"', b'shape="512, x"', "malformed number"),
        (b'shape="512, 512"', b'shape="512' + b", 1" * 65 + b'"', "malformed number"),
        (b'offset="1050672"', b'offset="' + b"9" * 5000 + b'"', "malformed number"),
        (b'<?xml version="1.0"', b'<?xml version="1.0" encoding="none"', "is not XML"),
        (b'element_type="f32"', b'element_type="f16"', "is f16, expected one of"),
        (b'type="MatMul"', b'type="Relu"', "is not the graph of a MobileStyleGAN"),
        (b'to-layer="26" to-port="1"', b'to-layer="99" to-port="1"', "is not the graph of a"),
    ],
)
def test_a_broken_graph_is_refused_in_one_line(
    generator_weights, tmp_path, old: bytes, new: bytes, message: str
) -> None:
    for name in ("MappingNetwork", "SynthesisNetwork"):
        for kind in ("xml", "bin"):
            (tmp_path / f"{name}.{kind}").symlink_to(generator_weights / f"{name}.{kind}")
    graph = tmp_path / "MappingNetwork.xml"
    content = graph.read_bytes()
    assert old in content
    graph.unlink()
    graph.write_bytes(content.replace(old, new))
    with pytest.raises(LowRankGANError, match=message) as caught:
        MobileStyleGAN(read_mobilestylegan(tmp_path))
    assert "\n" not in str(caught.value)


def test_constants_that_claim_the_same_bytes_again_and_again_are_refused(tmp_path) -> None:
    data = '<data element_type="f32" shape="16" offset="0" size="64"/>'
    layers = [f'<layer id="{i}" name="c" type="Const">{data}</layer>' for i in range(5)]
    graph, weights = tmp_path / "graph.xml", tmp_path / "graph.bin"
    weights.write_bytes(bytes(64))
    net = '<net version="10"><layers>{}</layers><edges/></net>'
    graph.write_text(net.format("".join(layers[:4])))
    assert len(read_openvino_ir(graph, weights)) == 4
    graph.write_text(net.format("".join(layers)))
    with pytest.raises(LowRankGANError, match=r"constants claim over 4 times the bytes of"):
        read_openvino_ir(graph, weights)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(LowRankGANError, match=r"graph\.xml: cannot be read"):
        read_openvino_ir(tmp_path / "graph.xml", tmp_path / "graph.bin")


def small_mobilestylegan() -> MobileStyleGAN:
    return MobileStyleGAN(small_state()).double()


def small_state() -> dict[str, Tensor]:
    """Random weights: w of 8, two blocks, 32 px."""
    random = torch.Generator().manual_seed(5)
    shapes: dict[str, tuple[int, ...]] = {"const": (1, 16, 4, 4)}
    for i in range(2):
        shapes |= {f"mapping_layers.{i}.weight": (8, 8), f"mapping_layers.{i}.bias": (8,)}
    shapes |= _convolution("conv1", 16, 16, 4, separable=False)
    for i in range(2):
        up = f"blocks.{i}.up.affine"
        shapes |= {f"{up}.weight": (16, 8), f"{up}.bias": (16,)}
        shapes |= _convolution(f"blocks.{i}.conv1", 4, 16, 8 << i)
        shapes |= _convolution(f"blocks.{i}.conv2", 16, 16, 8 << i)
    shapes |= {"to_rgb.affine.weight": (16, 8), "to_rgb.affine.bias": (16,)}
    shapes |= {"to_rgb.weight": (12, 16, 1, 1), "to_rgb.bias": (12,)}
    return {key: torch.randn(shape, generator=random) / 2 for key, shape in shapes.items()}


def _convolution(
    name: str, inputs: int, outputs: int, size: int, separable: bool = True
) -> dict[str, tuple[int, ...]]:
    kernel = 1 if separable else 3
    shapes: dict[str, tuple[int, ...]] = {
        f"{name}.affine.weight": (inputs, 8),
        f"{name}.affine.bias": (inputs,),
        f"{name}.weight": (outputs, inputs, kernel, kernel),
        f"{name}.bias": (outputs,),
        f"{name}.noise": (1, 1, size, size),
    }
    return shapes | ({f"{name}.depthwise": (inputs, 1, 3, 3)} if separable else {})
