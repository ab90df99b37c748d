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
from nervure.graph.graph import Graph
from nervure.graph.objective import Objective
from nervure.graph.parameters import Layout, Segment
from nervure.optimizers import UpdateRule
from nervure.regularizers import Regularizer

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]

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
        return tuple(s.node for s in self.learning)

    def is_still(self, node: int) -> bool:
        """Whether a node has parameters, and all of them are frozen.

        It then does in training what it does in inference: a BatchNorm takes its
        running statistics and leaves them as they are.
        """
        own = self.graph.nodes[node]
        names = [f"{own.name}.{p.name}" for p in own.parameters]
        return bool(names) and self.frozen.issuperset(names)

    def empty_outputs(self, rows: int) -> list[Floats]:
        """Arrays for what the network gives for so many rows."""
        shapes, size = self.graph.output_shapes, self.dtype.itemsize
        wanted = rows * size * sum(map(math.prod, shapes))
        check_memory(wanted, "predict", f"the outputs of {many(rows, 'row')}", FEWER)
        return [np.empty((rows, *shape), self.dtype) for shape in shapes]

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

    ``targets`` are int32 classes or rows of the network's dtype, one per cost;
    ``weights`` weigh the costs of the rows, float64. ``row_weights`` are the part of
    them that is the rows' own, without weights of classes: metrics go by these. The
    cost of a batch is the sum of its weighted costs over the sum of its weights or,
    with ``by_rows``, over the number of its rows: so it should be where the weights
    have mean 1, or a row alone in its batch would count as any other. ``answers`` says
    of each target whether its rows answer several yes-or-no questions, instead of
    naming one class: metrics ask.
    """

    inputs: tuple[Array, ...]
    targets: tuple[Array, ...] = ()
    weights: npt.NDArray[np.float64] | None = None
    scales: tuple[float, ...] = ()
    row_weights: npt.NDArray[np.float64] | None = None
    by_rows: bool = False
    answers: tuple[bool, ...] = ()

    @property
    def rows(self) -> int:
        return len(self.inputs[0])

    def scale_of(self, i: int) -> float:
        return self.scales[i] if self.scales else 1.0


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
    ) -> list[Floats]:
        """What the network gives for every row, in inference.

        With ``draw``, dropout and its like draw as they do in training.
        """
        ...

    def row_costs(
        self, data: Data, objective: Objective
    ) -> tuple[list[Floats], npt.NDArray[np.float64]]:
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
