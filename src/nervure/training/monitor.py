# SPDX-License-Identifier: BSD-3-Clause
"""Monitor: judges what was measured. Best epoch, patience, plateau, divergence."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Mapping, Sequence

from nervure.base.words import many, unknown
from nervure.metrics import Metric
from nervure.optimizers import PlateauState, ReduceOnPlateau
from nervure.spec.stopping import EarlyStopping
from nervure.training.settings import Settings
from nervure.training.state import Best, State

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
        self._stopping = settings.early_stopping
        rate = getattr(settings.optimizer, "learning_rate", None)
        self._plateau = rate if isinstance(rate, ReduceOnPlateau) else None
        self._default = "validation_loss" if "validation_loss" in names else "loss"
        self._followed = {
            "early_stopping": self._name(self._stopping),
            "reduce_on_plateau": self._name(self._plateau),
        }
        for who, monitor in self._followed.items():
            if monitor not in names:
                raise ValueError(unknown(who, "value to monitor", monitor, names))
        self._begin = state.epoch  # of this session
        state.monitors = dict(self._followed)

    def _name(self, of: EarlyStopping | ReduceOnPlateau | None) -> str:
        return (of and of.monitor) or self._default

    def resume(self) -> None:
        """After a state was taken over: what follows another value now begins anew.

        Warns of it: the best epoch and the patience so far were those of another value.
        """
        state, followed = self._state, self._followed
        self._begin = state.epoch
        before = {who: state.monitors.get(who, now) for who, now in followed.items()}
        changed = {who for who, now in followed.items() if before[who] != now}
        state.monitors = dict(followed)
        if "early_stopping" in changed:
            state.best = Best()
            _tell("best epoch", "early_stopping", before, followed)
        if self._plateau and "reduce_on_plateau" in changed:
            scale = state.plateau.scale
            state.plateau = dataclasses.replace(PlateauState(), scale=scale)
            _tell("plateau", "reduce_on_plateau", before, followed)

    def note(self, values: Mapping[str, float]) -> None:
        """The values of an epoch, before it is counted."""
        self._note_best(values)
        if self._plateau is not None:
            monitor = self._followed["reduce_on_plateau"]
            self._state.plateau = self._plateau.update(
                self._state.plateau,
                values[monitor],
                larger_is_better=self._larger_is_better(monitor),
            )

    def _note_best(self, values: Mapping[str, float]) -> None:
        best, monitor = self._state.best, self._followed["early_stopping"]
        value = values[monitor]
        delta = self._stopping.min_delta if self._stopping else 0.0
        gain = value - best.value
        gain = gain if self._larger_is_better(monitor) else -gain
        first = best.epoch < 0 and not math.isnan(value)
        if first or gain > delta:  # NaN gains nothing
            best.value, best.epoch, best.waited = value, self._state.epoch, 0
            self._state.best_values[:] = self._state.values
            return
        best.waited += 1

    def _larger_is_better(self, monitor: str) -> bool:
        name = monitor.removeprefix("validation_")
        return name in self._metrics and self._metrics[name].larger_is_better

    def patience_ended(self) -> str | None:
        """Why training ends by early stopping, if it does."""
        waited = self._state.best.waited
        if self._stopping is None or waited < self._stopping.patience:
            return None
        monitor = self._followed["early_stopping"]
        return f"{monitor} has not improved for {many(waited, 'epoch')}"

    def runaway(self, cost: float, cost_before: Callable[[], float]) -> float | None:
        """The cost that this one has grown from, past all use, if it has.

        Numbers can grow so and stay finite. They are compared with the least cost of an
        epoch of this session, which saw the same rows; in its first epoch with
        ``cost_before``, that of all rows under the weights it began with. It is
        computed on suspicion alone: a first batch may be far cheaper than the others.
        """
        known = self._state.history.get("loss", [])[self._begin :]
        least = min((c for c in known if not math.isnan(c)), default=None)
        suspect = self._state.costs[0] if least is None else least
        if not cost > RUNAWAY * max(suspect, 1.0):
            return None
        before = cost_before() if least is None else least
        return before if cost > RUNAWAY * max(before, 1.0) else None


def _tell(
    what: str, who: str, before: Mapping[str, str], now: Mapping[str, str]
) -> None:
    warnings.warn(
        f"[{who}] the run monitored {before[who]} so far, from here {now[who]}; its "
        f"{what} is counted anew; resume with monitor={before[who]!r} to keep it",
        stacklevel=2,
    )
