# SPDX-License-Identifier: BSD-3-Clause
"""ONNX files as networks: round trips, graphs of others, and what cannot be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import nervure as nv
from nervure.exchange import _model_file, importing
from nervure.exchange.errors import ExchangeError

RNG = np.random.default_rng(5)


def model_of(
    nodes: Any, inputs: Any, outputs: Any, weights: Any = None, opset: int = 21
) -> Any:
    """A model of these nodes; inputs and outputs by name and shape, rows first."""

    def named(values: Any) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
            for name, shape in values.items()
        ]

    given = [
        numpy_helper.from_array(np.asarray(array), name)
        for name, array in (weights or {}).items()
    ]
    graph = helper.make_graph(nodes, "g", named(inputs), named(outputs), given)
    ids = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=ids, ir_version=10)


def single(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


# -- there and back --------------------------------------------------------------------


def residual() -> Any:
    x = nv.Input((8, 8, 3))
    h = nv.Conv2D(6, 3, padding="same", bias=False, name="stem")(x)
    h = nv.Activation("relu")(nv.BatchNorm(name="norm")(h))
    more = nv.Conv2D(6, 3, padding="same", name="block")(h)
    h = nv.MaxPool2D(2)(nv.Add()(h, more))
    h = nv.Dense(4, activation="softmax", name="head")(nv.GlobalAveragePool2D()(h))
    return nv.Network(inputs=x, outputs=h, seed=4)


def kinds(net: Any) -> list[str]:
    return [node.layer.kind for node in net.graph.nodes]


DENSE = [nv.Input(5), nv.Dense(7, "tanh"), nv.Dense(3, "softmax")]
MAPS = [
    nv.Input((6, 6, 2)),
    nv.Conv2D(3, 3, activation="relu"),
    nv.MaxPool2D(2),
    nv.Flatten(),
    nv.Dense(2),
]


@pytest.mark.parametrize("layers", [DENSE, MAPS], ids=["dense", "maps"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back_with_the_same_bits(
    layers: Any, dtype: str, exported: Any
) -> None:
    net = nv.Network(layers, seed=2, dtype=dtype)
    same = nv.import_onnx(exported(net))
    x = single(4, *net.graph.input_shapes[0])
    assert same.dtype == dtype
    assert kinds(same) == kinds(net)
    np.testing.assert_array_equal(same.forward(x), net.forward(x))


def test_a_resnet_comes_back_with_the_same_bits(exported: Any) -> None:
    net = nv.zoo.resnet20(classes=4)
    same = nv.import_onnx(exported(net))
    x = single(2, *net.graph.input_shapes[0])
    np.testing.assert_array_equal(same.forward(x), net.forward(x))
    assert "permute" not in kinds(same)


def test_batch_norm_stays_a_layer_that_learns(exported: Any) -> None:
    net = residual()
    same = nv.import_onnx(exported(net))
    x = single(2, 8, 8, 3)
    np.testing.assert_allclose(same.forward(x), net.forward(x), rtol=1e-5, atol=1e-6)
    before = same.parameters["norm.running_mean"].copy()
    y = RNG.integers(0, 4, 16)
    run = nv.fit(same, single(16, 8, 8, 3), y, epochs=8, progress=False, seed=1)
    assert run.history["loss"][-1] < run.history["loss"][0]
    assert (same.parameters["norm.running_mean"] != before).any()


def test_an_imported_network_freezes_and_takes_a_new_head(exported: Any) -> None:
    same = nv.import_onnx(exported(residual()))
    made = same.replace_head(7)
    made.freeze("stem")
    stem = made.parameters["stem.weight"].copy()
    nv.fit(made, single(8, 8, 8, 3), RNG.integers(0, 7, 8), epochs=2, progress=False)
    assert made.forward(single(2, 8, 8, 3)).shape == (2, 7)
    np.testing.assert_array_equal(made.parameters["stem.weight"], stem)


# -- models of PyTorch -----------------------------------------------------------------


def basic_block(torch: Any) -> Any:
    """A residual block as ResNet-18 has it, its shortcut halved."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, channels: int, filters: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, filters, 3, 2, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(filters)
            self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(filters)
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, filters, 1, 2, bias=False), nn.BatchNorm2d(filters)
            )

        def forward(self, x: Any) -> Any:
            h = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.bn2(self.conv2(h)) + self.downsample(x))

    return nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        Block(8, 16),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    )


def convolutional(torch: Any) -> Any:
    """Depthwise and strided convolutions, a map that is laid out flat; group norm,
    which is made of reshapes in this opset."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.Hardswish(),
        nn.Conv2d(12, 12, 3, 2, 1, groups=12),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
        nn.Upsample(scale_factor=2),
        nn.GroupNorm(3, 12),
        nn.Flatten(),
        nn.Linear(12 * 64, 4),
        nn.LogSoftmax(1),
    )


def attention(torch: Any) -> Any:
    """A transformer's block, which is made of general arithmetic."""
    nn = torch.nn

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(16)
            self.qkv = nn.Linear(16, 48)
            self.out = nn.Linear(16, 16)
            self.places = nn.Parameter(torch.randn(5, 16))
            self.head = nn.Linear(16, 3)

        def forward(self, x: Any) -> Any:
            x = x + self.places
            parts = self.qkv(self.norm(x)).chunk(3, -1)
            q, k, v = (p.reshape(-1, 5, 2, 8).transpose(1, 2) for p in parts)
            scores = torch.softmax(q @ k.transpose(-2, -1) / 8**0.5, -1)
            mixed = (scores @ v).transpose(1, 2).reshape(-1, 5, 16)
            return self.head(nn.functional.gelu(x + self.out(mixed)).mean(1))

    return Attention()


def perceptron(torch: Any) -> Any:
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(9, 20),
        nn.BatchNorm1d(20),
        nn.ELU(),
        nn.Dropout(0.2),
        nn.Linear(20, 2),
    )


@pytest.mark.filterwarnings("ignore")  # the exporter warns of itself
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (perceptron, (9,)),
        (convolutional, (3, 16, 16)),
        (basic_block, (3, 32, 32)),
        (attention, (5, 16)),
    ],
)
def test_models_of_torch(make: Any, shape: Any, of_torch: Any, runtime: Any) -> None:
    """Batch norm is left as it is."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module, x = make(torch), single(3, *shape)
    for name, value in module.named_buffers():  # statistics that are not 0 and 1
        if value.dtype == torch.float32:
            value.copy_(torch.rand(value.shape) + ("var" in name))
    data = of_torch(
        module,
        x,
        do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE,
    )
    net = nv.import_onnx(data)
    lies = np.moveaxis(x, 1, -1) if len(shape) > 2 else x
    (wanted,) = runtime(onnx.load_model_from_string(data), {"x": x}).values()
    np.testing.assert_allclose(net.forward(lies), wanted, rtol=1e-4, atol=1e-5)
    assert ("permute" in kinds(net)) == (make in (attention, convolutional))


# -- how inputs and outputs lie --------------------------------------------------------

CONV = {"w": single(4, 3, 3, 3)}
"""Weights of a convolution, outputs first."""


def convolving(*, flat: bool = False) -> Any:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], name="conv")
    ]
    nodes.append(
        helper.make_node("Flatten", ["c"], ["y"])
        if flat
        else helper.make_node("Relu", ["c"], ["y"])
    )
    shape = [4 * 5 * 6] if flat else [4, 5, 6]
    return model_of(nodes, {"x": [3, 5, 6]}, {"y": shape}, CONV)


def test_maps_have_their_channels_last_at_both_ends(runtime: Any) -> None:
    model, x = convolving(), single(2, 3, 5, 6)
    net = nv.import_onnx(model)
    assert kinds(net) == ["input", "conv2d", "activation"]
    wanted = np.moveaxis(runtime(model, {"x": x})["y"], 1, -1)
    np.testing.assert_allclose(
        net.forward(np.moveaxis(x, 1, -1)), wanted, rtol=1e-5, atol=1e-5
    )


def test_maps_may_stay_as_the_file_has_them(runtime: Any) -> None:
    model, x = convolving(), single(2, 3, 5, 6)
    net = nv.import_onnx(model, channels_last=False)
    assert kinds(net) == ["input", "permute", "conv2d", "activation", "permute"]
    wanted = runtime(model, {"x": x})["y"]
    np.testing.assert_allclose(net.forward(x), wanted, rtol=1e-5, atol=1e-5)


def test_a_map_laid_out_flat_is_given_in_the_file_s_order(runtime: Any) -> None:
    model, x = convolving(flat=True), single(2, 3, 5, 6)
    net = nv.import_onnx(model)
    wanted = runtime(model, {"x": x})["y"]
    np.testing.assert_allclose(
        net.forward(np.moveaxis(x, 1, -1)), wanted, rtol=1e-5, atol=1e-5
    )


def test_extents_that_are_open_are_given() -> None:
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["y"])]
    model = model_of(nodes, {"x": [3, "height", "width"]}, {"y": [3, 1, 1]})
    net = nv.import_onnx(model, shapes={"x": (3, 4, 5)})
    assert net.graph.input_shapes == ((4, 5, 3),)
    with pytest.raises(ExchangeError) as error:
        nv.import_onnx(model)
    assert str(error.value) == (
        "[model] input 'x' has samples of shape (3, ?, ?); expected extents that are "
        "known; pass shapes={'x': (...)}"
    )
    with pytest.raises(ExchangeError, match="unknown input 'z'"):
        nv.import_onnx(model, shapes={"z": (3, 4, 5)})


def test_a_sample_as_a_whole() -> None:
    """A model without rows, whose first axis is a thing of its own."""
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [2, 3])],
        [value("y", TensorProto.FLOAT, [])],
    )
    ids = [helper.make_opsetid("", 21)]
    model = helper.make_model(graph, opset_imports=ids, ir_version=10)
    with pytest.raises(ExchangeError, match="it works across the rows"):
        nv.import_onnx(model)
    net = nv.import_onnx(model, rows=False)
    assert net.forward(np.ones((4, 2, 3))).tolist() == [[6], [6], [6], [6]]


def test_constants_are_worked_out() -> None:
    nodes = [
        helper.make_node("Mul", ["a", "a"], ["b"]),
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["rows"]),
        helper.make_node("Concat", ["rows", "rest"], ["shape"], axis=0),
        helper.make_node("Add", ["x", "b"], ["z"]),
        helper.make_node("Reshape", ["z", "shape"], ["y"]),
    ]
    weights = {
        "a": np.float32([1, 2, 3, 4]),
        "zero": np.array([0]),
        "rest": np.array([2, -1]),
    }
    model = model_of(nodes, {"x": [4]}, {"y": [2, 2]}, weights)
    net = nv.import_onnx(model)
    assert net.forward(np.zeros((1, 4))).tolist() == [[[1, 4], [9, 16]]]


def test_whole_numbers_are_divided_and_cast_as_such(runtime: Any) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT32),
        helper.make_node("Div", ["i", "three"], ["q"]),
        helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT),
    ]
    model = model_of(nodes, {"x": [4]}, {"y": [4]}, {"three": np.int32([3])})
    x = np.float32([[-7.9, 8.9, -2.2, 3.0]])
    (wanted,) = runtime(model, {"x": x}).values()
    np.testing.assert_array_equal(nv.import_onnx(model).forward(x), wanted)


def test_local_functions_are_written_out() -> None:
    square = helper.make_function(
        "mine",
        "Square",
        ["a"],
        ["b"],
        [helper.make_node("Mul", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 21)],
    )
    nodes = [helper.make_node("Square", ["x"], ["y"], domain="mine")]
    model = model_of(nodes, {"x": [2]}, {"y": [2]})
    model.functions.append(square)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    assert nv.import_onnx(model).forward([[3.0, -2.0]]).tolist() == [[9, 4]]


# -- what cannot be read ---------------------------------------------------------------


def refusal(source: Any, **options: Any) -> str:
    with pytest.raises(ExchangeError) as error:
        nv.import_onnx(source, **options)
    return str(error.value)


def test_all_that_is_not_covered_is_listed_at_once() -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="behind the first"),
        helper.make_node("Det", ["x"], ["c"], name="second"),
        helper.make_node("Relu", ["x"], ["d"]),
        helper.make_node("Wonder", ["d"], ["e"], name="third", domain="theirs"),
        helper.make_node("Add", ["b", "e"], ["y"], name="end"),
    ]
    assert refusal(model_of(nodes, {"x": [4]}, {"y": [4]})).splitlines() == [
        "[model] 'first' (NonZero): no layer stands for it",
        "[model] 'second' (Det): no layer stands for it",
        "[model] 'third' (Wonder): an operator of 'theirs'",
        "[model] expected operators that layers stand for; change or cut the model "
        "there",
    ]


def test_many_faults_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MOST_FAULTS", 2)
    nodes = [helper.make_node("NonZero", ["x"], [f"y{i}"]) for i in range(5)]
    text = refusal(model_of(nodes, {"x": [4]}, {"y0": [4]})).splitlines()
    assert text[2] == "[model] ... and 3 more"


def relus(*pairs: tuple[str, str]) -> Any:
    nodes = [helper.make_node("Relu", [a], [b], name=f"to {b}") for a, b in pairs]
    return model_of(nodes, {"x": [2]}, {"y": [2]})


def test_a_circle_is_no_order() -> None:
    text = refusal(relus(("b", "a"), ("a", "b"), ("x", "y")))
    assert text == (
        "[model] node 'to a' reads 'b', which no node before it gives; expected nodes "
        "in order and no circle; save the model again"
    )


def test_names_are_given_once() -> None:
    assert "two nodes give 'y'" in refusal(relus(("x", "y"), ("x", "y")))
    assert "two nodes give 'x'" in refusal(relus(("x", "x"), ("x", "y")))


def test_an_output_that_no_node_gives() -> None:
    assert "output 'y' is given by no node" in refusal(relus(("x", "a")))


def test_an_output_that_depends_on_no_input() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["y"]),
        helper.make_node("Relu", ["x"], ["z"]),
    ]
    assert refusal(model_of(nodes, {"x": [4]}, {"z": [4], "y": []})) == (
        "[model] output 'y' is made of no number of the inputs; expected outputs that "
        "depend on them; leave it out of the model"
    )


def test_more_nodes_than_any_network_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_model_file, "MOST_NODES", 3)
    text = refusal(relus(("x", "a"), ("a", "b"), ("b", "c"), ("c", "y")))
    assert text == "[model] 4 nodes; expected at most 3; use a smaller model"


def doubling(depth: int) -> Any:
    """Functions of which each calls the next twice: 2^depth nodes."""
    model = model_of(
        [helper.make_node("F0", ["x"], ["y"], domain="f")], {"x": [2]}, {"y": [2]}
    )
    ids = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    for i in range(depth):
        inner = [
            helper.make_node(f"F{i + 1}", ["a"], ["b"], domain="f"),
            helper.make_node(f"F{i + 1}", ["b"], ["c"], domain="f"),
        ]
        model.functions.append(
            helper.make_function("f", f"F{i}", ["a"], ["c"], inner, ids)
        )
    last = [helper.make_node("Relu", ["a"], ["c"])]
    model.functions.append(
        helper.make_function("f", f"F{depth}", ["a"], ["c"], last, ids)
    )
    model.opset_import.append(helper.make_opsetid("f", 1))
    return model


def test_functions_that_would_be_too_many_nodes_or_too_deep() -> None:
    assert "65,536 nodes; expected at most 20,000" in refusal(doubling(16))
    assert "functions call each other more than 20 deep" in refusal(doubling(40))


def test_weights_that_are_elsewhere_are_read_from_a_named_folder(
    tmp_path: Path,
) -> None:
    model = convolving()
    path = tmp_path / "model.onnx"
    onnx.save(
        model, path, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    assert refusal(path) == (
        f"[{path}] tensor 'w' is in another file, 'w.bin'; expected the numbers in the "
        "model; name the folder with external_data=, if you trust it, or save the "
        "model as one file"
    )
    net = nv.import_onnx(path, external_data=tmp_path)
    x = single(1, 5, 6, 3)
    wanted = nv.import_onnx(convolving()).forward(x)
    np.testing.assert_array_equal(net.forward(x), wanted)


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "no.bin", ""])
def test_weights_outside_of_the_folder(location: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(432))
    folder = tmp_path / "inner"
    folder.mkdir()
    model = convolving()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    assert "expected a file inside of" in refusal(model, external_data=folder)


def changed(change: Any) -> bytes:
    model = convolving()
    change(model)
    return model.SerializeToString()


def huge(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [2**40, 2**40]


def short_of_bytes(model: Any) -> None:
    model.graph.initializer[0].raw_data = b"1234"


def later_opset(model: Any) -> None:
    model.opset_import[0].version = 999


def later_version(model: Any) -> None:
    model.ir_version = 99


def sparse(model: Any) -> None:
    model.graph.sparse_initializer.add()


def no_inputs(model: Any) -> None:
    del model.graph.input[:]


def overflowing_input(model: Any) -> None:
    for dim in model.graph.input[0].type.tensor_type.shape.dim[1:]:
        dim.dim_value = 2**40


def no_numbers(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (huge, "damaged: tensor 'w': 432 bytes for shape (1099511627776, 10995116"),
        (short_of_bytes, "damaged: tensor 'w': 4 bytes for shape (4, 3, 3, 3)"),
        (later_opset, "operators of opset 999; expected at most"),
        (later_version, "written in version 99 with operators of opset 21; expected"),
        (sparse, "holds sparse weights; expected dense ones; save it without"),
        (no_inputs, "damaged: no inputs or no outputs"),
        (no_numbers, "input 'x' holds STRING; expected numbers"),
    ],
)
def test_damaged_models(change: Any, text: str) -> None:
    assert text in refusal(changed(change))


def test_shapes_that_overflow() -> None:
    assert re.search(r"too large|at most|exceeds", refusal(changed(overflowing_input)))


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"not a model", b"\x08\x0a", bytes(range(256)) * 20]
)
def test_what_is_no_onnx(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert refusal(path).startswith(f"[{path}] damaged: it is no ONNX")


def test_a_file_cut_anywhere_is_told(tmp_path: Path) -> None:
    """Every beginning of a model is refused, or is a whole model by chance."""
    data = convolving(flat=True).SerializeToString()
    for size in range(0, len(data), 13):
        try:
            nv.import_onnx(data[:size])
        except ExchangeError:
            continue
        raise AssertionError(f"{size} of {len(data)} bytes were a model")


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    assert "cannot be read: no such file" in refusal(tmp_path / "none.onnx")
    assert "damaged: a folder or device" in refusal(tmp_path)
