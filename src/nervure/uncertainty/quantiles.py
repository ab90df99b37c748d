# SPDX-License-Identifier: BSD-3-Clause
"""Predicted quantiles in order, and the intervals between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nervure.uncertainty.outputs import Floats, predictions_of


def predict_quantiles(model: Any, X: Any) -> Floats:
    """Quantiles of each row in ascending order, ``(rows, quantiles)``.

    One network gives several, trained with ``loss=nv.losses.Pinball((0.05, 0.5,
    0.95))`` and as many outputs. What it gives may cross; sorting brings every
    quantile at least as close to the true ones.

    Args:
        model: anything whose ``predict`` gives a column for each quantile.
        X: rows as ``predict`` takes them.

    Source: Chernozhukov, Fernández-Val, Galichon, *Quantile and Probability Curves
    Without Crossing* (Econometrica 78, 2010), proposition 4.

    >>> class Crossing:
    ...     def predict(self, X):
    ...         return np.array([[2.0, 1.0, 3.0]])
    >>> predict_quantiles(Crossing(), [[0.0]]).tolist()
    [[1.0, 2.0, 3.0]]
    """
    return np.sort(predictions_of(model, X), axis=1)


def quantile_interval(model: Any, X: Any) -> Floats:
    """The interval from the lowest to the highest predicted quantile, ``(rows, 2)``.

    Quantiles 0.05 and 0.95 hold 90 % of the truth as far as the network has learned
    them; `conformalize` with ``method="cqr"`` makes the share a guarantee.

    Raises:
        ValueError: fewer than two quantiles.
    """
    found = predict_quantiles(model, X)
    if found.shape[1] < 2:
        raise ValueError(
            "[quantiles] one prediction per row; expected at least two quantiles; "
            "train with loss=nv.losses.Pinball((0.05, 0.95)) and two outputs"
        )
    return found[:, [0, -1]]
