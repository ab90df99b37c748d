# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of classes that were predicted.

``precision``, ``recall`` and ``f1`` follow scikit-learn: of two classes they are those
of the positive one, which is the second; of more classes (and of several yes-or-no
answers) they are means over the classes, each counting alike (macro). Names that begin
with ``macro_`` ask for the mean over two classes as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nervure.metrics._classes import (
    predicted_classes,
    several_answers,
    target_classes,
    unit_rows,
)
from nervure.metrics._metric import Function, Metric, Values, Weights, aligned, mean


def accuracy(
    target: Values,
    output: Values,
    weights: Weights = None,
    *,
    threshold: float = 0.5,
    answers: bool | None = None,
) -> float:
    """Share of rows whose class is right.

    Rows of several yes-or-no answers count answer by answer.

    >>> accuracy(np.array([1, 0]), np.array([[0.2, 0.8], [0.1, 0.9]]))
    0.5
    """
    if several_answers(target, answers):
        right = ((output > threshold) == (target > 0.5)).mean(axis=1)
    else:
        right = predicted_classes(output, threshold) == target_classes(target)
    return mean(right, weights)


def top_k_accuracy(k: int = 5) -> Metric:
    """Share of rows whose class is among the ``k`` largest outputs.

    Of equal outputs the first counts as the largest, as in a prediction.

    Raises:
        ValueError: ``k`` is below 1.

    >>> top_k_accuracy(2)(np.array([2]), np.array([[0.5, 0.1, 0.4]]))
    1.0
    """
    if k < 1:
        raise ValueError(f"[metrics] k = {k}; expected at least 1; use k=5")

    def function(
        target: Values, output: Values, weights: Weights, *, answers: bool | None = None
    ) -> float:
        if answers:
            raise ValueError(
                f"[metric 'top_{k}_accuracy'] rows answer several yes-or-no questions; "
                "expected one class each; use accuracy, or a loss of classes such as "
                "cross_entropy"
            )
        classes: Values = target_classes(target)[:, None]
        if output.shape[1] == 1:
            return accuracy(target, output, weights) if k == 1 else 1.0
        own = np.take_along_axis(output, classes, axis=1)
        before = np.arange(len(output.T)) < classes
        rank = ((output > own) | (before & (output == own))).sum(axis=1)
        return mean(rank < k, weights)

    return Metric(f"top_{k}_accuracy", function, uses_answers=True)


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
    known, given = aligned("confusion_matrix", target, output)
    found, classes = predicted_classes(given, threshold), target_classes(known)
    count = max(2, given.shape[1])
    one = np.int64(1) if weights is None else weights
    table = np.zeros((count, count), np.asarray(one).dtype)
    np.add.at(table, (classes, found), one)
    return table


def shares(confusion: Values) -> tuple[Values, Values]:
    """Recall and precision of each class of a confusion matrix.

    NaN for a class that no row has, and for one that was never predicted.

    >>> [share.tolist() for share in shares(np.array([[8, 2], [0, 5]]))]
    [[0.8, 1.0], [1.0, 0.7142857142857143]]
    """
    right = np.diag(confusion).astype(np.float64)
    return _ratio(right, confusion.sum(axis=1)), _ratio(right, confusion.sum(axis=0))


def balanced_accuracy(
    target: Values,
    output: Values,
    weights: Weights = None,
    *,
    threshold: float = 0.5,
    answers: bool | None = None,
) -> float:
    """Mean over the classes present of the share of each that is found.

    Of several yes-or-no answers, the mean over them.
    """
    if several_answers(target, answers):
        each = [
            balanced_accuracy(target[:, i : i + 1], output[:, i : i + 1], weights,
                              threshold=threshold)
            for i in range(target.shape[1])
        ]  # fmt: skip
        return float(np.mean(each))
    table = confusion_matrix(target, output, weights, threshold=threshold)
    return float(np.nanmean(shares(table)[0]))


def log_loss(
    target: Values,
    output: Values,
    weights: Weights = None,
    *,
    answers: bool | None = None,
) -> float:
    """Mean of ``-log p`` of the right class; the output must be probabilities.

    Of several yes-or-no answers, the mean over them. Probabilities are kept away from 0
    and 1 by the spacing of float64 at 1.
    """
    if several_answers(target, answers):
        columns = range(target.shape[1])
        pairs = [(target[:, i] > 0.5, output[:, i : i + 1]) for i in columns]
        return float(np.mean([log_loss(t, p, weights) for t, p in pairs]))
    rows, least = unit_rows(output), np.finfo(np.float64).eps
    own = np.take_along_axis(rows, target_classes(target)[:, None], axis=1)[:, 0]
    return mean(-np.log(np.clip(own, least, 1 - least)), weights)


# -- precision, recall and what is made of them -------------------------------------


def positive(name: str) -> Function:
    """The score of this name of the second class of two, else the mean (macro)."""

    def function(
        target: Values,
        output: Values,
        weights: Weights,
        *,
        threshold: float = 0.5,
        answers: bool | None = None,
    ) -> float:
        several = several_answers(target, answers)
        values = _scores(name, target, output, weights, threshold, several)
        if len(values) == 2 and not several:
            return float(values[1])
        return _macro(values, target, output, threshold, several)

    return function


def macro(name: str) -> Function:
    """The mean over the classes of the score of this name."""

    def function(
        target: Values,
        output: Values,
        weights: Weights,
        *,
        threshold: float = 0.5,
        answers: bool | None = None,
    ) -> float:
        several = several_answers(target, answers)
        values = _scores(name, target, output, weights, threshold, several)
        return _macro(values, target, output, threshold, several)

    return function


def _scores(
    name: str,
    target: Values,
    output: Values,
    weights: Weights,
    threshold: float,
    several: bool,
) -> Values:
    """The score of this name of every class, or of every answer."""
    return _SCORES[name](*_counts(target, output, weights, threshold, several))


def _counts(
    target: Values, output: Values, weights: Weights, threshold: float, several: bool
) -> tuple[Values, Values, Values]:
    """Weight of the rows that are of a class and said to be, said to be, and are."""
    if not several:
        table = confusion_matrix(target, output, weights, threshold=threshold)
        return np.diag(table), table.sum(axis=0), table.sum(axis=1)
    w = np.ones(len(target)) if weights is None else np.asarray(weights)
    true, said = target > 0.5, output > threshold
    return w @ (true & said), w @ said, w @ true


def _macro(
    values: Values, target: Values, output: Values, threshold: float, several: bool
) -> float:
    """The mean over the answers, or over the classes that are found or predicted."""
    if several:
        return float(values.mean())
    classes = (target_classes(target), predicted_classes(output, threshold))
    return float(values[np.unique(np.concatenate(classes))].mean())


def _ratio(part: Values, whole: Values) -> Values:
    """``part / whole``; NaN where there is nothing to be divided by."""
    whole = np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _precision(right: Values, said: Values, true: Values) -> Values:
    return np.nan_to_num(_ratio(right, said))


def _recall(right: Values, said: Values, true: Values) -> Values:
    return np.nan_to_num(_ratio(right, true))


def _f1(right: Values, said: Values, true: Values) -> Values:
    """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
    return np.nan_to_num(_ratio(2 * right, said + true))


_SCORES = {"precision": _precision, "recall": _recall, "f1": _f1}
"""Scores of each class; 0 where there is nothing to be divided by."""
