# SPDX-License-Identifier: BSD-3-Clause
"""Estimators for scikit-learn, trained by nervure's engine.

`MLPClassifier` and `MLPRegressor` take the place of scikit-learn's two classes;
`NeuralNetClassifier` and `NeuralNetRegressor` train any network,
`TabularClassifier` and `TabularRegressor` bring one that is good on tables as they are,
`AutoencoderTransformer` learns codes, and `TableEncoder` makes rows of data frames.

>>> from sklearn.datasets import load_iris
>>> from nervure.sklearn import MLPClassifier
>>> X, y = load_iris(return_X_y=True)
>>> MLPClassifier(max_iter=900, random_state=0).fit(X, y).score(X, y) > 0.95
True
"""

from __future__ import annotations

from nervure.base.extras import needed

needed("sklearn", "nervure.sklearn")  # before what imports it

# ruff: noqa: E402
from nervure.sklearn._autoencoder import AutoencoderTransformer
from nervure.sklearn._estimators import NeuralNetClassifier, NeuralNetRegressor
from nervure.sklearn._mlp import MLPClassifier, MLPRegressor
from nervure.sklearn._table_encoder import TableEncoder
from nervure.sklearn._tabular import TabularClassifier, TabularRegressor

__all__ = [
    "AutoencoderTransformer",
    "MLPClassifier",
    "MLPRegressor",
    "NeuralNetClassifier",
    "NeuralNetRegressor",
    "TableEncoder",
    "TabularClassifier",
    "TabularRegressor",
]
