# SPDX-License-Identifier: BSD-3-Clause
"""Probe: one step as telemetry sees it, without touching a bit of it.

The engine updates weights while it goes back, so there is no gradient left to look at
afterwards, and to keep one would change the last bits. Instead a few rows of the batch
pass once more, forward and backward, with the step's own random numbers, through a
copy of the weights in a plan that keeps every value; and the update is what the weights
differ by when the step is done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.augmentation import Augmentation, augment
from nervure.data.ragged import Ragged, one_each
from nervure.executors import Data, Executor, Model, make_executor
from nervure.graph.parameters import Floats, Segment, aligned_zeros
from nervure.network.attending import Attending
from nervure.network.quantities import Columns, Gauge
from nervure.network.recurrence import Recurrence
from nervure.training.trunk import Learner

MOST_ROWS = 64
FEW_ROWS = 32
"""Of smaller batches the rows that follow are looked at too, where none looks at the
others: a unit that is off for four rows need not be dead."""

MANY_VALUES = 2**12
"""Of layers for a row: where there are more, as in maps, few rows have enough."""

ALONE = 2e7
"""Operations forward below which one thread is faster: others would have to wake."""

MOST_BYTES = 2**28
"""Of all values and their gradients; of large networks fewer rows pass."""

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Moment:
    """A sampled step: its number, and its rows followed by those of the next steps."""

    step: int
    rows: Rows
    whole: bool = False


class Probe:
    """Measures steps of one training."""

    def __init__(
        self,
        learner: Learner,
        executor: str,
        seed: int,
        batch_size: int,
        augmentation: tuple[Augmentation, ...] = (),
    ) -> None:
        model = learner.executor.model
        self._theirs = model.values
        self._own = replace(
            model,
            values=aligned_zeros(model.values.size, model.dtype),
            gradients=aligned_zeros(model.values.size, model.dtype),
        )
        self._data, self._objective = learner.data, learner.objective
        self._seed, self._augmentation = seed, augmentation
        self.gauge = Gauge(model.graph, model.layout)
        self.along = Recurrence(model.graph, model.layout, self.gauge.names)
        self.attending = Attending(model.graph)
        longest = _longest(learner.data)
        self.rows = rows_for(model, batch_size, longest)
        work = model.graph.flops * self.rows * longest
        threads = 1 if work < ALONE else None
        self._executor: Executor = make_executor(executor, self._own, threads)
        self._taken: tuple[Moment, Columns] | None = None
        self._before = np.empty_like(self._own.values)

    def before(self, moment: Moment) -> None:
        """Measure a step that is about to be taken."""
        own = self._own
        self._before[:] = self._theirs
        own.values[:] = self._theirs
        rows = moment.rows[: self.rows]
        batch = self._batch(rows, moment.step)
        draw = (self._seed, moment.step)
        found = self._executor.trace(batch, self._objective, draw=draw)
        columns = self.gauge.of_layers(found, len(rows), whole=moment.whole)
        if moment.whole:
            columns |= self.along.of(self._before, batch, found)
            columns |= self.attending.of(batch, found)
        others = moment.rows[self.rows : 2 * self.rows] if moment.whole else rows[:0]
        noise: Floats | None = None
        gradients = own.gradients
        if len(others) == len(rows):
            gradients = own.gradients.copy()
            other = self._batch(others, moment.step)
            self._executor.trace(other, self._objective, draw=draw)
            noise = own.gradients
        columns |= self.gauge.of_parameters(self._before, gradients, other=noise)
        self._taken = moment, columns

    def after(self) -> dict[str, Any]:
        """The step that `before` has measured, with its update."""
        assert self._taken is not None, "before() comes first"
        moment, columns = self._taken
        np.subtract(self._theirs, self._before, out=self._before)
        moved = [_norm(s, self._before) for s in self.gauge.segments]
        ratios = zip(moved, columns["norm"], strict=True)
        columns["update"] = moved
        columns["ratio"] = [u / n if n > 0 else None for u, n in ratios]
        self._taken = None
        return {"event": "step", "step": moment.step, **columns}

    def _batch(self, rows: Rows, step: int) -> Data:
        """Rows as the step reads them: images changed, targets mixed with them."""
        batch = self._data.take(rows)
        if not self._augmentation:
            return batch
        images, shares = augment(
            one_each(batch.inputs[0], "augmentation"),
            self._augmentation,
            seed=self._seed,
            step=step,
            scale=batch.scale_of(0),
        )
        targets = tuple(
            _mixed(one_each(target, "augmentation"), shares, self._width(cost.output))
            for cost, target in zip(self._objective.costs, batch.targets, strict=True)
        )
        return replace(batch, inputs=(images,), targets=targets, scales=())

    def _width(self, output: int) -> int:
        return int(np.prod(self._own.graph.output_shapes[output]))


def rows_for(model: Model, batch_size: int, longest: int = 1) -> int:
    """How many rows pass, of at most so many steps."""
    nodes = model.graph.nodes
    carries = any(node.layer.carries for node in nodes)
    few = batch_size if model.couples_rows or carries else max(batch_size, FEW_ROWS)
    values = sum(
        math.prod(node.shape) * (1 if node.clock is None else longest) for node in nodes
    )
    most = MOST_ROWS if values <= MANY_VALUES else FEW_ROWS
    fit = MOST_BYTES // (max(2 * values, 1) * model.dtype.itemsize)
    return max(1, min(most, few, fit))


def _longest(data: Data) -> int:
    """Steps of the longest sequence."""
    return max((x.longest for x in data.inputs if isinstance(x, Ragged)), default=1)


def _mixed(target: Array, shares: Array, width: int) -> Array:
    """Targets of rows that are mixed with their neighbour, as the engine mixes them."""
    if (shares == 1).all():
        return target
    rows = np.arange(len(target))
    partner = np.minimum(rows ^ 1, len(target) - 1)
    whole = target if target.ndim > 1 else np.eye(width)[target]
    own = shares.reshape(-1, 1)
    return np.asarray(own * whole + (1 - own) * whole[partner], np.float32)


def _norm(segment: Segment, flat: Floats) -> float:
    part = flat[segment.offset : segment.offset + segment.size]
    return float(np.sqrt(part @ part))
