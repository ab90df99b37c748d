# SPDX-License-Identifier: BSD-3-Clause
"""The native executor: plans for the C++ engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.executors._executor import (
    Array,
    Data,
    Floats,
    Job,
    Model,
    Stretch,
    StretchResult,
    Trace,
)
from nervure.losses import CustomLoss
from nervure.objective import Cost, Objective
from nervure.plan import Mode, Plan, Traits, engine_plan, make_plan
from nervure.regularizers import L2

PARALLEL_FLOPS = 1_000_000
"""Below this much work in a batch, one thread is faster than two."""

ARENA_BYTES = 256 * 2**20
"""Batches that want more memory than this are taken in several passes."""

INFERENCE_ROWS = 512


def engine() -> Any:
    """The engine's module, loaded at first use."""
    from nervure._engine import engine as module

    return module


class NativeExecutor:
    """Runs a model on the C++ engine; plans are kept for the sizes seen."""

    def __init__(self, model: Model, threads: int | None = None) -> None:
        self.model = model
        self._threads = threads
        self._held: dict[Any, Any] = {}

    # -- inference ----------------------------------------------------------------

    def outputs(self, data: Data, *, batch_size: int | None = None) -> list[Floats]:
        """What the network gives for every row, in inference."""
        rows = min(batch_size or INFERENCE_ROWS, data.rows)
        # Few sizes, so that calls with ever other numbers of rows keep few plans.
        planned = rows if batch_size else 1 << (rows - 1).bit_length()
        held = self._prepared("infer", planned, None)
        results = self._empty_outputs(data.rows)
        held.forward(
            self.workers(rows),
            self.hold(data),
            None,
            0,
            data.rows,
            False,
            0,
            0,
            [result.reshape(-1) for result in results],
            None,
        )
        return results

    def row_costs(
        self, data: Data, objective: Objective
    ) -> tuple[list[Floats], npt.NDArray[np.float64]]:
        """Outputs and the cost of every row, in inference."""
        rows = min(INFERENCE_ROWS, data.rows)
        held = self._prepared("train", rows, objective, data)
        results = self._empty_outputs(data.rows)
        costs = np.empty(data.rows)
        held.forward(
            self.workers(rows),
            self.hold(data),
            None,
            0,
            data.rows,
            False,
            0,
            0,
            [result.reshape(-1) for result in results],
            costs,
        )
        return results, costs

    # -- gradients ----------------------------------------------------------------

    def gradient(
        self, data: Data, objective: Objective, *, training: bool = False, seed: int = 0
    ) -> float:
        """Mean cost of all rows; its gradients go to ``model.gradients``."""
        rows = self._rows_that_fit(data.rows, objective)
        held = self._prepared("train", rows, objective, data)
        return held.gradient(
            self.workers(rows),
            self.hold(data),
            None,
            0,
            data.rows,
            training,
            seed,
            0,
            [],
            None,
        )

    def trace(
        self, data: Data, objective: Objective | None, *, training: bool = False
    ) -> Trace:
        """Everything of one batch."""
        held = self._prepared("trace", data.rows, objective, data)
        where = (self.workers(data.rows), self.hold(data), None, 0, data.rows, training)
        if objective is None:
            held.forward(*where, 0, 0, [], None)
            cost = float("nan")
        else:
            self.model.gradients[:] = 0
            cost = held.gradient(*where, 0, 0, [], None)
        count = range(len(self.model.graph.nodes))
        values = tuple(held.value(i, data.rows) for i in count)
        gradients = tuple(
            held.gradient_of(i, data.rows) if objective is not None else None
            for i in count
        )
        return Trace(cost, values, gradients)

    # -- training -----------------------------------------------------------------

    def trainer(self, job: Job) -> NativeTrainer:
        """Prepare a training run."""
        return NativeTrainer(self, job)

    # -- plans --------------------------------------------------------------------

    def workers(self, rows: int, passes: int = 1) -> int:
        """Threads for a batch: one where the work is too little to share."""
        if self.model.graph.flops * rows * passes < PARALLEL_FLOPS:
            return 1
        return self._threads or engine().default_threads()

    def hold(self, data: Data) -> Any:
        """The data as the engine reads it."""
        kind = engine().Data32 if self.model.dtype == np.float32 else engine().Data64
        inputs = [
            (np.ascontiguousarray(x), data.scale_of(i))
            for i, x in enumerate(data.inputs)
        ]
        return kind(inputs, list(data.targets), data.weights)

    def _empty_outputs(self, rows: int) -> list[Floats]:
        shapes = self.model.graph.output_shapes
        return [np.empty((rows, *shape), self.model.dtype) for shape in shapes]

    def _rows_that_fit(self, rows: int, objective: Objective) -> int:
        """The largest stretch of a batch whose arena stays within bounds."""
        while rows > 1 and ("train", rows, objective) not in self._held:
            plan = self.plan("train", rows, objective)
            if plan.arena * self.model.dtype.itemsize <= ARENA_BYTES:
                break
            rows = -(-rows // 2)
        return rows

    def plan(self, mode: Mode, rows: int, objective: Objective | None) -> Plan:
        """The plan for batches of ``rows``."""
        return make_plan(
            self.model.graph,
            self._describe,
            rows=rows,
            mode=mode,
            cost_nodes=objective.nodes if objective else (),
            trainable=self.model.trainable_nodes,
        )

    def _describe(self, index: int, rows: int) -> Traits:
        node = self.model.graph.nodes[index]
        shapes = [list(shape) for shape in node.input_shapes]
        attributes = node.layer.attributes(*node.input_shapes)
        found = engine().describe(
            node.layer.kind, attributes, shapes, list(node.shape), rows
        )
        return Traits(**found)

    def prepared(self, job: Job) -> tuple[Any, int]:
        """The engine's executor for a training run, and the rows of its plan."""
        rows = self._rows_that_fit(min(job.batch_size, job.data.rows), job.objective)
        return self._prepared("train", rows, job.objective, job.data), rows

    def _prepared(
        self, mode: Mode, rows: int, objective: Objective | None, data: Data | None = None
    ) -> Any:
        key = (mode, rows, objective)
        if key not in self._held:
            self._held[key] = self._make(self.plan(mode, rows, objective))
        held = self._held[key]
        if objective is not None:
            held.set_losses([_loss(cost, data) for cost in objective.costs])
        return held

    def _make(self, plan: Plan) -> Any:
        model = self.model
        native = engine()
        kind = native.Executor32 if model.dtype == np.float32 else native.Executor64
        fields = engine_plan(model.graph, model.layout, plan, model.frozen)
        return kind(fields, model.values, model.gradients)


class NativeTrainer:
    """Takes training steps in the engine, whole stretches without Python."""

    def __init__(self, executor: NativeExecutor, job: Job) -> None:
        self._job = job
        self._held, rows = executor.prepared(job)
        self._workers = job.threads or executor.workers(rows, passes=3)
        self._data = executor.hold(job.data)
        self._losses = [_loss(cost, job.data) for cost in job.objective.costs]
        self._held.set_update(
            job.optimizer.rule or job.optimizer.kind,
            job.optimizer.attributes(),
            list(job.slots),
            _segments(executor.model, job),
        )

    def run(self, stretch: Stretch, outputs: Sequence[Floats]) -> StretchResult:
        """Take the steps of ``stretch``."""
        steps = len(stretch.learning_rates)
        costs, weights = np.empty(steps), np.empty(steps)
        # An evaluation between two stretches may have used the same plan.
        self._held.set_losses(self._losses)
        taken = self._held.train(
            self._workers,
            self._data,
            stretch.rows,
            0,
            len(stretch.rows),
            self._job.batch_size,
            list(stretch.learning_rates),
            stretch.first_step,
            self._job.seed,
            costs,
            weights,
            [output.reshape(-1) for output in outputs],
        )
        return StretchResult(costs[:taken], weights[:taken], taken == steps)


def _segments(model: Model, job: Job) -> list[dict[str, Any]]:
    regularizer = job.regularizer or L2(0.0)
    l1, l2, max_norm = regularizer.strengths()
    return [
        {
            "offset": s.offset,
            "size": s.size,
            "columns": s.shape[-1] if s.shape else 1,
            "trainable": s.parameter.trainable and s.name not in model.frozen,
            "decays": s.parameter.decays,
            "learning_rate_multiplier": 1.0,
            "l1": l1,
            "l2": l2,
            "max_norm": max_norm,
        }
        for s in model.layout.segments
    ]


def _loss(cost: Cost, data: Data | None) -> dict[str, Any]:
    custom = cost.loss if isinstance(cost.loss, CustomLoss) else None
    # Log-probabilities are logits of themselves, also where nothing is fused.
    form = cost.activation if cost.activation == "log_softmax" else cost.fused
    return {
        "kind": "" if custom else cost.loss.engine_name(form),
        "attributes": {} if custom else cost.loss.attributes(),
        "node": cost.node,
        "weight": cost.weight,
        "callback": _callback(custom, cost.output, data) if custom and data else None,
    }


def _callback(loss: CustomLoss, output: int, data: Data) -> Any:
    """The user's function as the engine calls it: outputs and the rows they are of."""
    target, weights = data.targets[output], data.weights

    def call(y: Array, rows: Array) -> tuple[float, Array]:
        w = None if weights is None else weights[rows]
        value, gradient = loss.evaluate(y, target[rows], w)
        return value, np.ascontiguousarray(gradient, dtype=y.dtype)

    return call
