# SPDX-License-Identifier: BSD-3-Clause
"""MNIST from four IDX files, as float32 in [0, 1]; synthetic rows where it is missing.

Read here and not through nervure, so that every peer gets the same bytes.
"""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
ROWS = {"train": 60_000, "test": 10_000}


@dataclass(frozen=True)
class Rows:
    """Images ``(rows, 784)`` float32 in [0, 1], labels ``(rows,)`` int32 in 0..9."""

    X: NDArray[np.float32]
    y: NDArray[np.int32]
    source: str


def default_folder() -> Path:
    """$NERVURE_MNIST, else shared/data/mnist beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"
    return Path(os.environ.get("NERVURE_MNIST", beside))


def load(folder: Path | None, part: str = "train", rows: int | None = None) -> Rows:
    """The first ``rows`` rows of one part; synthetic rows if the files are missing."""
    folder = folder or default_folder()
    count = min(rows or ROWS[part], ROWS[part])
    try:
        images, labels = (_read(folder, name) for name in FILES[part])
    except FileNotFoundError:
        return _synthetic(count, seed=len(part))
    X = images[:count].reshape(count, -1).astype(np.float32)
    X /= 255
    return Rows(X, labels[:count].astype(np.int32), "mnist")


def without_zeros(rows: Rows) -> Rows:
    """The same images with black raised to 1/512: no element of X is 0.

    nervure leaves out pixels that are 0 in a whole batch; here there are none.
    """
    X = rows.X * np.float32(511 / 512) + np.float32(1 / 512)
    return Rows(X, rows.y, f"{rows.source} without zeros")


def _read(folder: Path, name: str) -> NDArray[np.uint8]:
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.exists():
        content = plain.read_bytes()
    else:
        content = gzip.decompress(packed.read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, ">u4", count=axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _synthetic(rows: int, seed: int) -> Rows:
    """Ten blurred classes, mostly zeros as in MNIST: the same work, another task."""
    centres = np.random.default_rng(0).random((10, 784), dtype=np.float32)
    random = np.random.default_rng(seed)
    y = random.integers(0, 10, rows).astype(np.int32)
    X = centres[y] + 0.3 * random.random((rows, 784), dtype=np.float32)
    X = np.clip(X - 0.8, 0, 1).astype(np.float32)
    return Rows(X, y, "synthetic")
