# SPDX-License-Identifier: BSD-3-Clause
"""Session: the loop of epochs and stretches of steps."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nervure.base.files import WriteError
from nervure.executors import Job, Stretch, Trainer
from nervure.graph.naming import factors
from nervure.graph.parameters import aligned_zeros
from nervure.metrics import Metric
from nervure.network.evaluation import evaluate_data, measure, metrics_of
from nervure.optimizers import ReduceOnPlateau, UpdateRule, learning_rates
from nervure.training.divergence import DivergenceError, explain, remedy
from nervure.training.folder import RunFolder
from nervure.training.interrupt import Interruption
from nervure.training.prepare import Prepared
from nervure.training.progress import Progress
from nervure.training.run import Run
from nervure.training.sampler import epoch_order
from nervure.training.settings import Settings
from nervure.training.state import State
from nervure.training.trunk import Learner, learner_of

if TYPE_CHECKING:
    from nervure.network.network import Network

STRETCH_SECONDS = 0.05
"""How long the engine works before Python looks up: progress, Ctrl-C, time limits."""

RUNAWAY = 1e4
"""A cost that has grown so many times (and past it) will not come back."""


class Session:
    """One call of `fit`: takes a state from where it is to the end."""

    def __init__(
        self,
        net: Network,
        prepared: Prepared,
        settings: Settings,
        progress: Progress,
        folder: RunFolder | None = None,
        fingerprint: dict[str, str] | None = None,
    ) -> None:
        self.net, self.prepared, self.settings = net, prepared, settings
        self.progress, self.folder = progress, folder
        self._fingerprint = fingerprint or {}
        self.metrics = metrics_of(
            net, settings.objective, prepared.data, settings.metrics
        )
        self._check_monitors()
        self.state = self._fresh_state()
        self.run = Run(net, self.state, folder.path if folder else None)
        self.interruption = Interruption()
        self._begun = 0.0
        self._saved = 0.0
        self._warned = False
        self._epoch_values = net.values.copy()
        self._length = 1  # steps that the engine takes at once

    def _fresh_state(self) -> State:
        rule, net = self.settings.optimizer, self.net
        slots = rule.slots if isinstance(rule, UpdateRule) else ()
        wanted = {output for output, _, _ in self.metrics}
        rows = self.prepared.data.rows
        outputs = tuple(
            np.zeros((rows, *shape) if i in wanted else (0,), net.dtype)
            for i, shape in enumerate(net.graph.output_shapes)
        )
        return State(
            values=net.values,
            slots=tuple(aligned_zeros(net.layout.size, net.dtype) for _ in slots),
            best_values=net.values.copy(),
            outputs=outputs if wanted else (),
        )

    def _check_monitors(self) -> None:
        """Names to monitor are known before anything is trained."""
        names = ["loss", *(name for _, name, _ in self.metrics)]
        if self.prepared.validation is not None:
            names += [f"validation_{name}" for name in names]
        values = dict.fromkeys(names, 0.0)
        stopping = self.settings.early_stopping
        if stopping:
            self._monitored(values, stopping.monitor, "early_stopping")
        rate = getattr(self.settings.optimizer, "learning_rate", None)
        if isinstance(rate, ReduceOnPlateau):
            self._monitored(values, rate.monitor, "reduce_on_plateau")

    # -- the whole ----------------------------------------------------------------

    def train(self) -> Run:
        """Take all epochs; the run is whole even where they end early."""
        state, settings = self.state, self.settings
        self._begun = time.monotonic() - state.seconds
        self._saved = time.monotonic()
        state.stopped = self._reached()
        for callback in settings.callbacks:
            callback.on_begin(self.run)
        try:
            with self.interruption:
                while state.epoch < settings.epochs and state.stopped is None:
                    self._epoch()
        finally:
            self.progress.close()
        state.seconds = time.monotonic() - self._begun
        self._finish()
        return self.run

    def _finish(self) -> None:
        if self.folder:
            self._checkpoint()
        if self.settings.early_stopping and self.state.best.epoch >= 0:
            self.net.values[:] = self.state.best_values
        for callback in self.settings.callbacks:
            callback.on_end(self.run)
        if self.folder:
            self._save_model(self.folder)

    def _save_model(self, folder: RunFolder) -> None:
        """The best weights, which need not be the ones the network goes on with."""
        state = self.state
        end = {
            "event": "end",
            "epochs": state.epoch,
            "steps": state.step,
            "seconds": round(state.seconds, 3),
            "stopped": state.stopped,
        }
        self._write(lambda: folder.log(end))
        try:
            self.run.best_network().save(folder.model)
        except WriteError as error:
            raise WriteError(
                f"{error}; the trained network is still in memory: write it elsewhere "
                "with network.save(path)"
            ) from error

    # -- an epoch -----------------------------------------------------------------

    @property
    def _steps_per_epoch(self) -> int:
        return -(-len(self.prepared.rows) // self.settings.batch_size)

    @property
    def _total_steps(self) -> int:
        planned = self.settings.epochs * self._steps_per_epoch
        return min(planned, self.settings.max_steps or planned)

    @cached_property
    def _learner(self) -> Learner:
        settings = self.settings
        return learner_of(
            self.net,
            self.prepared,
            settings.objective,
            settings.executor,
            changing=bool(settings.augmentation),
        )

    @cached_property
    def _trainer(self) -> Trainer:
        settings, learner = self.settings, self._learner
        names = factors(self.net.graph, settings.learning_rates)
        job = Job(
            objective=learner.objective,
            data=learner.data,
            optimizer=settings.optimizer,
            slots=self.state.slots,
            batch_size=settings.batch_size,
            seed=settings.seed,
            regularizer=settings.regularizer,
            threads=settings.threads,
            augmentation=settings.augmentation,
            multipliers=names,
        )
        return learner.executor.trainer(job)

    def _epoch(self) -> None:
        state, settings = self.state, self.settings
        order = epoch_order(
            self.prepared.rows, settings.seed, state.epoch, settings.shuffle
        )
        self._epoch_values[:] = state.values
        steps = self._steps_per_epoch
        while len(state.costs) < steps:
            begin = len(state.costs)
            count = min(self._length, steps - begin, self._steps_until_boundary())
            started = time.monotonic()
            self._stretch(order, begin, count)
            took = max(time.monotonic() - started, 1e-6)
            self._length = max(1, min(8 * count, int(count * STRETCH_SECONDS / took)))
            self._between_stretches()
            if state.stopped is not None and len(state.costs) < steps:
                return
        state.stopped = state.stopped or self._limit_reached()
        self._end_of_epoch()

    def _steps_until_boundary(self) -> int:
        """Steps until a checkpoint or the limit of steps is due."""
        every, most = self.settings.checkpoint_steps, self.settings.max_steps
        ends = [self._total_steps + 1]
        if every:
            ends.append(every - self.state.step % every)
        if most:
            ends.append(most - self.state.step)
        return max(1, min(ends))

    def _stretch(self, order: Any, begin: int, count: int) -> None:
        state, size = self.state, self.settings.batch_size
        rows = order[begin * size : (begin + count) * size]
        rates = self._rates(state.step, count)
        stretch = Stretch(rows, rates.tolist(), state.step)
        result = self._trainer.run(stretch, state.outputs)
        state.costs += result.costs.tolist()
        state.weights += result.weights.tolist()
        state.step += len(result.costs)
        if not result.finite:
            taken = len(result.costs)
            self._diverged(rows[taken * size : (taken + 1) * size], rates[taken])

    def _rates(self, first: int, count: int) -> Any:
        rate = self.settings.optimizer.learning_rate
        steps = np.arange(first, first + count)
        values = learning_rates(rate, steps, self._steps_per_epoch, self._total_steps)
        if isinstance(rate, ReduceOnPlateau):
            return rate.scaled(values, self.state.plateau)
        return values

    def _between_stretches(self) -> None:
        state, settings = self.state, self.settings
        now = time.monotonic()
        state.seconds = now - self._begun
        share = len(state.costs) / self._steps_per_epoch
        self.progress.step(state.epoch, settings.epochs, share, state.costs[-1])
        interrupted = "interrupted" if self.interruption.requested else None
        state.stopped = interrupted or self.run.stop_requested or self._limit_reached()
        by_steps = settings.checkpoint_steps
        by_time = settings.checkpoint_seconds
        due = by_steps is not None and state.step % by_steps == 0
        late = by_time is not None and now - self._saved >= by_time
        if self.folder and (due or late):
            self._checkpoint()

    def _limit_reached(self) -> str | None:
        state, settings = self.state, self.settings
        if settings.max_steps and state.step >= settings.max_steps:
            return f"max_steps = {settings.max_steps} reached"
        if settings.max_seconds and state.seconds >= settings.max_seconds:
            return f"max_seconds = {settings.max_seconds:g} reached"
        return None

    def _patience_ended(self) -> str | None:
        stopping, waited = self.settings.early_stopping, self.state.best.waited
        if stopping is None or waited < stopping.patience:
            return None
        monitor = stopping.monitor or self._default_monitor
        return f"{monitor} has not improved for {waited} epochs"

    def _reached(self) -> str | None:
        """Why a resumed run was at its end already, when its process was killed.

        A limit of steps that falls on the end of an epoch leaves that end to be done.
        """
        ended = self._patience_ended()
        whole = len(self.state.costs) == self._steps_per_epoch
        return ended or (None if whole else self._limit_reached())

    def _checkpoint(self) -> None:
        folder = self.folder
        assert folder is not None
        self._write(lambda: folder.write_checkpoint(self.state, self._fingerprint))
        self._saved = time.monotonic()

    def _write(self, write: Callable[[], object]) -> None:
        """Write to the folder; where that fails the run is not lost: one warning."""
        try:
            write()
        except WriteError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"{error}; training goes on, and tries again at each checkpoint",
                    stacklevel=2,
                )

    # -- its end ------------------------------------------------------------------

    def _end_of_epoch(self) -> None:
        state = self.state
        if not np.isfinite(state.values).all():
            self._diverged(self.prepared.rows[:1], self._rates(state.step - 1, 1)[0])
        values = self._measured()
        self._check_growth(values["loss"])
        values["seconds"] = state.seconds
        state.history.append(values)
        self._note_best(values)
        self._note_plateau(values)
        state.epoch += 1
        state.costs, state.weights = [], []
        for callback in self.settings.callbacks:
            callback.on_epoch_end(self.run)
        if state.stopped is None:
            interrupted = "interrupted" if self.interruption.requested else None
            state.stopped = self.run.stop_requested or interrupted
        self._log_epoch(values)
        shown = {name: value for name, value in values.items() if name != "seconds"}
        self.progress.epoch(state.epoch - 1, self.settings.epochs, shown)

    def _check_growth(self, cost: float) -> None:
        """Numbers can grow past all use and stay finite."""
        state = self.state
        first = state.history["loss"][0] if state.epoch else state.costs[0]
        if cost > RUNAWAY * max(first, 1.0):
            rate = float(self._rates(state.step - 1, 1)[0])
            grown = f"[loss] cost grew from {first:.3g} to {cost:.3g} at learning rate"
            self._stop_diverged(
                f"{grown} {rate:g}; expected it to fall; {remedy(rate)}"
            )

    def _log_epoch(self, values: dict[str, float]) -> None:
        if self.folder is None:
            return
        folder, event = self.folder, {"event": "epoch", "epoch": self.state.epoch - 1}
        self._write(lambda: folder.log({**event, **values}))
        if not (self.settings.checkpoint_steps or self.settings.checkpoint_seconds):
            self._checkpoint()

    def _measured(self) -> dict[str, float]:
        state = self.state
        costs, weights = np.array(state.costs), np.array(state.weights)
        total = weights.sum()
        mean = float((costs * weights).sum() / total) if total > 0 else math.nan
        values = {"loss": mean}
        values |= self._training_metrics()
        learner = self._learner
        if learner.validation is not None:
            found = evaluate_data(
                learner.executor, learner.objective, learner.validation, self.metrics
            )
            values |= {f"validation_{name}": value for name, value in found.items()}
        return values

    def _training_metrics(self) -> dict[str, float]:
        """Metrics of what the network gave during the epoch, dropout and all."""
        data, rows = self.prepared.data, self.prepared.rows
        if not self.metrics:
            return {}
        outputs = [y[rows] if y.size else y for y in self.state.outputs]
        targets = [t[rows] for t in data.targets]
        weights = None if data.weights is None else data.weights[rows]
        return measure(self.metrics, outputs, targets, weights)

    @property
    def _default_monitor(self) -> str:
        return "loss" if self.prepared.validation is None else "validation_loss"

    def _monitored(self, values: dict[str, float], name: str | None, who: str) -> float:
        monitor = name or self._default_monitor
        if monitor not in values:
            from nervure.base.words import unknown

            raise ValueError(unknown(who, "value to monitor", monitor, values))
        return values[monitor]

    def _larger_is_better(self, monitor: str | None) -> bool:
        name = (monitor or "loss").removeprefix("validation_")
        by_name: dict[str, Metric] = {n: m for _, n, m in self.metrics}
        return name in by_name and by_name[name].larger_is_better

    def _note_best(self, values: dict[str, float]) -> None:
        stopping, best = self.settings.early_stopping, self.state.best
        monitor = stopping.monitor if stopping else None
        value = self._monitored(values, monitor, "early_stopping")
        delta = stopping.min_delta if stopping else 0.0
        sign = -1.0 if self._larger_is_better(monitor) else 1.0
        if best.epoch < 0 or sign * value < sign * best.value - delta:
            best.value, best.epoch, best.waited = value, self.state.epoch, 0
            self.state.best_values[:] = self.state.values
            return
        best.waited += 1
        self.state.stopped = self.state.stopped or self._patience_ended()

    def _note_plateau(self, values: dict[str, float]) -> None:
        rate = getattr(self.settings.optimizer, "learning_rate", None)
        if isinstance(rate, ReduceOnPlateau):
            value = self._monitored(values, rate.monitor, "reduce_on_plateau")
            self.state.plateau = rate.update(self.state.plateau, value)

    def _diverged(self, rows: Any, rate: float) -> None:
        """Say where numbers stopped being finite; keep the last good weights."""
        self._stop_diverged(
            explain(self.net, self.settings, self.prepared.data, rows, rate)
        )

    def _stop_diverged(self, message: str) -> None:
        self.net.values[:] = self._epoch_values
        state = self.state
        folder = self.folder
        if folder:
            self._write(lambda: folder.log({"event": "diverged", "step": state.step}))
        state.stopped = "diverged"
        whose = f"after epoch {state.epoch}" if state.epoch else "from before training"
        raise DivergenceError(
            f"{message}; the network keeps its weights {whose}", self.run
        )
