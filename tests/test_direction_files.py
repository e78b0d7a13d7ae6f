"""Directions that people bring."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lowrankgan.direction_files import read_directions
from lowrankgan.errors import LowRankGANError


@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (2, 4, 5)])
def test_files_of_both_kinds_have_unit_length(tmp_path: Path, shape: tuple[int, ...]) -> None:
    rows = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "own.npy", rows)
    save_file({"directions": rows}, tmp_path / "own.safetensors")
    found = read_directions(tmp_path / "own.npy")
    np.testing.assert_array_equal(found, read_directions(tmp_path / "own.safetensors"))
    assert found.shape == (1, 5) if len(shape) == 1 else shape
    assert np.linalg.norm(found, axis=-1).max(-1 if len(shape) == 3 else None) == pytest.approx(1)
    ratio = found / np.atleast_2d(rows)
    flat = ratio.reshape(len(ratio), -1)
    np.testing.assert_allclose(flat, np.broadcast_to(flat[:, :1], flat.shape))  # one factor each


def test_a_header_that_nests_without_end_is_refused(tmp_path: Path) -> None:
    header = b"1" + b"+1" * 4500
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "own.npy").write_bytes(content)
    with pytest.raises(LowRankGANError, match="no directions can be read"):
        read_directions(tmp_path / "own.npy")


def test_the_order_in_memory_is_of_no_account(tmp_path: Path) -> None:
    """safetensors writes the memory of an array as if its last index ran fastest."""
    rows = np.arange(1.0, 13).reshape(3, 4)
    np.save(tmp_path / "rows.npy", np.asfortranarray(rows))
    found = read_directions(tmp_path / "rows.npy")
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_what_is_no_direction_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "own.npy"
    for content, reason in (
        (np.array([print], dtype=object), "no directions can be read"),
        (np.zeros((1, 4)), "zero or not finite"),
        (np.full((1, 4), np.nan), "zero or not finite"),
        (np.arange(4), "expected floats"),
        (np.ones((1, 1, 1, 4)), "expected floats"),
        (np.ones((0, 4)), "expected floats"),
    ):
        np.save(path, content, allow_pickle=True)
        with pytest.raises(LowRankGANError, match=reason) as caught:
            read_directions(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    np.savez(path.with_suffix(".npz"), a=np.ones(4))
    path.with_suffix(".npz").replace(path)
    with pytest.raises(LowRankGANError, match=r"no directions can be read \(it is an archive"):
        read_directions(path)
    save_file({"a": np.ones(4), "b": np.ones(4)}, tmp_path / "two.safetensors")
    with pytest.raises(LowRankGANError, match="it holds 2 tensors, none of them named"):
        read_directions(tmp_path / "two.safetensors")
    for name in ("own.npy", "own.safetensors", "missing.npy"):
        (tmp_path / "own.safetensors").write_bytes(b"no")
        path.write_bytes(b"")
        with pytest.raises(LowRankGANError, match="no directions can be read"):
            read_directions(tmp_path / name)
