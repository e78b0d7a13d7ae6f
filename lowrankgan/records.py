"""Records: what made a folder of artefacts, and whether it still holds that.

Every step of an experiment writes into a folder of its own, `<stage>/<key>`, and beside its files
a `record.json` with the settings, the inputs, the versions and the SHA-256 of each file. The key
is a hash of the stage, the settings and the keys of the inputs.
"""

import base64
import hashlib
import importlib.metadata
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowrankgan.errors import LowRankGANError

RECORD = "record.json"
_LONG, _ZLIB = 32_000, "zlib:"


def canonical(value: Any) -> str:
    """JSON with sorted keys: equal settings give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def packed(text: str) -> str:
    """A text as an argument of a command, of which Linux takes 128 KiB: a long one compressed."""
    if len(text) <= _LONG:
        return text
    return _ZLIB + base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text: str) -> str:
    """What `packed` was given."""
    if not text.startswith(_ZLIB):
        return text
    return zlib.decompress(base64.b64decode(text.removeprefix(_ZLIB))).decode()


def key_of(stage: str, settings: Mapping[str, Any], parents: Mapping[str, Sequence[str]]) -> str:
    """12 hexadecimal digits that identify what a step computes; parents by role, as keys."""
    identity = {"stage": stage, "settings": settings, "parents": parents}
    return hashlib.sha256(canonical(identity).encode()).hexdigest()[:12]


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_record(folder: Path) -> Mapping[str, Any]:
    """Read the record of a folder `<stage>/<key>` and check the folder against it.

    Returns:
        The record.

    Raises:
        LowRankGANError: there is no record, its settings are not those of the key, or a file is
            missing or differs.
    """
    again = f"delete the folder {folder} and run again"
    try:
        record: Mapping[str, Any] = json.loads((folder / RECORD).read_bytes())
        parents = {role: [Path(f).name for f in found] for role, found in record["inputs"].items()}
        key = key_of(folder.parent.name, record["settings"], parents)
        expected = dict(record["sha256"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise LowRankGANError(f"{folder / RECORD}: cannot be read; {again}") from error
    if key != folder.name:
        raise LowRankGANError(
            f"{folder / RECORD}: its settings are those of {key}, not of this folder; {again}"
        )
    for name, value in expected.items():
        path = folder / name
        if not path.is_file():
            raise LowRankGANError(f"{path}: is missing; {again}")
        if sha256(path) != value:
            raise LowRankGANError(
                f"{path}: its content is not what {RECORD} says it was made with; {again}"
            )
    return record


def version_of(package: str) -> str | None:
    """The installed version, None where there is none, as where it came without metadata."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
