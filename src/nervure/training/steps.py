# SPDX-License-Identifier: BSD-3-Clause
"""Steps: epochs of batches, in stretches that the engine takes without Python."""

from __future__ import annotations

import math
import time
from functools import cached_property
from typing import Any, cast

import numpy as np

from nervure.data.ragged import Ragged
from nervure.executors import Job, Stretch, Trainer
from nervure.graph.naming import factors
from nervure.graph.parameters import Floats, aligned_zeros
from nervure.network.network import Network
from nervure.optimizers import Optimizer, ReduceOnPlateau, UpdateRule, learning_rates
from nervure.training.course import Course, Session
from nervure.training.sampler import epoch_order

STRETCH_SECONDS = 0.05
"""How long the engine works before Python looks up: progress, Ctrl-C, time limits."""


class _Steps:
    """Takes the steps of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._size = session.settings.rows_per_step(len(session.prepared.rows))
        self._length = 1  # steps that the engine takes at once
        self._last_good = session.net.values.copy()  # those of the epoch's begin

    def run(self) -> None:
        session = self._session
        state, settings = session.state, session.settings
        state.stopped = session.reached(len(state.costs) == self._per_epoch)
        session.begin(self._total)
        while state.epoch < settings.epochs and state.stopped is None:
            self._epoch()

    @property
    def _per_epoch(self) -> int:
        return -(-len(self._session.prepared.rows) // self._size)

    @property
    def _total(self) -> int:
        settings = self._session.settings
        planned = settings.epochs * self._per_epoch
        return min(planned, settings.max_steps or planned)

    @cached_property
    def _trainer(self) -> Trainer:
        session = self._session
        settings, learner = session.settings, session.learner
        job = Job(
            objective=learner.objective,
            data=learner.data,
            optimizer=cast(UpdateRule, settings.optimizer),
            slots=session.state.slots,
            batch_size=self._size,
            seed=settings.seed,
            regularizer=settings.regularizer,
            threads=settings.threads,
            augmentation=settings.augmentation,
            multipliers=factors(session.net.graph, settings.learning_rates),
        )
        return learner.executor.trainer(job)

    @cached_property
    def _lengths(self) -> Any:
        """Steps of all sequences of each row; None where there are none."""
        found = [x for x in self._session.prepared.data.inputs if isinstance(x, Ragged)]
        return sum(x.lengths for x in found) if found else None

    def _epoch(self) -> None:
        session, state = self._session, self._session.state
        settings = session.settings
        order = epoch_order(
            session.prepared.rows,
            settings.seed,
            state.epoch,
            settings.shuffles,
            self._lengths,
            self._size,
        )
        if not state.costs:
            session.net.forget()
        self._last_good[:] = state.values
        steps = self._per_epoch
        while len(state.costs) < steps:
            begin = len(state.costs)
            count = min(self._length, steps - begin, self._until_boundary())
            self._stretch(order, begin, count)
            session.look_up(len(state.costs) / steps)
            if state.stopped is not None and len(state.costs) < steps:
                return
        state.stopped = state.stopped or session.limit_reached()
        rate = float(self._rates(state.step - 1, 1)[0])
        if not np.isfinite(state.values).all():
            session.diverged(session.prepared.rows[:1], rate, self._last_good)
        session.end_epoch(rate, self._last_good)

    def _pace(self, count: int, seconds: float) -> None:
        """How many steps to take at once, now that so many took so long."""
        fit = int(count * STRETCH_SECONDS / seconds)
        # Few steps, for they were cut off, say little of more.
        most = 8 * count if count == self._length else self._length
        self._length = max(1, min(most, fit))

    def _until_boundary(self) -> int:
        """Steps until a checkpoint or the limit of steps is due, or a look."""
        session = self._session
        step, most = session.state.step, session.settings.max_steps
        due = session.recorder.steps_until_checkpoint(step)
        seen = session.telemetry.until(step)
        ends = [self._total + 1, due, most - step if most else None, seen]
        return max(1, min(end for end in ends if end is not None))

    def _stretch(self, order: Any, begin: int, count: int) -> None:
        state, size = self._session.state, self._size
        rows = order[begin * size : (begin + count) * size]
        rates = self._rates(state.step, count)
        telemetry = self._session.telemetry
        telemetry.before(state.step, order[begin * size :])
        stretch = Stretch(rows, rates.tolist(), state.step)
        started = time.monotonic()
        with self._session.interruption.at_once():
            result = self._trainer.run(stretch, state.outputs)
        self._pace(count, max(time.monotonic() - started, 1e-6))
        costs = result.costs.tolist()
        telemetry.after(state.epoch, float(rates[0]), costs[-1] if costs else math.nan)
        state.costs += costs
        state.weights += result.weights.tolist()
        state.step += len(result.costs)
        if not result.finite:
            taken = len(result.costs)
            batch = rows[taken * size : (taken + 1) * size]
            self._session.diverged(batch, float(rates[taken]), self._last_good)

    def _rates(self, first: int, count: int) -> Any:
        rate = cast(UpdateRule, self._session.settings.optimizer).learning_rate
        steps = np.arange(first, first + count)
        values = learning_rates(rate, steps, self._per_epoch, self._total)
        if isinstance(rate, ReduceOnPlateau):
            return rate.scaled(values, self._session.state.plateau)
        return values


def _slots(net: Network, optimizer: Optimizer) -> tuple[Floats, ...]:
    names = cast(UpdateRule, optimizer).slots
    return tuple(aligned_zeros(net.layout.size, net.dtype) for _ in names)


STEPS = Course(_slots, lambda session: _Steps(session).run())
"""The course of an optimizer that works step by step."""
