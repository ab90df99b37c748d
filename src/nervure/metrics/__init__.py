# SPDX-License-Identifier: BSD-3-Clause
"""Metrics: how good predictions are, for people and for early stopping.

Legend: target ``(batch,)`` integer classes or ``(batch, outputs)`` values, output
``(batch, outputs)`` what the network gives, weights ``(batch,)`` or None. All of them
are NumPy alone, with the values of scikit-learn, whose import takes longer than many a
training.

>>> import numpy as np
>>> METRICS["f1"](np.array([0, 1, 1]), np.array([[0.2], [0.9], [0.4]]))
0.6666666666666666
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nervure.base.order import positional, target_comes_first
from nervure.base.words import unknown
from nervure.losses import CTC, Loss
from nervure.metrics._classes import (
    predicted_classes,
    probabilities,
    several_answers,
    target_classes,
)
from nervure.metrics._metric import Function, Metric, Values, Weights
from nervure.metrics.classification import (
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    log_loss,
    macro,
    positive,
    shares,
    top_k_accuracy,
)
from nervure.metrics.labels import best_path, edit_distances, label_error_rate
from nervure.metrics.ranking import auc, average_precision
from nervure.metrics.regression import mae, mse, r2, rmse

__all__ = [
    "METRICS",
    "Metric",
    "accuracy",
    "auc",
    "average_precision",
    "balanced_accuracy",
    "best_path",
    "confusion_matrix",
    "default_metrics",
    "edit_distances",
    "label_error_rate",
    "log_loss",
    "mae",
    "metric",
    "mse",
    "predicted_classes",
    "probabilities",
    "r2",
    "rmse",
    "several_answers",
    "shares",
    "target_classes",
    "top_k_accuracy",
]


def _of_classes(name: str, function: Function) -> Metric:
    return Metric(name, function, uses_threshold=True, uses_answers=True)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _of_classes("accuracy", accuracy),
        replace(top_k_accuracy(5), name="top_k_accuracy"),
        Metric(
            "balanced_accuracy",
            balanced_accuracy,
            uses_threshold=True,
            uses_answers=True,
        ),
        Metric(
            "precision", positive("precision"), uses_threshold=True, uses_answers=True
        ),
        _of_classes("recall", positive("recall")),
        _of_classes("f1", positive("f1")),
        Metric(
            "macro_precision",
            macro("precision"),
            uses_threshold=True,
            uses_answers=True,
        ),
        _of_classes("macro_recall", macro("recall")),
        _of_classes("macro_f1", macro("f1")),
        Metric("auc", auc, uses_answers=True),
        Metric("average_precision", average_precision, uses_answers=True),
        Metric("log_loss", log_loss, False, uses_answers=True),
        Metric("label_error_rate", label_error_rate, False, of_labels=True),
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
    *,
    answers: bool | None = None,
) -> Metric:
    """The metric that a name, a metric or a function stands for.

    A function takes (target, output) or (target, output, weights), or the first two
    the other way round where their names say so, as (y_pred, y_true); larger is taken
    as better unless it has an attribute ``larger_is_better = False``. ``loss`` tells
    where a single output turns from no to yes, ``answers`` whether rows answer several
    yes-or-no questions (see `Metric`).

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
    chosen = chosen if answers is None else replace(chosen, answers=answers)
    if isinstance(loss, CTC):
        chosen = replace(chosen, blank=loss.blank)
    return chosen if loss is None else replace(chosen, threshold=loss.threshold)


def default_metrics(
    loss: Loss, *, classes: bool = False, answers: bool | None = None
) -> tuple[Metric, ...]:
    """What to watch besides the loss: accuracy for classes, r2 for values, the label
    error rate for sequences of labels.

    ``classes`` says that the targets were classes although the loss is one of values
    (quadratic on one-hot rows).

    >>> from nervure.losses import loss
    >>> [m.name for m in default_metrics(loss("huber"))]
    ['r2']
    """
    if loss.aligns:
        return (metric("label_error_rate", loss),)
    if classes or loss.task == "classification":
        return (metric("accuracy", loss, answers=answers),)
    if loss.kind in ("quadratic", "mse", "mae", "huber", "log_cosh"):
        return (METRICS["r2"],)
    return ()


def _own(function: Callable[..., Any]) -> Metric:
    """A user's function as a metric."""
    name = getattr(function, "__name__", type(function).__name__)
    larger = bool(getattr(function, "larger_is_better", True))
    takes_weights = _third_parameter(function)
    forward = target_comes_first(function) is not False

    def called(target: Values, output: Values, weights: Weights) -> object:
        pair = (target, output) if forward else (output, target)
        if takes_weights:
            return function(*pair, weights)
        if weights is not None:
            raise ValueError(
                f"[metric '{name}'] weights are given, but the function takes (target, "
                f"output); expected a third parameter; add weights"
            )
        return function(*pair)

    return Metric(name, called, larger)


def _third_parameter(function: Callable[..., Any]) -> bool:
    """Whether the third positional parameter is ``weights`` or has no default."""
    third = next(iter(positional(function)[2:]), None)
    return third is not None and (
        third.name == "weights" or third.default is third.empty
    )
