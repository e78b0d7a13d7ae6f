"""PyTorch's two containers of a pickle and its storages: the zip format and the legacy format.

Formats: `_save`, `_legacy_save` and their loaders in torch/serialization.py. PyTorch's own
restricted loader is not used: it imports and calls what it allows, and reads neither NVlabs'
pickles nor the `Namespace` of training checkpoints.
"""

import stat
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from lowrankgan.generators.readers.pickle_machine import Persistent, interpret
from lowrankgan.generators.readers.pickle_tree import grow
from lowrankgan.generators.readers.pickle_values import Budget, Standin, Table, Token
from lowrankgan.generators.readers.torch_tensors import STORAGES, TENSORS, Storage, StorageType

_MAGIC = 0x1950A86A20F9469CFC6C
_MAGIC_BYTES = b"\x8a\n" + _MAGIC.to_bytes(10, "little") + b"."  # LONG1, STOP
_PROTOCOL = 1001
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, UnicodeError)
_MAX_MEMBERS = 1 << 16
_MAX_KEY = 64
_MAX_RATIO = 16  # weights are noise: what unpacks to much more than its size is a bomb


def read_zip(path: Path, table: Table) -> Any:
    """Read the zip format (PyTorch 1.4 and later), stored or deflated.

    Raises:
        ValueError: the file is damaged, asks for more than it holds, or is no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.stat().st_size)
            budget = Budget(sum(info.file_size for info in members.values()))
            if "data.pkl" not in members:
                raise ValueError("it is a zip archive without data.pkl, not one of PyTorch's")
            order = members.get("byteorder")
            if order and _content(archive, order) != b"little":
                raise ValueError("its byteorder is not little; save it again on such a machine")
            pickled = BytesIO(_content(archive, members["data.pkl"]))
            persistent = _zip_storages(archive, members)
            return grow(interpret(pickled, table, budget, persistent), budget)
    except _DAMAGE as error:
        raise ValueError(f"it is a damaged zip archive ({str(error)[:80]!a})") from error


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Members by their path below the folder that data.pkl is in; nothing is ever unpacked."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(infos) > _MAX_MEMBERS or len(set(names)) != len(names):
        raise ValueError("it is a zip archive with too many members, or two of one name")
    if sum(info.file_size for info in infos) > _MAX_RATIO * size + (1 << 20):
        raise ValueError(f"it is a zip archive that unpacks to over {_MAX_RATIO} times its size")
    for info in infos:
        _check_member(info)
    roots = [name.removesuffix("data.pkl") for name in names if _basename(name) == "data.pkl"]
    if len(roots) > 1:
        raise ValueError("it is a zip archive with several data.pkl")
    root = roots[0] if roots else ""
    return {
        info.filename.removeprefix(root): info for info in infos if info.filename.startswith(root)
    }


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member, of which no more is unpacked than it claims to hold."""
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise ValueError("it is a zip archive with a member of another size than it claims")
    return content


def _basename(name: str) -> str:
    return name.rpartition("/")[2]


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.filename
    if name.startswith("/") or "\\" in name or ".." in name.split("/") or not name.isprintable():
        raise ValueError(f"it is a zip archive with a member {name[:60]!a}")
    if stat.S_ISLNK(info.external_attr >> 16) or info.flag_bits & 1:
        raise ValueError("it is a zip archive with a link or an encrypted member")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is a zip archive that is neither stored nor deflated")


def _zip_storages(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> Persistent:
    storages: dict[str, Storage] = {}

    def find(identity: Any) -> Storage:
        match identity:
            case ("storage", StorageType(dtype=dtype), str(key), str(), int(count)):
                info = members.get(f"data/{key:.{_MAX_KEY}}")
                if info is None or info.file_size != count * dtype.itemsize:
                    raise ValueError(f"it has no storage {key[:_MAX_KEY]!a} of the size it claims")
                new = Storage(dtype, count, lambda: _content(archive, info))
                return _same(storages.setdefault(key, new), new)
        raise ValueError("it has a persistent id that is no storage")

    return find


def _same(known: Storage, claimed: Storage) -> Storage:
    if (known.dtype, known.count) != (claimed.dtype, claimed.count):
        raise ValueError("it uses one storage with two types or sizes")
    return known


def is_legacy(head: bytes) -> bool:
    """Whether the first bytes of a file are the legacy format's first pickle.

    Its magic number follows PROTO (2 bytes) and, from protocol 4 on, FRAME (9 bytes).
    """
    return head.startswith(_MAGIC_BYTES, 11 if head[2:3] == b"\x95" else 2)


def read_legacy(data: bytes, table: Table) -> Any:
    """Read the format of PyTorch before 1.6: pickles, then raw storages.

    Raises:
        ValueError: the file is damaged, or asks for more than it holds.
    """
    budget = Budget(len(data))
    return grow(_legacy(data, table, budget), budget)


def _legacy(data: bytes, table: Table, budget: Budget) -> Any:
    stream = BytesIO(data)
    magic, protocol, system = (interpret(stream, {}, budget) for _ in range(3))
    if type(magic) is not int or magic != _MAGIC or protocol != _PROTOCOL:
        raise ValueError("it starts like a PyTorch file, but not with its magic number and version")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("it was not saved on a little-endian machine")
    storages: dict[str, Storage] = {}
    raw: dict[str, memoryview] = {}

    def find(identity: Any) -> Storage:
        match identity:
            case ("storage", StorageType(dtype=dtype), str(key), str(), int(count), None):
                new = Storage(dtype, count, lambda: raw[key])
                return _same(storages.setdefault(key, new), new)
        raise ValueError("it has a persistent id that is no storage, such as a whole module")

    root = interpret(stream, table, budget, find)
    keys = interpret(stream, {}, budget)
    raw |= _raw_storages(memoryview(data)[stream.tell() :], keys, storages)
    return root


def _raw_storages(
    rest: memoryview, keys: Any, storages: dict[str, Storage]
) -> dict[str, memoryview]:
    """Split what follows the pickles: for every key the number of elements, then their bytes."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("it has no list of its storages")
    if len(keys) != len(storages) or set(keys) != storages.keys():
        raise ValueError("it lists other storages than those that it uses")
    raw = {}
    for key in keys:
        storage = storages[key]
        size = storage.count * storage.dtype.itemsize
        if len(rest) < 8 + size or int.from_bytes(rest[:8], "little") != storage.count:
            raise ValueError("it is truncated, or a storage is of another size than it claims")
        raw[key], rest = rest[8 : 8 + size], rest[8 + size :]
    return raw


def _load_from_bytes(arguments: tuple[Any, ...], budget: Budget) -> Standin:
    """A storage in the legacy format, as every tensor has it in a pickle by `pickle.dump`."""
    match arguments:
        case (bytes(data),):
            storage = _legacy(data, STORAGES, budget)
            if isinstance(storage, Storage):
                return storage
    raise ValueError("it has bytes that are no storage")


TORCH: Table = {**TENSORS, ("torch.storage", "_load_from_bytes"): Token(_load_from_bytes)}
