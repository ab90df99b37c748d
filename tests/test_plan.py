# SPDX-License-Identifier: BSD-3-Clause
"""Plans: buffers alive together never share memory, and sharing changes no bit.

The property test runs a plan symbolically: every place of the arena remembers who
wrote it last, and whoever reads checks that it finds what it needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nervure as nv
from nervure.executors import Data, Model
from nervure.executors._arena import NOWHERE, Buffer, allocate
from nervure.executors.native import NativeExecutor
from nervure.executors.plan import Extent, Plan, Traits, make_plan
from nervure.graph.graph import Graph
from nervure.graph.node import Entry
from nervure.graph.objective import Objective
from nervure.graph.symbols import from_symbols, sequence
from nervure.layers import Activation, Add, Concatenate, Dense, Input, Multiply
from nervure.network.network import Network

ROWS = 3
FAST = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


# -- random graphs ---------------------------------------------------------------------


@st.composite
def graphs(draw: Any) -> Graph:
    """Vectors through activations, dense layers, sums, products and concatenations."""
    symbols: list[Any] = [
        Input(draw(st.integers(1, 5))) for _ in range(draw(st.integers(1, 2)))
    ]
    inputs = tuple(symbols)
    widths = {id(x): x.shape[0] for x in symbols}

    def some() -> Any:
        recent = symbols[-4:]
        return recent[draw(st.integers(0, len(recent) - 1))]

    for _ in range(draw(st.integers(1, 12))):
        x = some()
        kind = draw(
            st.sampled_from(["tanh", "relu", "dense", "add", "multiply", "join"])
        )
        width = widths[id(x)]
        if kind in ("tanh", "relu"):
            y = Activation(kind)(x)
        elif kind == "dense":
            width = draw(st.integers(1, 6))
            y = Dense(width)(x)
        elif kind == "join":
            other = some()
            y, width = Concatenate()(x, other), width + widths[id(other)]
        else:
            same = [s for s in symbols if widths[id(s)] == width]
            other = same[draw(st.integers(0, len(same) - 1))]
            y = (Add() if kind == "add" else Multiply())(x, other)
        symbols.append(y)
        widths[id(y)] = width
    ends = {id(s): s for s in symbols}
    for s in symbols[len(inputs) :]:
        for feed in s.inputs:
            ends.pop(id(feed), None)
    extra = draw(st.sampled_from(symbols[len(inputs) :]))
    ends[id(extra)] = extra
    outputs = [s for s in ends.values() if s not in inputs]
    whole = list(inputs) if not _unused(inputs, symbols) else []
    entries, names = from_symbols(outputs, whole)
    if draw(st.booleans()):  # each input where it is first needed, not in front
        entries = tuple(sorted(entries, key=lambda e: isinstance(e.layer, Input)))
    return Graph.of(entries, names)


def _unused(inputs: Any, symbols: Any) -> bool:
    fed = {id(feed) for s in symbols[len(inputs) :] for feed in s.inputs}
    return any(id(x) not in fed for x in inputs)


@st.composite
def planned(draw: Any) -> tuple[Graph, Plan, list[Traits], set[int]]:
    graph = draw(graphs())
    flags = st.booleans()
    traits = [
        Traits(
            draw(st.integers(0, 20)),
            draw(st.integers(0, 20)),
            *draw(st.tuples(flags, flags, flags)),
        )
        for _ in graph.nodes
    ]
    costs = set()
    for output in graph.outputs:
        node = graph.nodes[output]
        fused = node.layer.kind == "activation" and draw(flags)
        costs.add(node.inputs[0] if fused else output)
    dense = [i for i, n in enumerate(graph.nodes) if n.layer.kind == "dense"]
    trainable = {i for i in dense if draw(flags)}
    mode = draw(st.sampled_from(["infer", "train", "trace"]))
    plan = make_plan(
        graph, lambda i, _: traits[i], extent=Extent(ROWS), mode=mode, cost_nodes=costs,
        trainable=trainable, input_gradients=draw(flags),
    )  # fmt: skip
    return graph, plan, traits, costs


# -- running a plan symbolically -------------------------------------------------------


@dataclass
class Memory:
    """Who wrote each element of the arena last."""

    cells: np.ndarray
    tokens: dict[Any, int] = field(default_factory=dict)

    def _number(self, token: Any) -> int:
        return self.tokens.setdefault(token, len(self.tokens) + 1)

    def write(self, offset: int, size: int, token: Any) -> None:
        assert offset >= 0
        assert offset + size <= len(self.cells)
        self.cells[offset : offset + size] = self._number(token)

    def check(self, offset: int, size: int, token: Any) -> None:
        found = set(self.cells[offset : offset + size].tolist())
        assert found == {self._number(token)}, f"{token} was overwritten"


class Simulation:
    def __init__(self, graph: Graph, plan: Plan, traits: list[Traits]) -> None:
        self.graph, self.plan, self.traits = graph, plan, traits
        self.memory = Memory(np.zeros(plan.arena, int))
        self.arrived = [0] * len(graph.nodes)

    def size(self, node: int) -> int:
        return ROWS * math.prod(self.graph.nodes[node].shape)

    def value(self, node: int) -> tuple[int, int, Any]:
        return self.plan.steps[node].value, self.size(node), ("value", node)

    def gradient(self, node: int) -> tuple[int, int, Any]:
        token = ("gradient", node, self.arrived[node])
        return self.plan.steps[node].gradient, self.size(node), token

    def own(self, node: int) -> list[tuple[int, int, Any]]:
        step, traits = self.plan.steps[node], self.traits[node]
        found = [(step.saved, traits.saved, ("saved", node))] if traits.saved else []
        return found + (
            [(step.scratch, traits.scratch, ("scratch", node))]
            if traits.scratch
            else []
        )

    def forward(self) -> None:
        for i in self.graph.inputs:  # all of them, before the first node is run
            self.memory.write(*self.value(i))
        for i, node in enumerate(self.graph.nodes):
            if isinstance(node.layer, Input):
                continue
            for buffer in self.own(i):
                self.memory.write(*buffer)
            for feed in node.inputs:  # own buffers do not lie over the inputs
                self.memory.check(*self.value(feed))
            self.memory.write(*self.value(i))
            for buffer in self.own(i):
                self.memory.check(*buffer)
            for feed in node.inputs:
                self.check_apart(i, self.value(feed), self.value(i))
        for output in self.graph.outputs:
            self.memory.check(*self.value(output))

    def check_apart(self, node: int, read: Any, written: Any) -> None:
        """What is written may lie over what is read only where the kernel says so."""
        apart = read[0] + read[1] <= written[0] or written[0] + written[1] <= read[0]
        assert apart or (self.traits[node].in_place and read[:2] == written[:2])

    def losses(self, costs: set[int]) -> None:
        for node in sorted(costs):
            self.memory.check(*self.value(node))
            if self.plan.steps[node].gradient == NOWHERE:
                continue
            self.arrived[node] += 1
            self.memory.write(*self.gradient(node))
        for node in sorted(costs):
            self.memory.check(*self.value(node))

    def backward(self) -> None:
        for i in reversed(range(len(self.graph.nodes))):
            step, node, traits = self.plan.steps[i], self.graph.nodes[i], self.traits[i]
            if not step.backward:
                continue
            dy = self.gradient(i)
            self.memory.check(*dy)
            needed = [self.value(i)] if traits.reads_output else []
            needed += [self.value(f) for f in node.inputs if traits.reads_input]
            needed += [b for b in self.own(i) if b[2][0] == "saved"]
            for buffer in needed:
                self.memory.check(*buffer)
            scratch = [b for b in self.own(i) if b[2][0] == "scratch"]
            for buffer in scratch:
                self.memory.write(*buffer)
            for buffer in [dy, *needed]:  # scratch does not lie over them
                self.memory.check(*buffer)
            for k, feed in enumerate(node.inputs):
                if not step.wanted[k]:
                    continue
                assert step.accumulate[k] == (self.arrived[feed] > 0)
                if step.accumulate[k]:
                    self.memory.check(*self.gradient(feed))
                self.check_apart(i, dy, self.gradient(feed))
                self.arrived[feed] += 1
                self.memory.write(*self.gradient(feed))
            for buffer in [*needed, *scratch]:
                self.memory.check(*buffer)


@FAST
@given(planned())
def test_what_is_read_has_not_been_overwritten(case: Any) -> None:
    graph, plan, traits, costs = case
    run = Simulation(graph, plan, traits)
    run.forward()
    run.losses(costs)
    if plan.mode == "infer":
        return
    run.backward()
    for output in graph.outputs:
        run.memory.check(*run.value(output))
    for i in range(len(graph.nodes)):
        if plan.mode == "trace":
            run.memory.check(*run.value(i))
            if plan.steps[i].gradient != NOWHERE:
                run.memory.check(*run.gradient(i))


@FAST
@given(planned())
def test_gradients_reach_every_layer_that_learns(case: Any) -> None:
    graph, plan, _, costs = case
    if plan.mode != "trace":
        return
    reach = set(costs)
    for i in reversed(range(len(graph.nodes))):
        if any(c in reach for c in graph.consumers(i)):
            reach.add(i)
    assert {i for i, s in enumerate(plan.steps) if s.gradient != NOWHERE} == reach


def meet(one: Buffer, other: Buffer) -> bool:
    """Are both alive at some time?"""

    def holds(buffer: Buffer, time: int) -> bool:
        known = time != NOWHERE
        return known and (buffer.first <= time <= buffer.last or time == buffer.again)

    together = one.first <= other.last and other.first <= one.last
    return together or holds(one, other.again) or holds(other, one.again)


def lowest_gaps(buffers: list[Buffer]) -> list[int]:
    """Offsets as the rule has them, every buffer being compared with all before it."""
    found: dict[int, int] = {}
    for i in sorted(range(len(buffers)), key=lambda i: -buffers[i].size):
        rivals = sorted(
            (found[j], buffers[j].size) for j in found if meet(buffers[i], buffers[j])
        )
        offset = 0
        for begin, size in rivals:
            if offset + buffers[i].size <= begin:
                break
            offset = max(offset, begin + size)
        found[i] = offset
    return [found[i] for i in range(len(buffers))]


TIMES = st.integers(0, 10)


@FAST
@given(
    st.lists(
        st.tuples(st.integers(1, 30), TIMES, TIMES, st.integers(NOWHERE, 10)),
        max_size=20,
    )
)
def test_allocation_keeps_lives_apart(wanted: list[tuple[int, int, int, int]]) -> None:
    buffers = [Buffer(n, min(a, b), max(a, b), again) for n, a, b, again in wanted]
    total = allocate(buffers)
    assert [buffer.offset for buffer in buffers] == lowest_gaps(buffers)
    for i, one in enumerate(buffers):
        assert one.offset + one.size <= total
        for other in buffers[i + 1 :]:
            end, other_end = one.offset + one.size, other.offset + other.size
            apart = end <= other.offset or other_end <= one.offset
            assert apart or not meet(one, other)
    assert total <= sum(b.size for b in buffers)


# -- on the engine ---------------------------------------------------------------------


@FAST
@given(graphs(), st.integers(0, 3))
def test_shared_memory_changes_no_bit(graph: Graph, seed: int) -> None:
    net = Network.from_graph(graph, seed=seed, dtype="float32")
    executor = NativeExecutor(Model(net.graph, net.layout, net.values, net.gradients))
    rng = np.random.default_rng(seed)
    inputs = tuple(
        rng.normal(size=(ROWS, *shape)).astype(np.float32)
        for shape in graph.input_shapes
    )
    objective = Objective.of(graph, "mse")
    targets = [rng.normal(size=(ROWS, *shape)) for shape in graph.output_shapes]
    data = Data(inputs, objective.check_targets(graph, targets, net.dtype))
    trace = executor.trace(data, objective)
    kept = net.gradients.copy()
    net.gradients[:] = 0
    cost = executor.gradient(data, objective)
    assert cost == trace.cost
    assert net.gradients.tobytes() == kept.tobytes()
    alone = executor.outputs(Data(inputs))
    with_costs, _ = executor.row_costs(data, objective)
    for output, one, other in zip(graph.outputs, alone, with_costs, strict=True):
        assert one.tobytes() == trace.values[output].tobytes() == other.tobytes()


def test_an_input_behind_other_layers_is_not_overwritten() -> None:
    """It is filled before the first of them is run; it lay over their values."""
    entries = [
        Entry(Input(64), "a"),
        Entry(Dense(1024), "wide", ("a",)),
        Entry(Dense(64), "x", ("wide",)),
        Entry(Dense(64), "y", ("x",)),
        Entry(Input(1024), "b"),
        Entry(Dense(64), "z", ("b",)),
        Entry(Add(), "sum", ("y", "z")),
    ]
    net = Network.from_graph(Graph.of(entries), seed=1, dtype="float64")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 64)), rng.normal(size=(5, 1024))
    own = {name: np.asarray(view) for name, view in net.parameters.items()}

    def dense(x: Any, name: str) -> Any:
        return x @ own[f"{name}.weight"] + own[f"{name}.bias"]

    expected = dense(dense(dense(a, "wide"), "x"), "y") + dense(b, "z")
    np.testing.assert_allclose(net.forward([a, b]), expected, rtol=1e-10)


def test_a_chain_shares_memory() -> None:
    """Twenty layers of one width: in inference two buffers at work, not twenty."""
    layers = [
        Input(48),
        *(Dense(48, activation="relu", name=f"h{i}") for i in range(20)),
    ]
    net = nv.Network(layers)
    executor = net.executor()
    width = 48 * 10
    assert executor.planning.plan("infer", 10, None).arena == 2 * width
    objective = net.objective("mse")
    arena = {
        m: executor.planning.plan(m, 10, objective).arena for m in ("train", "trace")
    }
    assert arena["train"] < 0.6 * arena["trace"]


def test_nothing_below_the_lowest_learning_layer_has_a_gradient() -> None:
    graph = Graph.of(sequence([Input(2), Activation("tanh"), Dense(3), Dense(1)]))
    none = Traits(0, 0, False, False, False)
    plan = make_plan(
        graph,
        lambda *_: none,
        extent=Extent(ROWS),
        mode="train",
        cost_nodes=[3],
        trainable=[3],
    )
    assert [step.backward for step in plan.steps] == [False, False, False, True]
    assert [step.gradient == NOWHERE for step in plan.steps] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_the_arena_grows_with_the_rows(rows: int) -> None:
    executor = nv.Network([Input(16), Dense(16)]).executor()
    assert executor.planning.plan("infer", rows, None).arena == 2 * 16 * rows
