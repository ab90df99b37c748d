# SPDX-License-Identifier: BSD-3-Clause
"""Layers along time as ONNX: sequences of one length, and of any."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.layers import LAYERS

sys.path.insert(0, str(Path(__file__).parent))

from layers_alone import network

EXAMPLES = [
    pytest.param(example, id=f"{kind.kind}-{i}")
    for kind in LAYERS
    if kind.sequences
    for i, example in enumerate(kind.examples())
    if not getattr(example.layer, "layer_norm", False)
]


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


# -- any length ------------------------------------------------------------------------


def as_array(found: Any) -> Any:
    return found.to_array() if isinstance(found, nv.Ragged) else np.asarray(found)


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize("example", EXAMPLES)
def test_sequences_of_any_length(
    example: Any, opset: int, exported: Any, runtime: Any
) -> None:
    net = network(example, time=None)
    model = exported(net, opset=opset)
    nodes = [net.graph.nodes[i] for i in net.graph.inputs]
    most = example.layer.longest or 7
    for time in (1, 4, most):
        rng = np.random.default_rng(time)
        rows = {
            node.name: rng.normal(
                size=(3, *((time,) if node.clock is not None else ()), *node.shape)
            ).astype(np.float32)
            for node in nodes
        }
        (found,) = runtime(model, rows).values()
        wanted = as_array(answer(net, rows))
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize(
    "layers",
    [
        [
            nv.Input((None, 5)),
            nv.LSTM(6, return_sequences=True),
            nv.Dense(4, activation="tanh"),
            nv.Bidirectional(nv.GRU(3)),
            nv.Dense(2, activation="softmax"),
        ],
        [
            nv.Input((None,)),
            nv.Embedding(7, 8),
            nv.PositionEmbedding(16),
            nv.TransformerBlock(2, causal=True),
            nv.LayerNorm(),
            nv.Dense(7, activation="softmax"),
        ],
    ],
    ids=["classifier", "letters"],
)
def test_whole_networks_of_any_length(layers: Any, exported: Any, runtime: Any) -> None:
    """Their steps are shown as an open axis, called time."""
    net = nv.Network(layers, seed=1)
    model = exported(net)
    codes = net.graph.input_shapes[0] == ()
    extents = [
        dim.dim_param or dim.dim_value
        for dim in model.graph.input[0].type.tensor_type.shape.dim
    ]
    assert extents == ["batch", "time", *([] if codes else [5])]
    for time in (1, 6, 16):
        rng = np.random.default_rng(time)
        x = rng.integers(0, 7, (3, time)) if codes else rng.normal(size=(3, time, 5))
        rows = {net.graph.nodes[0].name: x.astype(np.float32)}
        (found,) = runtime(model, rows).values()
        wanted = as_array(net.forward(next(iter(rows.values()))))
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_queries_that_see_nothing_give_zeros(exported: Any, runtime: Any) -> None:
    """More queries than keys, both of any number: the first of them see none."""
    q, k = nv.Input((None, 4), name="q"), nv.Input((None, 4), name="k")
    y = nv.MultiHeadAttention(2, causal=True)(q, k)
    net = nv.Network(inputs=[q, k], outputs=y, seed=2)
    rng = np.random.default_rng(0)
    rows = {
        name: rng.normal(size=(2, time, 4)).astype(np.float32)
        for name, time in (("q", 5), ("k", 3))
    }
    (found,) = runtime(exported(net), rows).values()
    np.testing.assert_allclose(found, as_array(net.forward(rows)), atol=2e-5)


def test_preprocessing_of_answers_for_each_step_is_refused(exported: Any) -> None:
    net = nv.Network([nv.Input((None, 8)), nv.Dense(2, activation="softmax")], seed=0)
    digits = nv.data.load("digits")
    net.preprocessing = digits.preprocessing
    with pytest.raises(nv.ExchangeError, match="a value for each step"):
        exported(net, preprocessing=True)
