# SPDX-License-Identifier: BSD-3-Clause
"""Data frames as people have them: encoded, trained on, predicted for, refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import nervure as nv
from nervure.data import DataError, UnknownCategoryWarning
from nervure.sklearn import NeuralNetClassifier, NeuralNetRegressor, TableEncoder

ROWS = 600
HIDDEN = [nv.Dense(16, activation="relu")]


def people() -> tuple[pd.DataFrame, np.ndarray]:
    """Text of many levels, booleans, dates, numbers with gaps; a value that hangs on
    the town and the age."""
    rng = np.random.default_rng(3)
    town, age = rng.integers(30, size=ROWS), rng.normal(40, 10, ROWS)
    frame = pd.DataFrame(
        {
            "town": [f"t{i}" for i in town],
            "age": np.where(rng.random(ROWS) < 0.1, np.nan, age),
            "member": rng.random(ROWS) < 0.5,
            "since": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(rng.integers(900, size=ROWS), "D"),
            "empty": [None] * ROWS,
        }
    )
    worth = rng.normal(size=30)
    return frame, worth[town] + (age - 40) / 20


FRAME, VALUES = people()
LABELS = np.where(VALUES > 0, "rich", "poor")
FORMS: dict[str, Any] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "arrow": pa.Table.from_pandas,
}


def classifier(**settings: Any) -> NeuralNetClassifier:
    settings = {"epochs": 30, "random_state": 0, **settings}
    return NeuralNetClassifier(HIDDEN, **settings)


@pytest.fixture(scope="module")
def trained() -> NeuralNetClassifier:
    return classifier().fit(FRAME, LABELS)


# -- the encoder alone ----------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_frame_is_encoded_alike(form: str) -> None:
    frame = FORMS[form](FRAME)
    encoder = TableEncoder().fit(frame)
    assert encoder.feature_names_in_.tolist() == FRAME.columns.tolist()
    names = encoder.get_feature_names_out().tolist()
    assert names == [
        *("age", "age missing", "member=False", "member=True", "since", "town")
    ]
    found = encoder.transform(frame)
    assert found.dtype == np.float32
    assert encoder.codes_ == (31,)
    np.testing.assert_array_equal(found, TableEncoder().fit(FRAME).transform(FRAME))
    assert encoder.description_[-1] == "dropped: empty (empty)"


def test_arrays_have_columns_by_number() -> None:
    rows = np.array([[1.0, "a"], [2.0, "b"], [None, "a"]], object)
    encoder = TableEncoder(dtype="float64").fit(rows)
    assert encoder.get_feature_names_out().tolist() == [
        *("x0", "x0 missing", "x1=a", "x1=b")
    ]
    assert encoder.transform(rows).dtype == np.float64


def test_in_front_of_another_estimator() -> None:
    pipe = make_pipeline(TableEncoder(categories="one_hot"), LogisticRegression())
    assert cross_val_score(pipe, FRAME, LABELS, cv=3).mean() > 0.9
    shown = TableEncoder().set_output(transform="pandas").fit_transform(FRAME)
    assert shown.columns.tolist()[-1] == "town"


def test_unknown_categories_are_counted() -> None:
    encoder = TableEncoder().fit(FRAME)
    strange = FRAME.head(4).assign(town=["t1", "ulm", "bonn", None])
    with pytest.warns(UnknownCategoryWarning, match="'town': 2 rows") as caught:
        found = encoder.transform(strange)
    assert caught[0].filename == __file__
    assert found[1:, -1].tolist() == [0, 0, 0]
    assert encoder.unknown_categories(strange) == {"town": 2}


def test_an_encoder_is_data_and_can_be_cloned() -> None:
    encoder = TableEncoder(columns={"since": "drop", "town": "one_hot"}).fit(FRAME)
    again = pickle.loads(pickle.dumps(encoder))
    assert again.record_ == encoder.record_
    np.testing.assert_array_equal(again.transform(FRAME), encoder.transform(FRAME))
    assert clone(encoder).fit(FRAME).record_ == encoder.record_
    assert encoder.codes_ == ()


# -- estimators -----------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_frame_is_all_it_takes(form: str, tmp_path: Any) -> None:
    frame = FORMS[form](FRAME)
    model = classifier().fit(frame, LABELS)
    assert model.score(frame, LABELS) > 0.95
    assert model.n_features_in_ == 5
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.predict_proba(frame), model.predict_proba(frame)
    )
    model.network_.save(tmp_path / "m.safetensors")
    net = nv.load(tmp_path / "m.safetensors")
    assert net.predict_classes(frame).tolist() == model.predict(frame).tolist()


def test_values_and_own_encoder() -> None:
    encoder = TableEncoder(numbers="piecewise", columns={"since": "drop"})
    model = NeuralNetRegressor(
        HIDDEN, epochs=60, random_state=0, table_encoder=encoder
    ).fit(FRAME, VALUES)
    assert model.score(FRAME, VALUES) > 0.9
    assert not hasattr(encoder, "record_")
    found = model.network_.predict(FRAME.drop(columns="empty"))
    np.testing.assert_allclose(found[:, 0], model.predict(FRAME), rtol=1e-6)


@pytest.mark.parametrize(
    "layers",
    [
        None,
        lambda shape, outputs: HIDDEN,
        [nv.EmbedColumns((31,), dim=2), *HIDDEN],
        nv.Network(
            [nv.Input(6), nv.EmbedColumns((31,)), nv.Dense(1, activation="sigmoid")]
        ),
    ],
    ids=["none", "a function", "an own embedding", "a network"],
)
def test_codes_are_embedded_once(layers: Any) -> None:
    model = NeuralNetClassifier(layers, epochs=1, random_state=0).fit(FRAME, LABELS)
    kinds = [node.layer.kind for node in model.network_.graph.nodes]
    assert kinds.count("embedding") == 1


def test_a_network_that_reads_codes_as_numbers_is_refused() -> None:
    net = nv.Network([nv.Input(6), nv.Dense(1, activation="sigmoid")])
    with pytest.raises(ValueError, match="column 'town' holds codes from 0 to 30"):
        NeuralNetClassifier(net).fit(FRAME, LABELS)


def test_searchers_and_eval_sets() -> None:
    search = GridSearchCV(
        classifier(epochs=3),
        {"table_encoder__numbers": ["standard", "robust"]},
        cv=2,
    )
    search.set_params(estimator__table_encoder=TableEncoder())
    assert search.fit(FRAME, LABELS).best_score_ > 0.6
    model = classifier(epochs=2).fit(
        FRAME[:400], LABELS[:400], eval_set=(FRAME[400:], LABELS[400:])
    )
    assert "validation_loss" in model.history_


def test_batches_are_encoded_as_the_first_one() -> None:
    model = classifier()
    for start in (0, 300):
        rows = slice(start, start + 300)
        model.partial_fit(FRAME[rows], LABELS[rows], classes=["poor", "rich"])
    assert model.table_encoder_.fit(FRAME[:300]).record_ == (
        TableEncoder().fit(FRAME[:300]).record_
    )


def test_frames_of_numbers_stay_as_they_are() -> None:
    frame = pd.DataFrame({"a": VALUES, "b": VALUES > 1})
    assert not hasattr(classifier(epochs=1).fit(frame, LABELS), "table_encoder_")
    gaps = frame.assign(a=frame["a"].where(frame["a"] > 0))
    assert hasattr(classifier(epochs=1).fit(gaps, LABELS), "table_encoder_")
    with pytest.raises(ValueError, match="contains NaN"):
        classifier(epochs=1, table_encoder=None).fit(gaps, LABELS)
    with pytest.raises(ValueError, match="table_encoder"):
        classifier(table_encoder="own").fit(frame, LABELS)


# -- frames that do not fit -----------------------------------------------------------

SCIKIT = "The feature names should match those that were passed during fit"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f.drop(columns="age"), f"{SCIKIT}.\n.*yet now missing:\n- age"),
        (lambda f: f.assign(new=1), f"{SCIKIT}.\nFeature names unseen.*\n- new"),
        (lambda f: f[f.columns[::-1]], f"{SCIKIT}.\n.*in the same order as they were"),
        (
            lambda f: f.assign(age="old"),
            r"\[X\] column 'age' holds text \('old'\); expected numbers, as in training",
        ),
        (lambda f: f.assign(town=7), "'town' holds integers; expected text"),
        (lambda f: f.assign(since=1.0), "'since' holds numbers; expected dates"),
        (lambda f: f.assign(member=1), "'member' holds integers; expected booleans"),
        (
            lambda f: f.assign(age=[np.inf, *[1.0] * (ROWS - 1)]),
            r"'age' is inf in row 0 \(counted from 0\); expected finite numbers",
        ),
        (
            lambda f: f.assign(town=[1, *["t1"] * (ROWS - 1)]),
            "'town' holds int and str; expected numbers, text, booleans or dates, one",
        ),
        (lambda f: f[:0], r"Found array with 0 sample\(s\)"),
    ],
)
def test_frames_to_predict_for(
    trained: NeuralNetClassifier, change: Any, text: str
) -> None:
    with pytest.raises(ValueError, match=f"(?s){text}"):
        trained.predict(change(FRAME))


def test_an_array_in_the_order_of_the_frame(trained: NeuralNetClassifier) -> None:
    text = "X does not have valid feature names, but NeuralNetClassifier was fitted"
    with pytest.warns(UserWarning, match=text) as caught:
        found = trained.predict(FRAME.to_numpy())
    assert len(caught) == 1
    assert (found == trained.predict(FRAME)).all()


def test_unknown_categories_are_told_by_estimators(
    trained: NeuralNetClassifier,
) -> None:
    with pytest.warns(UnknownCategoryWarning, match="column 'town': 600 rows"):
        trained.predict(FRAME.assign(town="nowhere"))


def test_one_column_is_no_frame() -> None:
    with pytest.raises(ValueError, match="Expected a data frame, got a Series of"):
        TableEncoder().fit(FRAME["town"])


def test_columns_that_are_missing_altogether(trained: NeuralNetClassifier) -> None:
    """A column without any value is filled like single missing values."""
    gone = FRAME.assign(age=np.nan, since=pd.NaT, member=None, town=None)
    assert np.isfinite(trained.predict_proba(gone)).all()
    filled = FRAME.assign(empty="something")  # what was dropped may hold anything
    assert (trained.predict(filled) == trained.predict(FRAME)).all()


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (pd.DataFrame({"a": ["x"] * 4}), "no column is left to learn from"),
        (pd.DataFrame({"a": [None] * 4}), r"dropped: a \(empty\)"),
        (pd.DataFrame({"a": ["x", 1, "y", 2]}), "'a' holds int and str"),
        (pd.DataFrame({"a": ["x", "y"] * 2, "b": [np.inf, 1, 2, 3]}), "'b' is inf"),
        (pd.DataFrame({"a": ["x"]}), r"Found array with 1 sample\(s\)"),
    ],
)
def test_frames_to_learn_from(frame: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        classifier().fit(frame, np.arange(len(frame)) % 2)
    assert isinstance(caught.value, DataError) or "sample" in text
