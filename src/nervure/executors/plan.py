# SPDX-License-Identifier: BSD-3-Clause
"""Plan: order of steps, which gradients are wanted, where every buffer lies.

Time runs forward through the nodes (0 .. n-1), takes the losses (n), and returns
through the nodes (n+1 .. 2n). A buffer is alive from its first use to its last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nervure.executors._arena import NOWHERE, Buffer, allocate
from nervure.graph.graph import Graph
from nervure.graph.node import Node
from nervure.graph.parameters import Layout
from nervure.layers import Input, Shape
from nervure.layers._layer import Further
from nervure.layers.formula import Formula

Mode = Literal["infer", "train", "trace"]
"""What the plan is for: outputs alone; gradients of parameters; everything kept."""

Lengths = npt.NDArray[np.int64]
_GRAIN = 16


@dataclass(frozen=True)
class Traits:
    """What a kernel says of itself for one node and batch size."""

    saved: int
    scratch: int
    reads_input: bool
    reads_output: bool
    in_place: bool


@dataclass(frozen=True)
class Extent:
    """The most rows of a batch, and the most steps that so many have, by clock."""

    rows: int
    steps: tuple[int, ...] = ()

    def values(self, graph: Graph, node: int) -> int:
        """How many values a node has: one for each row, or for each step."""
        clock = graph.nodes[node].clock
        return self.rows if clock is None else self.steps[graph.clocks.index(clock)]

    def sequence(self, graph: Graph, node: int, which: int) -> int:
        """The steps of one of the sequences that a layer along time takes."""
        own = graph.nodes[node]
        time = own.times[which]
        return self.rows * time if time else self.values(graph, own.inputs[which])


class Room:
    """How many steps rows of a data set may have together: room for the longest ones.

    ``rounded`` asks for one of few numbers, so that plans are used again.
    """

    def __init__(self, lengths: Sequence[Lengths] = (), rounded: bool = False) -> None:
        self._sums = [np.cumsum(np.sort(one)[::-1]) for one in lengths]
        self._rounded = rounded

    def extent(self, rows: int) -> Extent:
        """Of any ``rows`` rows."""
        return Extent(rows, tuple(self._steps(sums, rows) for sums in self._sums))

    def _steps(self, sums: Lengths, rows: int) -> int:
        steps = int(sums[min(rows, len(sums)) - 1])
        return 1 << (steps - 1).bit_length() if self._rounded else steps


@dataclass(frozen=True)
class View:
    """A node as its kernel sees it: shapes, and rows for each value of the node.

    A kernel that acts on the last axis takes the others for further rows; one along
    time sees steps.
    """

    inputs: tuple[Shape, ...]
    output: Shape
    spread: int = 1

    @classmethod
    def of(cls, node: Node) -> View:
        """The view of a node's kernel."""
        shape = node.shape
        if node.layer.last_axis:
            inputs = tuple(each[-1:] for each in node.input_shapes)
            return cls(inputs, shape[-1:], math.prod(shape[:-1]))
        fixed = node.layer.keeps_time and any(node.times[:1])
        return cls(node.seen, shape[1:] if fixed else shape)


Describe = Callable[[int, Extent], Traits]
"""(node, batch) -> traits of its kernel."""


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
    """The steps of a graph for batches of at most this extent."""

    mode: Mode
    extent: Extent
    arena: int
    steps: tuple[Step, ...]

    @property
    def rows(self) -> int:
        """The most rows of a batch."""
        return self.extent.rows


def make_plan(
    graph: Graph,
    describe: Describe,
    *,
    extent: Extent,
    mode: Mode,
    cost_nodes: Iterable[int] = (),
    trainable: Iterable[int] = (),
    input_gradients: bool = False,
) -> Plan:
    """Plan ``graph`` for batches of at most ``extent``.

    Args:
        describe: traits of each node's kernel.
        cost_nodes: nodes at which a loss reads the value and writes dC/dvalue.
        trainable: nodes with a parameter whose gradient is wanted.
        input_gradients: whether the gradients of the network's inputs are wanted.
    """
    planner = _Planner(graph, describe, extent, mode, set(cost_nodes))
    if mode != "infer":
        planner.choose_gradients(set(trainable), input_gradients)
    planner.place_values()
    planner.place_gradients()
    planner.place_own_buffers()
    return Plan(mode, extent, allocate(planner.buffers), planner.finish())


class _Planner:
    def __init__(
        self,
        graph: Graph,
        describe: Describe,
        extent: Extent,
        mode: Mode,
        cost_nodes: set[int],
    ) -> None:
        self.graph, self.extent, self.mode = graph, extent, mode
        self.count = len(graph.nodes)
        none = Traits(0, 0, False, False, False)
        self.traits = [
            none if isinstance(node.layer, Input | Further) else describe(i, extent)
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
        written = [i in self.cost_nodes for i in range(self.count)]
        # What only further outputs read has no gradient: their owner knows theirs.
        self.carries = [
            reached[i] and (written[i] or any(map(self._writes, self.consumers[i])))
            for i in range(self.count)
        ]
        for i in reversed(range(self.count)):
            step, node = self.steps[i], nodes[i]
            own = reached[i] and self._writes(i)
            step.wanted = [own and reached[feed] for feed in node.inputs]
            step.backward = own and (i in trainable or any(step.wanted))
            for feed, wanted in zip(node.inputs, step.wanted, strict=True):
                step.accumulate.append(wanted and written[feed])
                written[feed] = written[feed] or wanted

    def _writes(self, node: int) -> bool:
        """Whether a node has a kernel, which writes the gradients of its inputs."""
        return not isinstance(self.graph.nodes[node].layer, Further)

    # -- buffers ------------------------------------------------------------------

    def size(self, node: int) -> int:
        values = self.extent.values(self.graph, node)
        return _rounded(values * math.prod(self.graph.nodes[node].shape))

    def _same_size(self, one: int, other: int) -> bool:
        a, b = self.graph.nodes[one], self.graph.nodes[other]
        return math.prod(a.shape) == math.prod(b.shape) and a.clock == b.clock

    def place_values(self) -> None:
        for i in range(self.count):
            buffer = Buffer(self.size(i), self._begin(i), self._last_use(i))
            under = self._value_under(i)
            if under is not None:
                under.join(buffer)
                buffer = under
            else:
                self.buffers.append(buffer)
            self.values.append(buffer)

    def _begin(self, node: int) -> int:
        """When a node's value is written: a further output with that of its owner.

        Inputs are filled before the first node is run, wherever they stand.
        """
        own = self.graph.nodes[node]
        if isinstance(own.layer, Input):
            return 0
        return node if self._writes(node) else own.inputs[0]

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
        feeds = self.graph.nodes[node].inputs if self._writes(node) else ()
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
            last = self.back(self._begin(i))
            last = 2 * self.count + 1 if self.mode == "trace" else last
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

    A parameter says whether its gradient is added to that of a node before it in the
    backward pass, and whether several nodes have it.

    ``frozen`` names parameters that do not learn; nodes that are ``still`` do in
    training what they do in inference.
    """
    nodes: list[dict[str, Any]] = []
    writers = {
        s.name: max((i for i in s.nodes if plan.steps[i].backward), default=s.node)
        for s in layout.segments
    }
    for i, (node, step) in enumerate(zip(graph.nodes, plan.steps, strict=True)):
        source = isinstance(node.layer, Input | Further)
        view = View.of(node)
        edges = zip(
            node.inputs,
            step.wanted or [False] * len(node.inputs),
            step.accumulate or [False] * len(node.inputs),
            strict=True,
        )
        nodes.append(
            {
                "kernel": "" if source else node.layer.native or node.layer.kind,
                "attributes": {} if source else _attributes(node),
                "input_shapes": [list(shape) for shape in view.inputs],
                "shape": list(view.output),
                "values": list(node.shape),
                "clock": -1 if node.clock is None else graph.clocks.index(node.clock),
                "spread": view.spread,
                "times": list(node.times),
                "sequences": node.layer.sequences,
                "ports": _ports(graph, i),
                "inputs": [list(edge) for edge in edges],
                "parameters": [
                    [
                        s.offset,
                        s.size,
                        s.parameter.trainable and s.name not in frozen,
                        i != writers[s.name],
                        len(s.nodes) > 1,
                    ]
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
        "steps": list(plan.extent.steps),
        "clocks": [graph.inputs.index(clock) for clock in graph.clocks],
        "arena": plan.arena,
        "nodes": nodes,
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
    }


def _attributes(node: Node) -> dict[str, Any]:
    """What the kernel reads; of a formula the engine reads nothing."""
    return {} if isinstance(node.layer, Formula) else node.layer.attributes(*node.seen)


def _ports(graph: Graph, owner: int) -> list[int]:
    """The nodes of a layer's further outputs in their order; `NOWHERE` if unused."""
    node = graph.nodes[owner]
    found = [NOWHERE] * len(node.layer.ports(*node.seen))
    for i in graph.consumers(owner):
        layer = graph.nodes[i].layer
        if isinstance(layer, Further):
            found[layer.number] = i
    return found
