# SPDX-License-Identifier: BSD-3-Clause
"""Session: one call of `fit`, from its state to the end."""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any, NoReturn

from nervure.base.stopping import Stopped
from nervure.findings.finding import FindingWarning
from nervure.findings.watch import Watch
from nervure.graph.parameters import Floats
from nervure.losses import weighted_mean
from nervure.network.network import Network
from nervure.optimizers import UpdateRule
from nervure.spec.tables import DataSpec
from nervure.training.checks import check_batch
from nervure.training.described import spec_of
from nervure.training.divergence import DivergenceError, explain, remedy
from nervure.training.folder import RunFolder
from nervure.training.interrupt import Interruption
from nervure.training.lbfgs import ITERATIONS
from nervure.training.meter import Meter
from nervure.training.monitor import Monitor
from nervure.training.prepare import Prepared
from nervure.training.progress import Progress, Silence
from nervure.training.recorder import Recorder, fingerprint
from nervure.training.run import Run
from nervure.training.settings import Settings
from nervure.training.state import State
from nervure.training.steps import STEPS
from nervure.training.telemetry import Off, Telemetry
from nervure.training.trunk import Learner, learner_of


class Session:
    """Takes a state from where it is to the end.

    The course (`STEPS`, or `ITERATIONS` of L-BFGS) takes steps and tells of them; the
    meter measures an epoch, the monitor judges it, the recorder keeps it.
    """

    def __init__(
        self,
        net: Network,
        prepared: Prepared,
        settings: Settings,
        progress: Progress,
        folder: RunFolder | None = None,
    ) -> None:
        self.net, self.prepared, self.settings = net, prepared, settings
        self.progress = progress
        self._learner: Learner | None = None
        known = fingerprint(net, prepared, settings) if folder else {}
        self.recorder = Recorder(folder, known, settings)
        self.telemetry = self._telemetry() if self._is_seen(folder) else Off()
        self._meter = Meter(net, prepared, settings)
        size = settings.rows_per_step(len(prepared.rows))
        check_batch(net.executor(settings.executor).model, size)
        stepwise = isinstance(settings.optimizer, UpdateRule)
        self._course = STEPS if stepwise else ITERATIONS
        self.state = State(
            values=net.values,
            slots=self._course.slots(net, settings.optimizer),
            best_values=net.values.copy(),
            outputs=self._meter.outputs(),
        )
        by_name = {name: metric for _, name, metric in self._meter.metrics}
        self._monitor = Monitor(self.state, settings, self._meter.names, by_name)
        place, record = folder.path if folder else None, self.recorder.record
        asked = partial(spec_of, net, settings, DataSpec())
        watch = Watch(asked, net.graph, settings.objective, record)
        about = (record, watch, prepared, settings.objective)
        self.run = Run(net, self.state, place, *about)
        self.interruption = Interruption()
        self._begun = 0.0

    @property
    def learner(self) -> Learner:
        """What is trained, and the rows as it takes them; made at first use."""
        if self._learner is None:
            with self.interruption.at_once():
                self._learner = self._made_learner()
        return self._learner

    def _made_learner(self) -> Learner:
        settings = self.settings
        return learner_of(
            self.net,
            self.prepared,
            settings.objective,
            settings.executor,
            changing=bool(settings.augmentation),
        )

    def _is_seen(self, folder: RunFolder | None) -> bool:
        """Whether steps are looked at: as asked, else where somebody may read of it."""
        asked = self.settings.telemetry
        shown = folder is not None or not isinstance(self.progress, Silence)
        shown |= any(c.observes for c in self.settings.callbacks)
        return shown if asked is None else asked

    def _telemetry(self) -> Telemetry:
        return Telemetry(self.net, self.prepared, self.settings, self.recorder.tell)

    def resume(self) -> None:
        """After the state was taken over from a checkpoint."""
        self._monitor.resume()
        self.recorder.resume()

    # -- the whole ----------------------------------------------------------------

    def train(self) -> Run:
        """Take all epochs; the run is whole even where they end early."""
        try:
            return self._train()
        finally:
            self.recorder.release()

    def _train(self) -> Run:
        state, settings = self.state, self.settings
        self._begun = time.monotonic() - state.seconds
        self.recorder.begin()
        for callback in settings.callbacks:
            callback.on_begin(self.run)
        try:
            with self.interruption:
                self._course.run(self)
        except Stopped:  # of the step or the epoch's end that was cut there is nothing
            state.stopped = "interrupted"
        finally:
            self.progress.close()
        state.seconds = time.monotonic() - self._begun
        self._finish()
        return self.run

    def _finish(self) -> None:
        self.recorder.checkpoint(self.state)
        if self.settings.early_stopping and self.state.best.epoch >= 0:
            self.net.values[:] = self.state.best_values
        for callback in self.settings.callbacks:
            callback.on_end(self.run)
        # The best weights need not be the ones the network goes on with.
        self.recorder.end(self.state, self.run.best_network)

    # -- what ends it -------------------------------------------------------------

    def reached(self, whole_epoch: bool) -> str | None:
        """Why a resumed run was at its end already, when its process was killed.

        A limit of steps that falls on the end of an epoch leaves that end to be done.
        """
        ended = self._monitor.patience_ended()
        return ended or (None if whole_epoch else self.limit_reached())

    def limit_reached(self) -> str | None:
        """The limit of steps or seconds that ends the run, if one does."""
        state, settings = self.state, self.settings
        if settings.max_steps and state.step >= settings.max_steps:
            return f"max_steps = {settings.max_steps} reached"
        if settings.max_seconds and state.seconds >= settings.max_seconds:
            return f"max_seconds = {settings.max_seconds:g} reached"
        return None

    def _requested(self) -> str | None:
        interrupted = "interrupted" if self.interruption.requested else None
        return interrupted or self.run.stop_requested

    # -- what the course tells ------------------------------------------------------

    def begin(self, planned: int) -> None:
        """Before the first step of so many that are planned."""
        known = bool(self.recorder.record.of("layout"))
        self.telemetry.begin(self.learner, planned, known)

    def look_up(self, share: float) -> None:
        """After a stretch of steps, so much of the epoch being done."""
        state, epochs = self.state, self.settings.epochs
        state.seconds = time.monotonic() - self._begun
        self.progress.step(state.epoch, epochs, share, state.costs[-1])
        state.stopped = self._requested() or self.limit_reached()
        self.recorder.between(state)

    def end_epoch(self, rate: float, last_good: Floats, known: bool = False) -> None:
        """After the last step of an epoch: measure, judge, tell and keep it."""
        state = self.state
        with self.interruption.at_once():
            values = self._meter.values(state, self.learner)
        self._check_growth(values["loss"], rate, last_good)
        if isinstance(self.settings.optimizer, UpdateRule):
            values["learning_rate"] = rate
        values["seconds"] = state.seconds
        state.history.append(values)
        self._monitor.note(values)
        state.stopped = state.stopped or self._monitor.patience_ended()
        state.epoch += 1
        costs = state.costs
        state.costs, state.weights = [], []
        for callback in self.settings.callbacks:
            callback.on_epoch_end(self.run)
        if state.stopped is None:  # a callback's word goes before Ctrl-C
            state.stopped = self.run.stop_requested or self._requested()
        if not known:
            seen = self.telemetry.epoch(state.epoch - 1, state.step, costs)
            self.recorder.epoch(state, values)
            self._tell_findings() if seen else None
        shown = {name: values[name] for name in self._meter.names}
        self.progress.epoch(state.epoch - 1, self.settings.epochs, shown)

    def _tell_findings(self) -> None:
        """In the display if there is one, else as warnings."""
        for finding in self.run.watch.news():
            self.recorder.tell({"event": "finding", **finding.document()})
            if not self.progress.note(finding.line):
                warnings.warn(finding.line, FindingWarning, stacklevel=2)

    def _check_growth(self, cost: float, rate: float, last_good: Floats) -> None:
        first = self._monitor.runaway(cost, lambda: self._cost_of(last_good))
        if first is not None:
            grown = f"[loss] cost grew from {first:.3g} to {cost:.3g} at learning rate"
            message = f"{grown} {rate:g}; expected it to fall; {remedy(rate)}"
            self._stop_diverged(message, last_good)

    def _cost_of(self, values: Floats) -> float:
        """The cost of all rows that are trained on, under other weights."""
        kept, learner = self.net.values.copy(), self.learner
        rows = learner.data.take(self.prepared.rows)
        self.net.values[:] = values
        _, costs = learner.executor.row_costs(rows, learner.objective)
        self.net.values[:] = kept
        return float(weighted_mean(costs, rows.weights))

    def diverged(self, rows: Any, rate: float, last_good: Floats) -> NoReturn:
        """Say where numbers stopped being finite; keep the last good weights.

        Raises:
            DivergenceError: always.
        """
        executor = self.net.executor(self.settings.executor)
        message = explain(executor, self.prepared.data, rows, rate)
        self._stop_diverged(message, last_good)

    def _stop_diverged(self, message: str, last_good: Floats) -> NoReturn:
        state = self.state
        self.net.values[:] = last_good
        self.recorder.diverged(state)
        state.stopped = "diverged"
        whose = f"after epoch {state.epoch}" if state.epoch else "from before training"
        raise DivergenceError(
            f"{message}; the network keeps its weights {whose}", self.run
        )
