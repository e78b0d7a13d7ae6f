"""Files that attack their reader: each ends in one clear line, soon, and nothing happens."""

import io
import json
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.content import Record, read_content
from tests.conftest import ROOT
from tests.hostile_programs import (
    BOMBS,
    FLOATS,
    LOAD,
    ORDERED,
    PERSISTENT,
    PROGRAMS,
    RAW,
    SYSTEM,
    binary,
    call,
    dct,
    elements,
    legacy,
    lst,
    number,
    pickled,
    sizes,
    storage_id,
    tensor,
    text,
)
from tests.references import CHECKPOINTS

GOOD = CHECKPOINTS / "rosinality_uncond_r32.pt"
Case = tuple[bytes, str]


def module(**state: bytes) -> bytes:
    """An NVlabs module as a program; its source would run in the official loader."""
    source = text("open('canary', 'w')")
    return call(PERSISTENT, dct(type=text("class"), module_src=source, state=dct(**state)))


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as packed:
        for member, data in members.items():
            packed.writestr(member, data)
    return file.getvalue()


def zipped(program: bytes, members: dict[str, bytes] | None = None, compression: int = 0) -> bytes:
    """PyTorch's zip format around a program, with further members."""
    further = {f"archive/{name}": data for name, data in (members or {}).items()}
    return archive({"archive/data.pkl": pickled(program), **further}, compression)


def claiming(data: bytes, member: str, field: int, layout: str, value: int) -> bytes:
    """A zip archive with a field of a member's central directory entry replaced."""
    changed = bytearray(data)
    start = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02"))
    while not data.startswith(member.encode(), start + 46):
        start = data.index(b"PK\x01\x02", start + 1)
    struct.pack_into(layout, changed, start + field, value)
    return bytes(changed)


def stored(key: str = "0", count: int = 4, kind: bytes = FLOATS) -> bytes:
    """A tensor on a storage of the zip format."""
    return tensor(size=sizes(1), storage=storage_id(key, count, kind))


def programs() -> dict[str, Case]:
    """Every hostile program in every container that can hold it."""
    cases = {}
    for name, (program, reason) in PROGRAMS.items():
        cases[f"{name} in a pickle"] = pickled(program), reason
        cases[f"{name} in an NVlabs module"] = (
            pickled(dct(G_ema=module(_buffers=dct(x=program)))),
            reason,
        )
        cases[f"{name} in a zip"] = zipped(program), reason
        cases[f"{name} in a legacy file"] = legacy(dct(g_ema=program)), reason
        cases[f"{name} in a storage"] = pickled(call(LOAD, binary(legacy(program)))), ""
    return cases | {name: (pickled(program), reason) for name, (program, reason) in BOMBS.items()}


def archives() -> dict[str, Case]:
    sound = zipped(stored(), {"data/0": bytes(16)})
    zeros = zipped(stored(count=10_000_000), {"data/0": bytes(40_000_000)}, zipfile.ZIP_DEFLATED)
    twice = zipped(stored(), {"data/0": bytes(16), "data/1": bytes(16)})
    link = zipfile.ZipInfo("archive/data/0")
    link.external_attr = 0o120777 << 16
    linked = io.BytesIO()
    with zipfile.ZipFile(linked, "w") as packed:
        packed.writestr("archive/data.pkl", pickled(stored()))
        packed.writestr(link, "/etc/passwd")
    two_types = stored() + stored(kind=FLOATS.replace(b"Float", b"Int")) + b"\x86"
    return {
        "zip that is truncated": (sound[:-30], "damaged zip archive"),
        "zip that is cut in two": (sound[: len(sound) // 2], "damaged zip archive"),
        "zip with a changed byte": (sound.replace(bytes(16), bytes(15) + b"x"), "Bad CRC-32"),
        "zip bomb": (zeros, "unpacks to over 16 times its size"),
        "zip bomb as the pickle": (
            archive({"a/data.pkl": b"N" * 40_000_000}, zipfile.ZIP_DEFLATED),
            "unpacks to over 16 times its size",
        ),
        "zip that claims a terabyte": (
            claiming(sound, "archive/data/0", 24, "<I", 0xFFFFFFF0),
            "unpacks to over 16 times its size",
        ),
        "zip that claims too much": (
            claiming(sound, "archive/data/0", 24, "<I", 400),
            "no storage",
        ),
        "zip that claims too little": (
            claiming(sound, "archive/data/0", 24, "<I", 8),
            "no storage",
        ),
        "device of a long name": (
            pickled(call(b"ctorch\ndevice\n", text("x" * 99))),
            "torch.device in no known form",
        ),
        "zip whose member lies elsewhere": (
            claiming(sound, "archive/data/0", 42, "<I", 0x7FFFFFFF),
            "damaged zip archive",
        ),
        "zip with an encrypted member": (
            claiming(sound, "archive/data/0", 8, "<H", 1),
            "encrypted",
        ),
        "zip with a link": (linked.getvalue(), "a link or an encrypted"),
        "zip of another compression": (
            zipped(stored(), {"data/0": bytes(16)}, zipfile.ZIP_BZIP2),
            "neither stored nor deflated",
        ),
        "zip with two members of a name": (twice.replace(b"data/1", b"data/0"), "two of one name"),
        "zip with two pickles": (
            archive({"a/data.pkl": pickled(b"N"), "b/data.pkl": pickled(SYSTEM)}),
            "several data.pkl",
        ),
        "zip without a pickle": (archive({"weights.pt": b"x"}), "without data.pkl"),
        "zip with a path upwards": (
            zipped(stored(), {"../../canary": b"x"}),
            r"member 'archive/\.\.",
        ),
        "zip with an absolute path": (archive({"/canary": b"x"}), "member '/canary'"),
        "zip with a path of Windows": (zipped(stored(), {"a\\canary": b"x"}), "with a member"),
        "zip with a line break": (zipped(stored(), {"a\ncanary": b"x"}), "with a member"),
        "zip of a big-endian machine": (zipped(stored(), {"byteorder": b"big"}), "byteorder"),
        "zip of no byte order": (zipped(stored(), {"byteorder": b"x" * 99}), "byteorder"),
        "zip without a storage": (zipped(stored()), "no storage '0'"),
        "storage outside of the zip": (zipped(stored("../../../etc/passwd")), r"no storage '\.\."),
        "storage that is another member": (zipped(stored("../data.pkl")), "no storage"),
        "storage of a long name": (zipped(stored("0" * 9_999)), "no storage '0{64}'"),
        "storage of a huge claim": (
            zipped(stored(count=1 << 62), {"data/0": bytes(16)}),
            "no storage '0' of the size",
        ),
        "storage of a negative claim": (
            zipped(stored(count=-4), {"data/0": bytes(16)}),
            "no storage '0' of the size",
        ),
        "storage of two types": (zipped(two_types, {"data/0": bytes(16)}), "two types"),
        "TorchScript": (
            zipped(b"c__torch__.models\nNet\n)\x81", {"code/__torch__.py": b"open('canary', 'w')"}),
            "it needs '__torch__.models.Net'",
        ),
    }


def legacies() -> dict[str, Case]:
    one = storage_id("0", 4, FLOATS, b"N")
    big = dct(little_endian=b"\x89")
    return {
        "legacy of another magic": (
            legacy(dct(), magic=number(0x1950A86A20F9469CFC6D)),
            "no weights but int",
        ),
        "legacy of another version": (
            legacy(b"N", protocol=number(1002)),
            "magic number and version",
        ),
        "legacy of a big-endian machine": (legacy(b"N", system=big), "little-endian"),
        "legacy of no machine": (legacy(b"N", system=b"N"), "little-endian"),
        "legacy with code before it": (legacy(b"N", system=SYSTEM), "it needs 'os.system'"),
        "legacy with code behind it": (legacy(b"N", keys=SYSTEM), "it needs 'os.system'"),
        "legacy without its storages": (legacy(tensor(storage=one)), "lists other storages"),
        "legacy with other storages": (
            legacy(tensor(storage=one), lst(text("1")), RAW),
            "lists other storages",
        ),
        "legacy with a storage twice": (
            legacy(tensor(storage=one), lst(text("0"), text("0")), RAW * 2),
            "lists other storages",
        ),
        "legacy with no list": (legacy(tensor(storage=one), text("0"), RAW), "no list of its"),
        "legacy with a list of numbers": (legacy(b"N", lst(number(0))), "no list of its storages"),
        "legacy that is truncated": (
            legacy(tensor(storage=one), lst(text("0")), RAW[:-1]),
            "is truncated, or a storage",
        ),
        "legacy of another size": (
            legacy(tensor(storage=one), lst(text("0")), elements(5, bytes(20))),
            "a storage is of another size",
        ),
        "legacy that claims a huge storage": (
            legacy(tensor(storage=storage_id("0", 1 << 62, FLOATS, b"N")), lst(text("0")), RAW),
            "is truncated, or a storage",
        ),
        "legacy view of a storage": (
            legacy(tensor(storage=storage_id("0", 4, FLOATS, b"}")), lst(text("0")), RAW),
            "persistent id",
        ),
        "legacy storage of two types": (
            legacy(lst(one, storage_id("0", 4, FLOATS.replace(b"Float", b"Int"), b"N"))),
            "two types",
        ),
    }


def tensors_file(header: bytes, data: bytes = bytes(16), length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def safetensors() -> dict[str, Case]:
    def one(**changes: Any) -> bytes:
        entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} | changes
        return tensors_file(json.dumps({"x": entry}).encode())

    line = json.dumps({"x\ny": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    return {
        "safetensors of a huge header": (tensors_file(b"{}", length=1 << 62), "is no PyTorch file"),
        "safetensors of nested text": (tensors_file(b'{"a":' * 50_000), "no sound safetensors"),
        "safetensors of no text": (tensors_file(b"{\xff}"), "no sound safetensors"),
        "safetensors beyond the file": (one(data_offsets=[0, 1 << 40]), "no sound safetensors"),
        "safetensors of a large shape": (one(shape=[1 << 40]), "no sound safetensors"),
        "safetensors of an overflow": (one(shape=[1 << 33, 1 << 33]), "no sound safetensors"),
        "safetensors of a negative shape": (one(shape=[-4]), "no sound safetensors"),
        "safetensors of another type": (one(dtype="PICKLE"), "no sound safetensors"),
        "safetensors of a key of two lines": (tensors_file(line), "a key that is neither"),
    }


def mistakes() -> dict[str, Case]:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    return {
        "empty file": (b"", "is empty"),
        "web page": (b"\n<!DOCTYPE html><html><body>Quota exceeded</body></html>", "is a web page"),
        "web page of Windows": (b"\xef\xbb\xbf<html></html>", "is a web page"),
        "Git LFS pointer": (pointer, "is a Git LFS pointer, .* `git lfs pull`"),
        "JSON": (b'{"z_dim": 128}', "is JSON text"),
        "gzip": (b"\x1f\x8b\x08\x00", "is a gzip archive"),
        "HDF5": (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        "Python": (b"import os\nos.system('touch canary')\n", "is no PyTorch file"),
        "pickle of protocol 0": (b"cos\nsystem\n(S'touch canary'\ntR.", "is no PyTorch file"),
        "pickle that is truncated": (pickled(dct(a=b"N"))[:-3], "is truncated"),
    }


CASES = programs() | archives() | legacies() | safetensors() | mistakes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for index, (data, _) in enumerate(CASES.values()):
        (folder / f"{index}.bin").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, dict[str, Any]]:
    """What became of each file, read in a process that may use little memory."""
    paths = [GOOD, *(folder / f"{index}.bin" for index in range(len(CASES)))]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests/sandbox.py")],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {name: found[f"{index}.bin"] for index, name in enumerate(CASES)}


@pytest.mark.parametrize("name", CASES)
def test_ends_in_one_line_and_nothing_happens(
    outcomes: dict[str, dict[str, Any]], name: str
) -> None:
    outcome = outcomes[name]
    line = outcome["outcome"]
    assert re.match(r".*/\d+\.bin: (is|cannot be read)", line), line
    assert re.search(CASES[name][1], line), line
    assert line.isascii() and line.isprintable() and len(line) < 600
    assert outcome["events"] == []
    assert outcome["seconds"] < 10


def test_nothing_is_written(outcomes: dict[str, dict[str, Any]], folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {f"{i}.bin" for i in range(len(CASES))}


def test_the_watch_sees_what_happens(tmp_path: Path) -> None:
    """An official way to read a hostile file is caught by the same sandbox."""
    (tmp_path / "hostile").write_bytes(pickled(SYSTEM))
    program = (
        "import sandbox, pickle, sys; sandbox.read_content = lambda path: "
        "pickle.loads(path.read_bytes()); from pathlib import Path; "
        "sys.addaudithook(sandbox._watch); print(sandbox._read(Path('hostile'))['events'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    assert "os.system" in done.stdout, done.stderr
    assert (tmp_path / "canary").exists()


def test_source_is_dropped(tmp_path: Path) -> None:
    """A module's source is text that nobody reads, however hostile."""
    (tmp_path / "net.pkl").write_bytes(pickled(dct(G_ema=module(_buffers=dct(x=tensor())))))
    record = read_content(tmp_path / "net.pkl")["G_ema"]
    assert isinstance(record, Record)
    assert sorted(record.state) == ["state", "type"]
    np.testing.assert_array_equal(record.state["state"]["_buffers"]["x"], np.arange(4))


def test_what_the_hostile_files_are_made_of_is_sound(tmp_path: Path) -> None:
    for data in (
        pickled(dct(a=tensor(), b=call(ORDERED))),
        zipped(dct(a=stored()), {"data/0": bytes(16), "byteorder": b"little"}),
        legacy(dct(a=tensor(storage=storage_id("0", 4, FLOATS, b"N"))), lst(text("0")), RAW),
        tensors_file(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
    ):
        (tmp_path / "sound").write_bytes(data)
        content = read_content(tmp_path / "sound")
        assert content.get("state", content)["a"].dtype.itemsize == 4


def test_no_more_is_unpacked_than_a_member_claims(tmp_path: Path) -> None:
    large = zipped(stored(), {"data/0": bytes(30_000_000)}, zipfile.ZIP_DEFLATED)
    path = tmp_path / "small.pt"
    path.write_bytes(claiming(large, "archive/data/0", 24, "<I", 16))
    tracemalloc.start()
    with pytest.raises(LowRankGANError, match="Bad CRC-32"):
        read_content(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
