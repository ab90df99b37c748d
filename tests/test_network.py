# SPDX-License-Identifier: BSD-3-Clause
"""Networks: parameters, running, files, words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors.native import PLANNED_ROWS


@pytest.fixture
def net() -> nv.Network:
    layers = [nv.Input(3), nv.Dense(4, activation="relu"), nv.Dense(2)]
    return nv.Network(layers, seed=7)


# -- parameters ------------------------------------------------------------------------


def test_parameters_have_names_in_layer_order(net: nv.Network) -> None:
    names = ["dense.weight", "dense.bias", "dense_1.weight", "dense_1.bias"]
    assert list(net.parameters) == names
    shapes = [view.shape for view in net.parameters.values()]
    assert shapes == [(3, 4), (4,), (4, 2), (2,)]
    assert len(net.parameters) == 4
    assert net.layout.count == 12 + 4 + 8 + 2


def test_parameters_are_views(net: nv.Network) -> None:
    X = np.ones((1, 3), np.float32)
    before = net.forward(X)
    net.parameters["dense_1.bias"][...] += 1
    np.testing.assert_allclose(net.forward(X), before + 1, rtol=1e-6)
    net.parameters["dense_1.bias"] = [5.0, 6.0]
    assert net.parameters["dense_1.bias"].tolist() == [5, 6]
    assert np.shares_memory(net.parameters["dense.weight"], net.values)


def test_parameters_lie_on_cache_lines(net: nv.Network) -> None:
    assert net.values.ctypes.data % 64 == 0
    assert all(view.ctypes.data % 64 == 0 for view in net.parameters.values())


def test_wrong_names_and_shapes_of_parameters(net: nv.Network) -> None:
    with pytest.raises(KeyError) as caught:
        net.parameters["dense.weights"]
    assert caught.value.args[0].startswith(
        "[parameters] unknown parameter 'dense.weights'; did you mean 'dense.weight'"
    )
    with pytest.raises(ValueError, match="is given shape") as wrong:
        net.parameters["dense.weight"] = np.ones((4, 3))
    assert str(wrong.value) == (
        "[parameters] 'dense.weight' is given shape (4, 3); expected (3, 4); reshape it"
    )


def test_a_parameter_begins_the_same_whatever_else_there_is() -> None:
    a = nv.Network([nv.Input(3), nv.Dense(4, name="h"), nv.Dense(1)], seed=5)
    b = nv.Network([nv.Input(3), nv.Dense(4, name="h")], seed=5)
    c = nv.Network([nv.Input(3), nv.Dense(4, name="h")], seed=6)
    h = "h.weight"
    np.testing.assert_array_equal(a.parameters[h], b.parameters[h])
    assert (b.parameters[h] != c.parameters[h]).all()
    assert (a.parameters[h] != 0).all()


# -- running ---------------------------------------------------------------------------


def test_forward_is_the_formula(net: nv.Network) -> None:
    X = np.random.default_rng(0).normal(size=(5, 3))
    p = {name: view.astype(np.float64) for name, view in net.parameters.items()}
    h = np.maximum(X @ p["dense.weight"] + p["dense.bias"], 0)
    expected = h @ p["dense_1.weight"] + p["dense_1.bias"]
    np.testing.assert_allclose(net.forward(X), expected, rtol=1e-4, atol=1e-6)
    assert net.forward(X).dtype == np.float32


def test_double_precision(net: nv.Network) -> None:
    double = net.astype("float64")
    X = np.random.default_rng(0).normal(size=(5, 3))
    p = double.parameters
    h = np.maximum(X @ p["dense.weight"] + p["dense.bias"], 0)
    expected = h @ p["dense_1.weight"] + p["dense_1.bias"]
    found = double.forward(X)
    assert found.dtype == double.values.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert double.dtype == "float64"


def test_a_copy_is_independent(net: nv.Network) -> None:
    copy = net.copy()
    copy.values[:] = 0
    assert net.values.any()
    assert not copy.forward([[1.0, 2.0, 3.0]]).any()
    assert net.forward([[1.0, 2.0, 3.0]]).any()


@pytest.mark.parametrize(
    "rows", [1, PLANNED_ROWS[-1], PLANNED_ROWS[-1] + 1, 3 * PLANNED_ROWS[-1] - 5]
)
def test_any_number_of_rows(net: nv.Network, rows: int) -> None:
    X = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    found = net.forward(X)
    assert found.shape == (rows, 2)
    middle = rows // 2
    np.testing.assert_allclose(
        found[middle : middle + 1],
        net.forward(X[middle : middle + 1]),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "dtype", ["uint8", "float32", "float64", "int32", "int64", "bool"]
)
def test_inputs_of_any_type_of_number(net: nv.Network, dtype: str) -> None:
    X = np.array([[0, 1, 1], [1, 0, 0]]).astype(dtype)
    expected = net.forward(X.astype(np.float32))
    np.testing.assert_array_equal(net.forward(X), expected)
    np.testing.assert_array_equal(net.forward(X.tolist()), expected)
    strided = np.repeat(X, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(net.forward(strided), expected)


def test_frames_are_inputs(net: nv.Network) -> None:
    pandas = pytest.importorskip("pandas")
    X = np.random.default_rng(0).normal(size=(4, 3))
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    np.testing.assert_array_equal(net.forward(frame), net.forward(X))


def test_flat_rows_are_taken_as_images() -> None:
    net = nv.Network([nv.Input((2, 3)), nv.Flatten()])
    X = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(net.forward(X), X)
    np.testing.assert_array_equal(net.forward(X.reshape(2, 2, 3)), X)


def test_wrong_inputs_say_what_fits(net: nv.Network) -> None:
    with pytest.raises(ValueError, match="data of shape") as caught:
        net.forward(np.ones((5, 4)))
    assert str(caught.value) == (
        "[input] data of shape (5, 4); expected (rows, 3); reshape it, or change "
        "nv.Input(...)"
    )
    with pytest.raises(ValueError, match=r"shape \(3,\); expected rows first"):
        net.forward([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="holds nothing"):
        net.forward(np.empty((0, 3)))
    with pytest.raises(ValueError, match=r"nan at X\[0, 1\]; expected finite numbers"):
        net.forward([[1.0, float("nan"), 2.0]])


def test_several_inputs() -> None:
    a, b = nv.Input(2, name="a"), nv.Input(1, name="b")
    net = nv.Network(inputs=[a, b], outputs=nv.Concatenate()(b, a))
    A, B = [[1.0, 2.0]], [[3.0]]
    expected = [[3, 1, 2]]
    assert net.forward([A, B]).tolist() == expected
    assert net.forward({"b": B, "a": A}).tolist() == expected
    with pytest.raises(ValueError, match="no data for input 'b'") as caught:
        net.forward({"a": A})
    assert str(caught.value) == (
        "[network] no data for input 'b'; expected a, b; add it"
    )
    with pytest.raises(ValueError, match="1 inputs; expected 2") as caught:
        net.forward([A])
    assert str(caught.value) == (
        "[network] 1 inputs; expected 2 (a, b); give one array for each"
    )


def test_unknown_dtypes() -> None:
    with pytest.raises(ValueError, match="unknown dtype") as caught:
        nv.Network([nv.Input(1)], dtype="double")
    assert str(caught.value) == (
        "[network] unknown dtype 'double'; Known: float32, float64"
    )


def test_unknown_executors(net: nv.Network) -> None:
    with pytest.raises(
        ValueError, match="unknown executor 'nativ'; did you mean 'nativ"
    ):
        net.forward([[1.0, 2.0, 3.0]], executor="nativ")


# -- classes and evaluation ------------------------------------------------------------


def test_classes_are_the_most_probable() -> None:
    net = nv.Network([nv.Input(3), nv.Softmax()])
    X = np.array([[0.0, 2.0, 1.0], [5.0, 1.0, 1.0]])
    assert net.predict_classes(X).tolist() == [1, 0]
    np.testing.assert_allclose(net.predict(X).sum(axis=1), 1, rtol=1e-6)


def test_one_logistic_output_says_yes_above_a_half() -> None:
    net = nv.Network([nv.Input(1), nv.Activation("logistic")])
    assert net.predict_classes([[-1.0], [0.5], [3.0]]).tolist() == [0, 1, 1]


def test_evaluate_takes_the_loss_that_fits() -> None:
    X = np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    net = nv.Network([nv.Input(3), nv.Softmax()], dtype="float64")
    found = net.evaluate(X, [0, 1])
    p = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)
    assert found["loss"] == pytest.approx(-np.log(p[[0, 1], [0, 1]]).mean())
    assert found["accuracy"] == 0.5
    weighted = net.evaluate(X, [0, 1], sample_weight=[3.0, 1.0])
    assert weighted["accuracy"] == 0.75
    line = nv.Network([nv.Input(1), nv.Activation("linear")])
    found = line.evaluate([[1.0], [2.0]], [2.0, 4.0], metrics=["mae"])
    assert found == {"loss": pytest.approx(2.5), "mae": pytest.approx(1.5)}


# -- files -----------------------------------------------------------------------------


def skipping() -> nv.Network:
    x, z = nv.Input((2, 2), name="image"), nv.Input(3, name="row")
    h = nv.Dense(5, activation=nv.Activation("elu", alpha=0.5))(nv.Flatten()(x))
    h = nv.Concatenate()(
        h, nv.Normalize(mean=(1.0, 2.0, 3.0), scale=(1.0, 2.0, 0.5))(z)
    )
    y = nv.Dense(2, activation="softmax", name="y")(nv.Dropout(0.1)(h))
    return nv.Network(inputs=[x, z], outputs=[y, nv.Add(name="s")(h, h)], seed=9)


LOADER = """
import sys
import numpy as np
import nervure as nv
net = nv.load(sys.argv[1])
X = np.load(sys.argv[2])
outputs = net.forward([X["image"], X["row"]])
np.savez(sys.argv[3], *outputs, names=list(net.parameters), dtype=net.dtype)
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saved_network_is_the_same_in_another_process(
    dtype: str, tmp_path: Path
) -> None:
    net = skipping().astype(dtype)
    rng = np.random.default_rng(0)
    X = {"image": rng.normal(size=(6, 2, 2)), "row": rng.normal(size=(6, 3))}
    net.save(tmp_path / "a.safetensors")
    np.savez(tmp_path / "X.npz", **X)
    paths = [str(tmp_path / name) for name in ("a.safetensors", "X.npz", "Y.npz")]
    subprocess.run([sys.executable, "-c", LOADER, *paths], check=True, timeout=60)
    found = np.load(tmp_path / "Y.npz")
    for i, expected in enumerate(net.forward(X)):
        np.testing.assert_array_equal(found[f"arr_{i}"], expected)
    assert found["names"].tolist() == list(net.parameters)
    assert str(found["dtype"]) == dtype


def test_saving_twice_gives_the_same_file(tmp_path: Path) -> None:
    skipping().save(tmp_path / "a.safetensors")
    nv.load(tmp_path / "a.safetensors").save(tmp_path / "b.safetensors")
    a, b = ((tmp_path / f"{x}.safetensors").read_bytes() for x in "ab")
    assert a == b


def test_a_loaded_network_trains_on(tmp_path: Path, blobs: Any, make_net: Any) -> None:
    def train(net: nv.Network) -> nv.Network:
        nv.fit(net, *blobs, epochs=2, optimizer=nv.SGD(0.1), progress=False)
        return net

    net = train(make_net())
    net.save(tmp_path / "net.safetensors")
    again = train(nv.load(tmp_path / "net.safetensors"))
    np.testing.assert_array_equal(again.values, train(net).values)


# -- words -----------------------------------------------------------------------------


def test_summary_counts_shapes_parameters_flops_and_bytes() -> None:
    net = nv.Network(
        [
            nv.Input(784),
            nv.Dense(100, activation="relu"),
            nv.Dense(10, activation="softmax"),
        ]
    )
    lines = net.summary().splitlines()
    cells = [line.split() for line in lines[:6]]
    names = ["layer", "type", "inputs", "shape", "parameters", "FLOPs", "bytes"]
    assert cells[0] == names
    assert cells[2] == [
        "dense", "dense", "input", "(100,)", "78,500", "156,900", "314,400",
    ]  # fmt: skip
    assert cells[4][4] == "1,010"
    assert lines[-1] == "79,510 parameters (318.0 kB), 159,060 FLOPs per sample"
    assert len({len(line) for line in lines[:6]}) == 1


def test_summary_counts_what_is_tied_once() -> None:
    """It counted a shared matrix twice, and fewer than no statistics."""
    code = nv.Dense(3, name="code")
    layers = [nv.Input(4), code, nv.BatchNorm(), nv.Tied("code", transposed=True)]
    lines = nv.Network(layers).summary().splitlines()
    assert [line.split()[4] for line in lines[2:5]] == ["15", "12", "4"]
    assert lines[-1].startswith("25 parameters and 6 stored statistics (124 B)")


def test_summary_of_doubles_is_twice_as_large() -> None:
    net = nv.Network([nv.Input(2), nv.Dense(3)], dtype="float64")
    assert net.summary().splitlines()[-1].startswith("9 parameters (72 B)")


def test_repr_names_the_layers(net: nv.Network) -> None:
    assert repr(net) == (
        "<Network input(3,) -> dense(4,) -> dense.activation(4,) -> dense_1(2,), "
        "26 parameters>"
    )
    long = nv.Network([nv.Input(1), *(nv.Activation("tanh") for _ in range(40))])
    assert " -> ... -> " in repr(long)


def test_parameters_show_their_shapes(net: nv.Network) -> None:
    assert repr(net.parameters).startswith("<parameters: dense.weight (3, 4), dense.b")


def test_every_public_name_is_there() -> None:
    for name in nv.__all__:
        assert getattr(nv, name) is not None, name
    with pytest.raises(AttributeError, match="no attribute 'Densse'"):
        nv.Densse  # noqa: B018


def test_pixels_are_scaled_once_whatever_type_they_have() -> None:
    data = nv.data.load("digits")
    net = nv.Network([nv.Input((8, 8, 1)), nv.Flatten(), nv.Dense(10), nv.Softmax()])
    net.preprocessing = data.preprocessing
    pixels = nv.data.read("digits").inputs[:9]
    assert pixels.dtype == np.uint8
    by_hand = net.forward(pixels.astype(np.float32) / 16)
    for dtype in ("uint8", "int64", "float32", "float64"):
        found = net.predict(pixels.astype(dtype))
        np.testing.assert_allclose(found, by_hand, rtol=1e-5, err_msg=dtype)
