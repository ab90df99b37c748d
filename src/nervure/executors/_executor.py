# SPDX-License-Identifier: BSD-3-Clause
"""What an executor does: the Protocol that `native` and `jax` fulfil."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nervure.base.memory import check_memory
from nervure.base.words import many
from nervure.data.augmentation import Augmentation
from nervure.data.labels import Labels
from nervure.data.ragged import Ragged
from nervure.graph.graph import Graph
from nervure.graph.objective import Objective
from nervure.graph.parameters import Layout, Segment
from nervure.optimizers import UpdateRule
from nervure.regularizers import Regularizer

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]
Rows = Array | Ragged
"""Rows of numbers, or of sequences."""

FEWER = "take fewer rows at a time, or use smaller layers"


@dataclass(frozen=True)
class Model:
    """What an executor runs: a graph and the flat arrays of its parameters.

    ``gradients`` has the layout of ``values``. ``frozen`` names parameters that do
    not learn, stored state among them.
    """

    graph: Graph
    layout: Layout
    values: Floats
    gradients: Floats
    frozen: frozenset[str] = frozenset()

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def learns(self, segment: Segment) -> bool:
        """Whether training moves a parameter by its gradient."""
        return segment.parameter.trainable and segment.name not in self.frozen

    @property
    def learning(self) -> tuple[Segment, ...]:
        """The parameters that learn."""
        return tuple(filter(self.learns, self.layout.segments))

    @property
    def trainable_nodes(self) -> tuple[int, ...]:
        """Nodes with a parameter that learns."""
        return tuple(node for s in self.learning for node in s.nodes)

    def is_still(self, node: int) -> bool:
        """Whether a node has parameters, and all of them are frozen.

        It then does in training what it does in inference: a BatchNorm takes its
        running statistics and leaves them as they are.
        """
        names = self.graph.nodes[node].parameter_names
        return bool(names) and self.frozen.issuperset(names)

    @property
    def thawed(self) -> Model:
        """The same model with nothing frozen: what a trace shows."""
        return replace(self, frozen=frozenset())

    @property
    def still_nodes(self) -> frozenset[int]:
        """Nodes that are still (see `is_still`)."""
        return frozenset(filter(self.is_still, range(len(self.graph.nodes))))

    @property
    def couples_rows(self) -> bool:
        """Whether a row's output in training depends on the other rows of the batch."""
        still, nodes = self.still_nodes, self.graph.nodes
        return any(n.layer.couples_rows and i not in still for i, n in enumerate(nodes))


@dataclass(frozen=True)
class Data:
    """Arrays of a data set, rows first: an input is read as ``array * scale``. Rows
    of inputs may lie as `nervure.data.sparse.Sparse` in place of an array.

    Sequences are `Ragged`. ``targets`` are int32 classes or rows of the network's
    dtype, one per cost, or `Ragged` with one for each step; `Labels` of a loss that
    aligns them. ``weights`` weigh the costs of the rows, float64, and ``step_weights``
    those of the steps of each target, as its values lie; ``row_weights`` and
    ``own_step_weights`` are the part of them that is the rows' own, without weights of
    classes: metrics go by these. What the steps of a
    row weigh on average, by which their costs are divided, is that of these rows unless
    ``step_scales`` says otherwise. The cost of a batch is the sum of its weighted costs
    over the sum of its weights or, with ``by_rows``, over the number of its rows: so it
    should be where the weights have mean 1, or a row alone in its batch would count as
    any other. ``answers`` says of each target whether its rows answer several
    yes-or-no questions, instead of naming one class: metrics ask.
    """

    inputs: tuple[Rows, ...]
    targets: tuple[Rows, ...] = ()
    weights: npt.NDArray[np.float64] | None = None
    scales: tuple[float, ...] = ()
    row_weights: npt.NDArray[np.float64] | None = None
    by_rows: bool = False
    step_weights: tuple[Ragged | None, ...] = ()
    own_step_weights: tuple[Ragged | None, ...] = ()
    step_scales: tuple[float, ...] = ()
    answers: tuple[bool, ...] = ()

    @property
    def rows(self) -> int:
        return len(self.inputs[0])

    @property
    def ragged(self) -> bool:
        """Whether inputs or targets are sequences."""
        several = (Ragged, Labels)
        return any(isinstance(x, several) for x in (*self.inputs, *self.targets))

    def scale_of(self, i: int) -> float:
        return self.scales[i] if self.scales else 1.0

    def steps_of(self, i: int) -> Ragged | None:
        """Weights of the steps of target ``i``, or None where they weigh 1."""
        return self.step_weights[i] if self.step_weights else None

    def step_scale(self, i: int) -> float:
        """What the steps of a row weigh on average, for target ``i``."""
        target = self.targets[i]
        if self.step_scales:
            return self.step_scales[i]
        if not isinstance(target, Ragged):
            return 1.0
        return float(
            np.average(weight_of_rows(target, self.steps_of(i)), weights=self.weights)
        )

    def take(self, rows: npt.NDArray[np.int64]) -> Data:
        """Some rows; what their steps weigh on average is their own."""

        def of(array: Any) -> Any:
            return None if array is None else array[rows]

        return replace(
            self,
            inputs=tuple(map(of, self.inputs)),
            targets=tuple(map(of, self.targets)),
            weights=of(self.weights),
            row_weights=of(self.row_weights),
            step_weights=tuple(map(of, self.step_weights)),
            own_step_weights=tuple(map(of, self.own_step_weights)),
            step_scales=(),
        )


def sequences_of(graph: Graph, data: Data, node: int) -> Ragged | None:
    """The input whose lengths a node's values follow; None where rows have one each."""
    clock = graph.nodes[node].clock
    if clock is None:
        return None
    found = data.inputs[graph.inputs.index(clock)]
    assert isinstance(found, Ragged)
    return found


def count_of(graph: Graph, data: Data, node: int) -> int:
    """Values of a node for all rows: one for each, or for each of their steps."""
    sequences = sequences_of(graph, data, node)
    return data.rows if sequences is None else sequences.steps


def places_of(
    graph: Graph, data: Data, node: int, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Where the values of a node for these rows lie among those of all rows."""
    sequences = sequences_of(graph, data, node)
    if sequences is None:
        return rows
    own = Ragged(np.empty(sequences.steps, np.bool_), sequences.lengths)[rows]
    return own.places()


def empty_outputs(model: Model, data: Data) -> list[Floats]:
    """Arrays for what the network gives for every row, or for every step."""
    graph = model.graph
    shapes = [(count_of(graph, data, i), *graph.nodes[i].shape) for i in graph.outputs]
    wanted = model.dtype.itemsize * sum(map(math.prod, shapes))
    what = f"the outputs of {many(data.rows, 'row')}"
    check_memory(wanted, "predict", what, FEWER)
    return [np.empty(shape, model.dtype) for shape in shapes]


def as_rows(graph: Graph, data: Data, node: int, values: Array) -> Rows:
    """Values of a node, side by side, as rows: `Ragged` where they are steps."""
    sequences = sequences_of(graph, data, node)
    return values if sequences is None else Ragged(values, sequences.lengths)


def weight_of_rows(target: Ragged, weights: Ragged | None) -> npt.NDArray[np.float64]:
    """What the steps of each row weigh together."""
    if weights is None:
        return target.lengths.astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(weights.values, dtype=np.float64)])
    return sums[weights.starts + weights.lengths] - sums[weights.starts]


Draw = tuple[int, int]
"""Seed and step of the random numbers of a pass."""


@dataclass(frozen=True)
class Trace:
    """Values and gradients of every node for one batch; None where there is none."""

    cost: float
    values: tuple[Floats, ...]
    gradients: tuple[Floats | None, ...]


@dataclass(frozen=True)
class Job:
    """A training run as an executor sees it.

    ``slots`` are the optimizer's arrays, of the layout of the parameters. The
    regularizer applies to every parameter that decays. Images of the only input are
    changed by ``augmentation`` as they are gathered. ``multipliers`` of the learning
    rate are those of parameters by name, 1 by default.
    """

    objective: Objective
    data: Data
    optimizer: UpdateRule
    slots: tuple[Floats, ...]
    batch_size: int
    seed: int
    regularizer: Regularizer | None = None
    threads: int | None = None
    augmentation: tuple[Augmentation, ...] = ()
    multipliers: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps of one epoch: the rows in order and a rate for each step."""

    rows: npt.NDArray[np.int64]
    learning_rates: Sequence[float]
    first_step: int


@dataclass(frozen=True)
class StretchResult:
    """Mean cost of each step taken, and what it was divided by: its weight in means.

    Fewer steps than asked for: the cost of the last one was not finite, and its update
    was not made.
    """

    costs: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    finite: bool


class Trainer(Protocol):
    """Takes steps; parameters and slots are up to date whenever `run` returns."""

    def run(self, stretch: Stretch, outputs: Sequence[Floats]) -> StretchResult:
        """Take the steps of ``stretch``.

        ``outputs``, if given, receive what the network gave for each row of the data.
        """
        ...


class Executor(Protocol):
    """Runs a model."""

    @property
    def model(self) -> Model: ...

    def outputs(
        self, data: Data, *, batch_size: int | None = None, draw: Draw | None = None
    ) -> list[Rows]:
        """What the network gives for every row, in inference.

        With ``draw``, dropout and its like draw as they do in training.
        """
        ...

    def row_costs(
        self, data: Data, objective: Objective
    ) -> tuple[list[Rows], npt.NDArray[np.float64]]:
        """Outputs and the cost of every row, in inference."""
        ...

    def gradient(
        self, data: Data, objective: Objective, *, training: bool = False, seed: int = 0
    ) -> float:
        """Mean cost of all rows; its gradients go to ``model.gradients``."""
        ...

    def trace(
        self, data: Data, objective: Objective | None, *, draw: Draw | None = None
    ) -> Trace:
        """Everything of one batch.

        With ``draw`` as in that step of training: dropout's masks, statistics of the
        batch, which also move the running ones.
        """
        ...

    def trainer(self, job: Job) -> Trainer:
        """Prepare a training run."""
        ...
