# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent operators of ONNX as layers: there and back, of PyTorch, and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import nervure as nv
from nervure.exchange.errors import ExchangeError

RNG = np.random.default_rng(7)


def single(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def kinds(net: Any) -> list[str]:
    return [node.layer.kind for node in net.graph.nodes]


# -- there and back --------------------------------------------------------------------

LAYERS = {
    "lstm": [nv.LSTM(4)],
    "steps": [nv.LSTM(4, True), nv.LSTM(3)],
    "peepholes": [nv.LSTM(4, True, peepholes=True), nv.Flatten()],
    "reverse": [nv.LSTM(4, True, reverse=True), nv.Flatten()],
    "gru": [nv.GRU(4, True), nv.GRU(3)],
    "gru_before": [nv.GRU(4, reset_after=False)],
    "rnn": [nv.SimpleRNN(4, True), nv.SimpleRNN(3, activation="relu")],
    "both": [nv.Bidirectional(nv.LSTM(4, True)), nv.Bidirectional(nv.GRU(3), "sum")],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_network_along_time_comes_back_with_the_same_bits(
    name: str, dtype: str, exported: Any
) -> None:
    layers = [nv.Input((5, 3)), *LAYERS[name], nv.Dense(2, "tanh")]
    net = nv.Network(layers, seed=3, dtype=dtype)
    for view in net.parameters.values():  # biases too, which begin as zeros
        view[...] = RNG.normal(size=view.shape) * 0.5
    same = nv.import_onnx(exported(net))
    x = single(4, 5, 3)
    assert kinds(same) == kinds(net)
    np.testing.assert_array_equal(same.forward(x), net.forward(x))


def test_first_and_final_states_come_back(exported: Any) -> None:
    x, h, c = nv.Input((5, 3)), nv.Input(4), nv.Input(4)
    lstm = nv.LSTM(4, True)(x, h, c)
    net = nv.Network(inputs=[x, h, c], outputs=[lstm, lstm["state"], lstm["cell"]])
    same = nv.import_onnx(exported(net))
    rows = [single(2, 5, 3), single(2, 4), single(2, 4)]
    for mine, theirs in zip(same.forward(rows), net.forward(rows), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_imported_network_along_time_learns(exported: Any) -> None:
    net = nv.Network([nv.Input((5, 3)), nv.GRU(6), nv.Dense(2, "softmax")], seed=1)
    same = nv.import_onnx(exported(net))
    x = single(64, 5, 3)
    y = (x[:, 0, 0] > 0).astype(int)
    run = nv.fit(same, x, y, epochs=40, progress=False, seed=1)
    assert run.history["loss"][-1] < 0.9 * run.history["loss"][0]


# -- models of PyTorch -----------------------------------------------------------------


def module_of(torch: Any, kind: str, **options: Any) -> Any:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.along = getattr(torch.nn, kind)(3, 4, **options)
            self.head = torch.nn.Linear(8 if options.get("bidirectional") else 4, 2)

        def forward(self, x: Any) -> Any:
            steps, _ = self.along(x)
            last = steps[:, -1] if options.get("batch_first") else steps[-1]
            return self.head(last)

    return Model()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_models_of_pytorch_along_time(
    kind: str, both: bool, batch_first: bool, of_torch: Any
) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = module_of(
        torch, kind, batch_first=batch_first, bidirectional=both, num_layers=2
    )
    x = single(6, 5, 3)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    net = nv.import_onnx(
        of_torch(module, x, 0 if batch_first else 1), time_first=not batch_first
    )
    rows = x if batch_first else np.swapaxes(x, 0, 1)
    np.testing.assert_allclose(net.forward(rows), wanted, rtol=1e-5, atol=1e-6)


# -- graphs of others ------------------------------------------------------------------


def model_of(
    nodes: Any, shape: Any, outputs: Any, weights: Any, opset: int = 21
) -> Any:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, shape)],
        [value(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in weights.items()],
    )
    ids = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=ids, ir_version=10)


def recurrent_model(
    kind: str, shape: Any = (5, "n", 3), inputs: Any = None, **attributes: Any
) -> Any:
    """An operator alone; ``inputs`` are further ones by name."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    ways = 2 if attributes.get("direction") == "bidirectional" else 1
    rng = np.random.default_rng(1)

    def made(*sizes: int) -> Any:
        return rng.normal(size=(ways, *sizes)).astype(np.float32)

    weights = {
        "w": made(gates * 4, 3),
        "r": made(gates * 4, 4),
        "b": made(2 * gates * 4),
    }
    more = {name: array for name, array in (inputs or {}).items() if name}
    names = ["x", "w", "r", "b", *(inputs or {})]
    ends = ["y", "h", *(["c"] if kind == "LSTM" else [])]
    node = helper.make_node(kind, names, ends, hidden_size=4, **attributes)
    return model_of([node], shape, ends, weights | more)


CASES = [
    (kind, direction, more)
    for direction in ("forward", "reverse", "bidirectional")
    for kind, more in [
        ("LSTM", {}),
        ("GRU", {"linear_before_reset": 0}),
        ("GRU", {"linear_before_reset": 1}),
        ("RNN", {"activations": ["Relu"]}),
    ]
]


@pytest.mark.parametrize(("kind", "direction", "more"), CASES)
def test_all_outputs_are_those_of_onnx_runtime(
    kind: str, direction: str, more: Any, runtime: Any
) -> None:
    ways = 2 if direction == "bidirectional" else 1
    if "activations" in more:
        more = {"activations": more["activations"] * ways}
    model = recurrent_model(kind, direction=direction, **more)
    net = nv.import_onnx(model, time_first=True)
    x = single(5, 6, 3)
    found = dict(zip(("y", "h", "c"), net.forward(np.swapaxes(x, 0, 1)), strict=False))
    for name, wanted in runtime(model, {"x": x}).items():
        rows_first = np.moveaxis(wanted, -2, 0)
        np.testing.assert_allclose(found[name], rows_first, rtol=1e-5, atol=1e-6)


def test_constant_first_states_are_the_same_for_every_row(reference: Any) -> None:
    model = recurrent_model("LSTM", (5, 1, 3), {"": 0, "h0": single(1, 1, 4)})
    net = nv.import_onnx(model, time_first=True)
    x = single(5, 1, 3)
    wanted = reference(model, {"x": x})["h"]
    found = net.forward(np.swapaxes(x, 0, 1))[1]
    np.testing.assert_allclose(found, wanted[:, 0][None], rtol=1e-5, atol=1e-6)


def test_zeros_as_first_states_need_no_inputs() -> None:
    zeros = np.zeros((1, 7, 4), np.float32)
    net = nv.import_onnx(
        recurrent_model("GRU", (5, 7, 3), {"": 0, "h0": zeros}), time_first=True
    )
    assert kinds(net)[:2] == ["input", "gru"]


def test_lengths_that_are_all_steps_are_left_out() -> None:
    full = np.array([5, 5], np.int32)
    net = nv.import_onnx(recurrent_model("RNN", inputs={"n": full}), time_first=True)
    assert net.forward(single(3, 5, 3))[0].shape == (3, 5, 1, 4)


REFUSED = [
    ("LSTM", {"n": np.array([5, 3], np.int32)}, {}, "sequence_lens [5, 3] of 5 steps"),
    ("LSTM", {}, {"clip": 2.0}, "clip = 2"),
    ("LSTM", {}, {"input_forget": 1}, "input_forget = 1"),
    ("GRU", {}, {"activations": ["HardSigmoid", "Tanh"]}, "activations hardsigmoid"),
    ("RNN", {}, {"direction": "sideways"}, "direction sideways"),
    ("RNN", {}, {"layout": 1}, "axis 0 is not that of the rows"),
    ("GRU", {"": 0, "h0": single(1, 3, 4)}, {}, "a first state that is another for"),
]


@pytest.mark.parametrize(("kind", "inputs", "more", "fact"), REFUSED)
def test_what_no_layer_does_is_named(
    kind: str, inputs: Any, more: Any, fact: str
) -> None:
    model = recurrent_model(kind, inputs=inputs, **more)
    with pytest.raises(ExchangeError) as caught:
        nv.import_onnx(model, time_first=True)
    assert fact in str(caught.value)
    assert str(caught.value).startswith(f"[model] 'y' ({kind}): ")


def test_weights_of_another_shape_are_named() -> None:
    model = recurrent_model("LSTM")
    model.graph.node[0].attribute[0].i = 10**6
    with pytest.raises(ExchangeError) as caught:
        nv.import_onnx(model, time_first=True)
    assert "weights of shape (1, 16, 3), not (1, 4000000, ?)" in str(caught.value)


def test_rows_before_time_must_be_told() -> None:
    with pytest.raises(ExchangeError) as caught:
        nv.import_onnx(recurrent_model("GRU", ("n", 5, 3)))
    assert "see time_first=True" in str(caught.value)


def test_an_input_without_time_is_no_sequence() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(ExchangeError) as caught:
        nv.import_onnx(model_of([node], ("n",), ["y"], {}), time_first=True)
    assert str(caught.value) == (
        "[model] input 'x' has 1 axes; expected rows on axis 1; use time_first=False"
    )


def test_rows_that_move_elsewhere_are_refused() -> None:
    node = helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0])
    with pytest.raises(ExchangeError) as caught:
        nv.import_onnx(model_of([node], ("n", 3), ["y"], {}))
    assert "output 'y' has the rows on axis 1" in str(caught.value)


def test_operators_that_see_no_rows_elsewhere_say_so() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("ReduceMean", ["t", "axis"], ["y"]),
    ]
    with pytest.raises(ExchangeError) as caught:
        nv.import_onnx(model_of(nodes, ("n", 3, 2), ["y"], {"axis": [0]}))
    assert "'y' (ReduceMean): rows on axis 1" in str(caught.value)


# -- versions, names, slopes -----------------------------------------------------------


@pytest.mark.parametrize("opset", [0, -3])
def test_a_version_that_never_was_is_refused(opset: int) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    model = model_of([node], ("n", 3), ["y"], {})
    model.opset_import[0].version = opset
    with pytest.raises(ExchangeError) as caught:
        nv.import_onnx(model)
    assert f"[model] operators of opset {opset}; expected 1 to " in str(caught.value)


def test_an_operator_that_the_version_does_not_have_is_named() -> None:
    nodes = [
        helper.make_node("Trilu", ["a"], ["t"]),
        helper.make_node("Add", ["x", "t"], ["y"]),
    ]
    model = model_of(nodes, ("n", 2, 2), ["y"], {"a": single(2, 2)}, opset=7)
    with pytest.raises(ExchangeError) as caught:
        nv.import_onnx(model)
    assert "'t' (Trilu): no operator of opset 7" in str(caught.value)


def test_colons_in_names_become_underscores() -> None:
    node = helper.make_node("Gemm", ["in:0", "w:0"], ["out:0"], name="net/dense:0")
    model = model_of([node], ("n", 3), ["out:0"], {"w:0": single(3, 2)})
    model.graph.input[0].name = "in:0"
    net = nv.import_onnx(model)
    assert [node.name for node in net.graph.nodes] == ["in_0", "out_0"]
    assert net.forward(single(2, 3)).shape == (2, 2)


@pytest.mark.parametrize("shared", [False, True])
def test_learned_slopes_stay_learned(shared: bool, exported: Any) -> None:
    layers = [
        nv.Input((4, 4, 2)),
        nv.Conv2D(3, 3),
        nv.PReLU(0.3, shared),
        nv.Flatten(),
        nv.Dense(2),
        nv.PReLU(-0.5),
    ]
    net = nv.Network(layers, seed=0)
    same = nv.import_onnx(exported(net))
    x = single(3, 4, 4, 2)
    assert kinds(same) == kinds(net)
    np.testing.assert_array_equal(same.forward(x), net.forward(x))
