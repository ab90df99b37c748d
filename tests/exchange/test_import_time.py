# SPDX-License-Identifier: BSD-3-Clause
"""ONNX files with an open axis of time, as nervure writes them, read back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

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


def rows_of(net: nv.Network, time: int) -> dict[str, Any]:
    rng = np.random.default_rng(time)
    rows: dict[str, Any] = {}
    for node in (net.graph.nodes[i] for i in net.graph.inputs):
        shape = (3, *((time,) if node.clock is not None else ()), *node.shape)
        codes = bool(net.graph.codes)
        x = rng.integers(0, 7, shape) if codes else rng.normal(size=shape)
        rows[node.name] = x.astype(net.dtype)
    return rows


def answer(net: nv.Network, rows: dict[str, Any]) -> Any:
    """What a network gives of these inputs, taken in their order."""
    values = list(rows.values())
    names = [net.graph.nodes[i].name for i in net.graph.inputs]
    given = dict(zip(names, values, strict=True)) if len(values) > 1 else values[0]
    found = net.forward(given)
    return found.to_array() if isinstance(found, nv.Ragged) else np.asarray(found)


def check_same(net: nv.Network, again: nv.Network, most: int = 7) -> None:
    for time in (1, 4, most):
        rows = rows_of(net, time)
        wanted, found = answer(net, rows), answer(again, rows)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize("example", EXAMPLES)
def test_a_layer_comes_back(example: Any, opset: int, exported: Any) -> None:
    net = network(example, time=None)
    again = nv.import_onnx(exported(net, opset=opset))
    clocks = [again.graph.nodes[i].clock for i in again.graph.inputs]
    assert clocks == [net.graph.nodes[i].clock for i in net.graph.inputs]
    check_same(net, again, example.layer.longest or 7)


NETWORKS: dict[str, tuple[list[Any], list[str]]] = {
    "classifier": (
        [
            nv.Input((None, 5)),
            nv.LSTM(6, return_sequences=True),
            nv.Dense(4, activation="tanh"),
            nv.Bidirectional(nv.GRU(3)),
            nv.Dense(2, activation="softmax"),
        ],
        [
            "input",
            "lstm",
            "dense",
            "activation",
            "gru",
            "gru",
            "concatenate",
            "dense",
            "softmax",
        ],
    ),
    "letters": (
        [
            nv.Input((None,)),
            nv.Embedding(7, 8),
            nv.PositionEmbedding(16),
            nv.MultiHeadAttention(2, causal=True),
            nv.LayerNorm(),
            nv.Dense(7, activation="softmax"),
        ],
        [
            *["input", "embedding", "position_embedding", "dense", "dense", "dense"],
            *["dot_product_attention", "dense", "layer_norm", "dense", "softmax"],
        ],
    ),
    "columns of codes": (
        [nv.Input((None, 2)), nv.Embedding((7, 9), 3), nv.Flatten(), nv.GRU(4)],
        ["input", "embedding", "flatten", "gru"],
    ),
    "turned": (
        [
            nv.Input((None, 4)),
            nv.TransformerBlock(2, causal=True, rotary=True),
            nv.LSTM(3),
        ],
        [],
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks_come_back(name: str, dtype: str, exported: Any) -> None:
    layers, kinds = NETWORKS[name]
    net = nv.Network(layers, seed=1, dtype=dtype)
    again = nv.import_onnx(exported(net))
    assert again.dtype == dtype
    assert not kinds or [node.layer.kind for node in again.graph.nodes] == kinds
    check_same(net, again, 16)
    if net.graph.nodes[net.graph.outputs[0]].clock is None:
        x = next(iter(rows_of(net, 5).values()))
        rows = [row[: 2 + i] for i, row in enumerate(x)]
        np.testing.assert_allclose(again.predict(rows), net.predict(rows), atol=1e-5)


def test_the_default_for_sequences_comes_back(exported: Any) -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(n, 2)) for n in rng.integers(2, 9, 40)]
    frame = pandas.DataFrame({"s": [row.tolist() for row in rows]})
    dataset = nv.data.load((frame, [float(row.sum()) for row in rows]))
    run = nv.fit_spec(nv.tabular.default(dataset), dataset, epochs=1, progress=False)
    net = run.network.copy()
    net.preprocessing = None
    check_same(net, nv.import_onnx(exported(net)))


def test_what_was_read_is_written_and_trained_as_well(exported: Any) -> None:
    net = nv.Network(NETWORKS["classifier"][0], seed=1)
    again = nv.import_onnx(exported(net))
    check_same(net, nv.import_onnx(exported(again)))
    rows = [np.ones((n, 5)) for n in (2, 3, 4, 6)]
    run = nv.fit(again, rows, [0, 1, 0, 1], epochs=3, progress=False)
    assert run.history["loss"][-1] < run.history["loss"][0]


def test_queries_and_keys_of_any_number(exported: Any) -> None:
    q, k = nv.Input((None, 4), name="q"), nv.Input((None, 4), name="k")
    y = nv.MultiHeadAttention(2, causal=True)(q, k)
    net = nv.Network(inputs=[q, k], outputs=y, seed=2)
    again = nv.import_onnx(exported(net))
    rng = np.random.default_rng(0)
    sizes = (("q", 5), ("k", 3))
    rows = {n: rng.normal(size=(2, t, 4)).astype(np.float32) for n, t in sizes}
    np.testing.assert_allclose(answer(again, rows), answer(net, rows), atol=1e-5)


def test_final_states_and_steps_are_outputs_together(exported: Any) -> None:
    x = nv.Input((None, 3), name="x")
    lstm = nv.LSTM(4, True)(x)
    net = nv.Network(inputs=[x], outputs=[lstm, lstm["state"], lstm["cell"]], seed=1)
    again = nv.import_onnx(exported(net))
    rows = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    for mine, theirs in zip(net.forward(rows), again.forward(rows), strict=True):
        found, wanted = (
            one.to_array() if isinstance(one, nv.Ragged) else one
            for one in (theirs, mine)
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


# -- what is not what it looks like ----------------------------------------------------


def changed_constant(name: str, value: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        (tensor,) = (t for t in model.graph.initializer if t.name == name)
        array = np.array(value, numpy_helper.to_array(tensor).dtype)
        tensor.CopyFrom(numpy_helper.from_array(array, name))

    return change


def changed_attribute(node: str, name: str, value: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        (found,) = (n for n in model.graph.node if node in n.output)
        kept = [a for a in found.attribute if a.name != name]
        del found.attribute[:]
        found.attribute.extend([*kept, helper.make_attribute(name, value)])

    return change


def averaged(model: Any) -> None:
    """The mean along time in the place of the last output."""
    output = model.graph.output[0].name
    axes = numpy_helper.from_array(np.array([1]), "axes")
    model.graph.initializer.append(axes)
    mean = helper.make_node("ReduceSum", [output, "axes"], ["mean"], keepdims=0)
    model.graph.node.append(mean)
    del model.graph.output[:]
    value = helper.make_tensor_value_info("mean", TensorProto.FLOAT, None)
    model.graph.output.append(value)


def time_first(model: Any) -> None:
    model.graph.output[0].name = "lstm.steps"


LOOKALIKES: dict[str, tuple[list[Any], Callable[[Any], None], str]] = {
    "another factor": (
        [nv.Input((None, 4)), nv.MultiHeadAttention(2)],
        changed_constant("multi_head_attention.heads.factor", 0.5),
        "no layer does so along an open axis of time",
    ),
    "a softmax along queries": (
        [nv.Input((None, 4)), nv.MultiHeadAttention(2)],
        changed_attribute("multi_head_attention.heads.weights", "axis", 2),
        "no layer does so along an open axis of time",
    ),
    "a mask that hides less": (
        [nv.Input((None, 4)), nv.MultiHeadAttention(2, causal=True)],
        changed_constant("multi_head_attention.heads.least", -3.0),
        "no layer does so along an open axis of time",
    ),
    "positions from the second on": (
        [nv.Input((None, 4)), nv.PositionEmbedding(9)],
        changed_constant("position_embedding.first", [1]),
        "no layer does so along an open axis of time",
    ),
    "turns that are no powers": (
        [nv.Input((None, 4)), nv.RotaryPositions(1)],
        changed_constant("rotary_positions.turns", [[1.0, 1.0, 0.3, 0.2]]),
        "no layer does so along an open axis of time",
    ),
    "codes from the second on": (
        [nv.Input((None,)), nv.Embedding(7, 3)],
        changed_constant("embedding.least", [1]),
        "no layer does so along an open axis of time",
    ),
    "a sum along time": (
        [nv.Input((None, 4)), nv.Dense(3)],
        averaged,
        "'mean' (ReduceSum): no layer does so along an open axis of time",
    ),
    "time before the rows": (
        [nv.Input((None, 4)), nv.LSTM(3, True)],
        time_first,
        "output 'lstm.steps' has an open axis of time and is given by no layer",
    ),
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_what_only_looks_like_a_layer_is_refused(name: str, exported: Any) -> None:
    layers, change, said = LOOKALIKES[name]
    model = exported(nv.Network(layers, seed=0))
    change(model)
    with pytest.raises(nv.ExchangeError) as caught:
        nv.import_onnx(model)
    assert said in str(caught.value)


def test_steps_by_the_length_of_another_input(exported: Any) -> None:
    x, other = nv.Input((None, 3), name="x"), nv.Input((None, 3), name="other")
    net = nv.Network(inputs=[x, other], outputs=[nv.LSTM(2)(x), nv.LSTM(2)(other)])
    model = exported(net)
    for node in model.graph.node:
        if node.op_type == "Concat":
            node.input[1] = "x.length"
    with pytest.raises(nv.ExchangeError, match="no layer does so along an open axis"):
        nv.import_onnx(model)


def test_an_open_axis_of_another_name_is_asked_for(exported: Any) -> None:
    model = exported(nv.Network([nv.Input((None, 3)), nv.Dense(2)]))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "width"
    with pytest.raises(nv.ExchangeError, match="expected extents that are known"):
        nv.import_onnx(model)


def test_terms_that_double_take_no_time(exported: Any) -> None:
    """Each adds the one before to itself: as one sum it would have 2^400 parts."""
    model = exported(nv.Network([nv.Input((None, 3)), nv.LSTM(2)]))
    name = "input.length"
    for i in range(400):
        model.graph.node.append(helper.make_node("Add", [name, name], [f"twice{i}"]))
        name = f"twice{i}"
    model.graph.node.append(helper.make_node("Mul", [name, name], ["end"]))
    nv.import_onnx(onnx.ModelProto.FromString(model.SerializeToString()))


def test_a_cast_that_gives_nothing(exported: Any) -> None:
    model = exported(nv.Network([nv.Input((None,)), nv.Embedding(7, 3)]))
    (cast,) = (n for n in model.graph.node if "embedding.code" in n.output)
    del cast.output[:]
    with pytest.raises(nv.ExchangeError, match="which no node before it gives"):
        nv.import_onnx(model)
