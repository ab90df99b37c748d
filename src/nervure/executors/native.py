# SPDX-License-Identifier: BSD-3-Clause
"""The native executor: plans for the C++ engine."""

from __future__ import annotations

import functools
import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.engine import in_memory
from nervure.base.stopping import look
from nervure.base.words import many
from nervure.data.augmentation import engine_changes
from nervure.data.labels import Labels
from nervure.data.ragged import Ragged
from nervure.data.sparse import Sparse
from nervure.executors._executor import (
    Array,
    Data,
    Draw,
    Floats,
    Job,
    Model,
    Rows,
    Stretch,
    StretchResult,
    Trace,
    as_rows,
    count_of,
    empty_outputs,
    sequences_of,
)
from nervure.executors._folding import Folding, folding_of
from nervure.executors._formula import FormulaCall
from nervure.executors._planning import Key, Planning
from nervure.executors.plan import (
    Room,
    engine_plan,
)
from nervure.graph.objective import Cost, Objective
from nervure.layers.formula import Formula
from nervure.losses import CustomLoss
from nervure.regularizers import L2, Regularizer

PARALLEL_FLOPS = 1_000_000
"""Below this much work in a batch, one thread is faster than two."""

PLANNED_ROWS = (1, 32, 512)
"""Rows that plans of inference are made for: few, so that they are used again."""

SHORT_SECONDS = 0.1
"""A training step of that time is waited for; a longer one can be stopped."""

COPIED_BYTES = 4e9
"""How much memory is copied in a second."""

KEPT = 4
"""Engines kept for another call like an earlier one, each with its arena."""


@functools.cache
def engine() -> Any:
    """The engine's module, loaded at first use."""
    from nervure.base.engine import engine as module

    return module


class NativeExecutor:
    """Runs a model on the C++ engine; engines are kept for the sizes seen last."""

    def __init__(self, model: Model, threads: int | None = None) -> None:
        self.model = model
        self._threads = threads
        self._kept: OrderedDict[Key, Any] = OrderedDict()
        self.planning = Planning(model)
        self.steppers: list[Any] = []  # of the engine, made for this model, at rest

    # -- inference ----------------------------------------------------------------

    def outputs(
        self, data: Data, *, batch_size: int | None = None, draw: Draw | None = None
    ) -> list[Rows]:
        """What the network gives for every row, in inference.

        With ``draw``, dropout and its like draw as they do in training.
        """
        folding = self._folding if draw is None else None
        if folding is not None and data.rows >= folding.least_rows:
            folding.fill(self.model.values)
            return self._folded.outputs(data, batch_size=batch_size)
        results = empty_outputs(self.model, data)
        room = self._room(data, rounded=True)
        key: Key = ("infer", room.extent(_planned(batch_size or data.rows)), None)
        native = self._take(key, room)
        self._forward(native, data, results, None, draw)
        self._keep(key, native)
        return self._as_rows(data, results)

    def inference(self) -> tuple[Model, Any]:
        """The model that large batches run in inference, and the engine's plan of it.

        BatchNorms are folded where they can be.
        """
        if self._folding is not None:
            self._folding.fill(self.model.values)
            return self._folded.inference()
        plan = self.planning.that_fits("infer", PLANNED_ROWS[-1], None)
        graph, layout = self.model.graph, self.model.layout
        fields = engine_plan(graph, layout, plan, self.model.frozen, frozenset())
        return self.model, fields

    def _as_rows(self, data: Data, results: list[Floats]) -> list[Rows]:
        graph = self.model.graph
        pairs = zip(graph.outputs, results, strict=True)
        return [as_rows(graph, data, node, y) for node, y in pairs]

    def _room(self, data: Data, rounded: bool = False) -> Room:
        """Room for the sequences of the data."""
        graph = self.model.graph
        found = [sequences_of(graph, data, clock) for clock in graph.clocks]
        return Room([x.lengths for x in found if x is not None], rounded)

    @functools.cached_property
    def _folding(self) -> Folding | None:
        return folding_of(self.model)

    @functools.cached_property
    def _folded(self) -> NativeExecutor:
        """Runs the model whose BatchNorms are folded."""
        assert self._folding is not None
        return NativeExecutor(self._folding.model, self._threads)

    def row_costs(
        self, data: Data, objective: Objective
    ) -> tuple[list[Rows], npt.NDArray[np.float64]]:
        """Outputs and the cost of every row, in inference."""
        results, costs = empty_outputs(self.model, data), np.empty(data.rows)
        room = self._room(data, rounded=True)
        key: Key = ("infer", room.extent(_planned(data.rows)), objective)
        native = self._take(key, room, data)
        self._forward(native, data, results, costs)
        self._keep(key, native)
        return self._as_rows(data, results), costs

    def _forward(
        self,
        native: Any,
        data: Data,
        results: list[Floats],
        costs: Floats | None,
        draw: Draw | None = None,
    ) -> None:
        rows, (seed, step) = data.rows, draw or (0, 0)
        flat = [result.reshape(-1) for result in results]
        workers = self.workers(data, min(rows, PLANNED_ROWS[-1]))
        where = (workers, self.hold(data), None, 0, rows)
        native.forward(*where, draw is not None, seed, step, flat, costs, look)

    # -- gradients ----------------------------------------------------------------

    def gradient(
        self, data: Data, objective: Objective, *, training: bool = False, seed: int = 0
    ) -> float:
        """Mean cost of all rows; its gradients go to ``model.gradients``."""
        room = self._room(data)
        key: Key = ("train", room.extent(data.rows), objective)
        native = self._take(key, room, data)
        cost = native.gradient(
            self.workers(data, data.rows),
            self.hold(data, objective),
            None,
            0,
            data.rows,
            training,
            seed,
            0,
            [],
            None,
            look,
        )
        self._keep(key, native)
        return cost

    def trace(
        self, data: Data, objective: Objective | None, *, draw: Draw | None = None
    ) -> Trace:
        """Everything of one batch.

        With ``draw`` as in that step of training: dropout's masks, statistics of the
        batch, which also move the running ones.
        """
        room, graph = self._room(data), self.model.graph
        key: Key = ("trace", room.extent(data.rows), objective)
        native = self._take(key, room, data)
        training, (seed, step) = draw is not None, draw or (0, 0)
        held = self.hold(data, objective)
        where = (self.workers(data, data.rows), held, None, 0, data.rows)
        how: tuple[Any, ...] = (training, seed, step, [], None, look)
        if objective is None:
            native.forward(*where, *how)
            cost = float("nan")
        else:
            self.model.gradients[:] = 0
            cost = native.gradient(*where, *how)
        counts = [count_of(graph, data, i) for i in range(len(graph.nodes))]
        values = tuple(native.value(i, count) for i, count in enumerate(counts))
        gradients = tuple(
            native.gradient_of(i, count) if objective is not None else None
            for i, count in enumerate(counts)
        )
        self._keep(key, native)
        return Trace(cost, values, gradients)

    # -- training -----------------------------------------------------------------

    def trainer(self, job: Job) -> NativeTrainer:
        """Prepare a training run."""
        return NativeTrainer(self, job)

    # -- plans --------------------------------------------------------------------

    def workers(self, data: Data, rows: int, passes: int = 1) -> int:
        """Threads for a batch: one where the work is too little to share."""
        found = [x for x in data.inputs if isinstance(x, Ragged)]
        steps = sum(x.steps for x in found) / sum(map(len, found)) if found else 1
        if self.model.graph.flops * rows * passes * steps < PARALLEL_FLOPS:
            return 1
        return self._threads or engine().default_threads()

    def hold(self, data: Data, objective: Objective | None = None) -> Any:
        """The data as the engine reads it; an objective wants a target for each cost.

        Raises:
            ValueError: arrays that the engine does not take, or too few targets.
        """
        if objective is not None and len(data.targets) < len(objective.costs):
            raise ValueError(
                f"[executor] {many(len(data.targets), 'target')}; expected "
                f"{len(objective.costs)}, one for each cost; give data of that many"
            )
        kind = engine().Data32 if self.model.dtype == np.float32 else engine().Data64
        inputs = [_input(x, data.scale_of(i)) for i, x in enumerate(data.inputs)]
        targets = [
            (*_held(y), *_held_weights(data.steps_of(i)), data.step_scale(i))
            for i, y in enumerate(data.targets)
        ]
        weights = None if data.weights is None else in_memory(data.weights)
        return kind(inputs, targets, weights, data.by_rows)

    def engine_of(self, job: Job) -> Any:
        """An engine of its own for a training run: it holds the run's update."""
        rows, room = min(job.batch_size, job.data.rows), self._room(job.data)
        return self._make(("train", room.extent(rows), job.objective), room, job.data)

    # An engine in use is out of the pool, so that threads may predict at once.

    def _take(self, key: Key, room: Room, data: Data | None = None) -> Any:
        """An engine for (mode, extent, objective): a kept one, or a new one."""
        native = self._kept.pop(key, None)
        if native is None:
            return self._make(key, room, data)
        objective = key[-1]
        if objective is not None:
            native.set_losses(_losses(objective, data))
        return native

    def _keep(self, key: Key, native: Any) -> None:
        self._kept[key] = native
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _make(self, key: Key, room: Room, data: Data | None) -> Any:
        mode, extent, objective = key
        model = self.planning.model_in(mode)
        plan = self.planning.that_fits(mode, extent.rows, objective, room)
        kind = engine().Executor32 if model.dtype == np.float32 else engine().Executor64
        fields = engine_plan(
            model.graph, model.layout, plan, model.frozen, self.model.still_nodes
        )
        native = kind(fields, model.values, model.gradients)
        for i, node in enumerate(model.graph.nodes):
            if isinstance(node.layer, Formula):
                native.set_formula(i, FormulaCall(node, _parameters(model, i)))
        if objective is not None:
            native.set_losses(_losses(objective, data))
        return native


def _parameters(model: Model, node: int) -> dict[str, Array]:
    """Views of a node's parameters by their own names."""
    names = (p.name for p in model.graph.nodes[node].parameters)
    segments = model.layout.of_node(node)
    return {n: s.view(model.values) for n, s in zip(names, segments, strict=True)}


def _input(rows: Any, scale: float) -> tuple[Any, ...]:
    """An input as the engine takes it; sequences and sparse rows as they lie."""
    if isinstance(rows, Ragged):
        values, starts, lengths = _held(rows)
        return values, scale, starts, lengths
    if not isinstance(rows, Sparse):
        return in_memory(rows), scale
    parts = (in_memory(part) for part in (rows.values, rows.columns, rows.starts))
    values, columns, starts = parts
    return values, scale, columns, starts, rows.shape[1]


def _planned(rows: int) -> int:
    """The rows to plan for."""
    for size in PLANNED_ROWS:
        if rows <= size:
            return size
    return PLANNED_ROWS[-1]


class NativeTrainer:
    """Takes training steps in the engine, whole stretches without Python."""

    def __init__(self, executor: NativeExecutor, job: Job) -> None:
        self._job, self._model = job, executor.model
        self._engine = executor.engine_of(job)
        rows = min(job.batch_size, job.data.rows)
        # A number that was asked for is kept; else the engine finds the fastest.
        self._seconds = math.inf  # of the latest step
        self._most = job.threads or executor.workers(job.data, rows, passes=3)
        self._fewest = job.threads or 1
        self._data = executor.hold(job.data, job.objective)
        self._engine.set_augmentation(engine_changes(job.augmentation))
        self.penalize(job.regularizer)

    def penalize(self, regularizer: Regularizer | None) -> None:
        """Put these penalties on the parameters from the next step on."""
        job = self._job
        self._engine.set_update(
            job.optimizer.rule or job.optimizer.kind,
            job.optimizer.attributes(),
            list(job.slots),
            _segments(self._model, regularizer or L2(0.0), job.multipliers),
        )

    def run(self, stretch: Stretch, outputs: Sequence[Floats]) -> StretchResult:
        """Take the steps of ``stretch``."""
        started, steps = time.monotonic(), len(stretch.learning_rates)
        can_stop = steps == 1 and self._is_slow
        result = (self._stoppable if can_stop else self._run)(stretch, outputs)
        self._seconds = (time.monotonic() - started) / steps
        return result

    @property
    def _is_slow(self) -> bool:
        """Whether steps take so long that a copy of what they change costs little."""
        numbers = sum(array.size for array in self._changed)
        copying = numbers * self._model.dtype.itemsize / COPIED_BYTES
        return max(SHORT_SECONDS, 20 * copying) < self._seconds

    @property
    def _changed(self) -> tuple[Floats, ...]:
        return (self._model.values, *self._job.slots)

    def _stoppable(self, stretch: Stretch, outputs: Sequence[Floats]) -> StretchResult:
        """Take a step; one that is stopped in its midst has not been taken."""
        kept = [array.copy() for array in self._changed]
        try:
            return self._run(stretch, outputs, look)
        except BaseException:
            for array, before in zip(self._changed, kept, strict=True):
                array[:] = before
            raise

    def _run(
        self, stretch: Stretch, outputs: Sequence[Floats], look: Any = None
    ) -> StretchResult:
        steps = len(stretch.learning_rates)
        costs, weights = np.empty(steps), np.empty(steps)
        taken = self._engine.train(
            self._fewest,
            self._most,
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
            look,
        )
        return StretchResult(costs[:taken], weights[:taken], taken == steps)


def _segments(
    model: Model, regularizer: Regularizer, multipliers: Mapping[str, float]
) -> list[dict[str, Any]]:
    l1, l2, max_norm = regularizer.strengths()
    return [
        {
            "offset": s.offset,
            "size": s.size,
            "columns": s.shape[-1] if s.shape else 1,
            "trainable": model.learns(s),
            "decays": s.parameter.decays,
            "learning_rate_multiplier": multipliers.get(s.name, 1.0),
            "l1": l1,
            "l2": l2,
            "max_norm": max_norm,
        }
        for s in model.layout.segments
    ]


def _losses(objective: Objective, data: Data | None) -> list[dict[str, Any]]:
    return [_loss(cost, data) for cost in objective.costs]


def _loss(cost: Cost, data: Data | None) -> dict[str, Any]:
    custom = cost.loss if isinstance(cost.loss, CustomLoss) else None
    return {
        "kind": "" if custom else cost.loss.engine_name(cost.form),
        "attributes": {} if custom else cost.loss.attributes(),
        "node": cost.node,
        "weight": cost.weight,
        "members": cost.members,
        "places": cost.places,
        "callback": _callback(custom, cost.output, data) if custom and data else None,
    }


def _callback(loss: CustomLoss, output: int, data: Data) -> Any:
    """The user's function as the engine calls it: outputs and the rows they are of."""
    target, weights = data.targets[output], data.weights

    def call(y: Array, rows: Array) -> tuple[float, Array]:
        w, own = None if weights is None else weights[rows], target[rows]
        if isinstance(own, Ragged):  # the function sees steps
            w = _step_weights(data.take(rows), output)
            own = own.packed()
        value, gradient = loss.evaluate(y, own, w)
        return value, np.ascontiguousarray(gradient, dtype=y.dtype)

    return call


def _step_weights(data: Data, output: int) -> Array | None:
    """Weights of the steps of a target, one behind the other."""
    target, steps = data.targets[output], data.steps_of(output)
    assert isinstance(target, Ragged)
    if data.weights is None and steps is None:
        return None
    rows = np.ones(data.rows) if data.weights is None else data.weights
    own = np.repeat(rows, target.lengths)
    return own if steps is None else own * steps.packed()


def _held(rows: Rows | Labels) -> tuple[Array, Array | None, Array | None]:
    """Values, and where the rows of sequences begin and how long they are."""
    if isinstance(rows, Labels):
        rows = rows.ended
    if isinstance(rows, Ragged):
        return in_memory(rows.values), in_memory(rows.starts), in_memory(rows.lengths)
    return in_memory(rows), None, None


def _held_weights(weights: Ragged | None) -> tuple[Array | None, Array | None]:
    """Weights of steps, and where those of the rows begin."""
    if weights is None:
        return None, None
    values = np.asarray(weights.values, np.float64)
    return in_memory(values), in_memory(weights.starts)
