# SPDX-License-Identifier: BSD-3-Clause
"""Fitted estimators of scikit-learn as networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Amounts, ArrayInput, Classes, Numeric, TableInput
from nervure.data.scaling import Affine
from nervure.exchange._fitted import (
    Doubles,
    Features,
    is_of,
    numbers,
    of_columns,
    steps_of,
    transformed,
)
from nervure.exchange.errors import ExchangeError
from nervure.layers import Dense, Input, Layer
from nervure.network.network import Network

_ACTIVATIONS = {"identity": "linear"}
"""Names that differ; the others are called alike."""


def from_sklearn(model: Any, *, dtype: str | None = None) -> Network:
    """The network of a fitted ``MLPClassifier`` or ``MLPRegressor``, alone or at the
    end of a ``Pipeline`` of scalers and encoders.

    ``net.predict`` takes what the estimator takes and gives what ``predict_proba``
    gives (of two classes the second's column), or the amounts; ``net.predict_classes``
    gives the labels. Scalers of numbers become the network's record of preprocessing,
    so that training goes on with inputs of the same scale; so do categories, whose
    order and left out levels the first layer takes. Categories that were not there in
    training are told by a warning, and are what ``handle_unknown="ignore"`` makes of
    them, or the encoder's own code.

    Args:
        model: fitted; in a pipeline behind ``StandardScaler, MinMaxScaler,
            MaxAbsScaler, RobustScaler, SimpleImputer, OneHotEncoder, OrdinalEncoder``,
            these perhaps in a ``ColumnTransformer`` of named columns.
        dtype: ``"float32"`` or ``"float64"``; by default that of the estimator.

    Raises:
        ExchangeError: another model or step, one that was not fitted, several labels
            for each row.

    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = np.array([[0.0, 3.0], [1.0, 2.0], [0.5, 9.0]]), ["no", "yes", "no"]
    >>> theirs = make_pipeline(
    ...     StandardScaler(), MLPClassifier((4,), solver="lbfgs", random_state=1)
    ... ).fit(X, y)
    >>> net = from_sklearn(theirs)
    >>> net.predict_classes(X).tolist() == theirs.predict(X).tolist()
    True
    """
    steps = steps_of(model) if is_of(model, "Pipeline") else [model]
    mlp = steps[-1]
    if not is_of(mlp, "MLPClassifier", "MLPRegressor"):
        raise ExchangeError(
            f"[sklearn] {type(mlp).__name__}; expected a fitted MLPClassifier or "
            "MLPRegressor, or a Pipeline that ends in one; for other models use their "
            "own exporters"
        )
    if not hasattr(mlp, "coefs_"):
        raise ExchangeError(
            f"[sklearn] {type(mlp).__name__} was not fitted; expected a fitted one; "
            "call fit first"
        )
    features = _features(steps)
    weights, biases = _weights(mlp, features)
    net = Network(_layers(mlp, weights), dtype=dtype or str(mlp.coefs_[0].dtype))
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        net.parameters[f"dense_{number + 1}.weight"] = weight
        net.parameters[f"dense_{number + 1}.bias"] = bias
    net.preprocessing = Preprocessing(_inputs(steps[0], features), _target(mlp))
    return net


def _features(steps: list[Any]) -> Features:
    """What the steps before the model make of raw columns."""
    first, before = steps[0], steps[:-1]
    if is_of(first, "ColumnTransformer"):
        names = getattr(first, "feature_names_in_", None)
        if names is None:
            raise ExchangeError(
                "[sklearn] a ColumnTransformer that was fitted on an array; expected "
                "columns with names; fit it on a data frame"
            )
        features, before = of_columns(list(names), first), before[1:]
    else:
        width = first.coefs_[0].shape[0] if not before else _width(first)
        named = getattr(first, "feature_names_in_", None)
        features = numbers(list(named) if named is not None else _numbered(width))
    for step in before:
        features = transformed(features, step)
    return features


def _width(step: Any) -> int:
    found = getattr(step, "n_features_in_", None)
    if found is None:
        raise ExchangeError(
            f"[sklearn] {type(step).__name__} does not say how many columns it takes; "
            "expected a fitted transformer; call fit first"
        )
    return int(found)


def _numbered(width: int) -> list[str]:
    return [f"x{i}" for i in range(width)]


def _weights(mlp: Any, features: Features) -> tuple[list[Doubles], list[Doubles]]:
    """The first layer takes what a transformer makes of the encoded columns."""
    weights = [np.asarray(w, np.float64) for w in mlp.coefs_]
    biases = [np.asarray(b, np.float64) for b in mlp.intercepts_]
    if features.matrix.shape[1] != len(weights[0]):
        raise ExchangeError(
            f"[sklearn] {features.matrix.shape[1]} features before the model; expected "
            f"{len(weights[0])}, which it was fitted on; fit the pipeline as a whole"
        )
    if not features.plain:
        biases[0] = biases[0] + features.offset @ weights[0]
        weights[0] = features.matrix @ weights[0]
    return weights, biases


def _layers(mlp: Any, weights: list[Doubles]) -> list[Layer]:
    hidden = _ACTIVATIONS.get(mlp.activation, mlp.activation)
    last = _ACTIVATIONS.get(mlp.out_activation_, mlp.out_activation_)
    names = [hidden] * (len(weights) - 1) + [last]
    dense = [
        Dense(w.shape[1], activation=name, name=f"dense_{i + 1}")
        for i, (w, name) in enumerate(zip(weights, names, strict=True))
    ]
    return [Input(len(weights[0])), *dense]


def _inputs(first: Any, features: Features) -> TableInput | ArrayInput:
    names = getattr(first, "feature_names_in_", None)
    if names is not None:
        return TableInput(tuple(map(str, names)), features.columns)
    scalings = [c.scaling for c in features.columns if isinstance(c, Numeric)]
    affine = [s for s in scalings if isinstance(s, Affine)]
    if len(affine) < len(features.columns) or any(
        isinstance(c, Numeric) and c.fill for c in features.columns
    ):
        raise ExchangeError(
            "[sklearn] an encoder or imputer that was fitted on an array; expected "
            "columns with names; fit the pipeline on a data frame"
        )
    return ArrayInput(
        (len(affine),),
        mean=tuple(s.mean for s in affine),
        deviation=tuple(s.scale for s in affine),
    )


def _target(mlp: Any) -> Classes | Amounts:
    if is_of(mlp, "MLPRegressor"):
        count = int(mlp.n_outputs_)
        names = ("target",) if count == 1 else tuple(f"y{i}" for i in range(count))
        return Amounts(names, (0.0,) * count, (1.0,) * count)
    labels = tuple(np.asarray(mlp.classes_).tolist())
    single = len(labels) == 2 and mlp.n_outputs_ == 1
    several = mlp.out_activation_ == "logistic" and not single
    if several or (len(labels) != mlp.n_outputs_ and not single):
        raise ExchangeError(
            "[sklearn] several labels for each row; expected one class; fit a model "
            "for each label"
        )
    return Classes("target", labels)
