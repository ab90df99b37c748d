# SPDX-License-Identifier: BSD-3-Clause
"""Every layer as ONNX: the answers of ONNX Runtime and of ONNX's own reference."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import nervure as nv
from nervure.exchange import exporting
from nervure.exchange._write_layers import LAYERS as WRITTEN
from nervure.exchange._write_layers import writer_of
from nervure.layers import LAYERS, Input
from nervure.network.network import Network

sys.path.insert(0, str(Path(__file__).parent))

from layers_alone import network

ROWS = 3


def along_time(layer: Any) -> bool:
    """Whether a layer goes along time: test_export_sequences.py has those."""
    return bool(layer.sequences or (isinstance(layer, Input) and layer.time))


EXAMPLES = [
    pytest.param(example, id=f"{kind.kind}-{i}")
    for kind in LAYERS
    for i, example in enumerate(kind.examples())
    if not along_time(example.layer)
]


def rows_of(net: Network) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    found = [
        within(net, rng.normal(size=(ROWS, *shape)) * 2).astype(net.dtype)
        for shape in net.graph.input_shapes
    ]
    for codes in net.graph.codes:
        flat = found[codes.input].reshape(ROWS, -1)
        size = (ROWS, codes.columns.size)
        flat[:, codes.columns] = rng.integers(0, codes.sizes, size)
    names = [net.graph.nodes[i].name for i in net.graph.inputs]
    return dict(zip(names, found, strict=True))


def within(net: Network, x: np.ndarray) -> np.ndarray:
    """Values brought to where the layer is defined."""
    domain = next((n.layer.domain for n in net.graph.nodes if n.layer.domain), None)
    if domain is None:
        return x
    low, high = domain[0], min(domain[1], domain[0] + 3)
    return low + (high - low) * (0.1 + 0.8 / (1 + np.exp(-x)))


def outputs_of(net: Network, rows: dict[str, Any]) -> list[np.ndarray]:
    found = net.forward(rows if len(rows) > 1 else next(iter(rows.values())))
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("opset", [17, 18, 20, 21])
@pytest.mark.parametrize("example", EXAMPLES)
def test_onnx_runtime_gives_what_the_layer_gives(
    example: Any, opset: int, exported: Any, runtime: Any
) -> None:
    net = network(example, "float32")
    rows = rows_of(net)
    (found,) = runtime(exported(net, opset=opset), rows).values()
    (wanted,) = outputs_of(net, rows)
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


REFERENCE_FAULTS = {
    "global_max_pool1d-0": "its GlobalMaxPool takes images alone",
    "global_max_pool3d-0": "its GlobalMaxPool takes images alone",
    "conv2d_transpose-1": "its ConvTranspose knows no groups",
}
"""Of onnx 1.23; a test that passes nevertheless fails, and its line goes."""

IN_DOUBLE = [
    pytest.param(
        *p.values,
        id=p.id,
        marks=[pytest.mark.xfail(strict=True, reason=REFERENCE_FAULTS[p.id])]
        if p.id in REFERENCE_FAULTS
        else [],
    )
    for p in EXAMPLES
]


@pytest.mark.parametrize("example", IN_DOUBLE)
def test_doubles_stay_doubles(example: Any, exported: Any, reference: Any) -> None:
    """By ONNX's reference, which has all operators in double."""
    net = network(example, "float64")
    rows = rows_of(net)
    model = exported(net, opset=21)
    (found,) = reference(model, rows).values()
    (wanted,) = outputs_of(net, rows)
    assert found.dtype == np.float64
    error = 1e-6 if in_singles(model) else 1e-12
    np.testing.assert_allclose(found, wanted, rtol=error, atol=error)


def in_singles(model: Any) -> bool:
    """Whether a node has a number for an attribute, which ONNX holds in single, or is
    one that the reference computes so."""
    nodes = model.graph.node
    floats = any(
        a.type == onnx.AttributeProto.FLOAT for n in nodes for a in n.attribute
    )
    return floats or any(node.op_type in ("Erf", "Gelu", "HardSwish") for node in nodes)


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_layer_comes_back(example: Any, opset: int, exported: Any) -> None:
    net = network(example, "float32")
    rows = rows_of(net)
    same = nv.import_onnx(exported(net, opset=opset))
    (wanted,), (found,) = outputs_of(net, rows), outputs_of(same, rows)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_every_layer_is_listed() -> None:
    kinds = [kind for kind in LAYERS if not kind.composite and kind is not Input]
    layers = [example.layer for kind in kinds for example in kind.examples()]
    for layer in layers:
        normalized = isinstance(layer, nv.LSTM) and layer.layer_norm
        assert (writer_of(layer) is None) == normalized, layer


def test_a_normalized_lstm_is_refused(tmp_path: Any) -> None:
    net = nv.Network([nv.Input((5, 3)), nv.LSTM(2, layer_norm=True)], seed=0)
    with pytest.raises(nv.ExchangeError, match=r"'lstm' \(lstm\) are not known"):
        nv.export(net, tmp_path / "net.onnx")


def test_a_layer_that_is_not_known_is_named_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delitem(WRITTEN, nv.Dense)
    monkeypatch.delitem(WRITTEN, nv.Softmax)
    net = nv.Network([nv.Input(2), nv.Dense(3, "relu"), nv.Dense(2, "softmax")])
    with pytest.raises(nv.ExchangeError) as error:
        nv.export(net, tmp_path / "net.onnx")
    assert str(error.value) == (
        "[export] ONNX operators for 'dense' (dense), 'dense_1' (dense), "
        "'dense_1.softmax' (softmax) are not known; expected layers that ONNX can "
        "express; replace them"
    )
    assert not list(tmp_path.iterdir())


# -- layout ----------------------------------------------------------------------------


def operators(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_a_resnet_is_turned_once(exported: Any, runtime: Any, rng: Any) -> None:
    net = nv.zoo.resnet18(classes=5, input_shape=(32, 40, 3), seed=2)
    for name, view in net.parameters.items():
        if name.endswith("running_variance"):
            view[...] = rng.uniform(0.5, 2, view.shape)
    model = exported(net)
    found = operators(model)
    assert found["Transpose"] == 1
    assert model.graph.node[0].op_type == "Transpose"
    assert found == Counter(
        {
            "Conv": 20,
            "BatchNormalization": 20,
            "Relu": 17,
            "Add": 8,
            "Transpose": 1,
            "GlobalAveragePool": 1,
            "Flatten": 1,
            "Gemm": 1,
            "Softmax": 1,
        }
        | ({"MaxPool": 1} if found["MaxPool"] else {})
    )
    X = rng.normal(size=(2, 32, 40, 3)).astype(np.float32)
    np.testing.assert_allclose(
        runtime(model, {"input": X})["head"], net.forward(X), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", ["lenet5", "vgg11_bn", "alexnet", "googlenet"])
def test_networks_of_the_zoo_are_turned_where_images_enter(
    name: str, exported: Any
) -> None:
    """And never where there is one channel."""
    net = nv.zoo.architecture(name)(classes=3, input_shape=None)
    channels = net.graph.input_shapes[0][-1]
    assert operators(exported(net))["Transpose"] == (1 if channels > 1 else 0)


def test_a_dense_layer_reads_a_map_as_it_lies(
    exported: Any, runtime: Any, rng: Any
) -> None:
    """Its weight is turned, through dropout, activations, norms and a merge."""
    x = nv.Input((4, 5, 3))
    maps = nv.Conv2D(6, 2, activation="relu")(x)
    flat = nv.BatchNorm()(nv.Dropout(0.5)(nv.Flatten()(maps)))
    both = nv.Concatenate()(nv.Activation("tanh")(flat), nv.Flatten()(x), flat)
    net = nv.Network(inputs=x, outputs=nv.Dense(3)(nv.Add()(both, both)), seed=1)
    mean = net.parameters["batch_norm.running_mean"]
    mean[...] = np.linspace(-1, 1, mean.size)
    model = exported(net)
    assert operators(model)["Transpose"] == 1
    assert operators(model)["Gather"] == 0
    X = rng.normal(size=(3, 4, 5, 3)).astype(np.float32)
    found = runtime(model, {"input": X})["dense"]
    np.testing.assert_allclose(found, net.forward(X), rtol=1e-4, atol=1e-5)


def test_flat_features_are_put_in_order_where_they_are_seen(
    exported: Any, runtime: Any, rng: Any
) -> None:
    x = nv.Input((3, 2, 4))
    flat = nv.Flatten()(nv.Conv2D(5, 2)(x))
    cut = nv.Slice(1, 6)(flat)
    mixed = nv.Multiply()(flat, nv.Flatten()(nv.Reshape((2, 1, 5))(flat)))
    net = nv.Network(inputs=x, outputs=[flat, cut, mixed], seed=1)
    X = rng.normal(size=(2, 3, 2, 4)).astype(np.float32)
    found = runtime(exported(net), {"input": X})
    for name, y in zip(net.graph.output_names, net.forward(X), strict=True):
        np.testing.assert_allclose(found[name], y, rtol=1e-5, atol=1e-6)


# -- whole networks --------------------------------------------------------------------


def two_ended(dtype: str = "float32") -> Network:
    a, b = nv.Input((6, 6, 2), name="image"), nv.Input(3, name="row")
    maps = nv.Conv2D(4, 3, padding="same", activation="relu")(a)
    h = nv.Concatenate()(nv.GlobalAveragePool2D()(maps), b)
    outputs = [nv.Dense(2, "softmax", name="kind")(h), nv.Dense(1, name="size")(h)]
    return nv.Network(inputs=[a, b], outputs=outputs, seed=3, dtype=dtype)


def test_several_inputs_and_outputs_keep_their_names(
    exported: Any, runtime: Any
) -> None:
    net = two_ended()
    rows = rows_of(net)
    model = exported(net)
    assert [x.name for x in model.graph.input] == ["image", "row"]
    assert [y.name for y in model.graph.output] == ["kind", "size"]
    found = runtime(model, rows)
    for name, y in zip(("kind", "size"), net.forward(rows), strict=True):
        np.testing.assert_allclose(found[name], y, rtol=1e-5, atol=1e-6)


def test_the_batch_is_open(exported: Any, runtime: Any) -> None:
    net = two_ended()
    model = exported(net)
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    for rows in (1, 7):
        shapes = zip(("image", "row"), net.graph.input_shapes, strict=True)
        given = {name: np.ones((rows, *s), np.float32) for name, s in shapes}
        assert len(runtime(model, given)["kind"]) == rows


@pytest.mark.parametrize("activation", ["softmax", "log_softmax", None])
def test_an_ensemble_is_one_graph(
    activation: str | None, exported: Any, runtime: Any, rng: Any
) -> None:
    layers = [nv.Input(4), nv.Dense(6, "tanh"), nv.Dense(3, activation, name="y")]
    ensemble = nv.Ensemble.of(nv.Network(layers), 3, seed=5)
    X = rng.normal(size=(5, 4)).astype(np.float32)
    found = runtime(exported(ensemble), {"input": X})
    np.testing.assert_allclose(found["y"], ensemble.forward(X), rtol=1e-5, atol=1e-6)


def test_another_precision_is_asked_for(exported: Any, runtime: Any) -> None:
    net = two_ended("float64")
    rows = {k: x.astype(np.float32) for k, x in rows_of(net).items()}
    model = exported(net, dtype="float32")
    found = runtime(model, rows)
    assert found["kind"].dtype == np.float32
    np.testing.assert_allclose(found["kind"], net.forward(rows)[0], rtol=1e-5)


def test_outputs_that_are_inputs_or_one_another(exported: Any, runtime: Any) -> None:
    """Each has a name of its own."""
    x = nv.Input(3, name="x")
    same = nv.Dropout(0.5, name="same")(x)
    also = nv.Activation("linear", name="also")(same)
    net = nv.Network(inputs=x, outputs=[same, also, x])
    X = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = runtime(exported(net), {"x": X})
    assert list(found) == ["same", "also", "x_1"]
    for y in found.values():
        np.testing.assert_array_equal(y, X)


def test_names_are_given_once(exported: Any) -> None:
    net = nv.zoo.resnet18(classes=2, input_shape=(32, 32, 3))
    model = exported(net)
    names = [name for node in model.graph.node for name in node.output]
    names += [tensor.name for tensor in model.graph.initializer]
    assert len(set(names)) == len(names)


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("opset", [16, 22, 18.5, True])
def test_opsets_are_17_to_21(opset: Any, tmp_path: Any) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1)])
    with pytest.raises(ValueError, match=r"\[export\] opset = .*; expected a whole"):
        nv.export(net, tmp_path / "a.onnx", opset=opset)


def test_a_file_of_another_name(tmp_path: Any) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1)])
    with pytest.raises(nv.ExchangeError, match=r"ends in '.pt'; expected .onnx"):
        nv.export(net, tmp_path / "a.pt")


def test_an_unknown_precision(tmp_path: Any) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1)])
    with pytest.raises(nv.ExchangeError, match="unknown dtype 'float16'"):
        nv.export(net, tmp_path / "a.onnx", dtype="float16")


def test_more_weights_than_a_file_can_hold(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MOST_BYTES", 100)
    net = nv.Network([nv.Input(10), nv.Dense(10)])
    with pytest.raises(nv.ExchangeError, match="440 bytes of weights; expected at"):
        nv.export(net, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Any) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1)])
    with pytest.raises(OSError, match="there is no such folder"):
        nv.export(net, tmp_path / "none" / "a.onnx")
