# SPDX-License-Identifier: BSD-3-Clause
"""Layers of plain arithmetic, moved and reduced arrays: values by hand and by NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.special

import nervure as nv
from nervure.layers import INFERENCE, LayerError

X = np.array([[-2.5, -1.0, -0.25, 0.5, 1.5, 3.5]])


def given(layer: Any, *inputs: Any, **parameters: Any) -> np.ndarray:
    """The values of one layer, by the engine in float64."""
    arrays = [np.asarray(x, np.float64) for x in inputs]
    begins = [nv.Input(x.shape[1:]) for x in arrays]
    net = nv.Network(inputs=begins, outputs=layer(*begins), dtype="float64")
    for name, value in parameters.items():
        net.parameters[f"{layer.kind}.{name}"] = value
    return net.forward(arrays if len(arrays) > 1 else arrays[0])


# -- functions of single elements ------------------------------------------------------

BY_NUMPY = {
    "negative": np.negative,
    "abs": np.abs,
    "square": np.square,
    "reciprocal": np.reciprocal,
    "exp": np.exp,
    "erf": scipy.special.erf,
    "sin": np.sin,
    "cos": np.cos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "arcsinh": np.arcsinh,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "hard_silu": lambda z: z * np.clip(z + 3, 0, 6) / 6,
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
    "celu": lambda z: np.maximum(0, z) + np.minimum(0, np.exp(z) - 1),
    "thresholded_relu": lambda z: np.where(z > 1, z, 0),
}
IN_PART = {
    "sqrt": (np.sqrt, [0.0, 0.25, 9.0]),
    "log": (np.log, [0.25, 1.0, 9.0]),
    "tan": (np.tan, [-1.5, 0.0, 1.25]),
    "arcsin": (np.arcsin, [-1.0, 0.25, 1.0]),
    "arccos": (np.arccos, [-1.0, 0.25, 1.0]),
    "arccosh": (np.arccosh, [1.0, 2.0, 9.0]),
    "arctanh": (np.arctanh, [-0.5, 0.0, 0.75]),
}


@pytest.mark.parametrize("name", BY_NUMPY)
def test_functions_are_those_of_numpy(name: str) -> None:
    found = given(nv.Activation(name), X)
    np.testing.assert_allclose(found, BY_NUMPY[name](X), rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("name", IN_PART)
def test_functions_of_a_part_of_the_numbers(name: str) -> None:
    function, values = IN_PART[name]
    layer = nv.Activation(name)
    assert layer.domain is not None
    assert layer.domain[0] <= min(values) <= max(values) <= layer.domain[1]
    found = given(layer, [values])
    np.testing.assert_allclose(found, [function(values)], rtol=1e-15)


def test_halves_are_rounded_to_the_even_neighbour() -> None:
    found = given(nv.Activation("round"), [[0.5, 1.5, 2.5, -0.5, -1.5]])
    np.testing.assert_array_equal(found, [[0, 2, 2, -0.0, -2]])


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "round"])
def test_steps_cannot_be_trained(name: str) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1, name), nv.Dense(1)])
    with pytest.raises(
        ValueError, match=rf'{name} has derivative 0 .* activation="tanh"'
    ):
        nv.fit(net, [[1.0]], [1.0], progress=False)


def test_a_celu_without_depth() -> None:
    with pytest.raises(LayerError) as error:
        nv.Activation("celu", alpha=0)
    assert str(error.value) == "[activation] alpha = 0; use a number above 0"


# -- arithmetic ------------------------------------------------------------------------

A, B = np.array([[4.0, 9.0, 0.5]]), np.array([[2.0, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        (nv.Subtract(), A - B),
        (nv.Divide(), A / B),
        (nv.Power(), [[16, 3, math.sqrt(0.5)]]),
        (nv.Maximum(), [[4, 9, 0.5]]),
        (nv.Minimum(), [[2, 0.5, 0.5]]),
        (nv.Compare("less"), [[0, 0, 0]]),
        (nv.Compare("less_equal"), [[0, 0, 1]]),
        (nv.Compare("greater"), [[1, 1, 0]]),
        (nv.Compare("greater_equal"), [[1, 1, 1]]),
        (nv.Compare("equal"), [[0, 0, 1]]),
        (nv.Compare("not_equal"), [[1, 1, 0]]),
    ],
    ids=lambda x: getattr(x, "function", getattr(x, "kind", "")),
)
def test_pairs(layer: Any, wanted: Any) -> None:
    np.testing.assert_allclose(given(layer, A, B), wanted, rtol=1e-15)


def test_extremes_of_many() -> None:
    some = np.random.default_rng(0).normal(size=(5, 4, 3))
    np.testing.assert_array_equal(given(nv.Maximum(), *some), some.max(axis=0))
    np.testing.assert_array_equal(given(nv.Minimum(), *some), some.min(axis=0))


def test_a_condition_holds_above_0() -> None:
    found = given(nv.Where(), [[1.0, 0.0, -1.0]], A, B)
    np.testing.assert_array_equal(found, [[4, 0.5, 0.5]])


@pytest.mark.parametrize("layer", [nv.Subtract(), nv.Maximum(), nv.Compare("equal")])
def test_shapes_must_be_one(layer: Any) -> None:
    with pytest.raises(LayerError, match=r"inputs of shapes \(3,\), \(2,\), expected"):
        layer.output_shape((3,), (2,))


def test_an_unknown_comparison_lists_those_there_are() -> None:
    with pytest.raises(
        LayerError, match=r"unknown function 'les'; did you mean 'less'"
    ):
        nv.Compare("les")


def test_nothing_learns_below_a_comparison() -> None:
    x = nv.Input(2)
    h = nv.Dense(2)(x)
    net = nv.Network(inputs=x, outputs=nv.Dense(1)(nv.Compare("less")(h, x)))
    with pytest.raises(ValueError, match="a comparison has derivative 0"):
        nv.fit(net, [[1.0, 2.0]], [1.0], progress=False)


def test_products_of_matrices() -> None:
    a, b = np.arange(12.0).reshape(1, 2, 3, 2), np.arange(8.0).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(given(nv.MatMul(), a, b), a @ b)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (3, 1)), ((2, 3), (3,))])
def test_matrices_that_cannot_be_multiplied(shapes: Any) -> None:
    with pytest.raises(
        LayerError, match=r"expected \(\.\.\., m, k\) and \(\.\.\., k, n"
    ):
        nv.MatMul().output_shape(*shapes)


def test_clip() -> None:
    assert given(nv.Clip(-1, 2), X).tolist() == [[-1, -1, -0.25, 0.5, 1.5, 2]]
    assert given(nv.Clip(high=0), X).tolist() == [[-2.5, -1, -0.25, 0, 0, 0]]
    assert given(nv.Clip(), X).tolist() == X.tolist()


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ((2, 1), "[clip] low = 2 above high = 1; exchange them"),
        ((math.nan, 1), "[clip] low = nan; use a finite number, or None"),
        ((0, "a"), "[clip] high = 'a'; use a finite number, or None"),
    ],
)
def test_bounds_that_are_none(bounds: Any, text: str) -> None:
    with pytest.raises(LayerError) as error:
        nv.Clip(*bounds)
    assert str(error.value) == text


# -- places ----------------------------------------------------------------------------

CUBE = np.arange(24.0).reshape(1, 2, 3, 4)


@pytest.mark.parametrize(
    "axes", [(1, 2, 3), (3, 1, 2), (2, 3, 1), (3, 2, 1), (1, 3, 2)]
)
def test_permute(axes: Any) -> None:
    wanted = CUBE.transpose(0, *axes)
    np.testing.assert_array_equal(given(nv.Permute(axes), CUBE), wanted)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_take(axis: int) -> None:
    wanted = np.take(CUBE, [1, 0, 0, -1], axis=axis)
    np.testing.assert_array_equal(given(nv.Take((1, 0, 0, -1), axis), CUBE), wanted)


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 2, 3, 4)])
def test_broadcast(shape: Any) -> None:
    wanted = np.broadcast_to(CUBE[0], shape)[None]
    np.testing.assert_array_equal(given(nv.Broadcast(shape), CUBE), wanted)
    column = CUBE[:, :, :1, :1]
    wanted = np.broadcast_to(column, (1, *shape[-3:]))
    np.testing.assert_array_equal(given(nv.Broadcast(shape[-3:]), column), wanted)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nv.Permute((1, 1)), "axes = (1, 1); use each of 1, 2, ... once"),
        (lambda: nv.Permute(()), "axes = (); use each of 1, 2, ... once"),
        (lambda: nv.Permute((2, 1)).output_shape((3,)), "for samples of shape (3,)"),
        (
            lambda: nv.Take((3,)).output_shape((3,)),
            "index 3 of an axis of 3; use -3 to",
        ),
        (lambda: nv.Take(()), "0 indices; use 1 to 1,048,576"),
        (lambda: nv.Take((0,), 0).output_shape((3,)), "axis 0 for samples of shape"),
        (
            lambda: nv.Broadcast((2, 3)).output_shape((2,)),
            "input of shape (2,) for (2,",
        ),
        (lambda: nv.Broadcast((3,)).output_shape((1, 3)), "input of shape (1, 3) for"),
        (lambda: nv.Broadcast((0,)), "shape (0,); use extents of at least 1"),
    ],
)
def test_places_that_there_are_not(make: Any, text: str) -> None:
    with pytest.raises(LayerError) as error:
        make()
    assert text in str(error.value)


def test_codes_are_followed_through_moved_columns() -> None:
    """Permute, Take and Broadcast move elements: codes behind them are still checked."""
    x = nv.Input((2, 3))
    codes = nv.Take((1,), 1)(nv.Permute((2, 1))(x))
    net = nv.Network(inputs=x, outputs=nv.Embedding(4, 2)(codes))
    assert net.graph.codes[0].columns.tolist() == [1, 4]
    with pytest.raises(ValueError, match="of which 'embedding' takes a code"):
        net.forward([[[9.0, 1.0, 9.0], [9.0, 7.0, 9.0]]])


# -- reductions ------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("axes", [1, 2, 3, (1, 2), (1, 3), (2, 3), (1, 2, 3), None])
@pytest.mark.parametrize("function", ["sum", "mean", "max", "min", "product"])
def test_reduce(function: str, axes: Any, keep: bool) -> None:
    x = np.random.default_rng(2).normal(size=(3, 2, 3, 4))
    by_numpy = getattr(np, "prod" if function == "product" else function)
    wanted = by_numpy(x, axis=axes or (1, 2, 3), keepdims=keep)
    found = given(nv.Reduce(function, axes, keep), x)
    np.testing.assert_allclose(found, wanted.reshape(found.shape), rtol=1e-14)
    assert found.shape[1:] == (wanted.shape[1:] or (1,))


def test_long_sums_are_as_good_as_in_double() -> None:
    net = nv.Network([nv.Input(1_000_000), nv.Reduce("sum")])
    found = net.forward(np.full((1, 1_000_000), 0.1, np.float32))
    np.testing.assert_allclose(found, 1e6 * np.float64(np.float32(0.1)), rtol=1e-7)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nv.Reduce("median"), "unknown function 'median'"),
        (lambda: nv.Reduce("sum", 0).output_shape((3,)), "axis 0 for samples of shape"),
        (lambda: nv.Reduce("sum", (1, -1)).output_shape((3,)), "name each axis once"),
    ],
)
def test_what_cannot_be_reduced(make: Any, text: str) -> None:
    with pytest.raises(LayerError) as error:
        make()
    assert text in str(error.value)


# -- learned values --------------------------------------------------------------------


def test_learned_values_are_those_of_every_row() -> None:
    x, places = nv.Input((2, 3)), nv.Learned((2, 3), name="places")
    net = nv.Network(inputs=x, outputs=nv.Add()(x, places), dtype="float64", seed=1)
    net.parameters["places.value"] = np.arange(6.0).reshape(2, 3)
    found = net.forward(np.ones((2, 2, 3)))
    np.testing.assert_array_equal(
        found, np.tile(1 + np.arange(6.0), 2).reshape(2, 2, 3)
    )


def test_learned_values_are_learned_and_stored_ones_are_not() -> None:
    x = nv.Input(2)
    ends = [
        nv.Add()(x, nv.Learned(2, trainable=t, name=f"v{t}")) for t in (True, False)
    ]
    net = nv.Network(inputs=x, outputs=nv.Add()(*ends), seed=1)
    before = {k: v.copy() for k, v in net.parameters.items()}
    nv.fit(net, np.zeros((4, 2)), np.ones((4, 2)), loss="mse", epochs=3, progress=False)
    assert (net.parameters["vTrue.value"] != before["vTrue.value"]).all()
    assert (net.parameters["vFalse.value"] == before["vFalse.value"]).all()
    assert net.graph.trainable == 2


def test_a_learned_value_is_no_input_of_a_list() -> None:
    with pytest.raises(ValueError, match="a second source, 'learned', in a list"):
        nv.Network([nv.Input(2), nv.Learned(2)])


def test_formulas_need_no_engine() -> None:
    layer = nv.Reduce("mean", -1)
    found = layer.formula(np, {}, np.ones((2, 3)), info=INFERENCE)
    np.testing.assert_array_equal(found, [[1], [1]])
