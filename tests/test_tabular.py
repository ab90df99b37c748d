# SPDX-License-Identifier: BSD-3-Clause
"""The default for tables: what it describes, and its two estimators."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_friedman1
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import nervure as nv
from nervure.runs.training import fit_spec
from nervure.sklearn import TabularClassifier, TabularRegressor
from nervure.spec.reading import parse_spec
from nervure.spec.written import write_spec

QUICK: dict[str, Any] = {"members": 4, "epochs": 20, "random_state": 0}


def frame(rows: int = 120, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Numbers with outliers and gaps, few and many categories, booleans, dates."""
    rng = np.random.default_rng(seed)
    size = rng.standard_cauchy(rows)
    colour = rng.choice(["red", "green", "blue"], rows)
    X = pd.DataFrame(
        {
            "size": np.where(rng.random(rows) < 0.1, np.nan, size),
            "colour": colour,
            "town": [f"town {i}" for i in rng.permutation(np.arange(rows) % 30)],
            "open": rng.random(rows) < 0.5,
            "day": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(rng.integers(0, 99, rows), "D"),
        }
    )
    y = np.where((colour == "red") ^ (size > 0), "yes", "no")
    return X, pd.Series(y, name="answer")


# -- the description -------------------------------------------------------------------


def test_the_default_is_a_spec_that_can_be_written_and_read() -> None:
    X, y = load_iris(return_X_y=True)
    spec = nv.tabular.default(X, y.astype(int), task="classification")
    assert parse_spec(write_spec(spec)) == spec
    assert [entry.layer.kind for entry in spec.layers] == [
        "periodic_embedding",
        "flatten",
        "ensemble_dense",
        "dropout",
        "ensemble_dense",
        "dropout",
        "ensemble_dense",
        "ensemble_mean",
    ]


def test_training_from_the_default_spec() -> None:
    iris = nv.data.load("iris", numbers="robust")
    spec = nv.tabular.default(iris, members=4)
    run = fit_spec(spec, iris, epochs=30, progress=False)
    assert run.network.evaluate(iris)["accuracy"] > 0.9


def test_a_source_is_kept_in_the_spec() -> None:
    spec = nv.tabular.default("iris", members=2)
    assert spec.data.source == "iris"
    assert fit_spec(spec, epochs=1, progress=False).epoch == 1


def test_codes_are_embedded_first() -> None:
    X, y = frame()
    spec = nv.tabular.default(X, y)
    assert spec.layers[0].layer.kind == "embed_columns"
    assert spec.data.numbers == "robust"


def test_values_get_one_linear_output() -> None:
    X, y = load_diabetes(return_X_y=True)
    spec = nv.tabular.default(X, y)
    assert spec.training is not None
    assert type(spec.training.loss).__name__ == "MSE"
    assert spec.layers[-2].layer == nv.EnsembleDense(1, nv.tabular.MEMBERS)


@pytest.mark.parametrize(
    ("rows", "batch_size", "epochs"),
    [(1, 64, 200), (120, 64, 200), (1_000, 64, 64), (5_000, 128, 20)],
)
def test_training_grows_with_the_rows(rows: int, batch_size: int, epochs: int) -> None:
    training = nv.tabular.default_training(rows, None)
    assert (training.batch_size, training.epochs) == (batch_size, epochs)


def test_wide_tables_enter_as_they_are() -> None:
    layers = nv.tabular.default_layers(nv.tabular.MOST_WAVES + 1, 2, "softmax")
    assert layers[0].kind == "ensemble_dense"


# -- the estimators --------------------------------------------------------------------


@parametrize_with_checks([TabularClassifier(**QUICK), TabularRegressor(**QUICK)])
def test_scikit_learn_s_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_frames_as_they_are() -> None:
    X, y = frame()
    model = TabularClassifier(members=4, random_state=0).fit(X, y)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.score(X, y) > 0.9
    assert model.feature_names_in_.tolist() == list(X.columns)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (120, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_the_network_alone_answers_raw_rows(tmp_path: Path) -> None:
    X, y = frame()
    model = TabularClassifier(**QUICK).fit(X, y)
    model.network_.save(tmp_path / "model.safetensors")
    again = nv.load(tmp_path / "model.safetensors")
    assert (again.predict_classes(X) == model.predict(X)).all()
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    values = TabularRegressor(**QUICK).fit(X, y)
    np.testing.assert_allclose(
        values.network_.predict(X)[:, 0], values.predict(X), rtol=1e-6
    )


def test_values_of_any_size_are_learnt() -> None:
    X, y = make_friedman1(200, random_state=0)
    scores = [
        TabularRegressor(members=4, random_state=0).fit(X, z).score(X, z)
        for z in (y, 1e6 * y + 1e9)
    ]
    assert min(scores) > 0.95
    assert abs(scores[0] - scores[1]) < 1e-3


def test_several_values_and_several_labels() -> None:
    X, y = make_friedman1(100, random_state=0)
    both = np.column_stack([y, -100 * y])
    predicted = TabularRegressor(**QUICK).fit(X, both).predict(X)
    assert predicted.shape == (100, 2)
    labels = (both > both.mean(axis=0)).astype(int)
    model = TabularClassifier(**QUICK).fit(X, labels)
    assert model.predict(X).shape == (100, 2)
    assert model.predict_proba(X).shape == (100, 2)


def test_same_state_same_bits_and_a_copy_by_pickle() -> None:
    X, y = load_iris(return_X_y=True)
    model = TabularClassifier(**QUICK)
    one, two = clone(model).fit(X, y), clone(model).fit(X, y)
    assert (one.predict_proba(X) == two.predict_proba(X)).all()
    again = pickle.loads(pickle.dumps(one))
    assert (again.predict_proba(X) == one.predict_proba(X)).all()


def test_weights_of_classes_count() -> None:
    X, y = load_iris(return_X_y=True)
    rare = np.r_[0:50, 50:55]
    heavy = TabularClassifier(class_weight="balanced", **QUICK).fit(X[rare], y[rare])
    plain = TabularClassifier(**QUICK).fit(X[rare], y[rare])
    shares = [m.predict_proba(X[55:100])[:, 1].mean() for m in (heavy, plain)]
    assert shares[0] > shares[1]


def test_it_is_good_as_it_is() -> None:
    X, y = load_iris(return_X_y=True)
    assert cross_val_score(TabularClassifier(random_state=0), X, y, cv=3).mean() > 0.93


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_a_constant_table_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match="no column is left to learn from"):
        kind(**QUICK).fit(np.ones((10, 2)), np.arange(10) % 2)
