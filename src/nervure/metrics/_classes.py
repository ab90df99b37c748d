# SPDX-License-Identifier: BSD-3-Clause
"""From targets and outputs of every form to classes and probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nervure.metrics._metric import Values


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


def unit_rows(output: Values) -> Values:
    """Probabilities in float64, rescaled: float32 rows miss a sum of 1 by a little."""
    rows = probabilities(output).astype(np.float64)
    if rows.shape[1] == 1:
        return np.hstack([1 - rows, rows])
    return rows / rows.sum(axis=1, keepdims=True)


def several_answers(target: Values, known: bool | None = None) -> bool:
    """Whether rows answer several questions, instead of naming one class.

    Where that is not ``known``, they do if some do not sum to 1.
    """
    if known is not None:
        return known
    if target.ndim != 2 or target.shape[1] < 2:
        return False
    return not np.allclose(target.sum(axis=1), 1)
