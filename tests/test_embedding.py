# SPDX-License-Identifier: BSD-3-Clause
"""Embedding: values by hand, codes that are none, what learns and what does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data
from nervure.initializers import Constant
from nervure.layers.embedding import MOST_CODES
from nervure.layers.entrance import entrance

WEIGHT = np.arange(10.0).reshape(5, 2)  # the tables of 2 and of 3 categories


def two_tables(dtype: str = "float64") -> nv.Network:
    net = nv.Network([nv.Input(2), nv.Embedding((2, 3), 2)], dtype=dtype)
    net.parameters["embedding.weight"] = WEIGHT
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("executor", ["native", "jax"])
def test_every_column_has_its_table(dtype: str, executor: str) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    y = two_tables(dtype).forward([[1, 0], [0, 2]], executor=executor)
    assert y.tolist() == [[[2, 3], [4, 5]], [[0, 1], [8, 9]]]


def test_one_table_for_all_places() -> None:
    net = nv.Network([nv.Input((2, 2)), nv.Embedding(5, 2)])
    net.parameters["embedding.weight"] = WEIGHT
    y = net.forward([[[4, 0], [0, 1]]])
    assert y.tolist() == [[[[8, 9], [0, 1]], [[0, 1], [2, 3]]]]


def test_the_gradient_counts_how_often_a_code_comes() -> None:
    """Of sum(y) / rows: each number of a vector has (rows with its code) / rows."""
    net = two_tables()

    def total(output: Any, target: Any) -> tuple[float, Any]:
        return float(output.sum() / len(output)), np.ones_like(output) / len(output)

    found = net.trace([[1, 0], [1, 2], [0, 2]], np.zeros((3, 4)), loss=total)
    gradient = found["embedding"].gradient["weight"]
    assert (gradient[:, 0] * 3).round(12).tolist() == [1, 2, 1, 0, 2]


@pytest.mark.parametrize("bad", [np.nan, -1.0, 3.0, 1e9, np.inf, -np.inf])
def test_a_code_out_of_range_inside_of_a_network_gives_zeros(bad: float) -> None:
    y = two_tables().executor().outputs(Data((np.array([[1.0, bad]]),)))[0]
    assert y.tolist() == [[[2, 3], [0, 0]]]


@pytest.mark.parametrize("code", [0.5, -1, 3, 2.0000001])
@pytest.mark.parametrize("method", ["forward", "fit", "evaluate"])
def test_numbers_that_are_no_codes(code: float, method: str) -> None:
    net = nv.Network([nv.Input(3), nv.EmbedColumns((4, 3), 2), nv.Dense(1)])
    X, y = np.array([[0.3, 3, 2], [0.1, 0, code]]), [[0.0], [1.0]]
    calls = {
        "forward": lambda: net.forward(X),
        "fit": lambda: nv.fit(net, X, y, progress=False),
        "evaluate": lambda: net.evaluate(X, y),
    }
    text = (
        rf"\[X\] {code:g} in row 1 \(counted from 0\), column 2, of which "
        "'embed_columns' takes a code; expected a whole number from 0 to 2; encode"
    )
    with pytest.raises(ValueError, match=text):
        calls[method]()


def test_codes_are_found_through_layers_that_move_them() -> None:
    x, z = nv.Input((2, 3), name="x"), nv.Input(1, name="z")
    flat = nv.Flatten()(nv.Slice(0, 2, axis=1, step=1)(x))
    codes = nv.Concatenate()(nv.Slice(-2)(flat), z)
    net = nv.Network(inputs=[x, z], outputs=nv.Embedding((7, 8, 9), name="e")(codes))
    found = [
        (c.layer, c.input, c.columns.tolist(), c.sizes.tolist())
        for c in net.graph.codes
    ]
    assert found == [("e", 0, [4, 5], [7, 8]), ("e", 1, [0], [9])]


def test_what_a_layer_computes_is_no_code_of_the_data() -> None:
    x = nv.Input(2)
    y = nv.Embedding(4)(nv.Add()(x, x))
    assert nv.Network(inputs=x, outputs=y).graph.codes == ()


def test_only_the_vectors_of_the_batch_learn() -> None:
    net = nv.Network([nv.Input(1), nv.Embedding(6, 3), nv.Flatten(), nv.Dense(1)])
    before = net.parameters["embedding.weight"].copy()
    X, y = [[0], [2], [2], [5]], [1.0, 2.0, 2.0, 3.0]
    run = nv.fit(net, X, y, optimizer=nv.SGD(0.1), epochs=300, progress=False)
    moved = (net.parameters["embedding.weight"] != before).any(axis=1)
    assert moved.tolist() == [True, False, True, False, False, True]
    assert run.history["loss"][-1] < 1e-6


def test_decay_reaches_every_vector() -> None:
    net = nv.Network([nv.Input(1), nv.Embedding(3, 2), nv.Flatten(), nv.Dense(1)])
    before = net.parameters["embedding.weight"].copy()
    rule = nv.SGD(0.1, weight_decay=0.5)
    nv.fit(net, [[0]], [0.0], optimizer=rule, epochs=1, progress=False)
    after = net.parameters["embedding.weight"]
    np.testing.assert_allclose(after[1:], 0.95 * before[1:], rtol=1e-6)


def test_what_is_unknown_begins_at_zero() -> None:
    net = nv.Network([nv.Input(3), nv.EmbedColumns((3, 4), 5)], seed=2)
    weight = net.parameters["embed_columns.weight"]
    assert (~weight.any(axis=1)).tolist() == [True, False, False, True, *[False] * 3]
    assert np.abs(weight).max() <= 1 / np.sqrt(5)
    own = nv.Embedding(2, 1, initializer=Constant(3.0))
    assert nv.Network([nv.Input(1), own]).forward([[1]]).tolist() == [[[3.0]]]


def test_the_other_columns_stay_as_they_are() -> None:
    net = nv.Network([nv.Input(4), nv.EmbedColumns((3, 2), 1)])
    net.parameters["embed_columns.weight"] = [[0], [1], [2], [30], [40]]
    assert net.forward([[0.5, -7, 2, 1]]).tolist() == [[0.5, -7, 2, 40]]


def test_the_first_layers_for_rows() -> None:
    kinds = [[layer.kind for layer in entrance((4,), c)] for c in ((), (9, 9))]
    assert kinds == [["input"], ["input", "embed_columns"]]
    net = nv.Network([*entrance((2,), (9, 8)), nv.Dense(1)])
    assert net.parameters["dense.weight"].shape == (16, 1)


def test_nothing_below_an_embedding_is_trained() -> None:
    net = nv.Network([nv.Input(2), nv.Dense(1), nv.Embedding(3), nv.Flatten()])
    with pytest.raises(nv.LayerError, match=r"a code has no derivative.*nv\.Input"):
        nv.fit(net, [[0.0, 0.0]], np.zeros((1, 8)), progress=False)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nv.Embedding(0), r"categories = 0; use one number or several"),
        (lambda: nv.Embedding(()), r"categories = \(\); use"),
        (lambda: nv.Embedding((3, 0)), r"categories = \(3, 0\); use"),
        (lambda: nv.Embedding(MOST_CODES + 1), r"each 1 to 16,777,216 \(2\^24\)"),
        (lambda: nv.Embedding(2.5), r"categories = 2\.5; use a whole number"),
        (lambda: nv.Embedding(3, 0), r"dim = 0; use vectors of at least 1 number"),
        (lambda: nv.Embedding(3, initializer="x"), "initializer"),
        (
            lambda: nv.Network([nv.Input(3), nv.Embedding((2, 2))]),
            r"\[embedding 'embedding'\] input of shape \(3,\), expected \(..., 2\)",
        ),
        (
            lambda: nv.Network([nv.Input(2), nv.EmbedColumns((2, 2))]),
            r"\[embed_columns 'embed_columns'\] input of shape \(2,\), expected more "
            "than 2 columns",
        ),
    ],
)
def test_layers_that_cannot_be(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()
