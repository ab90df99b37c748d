# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of values; classes count as one-hot rows."""

from __future__ import annotations

import math

import numpy as np

from nervure.metrics._metric import Values, Weights, mean


def mse(target: Values, output: Values, weights: Weights = None) -> float:
    """Mean squared error, ``mean (a - t)^2``; classes count as one-hot rows."""
    return mean(_errors(target, output) ** 2, weights)


def rmse(target: Values, output: Values, weights: Weights = None) -> float:
    """Root of the mean squared error, in units of the target."""
    return math.sqrt(mse(target, output, weights))


def mae(target: Values, output: Values, weights: Weights = None) -> float:
    """Mean absolute error, ``mean |a - t|``, in units of the target."""
    return mean(np.abs(_errors(target, output)), weights)


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
    middle = np.average(rows, axis=0, weights=weights)
    total = np.average((rows - middle) ** 2, axis=0, weights=weights)
    varies = total > 0
    ratio = residual / np.where(varies, total, 1)
    return float(np.where(varies, 1 - ratio, residual == 0).mean())


def _rows(target: Values, output: Values) -> Values:
    """Targets like outputs, as doubles: classes become one-hot rows."""
    if target.ndim == 2:
        return np.asarray(target, np.float64)
    if output.shape[1] == 1:
        return np.asarray(target[:, None], np.float64)
    return np.asarray(target[:, None] == np.arange(output.shape[1]), np.float64)


def _errors(target: Values, output: Values) -> Values:
    return output - _rows(target, output)
