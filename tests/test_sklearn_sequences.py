# SPDX-License-Identifier: BSD-3-Clause
"""Sequences of any lengths in the estimators of nervure.sklearn."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

import nervure as nv
from nervure.sklearn import (
    AutoencoderTransformer,
    NeuralNetClassifier,
    NeuralNetRegressor,
)

ROWS = 120


def sequences(rows: int = ROWS) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 2)) for n in rng.integers(2, 9, rows)]


def begins_above(rows: list[np.ndarray]) -> np.ndarray:
    return np.array(["above" if row[0, 0] > 0 else "below" for row in rows])


def objects(rows: list[np.ndarray]) -> np.ndarray:
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def lists(rows: list[np.ndarray]) -> list[list[list[float]]]:
    return [row.tolist() for row in rows]


FORMS: dict[str, Callable[[list[np.ndarray]], Any]] = {
    "lists": lists,
    "objects": objects,
    "a column of objects": lambda rows: objects(rows)[:, None],
    "ragged": nv.Ragged.of,
    "pandas": lambda rows: pd.DataFrame({"s": rows}),
    "pandas, lists": lambda rows: pd.DataFrame({"s": lists(rows)}),
    "a column of pandas": lambda rows: pd.Series(rows),
    "polars": lambda rows: pl.DataFrame({"s": lists(rows)}),
    "arrow": lambda rows: pa.table({"s": lists(rows)}),
}


def classifier(**settings: Any) -> NeuralNetClassifier:
    settings = {
        "epochs": 30,
        "optimizer": nv.Adam(0.02),
        "random_state": 0,
        **settings,
    }
    return NeuralNetClassifier([nv.LSTM(8)], **settings)


@pytest.fixture(scope="module")
def trained() -> NeuralNetClassifier:
    rows = sequences()
    return classifier().fit(rows, begins_above(rows))


def test_a_list_of_arrays_is_learnt(trained: NeuralNetClassifier) -> None:
    rows = sequences(200)
    assert trained.score(rows, begins_above(rows)) > 0.9
    assert trained.network_.graph.nodes[0].clock == 0  # its time is open
    assert trained.network_.graph.input_shapes == ((2,),)
    assert trained.n_features_in_ == 2
    assert trained.predict_proba(rows[:1]).shape == (1, 2)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same(form: str, trained: NeuralNetClassifier) -> None:
    rows = sequences()
    given = FORMS[form](rows)
    model = classifier().fit(given, begins_above(rows))
    wanted = trained.predict_proba(rows)
    np.testing.assert_array_equal(model.predict_proba(given), wanted)
    np.testing.assert_array_equal(model.predict_proba(rows), wanted)


def test_it_is_what_fit_gives() -> None:
    rows = sequences()
    y = np.array([row.sum() for row in rows])
    layers = [nv.Input((None, 2)), nv.GRU(4), nv.Dense(1)]
    net = nv.Network(layers, seed=3, dtype="float64")
    model = NeuralNetRegressor(net, epochs=3, batch_size=8, random_state=5)
    values = model.fit(rows, y).predict(rows)
    seed = int(np.random.RandomState(5).randint(2**31 - 1))
    nv.fit(net, rows, y, epochs=3, batch_size=8, seed=seed, optimizer="adam")
    np.testing.assert_array_equal(net.predict(rows)[:, 0], values)


def test_arrays_for_an_open_input() -> None:
    X, y = np.random.default_rng(0).normal(size=(12, 5, 3)), np.arange(12.0)
    layers = [nv.Input((None, 3)), nv.LSTM(2)]
    model = NeuralNetRegressor(layers, epochs=2, random_state=0).fit(X, y)
    whole = model.predict(X)
    assert np.abs(model.predict([X[0], X[1, :2]]) - whole[:2])[1] > 0
    np.testing.assert_array_equal(model.predict(list(X)), whole)


def test_codes_of_words() -> None:
    words = [[1, 2], [3], [4, 1, 0], [9]]
    layers = [nv.Embedding(10, 4), nv.LSTM(3)]
    model = NeuralNetClassifier(layers, epochs=2, random_state=0)
    model.fit(words, [0, 1, 0, 1])
    assert model.network_.dtype == "float32"
    assert model.predict(nv.Ragged([5, 6], [1, 1])).shape == (2,)
    with pytest.raises(ValueError, match=r"12 in row 0, step 1 .* whole number"):
        model.predict([[5, 12]])


def test_lists_of_equal_lengths_are_a_table() -> None:
    model = NeuralNetRegressor([nv.Dense(3)], epochs=1, random_state=0)
    assert model.fit([[1, 2], [3, 4], [5, 6]], [1, 2, 3]).n_features_in_ == 2


def test_a_table_after_sequences_and_before() -> None:
    rows = sequences(8)
    model = NeuralNetRegressor([nv.LSTM(3)], epochs=1, random_state=0)
    model.fit(rows, np.arange(8.0))
    frame = pd.DataFrame({"a": list("abababab")})
    model.set_params(layers=[nv.Dense(3)]).fit(frame, np.arange(8.0))
    assert model.predict(frame).shape == (8,)
    model.set_params(layers=[nv.LSTM(3)]).fit(rows, np.arange(8.0))
    assert not hasattr(model, "feature_names_in_")
    assert model.predict(rows).shape == (8,)


def test_early_stopping_weights_and_eval_set() -> None:
    rows = sequences()
    y = begins_above(rows)
    model = classifier(early_stopping=2)
    model.fit(rows, y, sample_weight=np.linspace(0.5, 1, ROWS))
    assert len(model.history_["validation_loss"]) == model.n_iter_
    plain = model.predict_proba(rows)
    assert np.abs(model.fit(rows, y).predict_proba(rows) - plain).max() > 0
    model.fit(rows[20:], y[20:], eval_set=(nv.Ragged.of(rows[:20]), y[:20]))
    assert len(model.history_["validation_loss"]) == model.n_iter_


def test_rows_of_weight_0_do_not_count() -> None:
    rows = sequences(24)
    y = np.array([row.sum() for row in rows])
    weights = np.repeat([1.0, 0.0], 12)
    layers, given = [nv.GRU(3)], {"epochs": 4, "shuffle": False, "batch_size": 12}
    model = NeuralNetRegressor(layers, random_state=0, **given)
    whole = model.fit(rows, y, sample_weight=weights).predict(rows)
    y[12:] = 1000.0
    other = model.fit(rows, y, sample_weight=weights).predict(rows)
    np.testing.assert_array_equal(other, whole)


def test_pickle_goes_on_where_it_was() -> None:
    rows = sequences()
    y = np.array([float(len(row)) for row in rows])
    model = NeuralNetRegressor([nv.GRU(4)], random_state=0).partial_fit(rows, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(rows), model.predict(rows))
    for one in (model, copy):
        one.partial_fit(objects(rows), y)
    np.testing.assert_array_equal(copy.predict(rows), model.predict(rows))
    assert len(model.loss_curve_) == 2


@pytest.mark.parametrize("form", ["lists", "objects", "ragged", "pandas", "arrow"])
def test_cross_validation(form: str) -> None:
    rows = sequences(60)
    model, y = classifier(epochs=4), begins_above(rows)
    wanted = cross_val_score(model, rows, y, cv=3)
    scores = cross_val_score(model, FORMS[form](rows), y, cv=3)
    np.testing.assert_array_equal(scores, wanted)


def test_a_search() -> None:
    rows = sequences(60)
    search = GridSearchCV(classifier(epochs=4), {"layers__0__units": [2, 5]}, cv=2)
    search.fit(nv.Ragged.of(rows), begins_above(rows))
    units = search.best_params_["layers__0__units"]
    found = search.best_estimator_.network_
    assert found.parameters["lstm.recurrent_weight"].shape[0] == units


# -- what does not fit ----------------------------------------------------------------


def with_gap() -> list[np.ndarray]:
    rows = sequences(4)
    rows[3][1, 0] = np.nan
    return rows


GAP = r"^\[X\] nan in row 3, step 1; expected finite numbers"
FOUR = [0, 1, 0, 1]
WRONG_ROWS = {
    "features": (
        lambda: [np.ones((2, 3)), np.ones((3, 2)), *sequences(2)],
        r"^\[X\] row 1 has steps of shape \(2,\), row 0 of shape \(3,\); expected",
    ),
    "features of lists": (
        lambda: [[[1, 2], [3]], *lists(sequences(3))],
        r"^\[X\] row 0 has steps of different numbers of features; expected as many",
    ),
    "no steps": (
        lambda: [*sequences(3), np.ones((0, 2))],
        r"^\[ragged\] row 3 has 0 steps; expected at least 1; drop empty",
    ),
    "a gap": (with_gap, GAP),
    "a gap in ragged": (lambda: nv.Ragged.of(with_gap()), GAP),
    "a gap in a frame": (lambda: pl.DataFrame({"s": lists(with_gap())}), GAP),
    "a null": (
        lambda: pl.DataFrame({"s": [[1.0, None], [2.0], [3.0], [3.0]]}),
        r"^\[X\] row 0 is \[1.0, None\]; expected a sequence of numbers",
    ),
    "a missing row": (
        lambda: pd.DataFrame({"s": [*sequences(3), None]}),
        r"^\[X\] row 3 is None; expected a sequence of numbers",
    ),
    "text": (
        lambda: [["a", "b"], ["a"], ["c"], ["d"]],
        r"^\[X\] row 0 is \['a', 'b'\]; expected a sequence of numbers",
    ),
    "other columns": (
        lambda: pd.DataFrame({"s": sequences(4), "age": 1}),
        r"^\[X\] column 's' holds sequences beside 1 other column; expected sequences "
        r"alone; give X\[\['s'\]\]",
    ),
    "fewer rows": (lambda: sequences(3), r"inconsistent numbers of samples: \[3, 4\]"),
}


@pytest.mark.parametrize("name", WRONG_ROWS)
def test_rows_that_are_refused(name: str) -> None:
    rows, text = WRONG_ROWS[name]
    with pytest.raises(ValueError, match=text):
        classifier(epochs=1).fit(rows(), FOUR)


@pytest.mark.parametrize(
    "y", [nv.Ragged([0, 1, 1, 0], [1, 1, 1, 1]), [[0, 1], [0], [1], [0]]]
)
def test_targets_of_steps_are_refused(y: Any) -> None:
    text = r"^\[y\] a target for each step of sequences; expected one for each row"
    with pytest.raises(ValueError, match=text):
        classifier(epochs=1).fit(sequences(4), y)


WRONG_LAYERS = {
    "nothing along time": (
        [nv.Dense(3)],
        r"^\[layers\] 'dense_1' gives a value for each step",
    ),
    "steps": (
        [nv.LSTM(3, return_sequences=True)],
        r"^\[layers\] 'dense' gives a value for each step, but y has one for each row; "
        r"put a layer before it that makes one row of a sequence: nv.LSTM\(32\)",
    ),
    "rows": (
        [nv.Input((2, 2)), nv.LSTM(2)],
        r"^\[layers\] the network takes rows of shape \(2, 2\), but X holds sequences "
        r"of any lengths; begin with nv.Input\(\(None, features\)\)",
    ),
    "other features": (
        [nv.Input((None, 3)), nv.LSTM(2)],
        r"^\[input\] sequences with steps of shape \(2,\); expected \(rows, time, 3\)",
    ),
    "images": ("resnet20", r"^\[layers\] 'resnet20' reads images, but X holds seq"),
}


@pytest.mark.parametrize("name", WRONG_LAYERS)
def test_layers_that_are_refused(name: str) -> None:
    layers, text = WRONG_LAYERS[name]
    with pytest.raises(ValueError, match=text):
        NeuralNetClassifier(layers, epochs=1).fit(sequences(4), FOUR)


WRONG_TO_PREDICT = {
    "features": (
        [np.ones((2, 3))],
        r"^X has sequences with steps of shape \(3,\); expected \(2,\), as in fit",
    ),
    "nothing": ([], r"^\[X\] shape \(0,\)"),
    "no sequences": (
        pd.DataFrame({"a": [1], "b": [2]}),
        r"^\[X\] 2 columns of single values; expected sequences, as in fit",
    ),
}


@pytest.mark.parametrize("name", WRONG_TO_PREDICT)
def test_rows_to_predict_for(name: str, trained: NeuralNetClassifier) -> None:
    rows, text = WRONG_TO_PREDICT[name]
    with pytest.raises(ValueError, match=text):
        trained.predict(rows)


def test_sequences_for_a_model_of_rows() -> None:
    model = NeuralNetRegressor([nv.Dense(2)], epochs=1).fit(np.ones((3, 2)), [1, 2, 3])
    text = r"^X has sequences with steps of shape \(2,\); expected rows of shape \(2,\)"
    with pytest.raises(ValueError, match=text):
        model.predict(sequences(3))
    with pytest.raises(ValueError, match="inhomogeneous"):
        AutoencoderTransformer(1, epochs=1).fit(sequences(3))
