# SPDX-License-Identifier: BSD-3-Clause
"""Sparse rows: the bits of dense ones, without the array that they would be."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import nervure as nv
from nervure.base.engine import engine
from nervure.data import DataError
from nervure.data.sparse import Sparse
from nervure.sklearn import (
    MLPClassifier,
    MLPRegressor,
    NeuralNetClassifier,
    NeuralNetRegressor,
    TableEncoder,
    TabularClassifier,
    TabularRegressor,
)
from nervure.training.folder import RunFolderError

FORMATS = ["csr", "csc", "coo", "lil", "bsr", "dok"]


def words(rows: int = 120, dtype: Any = np.float64) -> tuple[Any, np.ndarray]:
    """Counts of words, and classes that they tell."""
    rng = np.random.default_rng(0)
    X = sp.random(rows, 300, density=0.05, random_state=0, format="csr", dtype=dtype)
    return X, (np.asarray(X[:, :40].sum(axis=1)).ravel() > 1).astype(np.int64) + (
        rng.random(rows) > 0.9
    )


def trained(X: Any, y: Any, *, hidden: int = 20, **settings: Any) -> nv.Network:
    dtype = settings.pop("dtype", "float32")
    layers = [nv.Dense(hidden, activation="relu"), nv.Dense(3, activation="softmax")]
    net = nv.Network([nv.Input(300), *layers], seed=1, dtype=dtype)
    settings = {"epochs": 3, "batch_size": 16, "progress": False, "seed": 1, **settings}
    nv.fit(net, X, y, **settings)
    return net


# -- training and prediction ----------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 10, 64])
@pytest.mark.parametrize("hidden", [20, 700])
def test_the_bits_are_those_of_dense_rows(
    dtype: str, batch_size: int, hidden: int
) -> None:
    X, y = words(dtype=np.dtype(dtype))
    settings: Any = {"dtype": dtype, "batch_size": batch_size, "validation": 0.2}
    sparse = trained(X, y, hidden=hidden, **settings)
    dense = trained(X.toarray(), y, hidden=hidden, **settings)
    np.testing.assert_array_equal(sparse.values, dense.values)
    np.testing.assert_array_equal(sparse.predict(X), dense.predict(X.toarray()))
    assert sparse.evaluate(X, y) == dense.evaluate(X.toarray(), y)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("make", ["matrix", "array"])
def test_every_format(kind: str, make: str) -> None:
    X, y = words()
    given = X.asformat(kind)
    given = given if make == "matrix" else getattr(sp, f"{kind}_array")(given)
    np.testing.assert_array_equal(trained(given, y).values, trained(X, y).values)


def test_a_matrix_with_repeated_places_is_summed_and_left_as_it_is() -> None:
    starts, columns = np.array([0, 3, 4]), np.array([2, 0, 2, 1])
    X = sp.csr_matrix((np.array([1.0, 2.0, 3.0, 4.0]), columns, starts), shape=(2, 3))
    rows = Sparse.of(X)
    np.testing.assert_array_equal(np.asarray(rows), X.toarray())
    assert X.nnz == 4
    assert X.indices.tolist() == [2, 0, 2, 1]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.int64, np.float32])
def test_numbers_of_every_type(dtype: Any) -> None:
    X, y = words()
    X = (10 * X).ceil().astype(dtype)
    dense = X.toarray().astype(np.float32)
    np.testing.assert_array_equal(trained(X, y).values, trained(dense, y).values)


@pytest.mark.parametrize(
    "index", [slice(3, 9), slice(0, 0), [5, 0, 5], np.arange(120) % 7 == 0]
)
def test_rows_are_taken_as_of_an_array(index: Any) -> None:
    X, _ = words()
    taken = Sparse.of(X)[index]
    np.testing.assert_array_equal(np.asarray(taken), X.toarray()[index])
    assert taken.shape == X.toarray()[index].shape


def test_validation_data_weights_and_several_inputs() -> None:
    X, y = words()
    settings: Any = {
        "validation": (X[:30], y[:30]),
        "sample_weight": 1.0 + np.arange(90) % 3,
        "class_weight": "balanced",
    }
    sparse = trained(X[30:], y[30:], **settings)
    settings["validation"] = (X[:30].toarray(), y[:30])
    dense = trained(X[30:].toarray(), y[30:], **settings)
    np.testing.assert_array_equal(sparse.values, dense.values)

    a, b = nv.Input(300, name="a"), nv.Input(300, name="b")
    end = nv.Dense(3, activation="softmax")(nv.Concatenate()(a, b))
    net = nv.Network(inputs=[a, b], outputs=end, seed=0)
    found = net.forward([X, X.toarray()])
    np.testing.assert_array_equal(found, net.forward([X.toarray(), X]))


def test_other_ways_through_the_library() -> None:
    """Ensembles, traces, L-BFGS and JAX."""
    X, y = words(60, np.float32)
    layers = [nv.Input(300), nv.Dense(3, activation="softmax")]
    means = []
    for rows in (X, X.toarray()):
        ensemble = nv.Ensemble.of(nv.Network(layers, seed=0), 2)
        ensemble.fit(rows, y, epochs=2, validation=0.2, progress=False)
        means.append(ensemble.predict(rows))
    np.testing.assert_array_equal(*means)
    net = trained(X, y, optimizer="lbfgs", epochs=2)
    other = trained(X.toarray(), y, optimizer="lbfgs", epochs=2)
    np.testing.assert_array_equal(net.values, other.values)
    trace = net.trace(X[:4], y[:4], loss="cross_entropy")
    np.testing.assert_array_equal(
        trace["dense"].z, net.trace(X[:4].toarray())["dense"].z
    )
    jax = trained(X, y, executor="jax")
    np.testing.assert_allclose(jax.predict(X), trained(X, y).predict(X), rtol=1e-3)


def test_the_whole_is_never_made(tmp_path: Path) -> None:
    """4,000 rows of 20,000 words would be 320 MB."""
    X = sp.random(
        4000, 20_000, density=1e-3, random_state=0, format="csr", dtype=np.float32
    )
    y = np.arange(4000) % 2
    net = nv.Network([nv.Input(20_000), nv.Dense(1, activation="logistic")], seed=0)
    tracemalloc.start()
    nv.fit(net, X, y, epochs=1, batch_size=50, validation=0.1, progress=False)
    net.predict(X)
    NeuralNetClassifier([], epochs=1, batch_size=50).fit(X, y).predict(X)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 40e6


def test_a_run_goes_on_with_the_same_rows_alone(tmp_path: Path) -> None:
    X, y = words()
    whole = trained(X, y, epochs=4, directory=tmp_path / "whole")
    trained(X, y, epochs=2, directory=tmp_path / "part")
    run = nv.resume(tmp_path / "part", X, y, epochs=4, progress=False)
    np.testing.assert_array_equal(run.network.values, whole.values)
    other = X.copy()
    other.data[7] += 1
    with pytest.raises(RunFolderError, match="other input 0"):
        nv.resume(tmp_path / "part", other, y, epochs=5, progress=False)


# -- estimators -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier((8,), max_iter=5, random_state=0),
        MLPClassifier((8,), max_iter=5, random_state=0, early_stopping=True),
        MLPClassifier((8,), max_iter=5, random_state=0, solver="lbfgs"),
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=5, random_state=0),
        NeuralNetClassifier([nv.Dense(8)], epochs=3, random_state=0),
        NeuralNetClassifier([nv.Dense(8)], epochs=3, random_state=0, early_stopping=2),
        NeuralNetRegressor([nv.Dense(8)], epochs=3, random_state=0),
    ],
    ids=str,
)
def test_estimators(model: Any, kind: str) -> None:
    X, y = words()
    found = model.fit(X.asformat(kind), y).predict(X.asformat(kind))
    np.testing.assert_array_equal(found, model.fit(X.toarray(), y).predict(X.toarray()))


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_tables(kind: str) -> None:
    """Every zero stays; dense rows and the network itself are read in the same way."""
    X, y = words(80)
    X = X.asformat(kind)
    model = TabularClassifier(members=2, epochs=2, random_state=0).fit(X, y)
    found = model.predict_proba(X)
    rows = model.encoder_.transform(X)
    assert sp.issparse(rows)
    assert rows.nnz == X.nnz
    np.testing.assert_array_equal(model.predict_proba(X.toarray()), found)
    np.testing.assert_array_equal(model.network_.predict(X.toarray()), found)
    np.testing.assert_array_equal(model.network_.predict(X), found)
    amounts = TabularRegressor(members=2, epochs=2, random_state=0).fit(X, 1.0 * y)
    np.testing.assert_array_equal(amounts.predict(X), amounts.predict(X.toarray()))
    dense = TabularClassifier(members=2, epochs=1, random_state=0).fit(X.toarray(), y)
    np.testing.assert_array_equal(dense.predict(X), dense.predict(X.toarray()))


def test_columns_are_divided_by_their_root_mean_square() -> None:
    X = sp.csr_matrix([[3.0, 0, 0], [0, 0, -2], [4, 0, 0]])
    encoder = TableEncoder(dtype="float64").fit(X)
    root = np.sqrt(12.5)
    wanted = [[3 / root, 0, 0], [0, 0, -1], [4 / root, 0, 0]]
    np.testing.assert_allclose(encoder.transform(X).toarray(), wanted)
    np.testing.assert_allclose(encoder.transform(X.toarray()), wanted)
    with pytest.raises(
        ValueError, match=r"sparse rows, whose zeros stay .* dense rows"
    ):
        TableEncoder(numbers="quantile").fit(X)


# -- refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda X: X.astype(complex),
            "a sparse matrix of dtype complex128; expected real",
        ),
        (lambda X: X[:0], r"shape \(0, 300\); expected \(rows, features\)"),
        (lambda X: X * np.nan, "nan at X"),
        (lambda X: X[:, :299], r"shape \(120, 299\); expected \(rows, 300\)"),
    ],
)
def test_matrices_that_cannot_be_used(spoil: Any, said: str) -> None:
    X, y = words()
    with pytest.raises((DataError, ValueError), match=said):
        trained(spoil(X), y)


@pytest.mark.parametrize(
    ("columns", "starts", "width"),
    [
        ([1, 0], [0, 2], 3),  # not in order
        ([1, 1], [0, 2], 3),  # twice
        ([0, 3], [0, 2], 3),  # outside
        ([-1, 0], [0, 2], 3),
        ([0, 1], [0, 3], 3),  # more than there are
        ([0, 1], [0, 1], 3),  # fewer
        ([0, 1], [0, 2, 1, 2], 3),  # back
        ([0, 1], [0, 9, 2], 3),
        ([0, 1], [1, 2], 3),
        ([0], [0, 1], 3),  # not as many as values
    ],
)
def test_the_engine_refuses_rows_out_of_order(
    columns: list[int], starts: list[int], width: int
) -> None:
    at, begins = np.array(columns, np.int32), np.array(starts, np.int64)
    rows = (np.ones(2, np.float32), 1.0, at, begins, width)
    with pytest.raises(ValueError, match=r"\[engine\] sparse rows"):
        engine.Data32([rows], [], None)
