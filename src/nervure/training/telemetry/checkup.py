# SPDX-License-Identifier: BSD-3-Clause
"""Checkup: the same few rows in inference, after some of the epochs.

What an epoch measures mixes weights of its beginning and its end, and dropout; here
training and held-out rows meet the same weights, so that their costs compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import one_each
from nervure.executors import Data
from nervure.findings.facts import Task, classes_of, evenly, task_of
from nervure.metrics._classes import predicted_classes, probabilities
from nervure.training.trunk import Learner

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]

ROWS = 256
HARDEST = 8
BLOCKS = 32
"""Points of the curve of the steps' costs."""

MOST_CLASSES = 100


@dataclass(frozen=True)
class Part:
    """Rows that are looked at, and their numbers in the data they are of."""

    name: str
    data: Data
    rows: Rows
    task: Task


class Checkup:
    """Looks at rows of one training."""

    def __init__(self, learner: Learner, rows: Rows) -> None:
        self._learner = learner
        task = task_of(_target(learner.data)[rows[:1024]])
        own = evenly(rows, ROWS)
        self._parts = [Part("training", learner.data.take(own), own, task)]
        held_out = learner.validation
        if held_out is not None:
            some = evenly(np.arange(held_out.rows), ROWS)
            self._parts.append(Part("validation", held_out.take(some), some, task))

    def event(self, epoch: int, step: int, costs: Sequence[float]) -> dict[str, Any]:
        """What the rows say after an epoch whose steps had these costs."""
        event: dict[str, Any] = {"event": "checkup", "epoch": epoch, "step": step}
        event |= _curve(np.array(costs))
        return event | {part.name: self._look(part) for part in self._parts}

    def _look(self, part: Part) -> dict[str, Any]:
        executor, objective = self._learner.executor, self._learner.objective
        outputs, costs = executor.row_costs(part.data, objective)
        y = one_each(outputs[0], "telemetry").reshape(len(costs), -1)
        target = _target(part.data)
        order = np.argsort(-costs, kind="stable")[:HARDEST].tolist()
        found: dict[str, Any] = {
            "rows": len(costs),
            "loss": float(costs.mean()),
            "hardest": [[int(part.rows[i]), float(costs[i])] for i in order],
        }
        if part.task == "classes":
            loss = objective.costs[0].loss
            found |= _of_classes(y, target, costs, loss.threshold)
        elif part.task == "amounts":
            found["r2"] = _explained(target.reshape(len(y), -1), y)
        return found


def _target(data: Data) -> Array:
    return one_each(data.targets[0], "telemetry")


def _explained(target: Array, y: Array) -> float:
    """Share of the variance of all columns together that is explained."""
    if target.shape != y.shape:
        return math.nan
    rest = np.sum((target - y) ** 2, dtype=np.float64)
    whole = np.sum((target - target.mean(axis=0)) ** 2, dtype=np.float64)
    return float(1 - rest / whole) if whole > 0 else math.nan


def _curve(costs: Array) -> dict[str, Any]:
    """The costs of an epoch's steps: means of blocks, and how far steps scatter."""
    if not len(costs):
        return {}
    blocks = np.array_split(costs, min(BLOCKS, len(costs)))
    steps = np.abs(np.diff(costs))
    return {
        "costs": [float(block.mean()) for block in blocks],
        "scatter": float(steps.mean()) if len(steps) else 0.0,
        "highest": float(costs.max()),
    }


def _of_classes(y: Array, target: Array, costs: Array, threshold: float) -> Any:
    """Accuracy, and each class: rows, mean loss, share found, rows taken for it."""
    said, true = predicted_classes(y, threshold), classes_of(target)
    right = said == true
    count = min(max(y.shape[1], 2), MOST_CLASSES)
    inside = true < count
    rows = np.bincount(true[inside], minlength=count)
    some = np.maximum(rows, 1)
    loss = np.bincount(true[inside], costs[inside], count) / some
    found = np.bincount(true[inside], right[inside], count) / some
    told = np.bincount(np.minimum(said, count - 1), minlength=count)
    table = zip(
        rows.tolist(), loss.tolist(), found.tolist(), told.tolist(), strict=True
    )
    known = {"accuracy": float(right.mean()), "classes": [list(row) for row in table]}
    return known | _confidence(y, right)


def _confidence(y: Array, right: Array) -> dict[str, float]:
    """How sure the answers are, and how far that is from how often they are right.

    ``calibration`` is the expected calibration error over ten bins of confidence.
    """
    p = probabilities(y)
    sure = p.max(axis=1) if p.shape[1] > 1 else np.maximum(p[:, 0], 1 - p[:, 0])
    if not ((sure >= 0) & (sure <= 1.0001)).all():
        return {}
    bins = np.minimum((sure * 10).astype(int), 9)
    gaps = np.bincount(bins, sure - right, 10)
    return {
        "confidence": float(sure.mean()),
        "calibration": float(np.abs(gaps).sum() / len(sure)),
    }
