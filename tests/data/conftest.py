# SPDX-License-Identifier: BSD-3-Clause
"""Small real files for the tests of the data part."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}

PEOPLE = """name,age,joined,member,city,income
"Zoë, née Ångström",31,2020-01-01,true,Zürich,51.5
Bob,,2020-01-02,false,"San ""Fran"" cisco",42.25
Émile,45,,true,Zürich,NA
李雷,27,2021-06-30,,北京,77.125
Eve,45,2020-02-29,false,,61
"""


def idx_bytes(array: np.ndarray) -> bytes:
    """An array in the IDX format."""
    kind = array.dtype.str[1:]
    head = struct.pack(f">2x2B{array.ndim}I", CODES[kind], array.ndim, *array.shape)
    return head + array.astype(f">{kind}").tobytes()


def write_idx(path: Path, array: np.ndarray) -> Path:
    """An IDX file, packed if its name ends with ``.gz``."""
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def digits_like(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random grey images of 4 x 5 pixels with labels 0, 1, 2."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (rows, 4, 5), dtype=np.uint8)
    return images, (np.arange(rows) % 3).astype(np.uint8)


def write_idx_folder(folder: Path, end: str = ".gz", test: bool = True) -> Path:
    """The four files of a small data set: 12 rows to train on, 6 to test."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [("train", 12, 1)] + ([("t10k", 6, 2)] if test else [])
    for part, rows, seed in parts:
        images, labels = digits_like(rows, seed)
        write_idx(folder / f"{part}-images-idx3-ubyte{end}", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte{end}", labels)
    return folder


@pytest.fixture
def idx() -> SimpleNamespace:
    """The writers above, for test modules (which cannot import one another)."""
    return SimpleNamespace(
        pack=idx_bytes, write=write_idx, folder=write_idx_folder, digits=digits_like
    )


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    return write_idx_folder(tmp_path / "small")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """Real MNIST: NERVURE_TEST_MNIST, or shared/data/mnist beside the repository."""
    chosen = os.environ.get("NERVURE_TEST_MNIST")
    parents = Path(__file__).resolve().parents
    folders = [Path(chosen)] if chosen else [p / "shared/data/mnist" for p in parents]
    for folder in folders:
        if folder.is_dir():
            return folder
    pytest.skip("real MNIST is not here; set NERVURE_TEST_MNIST to its folder")
