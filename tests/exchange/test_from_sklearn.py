# SPDX-License-Identifier: BSD-3-Clause
"""Fitted estimators of scikit-learn as networks: the same answers from the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

import nervure as nv
from nervure.exchange.errors import ExchangeError

RNG = np.random.default_rng(8)
X = RNG.normal(size=(80, 4)) * [1, 10, 0.1, 3] + [0, 5, -2, 100]
KINDS = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
AMOUNTS = X @ [1.0, 0.2, -3.0, 0.1]

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def classifier(**options: Any) -> Any:
    return MLPClassifier(
        hidden_layer_sizes=(6, 5), max_iter=30, random_state=3, **options
    )


def regressor(**options: Any) -> Any:
    return MLPRegressor(hidden_layer_sizes=(7,), max_iter=30, random_state=3, **options)


def same(found: Any, wanted: Any) -> None:
    """Within what encoding raw rows in single precision leaves of them."""
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(
        np.asarray(found).reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_classes(activation: str) -> None:
    theirs = classifier(activation=activation).fit(X, KINDS)
    net = nv.from_sklearn(theirs)
    assert net.dtype == "float64"
    same(net.predict(X), theirs.predict_proba(X))
    assert net.predict_classes(X).tolist() == theirs.predict(X).tolist()


@pytest.mark.parametrize(
    "labels", [["a", "b"], [0, 1], [False, True], [-1, 1], [1.0, 2.0]]
)
def test_two_classes_of_any_kind(labels: list[Any]) -> None:
    y = np.array(labels)[(X[:, 0] > 0).astype(int)]
    theirs = classifier().fit(X, y)
    net = nv.from_sklearn(theirs)
    same(net.predict(X), theirs.predict_proba(X)[:, 1])
    assert net.predict_classes(X).tolist() == theirs.predict(X).tolist()


@pytest.mark.parametrize("columns", [1, 2])
def test_amounts(columns: int) -> None:
    y = np.stack([AMOUNTS, -AMOUNTS], axis=1)[:, :columns]
    theirs = regressor().fit(X, y[:, 0] if columns == 1 else y)
    same(nv.from_sklearn(theirs).predict(X), theirs.predict(X))


@pytest.mark.parametrize(
    "scalers",
    [
        (StandardScaler(),),
        (StandardScaler(with_mean=False),),
        (StandardScaler(with_std=False),),
        (MinMaxScaler((-1, 2)),),
        (MaxAbsScaler(),),
        (RobustScaler(),),
        (RobustScaler(with_centering=False), "passthrough", MinMaxScaler()),
    ],
    ids=str,
)
@pytest.mark.parametrize("frame", [False, True])
def test_scalers(scalers: Any, frame: bool) -> None:
    rows = pd.DataFrame(X, columns=list("abcd")) if frame else X
    theirs = make_pipeline(*scalers, regressor()).fit(rows, AMOUNTS)
    net = nv.from_sklearn(theirs)
    same(net.predict(rows), theirs.predict(rows))
    encoded = net.preprocessing.encode(rows, dtype=np.float64)
    same(encoded, theirs[:-1].transform(rows))


def test_a_model_alone_that_was_fitted_on_a_frame() -> None:
    rows = pd.DataFrame(X, columns=list("abcd"))
    theirs = regressor().fit(rows, AMOUNTS)
    same(nv.from_sklearn(theirs).predict(rows[list("dcba")]), theirs.predict(rows))


# -- tables ----------------------------------------------------------------------------

TABLE = pd.DataFrame(
    {
        "size": X[:, 1],
        "weight": np.where(RNG.random(80) < 0.2, np.nan, X[:, 3]),
        "color": RNG.choice(["red", "green", "blue"], 80),
        "grade": RNG.choice([3, 5, 7], 80),
        "sold": RNG.choice([True, False], 80),
        "note": RNG.choice(["x", "y"], 80),
    }
)
NUMBERS = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())


def table_of(*transformers: Any, **options: Any) -> Any:
    return ColumnTransformer(list(transformers), **options)


@pytest.mark.parametrize(
    "columns",
    [
        table_of(("n", NUMBERS, ["size", "weight"]), ("c", OneHotEncoder(), ["color"])),
        table_of(
            ("c", OneHotEncoder(drop="first"), ["color", "grade"]),
            ("b", OneHotEncoder(drop="if_binary"), ["sold"]),
            ("n", MinMaxScaler(), [0]),
        ),
        table_of(
            ("o", OrdinalEncoder(), ["grade", "color", "sold"]),
            ("n", "passthrough", slice("size", "size")),
            ("d", "drop", ["note"]),
        ),
        table_of(
            ("c", OneHotEncoder(), ["color", "sold"]),
            ("d", "drop", ["note", "weight"]),
            remainder="passthrough",
        ),
        table_of(("n", NUMBERS, [True, True, False, False, False, False])),
    ],
    ids=range(5),
)
@pytest.mark.parametrize("scaled", [False, True])
def test_columns_of_a_table(columns: Any, scaled: bool) -> None:
    scalers = [StandardScaler(with_mean=False)] if scaled else []
    theirs = make_pipeline(columns, *scalers, classifier()).fit(TABLE, KINDS)
    net = nv.from_sklearn(theirs)
    same(net.predict(TABLE), theirs.predict_proba(TABLE))
    shuffled = TABLE[TABLE.columns[::-1]]
    assert net.predict_classes(shuffled).tolist() == theirs.predict(TABLE).tolist()


@pytest.mark.filterwarnings("ignore::nervure.data.UnknownCategoryWarning")
@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ],
    ids=str,
)
def test_categories_that_were_not_there(encoder: Any) -> None:
    columns = table_of(("c", encoder, ["color"]), ("n", "passthrough", ["size"]))
    theirs = make_pipeline(columns, regressor()).fit(TABLE, AMOUNTS)
    rows = TABLE.assign(color="violet")
    same(nv.from_sklearn(theirs).predict(rows), theirs.predict(rows))


@pytest.mark.parametrize(
    "encoder", [OneHotEncoder(), OrdinalEncoder(encoded_missing_value=-2)], ids=str
)
@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_categories_have_a_place_of_their_own(
    encoder: Any, missing: Any
) -> None:
    colors = [missing if color == "red" else color for color in TABLE["color"]]
    rows = TABLE.assign(color=pd.Series(colors, dtype=object))
    columns = table_of(("c", encoder, ["color"]), ("n", "passthrough", ["size"]))
    theirs = make_pipeline(columns, regressor()).fit(rows, AMOUNTS)
    same(nv.from_sklearn(theirs).predict(rows), theirs.predict(rows))


def test_it_trains_on_and_is_exported(tmp_path: Any) -> None:
    columns = table_of(("n", NUMBERS, ["size"]), ("c", OneHotEncoder(), ["color"]))
    theirs = make_pipeline(columns, classifier()).fit(TABLE, KINDS)
    net = nv.from_sklearn(theirs, dtype="float32")
    net.save(tmp_path / "net.safetensors")
    again = nv.load(tmp_path / "net.safetensors")
    assert again.predict_classes(TABLE).tolist() == theirs.predict(TABLE).tolist()
    nv.export(net, tmp_path / "net.onnx")
    rows = net.preprocessing.encode(TABLE)
    codes = np.unique(KINDS, return_inverse=True)[1]
    run = nv.fit(net, rows, codes, epochs=20, progress=False, seed=1)
    assert run.history["loss"][-1] < run.history["loss"][0]


# -- what cannot be read ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: DecisionTreeClassifier().fit(X, KINDS),
            "[sklearn] DecisionTreeClassifier; expected a",
        ),
        (lambda: object(), "[sklearn] object; expected a fitted MLPClassifier"),
        (lambda: MLPClassifier(), "[sklearn] MLPClassifier was not fitted; expected a"),
        (
            lambda: make_pipeline(StandardScaler(), regressor()),
            "[sklearn] MLPRegressor was not fitted",
        ),
        (
            lambda: make_pipeline(PCA(2), regressor()).fit(X, AMOUNTS),
            "[sklearn] PCA cannot be read; expected one of StandardScaler, MinMaxScaler",
        ),
        (
            lambda: make_pipeline(MinMaxScaler(clip=True), regressor()).fit(X, AMOUNTS),
            "[sklearn] MinMaxScaler cannot be read; expected clip=False; fit it without",
        ),
        (
            lambda: classifier().fit(X, RNG.integers(0, 2, (80, 3))),
            "[sklearn] several labels for each row; expected one class; fit a model for",
        ),
        (
            lambda: make_pipeline(
                table_of(("o", OneHotEncoder(max_categories=2), ["color"])), regressor()
            ).fit(TABLE, AMOUNTS),
            "[sklearn] OneHotEncoder cannot be read; expected no infrequent levels",
        ),
        (
            lambda: make_pipeline(
                table_of(("o", OneHotEncoder(), ["size"])), regressor()
            ).fit(TABLE, AMOUNTS),
            "expected levels of column 'size' that are text, whole numbers or bool",
        ),
        (
            lambda: make_pipeline(
                table_of(("a", StandardScaler(), [0]), ("b", MaxAbsScaler(), [0])),
                regressor(),
            ).fit(TABLE, AMOUNTS),
            "expected each column in one transformer only",
        ),
        (
            lambda: make_pipeline(OrdinalEncoder(), regressor()).fit(
                TABLE[["grade"]].to_numpy(), AMOUNTS
            ),
            "[sklearn] an encoder or imputer that was fitted on an array; expected col",
        ),
        (
            lambda: make_pipeline(StandardScaler(), SimpleImputer(), regressor()).fit(
                X, AMOUNTS
            ),
            "[sklearn] SimpleImputer cannot be read; expected it before scalers",
        ),
    ],
)
def test_what_no_network_is(make: Any, text: str) -> None:
    with pytest.raises(ExchangeError) as error:
        nv.from_sklearn(make())
    assert text in str(error.value)
