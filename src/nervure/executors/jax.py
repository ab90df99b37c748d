# SPDX-License-Identifier: BSD-3-Clause
"""The JAX executor: any graph through its layers' formulas, compiled by XLA.

It needs no kernel of a layer, and runs where JAX runs: processors, GPUs, TPUs.

Where XLA finds a fault of its own it ends the whole process ("Check failed: ..."),
which no Python code can catch: jaxlib 0.10 does so on processors for the gradient of
some strided, padded convolutions. There the native executor, another padding or another
version of jaxlib helps; checkpoints of a run (``directory=``) survive it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.executors import _jax_fold as compute
from nervure.executors._executor import Data, Draw, Floats, Job, Model, Trace
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
    ) -> list[Floats]:
        """What the network gives for every row, in inference.

        With ``draw``, dropout and its like draw as they do in training: for all rows
        at once, since their numbers count the rows of a batch.
        """
        most = data.rows if draw else batch_size or INFERENCE_ROWS
        return self._infer(data, None, most, draw)[0]

    def row_costs(
        self, data: Data, objective: Objective
    ) -> tuple[list[Floats], npt.NDArray[np.float64]]:
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
    ) -> tuple[list[Floats], npt.NDArray[np.float64]]:
        model = self.model
        outputs = model.empty_outputs(data.rows)
        costs = np.empty(data.rows)
        scales = self._scales(data)
        seed, step = draw or (None, 0)
        forward = self._kept(
            ("infer", objective, scales, seed),
            lambda: self._forward(objective, scales, seed),
        )
        arrays = compute.on_host(data, model.dtype)
        size = compute.rounded(data.rows, most)
        with compute.precision(self.jax, model.dtype):
            values = compute.upload(self.jax, model.values)
            for first in range(0, data.rows, size):
                rows = np.arange(first, min(first + size, data.rows))
                # The last batch is filled up with its first row: one shape for all.
                filled = np.append(rows, np.full(size - len(rows), first))
                batch = compute.take(arrays, filled)[:2]
                found, part = forward(values, batch, np.uint32(step))
                for y, kept in zip(found, outputs, strict=True):
                    kept[rows] = np.asarray(y)[: len(rows)]
                costs[rows] = np.asarray(part)[: len(rows)]
        return outputs, costs

    def _forward(
        self,
        objective: Objective | None,
        scales: tuple[float, ...],
        seed: int | None,
    ) -> Function:
        graph, layout, xp = self.model.graph, self.model.layout, self.jax.numpy

        def forward(
            flat: Any, batch: tuple[Any, Any], step: Any
        ) -> tuple[list[Any], Any]:
            parameters = compute.split(layout, flat)
            inputs = compute.scaled(graph, batch[0], scales, flat.dtype)
            info = INFERENCE if seed is None else Pass(True, seed, step)
            values = compute.fold(xp, graph, parameters, inputs, info)
            outputs = [values[i] for i in graph.outputs]
            if objective is None:
                return outputs, xp.zeros(inputs[0].shape[0], flat.dtype)
            return outputs, compute.row_costs(xp, objective, values, batch[1])

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
        function = self._kept(
            ("gradient", objective, info, scales),
            lambda: self._value_and_gradient(objective, info, scales),
        )
        batch = compute.on_host(data, self.model.dtype)
        with compute.precision(self.jax, self.model.dtype):
            values = compute.upload(self.jax, self.model.values)
            cost, gradients = function(values, batch)
            self._keep_gradients(gradients)
        return float(cost)

    def _value_and_gradient(
        self, objective: Objective, info: Pass, scales: tuple[float, ...]
    ) -> Function:
        graph, layout, xp = self.model.graph, self.model.layout, self.jax.numpy
        names, still = compute.learning(self.model), self.model.still_nodes

        def function(flat: Any, batch: compute.Batch) -> tuple[Any, Any]:
            every = compute.split(layout, flat)
            inputs = compute.scaled(graph, batch[0], scales, flat.dtype)

            def cost(moving: compute.Arrays) -> Any:
                known = {**every, **moving}
                values = compute.fold(xp, graph, known, inputs, info, still=still)
                costs = compute.row_costs(xp, objective, values, batch[1])
                return compute.mean_cost(xp, costs, batch[2])

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
        function = self._kept(
            ("trace", objective, seed, scales),
            lambda: self._everything(objective, seed, scales),
        )
        batch = compute.on_host(data, self.model.dtype)
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
        self, objective: Objective | None, seed: int | None, scales: tuple[float, ...]
    ) -> Function:
        graph, layout, xp = self.model.graph, self.model.layout, self.jax.numpy
        names, frozen = compute.learning(self.model.thawed), self.model.still_nodes
        nodes = [] if objective is None else compute.reached(graph, objective)

        def function(
            flat: Any, batch: compute.Batch, step: Any
        ) -> tuple[Any, Any, Any, Any]:
            info = INFERENCE if seed is None else Pass(True, seed, step)
            every = compute.split(layout, flat)
            inputs = compute.scaled(graph, batch[0], scales, flat.dtype)
            rows = inputs[0].shape[0]

            def cost(moving: compute.Arrays, shifts: dict[int, Any]) -> Any:
                known = {**every, **moving}
                values = compute.fold(
                    xp, graph, known, inputs, info, shifts, still=frozen
                )
                if objective is None:
                    return xp.nan, values
                costs = compute.row_costs(xp, objective, values, batch[1])
                return compute.mean_cost(xp, costs, batch[2]), values

            moving = {name: every[name] for name in names}
            if objective is None:
                mean, values = cost(moving, {})
                return mean, values, {}, {}
            unmoved = {
                i: xp.zeros((rows, *graph.nodes[i].shape), flat.dtype) for i in nodes
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

    # -- shared -------------------------------------------------------------------

    def _kept(self, key: Hashable, make: Callable[[], Function]) -> Function:
        """The compiled function of this key."""
        if key not in self._compiled:
            self._compiled[key] = self.jax.jit(make())
        return self._compiled[key]

    @staticmethod
    def _scales(data: Data) -> tuple[float, ...]:
        return tuple(float(data.scale_of(i)) for i in range(len(data.inputs)))
