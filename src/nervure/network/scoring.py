# SPDX-License-Identifier: BSD-3-Clause
"""How well an autoencoder's network gives rows again, and which rows it does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data import Dataset
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Reconstruction
from nervure.network.halves import scored
from nervure.network.network import Network
from nervure.network.predicting import ready

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


FEWEST = 20
"""Validation rows by which a threshold is found."""


def find_threshold(net: Network, dataset: Dataset, quantile: float) -> float:
    """The ``quantile`` of the errors of a data set's rows, put into the network.

    Of the validation rows, whose errors are those of new rows; of the training rows
    where there are fewer than `FEWEST` of them.

    Returns:
        The threshold, which stands in ``net.preprocessing.target``.
    """
    record, held_out = dataset.preprocessing, dataset.held_out_rows
    whose, chosen = "training", dataset.train_rows
    if held_out is not None and len(held_out) >= FEWEST:
        whose, chosen = "validation", held_out
    inputs = dataset.inputs if chosen is None else dataset.inputs[chosen]
    _, scores = codes_and_scores(scored(net, _code(record)), record, inputs)
    found = float(np.quantile(scores, quantile))
    target = Reconstruction(_code(record), found, quantile, whose)
    net.preprocessing = replace(record, target=target)
    return found


def _code(record: Preprocessing) -> str:
    assert isinstance(record.target, Reconstruction)
    return record.target.code


def codes_and_scores(
    net: Any, record: Preprocessing, inputs: Array
) -> tuple[Array, Floats]:
    """What a network that `scored` made gives for rows that are encoded."""
    codes, scores = net.executor().outputs(ready(net, record, inputs))
    return codes, scores.reshape(-1).astype(np.float64)


# -- how much of the rows comes back --------------------------------------------------


@dataclass(frozen=True)
class Rebuilt:
    """The errors of rows that were not trained on, beside those of PCA.

    ``explained`` is ``1 - sum |x - y|^2 / sum |x - mean x|^2`` over these rows, and nan
    where they are all alike; ``by_pca`` the same of as many principal components of
    the training rows.
    """

    rows: int
    error: float
    explained: float
    by_pca: float | None = None
    above: float | None = None


def rebuilt(scores: Floats, rows: Array, threshold: float | None) -> Rebuilt:
    """What the errors of rows say of the network.

    ``rows`` are the inputs as numbers ``(rows, features)``.
    """
    error, spread = float(scores.mean()), _spread(rows)
    above = None if threshold is None else float((scores > threshold).mean())
    return Rebuilt(len(rows), error, _share(error, spread), above=above)


def _share(error: float, spread: float) -> float:
    return 1.0 - error / spread if spread > 0 else float("nan")


def _spread(rows: Array) -> float:
    """Mean variance of the features."""
    return float(np.var(rows, axis=0, dtype=np.float64).mean())


MOST_PCA_ROWS = 10_000
MOST_PCA_VALUES = 8_000_000
"""Of the training rows that the axes are found by: 64 MB, and some seconds."""


def explained_by_pca(training: Array, rows: Array, components: int) -> float:
    """Share of the variance of ``rows`` that principal components of others explain.

    The axes are those of the singular value decomposition of the centred ``training``
    rows (evenly chosen ones, where they are many).

    >>> x = np.arange(12.0).reshape(6, 2)  # all on one line
    >>> round(explained_by_pca(x, x, 1), 6)
    1.0
    """
    most = max(2, min(MOST_PCA_ROWS, MOST_PCA_VALUES // max(1, training.shape[1])))
    step = -(-len(training) // most)
    known = training[::step].astype(np.float64)
    mean = known.mean(axis=0)
    axes = np.linalg.svd(known - mean, full_matrices=False)[2][:components]
    error = 0.0
    for start in range(0, len(rows), most):
        apart = rows[start : start + most].astype(np.float64) - mean
        error += float(((apart - apart @ axes.T @ axes) ** 2).sum())
    return _share(error / rows.size, _spread(rows))
