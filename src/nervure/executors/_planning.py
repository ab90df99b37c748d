# SPDX-License-Identifier: BSD-3-Clause
"""Planning: how many rows of a batch the engine takes in one pass, and their plan."""

from __future__ import annotations

import functools
import math
from collections import OrderedDict

from nervure.base.engine import engine
from nervure.base.memory import check_memory
from nervure.base.words import many
from nervure.executors._executor import Model
from nervure.executors.plan import (
    Extent,
    Mode,
    Plan,
    Room,
    Traits,
    View,
    make_plan,
)
from nervure.graph.objective import Objective
from nervure.layers.formula import Formula
from nervure.losses import CustomLoss

ARENA_BYTES = 256 * 2**20
"""Batches that want more memory than this are taken in several passes."""

CACHE_BYTES = {"infer": 64 * 2**20, "train": 48 * 2**20}
"""The same where passes that stay in the cache are the faster ones: in inference, and
in training unless the parameters, whose gradients each pass goes through, are large. A
transformer of 3 MB was trained in four fifths of the time."""

AGAIN = 4
"""How many times the parameters a pass of training may want."""

KEPT = 4
"""Plans kept for another call like an earlier one."""

SHORTER = "use shorter sequences (nervure.data.chunks), or smaller layers"

Key = tuple[Mode, Extent, Objective | None]


class Planning:
    """Plans of one model, those made last at hand."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._kept: OrderedDict[Key, Plan] = OrderedDict()

    def plan(
        self,
        mode: Mode,
        rows: int,
        objective: Objective | None,
        room: Room | None = None,
    ) -> Plan:
        """The plan for batches of ``rows``, and their steps."""
        return make_plan(
            self._model.graph,
            self._describe,
            extent=(room or Room()).extent(rows),
            mode=mode,
            cost_nodes=objective.nodes if objective else (),
            trainable=self.model_in(mode).trainable_nodes,
        )

    def that_fits(
        self,
        mode: Mode,
        rows: int,
        objective: Objective | None,
        room: Room | None = None,
    ) -> Plan:
        """The plan for ``rows``, or for fewer in several passes if it is too large."""
        room = room or Room()
        key: Key = (mode, room.extent(rows), objective)
        if key not in self._kept:
            self._kept[key] = self._fitting(mode, rows, objective, room)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _fitting(
        self, mode: Mode, rows: int, objective: Objective | None, room: Room
    ) -> Plan:
        size = self._model.dtype.itemsize
        couples = mode == "train" and self._couples_rows(objective)
        whole = mode == "trace" or couples
        most = min(ARENA_BYTES, self._cached(mode))
        while not whole and rows > 4 and self._largest(room, rows) * size > most:
            rows = _halved(rows)  # before anything of that size is worked out
        self._check_arena(room.extent(rows), self._largest(room, rows))
        plan = self.plan(mode, rows, objective, room)
        while not whole and plan.rows > 4 and plan.arena * size > most:
            fewer = _passes_of(plan.rows, plan.arena * size / most)
            plan = self.plan(mode, fewer, objective, room)
        self._check_arena(plan.extent, plan.arena)
        return plan

    def _couples_rows(self, objective: Objective | None) -> bool:
        """Whether a batch is not cut: a loss of one's own sees all of its rows."""
        costs = objective.costs if objective else ()
        own = any(isinstance(cost.loss, CustomLoss) for cost in costs)
        return own or self._model.couples_rows

    def _cached(self, mode: Mode) -> int:
        """Bytes of a pass that is as fast as others."""
        own = CACHE_BYTES.get(mode, ARENA_BYTES)
        return max(own, AGAIN * self._model.values.nbytes) if mode == "train" else own

    def _largest(self, room: Room, rows: int) -> int:
        """Numbers of the largest array between two layers, for so many rows."""
        extent = room.extent(rows)
        return max(extent.steps or (0,)) * self._widest[1] + rows * self._widest[0]

    @functools.cached_property
    def _widest(self) -> tuple[int, int]:
        """Numbers of the largest value between two layers: of a row, and of a step."""
        nodes = self._model.graph.nodes
        rows = (math.prod(n.shape) for n in nodes if n.clock is None)
        steps = (math.prod(n.shape) for n in nodes if n.clock is not None)
        return max(rows, default=0), max(steps, default=0)

    def _check_arena(self, extent: Extent, numbers: int) -> None:
        wanted = numbers * self._model.dtype.itemsize
        what = f"the layers' values for {many(extent.rows, 'row')}"
        if extent.steps:
            what += f" of {many(max(extent.steps), 'step')}"
            check_memory(wanted, "plan", what, SHORTER)
        check_memory(wanted, "plan", what)

    def _describe(self, index: int, extent: Extent) -> Traits:
        graph = self._model.graph
        node, view = graph.nodes[index], View.of(graph.nodes[index])
        if isinstance(node.layer, Formula):
            return Traits(0, 0, True, True, False)
        shapes = [list(shape) for shape in view.inputs]
        attributes = node.layer.attributes(*node.seen)
        kernel = node.layer.native or node.layer.kind
        along = len(node.times)
        rows = extent.rows if along else extent.values(graph, index) * view.spread
        steps = [extent.sequence(graph, index, which) for which in range(along)]
        found = engine.describe(
            kernel, attributes, shapes, list(view.output), rows, steps
        )
        traits = Traits(**found)
        self._check_arena(extent, traits.saved + traits.scratch)
        return traits

    def model_in(self, mode: Mode) -> Model:
        """The model; in a trace everything has its gradient."""
        return self._model.thawed if mode == "trace" else self._model


def _halved(rows: int) -> int:
    """Half of the rows; each pass begins with a whole block of random numbers."""
    return -(-rows // 8) * 4


def _passes_of(rows: int, times: float) -> int:
    """Rows of each of some equal passes that want so many times less memory."""
    most = max(4, int(rows / times) // 4 * 4)
    passes = -(-rows // most)
    return min(most, -(-rows // (4 * passes)) * 4)
