# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from nervure.data import DataError, load, read_idx
from nervure.data import _errors as errors
from nervure.data.idx import idx_files, read_idx_folder


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_every_type_comes_back(idx, tmp_path: Path, kind: str, end: str):
    array = (np.arange(24).reshape(2, 3, 4) - 5 * (kind != "u1")).astype(kind)
    read = read_idx(idx.write(tmp_path / f"a-idx3-ubyte{end}", array))
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


def test_no_rows_are_rows_too(idx, tmp_path: Path):
    read = read_idx(idx.write(tmp_path / "a", np.empty((0, 3), np.uint8)))
    assert read.shape == (0, 3)


NINE = b"\0\0\x08\1\0\0\0\x09" + b"\1" * 9
BROKEN = [
    (b"", r"begins with nothing; expected the IDX format"),
    (b"\x89PNG\r\n", "begins with 89 50 4e 47; expected the IDX format"),
    (b"\0\0\x07\1\0\0\0\1a", "expected the IDX format"),
    (b"\0\0\x08\0", "expected the IDX format"),
    (b"\0\0\x08\x09" + b"\0" * 36, "expected the IDX format"),
    (b"\0\0\x08\3\0\0", "truncated or damaged: an incomplete header"),
    (NINE[:-10], "an incomplete header"),
    (NINE[:-3], "truncated or damaged: 6 of 9 bytes of values"),
    (NINE + b"x", "more than the 9 bytes"),
    (
        struct.pack(">2x2B2I", 8, 2, 2**20, 2**10),
        "bytes, but declares 1,073,741,824 bytes of values",
    ),
]


@pytest.mark.parametrize(("content", "text"), BROKEN)
@pytest.mark.parametrize("packed", [False, True])
def test_foreign_and_truncated_files(tmp_path: Path, content, text, packed):
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=text) as caught:
        read_idx(path)
    assert str(caught.value).startswith("[train-labels-idx1-ubyte] ")


def test_truncated_gzip(idx, tmp_path: Path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(idx.pack(np.arange(200, dtype=np.uint8)))[:-40])
    with pytest.raises(DataError, match=r"truncated or damaged.*get the file again"):
        read_idx(path)


def test_damaged_gzip(idx, tmp_path: Path):
    content = bytearray(gzip.compress(idx.pack(np.arange(200, dtype=np.uint8))))
    content[60] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match="truncated or damaged"):
        read_idx(tmp_path / "a.gz")


def test_a_bomb_is_not_unpacked(tmp_path: Path):
    """A small file that claims, and would unpack to, more than deflate can pack."""
    path = tmp_path / "bomb.gz"
    head = struct.pack(">2x2B1I", 8, 1, 2**31)
    path.write_bytes(gzip.compress(head + bytes(1 << 20)))
    with pytest.raises(DataError, match="declares 2,147,483,648 bytes of values"):
        read_idx(path)


def test_more_than_the_memory_is_refused(idx, tmp_path: Path, monkeypatch):
    path = idx.write(tmp_path / "a", np.ones(2000, np.uint8))
    monkeypatch.setattr(errors, "memory_limit", lambda: 1000)
    with pytest.raises(
        DataError, match=r"\[a\] takes 2,000 bytes; expected at most 1,000"
    ):
        read_idx(path)


def test_missing_file(tmp_path: Path):
    with pytest.raises(DataError, match=r"\[a\] cannot be read \(No such file"):
        read_idx(tmp_path / "a")


@pytest.mark.parametrize("end", ["", ".gz"])
def test_folder(idx, tmp_path: Path, end: str):
    (images, labels), test = read_idx_folder(idx.folder(tmp_path / "f", end))
    np.testing.assert_array_equal(images, idx.digits(12, 1)[0])
    assert labels.tolist() == [0, 1, 2] * 4
    assert test is not None
    assert len(test[0]) == 6


def test_other_spellings_of_the_names(idx, tmp_path: Path):
    folder = idx.folder(tmp_path / "f", "", test=False)
    for path in list(folder.iterdir()):
        path.rename(folder / f"emnist-{path.name}".replace("-idx", ".idx"))
    (images, _), test = read_idx_folder(folder)
    assert images.shape == (12, 4, 5)
    assert test is None


def test_the_plain_file_is_taken_before_the_packed_one(idx, idx_folder: Path):
    name = "train-labels-idx1-ubyte"
    idx.write(idx_folder / name, np.zeros(12, np.uint8))
    assert idx_files(idx_folder)["train labels"].name == name


def test_two_sets_in_one_folder(idx_folder: Path):
    first = idx_folder / "train-labels-idx1-ubyte.gz"
    shutil.copy(first, idx_folder / "emnist-letters-train-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match=r"\[small\] two files of train labels: emnist"):
        load(idx_folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train-labels-idx1-ubyte.gz", "no train labels .*expected train-labels-idx1"),
        ("train-images-idx3-ubyte.gz", "no train images .*expected train-images-idx3"),
        ("t10k-labels-idx1-ubyte.gz", "no test labels .*expected t10k-labels-idx1"),
    ],
)
def test_a_file_that_lacks(idx_folder: Path, name: str, text: str):
    (idx_folder / name).unlink()
    with pytest.raises(DataError, match=text):
        load(idx_folder)


def test_images_and_labels_must_match(idx, idx_folder: Path):
    idx.write(idx_folder / "train-labels-idx1-ubyte.gz", np.zeros(11, np.uint8))
    with pytest.raises(DataError, match="11 labels for 12 images; expected one per"):
        load(idx_folder)


def test_labels_must_be_of_one_axis(idx, idx_folder: Path):
    idx.write(idx_folder / "train-labels-idx1-ubyte.gz", np.zeros((12, 2), np.uint8))
    with pytest.raises(DataError, match=r"labels of shape \(12, 2\)"):
        load(idx_folder)


def test_both_parts_must_match(idx, idx_folder: Path):
    idx.write(idx_folder / "t10k-images-idx3-ubyte.gz", np.zeros((6, 4, 4), np.uint8))
    with pytest.raises(DataError, match=r"images \(4, 5\), test images \(4, 4\)"):
        load(idx_folder)


def test_real_mnist(mnist_folder: Path):
    """The digests of the unpacked files are those published for the original."""
    data = load(mnist_folder)
    assert data.inputs.shape == (60_000, 28, 28, 1)
    assert data.inputs.dtype == np.uint8
    assert data.preprocessing.scale == 1 / 255
    assert data.test is not None
    assert data.test[0].shape == (10_000, 28, 28, 1)
    assert data.targets[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.preprocessing.decode_classes(data.targets[:3]).tolist() == [5, 0, 4]
    assert float(data.inputs.mean()) == pytest.approx(33.318, abs=1e-3)
    digest = hashlib.md5(
        gzip.decompress((mnist_folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    )
    assert digest.hexdigest() == "2646ac647ad5339dbf082846283269ea"
