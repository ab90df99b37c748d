# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS as a course: an epoch is an iteration over all the data.

SciPy keeps the curvature pairs to itself, so a checkpoint cannot hold them. It holds
the first weights instead, and a resumed run begins from them again: the search is
deterministic, so it passes through the same iterations to the same bits.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.stopping import Stopped
from nervure.data.ragged import Ragged
from nervure.executors import Data, places_of
from nervure.graph.parameters import Segment
from nervure.optimizers import LBFGS, minimize
from nervure.regularizers import L2
from nervure.training.course import Course, Session

Vector = npt.NDArray[np.float64]


class _Iterations:
    """Takes iterations of L-BFGS over the trainable parameters, in one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known = 0  # epochs that an earlier session has recorded
        self._reached = session.net.values.copy()  # by the latest iteration

    def run(self) -> None:
        """Begin from the first weights, and pass what is known already."""
        session, state = self._session, self._session.state
        settings = session.settings
        self._known = state.epoch
        session.net.values[:] = state.slots[0]
        state.restart()
        iterations = min(settings.epochs, settings.max_steps or 2**31)
        session.begin(iterations)
        self._look()
        self._reached[:] = session.net.values
        try:
            self._search(iterations)
        except Stopped:  # on the way to a point that it has not settled for
            session.net.values[:] = self._reached
            raise

    def _search(self, iterations: int) -> None:
        session, state = self._session, self._session.state
        settings = session.settings
        found = minimize(
            cast(LBFGS, settings.optimizer),
            self._value_and_gradient,
            self._gather(session.net.values),
            iterations=iterations,
            callback=self._after_iteration,
        )
        self._scatter(found.point)
        if state.stopped is None and state.epoch < settings.epochs:
            state.stopped = found.message.lower()

    # -- the function that is minimized ---------------------------------------------

    @cached_property
    def _learning(self) -> tuple[Segment, ...]:
        return self._session.learner.executor.model.learning

    @cached_property
    def _batch(self) -> Data:
        return self._session.learner.data.take(self._session.prepared.rows)

    def _gather(self, flat: npt.NDArray[Any]) -> Vector:
        parts = [s.view(flat).ravel() for s in self._learning]
        if not parts:
            raise ValueError(
                "[lbfgs] the network has no parameters that learn; expected one at "
                "least; add a layer that has some, as nv.Dense"
            )
        return np.concatenate(parts).astype(np.float64)

    def _scatter(self, point: Vector) -> None:
        values, begin = self._session.net.values, 0
        for s in self._learning:
            s.view(values)[...] = point[begin : begin + s.size].reshape(s.shape)
            begin += s.size

    def _value_and_gradient(self, point: Vector) -> tuple[float, Vector]:
        self._scatter(point)
        net, settings = self._session.net, self._session.settings
        learner = self._session.learner
        with self._session.interruption.at_once():
            cost = learner.executor.gradient(
                self._batch, learner.objective, training=True, seed=settings.seed
            )
        penalty = settings.regularizer or L2(0.0)
        gradient = net.gradients.astype(np.float64)
        for s in self._learning:
            if s.parameter.decays:
                w = s.view(net.values).astype(np.float64)
                cost += float(penalty.penalty(np, w))
                s.view(gradient)[...] += penalty.gradient(np, w)
        return cost, self._gather(gradient)

    # -- after each iteration -------------------------------------------------------

    def _after_iteration(self, iteration: int, point: Vector, value: float) -> bool:
        session, state = self._session, self._session.state
        self._scatter(point)
        self._reached[:] = session.net.values
        session.telemetry.after(state.epoch, 0.0, value)
        if not np.isfinite(value):
            session.diverged(session.prepared.rows[:1], 0.0, state.slots[0])
        if state.outputs:
            found = session.learner.executor.outputs(self._batch)
            graph, data = session.net.graph, session.prepared.data
            for node, kept, y in zip(graph.outputs, state.outputs, found, strict=True):
                if kept.size:
                    where = places_of(graph, data, node, session.prepared.rows)
                    kept[where] = y.values if isinstance(y, Ragged) else y
        state.costs, state.weights = [value], [1.0]
        state.step = iteration
        session.look_up(1.0)
        session.end_epoch(0.0, state.slots[0], known=state.epoch < self._known)
        self._look()
        return state.stopped is not None

    def _look(self) -> None:
        """At the iteration that is about to come, if the record does not know it."""
        session = self._session
        if session.state.epoch >= self._known:
            session.telemetry.before(session.state.step, session.prepared.rows)


ITERATIONS = Course(
    lambda net, optimizer: (net.values.copy(),),
    lambda session: _Iterations(session).run(),
)
"""The course of L-BFGS; its slot holds the first weights."""
