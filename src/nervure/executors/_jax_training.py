# SPDX-License-Identifier: BSD-3-Clause
"""Training under JAX: whole stretches of steps in one compiled loop.

The loop is what `lax.scan` compiles to, a while loop over arrays on the device, but the
number of steps is read at run time. A scan's is fixed when it is compiled: stretches of
changing length would compile again and again, and each program might round in its own
way. One program for every length keeps the bits free of how training was cut.

Each step enters and leaves (see `nervure.optimizers.update`), so what passes from step
to step is what `JaxTrainer.run` gives back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.executors import _jax_fold as compute
from nervure.executors._executor import (
    Floats,
    Job,
    Model,
    Stretch,
    StretchResult,
    places_of,
)
from nervure.layers import Pass
from nervure.optimizers import Setting, enter, leave, update

Array = Any

State = tuple[Array, tuple[Array, ...]]
"""Flat arrays on the device: values and slots."""

Moving = tuple[compute.Arrays, dict[str, tuple[Array, ...]], compute.Arrays]
"""By name: the parameters that learn, their slots, and the state that layers store."""

STEPPED = frozenset({"convolution", "transposed_convolution"})
"""Kernels that XLA runs on one thread of a processor inside of a loop."""


class Program:
    """The compiled functions of training runs that differ in their data alone.

    ``loops`` says whether steps are taken in a loop on the device, else one by one.
    """

    def __init__(
        self,
        jax: Any,
        model: Model,
        job: Job,
        scales: tuple[float, ...],
    ) -> None:
        self._jax, self._xp = jax, jax.numpy
        self._graph, self._layout = model.graph, model.layout
        self._names = compute.learning(model)
        self._stored, self._still = compute.storing(model), model.still_nodes
        self._objective, self._rule = job.objective, job.optimizer
        self._regularizer, self._seed = job.regularizer, int(job.seed)
        self._scales, self._by_rows = scales, job.data.by_rows
        self._settings = {
            s.name: Setting(
                decays=s.parameter.decays,
                learning_rate_multiplier=job.multipliers.get(s.name, 1.0),
            )
            for s in model.layout.segments
        }
        kinds = {node.layer.native for node in model.graph.nodes}
        self.loops = jax.default_backend() != "cpu" or not kinds & STEPPED
        self.one = jax.jit(self._one, static_argnums=(5, 6), donate_argnums=0)
        self.many = jax.jit(self._many, static_argnums=(6, 7), donate_argnums=0)

    def _one(
        self,
        state: State,
        data: compute.Batch,
        rows: Array,
        rate: Array,
        number: Array,
        wanted: tuple[int, ...],
        room: compute.Room,
    ) -> tuple[State, Array, list[Array]]:
        """A step with the batch ``rows``: state, its cost and the wanted outputs."""
        batch = compute.take(self._xp, data, rows, room)
        moving, cost, outputs = self._step(
            state[0], self._split(state), batch, room, rate, number
        )
        return self._join(state, moving), cost, [outputs[i] for i in wanted]

    def _many(
        self,
        state: State,
        data: compute.Batch,
        rows: Array,
        rates: Array,
        first: Array,
        count: Array,
        wanted: tuple[int, ...],
        room: compute.Room,
    ) -> tuple[State, Array, list[Array]]:
        """``count`` steps with the batches ``rows (steps, batch)``.

        Ends after a step whose cost is not finite.
        """
        xp, (steps, size) = self._xp, rows.shape
        costs = xp.zeros(steps, state[0].dtype)
        shapes = self._graph.output_shapes
        kept = [
            xp.zeros((steps, self._count(k, size, room), *shapes[k]), costs.dtype)
            for k in wanted
        ]

        def goes_on(carry: Any) -> Array:
            i, costs = carry[0], carry[2]
            return (i < count) & xp.isfinite(costs[xp.maximum(i - 1, 0)])

        def body(carry: Any) -> Any:
            i, moving, costs, kept = carry
            batch = compute.take(xp, data, rows[i], room)
            number = first + i.astype(first.dtype)
            moving, cost, outputs = self._step(
                state[0], moving, batch, room, rates[i], number
            )
            found = [outputs[k] for k in wanted]
            kept = [k.at[i].set(y) for k, y in zip(kept, found, strict=True)]
            return i + 1, moving, costs.at[i].set(cost), kept

        begin = (xp.zeros((), np.int32), self._split(state), costs, kept)
        end = self._jax.lax.while_loop(goes_on, body, begin)
        return self._join(state, end[1]), end[2], end[3]

    def _count(self, output: int, rows: int, room: compute.Room) -> int:
        """Values of an output that a batch has room for."""
        node = self._graph.nodes[self._graph.outputs[output]]
        if node.clock is None:
            return rows
        size = room.inputs[self._graph.inputs.index(node.clock)]
        assert size is not None
        return size.steps

    def _step(
        self,
        flat: Array,
        moving: Moving,
        batch: compute.Batch,
        room: compute.Room,
        rate: Array,
        number: Array,
    ) -> tuple[Moving, Array, list[Array]]:
        """Parameters and slots after the step, its cost, and the outputs.

        Where the cost is not finite, parameters and slots stay.
        """
        xp, graph, rule = self._xp, self._graph, self._rule
        inputs = compute.scaled(graph, batch.inputs, self._scales, flat.dtype)
        clocks = compute.Sequences(xp, graph, batch.inputs, room.inputs)
        known = compute.split(self._layout, flat)
        info = Pass(True, self._seed, number)
        still = {**known, **moving[2]}

        def cost(parameters: compute.Arrays) -> Any:
            stored: dict[str, Array] = {}
            every = {**still, **parameters}
            values = compute.fold(
                xp,
                graph,
                every,
                inputs,
                info,
                stored=stored,
                still=self._still,
                sequences=clocks,
            )
            costs = compute.row_costs(
                xp, self._objective, values, batch, room.targets, clocks
            )
            mean = compute.mean_cost(xp, costs, batch.weights, self._by_rows)
            return mean, ([values[i] for i in graph.outputs], stored)

        differentiate = self._jax.value_and_grad(cost, has_aux=True)
        parameters, slots = enter(rule, xp, *moving[:2])
        (mean, (outputs, stored)), gradients = differentiate(parameters)
        found = update(
            rule,
            xp,
            parameters,
            gradients,
            slots,
            rate,
            number.astype(flat.dtype) + 1,
            settings=self._settings,
            regularizer=self._regularizer,
        )
        finite = xp.isfinite(mean)

        def keep(new: Array, old: Array) -> Array:
            return xp.where(finite, new, old).astype(old.dtype)

        new = (*leave(rule, xp, *found), stored)
        moved = self._jax.tree.map(keep, new, moving)
        return moved, mean, outputs

    def _split(self, state: State) -> Moving:
        values, slots = state
        parameters = compute.split(self._layout, values)
        each = [compute.split(self._layout, slot) for slot in slots]
        return (
            {name: parameters[name] for name in self._names},
            {name: tuple(slot[name] for slot in each) for name in self._names},
            {name: parameters[name] for name in self._stored},
        )

    def _join(self, state: State, moving: Moving) -> State:
        parameters, slots, stored = moving
        flat_slots: list[Array] = []
        for i, flat in enumerate(state[1]):
            parts = {name: slots[name][i] for name in self._names}
            flat_slots.append(compute.join(self._layout, flat, parts))
        values = {**parameters, **stored}
        return compute.join(self._layout, state[0], values), tuple(flat_slots)


class JaxTrainer:
    """Takes training steps on the device, where the data lie throughout."""

    def __init__(self, jax: Any, model: Model, job: Job, program: Program) -> None:
        self._jax, self._job, self._program = jax, job, program
        self._model = model
        # All stretches have the shape of a whole epoch: one compilation.
        self._capacity = max(1, job.data.rows // job.batch_size)
        self._rooms: dict[int, compute.Room] = {}
        arrays = compute.on_host(job.data, self._model.dtype)
        with self._precision():
            self._data = jax.tree.map(jax.numpy.asarray, arrays)

    def run(self, stretch: Stretch, outputs: Sequence[Floats]) -> StretchResult:
        """Take the steps of ``stretch``."""
        wanted = tuple(i for i, output in enumerate(outputs) if output.size)
        size, steps = self._job.batch_size, len(stretch.learning_rates)
        whole = len(stretch.rows) // size if self._program.loops else 0
        costs = np.empty(0)
        with self._precision():
            state = self._upload()
            if whole:
                state, costs, found = self._loop(state, stretch, whole, wanted)
                self._keep(stretch.rows[: len(costs) * size], found, wanted, outputs)
            while len(costs) < steps and np.isfinite(costs[-1:]).all():
                rows = stretch.rows[len(costs) * size :][:size]
                state, cost, found = self._single(state, stretch, len(costs), wanted)
                costs = np.append(costs, np.asarray(cost, np.float64))
                self._keep(rows, [y[None] for y in found], wanted, outputs)
            self._download(state)
        costs = costs[: len(costs) - int(not np.isfinite(costs[-1:]).all())]
        return StretchResult(
            costs, self._weights(stretch, len(costs)), len(costs) == steps
        )

    def _loop(
        self, state: State, stretch: Stretch, count: int, wanted: tuple[int, ...]
    ) -> tuple[State, npt.NDArray[np.float64], list[Array]]:
        """``count`` whole batches; one that is not finite ends the costs."""
        size, capacity = self._job.batch_size, max(self._capacity, count)
        rows = np.zeros((capacity, size), np.int32)
        rows[:count] = stretch.rows[: count * size].reshape(count, size)
        rates = np.zeros(capacity, self._model.dtype)
        rates[:count] = stretch.learning_rates[:count]
        first, taken = np.uint32(stretch.first_step), np.int32(count)
        state, costs, found = self._program.many(
            state, self._data, rows, rates, first, taken, wanted, self._room(size)
        )
        costs = np.asarray(costs, np.float64)[:count]
        bad = np.flatnonzero(~np.isfinite(costs))
        costs = costs[: bad[0] + 1] if len(bad) else costs
        return state, costs, [np.asarray(y)[: len(costs)] for y in found]

    def _single(
        self, state: State, stretch: Stretch, step: int, wanted: tuple[int, ...]
    ) -> tuple[State, Array, list[Array]]:
        size = self._job.batch_size
        rows = stretch.rows[step * size : (step + 1) * size].astype(np.int32)
        rate = np.asarray(stretch.learning_rates[step], self._model.dtype)
        number = np.uint32(stretch.first_step + step)
        room = self._room(len(rows))
        return self._program.one(state, self._data, rows, rate, number, wanted, room)

    def _room(self, rows: int) -> compute.Room:
        """Room for the steps of any batch of so many rows."""
        if rows not in self._rooms:
            self._rooms[rows] = compute.Room.of(self._job.data, rows)
        return self._rooms[rows]

    def _keep(
        self,
        rows: npt.NDArray[np.int64],
        found: Sequence[Array],
        wanted: tuple[int, ...],
        outputs: Sequence[Floats],
    ) -> None:
        graph, data, size = self._model.graph, self._job.data, self._job.batch_size
        for i, batches in zip(wanted, found, strict=True):
            for k, values in enumerate(batches):
                own = rows[k * size : (k + 1) * size]
                where = places_of(graph, data, graph.outputs[i], own)
                outputs[i][where] = np.asarray(values)[: len(where)]

    def _weights(self, stretch: Stretch, steps: int) -> npt.NDArray[np.float64]:
        """What the cost of each step was divided by."""
        data, size = self._job.data, self._job.batch_size
        weights = None if data.by_rows else data.weights
        batches = [stretch.rows[i * size : (i + 1) * size] for i in range(steps)]
        if weights is None:
            return np.array([len(rows) for rows in batches], np.float64)
        return np.array([weights[rows].sum() for rows in batches], np.float64)

    def _upload(self) -> State:
        slots = tuple(compute.upload(self._jax, slot) for slot in self._job.slots)
        return compute.upload(self._jax, self._model.values), slots

    def _download(self, state: State) -> None:
        self._model.values[:] = np.asarray(state[0])
        for slot, found in zip(self._job.slots, state[1], strict=True):
            slot[:] = np.asarray(found)

    def _precision(self) -> Any:
        return compute.precision(self._jax, self._model.dtype)
