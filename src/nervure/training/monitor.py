# SPDX-License-Identifier: BSD-3-Clause
"""Monitor: judges what was measured. Best epoch, patience, plateau, divergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nervure.base.words import unknown
from nervure.metrics import Metric
from nervure.optimizers import ReduceOnPlateau
from nervure.spec.stopping import EarlyStopping
from nervure.training.settings import Settings
from nervure.training.state import State

RUNAWAY = 1e4
"""A cost that has grown so many times (and past it) will not come back."""


class Monitor:
    """Follows the values of a run, and keeps in its state what it concludes.

    Args:
        names: of the values that are measured.
        metrics: by name, for which way is better.

    Raises:
        ValueError: a name to monitor that nobody measures, before anything is trained.
    """

    def __init__(
        self,
        state: State,
        settings: Settings,
        names: Sequence[str],
        metrics: Mapping[str, Metric],
    ) -> None:
        self._state, self._metrics = state, metrics
        self._default = "validation_loss" if "validation_loss" in names else "loss"
        self._stopping = settings.early_stopping
        rate = getattr(settings.optimizer, "learning_rate", None)
        self._plateau = rate if isinstance(rate, ReduceOnPlateau) else None
        for who, of in (
            ("early_stopping", self._stopping),
            ("reduce_on_plateau", self._plateau),
        ):
            if of is not None and of.monitor is not None and of.monitor not in names:
                raise ValueError(unknown(who, "value to monitor", of.monitor, names))

    def note(self, values: Mapping[str, float]) -> None:
        """The values of an epoch, before it is counted."""
        self._note_best(values)
        if self._plateau is not None:
            value = values[self._plateau.monitor or self._default]
            self._state.plateau = self._plateau.update(self._state.plateau, value)

    def _note_best(self, values: Mapping[str, float]) -> None:
        stopping, best = self._stopping or EarlyStopping(), self._state.best
        monitor = self._monitored
        value = values[monitor]
        delta = stopping.min_delta if self._stopping else 0.0
        sign = -1.0 if self._larger_is_better(monitor) else 1.0
        if best.epoch < 0 or sign * value < sign * best.value - delta:
            best.value, best.epoch, best.waited = value, self._state.epoch, 0
            self._state.best_values[:] = self._state.values
            return
        best.waited += 1

    @property
    def _monitored(self) -> str:
        asked = self._stopping.monitor if self._stopping else None
        return asked or self._default

    def _larger_is_better(self, monitor: str) -> bool:
        name = monitor.removeprefix("validation_")
        return name in self._metrics and self._metrics[name].larger_is_better

    def patience_ended(self) -> str | None:
        """Why training ends by early stopping, if it does."""
        waited = self._state.best.waited
        if self._stopping is None or waited < self._stopping.patience:
            return None
        return f"{self._monitored} has not improved for {waited} epochs"

    def runaway(self, cost: float) -> float | None:
        """The cost that this one has grown from, past all use, if it has.

        Numbers can grow so and stay finite.
        """
        state = self._state
        first = state.history["loss"][0] if state.epoch else state.costs[0]
        return first if cost > RUNAWAY * max(first, 1.0) else None
