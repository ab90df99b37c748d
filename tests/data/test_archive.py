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
    np.savez(tmp_path / "a.npz", what=X, y=Y)
    with pytest.raises(DataError, match=r"\[a.npz\] arrays what, y; expected X and y"):
        load(tmp_path / "a.npz")


def test_objects_are_refused_and_nothing_runs(tmp_path: Path, capsys):
    array = np.array([Exploit()], object)
    np.savez(tmp_path / "a.npz", X=array, y=array)
    np.save(tmp_path / "a.npy", array)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(DataError, match="holds Python objects"):
        load(tmp_path / "a.npz")
    for name in ("a.npy", "b.npy"):
        with pytest.raises(
            DataError, match=r"holds Python objects or is another|does not begin"
        ):
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


@pytest.mark.parametrize(
    "names",
    ["X y", "data target", "features labels", "arr_0 arr_1", "images label",
     "X_train Y_train", "train_images train_labels", "train_x train_y"],
)  # fmt: skip
def test_names_that_archives_use(tmp_path: Path, names: str):
    inputs, targets = names.split()
    test = {n.replace("train", "test"): a[:6] for n, a in ((inputs, X), (targets, Y))}
    test |= {n.replace("train", "val"): a[:3] for n, a in ((inputs, X), (targets, Y))}
    test = test if "train" in names else {}
    np.savez(tmp_path / "a.npz", **test, **{inputs: X, targets: Y})
    data = load(tmp_path / "a.npz")
    assert data.targets.tolist() == Y.tolist()
    assert (data.test is not None) == ("train" in names)
    if data.test is not None:
        assert len(data.test[0]) == 6


def npy(described: str, values: bytes = b"", version: int = 1) -> bytes:
    """A ``.npy`` file with this header."""
    text = described.encode("latin1")
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + values


HEADERS = {
    "a negative side": ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "shape"),
    "records of nothing": ("{'descr': [], 'fortran_order': False, 'shape': (-1,)}", "records"),
    "texts of no size": ("{'descr': '<U0', 'fortran_order': False, 'shape': (9999999999,)}", "'<U0'"),
    "objects": ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "objects"),
    "sides that overflow": (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
        "shape",
    ),
    "a side of a truth": ("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}", "shape"),
    "more than there is": ("{'descr': '<f8', 'fortran_order': False, 'shape': (9,)}", "declares 72"),
    "no shape": ("{'descr': '<f8', 'fortran_order': False}", "lacks"),
    "code": ("__import__('os').getcwd()", "no table of values"),
    "deep": ("(" * 5000, "no table of values"),
    "a long header": ("{" + " " * 10_000 + "}", "a header of 10,002 bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("described", "said"), HEADERS.values(), ids=HEADERS)
def test_one_reader_checks_every_header(tmp_path: Path, described: str, said: str):
    path = tmp_path / "a.npy"
    path.write_bytes(npy(described))
    with pytest.raises(DataError, match=r"\[a.npy\] not a whole .npy file"):
        read_npy(path)
    archive = tmp_path / "a.npz"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(path, "X.npy")
    with pytest.raises(DataError, match=r"\[a.npz\] not a whole .npz file") as caught:
        read_npz(archive)
    plain = said.replace("objects", "Python objects")
    assert plain in str(caught.value)


def test_a_zip_that_is_called_npy(tmp_path: Path):
    np.savez(tmp_path / "a.npz", X=X)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(DataError, match="does not begin as"):
        read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "array", [X, np.asfortranarray(X), X[:0], X.astype(">f4"), Y == 1]
)
def test_what_numpy_writes_is_read(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", X=array)
    for found in (read_npy(tmp_path / "a.npy"), read_npz(tmp_path / "a.npz")["X"]):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype
