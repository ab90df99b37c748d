# SPDX-License-Identifier: BSD-3-Clause
"""Reliability: whether what is said with 80 % confidence is right 80 % of the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count
from nervure.metrics import target_classes
from nervure.uncertainty.outputs import Floats, as_probabilities, same_rows

BINS = 15
"""Bins of the unit interval, as in Guo et al. (2017)."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability curve: one entry for each bin that holds rows.

    Attributes:
        confidence: mean of the largest probability, ``(bins,)``.
        accuracy: share of rows whose most probable class is right, ``(bins,)``.
        rows: how many rows, ``(bins,)``.
    """

    confidence: Floats
    accuracy: Floats
    rows: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of the two, weighed by rows."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float((gaps * self.rows).sum() / self.rows.sum())

    @property
    def largest_error(self) -> float:
        """Maximum calibration error: the largest distance of the two."""
        return float(np.abs(self.accuracy - self.confidence).max())


def reliability_curve(y: Any, probabilities: Any, *, bins: int = BINS) -> Reliability:
    """The reliability curve of probabilities, by confidence in the predicted class.

    Args:
        y: classes by number ``(rows,)``, or one-hot rows.
        probabilities: ``(rows, classes)``; one column is that of class 1.
        bins: equal parts of [0, 1].

    Source: Guo, Pleiss, Sun, Weinberger, *On Calibration of Modern Neural Networks*
    (ICML 2017), section 2.

    >>> curve = reliability_curve([0, 1, 1], [[0.95, 0.05], [0.05, 0.95], [0.75, 0.25]])
    >>> curve.confidence.round(2).tolist(), curve.accuracy.tolist(), curve.rows.tolist()
    ([0.75, 0.95], [0.0, 1.0], [1, 2])
    """
    count("reliability_curve", "bins", bins, least=1)
    p, classes = as_probabilities(probabilities), target_classes(np.asarray(y))
    same_rows("reliability_curve", len(p), classes)
    confidence: Floats = np.minimum(p.max(axis=1), 1)
    right = (p.argmax(axis=1) == classes).astype(np.float64)
    # As scikit-learn's calibration_curve, whose import takes longer than a training.
    edges: Floats = np.linspace(0, 1, bins + 1)[1:-1]
    place = np.searchsorted(edges, confidence)
    sizes = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, each, minlength=bins) for each in (confidence, right))
    mean, accuracy = (each[sizes > 0] / sizes[sizes > 0] for each in sums)
    return Reliability(mean, accuracy, sizes[sizes > 0])


def expected_calibration_error(
    y: Any, probabilities: Any, *, bins: int = BINS
) -> float:
    """Mean distance between confidence and accuracy, ``sum n_b / n |acc_b - conf_b|``.

    Arguments as for `reliability_curve`.

    Source: Naeini, Cooper, Hauskrecht (AAAI 2015); Guo et al. (2017), eq. 3.

    >>> round(expected_calibration_error([0, 0], [[0.9, 0.1], [0.8, 0.2]]), 3)
    0.15
    """
    return reliability_curve(y, probabilities, bins=bins).error
