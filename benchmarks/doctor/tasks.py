# SPDX-License-Identifier: BSD-3-Clause
"""Small data sets that a net of a few thousand parameters learns within a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn import datasets

Array = npt.NDArray[Any]
Kind = Literal["classes", "amounts"]


@dataclass(frozen=True)
class Rows:
    """Inputs and targets."""

    X: Array
    y: Array


@dataclass(frozen=True)
class Task:
    """Rows to train on, rows held against them, and rows that nobody sees.

    ``plain`` inputs are columns of a table, standardized; ``raw`` are the same in the
    units they came in.
    """

    name: str
    kind: Kind
    train: Rows
    held_out: Rows
    test: Rows
    raw: tuple[Array, Array, Array] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.train.X.shape[1:]

    @property
    def classes(self) -> int:
        return int(self.train.y.max()) + 1 if self.kind == "classes" else 0

    @property
    def outputs(self) -> int:
        return 1 if self.train.y.ndim == 1 else self.train.y.shape[1]


def _parts(
    name: str,
    kind: Kind,
    X: Array,
    y: Array,
    sizes: tuple[int, int, int],
    standardize: bool = True,
) -> Task:
    """Shuffled rows in three parts; table columns and amounts standardized."""
    order = np.random.default_rng(len(name)).permutation(len(X))
    ends = np.cumsum(sizes)
    parts = [order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] : ends[2]]]
    X = X.astype(np.float32)
    raw = tuple(X[rows] for rows in parts) if standardize else None
    if standardize:
        own = X[parts[0]]
        X = (X - own.mean(axis=0)) / np.maximum(own.std(axis=0), 1e-6)
    if kind == "amounts" and standardize:
        own = y[parts[0]]
        y = (y - own.mean(axis=0)) / own.std(axis=0)
    y = y.astype(np.int64 if kind == "classes" else np.float32)
    cut = [Rows(np.ascontiguousarray(X[rows]), y[rows]) for rows in parts]
    return Task(name, kind, *cut, raw=raw)


def _digits() -> Task:
    X, y = datasets.load_digits(return_X_y=True)
    return _parts("digits", "classes", X / 16, y, (500, 200, 600), standardize=False)


def _images() -> Task:
    X, y = datasets.load_digits(return_X_y=True)
    images = (X / 16).reshape(-1, 8, 8, 1)
    return _parts("images", "classes", images, y, (500, 200, 600), standardize=False)


def _letters() -> Task:
    """Digits of 28 x 28 pixels, as LeNet reads them."""
    X, y = datasets.load_digits(return_X_y=True)
    large = np.kron((X / 16).reshape(-1, 8, 8), np.ones((3, 3)))
    images = np.pad(large, ((0, 0), (2, 2), (2, 2)))[..., None]
    return _parts("letters", "classes", images, y, (400, 150, 400), standardize=False)


def _codes() -> Task:
    """Digits to be given back by a net with a narrow middle."""
    X, _ = datasets.load_digits(return_X_y=True)
    X = X / 16
    return _parts("codes", "amounts", X, X, (500, 200, 400), standardize=False)


def _table(name: str, load: Callable[..., Any], sizes: tuple[int, int, int]) -> Task:
    X, y = load(return_X_y=True)
    kind: Kind = "amounts" if name == "diabetes" else "classes"
    return _parts(name, kind, X, y, sizes)


def _blobs() -> Task:
    X, y = datasets.make_blobs(900, 10, centers=5, cluster_std=3.0, random_state=1)
    return _parts("blobs", "classes", X, y, (400, 200, 300))


def _spirals() -> Task:
    """Three arms that no line parts."""
    rng = np.random.default_rng(3)
    t, y = rng.uniform(0.15, 1, 1000), rng.integers(0, 3, 1000)
    angle = 4.5 * t + 2 * np.pi * y / 3
    X = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1)
    X += rng.normal(0, 0.03, X.shape)
    return _parts("spirals", "classes", X, y, (500, 200, 300))


def _friedman() -> Task:
    X, y = datasets.make_friedman1(1000, 10, noise=1.0, random_state=2)
    return _parts("friedman", "amounts", X, y, (500, 200, 300))


def _wave() -> Task:
    """A curve over one input."""
    rng = np.random.default_rng(4)
    x = rng.uniform(-3, 3, (800, 1))
    y = np.sin(2 * x[:, 0]) + 0.3 * x[:, 0] + rng.normal(0, 0.1, 800)
    return _parts("wave", "amounts", x, y, (400, 150, 250))


def _several() -> Task:
    """Three amounts of twenty columns, all but linear."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(900, 20))
    W = rng.normal(size=(20, 3))
    y = X @ W + 2 * np.tanh(X[:, :3]) + rng.normal(0, 0.5, (900, 3))
    return _parts("several", "amounts", X, y, (400, 200, 300))


def _series() -> Task:
    """Series of 32 points: which of four waves is in the noise."""
    rng = np.random.default_rng(6)
    y = rng.integers(0, 4, 900)
    t = np.linspace(0, 1, 32)
    phase = rng.uniform(0, 1, (900, 1))
    angle = (t + phase) * np.array([2, 3, 5, 7])[y, None]
    X = np.sin(2 * np.pi * angle) + rng.normal(0, 0.5, (900, 32))
    return _parts("series", "classes", X[..., None], y, (400, 200, 300), False)


def _rings() -> Task:
    X, y = datasets.make_circles(800, noise=0.08, factor=0.5, random_state=3)
    return _parts("rings", "classes", X, y, (400, 150, 250))


def _moons() -> Task:
    X, y = datasets.make_moons(800, noise=0.2, random_state=3)
    return _parts("moons", "classes", X, y, (400, 150, 250))


_MAKERS: dict[str, Callable[[], Task]] = {
    "digits": _digits,
    "images": _images,
    "letters": _letters,
    "codes": _codes,
    "iris": lambda: _table("iris", datasets.load_iris, (80, 30, 40)),
    "wine": lambda: _table("wine", datasets.load_wine, (90, 40, 48)),
    "cancer": lambda: _table("cancer", datasets.load_breast_cancer, (280, 120, 169)),
    "diabetes": lambda: _table("diabetes", datasets.load_diabetes, (240, 90, 112)),
    "moons": _moons,
    "rings": _rings,
    "blobs": _blobs,
    "spirals": _spirals,
    "friedman": _friedman,
    "wave": _wave,
    "several": _several,
    "series": _series,
}

NAMES = tuple(_MAKERS)


@cache
def task(name: str) -> Task:
    """The task of this name."""
    return _MAKERS[name]()
