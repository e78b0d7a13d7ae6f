"""Checkpoints from the addresses at which they were published."""

import json
import shutil
from pathlib import Path

import requests
from filelock import FileLock

from lowrankgan.errors import LowRankGANError
from lowrankgan.files import replacing
from lowrankgan.mistakes import mistaken
from lowrankgan.progress import progress
from lowrankgan.weights import hash_of

_CHUNK_BYTES = 1 << 20
_MAX_BYTES = 16 << 30
_TIMEOUT_SECONDS = 30
_KNOWN = "known_hashes.json"


def download(url: str, sha256: str | None, target: Path, by_hand: Path) -> None:
    """Fetch a file, or take the copy of the same name that was placed by hand.

    Where no hash is pinned, that of the first copy is recorded in `by_hand/known_hashes.json`,
    and every later one is checked against it.

    Args:
        url: address, https only, redirects too.
        sha256: expected hash, None to trust the first copy.
        target: where the file goes; its name is also that of a copy placed by hand.
        by_hand: folder of copies placed by hand and of the record of hashes.

    Raises:
        LowRankGANError: the address cannot be reached, the hash differs, or no weights came.
    """
    expected = sha256 or _read_known(by_hand / _KNOWN).get(url)
    copy = by_hand / target.name
    with replacing(target) as temporary:
        if copy.exists():
            shutil.copyfile(copy, temporary)
        else:
            _fetch(url, temporary, copy)
        found = hash_of(temporary)
        if not expected:
            _refuse_mistakes(temporary, copy if copy.exists() else url)
            by_hand.mkdir(exist_ok=True)
            with FileLock(by_hand / f".{_KNOWN}.lock"):  # others may have come meanwhile
                known = _read_known(by_hand / _KNOWN)
                _write_known(by_hand / _KNOWN, known | {url: found})
        elif found != expected:
            source = copy if copy.exists() else url
            raise LowRankGANError(
                f"{source}: expected SHA-256 {expected}, got {found}; do not use this file"
            )


def _fetch(url: str, target: Path, copy: Path) -> None:
    try:
        stream(url, target, _MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise LowRankGANError(
            f"{url}: cannot be fetched ({reason}); check the network, or place the file by "
            f"hand as {copy}"
        ) from error


def stream(url: str, target: Path, limit: int) -> None:
    """Write what an https address answers, of at most `limit` bytes, to a file.

    Raises:
        OSError: it cannot be had; all errors of requests are of this kind.
        ValueError: it is too large, or its length is no number.
    """
    with requests.Session() as session:
        del session.adapters["http://"]  # so that a redirect away from TLS is an error
        with session.get(url, stream=True, timeout=_TIMEOUT_SECONDS) as answer:
            answer.raise_for_status()
            _write(answer, target, limit)


def _refuse_mistakes(path: Path, source: Path | str) -> None:
    """A hash that is trusted for good must not be that of an error page."""
    with path.open("rb") as file:
        mistake = mistaken(file.read(64), path.stat().st_size)
    if mistake:
        raise LowRankGANError(f"{source}: {mistake}")


def _write(answer: requests.Response, target: Path, limit: int) -> None:
    size = int(answer.headers.get("Content-Length") or 0)
    chunks = answer.iter_content(_CHUNK_BYTES)
    with target.open("wb") as file:
        for chunk in progress(chunks, "MiB", size // _CHUNK_BYTES or None):
            file.write(chunk)
            if file.tell() > limit:
                raise ValueError(f"more than {limit} bytes came")


def _read_known(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise LowRankGANError(f"{path}: cannot be read ({error}); correct or delete it") from error
    if not isinstance(known, dict):
        raise LowRankGANError(f"{path}: expected addresses with their SHA-256; delete it")
    return known


def _write_known(path: Path, known: dict[str, str]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
