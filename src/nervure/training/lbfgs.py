# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS as a session: an epoch is an iteration over all the data.

SciPy keeps the curvature pairs to itself, so a checkpoint cannot hold them. It holds
the first weights instead, and a resumed run begins from them again: the search is
deterministic, so it passes through the same iterations to the same bits.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.network.inputs import take
from nervure.optimizers import minimize
from nervure.regularizers import L2
from nervure.training.run import Run
from nervure.training.session import Session
from nervure.training.state import State

Vector = npt.NDArray[np.float64]


class LbfgsSession(Session):
    """Takes iterations of L-BFGS over the trainable parameters."""

    def _fresh_state(self) -> State:
        state = super()._fresh_state()
        state.slots = (self.net.values.copy(),)
        return state

    def train(self) -> Run:
        settings, state = self.settings, self.state
        self._known_epochs = state.epoch
        self.net.values[:] = state.slots[0]
        state.restart()
        learner = self._learner
        self._learning = learner.executor.model.learning
        self._batch = take(learner.data, self.prepared.rows)
        self._begun = self._saved = time.monotonic()
        for callback in settings.callbacks:
            callback.on_begin(self.run)
        try:
            with self.interruption:
                found = minimize(
                    settings.optimizer,
                    self._value_and_gradient,
                    self._gather(self.net.values),
                    iterations=min(settings.epochs, settings.max_steps or 2**31),
                    callback=self._after_iteration,
                )
        finally:
            self.progress.close()
        self._scatter(found.point)
        if state.stopped is None and state.epoch < settings.epochs:
            state.stopped = found.message.lower()
        state.seconds = time.monotonic() - self._begun
        self._finish()
        return self.run

    # -- the function that is minimized ---------------------------------------------

    def _gather(self, flat: npt.NDArray[Any]) -> Vector:
        parts = [s.view(flat).ravel() for s in self._learning]
        return np.concatenate(parts).astype(np.float64)

    def _scatter(self, point: Vector) -> None:
        begin = 0
        for s in self._learning:
            s.view(self.net.values)[...] = point[begin : begin + s.size].reshape(
                s.shape
            )
            begin += s.size

    def _value_and_gradient(self, point: Vector) -> tuple[float, Vector]:
        self._scatter(point)
        learner = self._learner
        cost = learner.executor.gradient(
            self._batch,
            learner.objective,
            training=True,
            seed=self.settings.seed,
        )
        penalty = self.settings.regularizer or L2(0.0)
        gradient = self.net.gradients.astype(np.float64)
        for s in self._learning:
            if s.parameter.decays:
                w = s.view(self.net.values).astype(np.float64)
                cost += float(penalty.penalty(np, w))
                s.view(gradient)[...] += penalty.gradient(np, w)
        return cost, self._gather(gradient)

    # -- after each iteration -------------------------------------------------------

    def _after_iteration(self, iteration: int, point: Vector, value: float) -> bool:
        state = self.state
        self._scatter(point)
        if not np.isfinite(value):
            self._diverged(self.prepared.rows[:1], 0.0)
        if self.metrics:
            found = self._learner.executor.outputs(self._batch)
            for kept, y in zip(state.outputs, found, strict=True):
                if kept.size:
                    kept[self.prepared.rows] = y
        state.costs, state.weights = [value], [1.0]
        state.step = iteration
        self._between_stretches()
        self._end_of_epoch()
        return state.stopped is not None

    def _log_epoch(self, values: dict[str, float]) -> None:
        if self.state.epoch > self._known_epochs:
            super()._log_epoch(values)
