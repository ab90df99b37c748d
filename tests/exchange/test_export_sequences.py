# SPDX-License-Identifier: BSD-3-Clause
"""Layers along time as ONNX, for sequences of one length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.graph.graph import Graph
from nervure.graph.node import Entry
from nervure.layers import LAYERS, Input

TIME = 6

EXAMPLES = [
    pytest.param(example, id=f"{kind.kind}-{i}")
    for kind in LAYERS
    if kind.sequences
    for i, example in enumerate(kind.examples())
    if not getattr(example.layer, "layer_norm", False)
]


def network(example: Any, dtype: str = "float32") -> nv.Network:
    """A layer alone, its sequences of a fixed number of steps."""
    names = [f"x{i}" for i in range(len(example.inputs))]
    along = example.layer.sequences
    shapes = [
        (TIME, *shape) if i < along else shape for i, shape in enumerate(example.inputs)
    ]
    feeds = [Entry(Input(s), n) for n, s in zip(names, shapes, strict=True)]
    graph = Graph.of([*feeds, Entry(example.layer, "layer", tuple(names))], ["layer"])
    net = nv.Network.from_graph(graph, dtype=dtype)
    rng = np.random.default_rng(3)
    for view in net.parameters.values():
        view[...] = rng.normal(size=view.shape) * 0.7
    return net


def rows_of(net: nv.Network, rows: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    names = [net.graph.nodes[i].name for i in net.graph.inputs]
    shapes = net.graph.input_shapes
    found = [rng.normal(size=(rows, *shape)).astype(net.dtype) for shape in shapes]
    return dict(zip(names, found, strict=True))


def answer(net: nv.Network, rows: dict[str, Any]) -> Any:
    return net.forward(rows if len(rows) > 1 else next(iter(rows.values())))


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize("example", EXAMPLES)
def test_onnx_runtime_gives_what_the_layer_gives(
    example: Any, opset: int, exported: Any, runtime: Any
) -> None:
    net = network(example)
    rows = rows_of(net)
    (found,) = runtime(exported(net, opset=opset), rows).values()
    np.testing.assert_allclose(found, answer(net, rows), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("example", EXAMPLES)
def test_so_does_the_reference(example: Any, exported: Any, reference: Any) -> None:
    if (
        getattr(example.layer, "reverse", False)
        or example.layer.kind == "bidirectional"
    ):
        pytest.skip("the reference of ONNX knows no other direction")
    if getattr(example.layer, "activation", "") == "relu":
        pytest.skip("the reference of ONNX knows no Relu here")
    net = network(example, "float64")
    rows = rows_of(net)
    (found,) = reference(exported(net, opset=21), rows).values()
    np.testing.assert_allclose(found, answer(net, rows), rtol=1e-6, atol=1e-6)


def test_final_states_are_outputs_too(exported: Any, runtime: Any) -> None:
    x = nv.Input((5, 3), name="x")
    lstm = nv.LSTM(4, True)(x)
    summed = nv.Add()(lstm["state"], lstm["cell"])
    net = nv.Network(inputs=[x], outputs=[lstm, summed], seed=1)
    rows = {"x": np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)}
    found = runtime(exported(net), rows).values()
    for mine, theirs in zip(net.forward(rows["x"]), found, strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-5, atol=1e-6)


def test_a_transformer_of_letters(exported: Any, runtime: Any) -> None:
    layers = [
        nv.Input((7,)),
        nv.Embedding(5, 8),
        nv.PositionEmbedding(9),
        nv.TransformerBlock(2, causal=True, rotary=True),
        nv.GRU(6),
        nv.Dense(5, activation="softmax"),
    ]
    net = nv.Network(layers, seed=0)
    codes = np.random.default_rng(0).integers(0, 5, (4, 7)).astype(np.float32)
    name = net.graph.nodes[0].name
    (found,) = runtime(exported(net), {name: codes}).values()
    np.testing.assert_allclose(found, net.forward(codes), rtol=1e-5, atol=1e-6)


def test_a_query_that_sees_no_key_gives_zeros(exported: Any, runtime: Any) -> None:
    q, k = nv.Input((5, 4), name="q"), nv.Input((2, 4), name="k")
    core = nv.DotProductAttention(2, causal=True)(q, k, k)
    net = nv.Network(inputs=[q, k], outputs=[core])
    rows = rows_of(net)
    (found,) = runtime(exported(net), rows).values()
    assert (found[:, :3] == 0).all()
    np.testing.assert_allclose(found, net.forward(rows), rtol=1e-5, atol=1e-6)
