"""The reader of numpy pickles: what it must read, and everything that it must survive."""

import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers import numpy_pickle, pickle_machine
from lowrankgan.generators.readers.numpy_pickle import read_numpy_pickle
from tests.hostile_programs import Call, binary, number, text
from tests.test_reading import assert_same

PROTOCOLS = (2, 3, 4, 5)
DTYPES = st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, max_side=4))
)
LEAVES = ARRAYS | st.integers() | st.floats(allow_nan=False)
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8)
TREES = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda tree: st.dictionaries(NAMES, tree, max_size=3)),
    max_size=3,
)
SAMPLE = {"net": {"kernel": np.arange(12, dtype=np.float32).reshape(3, 4), "steps": 7}, "x": 0.5}


def assert_plain(tree: Any) -> None:
    assert type(tree) in (dict, np.ndarray, int, float)
    if isinstance(tree, dict):
        for key, value in tree.items():
            assert type(key) is str
            assert_plain(value)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, Any]]:
    def read_bytes(data: bytes) -> dict[str, Any]:
        path = tmp_path / "weights.ckpt"
        path.write_bytes(data)
        return read_numpy_pickle(path)

    return read_bytes


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tree=TREES)
def test_reads_what_pickle_writes(
    read: Callable[[bytes], dict[str, Any]], protocol: int, tree: dict[str, Any]
) -> None:
    assert_same(read(pickle.dumps(tree, protocol)), tree)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_reads_other_memory_orders_and_shared_arrays(
    read: Callable[[bytes], dict[str, Any]], protocol: int
) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    tree = {"fortran": np.asfortranarray(array), "strided": array[:, ::2], "a": array, "b": array}
    assert_same(read(pickle.dumps(tree, protocol)), tree)


def test_an_array_is_paid_for_at_every_use(read: Callable[[bytes], dict[str, Any]]) -> None:
    array = np.zeros(1 << 18, dtype=np.float32)  # 1 MiB
    assert len(read(pickle.dumps({str(i): array for i in range(4)}))) == 4
    with pytest.raises(LowRankGANError, match=r"more than .* several times what the file holds"):
        read(pickle.dumps({str(i): array for i in range(100)}))


def test_reads_the_names_of_numpy_1(read: Callable[[bytes], dict[str, Any]]) -> None:
    data = pickle.dumps(SAMPLE, 3)
    assert b"numpy._core.multiarray" in data
    assert_same(read(data.replace(b"numpy._core.", b"numpy.core.")), SAMPLE)


def test_arrays_are_read_only(read: Callable[[bytes], dict[str, Any]]) -> None:
    assert not read(pickle.dumps(SAMPLE, 5))["net"]["kernel"].flags.writeable


def entry(value: bytes) -> bytes:
    """A pickle of {"a": value}, value being opcodes."""
    return b"\x80\x04}" + text("a") + value + b"s."


DTYPE = b"cnumpy\ndtype\n" + text("f4") + b"\x89\x88\x87R"
DTYPE_STATE = b"(K\x03" + text("<") + b"NNN" + number(-1) + number(-1) + b"K\x00t"
RECONSTRUCT = (
    b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + binary(b"b") + b"\x87R"
)
STRING = text("x" * 10_000)


def array(shape: bytes, data: bytes, dtype: bytes = DTYPE + DTYPE_STATE + b"b") -> bytes:
    state = b"(K\x01" + shape + dtype + b"\x89" + binary(data) + b"t"
    return RECONSTRUCT + state + b"b"


CALLS: dict[str, tuple[Any, ...]] = {
    "system": (os.system, "touch canary"),
    "popen": (subprocess.Popen, ["touch", "canary"]),
    "eval": (eval, "open('canary', 'w')"),
    "exec": (exec, "open('canary', 'w')"),
    "open": (open, "canary", "w"),
    "getattr": (getattr, np.ndarray, "tofile"),
    "import": (__import__, "os"),
    "tofile": (np.ndarray.tofile, np.zeros(3), "canary"),
    "save": (np.save, "canary.npy", np.zeros(3)),
    "fromfile": (np.fromfile, "/etc/passwd", "u1"),
    "zeros": (np.zeros, 1 << 40),
    "dtype": (np.dtype, "O"),
    "bytearray": (bytearray, 1 << 40),
}
OPCODES = {
    "empty file": b"",
    "text": b"import os; os.system('touch canary')",
    "persistent id": entry(b"Pcanary\n"),
    "binary persistent id": entry(text("canary") + b"Q"),
    "extension registry": entry(b"\x82\x01"),
    "inst": entry(b"(" + text("touch canary") + b"ios\nsystem\n"),
    "obj": entry(b"(cos\nsystem\n" + text("touch canary") + b"o"),
    "newobj": entry(b"cnumpy\nndarray\nK\x05\x85\x81"),
    "newobj_ex": entry(b"cnumpy\nndarray\nK\x05\x85}\x92"),
    "next buffer": entry(b"\x97"),
    "dotted name": entry(text("numpy") + text("ndarray.tofile") + b"\x93"),
    "dotted global": entry(b"cnumpy.core.multiarray\n_reconstruct.__globals__\n"),
    "name of a stand-in": entry(b"clowrankgan.generators.readers.numpy_pickle\n_Array\n"),
    "global in the result": entry(b"cnumpy\ndtype\n"),
    "dtype in the result": entry(DTYPE),
    "text in the result": entry(text("x")),
    "list": entry(b"]"),
    "mark in the result": entry(b"("),
    "array without data": entry(RECONSTRUCT),
    "not a dictionary": b"\x80\x04" + array(b"K\x01\x85", bytes(4)) + b".",
    "key that is no text": b"\x80\x04}K\x01K\x01s.",
    "odd number of items": b"\x80\x04}(" + text("a") + b"u.",
    "items without a mark": b"\x80\x04}" + text("a") + b"K\x01u.",
    "items of an array": array(b"K\x01\x85", bytes(4)) + text("a") + b"K\x01s.",
    "empty stack": b"\x80\x04s.",
    "unknown memo": entry(b"h\x05"),
    "unhashable key": b"\x80\x04}}K\x01s.",
    "object dtype": entry(array(b"K\x01\x85", bytes(8), DTYPE.replace(b"f4", b"O8"))),
    "void dtype": entry(array(b"K\x01\x85", bytes(8), DTYPE.replace(b"f4", b"V8"))),
    "dtype called by name": entry(b"cnumpy\ndtype\ncos\nsystem\n\x89\x88\x87R"),
    "dtype from a dict": entry(b"cnumpy\ndtype\n}\x89\x88\x87R"),
    "ndarray called": entry(b"cnumpy\nndarray\n" + number(1 << 40) + b"\x85\x85R"),
    "reconstruct another class": entry(RECONSTRUCT.replace(b"cnumpy\nndarray", b"cnumpy\ndtype")),
    "reconstruct a shape": entry(RECONSTRUCT.replace(b"K\x00\x85", b"K\x09\x85")),
    "state of a dtype with fields": entry(
        array(b"K\x01\x85", bytes(4), DTYPE + DTYPE_STATE.replace(b"NNN", b"N)}") + b"b")
    ),
    "big-endian": entry(
        array(b"K\x01\x85", bytes(4), DTYPE + DTYPE_STATE.replace(b"<", b">") + b"b")
    ),
    "state is a dict": entry(RECONSTRUCT + b"}b"),
    "built twice": entry(array(b"K\x01\x85", bytes(4)) + b"}b"),
    "state of a global": entry(b"cnumpy\ndtype\n}b"),
    "shape is huge": entry(array(number(1 << 40) + b"\x85", bytes(8))),
    "shape overflows": entry(array(number(1 << 62) + number(1 << 62) + b"\x86", bytes(8))),
    "shape is huge and empty": entry(array(b"K\x00" + number(1 << 70) + b"\x86", b"")),
    "shape is negative": entry(array(number(-1) + b"\x85", bytes(4))),
    "shape holds a bool": entry(array(b"\x88\x85", bytes(4))),
    "shape is a number": entry(array(b"K\x01", bytes(4))),
    "shape of 64 dimensions": entry(array(b"(" + b"K\x01" * 64 + b"t", bytes(4))),
    "too few bytes": entry(array(b"K\x02\x85", bytes(4))),
    "too many bytes": entry(array(b"K\x01\x85", bytes(8))),
    "frombuffer of a huge shape": entry(
        b"cnumpy.core.numeric\n_frombuffer\n("
        + binary(bytes(4))
        + DTYPE
        + (number(1 << 40) + b"\x85" + text("C") + b"tR")
    ),
    "bytes longer than the file": entry(b"\x8e" + (1 << 62).to_bytes(8, "little")),
    "bytes longer than memory": entry(b"\x8e" + b"\xff" * 8),
    "bytearray longer than the file": entry(b"\x96" + (1 << 62).to_bytes(8, "little")),
    "text that is no UTF-8": entry(b"X\x01\x00\x00\x00\xff"),
    "global without an end": b"\x80\x04cnumpy",
    "global that is no ASCII": entry(b"cnump\xff\nndarray\n"),
    "nested tuples as a key": b"\x80\x04})" + b"\x85" * 60_000 + b"K\x01s.",
    "nested tuples as a global": entry(b")" + b"\x85" * 30_000 + text("x") + b"\x93"),
    "nested tuples as a function": entry(b")" + b"\x85" * 60_000 + b")R"),
    "tuples of exponential size": entry(
        b")" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(128)) + text("x") + b"\x93"
    ),
    "dictionary in itself": b"\x80\x04}q\x00" + text("a") + b"h\x00s.",
    "nested dictionaries": b"\x80\x04"
    + (b"}" + text("a")) * 5_000
    + b"K\x01"
    + b"s" * 5_000
    + b".",
    "endless program": b"\x80\x04}" + b"N" * 1_000_000 + b".",
    "text encoded over and over": b"\x80\x04}"
    + (STRING + b"q\x00")
    + (b"c_codecs\nencode\nh\x00" + text("latin1") + b"\x86R") * 3_000
    + b".",
    "text that is no latin-1": entry(b"c_codecs\nencode\n" + text("€") + text("latin1") + b"\x86R"),
    "another codec": entry(b"c_codecs\nencode\n" + text("x") + text("zlib") + b"\x86R"),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CALLS)
def test_refuses_calls(
    read: Callable[[bytes], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    protocol: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    call = Call(*CALLS[name])
    objects = np.array([call, None], dtype=object)
    for tree in (call, {"a": call}, {"a": {"b": [call]}}, {"a": objects}, {"a": (1, call)}):
        with pytest.raises(LowRankGANError, match=r"weights\.ckpt: expected a pickle of numeric"):
            read(pickle.dumps(tree, protocol))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.ckpt"]


@pytest.mark.parametrize("name", OPCODES)
def test_refuses_hostile_programs(
    read: Callable[[bytes], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LowRankGANError) as caught:
        read(OPCODES[name])
    assert "weights.ckpt: expected a pickle of numeric numpy arrays" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["weights.ckpt"]


def test_the_building_blocks_of_the_hostile_programs_are_valid(
    read: Callable[[bytes], dict[str, Any]],
) -> None:
    expected = {"a": np.arange(2, dtype=np.float32)}
    assert_same(read(entry(array(b"K\x02\x85", expected["a"].tobytes()))), expected)


def test_a_large_memo_index_costs_nothing(read: Callable[[bytes], dict[str, Any]]) -> None:
    assert read(entry(b"K\x01r\xff\xff\xff\xff")) == {"a": 1}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_refuses_truncated_files(read: Callable[[bytes], dict[str, Any]], protocol: int) -> None:
    data = pickle.dumps(SAMPLE, protocol)
    for size in range(0, len(data) - 1, 7):
        with pytest.raises(LowRankGANError, match="expected a pickle of numeric numpy arrays"):
            read(data[:size])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_survives_corrupted_files(
    read: Callable[[bytes], dict[str, Any]], protocol: int, data: st.DataObject
) -> None:
    sound = bytearray(pickle.dumps(SAMPLE, protocol))
    places = st.lists(st.integers(0, len(sound) - 1), min_size=1, max_size=4)
    for place in data.draw(places):
        sound[place] = data.draw(st.integers(0, 255))
    try:
        assert_plain(read(bytes(sound)))
    except LowRankGANError as error:
        assert len(str(error).splitlines()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(sorted(pickle_machine.OPCODES)), max_size=40), st.binary())
def test_survives_random_programs(
    read: Callable[[bytes], dict[str, Any]], opcodes: list[bytes], tail: bytes
) -> None:
    try:
        assert_plain(read(b"\x80\x04}" + text("a") + b"\x01".join(opcodes) + tail))
    except LowRankGANError as error:
        assert len(str(error).splitlines()) == 1


def test_refuses_unreadable_and_oversized_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LowRankGANError, match=r"missing\.ckpt: cannot be read"):
        read_numpy_pickle(tmp_path / "missing.ckpt")
    with pytest.raises(LowRankGANError, match="cannot be read"):
        read_numpy_pickle(tmp_path)
    path = tmp_path / "large.ckpt"
    path.write_bytes(bytes(100))
    monkeypatch.setattr(numpy_pickle, "_MAX_BYTES", 99)
    with pytest.raises(LowRankGANError, match=r"large\.ckpt: larger than 99 bytes"):
        read_numpy_pickle(path)
