# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""TabularClassifier and TabularRegressor: the default for tables as estimators."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_is_fitted

from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Amounts, Classes
from nervure.sklearn._compat import Interval, TableTagsMixin, TagsMixin, fit_context
from nervure.sklearn._estimators import NeuralNetClassifier, NeuralNetRegressor
from nervure.sklearn._table_encoder import TableEncoder
from nervure.tabular import MEMBERS, default_layers, default_training

Array = npt.NDArray[Any]


class _Tabular(TableTagsMixin, BaseEstimator):
    """An encoder of columns and the estimator behind it, both made by `fit`."""

    members: int
    epochs: int | None
    n_threads: int | None
    random_state: Any
    verbose: bool
    telemetry: bool | None

    encoder_: TableEncoder
    estimator_: Any

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "members": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "telemetry": [None, "boolean"],
    }

    def _encode(self, X: Any) -> Any:
        """Learn the columns of X; its rows as numbers."""
        encoder: Any = TableEncoder(numbers="robust").fit(X)
        self.encoder_ = encoder
        self.n_features_in_ = encoder.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(encoder, "feature_names_in_"):
            self.feature_names_in_ = encoder.feature_names_in_
        return encoder.transform(X)

    def _train(
        self, make: Any, rows: Any, y: Any, outputs: int, activation: str | None
    ) -> None:
        """Fit the estimator that ``make`` gives to encoded rows."""
        training = default_training(rows.shape[0], activation)
        self.estimator_ = make(
            default_layers(
                rows.shape[1],
                outputs,
                activation,
                categories=self.encoder_.codes_,
                members=self.members,
            ),
            loss=training.loss,
            optimizer=training.optimizer,
            epochs=self.epochs or training.epochs,
            batch_size=training.batch_size,
            n_threads=self.n_threads,
            random_state=check_random_state(self.random_state).randint(2**31 - 1),
            verbose=self.verbose,
            telemetry=self.telemetry,
        ).fit(rows, y)
        self.network_ = self.estimator_.network_
        self.network_.preprocessing = Preprocessing(
            self.encoder_.record_, self._target_record()
        )
        self.loss_curve_ = self.estimator_.loss_curve_
        self.n_iter_ = self.estimator_.n_iter_
        self.findings_ = self.estimator_.findings_

    def _target_record(self) -> Classes | Amounts:
        """What the network's outputs stand for, in its model file."""
        return self.estimator_._target_record()

    def _rows(self, X: Any) -> Any:
        check_is_fitted(self, "estimator_")
        return self.encoder_.transform(X)


class TabularClassifier(TagsMixin, ClassifierMixin, _Tabular):
    """Classes of the rows of a table: `nv.tabular.default` as an estimator.

    Takes data frames with numbers, categories, dates and missing values, arrays, and
    sparse matrices, of which each column is scaled and no zero filled in;
    `TableEncoder` encodes them, numbers scaled robustly. Nothing needs to be scaled or
    chosen beforehand.

    Args:
        members: networks of the ensemble.
        epochs: passes over the data; None: as many as the rows ask for.
        class_weight: ``"balanced"`` or a mapping from labels to weights.
        n_threads: workers of the engine; the result does not depend on it.
        random_state: of weights, order and dropout.
        verbose: whether to show progress.
        telemetry: whether sampled steps are looked at, for ``findings_``; None: where
            ``verbose``.

    Attributes:
        classes_: labels in the order of the probabilities.
        encoder_, network_: the fitted `TableEncoder` and `nv.Network`.
        loss_curve_, n_iter_: training loss of every epoch, their number.
        findings_: what seems to be wrong with the training, a list of `nv.Finding`;
            empty without telemetry.
        n_features_in_, feature_names_in_

    Raises:
        ValueError: rows or a target that cannot be used.

    Source: Gorishniy, Kotelnikov, Babenko, *TabM*, ICLR (2025); Holzmüller,
    Grinsztajn, Steinwart, *Better by Default*, NeurIPS (2024).

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> TabularClassifier(random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    _own_tags = frozenset({"sparse", "multi_label"})
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_Tabular._parameter_constraints,
        "class_weight": [str, dict, None],
    }

    def __init__(
        self,
        *,
        members: int = MEMBERS,
        epochs: int | None = None,
        class_weight: Any = None,
        n_threads: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
        telemetry: bool | None = None,
    ) -> None:
        self.members = members
        self.epochs = epochs
        self.class_weight = class_weight
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose
        self.telemetry = telemetry

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Any:
        """Train on rows with labels ``(rows,)``, or 0 and 1 ``(rows, labels)``."""
        assert_all_finite(np.asarray(_required(self, y)), input_name="y")
        check_classification_targets(y)
        rows = self._encode(X)
        labels = type_of_target(y).startswith("multilabel")
        outputs = np.shape(y)[1] if labels else max(len(np.unique(np.asarray(y))), 2)
        activation = "logistic" if labels else "softmax"
        make = partial(NeuralNetClassifier, class_weight=self.class_weight)
        self._train(make, rows, y, outputs, activation)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: Any) -> Array:
        """The most probable class of each row; of labels those above one half."""
        rows = self._rows(X)
        return self.estimator_.predict(rows)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities ``(rows, classes)``, in the order of `classes_`."""
        rows = self._rows(X)
        return self.estimator_.predict_proba(rows)


class TabularRegressor(TagsMixin, RegressorMixin, _Tabular):
    """Values for the rows of a table: `nv.tabular.default` as an estimator.

    The target is standardized for training. Parameters and the other attributes are
    those of `TabularClassifier`.

    Attributes:
        target_mean_, target_scale_: of the training rows.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> TabularRegressor(random_state=0).fit(X[:300], y[:300]).predict(X[300:302]).shape
    (2,)
    """

    _own_tags = frozenset({"sparse", "multi_output"})

    def __init__(
        self,
        *,
        members: int = MEMBERS,
        epochs: int | None = None,
        n_threads: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
        telemetry: bool | None = None,
    ) -> None:
        self.members = members
        self.epochs = epochs
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose
        self.telemetry = telemetry

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Any:
        """Train on rows with values ``(rows,)`` or ``(rows, outputs)``."""
        y = _required(self, y)
        values = check_array(y, ensure_2d=False, input_name="y", dtype="float64")
        rows = self._encode(X)
        self.target_mean_ = values.mean(axis=0)
        deviation = values.std(axis=0)
        self.target_scale_ = np.where(deviation > 0, deviation, 1.0)
        y = (values - self.target_mean_) / self.target_scale_
        outputs = 1 if y.ndim == 1 else y.shape[1]
        self._train(NeuralNetRegressor, rows, y, outputs, None)
        return self

    def _target_record(self) -> Amounts:
        mean = np.atleast_1d(self.target_mean_).tolist()
        scale = np.atleast_1d(self.target_scale_).tolist()
        names = self.estimator_._target_record().names
        return Amounts(names, tuple(mean), tuple(scale))

    def predict(self, X: Any) -> Array:
        """Values of each row, ``(rows,)`` or ``(rows, outputs)``."""
        rows = self._rows(X)
        y = self.estimator_.predict(rows).astype(np.float64)
        return y * self.target_scale_ + self.target_mean_


def _required(estimator: Any, y: Any) -> Any:
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )
    return y
