# SPDX-License-Identifier: BSD-3-Clause
"""The JAX executor: any graph through its layers' formulas, compiled by XLA.

It needs no kernel of a layer, and runs where JAX runs: processors, GPUs, TPUs.

Where XLA finds a fault of its own it ends the whole process ("Check failed: ..."),
which no Python code can catch: jaxlib 0.10 does so on processors for the gradient of
some strided, padded convolutions. There the native executor, another padding or another
version of jaxlib helps; checkpoints of a run (``directory=``) survive it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.stopping import look
from nervure.data.ragged import Ragged
from nervure.executors import _jax_fold as compute
from nervure.executors._executor import (
    Data,
    Draw,
    Job,
    Model,
    Rows,
    Trace,
    as_rows,
    empty_outputs,
    places_of,
)
from nervure.executors._jax_training import JaxTrainer, Program
from nervure.graph.objective import Objective
from nervure.layers import INFERENCE, Pass

INFERENCE_ROWS = 1024

Function = Callable[..., Any]


class JaxExecutor:
    """Runs a model under JAX; compiled functions are kept.

    Raises:
        ImportError: JAX is not installed.
    """

    def __init__(self, model: Model) -> None:
        self.jax = compute.load_jax()
        self.model = model
        self._compiled: dict[Hashable, Any] = {}

    # -- inference ----------------------------------------------------------------

    def outputs(
        self, data: Data, *, batch_size: int | None = None, draw: Draw | None = None
    ) -> list[Rows]:
        """What the network gives for every row, in inference.

        With ``draw``, dropout and its like draw as they do in training: for all rows
        at once, since their numbers count the rows of a batch.
        """
        most = data.rows if draw else batch_size or INFERENCE_ROWS
        return self._infer(data, None, most, draw)[0]

    def row_costs(
        self, data: Data, objective: Objective
    ) -> tuple[list[Rows], npt.NDArray[np.float64]]:
        """Outputs and the cost of every row, in inference.

        Raises:
            LossError: a loss is a Python function.
        """
        compute.refuse_custom(objective)
        return self._infer(data, objective, INFERENCE_ROWS)

    def _infer(
        self,
        data: Data,
        objective: Objective | None,
        most: int,
        draw: Draw | None = None,
    ) -> tuple[list[Rows], npt.NDArray[np.float64]]:
        model, graph = self.model, self.model.graph
        outputs = empty_outputs(model, data)
        ends = list(zip(graph.outputs, outputs, strict=True))
        costs = np.empty(data.rows)
        scales = self._scales(data)
        seed, step = draw or (None, 0)
        arrays = compute.on_host(data, model.dtype)
        size = compute.rounded(data.rows, most)
        batches = [
            # The last batch is filled up with its first row: one shape for all.
            np.append(rows, np.full(size - len(rows), rows[0]))
            for first in range(0, data.rows, size)
            for rows in [np.arange(first, min(first + size, data.rows))]
        ]
        room = _room(data, batches)
        forward = self._kept(
            ("infer", objective, scales, seed, room),
            lambda: self._forward(objective, scales, seed, room),
        )
        with compute.precision(self.jax, model.dtype):
            values = compute.upload(self.jax, model.values)
            for i, filled in enumerate(batches):
                look()
                rows = np.arange(i * size, min((i + 1) * size, data.rows))
                batch = compute.take(np, arrays, filled, room)
                found, part = forward(values, batch, np.uint32(step))
                for y, (node, kept) in zip(found, ends, strict=True):
                    where = places_of(graph, data, node, rows)
                    kept[where] = np.asarray(y)[: len(where)]
                costs[rows] = np.asarray(part)[: len(rows)] if objective else 0
        return [as_rows(graph, data, node, y) for node, y in ends], costs

    def _forward(
        self,
        objective: Objective | None,
        scales: tuple[float, ...],
        seed: int | None,
        room: compute.Room,
    ) -> Function:
        graph, layout, xp = self.model.graph, self.model.layout, self.jax.numpy

        def forward(
            flat: Any, batch: compute.Batch, step: Any
        ) -> tuple[list[Any], Any]:
            parameters = compute.split(layout, flat)
            inputs = compute.scaled(graph, batch.inputs, scales, flat.dtype)
            info = INFERENCE if seed is None else Pass(True, seed, step)
            clocks = compute.Sequences(xp, graph, batch.inputs, room.inputs)
            values = compute.fold(xp, graph, parameters, inputs, info, sequences=clocks)
            outputs = [values[i] for i in graph.outputs]
            if objective is None:
                return outputs, xp.zeros((), flat.dtype)
            costs = compute.row_costs(
                xp, objective, values, batch, room.targets, clocks
            )
            return outputs, costs

        return forward

    # -- gradients ----------------------------------------------------------------

    def gradient(
        self, data: Data, objective: Objective, *, training: bool = False, seed: int = 0
    ) -> float:
        """Mean cost of all rows; its gradients go to ``model.gradients``.

        Raises:
            LossError: a loss is a Python function.
        """
        compute.refuse_custom(objective)
        info, scales = Pass(training, int(seed) if training else 0), self._scales(data)
        room = _room(data, [np.arange(data.rows)])
        function = self._kept(
            ("gradient", objective, info, scales, room),
            lambda: self._value_and_gradient(objective, info, scales, room),
        )
        batch = self._whole(data, room)
        with compute.precision(self.jax, self.model.dtype):
            values = compute.upload(self.jax, self.model.values)
            cost, gradients = function(values, batch)
            self._keep_gradients(gradients)
        return float(cost)

    def _value_and_gradient(
        self,
        objective: Objective,
        info: Pass,
        scales: tuple[float, ...],
        room: compute.Room,
    ) -> Function:
        graph, layout, xp = self.model.graph, self.model.layout, self.jax.numpy
        names, still = compute.learning(self.model), self.model.still_nodes

        def function(flat: Any, batch: compute.Batch) -> tuple[Any, Any]:
            every = compute.split(layout, flat)
            inputs = compute.scaled(graph, batch.inputs, scales, flat.dtype)
            clocks = compute.Sequences(xp, graph, batch.inputs, room.inputs)

            def cost(moving: compute.Arrays) -> Any:
                known = {**every, **moving}
                values = compute.fold(
                    xp, graph, known, inputs, info, still=still, sequences=clocks
                )
                costs = compute.row_costs(
                    xp, objective, values, batch, room.targets, clocks
                )
                return compute.mean_cost(xp, costs, batch.weights)

            return self.jax.value_and_grad(cost)({name: every[name] for name in names})

        return function

    def trace(
        self, data: Data, objective: Objective | None, *, draw: Draw | None = None
    ) -> Trace:
        """Everything of one batch.

        With ``draw`` as in that step of training: dropout's masks and statistics of
        the batch.

        Raises:
            LossError: a loss is a Python function.
        """
        if objective is not None:
            compute.refuse_custom(objective)
        scales, (seed, step) = self._scales(data), draw or (None, 0)
        room = _room(data, [np.arange(data.rows)])
        function = self._kept(
            ("trace", objective, seed, scales, room),
            lambda: self._everything(objective, seed, scales, room),
        )
        batch = self._whole(data, room)
        with compute.precision(self.jax, self.model.dtype):
            cost, values, deltas, gradients = function(
                compute.upload(self.jax, self.model.values), batch, np.uint32(step)
            )
            if objective is not None:
                self._keep_gradients(gradients)
        kept = {i: np.array(delta) for i, delta in deltas.items()}
        return Trace(
            float(cost),
            tuple(np.array(value) for value in values),
            tuple(kept.get(i) for i in range(len(values))),
        )

    def _everything(
        self,
        objective: Objective | None,
        seed: int | None,
        scales: tuple[float, ...],
        room: compute.Room,
    ) -> Function:
        graph, layout, xp = self.model.graph, self.model.layout, self.jax.numpy
        names, frozen = compute.learning(self.model.thawed), self.model.still_nodes
        nodes = [] if objective is None else compute.reached(graph, objective)

        def function(
            flat: Any, batch: compute.Batch, step: Any
        ) -> tuple[Any, Any, Any, Any]:
            info = INFERENCE if seed is None else Pass(True, seed, step)
            every = compute.split(layout, flat)
            inputs = compute.scaled(graph, batch.inputs, scales, flat.dtype)
            clocks = compute.Sequences(xp, graph, batch.inputs, room.inputs)

            def cost(moving: compute.Arrays, shifts: dict[int, Any]) -> Any:
                known = {**every, **moving}
                values = compute.fold(
                    *(xp, graph, known, inputs, info, shifts),
                    still=frozen,
                    sequences=clocks,
                )
                if objective is None:
                    return xp.nan, values
                costs = compute.row_costs(
                    xp, objective, values, batch, room.targets, clocks
                )
                return compute.mean_cost(xp, costs, batch.weights), values

            moving = {name: every[name] for name in names}
            if objective is None:
                mean, values = cost(moving, {})
                return mean, values, {}, {}
            unmoved = {
                i: xp.zeros(
                    (clocks.count(graph.nodes[i], inputs), *graph.nodes[i].shape),
                    flat.dtype,
                )
                for i in nodes
            }
            differentiate = self.jax.value_and_grad(cost, argnums=(0, 1), has_aux=True)
            (mean, values), (gradients, deltas) = differentiate(moving, unmoved)
            return mean, values, deltas, gradients

        return function

    def _keep_gradients(self, gradients: compute.Arrays) -> None:
        self.model.gradients[:] = 0
        for s in self.model.layout.segments:
            if s.name in gradients:
                s.view(self.model.gradients)[...] = np.asarray(gradients[s.name])

    # -- training -----------------------------------------------------------------

    def trainer(self, job: Job) -> JaxTrainer:
        """Prepare a training run.

        Raises:
            LossError: a loss is a Python function.
        """
        compute.refuse_custom(job.objective)
        assert not job.augmentation, "fit refuses what only the engine can change"
        scales = self._scales(job.data)
        multipliers = tuple(sorted(job.multipliers.items()))
        same = (
            *(job.objective, job.optimizer, job.regularizer, int(job.seed)),
            *(scales, multipliers, job.data.by_rows),
        )
        if same not in self._compiled:
            self._compiled[same] = Program(self.jax, self.model, job, scales)
        return JaxTrainer(self.jax, self.model, job, self._compiled[same])

    def _whole(self, data: Data, room: compute.Room) -> compute.Batch:
        """All rows as one batch."""
        arrays = compute.on_host(data, self.model.dtype)
        return compute.take(np, arrays, np.arange(data.rows), room)

    # -- shared -------------------------------------------------------------------

    def _kept(self, key: Hashable, make: Callable[[], Function]) -> Function:
        """The compiled function of this key."""
        if key not in self._compiled:
            self._compiled[key] = self.jax.jit(make())
        return self._compiled[key]

    @staticmethod
    def _scales(data: Data) -> tuple[float, ...]:
        return tuple(float(data.scale_of(i)) for i in range(len(data.inputs)))


def _room(data: Data, batches: Sequence[npt.NDArray[np.int64]]) -> compute.Room:
    """Room for the largest of these batches; as few sizes as possible to compile."""

    def sizes(arrays: Sequence[Rows]) -> compute.Sizes:
        return tuple(
            compute.Size(max(int(x.lengths[b].sum()) for b in batches), x.longest)
            if isinstance(x, Ragged)
            else None
            for x in arrays
        )

    return compute.Room(sizes(data.inputs), sizes(data.targets))
