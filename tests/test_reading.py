"""What honest checkpoints of every container read as."""

import argparse
import collections
import io
import json
import pickle
import resource
import sys
import types
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.content import Record, read_content
from lowrankgan.generators.readers.nvlabs_modules import flatten
from tests.hostile_programs import (
    FLOATS,
    RAW,
    call,
    legacy,
    lst,
    name,
    storage_id,
    tensor,
    text,
    tup,
)
from tests.references import CHECKPOINTS

PROTOCOLS = (2, 3, 4, 5)
PLAIN = (type(None), bool, int, float, str, bytes)


def assert_same(actual: Any, expected: Any) -> None:
    """Equal in types, order, values and dtypes; subclasses of dict are dictionaries."""
    match expected:
        case dict():
            assert type(actual) is dict
            assert list(actual) == list(expected)
            for key in expected:
                assert_same(actual[key], expected[key])
        case list() | tuple():
            assert type(actual) is (list if isinstance(expected, list) else tuple)
            assert len(actual) == len(expected)
            for one, other in zip(actual, expected, strict=True):
                assert_same(one, other)
        case torch.Tensor():
            assert type(actual) is torch.Tensor
            assert actual.is_contiguous() and not actual.requires_grad
            torch.testing.assert_close(actual, expected.detach(), rtol=0, atol=0, equal_nan=True)
        case np.ndarray():
            assert actual.dtype == expected.dtype and not actual.flags.writeable
            np.testing.assert_array_equal(actual, expected)
        case argparse.Namespace():
            assert isinstance(actual, Record) and actual.name == "Namespace"
            assert_same(actual.state, vars(expected))
        case np.generic():
            assert_same(actual, expected.item())
        case _:
            assert type(actual) is type(expected) and actual == expected


def assert_inert(tree: Any) -> None:
    """A tree of the promised types only."""
    match tree:
        case dict():
            assert all(type(key) is int or key.isprintable() for key in tree)
            for value in tree.values():
                assert_inert(value)
        case list() | tuple():
            for value in tree:
                assert_inert(value)
        case Record():
            assert_inert(tree.state)
        case _:
            assert type(tree) in (*PLAIN, torch.Tensor, np.ndarray)


@pytest.mark.parametrize(
    "path",
    [
        "rosinality_uncond_r32.pt",
        "genforce_uncond_r32.pth",
        "resefa_uncond_r32.pth",
        "ajbrock_biggan_r128.pth",
        "hf_biggan_deep_128/pytorch_model.bin",
    ],
)
def test_pytorch_files_read_as_pytorch_reads_them(path: str, tmp_path: Path) -> None:
    official = torch.load(CHECKPOINTS / path, weights_only=True)
    assert_same(read_content(CHECKPOINTS / path), official)
    torch.save(official, tmp_path / "old", _use_new_zipfile_serialization=False)
    assert_same(read_content(tmp_path / "old"), official)


@pytest.mark.parametrize(
    "path", ["nv_sg2ada_uncond_r32", "nv_sg2ada_uncond_r32_clamp2", "nv_sg3t_uncond_r32"]
)
def test_nvlabs_modules_have_the_shapes_of_their_state_dict(path: str) -> None:
    description = json.loads((CHECKPOINTS / f"{path}.json").read_text())
    content = read_content(CHECKPOINTS / f"{path}.pkl")
    tensors, attributes = flatten(content["G_ema"])
    shapes = {key: list(value.shape) for key, value in tensors.items()}
    assert shapes == description["state_dict"]
    assert attributes[""]["num_ws"] == description["num_ws"]
    meta = content["G_ema"].state
    assert meta["state"]["_init_kwargs"] == description["init_kwargs"]
    assert meta["class_name"] == "Generator"
    assert_inert(content)


def test_one_generator_has_equal_weights_in_every_container() -> None:
    """The reference files hold the same weights, written by independent implementations."""
    tensors, _ = flatten(read_content(CHECKPOINTS / "nv_sg2ada_uncond_r32.pkl")["G_ema"])
    rosinality = read_content(CHECKPOINTS / "rosinality_uncond_r32.pt")
    _, _, network = read_content(CHECKPOINTS / "tf_sg2_legacy_uncond_r32.pkl")
    assert isinstance(network, Record) and network.name == "Network"
    mapping = dict(network.state["components"]["mapping"].state["variables"])
    for index in range(8):
        expected = tensors[f"mapping.fc{index}.weight"]
        assert_same(rosinality["g_ema"][f"style.{index + 1}.weight"], expected)
        assert_same(torch.tensor(mapping[f"Dense{index}/weight"]).T.contiguous(), expected)
    assert_same(rosinality["latent_avg"], tensors["mapping.w_avg"])
    assert "build_module_src" not in network.state


@cache
def everything() -> dict[str, Any]:
    """One of each kind of value that a training checkpoint may hold."""
    grid = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    kinds = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
    return {
        "g_ema": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(size=256, path="lmdb", lr=0.002, arch=None, local=[1, (2,)]),
        "types": [torch.tensor([0, 1, 2]).to(kind) for kind in (*kinds, torch.int8, torch.uint8)],
        "truth": torch.tensor([[True, False], [True, True]]),
        "views": (grid[1], grid[:, ::2, 1:], grid.permute(2, 0, 1), grid[0, 0, 0], grid[:0]),
        "expanded": torch.ones(1, 3).expand(4, 3),
        "empty": torch.empty(0, 5),
        "scalar": torch.tensor(float("nan")),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "size": torch.Size([1, 2]),
        "numpy": [np.float32(0.5), np.int64(7), np.bool_(True), np.arange(6).reshape(2, 3)],
        "shared": [grid, grid],
        "steps": 1 << 40,
        3: b"bytes",
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("zipped", [True, False])
def test_training_checkpoints(tmp_path: Path, protocol: int, zipped: bool) -> None:
    tree = everything()
    torch.save(
        tree, tmp_path / "x", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped
    )
    actual = read_content(tmp_path / "x")
    assert_same(actual, tree)
    first, second = actual["shared"]
    assert first.data_ptr() != second.data_ptr()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_pickles_of_tensors(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "x").write_bytes(pickle.dumps(everything(), protocol))
    assert_same(read_content(tmp_path / "x"), everything())


def test_deflated_archives_of_any_prefix(tmp_path: Path) -> None:
    torch.save(everything(), tmp_path / "x")
    with (
        zipfile.ZipFile(tmp_path / "x") as stored,
        zipfile.ZipFile(tmp_path / "y", "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for member in stored.namelist():
            if not member.endswith("byteorder"):  # PyTorch before 2.1 wrote none
                deflated.writestr(member.replace("x/", "a folder/of mine/"), stored.read(member))
    assert_same(read_content(tmp_path / "y"), everything())


def test_devices_are_text(tmp_path: Path) -> None:
    torch.save({"a": torch.device("cuda:1"), "b": torch.device("cpu")}, tmp_path / "x")
    assert read_content(tmp_path / "x") == {"a": "cuda:1", "b": "cpu"}


def test_files_of_python_2(tmp_path: Path) -> None:
    """Text in byte strings, ordered dictionaries from lists, the first form of tensors."""
    key = b"U\x01w"
    rebuilt = call(
        name("torch._utils", "_rebuild_tensor"),
        tup(b"U\x07storage", FLOATS, b"U\x010", b"U\x03cpu", b"\x8a\x01\x04", b"N") + b"Q",
        *(b"K\x01", b"K\x03\x85", b"K\x01\x85"),
    )
    ordered = call(name("collections", "OrderedDict"), lst(lst(key, rebuilt)))
    (tmp_path / "x").write_bytes(legacy(ordered, lst(b"U\x010"), RAW))
    assert_same(read_content(tmp_path / "x"), {"w": torch.tensor([1.0, 2.0, 3.0])})


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Classes by the names that NVlabs' pickles hold, to write such pickles with."""

    class EasyDict(dict[str, Any]):
        pass

    class Network:
        def __init__(self, **state: Any) -> None:
            self.__dict__.update(state)

    class Module:
        def __init__(self, **state: Any) -> None:
            self.state = {"_parameters": {}, "_buffers": {}, "_modules": {}} | state

        def __reduce__(self) -> tuple[Any, ...]:
            meta = {"type": "class", "version": 6, "module_src": "raise", "class_name": "Layer"}
            return _reconstruct_persistent_obj, ({**meta, "state": self.state},)

    def _reconstruct_persistent_obj(meta: Any) -> None:
        raise AssertionError

    for made, module in (
        (EasyDict, "dnnlib.util"),
        (Network, "dnnlib.tflib.network"),
        (_reconstruct_persistent_obj, "torch_utils.persistence"),
    ):
        made.__module__, made.__qualname__ = module, made.__name__
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            path = ".".join(parts[:end])
            if path not in sys.modules:
                monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
        setattr(sys.modules[module], made.__name__, made)
    return types.SimpleNamespace(EasyDict=EasyDict, Network=Network, Module=Module)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nvlabs_pickles(tmp_path: Path, official: types.SimpleNamespace, protocol: int) -> None:
    weight = torch.nn.Parameter(torch.ones(2, 3))
    child = official.Module(
        _parameters={"weight": weight, "bias": None},
        _buffers=collections.OrderedDict(w_avg=torch.zeros(3)),
        _non_persistent_buffers_set={"w_avg"},
        _forward_hooks=collections.OrderedDict(),
        _init_args=(2, 3),
        _init_kwargs=official.EasyDict(conv_clamp=None),
        act_gain=np.sqrt(2),
        use_fp16=np.bool_(False),
        size=np.broadcast_to(np.asarray(36), [2]),
    )
    root = official.Module(_modules={"a": child, "b": child, "c": None}, z_dim=64)
    snapshot = {"G_ema": root, "training_set_kwargs": official.EasyDict(path="x"), "D": None}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(snapshot, protocol))
    content = read_content(tmp_path / "x.pkl")
    assert content["training_set_kwargs"] == {"path": "x"}
    tensors, attributes = flatten(content["G_ema"])
    assert list(tensors) == ["a.weight", "a.w_avg", "b.weight", "b.w_avg"]
    assert_same(tensors["a.weight"], weight)
    assert attributes[""] == {"z_dim": 64}
    np.testing.assert_array_equal(attributes["a"].pop("size"), [36, 36])
    assert attributes["a"] == {"act_gain": 2**0.5, "use_fp16": False}
    state = content["G_ema"].state["state"]["_modules"]["a"].state["state"]
    assert_same(state["_init_kwargs"], {"conv_clamp": None})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tensorflow_networks(
    tmp_path: Path, official: types.SimpleNamespace, protocol: int
) -> None:
    variables = [("lod", np.float32(0)), ("w", np.ones((1, 2), "f4")), ("n", np.float32([2]))]
    part = official.Network(version=4, variables=variables, components=official.EasyDict())
    whole = official.Network(components=official.EasyDict(mapping=part), build_module_src="raise")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps((whole, whole), protocol))
    network, _ = read_content(tmp_path / "x.pkl")
    assert list(network.state) == ["components"]
    read = network.state["components"]["mapping"]
    assert read.name == "Network"
    assert_same(read.state, {"version": 4, "variables": variables, "components": {}})


@pytest.mark.parametrize("record", [{}, {"state": {}}, {"state": {"_parameters": {"x": 1}}}])
def test_flatten_names_what_is_no_module(record: dict[str, Any]) -> None:
    with pytest.raises(LowRankGANError, match=r"^(the root|x): expected a"):
        flatten(Record("persistent", record))


def test_safetensors_and_folders(tmp_path: Path) -> None:
    state = {"w": torch.ones(2, dtype=torch.bfloat16), "n": torch.tensor(3)}
    safetensors.torch.save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    assert_same(
        read_content(tmp_path / "model.safetensors"),
        {"metadata": {"format": "pt"}, "state": dict(sorted(state.items()))},
    )
    with pytest.raises(LowRankGANError, match=r"is a folder, expected .* config\.json beside"):
        read_content(tmp_path)
    (tmp_path / "config.json").write_text('{"z_dim": 128}')
    folder = read_content(tmp_path)
    assert_same(folder, {"config": {"z_dim": 128}, "state": dict(sorted(state.items()))})
    for text_ in ("[]", "{", "[" * 100_000, f'{{"a": "{"x" * (1 << 20)}"}}'):
        (tmp_path / "config.json").write_text(text_)
        with pytest.raises(LowRankGANError, match=r"its config\.json is no JSON"):
            read_content(tmp_path)
    folder = read_content(CHECKPOINTS / "hf_biggan_deep_128")
    assert folder["config"]["z_dim"] == 32
    assert_same(folder["state"], read_content(CHECKPOINTS / "hf_biggan_deep_128/pytorch_model.bin"))


def test_a_file_that_is_missing_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(LowRankGANError, match=r"none: cannot be read \(No such file"):
        read_content(tmp_path / "none")
    with (tmp_path / "x").open("wb") as file:
        file.truncate(9 << 30)
    with pytest.raises(LowRankGANError, match="x: is larger than 8 GiB"):
        read_content(tmp_path / "x")


def small_files() -> list[bytes]:
    state = {"a.weight": torch.ones(2, 3), "b": torch.arange(4), "c": np.float64(1), "d": [True]}
    files = [pickle.dumps({"G": state}, 4), pickle.dumps({"x": np.ones((2, 2), "f4")}, 2)]
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
        files.append(buffer.getvalue())
    files.append(safetensors.torch.save({"a": torch.ones(2, 3)}, {"format": "pt"}))
    return [*files, legacy(tensor(storage=storage_id("0", 4, FLOATS, b"N")), lst(text("0")), RAW)]


FILES = small_files()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound file with bytes changed, an end cut off, or parts of another file inside."""
    data = bytearray(draw(st.sampled_from(FILES)))
    places = st.integers(0, len(data) - 1)
    for place in draw(st.lists(places, max_size=4)):
        data[place] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        other = draw(st.sampled_from(FILES))
        start = draw(st.integers(0, len(other)))
        piece = other[start : start + draw(st.integers(0, 64))]
        place = draw(places)
        data[place : place + draw(st.integers(0, 64))] = piece
    return bytes(data[: draw(places)] if draw(st.booleans()) else data)


@settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=damaged())
def test_damaged_files_are_trees_or_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        assert_inert(read_content(tmp_path / "x"))
    except LowRankGANError as error:
        assert str(error).isascii() and str(error).isprintable()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 16  # KiB
