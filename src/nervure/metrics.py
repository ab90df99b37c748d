# SPDX-License-Identifier: BSD-3-Clause
"""Metrics: how good predictions are, for people and for early stopping.

Legend: target ``(batch,)`` integer classes or ``(batch, outputs)`` values, output
``(batch, outputs)`` what the network gives, weights ``(batch,)`` or None.
The defaults are NumPy alone; the others call scikit-learn, imported when first used.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.words import unknown
from nervure.losses import Loss

Values = npt.NDArray[Any]
Weights = npt.NDArray[np.float64] | None
Function = Callable[..., Any]


@dataclass(frozen=True)
class Metric:
    """A number computed from targets and outputs, and which way is better.

    ``function(target, output, weights)``; with ``uses_threshold`` also ``threshold=``,
    the output above which a single output says yes.

    Raises:
        ValueError: when called, if the function returns something else than a number.

    >>> METRICS["accuracy"](np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]))
    0.5
    """

    name: str
    function: Function = field(repr=False)
    larger_is_better: bool = True
    uses_threshold: bool = False
    threshold: float = 0.5

    def __call__(
        self, target: npt.ArrayLike, output: npt.ArrayLike, weights: Any = None
    ) -> float:
        arrays = _aligned(self.name, target, output)
        keywords = {"threshold": self.threshold} if self.uses_threshold else {}
        found = self.function(*arrays, weights, **keywords)
        if np.size(found) != 1 or np.asarray(found).dtype.kind not in "biuf":
            raise ValueError(
                f"[metric '{self.name}'] the function returned {found!r}; expected one "
                f"number; return a float"
            )
        return float(np.asarray(found).item())

    def better(self, new: float, best: float) -> bool:
        """Whether ``new`` improves on ``best``; NaN never does.

        >>> METRICS["mse"].better(0.1, 0.2), METRICS["accuracy"].better(0.1, 0.2)
        (True, False)
        """
        if math.isnan(best):
            return not math.isnan(new)
        return new > best if self.larger_is_better else new < best


# -- in NumPy ---------------------------------------------------------------------


def accuracy(
    target: Values, output: Values, weights: Weights = None, *, threshold: float = 0.5
) -> float:
    """Share of rows whose class is right.

    Rows of several yes-or-no answers (not one-hot) count answer by answer.

    >>> accuracy(np.array([1, 0]), np.array([[0.2, 0.8], [0.1, 0.9]]))
    0.5
    """
    if _several_answers(target):
        right = ((output > threshold) == (target > 0.5)).mean(axis=1)
    else:
        right = predicted_classes(output, threshold) == target_classes(target)
    return _mean(right, weights)


def mse(target: Values, output: Values, weights: Weights = None) -> float:
    """Mean squared error, ``mean (a - t)^2``; classes count as one-hot rows."""
    return _mean(_errors(target, output) ** 2, weights)


def rmse(target: Values, output: Values, weights: Weights = None) -> float:
    """Root of the mean squared error, in units of the target."""
    return math.sqrt(mse(target, output, weights))


def mae(target: Values, output: Values, weights: Weights = None) -> float:
    """Mean absolute error, ``mean |a - t|``, in units of the target."""
    return _mean(np.abs(_errors(target, output)), weights)


def r2(target: Values, output: Values, weights: Weights = None) -> float:
    """Coefficient of determination, ``1 - sum (a - t)^2 / sum (t - mean t)^2``.

    The mean over the outputs. A constant target gives 1 if it is met and 0 if not, as
    in scikit-learn; a single row gives NaN.

    >>> r2(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [2.0]]))
    0.5
    """
    if len(target) < 2:
        return math.nan
    rows = _rows(target, output)
    residual = np.average((output - rows) ** 2, axis=0, weights=weights)
    mean = np.average(rows, axis=0, weights=weights)
    total = np.average((rows - mean) ** 2, axis=0, weights=weights)
    varies = total > 0
    ratio = residual / np.where(varies, total, 1)
    return float(np.where(varies, 1 - ratio, residual == 0).mean())


# -- through scikit-learn -----------------------------------------------------------


def top_k_accuracy(k: int = 5) -> Metric:
    """Share of rows whose class is among the ``k`` largest outputs.

    Raises:
        ValueError: ``k`` is below 1.

    >>> top_k_accuracy(2)(np.array([2]), np.array([[0.5, 0.1, 0.4]]))
    1.0
    """
    if k < 1:
        raise ValueError(f"[metrics] k = {k}; expected at least 1; use k=5")

    def function(target: Values, output: Values, weights: Weights) -> float:
        classes, outputs = target_classes(target), output.shape[1]
        if k >= outputs:
            return 1.0
        if outputs == 2:  # scikit-learn takes these as one score
            return accuracy(classes, output, weights)
        score = _sklearn().top_k_accuracy_score
        labels = range(outputs)
        return score(classes, output, k=k, labels=labels, sample_weight=weights)

    return Metric(f"top_{k}_accuracy", function)


def balanced_accuracy(
    target: Values, output: Values, weights: Weights = None, *, threshold: float = 0.5
) -> float:
    """Mean over the classes present of the share of each that is found."""
    found = predicted_classes(output, threshold)
    classes = target_classes(target)
    recall = _sklearn().recall_score
    present = np.unique(classes)
    return recall(
        classes,
        found,
        labels=present,
        average="macro",
        sample_weight=weights,
        zero_division=0,
    )


def _macro(name: str) -> Function:
    """scikit-learn's score of this name, averaged over the classes."""

    def function(
        target: Values, output: Values, weights: Weights, *, threshold: float = 0.5
    ) -> float:
        score = getattr(_sklearn(), name)
        if _several_answers(target):
            pair = (target > 0.5).astype(int), (output > threshold).astype(int)
        else:
            pair = target_classes(target), predicted_classes(output, threshold)
        return score(*pair, average="macro", sample_weight=weights, zero_division=0)

    return function


def auc(target: Values, output: Values, weights: Weights = None) -> float:
    """Area under the ROC curve: chance that a yes scores above a no.

    Several classes: each against the rest, macro average. NaN where a class is absent.

    Source: Fawcett, *Pattern Recognition Letters* 27 (2006), sec. 7 and 9.

    >>> auc(np.array([0, 1, 1]), np.array([[0.2], [0.6], [0.1]]))
    0.5
    """
    score = _sklearn().roc_auc_score
    if _several_answers(target):
        answers = target > 0.5
        if not (answers.any(axis=0) & ~answers.all(axis=0)).all():
            return math.nan
        return score(answers, output, average="macro", sample_weight=weights)
    classes, outputs = target_classes(target), output.shape[1]
    if len(np.unique(classes)) < max(2, outputs):
        return math.nan
    if outputs <= 2:
        return score(classes, output[:, -1], sample_weight=weights)
    rows = _unit_rows(output)
    return score(
        classes,
        rows,
        multi_class="ovr",
        labels=range(outputs),
        sample_weight=weights,
    )


def log_loss(target: Values, output: Values, weights: Weights = None) -> float:
    """Mean of ``-log p`` of the right class; the output must be probabilities."""
    rows = probabilities(output)
    if rows.shape[1] == 1:
        rows = np.hstack([1 - rows, rows])
    labels, score = range(rows.shape[1]), _sklearn().log_loss
    classes = target_classes(target)
    return score(classes, _unit_rows(rows), labels=labels, sample_weight=weights)


def confusion_matrix(
    target: npt.ArrayLike,
    output: npt.ArrayLike,
    weights: Weights = None,
    *,
    threshold: float = 0.5,
) -> Values:
    """Counts (or weights) of rows by true class (row) and predicted class (column).

    A table and not a number, so it is no `Metric`.

    >>> confusion_matrix([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]).tolist()
    [[1, 0], [1, 1]]
    """
    known, given = _aligned("confusion_matrix", target, output)
    found, classes = predicted_classes(given, threshold), target_classes(known)
    count = max(2, given.shape[1])
    one = np.int64(1) if weights is None else weights
    table = np.zeros((count, count), np.asarray(one).dtype)
    np.add.at(table, (classes, found), one)
    return table


# -- registry -----------------------------------------------------------------------

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", accuracy, uses_threshold=True),
        replace(top_k_accuracy(5), name="top_k_accuracy"),
        Metric("balanced_accuracy", balanced_accuracy, uses_threshold=True),
        Metric("precision", _macro("precision_score"), uses_threshold=True),
        Metric("recall", _macro("recall_score"), uses_threshold=True),
        Metric("f1", _macro("f1_score"), uses_threshold=True),
        Metric("auc", auc),
        Metric("log_loss", log_loss, larger_is_better=False),
        Metric("mse", mse, larger_is_better=False),
        Metric("rmse", rmse, larger_is_better=False),
        Metric("mae", mae, larger_is_better=False),
        Metric("r2", r2),
    )
}
"""Every metric by name."""


def metric(
    found: str | Metric | Callable[..., Any],
    loss: Loss | None = None,
    where: str = "metrics",
) -> Metric:
    """The metric that a name, a metric or a function stands for.

    A function takes (target, output) or (target, output, weights); larger is taken as
    better unless it has an attribute ``larger_is_better = False``. ``loss`` tells where
    a single output turns from no to yes.

    Raises:
        ValueError: an unknown name (the candidates are listed), or no metric at all.

    >>> metric("f1").larger_is_better
    True
    """
    if isinstance(found, Metric):
        chosen = found
    elif isinstance(found, str):
        if found == "confusion_matrix":
            raise ValueError(
                f"[{where}] confusion_matrix is a table; expected a metric that is one "
                f"number; call nervure.metrics.confusion_matrix on the predictions"
            )
        if found not in METRICS:
            raise ValueError(unknown(where, "metric", found, METRICS))
        chosen = METRICS[found]
    elif callable(found):
        chosen = _own(found)
    else:
        raise ValueError(
            f"[{where}] metric {found!r}; expected a name, a Metric or a function; use "
            f"one of {', '.join(sorted(METRICS))}"
        )
    return chosen if loss is None else replace(chosen, threshold=loss.threshold)


def default_metrics(loss: Loss, *, classes: bool = False) -> tuple[Metric, ...]:
    """What to watch besides the loss: accuracy for classes, r2 for values.

    ``classes`` says that the targets were classes although the loss is one of values
    (quadratic on one-hot rows).

    >>> from nervure.losses import loss
    >>> [m.name for m in default_metrics(loss("huber"))]
    ['r2']
    """
    if classes or loss.task == "classification":
        return (metric("accuracy", loss),)
    if loss.kind in ("quadratic", "mse", "mae", "huber", "log_cosh"):
        return (METRICS["r2"],)
    return ()


# -- helpers --------------------------------------------------------------------------


def target_classes(target: Values) -> npt.NDArray[np.int64]:
    """Classes of targets: as they are, of one-hot rows, or of one column (> 0 is 1).

    >>> target_classes(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """
    if target.ndim == 2:
        return predicted_classes(target, 0.0 if (target < 0).any() else 0.5)
    return np.asarray(target, np.int64)


def predicted_classes(output: Values, threshold: float = 0.5) -> npt.NDArray[np.int64]:
    """Classes of outputs: the largest of several, or whether the one is above it."""
    if output.shape[1] == 1:
        return np.asarray(output[:, 0] > threshold, np.int64)
    return np.argmax(output, axis=1)


def probabilities(output: Values) -> Values:
    """Outputs as probabilities: log-probabilities, which are never positive, are exp'd.

    >>> probabilities(np.log([[0.25, 0.75]])).tolist()
    [[0.25, 0.75]]
    """
    several = output.shape[1] > 1
    return np.exp(output) if several and (output <= 0).all() else output


def _unit_rows(output: Values) -> Values:
    """Probabilities in float64, rescaled: float32 rows miss a sum of 1 by a little."""
    rows = probabilities(output).astype(np.float64)
    return rows / rows.sum(axis=1, keepdims=True)


def _several_answers(target: Values) -> bool:
    """Whether rows answer several questions, instead of naming one class."""
    if target.ndim != 2 or target.shape[1] < 2:
        return False
    return not np.allclose(target.sum(axis=1), 1)


def _rows(target: Values, output: Values) -> Values:
    """Targets like outputs, as doubles: classes become one-hot rows."""
    if target.ndim == 2:
        return np.asarray(target, np.float64)
    if output.shape[1] == 1:
        return np.asarray(target[:, None], np.float64)
    return np.asarray(target[:, None] == np.arange(output.shape[1]), np.float64)


def _errors(target: Values, output: Values) -> Values:
    return output - _rows(target, output)


def _mean(values: Values, weights: Weights) -> float:
    """Weighted mean over the rows, of their means over the outputs."""
    per_row = values if values.ndim == 1 else values.mean(axis=1, dtype=np.float64)
    return float(np.average(per_row, weights=weights))


def _aligned(
    name: str, target: npt.ArrayLike, output: npt.ArrayLike
) -> tuple[Values, Values]:
    """Both with one row per sample; a 1-D output is one column."""
    known, given = np.asarray(target), np.asarray(output)
    if known.ndim == 0 or given.ndim == 0 or len(known) != len(given) or not len(known):
        raise ValueError(
            f"[metric '{name}'] target of shape {known.shape} and output of shape "
            f"{given.shape}; expected the same number of rows, at least one; give one "
            f"target per prediction"
        )
    if known.ndim > 1:
        known = known.reshape(len(known), -1)
    return known, given.reshape(len(given), -1)


def _own(function: Callable[..., Any]) -> Metric:
    """A user's function as a metric."""
    name = getattr(function, "__name__", type(function).__name__)
    larger = bool(getattr(function, "larger_is_better", True))
    takes_weights = _third_parameter(function)

    def called(target: Values, output: Values, weights: Weights) -> object:
        if takes_weights:
            return function(target, output, weights)
        if weights is not None:
            raise ValueError(
                f"[metric '{name}'] weights are given, but the function takes (target, "
                f"output); expected a third parameter; add weights"
            )
        return function(target, output)

    return Metric(name, called, larger)


def _third_parameter(function: Callable[..., Any]) -> bool:
    """Whether the third positional parameter is ``weights`` or has no default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in callables tell nothing
        return False
    plain = [p for p in parameters if p.kind in (0, 1)]
    third = plain[2] if len(plain) > 2 else None
    return third is not None and (
        third.name == "weights" or third.default is third.empty
    )


def _sklearn() -> Any:
    """scikit-learn's metrics; slow to import, so not at the top."""
    return importlib.import_module("sklearn.metrics")
