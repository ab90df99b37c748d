# SPDX-License-Identifier: BSD-3-Clause
"""Trainings: a spec and its rows, how they are run, and how good the result is."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tasks import Rows, Task

import nervure as nv
from nervure.findings.finding import FindingWarning
from nervure.runs.training import fit_arrays
from nervure.spec.reading import parse_spec
from nervure.spec.tables import Spec


@dataclass
class Training:
    """What is trained: tables of a spec, and rows.

    ``unusual`` says that a setting is merely unusual; ``balanced`` that classes count
    alike, however many rows they have.
    """

    task: Task
    tables: dict[str, Any]
    train: Rows
    held_out: Rows | None
    test: Rows
    unusual: list[str] = field(default_factory=list)
    balanced: bool = False

    @property
    def layers(self) -> list[dict[str, Any]]:
        return self.tables["layer"]

    @property
    def settings(self) -> dict[str, Any]:
        return self.tables["training"]

    @property
    def spec(self) -> Spec:
        return parse_spec(self.tables)

    def copy(self) -> Training:
        return dataclasses.replace(
            self, tables=copy.deepcopy(self.tables), unusual=[*self.unusual]
        )

    def hidden(self) -> list[int]:
        """Places of the layers with weights, but for the last one."""
        return self.weighted()[:-1]

    def weighted(self) -> list[int]:
        """Places of all layers with weights."""
        kinds = ("dense", "conv1d", "conv2d")
        return [i for i, layer in enumerate(self.layers) if layer["type"] in kinds]


@dataclass
class Outcome:
    """What came of a training."""

    run: nv.Run
    score: float
    told: tuple[str, ...] = ()
    diverged: bool = False


def train(training: Training, spec: Spec | None = None) -> Outcome:
    """Train, and score on rows that nobody has seen."""
    spec = spec or training.spec
    held = training.held_out
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run, diverged = _fit(spec, training, held), False
        except nv.DivergenceError as error:
            run, diverged = error.run, True
    for one in caught:
        if issubclass(one.category, FindingWarning):
            told.append(str(one.message).partition(":")[0])
        elif "rule failed" in str(one.message) or "[telemetry]" in str(one.message):
            raise RuntimeError(str(one.message))
    return Outcome(run, score(training, run.network), tuple(told), diverged)


def _fit(spec: Spec, training: Training, held: Rows | None) -> nv.Run:
    validation = None if held is None else (held.X, held.y)
    return fit_arrays(
        spec,
        training.train.X,
        training.train.y,
        validation=validation,
        progress=False,
        telemetry=True,
    )


def score(training: Training, network: nv.Network) -> float:
    """From 0 for guessing to 1: accuracy above that of the largest class, or R2."""
    y = training.test.y
    with np.errstate(all="ignore"):
        out = np.asarray(network.forward(training.test.X), np.float64)
    if training.task.kind == "amounts":
        target = y.reshape(len(y), -1)
        out = out.reshape(len(y), -1)
        rest = np.mean((out - target) ** 2) / np.mean((target - target.mean(0)) ** 2)
        return float(max(-1.0, 1 - rest)) if np.isfinite(rest) else -1.0
    out = out.reshape(len(y), -1)
    said = out.argmax(1) if out.shape[1] > 1 else (out[:, 0] > 0.5).astype(int)
    if not np.isfinite(out).all():
        said = np.zeros(len(y), int)
    counts = np.bincount(y)
    if training.balanced:
        right = np.mean([np.mean(said[y == c] == c) for c in range(len(counts))])
        chance = 1 / len(counts)
    else:
        right, chance = np.mean(said == y), counts.max() / len(y)
    return float((right - chance) / (1 - chance))
