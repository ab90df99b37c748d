# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of how well outputs rank rows, whatever the threshold."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nervure.metrics._classes import several_answers, target_classes, unit_rows
from nervure.metrics._metric import Values, Weights

OneScore = Callable[[Values, Values, Values], float]
"""Of yes or no, what was scored, and the weights of the rows."""


def auc(
    target: Values,
    output: Values,
    weights: Weights = None,
    *,
    answers: bool | None = None,
) -> float:
    """Area under the ROC curve: chance that a yes scores above a no.

    Several classes: each against the rest, mean. NaN where a class is absent.

    Source: Fawcett, *Pattern Recognition Letters* 27 (2006), sec. 7 and 9.

    >>> auc(np.array([0, 1, 1]), np.array([[0.2], [0.6], [0.1]]))
    0.5
    """
    return _each(_area, target, output, weights, answers)


def average_precision(
    target: Values,
    output: Values,
    weights: Weights = None,
    *,
    answers: bool | None = None,
) -> float:
    """Mean precision over the rises of recall, ``sum_n (R_n - R_{n-1}) P_n``.

    What a classifier that guesses reaches is the share of yes, so that it tells more
    of a rare class than `auc`. Several classes: each against the rest, mean. NaN where
    a class is absent.

    Source: Zhu, *Recall, Precision and Average Precision* (2004).

    >>> average_precision(np.array([0, 1, 0]), np.array([[0.2], [0.1], [0.6]]))
    0.3333333333333333
    """
    return _each(_precision, target, output, weights, answers)


def _each(
    score: OneScore,
    target: Values,
    output: Values,
    weights: Weights,
    answers: bool | None,
) -> float:
    """The score of yes, or the mean over classes or answers of one against the rest."""
    w = np.ones(len(target)) if weights is None else np.asarray(weights, np.float64)
    yes, scores = _questions(target, output, answers)
    if not (yes.any(axis=0) & ~yes.all(axis=0)).all():
        return math.nan
    found = [score(yes[:, i], scores[:, i], w) for i in range(yes.shape[1])]
    return float(np.mean(found))


def _questions(
    target: Values, output: Values, answers: bool | None
) -> tuple[Values, Values]:
    """The yes-or-no questions that rows answer, and what was scored for each."""
    if several_answers(target, answers):
        return np.asarray(target > 0.5), output
    classes: Values = target_classes(target)[:, None]
    if output.shape[1] <= 2:
        return np.asarray(classes == 1), output[:, -1:]
    return np.asarray(classes == np.arange(len(output.T))), unit_rows(output)


def _area(yes: Values, scores: Values, weights: Values) -> float:
    """Pairs of a yes above a no, those of equal score half."""
    positives, negatives = _steps(yes, scores, weights)
    above = np.cumsum(positives) - positives / 2
    return float((above * negatives).sum() / (positives.sum() * negatives.sum()))


def _precision(yes: Values, scores: Values, weights: Values) -> float:
    positives, negatives = _steps(yes, scores, weights)
    found = np.cumsum(positives)
    said = found + np.cumsum(negatives)
    precision = found / np.where(said > 0, said, 1)
    return float((positives * precision).sum() / positives.sum())


def _steps(yes: Values, scores: Values, weights: Values) -> tuple[Values, Values]:
    """Weight of yes and of no at each score, the highest first."""
    _, place = np.unique(-scores, return_inverse=True)
    positives = np.bincount(place, weights * yes)
    return positives, np.bincount(place, weights * ~yes)
