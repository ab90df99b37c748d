# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import nervure as nv

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Ctrl-C is told, also where the shell that began the tests has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three classes of 2-D points: 90 rows, shuffled."""
    rng = np.random.default_rng(5)
    centers = np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    y = np.repeat(np.arange(3), 30)
    X = centers[y] + rng.normal(size=(90, 2)) * 0.7
    order = rng.permutation(90)
    return X[order].astype(np.float32), y[order].astype(np.int64)


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads are used for the smallest batch."""
    monkeypatch.setattr("nervure.executors.native.PARALLEL_FLOPS", 0)


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder of the four IDX files of MNIST; a test is skipped without it."""
    given = os.environ.get("NERVURE_TEST_MNIST")
    folder = Path(given) if given else ROOT.parent / "shared" / "data" / "mnist"
    if not any(folder.glob("train-images-idx3-ubyte*")):
        pytest.skip(f"no MNIST in {folder}; set NERVURE_TEST_MNIST")
    return folder


def small_net(seed: int = 0, dtype: str = "float32", rate: float = 0.0) -> nv.Network:
    """2 inputs, 3 classes, a hidden layer, perhaps dropout."""
    dropout = [nv.Dropout(rate)] if rate else []
    hidden = nv.Dense(8, activation="tanh")
    layers = [nv.Input(2), hidden, *dropout, nv.Dense(3, activation="softmax")]
    return nv.Network(layers, seed=seed, dtype=dtype)


@pytest.fixture
def make_net():
    return small_net
