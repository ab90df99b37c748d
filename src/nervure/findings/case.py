# SPDX-License-Identifier: BSD-3-Clause
"""Case: all that is known of a training when somebody asks what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.findings.facts import Facts
from nervure.graph.graph import Graph
from nervure.graph.node import names_of
from nervure.optimizers import Schedule, UpdateRule, learning_rates
from nervure.record import Event, Record
from nervure.spec.tables import Spec, TrainingSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Case:
    """What is known: each part may be missing.

    Attributes:
        spec: the network and its training as they were asked for.
        graph: the network.
        facts: what the rows are like.
        record: what the run has told.
        live: whether it is still going on.
        deep: what looking at all rows has told, by name (see `nervure.diagnosis`).
        trials: what experiments have told, by name.
    """

    spec: Spec = field(default_factory=Spec)
    graph: Graph | None = None
    facts: Facts | None = None
    record: Record = field(default_factory=Record)
    live: bool = False
    deep: Mapping[str, Any] = field(default_factory=dict[str, Any])
    trials: Mapping[str, Any] = field(default_factory=dict[str, Any])

    # -- what was asked for -------------------------------------------------------

    @property
    def training(self) -> TrainingSpec:
        return self.spec.training or TrainingSpec()

    @cached_property
    def names(self) -> list[str]:
        """Names of the layers of the spec, in order."""
        return names_of(self.spec.layers)

    def key(self, layer: str, name: str = "") -> str | None:
        """The key of a layer's field in the spec, where the spec names the layer."""
        if layer not in self.names:
            return None
        place = f"layer.{self.names.index(layer)}"
        return f"{place}.{name}" if name else place

    @cached_property
    def planned(self) -> int:
        """Steps that the whole training would take."""
        wanted = self.training.epochs * self.per_epoch
        return min(wanted, self.training.max_steps or wanted)

    @cached_property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        rows = self.facts.rows if self.facts else 0
        rule = self.training.optimizer
        whole = rule.full_batch or not rule.stepwise
        return 1 if whole or not rows else -(-rows // self.training.batch_size)

    @cached_property
    def rate(self) -> float | None:
        """The learning rate, its highest where it follows a schedule."""
        rule = self.training.optimizer
        if not isinstance(rule, UpdateRule):
            return None
        if not isinstance(rule.learning_rate, Schedule):
            return float(rule.learning_rate)
        steps = np.unique(np.linspace(0, max(self.planned - 1, 0), 64).astype(int))
        rates = learning_rates(
            rule.learning_rate, steps, max(self.per_epoch, 1), max(self.planned, 1)
        )
        return float(rates.max())

    # -- what the run has told ----------------------------------------------------

    @cached_property
    def layout(self) -> Event:
        return self.record.latest("layout")

    @cached_property
    def checkups(self) -> Sequence[Event]:
        return self.record.of("checkup")

    @cached_property
    def loss(self) -> Array:
        """Training loss of every epoch."""
        return self.record["loss"] if "loss" in self.record else np.empty(0)

    def column(self, name: str) -> Array:
        """A column of the sampled steps; empty where there is none."""
        if name not in self.record:
            width = len(self.record.layers)
            return np.empty((0, width))
        return self.record[name]

    @property
    def chance(self) -> float:
        """Cost of the best constant answer, NaN where nobody knows it."""
        return self.facts.chance if self.facts else math.nan

    def skill(self, part: str = "training", checkup: int = -1) -> float:
        """How much better than a constant answer, 1 the best; NaN where unknown.

        Of classes by accuracy, of amounts by the share of the variance explained.
        """
        if not self.checkups:
            return math.nan
        return self.skill_of(self.checkups[checkup].get(part) or {})

    def skill_of(self, seen: Mapping[str, Any]) -> float:
        """The skill on the rows of one part of a checkup."""
        if "accuracy" in seen:
            counts = self.facts.counts if self.facts else ()
            most = max(counts) / sum(counts) if sum(counts) else 0.0
            return (float(seen["accuracy"]) - most) / max(1 - most, 1e-9)
        if "r2" in seen:
            return float(seen["r2"])
        loss = float(seen.get("loss", math.nan))
        return 1 - loss / self.chance if self.chance > 0 else math.nan
