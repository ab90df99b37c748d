# SPDX-License-Identifier: BSD-3-Clause
"""Plan: order of steps, which gradients are wanted, where every buffer lies.

Time runs forward through the nodes (0 .. n-1), takes the losses (n), and returns
through the nodes (n+1 .. 2n). A buffer is alive from its first use to its last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from nervure.executors._arena import NOWHERE, Buffer, allocate
from nervure.graph.graph import Graph
from nervure.graph.parameters import Layout
from nervure.layers import Input

Mode = Literal["infer", "train", "trace"]
"""What the plan is for: outputs alone; gradients of parameters; everything kept."""

_GRAIN = 16


@dataclass(frozen=True)
class Traits:
    """What a kernel says of itself for one node and batch size."""

    saved: int
    scratch: int
    reads_input: bool
    reads_output: bool
    in_place: bool


Describe = Callable[[int, int], Traits]
"""(node, rows) -> traits of its kernel."""


@dataclass
class Step:
    """A node's buffers (offsets in elements) and what its backward pass does."""

    value: int = NOWHERE
    gradient: int = NOWHERE
    saved: int = NOWHERE
    scratch: int = NOWHERE
    backward: bool = False
    wanted: list[bool] = field(default_factory=list[bool])
    accumulate: list[bool] = field(default_factory=list[bool])


@dataclass(frozen=True)
class Plan:
    """The steps of a graph for batches of at most ``rows``."""

    mode: Mode
    rows: int
    arena: int
    steps: tuple[Step, ...]


def make_plan(
    graph: Graph,
    describe: Describe,
    *,
    rows: int,
    mode: Mode,
    cost_nodes: Iterable[int] = (),
    trainable: Iterable[int] = (),
    input_gradients: bool = False,
) -> Plan:
    """Plan ``graph`` for batches of ``rows``.

    Args:
        describe: traits of each node's kernel.
        cost_nodes: nodes at which a loss reads the value and writes dC/dvalue.
        trainable: nodes with a parameter whose gradient is wanted.
        input_gradients: whether the gradients of the network's inputs are wanted.
    """
    planner = _Planner(graph, describe, rows, mode, set(cost_nodes))
    if mode != "infer":
        planner.choose_gradients(set(trainable), input_gradients)
    planner.place_values()
    planner.place_gradients()
    planner.place_own_buffers()
    return Plan(mode, rows, allocate(planner.buffers), planner.finish())


class _Planner:
    def __init__(
        self,
        graph: Graph,
        describe: Describe,
        rows: int,
        mode: Mode,
        cost_nodes: set[int],
    ) -> None:
        self.graph, self.rows, self.mode = graph, rows, mode
        self.count = len(graph.nodes)
        none = Traits(0, 0, False, False, False)
        self.traits = [
            none if isinstance(node.layer, Input) else describe(i, rows)
            for i, node in enumerate(graph.nodes)
        ]
        self.consumers: list[list[int]] = [[] for _ in graph.nodes]
        for i, node in enumerate(graph.nodes):
            for feed in node.inputs:
                self.consumers[feed].append(i)
        self.steps = [Step() for _ in graph.nodes]
        self.cost_nodes = cost_nodes
        self.carries = [False] * self.count  # has a gradient buffer
        self.buffers: list[Buffer] = []
        self.values: list[Buffer] = []
        self.gradients: list[Buffer | None] = [None] * self.count
        self.own: list[tuple[Buffer | None, Buffer | None]] = []

    def back(self, node: int) -> int:
        """Time of a node's backward step."""
        return 2 * self.count - node

    # -- which gradients ----------------------------------------------------------

    def choose_gradients(self, trainable: set[int], input_gradients: bool) -> None:
        """Gradients flow where a cost can be reached and something can be learnt."""
        nodes = self.graph.nodes
        learns = [False] * self.count
        for i, node in enumerate(nodes):
            own = i in trainable or (input_gradients and isinstance(node.layer, Input))
            every = self.mode == "trace"
            learns[i] = own or every or any(learns[feed] for feed in node.inputs)
        reached = [False] * self.count
        for i in reversed(range(self.count)):
            later = any(reached[c] for c in self.consumers[i])
            reached[i] = learns[i] and (i in self.cost_nodes or later)
        self.carries = reached
        written = [i in self.cost_nodes for i in range(self.count)]
        for i in reversed(range(self.count)):
            step, node = self.steps[i], nodes[i]
            step.wanted = [reached[i] and reached[feed] for feed in node.inputs]
            step.backward = reached[i] and (i in trainable or any(step.wanted))
            for feed, wanted in zip(node.inputs, step.wanted, strict=True):
                step.accumulate.append(wanted and written[feed])
                written[feed] = written[feed] or wanted

    # -- buffers ------------------------------------------------------------------

    def size(self, node: int) -> int:
        return _rounded(self.rows * math.prod(self.graph.nodes[node].shape))

    def _same_size(self, one: int, other: int) -> bool:
        a, b = self.graph.nodes[one].shape, self.graph.nodes[other].shape
        return math.prod(a) == math.prod(b)

    def place_values(self) -> None:
        for i in range(self.count):
            buffer = Buffer(self.size(i), i, self._last_use(i))
            under = self._value_under(i)
            if under is not None:
                under.join(buffer)
                buffer = under
            else:
                self.buffers.append(buffer)
            self.values.append(buffer)

    def _last_use(self, node: int) -> int:
        last = max([node, *self.consumers[node]])
        if node in self.graph.outputs or self.mode == "trace":
            return 2 * self.count + 1
        if node in self.cost_nodes:
            last = max(last, self.count)
        if self.steps[node].backward and self.traits[node].reads_output:
            last = self.back(node)
        for consumer in self.consumers[node]:
            if self.steps[consumer].backward and self.traits[consumer].reads_input:
                last = max(last, self.back(consumer))
        return last

    def _value_under(self, node: int) -> Buffer | None:
        """The input's buffer, where this node may write its output over it."""
        feeds = self.graph.nodes[node].inputs
        if self.mode == "trace" or len(feeds) != 1 or not self.traits[node].in_place:
            return None
        (feed,) = feeds
        under = self.values[feed]
        fed_by_data = isinstance(self.graph.nodes[feed].layer, Input)
        if fed_by_data or under.last > node or not self._same_size(feed, node):
            return None
        return under

    def place_gradients(self) -> None:
        for i in reversed(range(self.count)):
            if not self.carries[i]:
                continue
            writers = [c for c in self.consumers[i] if self.steps[c].backward]
            begins = [self.back(c) for c in writers]
            first = self.count if i in self.cost_nodes else min(begins)
            last = 2 * self.count + 1 if self.mode == "trace" else self.back(i)
            if isinstance(self.graph.nodes[i].layer, Input):
                last = 2 * self.count + 1
            buffer = Buffer(self.size(i), first, last)
            under = self._gradient_under(i, writers)
            if under is not None:
                under.join(buffer)
                buffer = under
            else:
                self.buffers.append(buffer)
            self.gradients[i] = buffer

    def _gradient_under(self, node: int, writers: list[int]) -> Buffer | None:
        """The gradient of the only consumer, where it may be overwritten."""
        if self.mode == "trace" or len(writers) != 1 or node in self.cost_nodes:
            return None
        (writer,) = writers
        under = self.gradients[writer]
        single = len(self.graph.nodes[writer].inputs) == 1
        if under is None or not self.traits[writer].in_place or not single:
            return None
        fits = under.last == self.back(writer) and self._same_size(writer, node)
        return under if fits else None

    def place_own_buffers(self) -> None:
        for i, traits in enumerate(self.traits):
            back = self.back(i) if self.steps[i].backward else NOWHERE
            saved = self._own(traits.saved, i, max(i, back))
            scratch = self._own(traits.scratch, i, i, back)
            self.own.append((saved, scratch))

    def _own(
        self, size: int, first: int, last: int, again: int = NOWHERE
    ) -> Buffer | None:
        if size == 0:
            return None
        buffer = Buffer(_rounded(size), first, last, again)
        self.buffers.append(buffer)
        return buffer

    def finish(self) -> tuple[Step, ...]:
        for i, step in enumerate(self.steps):
            saved, scratch = self.own[i]
            step.value = self.values[i].offset
            step.gradient = _offset(self.gradients[i])
            step.saved, step.scratch = _offset(saved), _offset(scratch)
        return tuple(self.steps)


def _rounded(size: int) -> int:
    return -(-size // _GRAIN) * _GRAIN


def _offset(buffer: Buffer | None) -> int:
    return NOWHERE if buffer is None else buffer.offset


def engine_plan(
    graph: Graph,
    layout: Layout,
    plan: Plan,
    frozen: frozenset[str],
    still: frozenset[int],
) -> Any:
    """The plan as the plain data that the engine reads.

    ``frozen`` names parameters that do not learn; nodes that are ``still`` do in
    training what they do in inference.
    """
    nodes: list[dict[str, Any]] = []
    for i, (node, step) in enumerate(zip(graph.nodes, plan.steps, strict=True)):
        source = isinstance(node.layer, Input)
        edges = zip(
            node.inputs,
            step.wanted or [False] * len(node.inputs),
            step.accumulate or [False] * len(node.inputs),
            strict=True,
        )
        nodes.append(
            {
                "kernel": "" if source else node.layer.native or node.layer.kind,
                "attributes": node.layer.attributes(*node.input_shapes),
                "input_shapes": [list(shape) for shape in node.input_shapes],
                "shape": list(node.shape),
                "inputs": [list(edge) for edge in edges],
                "parameters": [
                    [s.offset, s.size, s.parameter.trainable and s.name not in frozen]
                    for s in layout.of_node(i)
                ],
                "value": step.value,
                "gradient": step.gradient,
                "saved": step.saved,
                "scratch": step.scratch,
                "backward": step.backward,
                "random_key": node.random_key,
                "still": i in still,
            }
        )
    return {
        "rows": plan.rows,
        "arena": plan.arena,
        "nodes": nodes,
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
    }
