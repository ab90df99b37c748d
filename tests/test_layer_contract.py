# SPDX-License-Identifier: BSD-3-Clause
"""The contract of every layer, held to its own formula and to finite differences.

Adding a layer adds rows here by itself: the test runs over LAYERS and the examples
that each layer gives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.base.plain import Faults
from nervure.executors import Data, Model
from nervure.executors._jax_fold import Packed, Room, Sequences
from nervure.executors._jax_fold import fold as fold_graph
from nervure.executors._planning import Planning
from nervure.executors.native import NativeExecutor
from nervure.graph.entries import layer_from_dict, with_name
from nervure.graph.graph import Graph
from nervure.graph.node import Entry, layer_to_dict
from nervure.graph.objective import Objective
from nervure.layers import (
    LAYERS,
    Constant,
    Dense,
    EmbedColumns,
    Embedding,
    Flatten,
    Input,
    Pass,
)
from nervure.network.network import Network
from nervure.spec.reading import parse_spec
from nervure.spec.tables import Spec
from nervure.spec.written import write_spec

SOURCES = ("input", "constant", "learned")
ROWS = 5
LENGTHS = (3, 1, 7, 2, 4)
SEED = 11
STEP = 1e-3
RTOL = 5e-6

EXAMPLES = [
    pytest.param(example, id=f"{kind.kind}-{i}")
    for kind in LAYERS
    for i, example in enumerate(kind.examples())
]


def of(*kinds: str, training: bool = False) -> list[Any]:
    """The examples but for those whose layer cannot take part."""
    chosen = [p for p in EXAMPLES if p.values[0].layer.kind not in kinds]
    return [p for p in chosen if not (training and is_step(p.values[0].layer))]


def is_step(layer: Any) -> bool:
    """Whether nothing can be learnt by the layer itself or below it."""
    embeds = isinstance(layer, Embedding | EmbedColumns)
    return bool(layer.untrainable) and not embeds


# -- a graph around one layer ----------------------------------------------------------


def graph_of(example: Any) -> Graph:
    """The layer, fed by inputs; a source among them stands for itself."""
    if isinstance(example.layer, Input):
        return Graph.of([Entry(example.layer, "layer")])
    names = [f"x{i}" for i in range(len(example.inputs))]
    feeds = [
        Entry(Input(shape), name)
        for shape, name in zip(example.shapes, names, strict=True)
    ]
    spare = [] if feeds else [Entry(Input(1), "unused")]
    return Graph.of(
        [*feeds, *spare, Entry(example.layer, "layer", tuple(names))], ["layer"]
    )


def network(example: Any, dtype: str = "float64") -> Network:
    """With parameters that are far from special: no zeros, some negative."""
    net = Network.from_graph(graph_of(example), dtype=dtype, begin=True)
    rng = np.random.default_rng(3)
    for segment in net.layout.segments:
        if segment.parameter.trainable:
            segment.view(net.values)[...] = rng.normal(size=segment.shape) * 0.7
    return net


def inputs_of(net: Network, seed: int = 1) -> tuple[Any, ...]:
    """Values at least 0.05 away from 0 and from 3 and 6, the kinks of activations, and
    no two alike, for the sake of maxima. Sequences are of 1 to 7 steps, not in order."""
    rng = np.random.default_rng(seed)
    lengths = np.resize(LENGTHS, ROWS)
    found = []
    for i, shape in zip(net.graph.inputs, net.graph.input_shapes, strict=True):
        along = net.graph.nodes[i].clock is not None
        count = int(lengths.sum()) if along else ROWS
        k = len(found)  # no two alike among the inputs either
        spaced = np.linspace(0.05 + 0.001 * k, 2.9 + 0.01 * k, count * math.prod(shape))
        x = rng.permutation(spaced).reshape(count, *shape)
        x *= rng.choice([-1, 1], x.shape)
        x.reshape(-1)[::7] *= 2.1  # beyond 3 and below 6.1
        x = np.where(np.abs(np.abs(x) - 3) < 0.05, 2.5, x)
        x = np.where(np.abs(np.abs(x) - 6) < 0.1, 5.5, x)
        x = _within(net, x).astype(net.dtype)
        for codes in (c for c in net.graph.codes if c.input == k):
            flat = x.reshape(count, -1)
            size = (count, codes.columns.size)
            flat[:, codes.columns] = rng.integers(0, codes.sizes, size)
        found.append(nv.Ragged(x, lengths) if along else x)
    return tuple(found)


def _within(net: Network, x: np.ndarray) -> np.ndarray:
    """The values brought to where the layer is defined."""
    domain = next((n.layer.domain for n in net.graph.nodes if n.layer.domain), None)
    if domain is None:
        return x
    low, high = domain[0], min(domain[1], domain[0] + 3)
    return low + (high - low) * (0.15 + 0.7 / (1 + np.exp(-x)))


def steps(x: Any) -> Any:
    """The values of rows, or of their steps."""
    return x.values if isinstance(x, nv.Ragged) else x


def fold(
    xp: Any, net: Network, parameters: Any, inputs: Any, values: Any = None
) -> Any:
    """Fold the layers' formulas over the graph; the output of its last node.

    ``values`` stand in for those of the inputs, whose lengths stay.
    """
    values = [steps(x) for x in inputs] if values is None else values
    packed = [
        Packed(v, xp.asarray(x.lengths)) if isinstance(x, nv.Ragged) else v
        for x, v in zip(inputs, values, strict=True)
    ]
    room = Room.of(Data(inputs), len(inputs[0]))
    clocks = Sequences(xp, net.graph, packed, room.inputs)
    found = fold_graph(xp, net.graph, parameters, values, Pass(), sequences=clocks)
    return found[net.graph.outputs[0]]


def formula(net: Network, inputs: Any) -> Any:
    wide = {s.name: s.view(net.values).astype(float) for s in net.layout.segments}
    return fold(np, net, wide, inputs)


def weighted_sum(net: Network) -> tuple[Any, Any]:
    """The cost sum(c * y) as a loss, so that dC/dy = c for known c."""
    (shape,) = net.graph.output_shapes
    size = math.prod(shape)
    rng = np.random.default_rng(9)
    if net.graph.nodes[net.graph.outputs[0]].clock is None:
        c: Any = rng.normal(size=(ROWS, size))
    else:
        lengths = np.resize(LENGTHS, ROWS)
        c = nv.Ragged(rng.normal(size=(int(lengths.sum()), size)), lengths)

    def loss(output: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        return float((target * output).sum() / len(output)), target / len(output)

    return loss, c


def gradients(
    net: Network, inputs: Any, *, mode: str = "trace", threads: int = 1
) -> tuple[np.ndarray, list[np.ndarray | None], list[np.ndarray]]:
    """Of the parameters (flat), of the inputs, and all values, by the engine."""
    loss, c = weighted_sum(net)
    objective = Objective.of(net.graph, loss)
    model = Model(net.graph, net.layout, net.values, net.gradients)
    executor = NativeExecutor(model, threads)
    data = Data(inputs, objective.check_targets(net.graph, [c], net.dtype))
    net.gradients[:] = 0
    if mode == "train":
        executor.gradient(data, objective)
        return net.gradients.copy(), [], []
    found = executor.trace(data, objective)
    wanted = [found.gradients[i] for i in net.graph.inputs]
    return net.gradients.copy(), wanted, list(found.values)


def wide(x: Any) -> Any:
    """In float64."""
    if isinstance(x, nv.Ragged):
        return x.with_values(x.values.astype(np.float64))
    return x.astype(np.float64)


def differences(function: Any, at: np.ndarray) -> np.ndarray:
    """4-point central differences of a scalar function by each element of ``at``."""
    result = np.zeros(at.shape)
    flat, out = at.reshape(-1), result.reshape(-1)
    for i in range(at.size):
        kept, h = flat[i], STEP * max(1.0, abs(flat[i]))
        f = []
        for k in (-2, -1, 1, 2):
            flat[i] = kept + k * h
            f.append(function())
        flat[i] = kept
        out[i] = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)
    return result


# -- the contract ----------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_inferred_shape_is_the_produced_one(example: Any) -> None:
    net = network(example)
    shape = net.graph.nodes[net.graph.outputs[0]].shape
    assert net.graph.output_shapes == (shape,)
    inputs = inputs_of(net)
    y = net.forward(list(inputs) if len(inputs) > 1 else inputs[0])
    if isinstance(y, nv.Ragged):
        assert y.values.shape == (sum(LENGTHS), *shape)
        assert y.lengths.tolist() == list(LENGTHS)
    else:
        assert y.shape == (ROWS, *shape)
    assert shape == example.layer.output_shape(*example.inputs)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_the_kernel_computes_the_formula(example: Any, dtype: str) -> None:
    net = network(example, dtype)
    inputs = inputs_of(net)
    found = steps(net.executor().outputs(Data(inputs))[0])
    expected = formula(net, [wide(x) for x in inputs])
    rtol, atol = (1e-12, 1e-13) if dtype == "float64" else (2e-5, 2e-6)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("example", of("constant", training=True))
def test_gradients_are_finite_differences(example: Any) -> None:
    net = network(example)
    inputs = inputs_of(net)
    flat, wanted, _ = gradients(net, inputs)
    _, c = weighted_sum(net)

    def cost() -> float:
        y = formula(net, inputs)
        return float((steps(c) * y.reshape(len(y), -1)).sum() / len(y))

    for i, found, x in zip(net.graph.inputs, wanted, inputs, strict=True):
        if not net.graph.consumers(i) and i not in net.graph.outputs:
            continue  # beside a source
        assert found is not None
        expected = differences(cost, steps(x))
        np.testing.assert_allclose(found, expected, rtol=RTOL, atol=1e-10)
    for s in net.layout.segments:
        if s.parameter.trainable:
            expected = differences(cost, s.view(net.values))
            np.testing.assert_allclose(s.view(flat), expected, rtol=RTOL, atol=1e-10)
        else:
            assert not s.view(flat).any()


@pytest.mark.parametrize("example", of("constant", training=True))
def test_gradients_are_those_of_jax(example: Any) -> None:
    jax = pytest.importorskip("jax")
    net = network(example)
    inputs = inputs_of(net)
    flat, wanted, _ = gradients(net, inputs)
    _, c = weighted_sum(net)
    own = {s.name: s.view(net.values).copy() for s in net.layout.segments}

    def folded(p: Any, values: Any) -> Any:
        return fold(jax.numpy, net, p, inputs, values)

    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else x64(jax):
        values = [jax.numpy.asarray(steps(x)) for x in inputs]
        _, pull = jax.vjp(folded, own, values)
        (shape,) = net.graph.output_shapes
        each = steps(c).reshape(-1, *shape)
        expected, at_inputs = pull(jax.numpy.asarray(each / len(each)))
    for found, one in zip(wanted, at_inputs, strict=True):
        if found is None:  # beside a source
            assert not np.asarray(one).any()
            continue
        np.testing.assert_allclose(found, one, rtol=1e-9, atol=1e-12)
    for s in net.layout.segments:
        if s.parameter.trainable:
            one = expected[s.name]
            np.testing.assert_allclose(s.view(flat), one, rtol=1e-9, atol=1e-12)


def x64(jax: Any) -> Any:
    from jax.experimental import enable_x64

    return enable_x64()


@pytest.mark.parametrize("example", of(*SOURCES, training=True))
def test_gradients_accumulate_over_consumers(example: Any) -> None:
    """x -> layer twice, outputs added: twice the gradient; also where x is one value
    that fans out to both, behind another layer whose parameters see the sum."""
    kinds = [Entry(Input(shape), f"x{i}") for i, shape in enumerate(example.shapes)]
    scaled = [
        Entry(nv.Activation("scaled_tanh"), f"s{i}", (e.name,))
        for i, e in enumerate(kinds)
    ]
    feeds = tuple(e.name for e in scaled)
    branches = [Entry(example.layer, "a", feeds), Entry(example.layer, "b", feeds)]
    one = Graph.of([*kinds, *scaled, Entry(example.layer, "a", feeds)])
    two = Graph.of([*kinds, *scaled, *branches, Entry(nv.Add(), "sum", ("a", "b"))])
    single, double = (Network.from_graph(g, dtype="float64") for g in (one, two))
    rng = np.random.default_rng(2)
    for s in single.layout.segments:
        if s.parameter.trainable:
            s.view(single.values)[...] = rng.normal(size=s.shape)
    for name in ("a", "b"):
        for s in single.layout.segments:
            own = s.name.removeprefix("a")
            double.parameters[f"{name}{own}"][...] = s.view(single.values)
    inputs = inputs_of(single)
    once, at_inputs, _ = gradients(single, inputs)
    twice, at_both, _ = gradients(double, inputs)
    for found, expected in zip(at_both, at_inputs, strict=True):
        np.testing.assert_allclose(found, 2 * expected, rtol=1e-12, atol=1e-14)
    for s in single.layout.segments:
        t = next(t for t in double.layout.segments if t.name == f"b{s.name[1:]}")
        np.testing.assert_allclose(t.view(twice), s.view(once), rtol=1e-12, atol=0)


def plan_of_four(
    self: Planning, mode: Any, _: int, objective: Any, room: Any = None
) -> Any:
    return self.plan(mode, 4, objective, room)


@pytest.mark.parametrize("example", of(*SOURCES, training=True))
def test_gradients_accumulate_over_the_passes_of_a_batch(
    example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(example)
    inputs = inputs_of(net)
    whole, _, _ = gradients(net, inputs, mode="train")
    monkeypatch.setattr(Planning, "that_fits", plan_of_four)
    parts, _, _ = gradients(net, inputs, mode="train")
    assert whole.any() == bool(
        [s for s in net.layout.segments if s.parameter.trainable]
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.usefixtures("everywhere")
def test_threads_change_no_bit(
    example: Any, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(example, dtype)
    rows = 300
    monkeypatch.setattr(f"{__name__}.ROWS", rows)
    inputs = inputs_of(net)
    results = []
    for threads in (1, 2, 4):
        flat, wanted, values = gradients(net, inputs, threads=threads)
        everything = [flat, *values, *(g for g in wanted if g is not None)]
        results.append([array.tobytes() for array in everything])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_spec_gives_the_layer_back(example: Any) -> None:
    layer = example.layer
    faults = Faults("test")
    again = layer_from_dict(layer_to_dict(layer), faults.at())
    assert faults.lines == []
    assert layer_to_dict(again) == layer_to_dict(layer)
    assert type(again) is type(layer)
    graph = graph_of(example)
    entries = tuple(with_name(Entry(e.layer, e.name, e.inputs)) for e in graph.entries)
    spec = Spec(layers=entries, outputs=("layer",))
    same = parse_spec(write_spec(spec))
    assert same == spec
    shape = again.output_shape(*example.inputs)
    assert shape == layer.output_shape(*example.inputs)


@pytest.mark.parametrize(
    "example", of(*SOURCES, "embedding", "embed_columns", training=True)
)
def test_loss_falls_on_one_batch(example: Any) -> None:
    """Input -> dense -> layer -> dense: what is below and above the layer learns.

    (Below an embedding nothing can.)"""
    feeds = tuple(f"x{i}" for i in range(len(example.inputs)))
    below = [
        entry
        for i, (name, shape) in enumerate(zip(feeds, example.inputs, strict=True))
        for entry in (
            Entry(Input(math.prod(shape), i < example.layer.sequences), f"in_{name}"),
            Entry(Dense(math.prod(shape)), f"d_{name}", (f"in_{name}",)),
            *within(example.layer, f"d_{name}"),
            Entry(nv.Reshape(shape), name),
        )
    ]
    above = [
        Entry(example.layer, "layer", feeds),
        Entry(Flatten(), "flat", ("layer",)),
        Entry(Dense(1), "out", ("flat",)),
    ]
    net = Network.from_graph(Graph.of([*below, *above]), seed=1)
    rng = np.random.default_rng(4)
    along = [net.graph.nodes[i].clock is not None for i in net.graph.inputs]
    X: list[Any] = [
        rng.normal(size=(16, *(7,) * time, *s)).astype(np.float32)
        for s, time in zip(net.graph.input_shapes, along, strict=True)
    ]
    y = 3 + np.sin(X[0].sum(axis=-1))
    if along and along[0] and not example.layer.keeps_time:
        y = y.mean(axis=1)
    layer = net.graph.groups["layer"][-1]
    model = Model(net.graph, net.layout, net.values, net.gradients)
    data = Data(net.arrays(X if len(X) > 1 else X[0]))
    seen = NativeExecutor(model).trace(data, None).values[layer]
    varies = bool(np.ptp(seen, axis=0).any())  # softmax of one element does not
    last = f"d_{feeds[-1]}.weight"  # the first input may be a condition
    before = net.parameters[last].copy()
    run = nv.fit(
        net, X if len(X) > 1 else X[0], y, loss="mse", optimizer=nv.Adam(0.02),
        epochs=40, batch_size=16, shuffle=False, metrics=[], progress=False,
    )  # fmt: skip
    assert run.history["loss"][-1] < 0.7 * run.history["loss"][0]
    assert (net.parameters[last] != before).any() == varies


def within(layer: Any, name: str) -> list[Entry]:
    """What brings values to where the layer is defined."""
    if layer.domain is None:
        return []
    low, wide = layer.domain[0], min(layer.domain[1], layer.domain[0] + 3)
    scale = 1 / (0.7 * (wide - low))
    mean = -(low + 0.15 * (wide - low)) * scale
    squashed = Entry(nv.Activation("logistic"), f"{name}_squashed")
    return [squashed, Entry(nv.Normalize(mean, scale), f"{name}_within")]


@pytest.mark.parametrize("first", [0, 4])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nv.Dropout(0.4), (40,)),
        (nv.SpatialDropout(0.4), (3, 5, 7)),
        (nv.SpatialDropout(0.4), (2000, 1)),
        (nv.SpatialDropout(0.4), (2, 5000)),
        (nv.StochasticDepth(0.4), (9,)),
        (nv.StochasticDepth(0.4), (40, 30, 7)),
    ],
)
def test_masks_are_those_of_the_formula(
    layer: Any,
    shape: Any,
    training: bool,
    first: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forward and backward, also where a batch is taken in several passes."""
    net = nv.Network([nv.Input(shape), nv.Activation("linear"), layer], dtype="float64")
    rows, size = 11, math.prod(shape)
    x = np.random.default_rng(0).normal(size=(rows, *shape))
    objective = Objective.of(
        net.graph, lambda output, target: ((target * output).sum(), target)
    )
    model = Model(net.graph, net.layout, net.values, net.gradients)
    executor = NativeExecutor(model)
    c = np.random.default_rng(1).normal(size=(rows, size))
    data = Data((x,), (c,))
    if first:
        monkeypatch.setattr(Planning, "that_fits", plan_of_four)
    room = executor._room(data)
    held = executor._take(("trace", room.extent(rows), objective), room, data)
    out = np.empty((rows, size))
    where = (1, executor.hold(data), None, 0, rows, training, SEED, 7)
    held.gradient(*where, [out.reshape(-1)], None)
    node = net.graph.nodes[2]
    info = Pass(training=training, seed=SEED, step=7, node=node.random_key)
    expected = node.layer.formula(np, {}, x, info=info)
    np.testing.assert_array_equal(out.reshape(x.shape), expected)
    last = rows % first if first else rows
    scale = node.layer.formula(np, {}, np.ones_like(x), info=info)[-last:]
    found = held.gradient_of(1, last).reshape(scale.shape)
    kept = scale > 0
    shares = found[kept] / (c.reshape(x.shape)[-last:] * scale)[kept]
    np.testing.assert_allclose(shares, shares[0], rtol=1e-12)
    assert (found[~kept] == 0).all()


def test_a_constant_repeats_its_value() -> None:
    x = nv.Input(2)
    y = nv.Concatenate()(x, Constant(3.5))
    net = nv.Network(inputs=x, outputs=y)
    np.testing.assert_array_equal(
        net.forward([[1.0, 2.0], [3.0, 4.0]]), [[1, 2, 3.5], [3, 4, 3.5]]
    )
