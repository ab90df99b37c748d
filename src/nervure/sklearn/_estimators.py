# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""NeuralNetClassifier and NeuralNetRegressor: any network as an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import column_or_1d, compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from nervure.data.records import Amounts, Classes
from nervure.losses import Hinge
from nervure.sklearn._architecture import Head, given_loss
from nervure.sklearn._base_net import BaseNet, steps_by_batches
from nervure.sklearn._compat import TagsMixin, fit_context

Array = npt.NDArray[Any]

_LABELS = {str, bool, int, float}

EvalSet = Any
"""``(X, y)`` or ``(X, y, sample_weight)``."""


def _gives_probabilities(estimator: Any) -> bool:
    if isinstance(given_loss(estimator.loss), Hinge):
        raise AttributeError("predict_proba needs probabilities; hinge gives scores.")
    return True


class NeuralNetClassifier(TagsMixin, ClassifierMixin, BaseNet):
    """Any network as a classifier: two or more classes, or several labels per row.

    Args:
        layers: list of layers, function ``(input_shape, outputs)`` that returns one or
            a network, an `nv.Network` (copied; training begins from its weights), the
            path of a spec file, or a name of the zoo (``"resnet20"``), for which rows
            are square images, gray or of three colours. A list needs no `Input` and no
            output layer: a softmax or logistic one is put on top unless it ends in one.
            For sequences it is to make one row of them: ``[nv.LSTM(32)]``. None: 100
            nodes; for sequences two recurrent layers in both directions, behind an
            embedding where steps look like codes, else a scaling by the steps of X.
        loss: name, table or `Loss`; by default the one that fits the output.
        optimizer: name, table or `Optimizer`, with its schedule.
        epochs: passes over the data.
        batch_size: rows per step; ``"auto"`` is a 16th of the rows, from 32 to 200.
        early_stopping: True, a number of epochs to wait for, or `nv.EarlyStopping`; it
            looks at ``eval_set`` of `fit`, or at ``validation_fraction`` of the rows.
        validation_fraction: share of the rows held out for it, in [0, 1); 0 looks at
            the training loss.
        callbacks: `nv.Callback` objects or functions of the run.
        metrics: names, metrics or functions, measured after each epoch.
        regularizer: `nv.L1`, `nv.L2`, `nv.ElasticNet`, `nv.MaxNorm`.
        class_weight: ``"balanced"`` or a mapping from labels to weights, in the loss;
            metrics are plain.
        shuffle: whether each epoch takes the rows in a new order.
        dtype: ``"float32"``, ``"float64"``, or ``"auto"``: that of X.
        executor: ``"native"`` or ``"jax"``.
        n_threads: workers of the engine; the result does not depend on it.
        warm_start: whether `fit` goes on from the weights there are.
        random_state: of weights, order, dropout and split.
        verbose: whether to show progress.
        table_encoder: a `TableEncoder` for data frames; "auto": a plain one for those
            that hold text, categories, dates or missing values; None: frames hold
            numbers. Codes are embedded by the network's first layer.
        telemetry: whether sampled steps are looked at, for ``findings_``; None: where
            progress is shown.

    Attributes:
        network_: the trained `nv.Network`.
        findings_: what seems to be wrong with the training, a list of `nv.Finding`;
            empty without telemetry.
        classes_: labels in the order of the probabilities.
        history_: series by name, one value per epoch; ``loss_curve_`` is the loss.
        n_iter_, best_epoch_, stopped_: epochs; the best, from 0; why it ended early.
        table_encoder_: the encoder of data frames, where there is one.
        n_features_in_, feature_names_in_

    Raises:
        ValueError: layers, arguments or data that do not fit.
        DivergenceError: the loss is no longer finite.

    >>> import nervure as nv
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NeuralNetClassifier([nv.Dense(16, activation="tanh")], random_state=0)
    >>> model.fit(X, y).predict_proba(X[:1]).shape
    (1, 3)
    >>> steps = [[[1.0], [2.0]], [[2.0], [1.0], [0.0]]]  # one list of steps for a row
    >>> model = NeuralNetClassifier([nv.GRU(4)], random_state=0)
    >>> model.fit(steps, ["up", "down"]).predict(steps).tolist()
    ['up', 'down']
    """

    _own_tags = frozenset({"sparse", "multi_label"})
    _numeric = False

    def __init__(
        self,
        layers: Any = None,
        *,
        loss: Any = None,
        optimizer: Any = "adam",
        epochs: int = 100,
        batch_size: Any = "auto",
        early_stopping: Any = None,
        validation_fraction: float = 0.1,
        callbacks: Any = (),
        metrics: Any = (),
        regularizer: Any = None,
        class_weight: Any = None,
        shuffle: bool = True,
        dtype: str = "auto",
        executor: str = "native",
        n_threads: int | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
        table_encoder: Any = "auto",
        telemetry: bool | None = None,
    ) -> None:
        self._store(locals())

    # -- the target -----------------------------------------------------------------

    def _checked_target(self, y: Any) -> Array:
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if y.ndim == 2 and not type_of_target(y).startswith("multilabel"):
            raise ValueError(
                "Multioutput target data is not supported: give one column of classes "
                "or a matrix of 0 and 1, one column per label"
            )
        return y

    def _learn_target(self, y: Any) -> None:
        several = y.ndim == 2
        self._learn_classes(np.arange(y.shape[1]) if several else np.unique(y), several)

    def _learn_classes(self, classes: Array, multilabel: bool) -> None:
        self.classes_ = classes
        self.n_classes_ = len(classes)
        task = "multilabel" if multilabel else "multiclass"
        if not multilabel and len(classes) <= 2:
            task = "binary"
        self._task = task

    def _target_record(self) -> Classes | Amounts:
        labels = self.classes_.tolist()
        kinds = {type(label) for label in labels}
        if self._task == "multilabel" or len(kinds) > 1 or not kinds <= _LABELS:
            names = tuple(f"y{i}" for i in range(self._head().outputs))
            return Amounts(names, (0.0,) * len(names), (1.0,) * len(names))
        return Classes("y", tuple(labels))

    def _head(self) -> Head:
        outputs = 1 if self._task == "binary" else len(self.classes_)
        return Head.of(self._task, outputs, self._given_loss())

    def _encoded(self, y: Any) -> Array:
        if self._task == "multilabel":
            if y.ndim != 2 or y.shape[1] != len(self.classes_):
                raise ValueError(
                    f"y has shape {y.shape}; expected one column per label"
                )
            return np.asarray(y, dtype=np.float64)
        if y.ndim != 1:
            raise ValueError(f"y has shape {y.shape}; expected one class per row")
        index = np.searchsorted(self.classes_, y)
        index = np.minimum(index, len(self.classes_) - 1)
        strangers = self.classes_[index] != y
        if np.any(strangers):
            raise ValueError(
                f"`y` has classes not in `self.classes_`: {np.unique(y[strangers])}; "
                f"expected those of the first fit, {self.classes_}"
            )
        return index.astype(np.int32)

    def _row_weights(self, y: Any, sample_weight: Any) -> Any:
        """Weights of rows; those of several labels are weights of their rows too."""
        if self.class_weight is None or self._task != "multilabel":
            return sample_weight
        own = compute_sample_weight(self.class_weight, y)
        return own if sample_weight is None else own * np.asarray(sample_weight)

    def _weights_of_classes(self, y: Any) -> Array | None:
        if self.class_weight is None or self._task == "multilabel":
            return None
        if self.class_weight != "balanced":
            return compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        found = np.unique(y)
        weights = np.ones(len(self.classes_))
        weights[np.searchsorted(self.classes_, found)] = compute_class_weight(
            "balanced", classes=found, y=y
        )
        return weights

    # -- fit ------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, eval_set: EvalSet = None
    ) -> Any:
        """Train the network.

        Args:
            X: array, data frame or sparse matrix ``(rows, features)``; images ``(rows,
                height, width, channels)``, whose values are read as they are.
                Sequences of any lengths, without padding: a list or object array of
                arrays ``(time, features)``, an `nv.Ragged`, or a data frame whose one
                column holds lists or arrays. Lists of numbers that are all equally
                long are rows of a table; give arrays ``(time, 1)`` there.
            y: labels ``(rows,)``, or 0 and 1 ``(rows, labels)``.
            sample_weight: weights of the rows.
            eval_set: ``(X, y)`` or ``(X, y, sample_weight)``, measured after each
                epoch.

        Returns:
            The estimator.
        """
        return self._fit(X, y, sample_weight, eval_set)

    @available_if(steps_by_batches)
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        eval_set: EvalSet = None,
    ) -> Any:
        """Go on with one epoch over the given rows; the optimizer keeps its state.

        With ``early_stopping`` and ``eval_set`` the best epoch is tracked over the
        calls; when patience ends its weights are taken, ``stopped_`` says so, and
        further calls change nothing.

        Args:
            classes: all labels that may come; needed in the first call.
        """
        if "classes_" not in self.__dict__:
            if classes is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit."
                )
            several = type_of_target(y).startswith("multilabel")
            self._learn_classes(np.unique(classes), several)
        elif classes is not None and not np.array_equal(
            self.classes_, np.unique(classes)
        ):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to "
                f"partial_fit, was: {self.classes_!r}"
            )
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does "
                "not see all rows; give the weights as a mapping"
            )
        return self._partial_fit(X, y, sample_weight, eval_set)

    # -- predict --------------------------------------------------------------------

    @property
    def _threshold(self) -> float:
        return 0.0 if isinstance(self._given_loss(), Hinge) else 0.5

    def predict(self, X: Any) -> Array:
        """The most probable class of each row; of labels those above one half."""
        output = self._outputs(X)
        if self._task == "multilabel":
            return (output > self._threshold).astype(np.intp)
        if output.shape[1] > 1:
            return self.classes_[output.argmax(axis=1)]
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(output))
        return self.classes_[(output[:, 0] > self._threshold).astype(np.intp)]

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Probabilities ``(rows, classes)``, in the order of `classes_`."""
        output = self._outputs(X)
        graph = self.network_.graph
        if graph.nodes[graph.outputs[0]].layer.kind == "log_softmax":
            output = np.exp(output, out=output)
        if output.shape[1] > 1 or self._task == "multilabel":
            return output
        if len(self.classes_) == 1:
            return np.ones_like(output)
        return np.column_stack([1 - output[:, 0], output[:, 0]])

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


class NeuralNetRegressor(TagsMixin, RegressorMixin, BaseNet):
    """Any network as a regressor: one or several values per row, or quantiles.

    With ``loss=nv.losses.Pinball((0.1, 0.5, 0.9))`` the columns of `predict` are the
    quantiles. The other parameters and attributes are those of `NeuralNetClassifier`.

    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> model = NeuralNetRegressor(epochs=300, random_state=0).fit(X, X[:, 0] ** 2)
    >>> model.predict([[0.5]]).shape
    (1,)
    """

    _own_tags = frozenset({"sparse", "multi_output"})

    def __init__(
        self,
        layers: Any = None,
        *,
        loss: Any = None,
        optimizer: Any = "adam",
        epochs: int = 100,
        batch_size: Any = "auto",
        early_stopping: Any = None,
        validation_fraction: float = 0.1,
        callbacks: Any = (),
        metrics: Any = (),
        regularizer: Any = None,
        shuffle: bool = True,
        dtype: str = "auto",
        executor: str = "native",
        n_threads: int | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
        table_encoder: Any = "auto",
        telemetry: bool | None = None,
    ) -> None:
        self._store(locals())

    def _checked_target(self, y: Any) -> Array:
        return y

    def _learn_target(self, y: Any) -> None:
        self._task = "regression"
        self._column = y.ndim == 1
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]

    def _target_record(self) -> Classes | Amounts:
        count = self._head().outputs
        names = tuple(f"y{i}" for i in range(count)) if count > 1 else ("y",)
        return Amounts(names, (0.0,) * count, (1.0,) * count)

    def _head(self) -> Head:
        return Head.of(self._task, self.n_outputs_, self._given_loss())

    def _encoded(self, y: Any) -> Array:
        wanted = 1 if y.ndim == 1 else y.shape[1]
        if wanted != self.n_outputs_:
            raise ValueError(
                f"y has {wanted} outputs; expected {self.n_outputs_}, as in the first "
                "fit"
            )
        return np.asarray(y, dtype=np.float64).reshape(len(y), wanted)

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, eval_set: EvalSet = None
    ) -> Any:
        """Train the network; see `NeuralNetClassifier.fit`.

        Args:
            y: values ``(rows,)`` or ``(rows, outputs)``.
        """
        return self._fit(X, y, sample_weight, eval_set)

    @available_if(steps_by_batches)
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, eval_set: EvalSet = None
    ) -> Any:
        """Go on with one epoch over the given rows; the optimizer keeps its state."""
        return self._partial_fit(X, y, sample_weight, eval_set)

    def predict(self, X: Any) -> Array:
        """Values of each row, ``(rows,)`` or ``(rows, outputs or quantiles)``."""
        output = self._outputs(X)
        single = self._column and output.shape[1] == 1
        return output[:, 0] if single else output
