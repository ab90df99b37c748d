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
from nervure.findings.signs import Signs
from nervure.graph.graph import Graph
from nervure.graph.node import Entry, names_of
from nervure.graph.objective import Objective
from nervure.losses import Loss
from nervure.optimizers import Schedule, UpdateRule, learning_rates
from nervure.record import Event, Record
from nervure.spec.tables import Spec, TrainingSpec

Array = npt.NDArray[Any]

HARM = 0.1
"""Skill below that of a simple model which counts as a failure.

Of 600 sound trainings of benchmarks/doctor 2 % miss so much of what ridge or kernel
ridge regression reach on the rows that were trained on, all of them data of fewer
than a hundred rows.
"""


HOPELESS, STIRRING = 0.2, 0.03
"""Of a training that goes on: a skill below the one that has not grown by the other."""

EARLIEST = 16
"""Steps before which nothing is said to fail."""


@dataclass(frozen=True, eq=False)
class Case:
    """What is known: each part may be missing.

    Attributes:
        spec: the network and its training as they were asked for.
        graph: the network.
        objective: what it is to learn.
        facts: what the rows are like.
        record: what the run has told.
        live: whether it is still going on.
        deep: what looking at all rows has told, by name: ``best``, the skill of a
            simple model; ``own`` and ``held_out``, those of the network on rows it was
            trained on and on others; and more (see `nervure.diagnosis.subject`).
        trials: what experiments have told, by name (`nervure.diagnosis.experiments`).
        deep_scales: means and scales by which the inputs would be standardized.
        deep_targets: the same of the targets.
    """

    spec: Spec = field(default_factory=Spec)
    graph: Graph | None = None
    objective: Objective | None = None
    facts: Facts | None = None
    record: Record = field(default_factory=Record)
    live: bool = False
    deep: Mapping[str, float] = field(default_factory=dict[str, float])
    trials: Mapping[str, Any] = field(default_factory=dict[str, Any])
    deep_scales: tuple[Any, Any] | None = None
    deep_targets: tuple[list[float], list[float]] | None = None

    # -- what was asked for -------------------------------------------------------

    @property
    def training(self) -> TrainingSpec:
        return self.spec.training or TrainingSpec()

    @cached_property
    def names(self) -> list[str]:
        """Names of the layers of the spec, in order."""
        return names_of(self.spec.layers)

    def entry(self, layer: str) -> Entry | None:
        """The layer of this name as the spec has it."""
        known = layer in self.names
        return self.spec.layers[self.names.index(layer)] if known else None

    def key(self, layer: str, name: str = "") -> str | None:
        """The key of a layer's field in the spec, where the spec names the layer."""
        if layer not in self.names:
            return None
        place = f"layer.{self.names.index(layer)}"
        return f"{place}.{name}" if name else place

    @property
    def cost(self) -> Loss | None:
        """The loss of the first output."""
        if self.objective is not None:
            return self.objective.costs[0].loss
        given = self.training.loss
        return given if isinstance(given, Loss) else None

    @cached_property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        rows = self.facts.rows if self.facts else 0
        rule = self.training.optimizer
        whole = rule.full_batch or not rule.stepwise
        return 1 if whole or not rows else -(-rows // self.training.batch_size)

    @cached_property
    def planned(self) -> int:
        """Steps that the whole training would take."""
        wanted = self.training.epochs * self.per_epoch
        return min(wanted, self.training.max_steps or wanted)

    @cached_property
    def rates(self) -> Array:
        """The learning rate at up to 200 steps evenly over the training."""
        rule = self.training.optimizer
        if not isinstance(rule, UpdateRule):
            return np.empty(0)
        steps = np.unique(np.linspace(0, max(self.planned - 1, 0), 200).astype(int))
        if not isinstance(rule.learning_rate, Schedule):
            return np.full(len(steps), float(rule.learning_rate))
        per_epoch, planned = max(self.per_epoch, 1), max(self.planned, 1)
        return learning_rates(rule.learning_rate, steps, per_epoch, planned)

    @property
    def rate(self) -> float:
        """The learning rate, its highest where it follows a schedule; else NaN."""
        return float(self.rates.max()) if len(self.rates) else math.nan

    # -- what the run has told ----------------------------------------------------

    @cached_property
    def layout(self) -> Event:
        return self.record.latest("layout")

    @cached_property
    def signs(self) -> Signs:
        """What the sampled steps say of the layers."""
        return Signs(self.record, self.graph)

    @cached_property
    def checkups(self) -> Sequence[Event]:
        return self.record.of("checkup")

    @cached_property
    def diverged(self) -> bool:
        """Whether numbers stopped being finite, or the cost ran away."""
        return bool(self.record.of("diverged"))

    def history(self, name: str) -> Array:
        """A value of every epoch; empty where nobody measured it."""
        return self.record[name] if name in self.record else np.empty(0)

    @cached_property
    def loss(self) -> Array:
        """Training loss of every epoch."""
        return self.history("loss")

    @cached_property
    def first_cost(self) -> float:
        """Cost of the first batch, before anything was learned."""
        steps = self.record.of("step")
        return float(steps[0].get("cost", math.nan)) if steps else math.nan

    @property
    def chance(self) -> float:
        """Cost of the best constant answer, NaN where nobody knows it."""
        return self.facts.chance if self.facts else math.nan

    # -- how well it went ---------------------------------------------------------

    def skill(self, part: str = "training", checkup: int = -1) -> float:
        """How much better than a constant answer, 1 the best; NaN where unknown.

        Of classes by accuracy, of amounts by the share of the variance explained.
        """
        if not self.checkups:
            return math.nan
        return self._skill_of(self.checkups[checkup].get(part) or {})

    def _skill_of(self, seen: Mapping[str, Any]) -> float:
        if "accuracy" in seen:
            rows = [row[0] for row in seen.get("classes", ())]
            most = max(rows, default=0) / max(sum(rows), 1)
            return (float(seen["accuracy"]) - most) / max(1 - most, 1e-9)
        if "r2" in seen:
            return float(seen["r2"])
        loss = float(seen.get("loss", math.nan))
        return 1 - loss / self.chance if self.chance > 0 else math.nan

    @cached_property
    def own(self) -> float:
        """Skill on rows that it was trained on."""
        return self.deep.get("own", self.skill())

    @cached_property
    def held_out(self) -> float:
        """Skill on rows held out; NaN where there are none."""
        return self.deep.get("held_out", self.skill("validation"))

    @cached_property
    def best(self) -> float:
        """Skill of a simple model on rows it has not seen; NaN where unknown."""
        return self.deep.get("best", math.nan)

    @cached_property
    def lack(self) -> float:
        """Skill that a simple model has and the network lacks, on rows it has seen.

        Where nobody knows what can be reached: what is lacking to one half.
        """
        if self.diverged:
            return 1.0
        wanted = 0.5 if math.isnan(self.best) else self.best
        return wanted - self.own

    @cached_property
    def noise(self) -> float:
        """How far chance alone may move the skill on the rows held out."""
        rows = self.facts.held_out if self.facts else 0
        return 1 / math.sqrt(rows) if rows else math.nan

    @property
    def behind(self) -> float:
        """Skill that a simple model has and the network lacks on rows held out.

        Less what may be chance; NaN where nobody knows.
        """
        return self.best - self.held_out - self.noise

    @property
    def fails(self) -> bool:
        """Whether it does not even learn the rows that it is trained on.

        While training goes on: whether it has not begun to, from one look to the next.
        """
        if not self.live or self.diverged:
            return self.lack >= HARM
        if len(self.checkups) < 2 or self.checkups[-1]["step"] < EARLIEST:
            return False
        now, before = self.skill(), self.skill(checkup=-2)
        return now < HOPELESS and not now > before + STIRRING
