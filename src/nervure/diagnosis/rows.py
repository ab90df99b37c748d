# SPDX-License-Identifier: BSD-3-Clause
"""Rows: what can be learned from them, by models that are solved rather than trained.

Ridge regression and kernel ridge regression are a few matrix products on at most `MOST`
rows. They tell what a network should reach at least, whether targets belong to their
rows at all, or to the rows beside them, and which of them are probably wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import one_each
from nervure.executors import Data
from nervure.findings.facts import Task, classes_of, looked_at, task_of
from nervure.graph.codes import Codes
from nervure.graph.graph import Graph
from nervure.layers import EmbeddingBag

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

MOST = 600
"""Rows that the models see; a kernel of so many is solved in 20 ms."""

MOST_COLUMNS = 2048
SHIFTS = (-3, -2, -1, 1, 2, 3)
RIDGES = (1e-3, 1e-1, 1e1)
"""Of the kernel, whose diagonal is 1."""

NEIGHBOURS = 9

COMMON_WORDS = 300


@dataclass(frozen=True)
class Sample:
    """Rows with their targets; ``order`` says where they stood in the data."""

    x: Floats
    y: Array
    order: Rows

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Yield:
    """How much a model learns: skill from 0 for a constant answer to 1."""

    linear: float
    kernel: float

    @property
    def best(self) -> float:
        return max(self.linear, self.kernel)


class Study:
    """What rows say when they are looked at as a whole.

    Args:
        data: of which the first output is looked at.
        rows: those that are trained on.
        held_out: what is held against them, or None.
        words: columns that hold the words of texts.
    """

    def __init__(
        self,
        data: Data,
        rows: Rows,
        held_out: Data | None,
        words: Sequence[Codes] = (),
    ) -> None:
        self._words = words
        self._data, self._targets = data, one_each(data.targets[0], "doctor")
        self._order = looked_at(data, np.asarray(rows, np.int64), MOST)
        self._held_out = held_out
        self.task: Task = task_of(self._targets[rows[:1024]])

    @cached_property
    def train(self) -> Sample:
        """Rows that the models learn from, columns standardized."""
        order = self._order
        return Sample(self._scaled(self._plain), self._targets[order], order)

    @cached_property
    def _plain(self) -> Floats:
        return _flat(self._data, self._order, self._words)

    @cached_property
    def held_out(self) -> Sample | None:
        if self._held_out is None:
            return None
        held = self._held_out
        order = looked_at(held, np.arange(held.rows), MOST)
        x = self._scaled(_flat(held, order, self._words))
        return Sample(x, one_each(held.targets[0], "doctor")[order], order)

    @cached_property
    def _scale(self) -> tuple[Floats, Floats]:
        std = self._plain.std(axis=0)
        return self._plain.mean(axis=0), np.where(std > 0, std, 1.0)

    def _scaled(self, x: Floats) -> Floats:
        mean, std = self._scale
        return np.clip((x - mean) / std, -10, 10)

    # -- what can be learned ------------------------------------------------------

    @cached_property
    def yields(self) -> Yield:
        """Skill on half of the rows, of models of the other half, both ways."""
        return self._yield_of(self.train.y)

    @cached_property
    def shifted(self) -> tuple[int, float]:
        """The shift of the targets by which most is learned, and how much."""
        found = {s: self._yield_of(self._moved(s)).best for s in SHIFTS}
        best = max(found, key=lambda s: found[s])
        return best, found[best]

    def _moved(self, shift: int) -> Array:
        """Targets of the rows that stand so many places behind."""
        places = (self.train.order + shift) % len(self._targets)
        return self._targets[places]

    @cached_property
    def _halves(self) -> list[tuple[Rows, Rows]]:
        order = np.random.default_rng(0).permutation(len(self.train))
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        return [(one, other), (other, one)]

    def _yield_of(self, y: Array) -> Yield:
        wanted = _columns(y, self.task)
        found = {"linear": [0.0], "kernel": [0.0]}
        if min(len(part) for part in self._halves[0]) < 4:
            return Yield(0.0, 0.0)
        guess = np.zeros_like(wanted)
        for kind in found:
            tried: list[float] = []
            for ridge in RIDGES:
                for i, (own, others) in enumerate(self._halves):
                    model = self._models[kind][i, ridge]
                    guess[others] = model @ _centered(wanted, own)
                    guess[others] += wanted[own].mean(axis=0)
                tried.append(skill(guess, y, self.task))
            found[kind] = tried
        return Yield(max(found["linear"]), max(found["kernel"]))

    @cached_property
    def _models(self) -> dict[str, dict[tuple[int, float], Floats]]:
        """Matrices from the targets of one half to guesses for the other."""
        x = self.train.x
        made: dict[str, dict[tuple[int, float], Floats]] = {}
        for kind, kernel in (("linear", _products(x)), ("kernel", _gaussian(x))):
            made[kind] = {
                (i, ridge): _solver(kernel, own, others, ridge)
                for i, (own, others) in enumerate(self._halves)
                for ridge in RIDGES
            }
        return made

    # -- neighbours ---------------------------------------------------------------

    @cached_property
    def disagreement(self) -> float:
        """Share of rows whose label is not that of nearly all of their neighbours.

        Of the half of the rows whose neighbours agree best: where classes overlap,
        neighbours do not agree, so that what is left are labels that are wrong.
        """
        if self.task != "classes" or len(self.train) < 5 * NEIGHBOURS:
            return math.nan
        labels, (said, agree) = classes_of(self.train.y), self._neighbours
        sure: Array = agree >= np.median(agree)
        wrong: Array = said != labels
        return float(np.mean(wrong[sure]))

    @cached_property
    def agreement(self) -> float:
        """How far neighbours agree in that half, 1 if all of them do."""
        if self.task != "classes" or len(self.train) < 5 * NEIGHBOURS:
            return math.nan
        agree = self._neighbours[1]
        return float(np.mean(agree[agree >= np.median(agree)]))

    @cached_property
    def _neighbours(self) -> tuple[Array, Array]:
        """What a row's nearest ones say, and the share of them that says it."""
        labels = classes_of(self.train.y)
        distance = _distances(self.train.x)
        np.fill_diagonal(distance, np.inf)
        near = np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        votes = np.eye(int(labels.max()) + 1)[labels[near]].sum(axis=1)
        return votes.argmax(axis=1), votes.max(axis=1) / NEIGHBOURS

    # -- columns ------------------------------------------------------------------

    @cached_property
    def telling(self) -> tuple[int, float, float]:
        """The column that alone tells most of the target: (place, skill, the next's).

        Its values are sorted into bins by one half of the rows, and tested on the
        other.
        """
        found = sorted(
            ((self._told_by(column), j) for j, column in enumerate(self._own.T)),
            reverse=True,
        )
        if not found:
            return -1, 0.0, 0.0
        second = found[1][0] if len(found) > 1 else 0.0
        return found[0][1], found[0][0], second

    @cached_property
    def _own(self) -> Floats:
        return self.train.x[:, : MOST_COLUMNS // 4]

    def _told_by(self, column: Floats) -> float:
        """Skill of the nearest value's target, of the other half."""
        y = _columns(self.train.y, self.task)
        guess = np.zeros_like(y)
        if len(np.unique(column)) < 2:
            return 0.0
        for own, others in self._halves:
            sorted_ = own[np.argsort(column[own], kind="stable")]
            place = np.searchsorted(column[sorted_], column[others])
            after = np.minimum(place, len(sorted_) - 1)
            before = np.maximum(place - 1, 0)
            right = np.abs(column[sorted_[after]] - column[others])
            left = np.abs(column[sorted_[before]] - column[others])
            guess[others] = y[sorted_[np.where(left < right, before, after)]]
        return skill(guess, self.train.y, self.task)


# -- pieces ---------------------------------------------------------------------------


def words_of(graph: Graph) -> tuple[Codes, ...]:
    """The columns of the inputs that hold the words of texts, text by text."""
    layers = {node.name: node.layer for node in graph.nodes}
    return tuple(c for c in graph.codes if isinstance(layers[c.layer], EmbeddingBag))


def _flat(data: Data, rows: Rows, words: Sequence[Codes]) -> Floats:
    """Rows as the network reads them; of many columns evenly spaced ones.

    Of texts it is told how often each of the commonest words comes.
    """
    parts: list[Array] = []
    for i, x in enumerate(read(data.take(rows))):
        flat = np.asarray(x).reshape(len(rows), -1)
        texts = [each.columns for each in words if each.input == i]
        parts.append(np.delete(flat, np.concatenate(texts), axis=1) if texts else flat)
        parts += [_counted(flat[:, columns]) for columns in texts]
    whole = np.hstack(parts)
    return whole[:, :: -(-whole.shape[1] // MOST_COLUMNS)].astype(np.float64)


def _counted(codes: Array) -> Array:
    """How often the commonest words come; a vocabulary begins with these, at 2."""
    common = range(2, 2 + COMMON_WORDS)
    return np.stack([(codes == code).sum(axis=1) for code in common], axis=1)


def read(data: Data) -> list[Array]:
    """The inputs as the network reads them."""
    arrays = [one_each(x, "doctor") for x in data.inputs]
    return [
        x if data.scale_of(i) == 1 else np.asarray(x) * np.float32(data.scale_of(i))
        for i, x in enumerate(arrays)
    ]


def _columns(y: Array, task: Task) -> Floats:
    """Targets as columns: of classes one for each."""
    if task == "classes":
        labels = classes_of(y)
        return np.eye(int(labels.max()) + 1)[labels]
    return y.reshape(len(y), -1).astype(np.float64)


def _centered(y: Floats, rows: Rows) -> Floats:
    return y[rows] - y[rows].mean(axis=0)


def skill(guess: Array, y: Array, task: Task) -> float:
    """From 0 for the best constant answer to 1: accuracy, or variance explained.

    >>> skill(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]), "classes")
    1.0
    """
    if task == "classes":
        labels = classes_of(y)
        most = int(np.bincount(labels).max()) / len(labels)
        several = guess.shape[1] > 1
        said = guess.argmax(axis=1) if several else (guess[:, 0] > 0.5).astype(int)
        same: Array = said == labels
        right = float(np.mean(same))
        return (right - most) / max(1 - most, 1e-9)
    wanted = y.reshape(len(y), -1).astype(np.float64)
    whole = float(np.sum((wanted - wanted.mean(axis=0)) ** 2))
    rest = float(np.sum((guess - wanted) ** 2))
    return 1 - rest / whole if whole > 0 and math.isfinite(rest) else 0.0


def _distances(x: Floats) -> Floats:
    squares = np.sum(x * x, axis=1)
    return np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0)


def _products(x: Floats) -> Floats:
    kernel = x @ x.T
    return kernel / max(float(np.trace(kernel)) / len(x), 1e-12)


def _gaussian(x: Floats) -> Floats:
    """exp(-d^2 / (2 s^2)) with s the third of the median distance, or all of it."""
    distance = _distances(x)
    middle = float(np.median(distance)) or 1.0
    width = middle if x.shape[1] > 4 else middle / 8
    return np.exp(-distance / width)


def _solver(kernel: Floats, own: Rows, others: Rows, ridge: float) -> Floats:
    whole = kernel[np.ix_(own, own)] + ridge * np.eye(len(own))
    return cast(Floats, np.linalg.solve(whole, kernel[np.ix_(own, others)]).T)
