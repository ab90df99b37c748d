# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nervure.data import DataError, load
from nervure.data import _errors as errors
from nervure.data.archive import read_npy, read_npz

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(30, 3)) * [1, 10, 100] + 5
Y = np.arange(30) % 3


class Exploit:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return (print, ("this code must never run",))


def test_x_and_y(tmp_path: Path):
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    data = load(tmp_path / "a.npz")
    np.testing.assert_allclose(data.inputs.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.inputs.std(axis=0), 1, rtol=1e-5)
    assert data.targets.tolist() == Y.tolist()
    assert data.test is None


def test_train_and_test(tmp_path: Path):
    images = RANDOM.integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
    parts = {"x_train": images, "y_train": Y, "x_test": images[:6], "y_test": Y[:6]}
    np.savez_compressed(tmp_path / "a.npz", **parts)
    data = load(tmp_path / "a.npz")
    assert data.inputs.shape == (30, 4, 4, 3)
    assert data.inputs.dtype == np.uint8
    assert data.preprocessing.scale == 1 / 255
    assert data.test is not None
    np.testing.assert_array_equal(data.test[0], images[:6])
    assert data.test[1].tolist() == Y[:6].tolist()


def test_other_names(tmp_path: Path):
    np.savez(tmp_path / "a.npz", features=X, y=Y)
    with pytest.raises(
        DataError, match=r"\[a.npz\] arrays features, y; expected X and y"
    ):
        load(tmp_path / "a.npz")


def test_objects_are_refused_and_nothing_runs(tmp_path: Path, capsys):
    array = np.array([Exploit()], object)
    np.savez(tmp_path / "a.npz", X=array, y=array)
    np.save(tmp_path / "a.npy", array)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(DataError, match="holds Python objects"):
        load(tmp_path / "a.npz")
    for name in ("a.npy", "b.npy"):
        with pytest.raises(DataError, match="holds Python objects or is another kind"):
            read_npy(tmp_path / name)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("cut", [10, 300, -30])
def test_truncated(tmp_path: Path, cut: int):
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[:cut])
    with pytest.raises(DataError, match=r"\[a.npz\] not a whole .npz file"):
        load(tmp_path / "a.npz")


def test_damaged_values(tmp_path: Path):
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[400] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"not a whole .npz file.*CRC"):
        load(tmp_path / "a.npz")


def test_truncated_npy(tmp_path: Path):
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
    with pytest.raises(DataError, match=r"\[a.npy\] not a whole .npy file"):
        read_npy(tmp_path / "a.npy")


def _header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    fields = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue()


def test_a_header_that_declares_too_much(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X.npy", _header((2**40, 2)) + bytes(64))
    with pytest.raises(DataError, match="declares 17592186044416 bytes of values"):
        read_npz(tmp_path / "a.npz")


def test_an_archive_that_unpacks_beyond_memory(tmp_path: Path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((1000, 1000)), y=Y)
    monkeypatch.setattr(errors, "memory_limit", lambda: 1 << 20)
    with pytest.raises(
        DataError, match=r"takes 8,000,\d+ bytes; expected at most 1,048,576"
    ):
        read_npz(tmp_path / "a.npz")


def test_a_member_that_lies_about_its_size(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.savez(path, X=X)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, entry + 24, 2**31)
    path.write_bytes(content)
    with pytest.raises(DataError, match="declares an impossible size"):
        read_npz(path)


def test_npy_is_mapped(tmp_path: Path):
    np.save(tmp_path / "a.npy", X.astype(np.float32))
    assert isinstance(read_npy(tmp_path / "a.npy"), np.memmap)


def test_missing_file(tmp_path: Path):
    for read in (read_npz, read_npy):
        with pytest.raises(
            DataError, match=r"\[no.npz\] cannot be read \(No such file"
        ):
            read(tmp_path / "no.npz")
