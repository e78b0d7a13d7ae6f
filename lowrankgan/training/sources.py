"""Brings gzipped files of a data set: installed, from the Debian package, or as published."""

import gzip
import hashlib
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from lowrankgan.download import stream
from lowrankgan.errors import LowRankGANError

_MAX_BYTES = 1 << 31


def fetch_files(
    sha256: Mapping[str, str], package: str, folder: str, url: str, target: Path
) -> None:
    """Write each file, unpacked and verified, to `target`.

    Tried in this order: what the installed package has, `apt-get download`, the address.

    Args:
        sha256: file name without .gz to the hash of what it unpacks to.
        package: Debian package.
        folder: folder of the files in the package.
        url: address of the folder that holds the files as they were published.
        target: existing folder.

    Raises:
        LowRankGANError: no source has all files, or a hash differs; it names what each said.
    """
    sources: dict[str, Callable[[Path], Path]] = {
        f"/{folder}": lambda _: Path("/", folder),
        f"apt-get download {package}": lambda scratch: _package(package, scratch) / folder,
        url: lambda scratch: _published(url, list(sha256), scratch),
    }
    problems = []
    for name, source in sources.items():
        with tempfile.TemporaryDirectory() as scratch:
            try:
                found = source(Path(scratch))
                contents = {file: _unpacked(found / f"{file}.gz") for file in sha256}
            except (
                OSError,
                ValueError,
                EOFError,
                zlib.error,
                subprocess.CalledProcessError,
            ) as error:
                problems.append(f"{name}: {_reason(error)}")
                continue
        for file, content in contents.items():
            digest = hashlib.sha256(content).hexdigest()
            if digest != sha256[file]:
                raise LowRankGANError(f"{name}: {file} has SHA-256 {digest}, not {sha256[file]}")
            (target / file).write_bytes(content)
        return
    raise LowRankGANError(
        f"{package}: the data cannot be had ({'; '.join(problems)}); "
        f"install the package, or place the gzipped files in /{folder}"
    )


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise OSError(f"{path.name} unpacks to more than {_MAX_BYTES} bytes")
    return content


def _package(package: str, scratch: Path) -> Path:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise OSError("this is neither Debian nor Ubuntu")
    command = ["apt-get", "--quiet=2", "download", package]
    subprocess.run(command, cwd=scratch, check=True, capture_output=True, text=True)
    (archive,) = scratch.glob("*.deb")
    contents = scratch / "contents"
    subprocess.run(["dpkg-deb", "-x", archive, contents], check=True, capture_output=True)
    return contents


def _published(url: str, files: list[str], scratch: Path) -> Path:
    for file in files:
        stream(f"{url}/{file}.gz", scratch / f"{file}.gz", _MAX_BYTES)
    return scratch


def _reason(error: Exception) -> str:
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return str(text).strip().splitlines()[-1] if str(text).strip() else type(error).__name__
