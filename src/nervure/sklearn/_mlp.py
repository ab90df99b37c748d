# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""MLPClassifier and MLPRegressor as scikit-learn has them, on nervure's engine.

The same parameters, attributes, defaults and random streams; float64 data give the
weights that scikit-learn gives, up to rounding.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from nervure.metrics import r2
from nervure.sklearn._base_mlp import BaseMLP, steps_by_batches
from nervure.sklearn._compat import StrOptions, TagsMixin, fit_context, validate_data

Array = npt.NDArray[Any]


class MLPClassifier(TagsMixin, ClassifierMixin, BaseMLP):
    """Multi-layer perceptron for classes: scikit-learn's class on nervure's engine.

    Softmax and cross-entropy for several classes, one logistic output for two, one for
    each label of an indicator matrix; see `sklearn.neural_network.MLPClassifier` for
    every parameter and attribute.

    Args:
        hidden_layer_sizes: nodes of each hidden layer.
        activation: ``"identity"``, ``"logistic"``, ``"tanh"`` or ``"relu"``.
        solver: ``"adam"``, ``"sgd"`` or ``"lbfgs"``.
        alpha: strength of ``alpha / (2 n) |W|^2`` in the loss of a batch of n rows.
        batch_size: rows per step; ``"auto"`` is ``min(200, rows)``.
        learning_rate: ``"constant"``, ``"invscaling"`` or ``"adaptive"``, for sgd.
        learning_rate_init: the first learning rate.
        power_t: exponent of ``"invscaling"``.
        max_iter: most epochs, or iterations of lbfgs.
        shuffle: whether each epoch takes the rows in a new order.
        random_state: of weights, order and split.
        tol: smallest improvement that counts.
        verbose: whether to print the loss of each epoch.
        warm_start: whether `fit` goes on from the weights there are.
        momentum, nesterovs_momentum: of sgd; the momentum in [0, 1].
        early_stopping: whether a held-out score decides when to stop.
        validation_fraction: share held out, in [0, 1).
        beta_1, beta_2, epsilon: of adam; both betas in [0, 1).
        n_iter_no_change: epochs without improvement that are waited for.
        max_fun: most evaluations of the loss by lbfgs.
        class_weight: ``"balanced"`` or a mapping from labels to weights, in the loss;
            not in scikit-learn.
        telemetry: whether sampled steps are looked at, for ``findings_``; None: where
            ``verbose``; not in scikit-learn.

    Attributes:
        coefs_, intercepts_: weights ``(inputs, units)`` and biases of each layer.
        classes_: the labels, in the order of the probabilities.
        loss_, best_loss_, loss_curve_: the loss now, at its lowest, and of each epoch.
        validation_scores_, best_validation_score_: with early stopping.
        n_iter_, t_: epochs, and samples seen.
        n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        findings_: what seems to be wrong with the fit, a list of `nv.Finding`; empty
            without telemetry.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier((32,), random_state=1, tol=0.01)
    >>> model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.8
    True
    """

    _own_tags = frozenset({"sparse", "multi_label"})
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    class_weight: Any

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        telemetry: bool | None = None,
    ) -> None:
        self._store(locals())

    def _output_activation(self) -> str:
        several = self._label_binarizer.y_type_ == "multiclass"
        return "softmax" if several else "logistic"

    def _validate_input(
        self, X: Any, y: Any, incremental: bool, reset: bool
    ) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._learn_classes(y)
        else:
            self._check_classes(unique_labels(y))
        return X, self._encoded(y)

    def _encoded(self, y: Any) -> Array:
        """Index of the class ``(rows,)``, or yes and no ``(rows, outputs)``."""
        kind = self._label_binarizer.y_type_
        if y.ndim > 1 or kind not in ("binary", "multiclass"):
            return self._label_binarizer.transform(y).astype(bool)
        index = np.searchsorted(self.classes_, y)
        return index.astype(bool).reshape(-1, 1) if kind == "binary" else index

    def _cost_weights(self, y: Array, weights: Any) -> Any:
        if self.class_weight is None:
            return weights
        several = y.ndim > 1 and y.shape[1] > 1
        labels = y if several else self.classes_[y.reshape(len(y)).astype(np.intp)]
        own = compute_sample_weight(self.class_weight, labels)
        return own if weights is None else own * weights

    def _count_outputs(self, y: Array) -> int:
        return len(self.classes_) if y.ndim == 1 else y.shape[1]

    def _learn_classes(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _check_classes(self, classes: Array) -> None:
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same "
                "classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    @available_if(steps_by_batches)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> Any:
        """Go on with one epoch over the given rows.

        Args:
            X, y, sample_weight: as for `fit`.
            classes: all labels that may come; needed in the first call.

        Returns:
            The estimator.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight {self.class_weight!r} is not supported for partial_fit, "
                "which does not see all rows; give the weights as a mapping"
            )
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit."
                )
            indicators = type_of_target(y).startswith("multilabel")
            self._learn_classes(y if indicators else np.asarray(classes))
        elif classes is not None:
            given = unique_labels(classes)
            if not np.array_equal(self.classes_, given):
                raise ValueError(
                    f"`classes={classes!r}` is not the same as on last call to "
                    f"partial_fit, was: {self.classes_!r}"
                )
        return self._fit(X, y, sample_weight, incremental=True)

    def _score_of(self, output: Array, y: Array, weights: Any) -> float:
        """Accuracy; of several labels all must be right."""
        if self.out_activation_ == "softmax":
            right = output.argmax(axis=1) == y
        else:
            right = ((output > 0.5) == y).all(axis=1)
        return float(np.average(right, weights=weights))

    def predict(self, X: Any) -> Array:
        """The most probable class of each row; of labels those above one half."""
        output = self._outputs(X)
        if self.out_activation_ == "softmax":
            return self.classes_[output.argmax(axis=1)]
        if self.n_outputs_ > 1:
            return cast(Array, self._label_binarizer.inverse_transform(output))
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(output))
        return self.classes_[(output[:, 0] > 0.5).astype(np.intp)]

    def predict_proba(self, X: Any) -> Array:
        """Probabilities ``(rows, classes)``, in the order of `classes_`."""
        output = self._outputs(X)
        if self.n_outputs_ > 1:
            return output
        both = np.empty((len(output), 2), output.dtype)
        both[:, 1] = output[:, 0]
        np.subtract(1, both[:, 1], out=both[:, 0])
        return both

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities."""
        found = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(found, out=found)


class MLPRegressor(TagsMixin, RegressorMixin, BaseMLP):
    """Multi-layer perceptron for values: scikit-learn's class on nervure's engine.

    See `MLPClassifier` here for the parameters, and
    `sklearn.neural_network.MLPRegressor` for every attribute.

    Args:
        loss: ``"squared_error"``, or ``"poisson"`` for rates (``y >= 0``), whose
            outputs are ``exp`` of the last weighted sums.

    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = MLPRegressor(solver="lbfgs", random_state=0).fit(X, X[:, 0] ** 2)
    >>> model.predict([[0.5]]).round(2).tolist()
    [0.25]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    loss: str

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        telemetry: bool | None = None,
    ) -> None:
        self._store(locals())

    def _output_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _validate_input(
        self, X: Any, y: Any, incremental: bool, reset: bool
    ) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y.reshape(len(y), -1)

    def _count_outputs(self, y: Array) -> int:
        return y.shape[1]

    @available_if(steps_by_batches)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Go on with one epoch over the given rows."""
        return self._fit(X, y, sample_weight, incremental=True)

    def _score_of(self, output: Array, y: Array, weights: Any) -> float:
        return r2(y, output, weights)

    def predict(self, X: Any) -> Array:
        """The value of each row, ``(rows,)`` or ``(rows, outputs)``."""
        output = self._outputs(X)
        return output[:, 0] if output.shape[1] == 1 else output
