# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of sequences of labels that are read from longer sequences of outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.metrics._metric import Values, Weights

Whole = npt.NDArray[np.int64]

ROWS = 512
"""Rows whose distances are worked out side by side."""


def best_path(output: Values, blank: int = 0) -> Whole:
    """Labels of a row ``(time, classes)`` by the most probable class of each step.

    Classes that follow themselves are one, then blanks are dropped.

    Source: Graves et al. (ICML 2006), sec. 3.2, best path decoding.

    >>> said = np.eye(3)[[1, 1, 0, 1, 2, 2, 0]]
    >>> best_path(said).tolist()
    [1, 1, 2]
    """
    path = np.asarray(output).argmax(axis=1)
    first = np.concatenate([[True], path[1:] != path[:-1]])[: len(path)]
    merged = path[first]
    return np.asarray(merged[merged != blank], np.int64)


def edit_distances(known: Sequence[Values], given: Sequence[Values]) -> Whole:
    """Fewest labels to be changed, left out or put in, to make each of the others.

    Source: Levenshtein, *Soviet Physics Doklady* 10 (1966), 707-710; Wagner and
    Fischer, *Journal of the ACM* 21 (1974), 168-173.

    >>> edit_distances([[1, 2, 3], []], [[1, 3], [4]]).tolist()
    [1, 1]
    """
    parts = [
        _distances(known[i : i + ROWS], given[i : i + ROWS])
        for i in range(0, len(known), ROWS)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def label_error_rate(
    target: Any, output: Any, weights: Weights = None, *, blank: int = 0
) -> float:
    """Edit distances between what is read and the target, over the number of labels.

    ``sum w d(read, target) / sum w |target|``, as the word error rate of speech; above
    1 where far too much is read, NaN without any label. Outputs ``(time, classes)`` are
    read by `best_path`; rows of one axis are labels already, of
    `nervure.ctc_decode` for example.

    Raises:
        ValueError: not as many outputs as targets, or no labels.

    Source: `edit_distances`; the name is that of Graves et al. (ICML 2006).

    >>> said = [np.eye(3)[[1, 0, 2, 2]], np.eye(3)[[2, 0, 0]]]
    >>> label_error_rate([[1, 2], [2, 1]], said)
    0.25
    """
    if len(target) != len(output):
        raise _fail(
            f"{len(target)} targets and {len(output)} outputs; expected as many",
            "give the labels of each row",
        )
    known = [_labels(np.asarray(row), "target", i) for i, row in enumerate(target)]
    read = [_read(np.asarray(row), blank, i) for i, row in enumerate(output)]
    wrong, labels = edit_distances(known, read), np.array([len(row) for row in known])
    own = np.ones(len(known)) if weights is None else np.asarray(weights, np.float64)
    total = float(own @ labels)
    return float(own @ wrong) / total if total > 0 else math.nan


def _read(row: Values, blank: int, i: int) -> Whole:
    return best_path(row, blank) if row.ndim == 2 else _labels(row, "output", i)


def _labels(row: Values, what: str, i: int) -> Whole:
    if row.ndim == 1 and (row.dtype.kind in "iu" or not row.size):
        return row.astype(np.int64)
    raise _fail(
        f"row {i} of the {what} has shape {row.shape} and type {row.dtype}; expected "
        "whole numbers (labels,)",
        "give a list with the labels of each row, outputs as (time, classes)",
    )


def _fail(fact: str, remedy: str) -> ValueError:
    return ValueError(f"[metric 'label_error_rate'] {fact}; {remedy}")


def _distances(known: Sequence[Values], given: Sequence[Values]) -> Whole:
    """Of rows side by side: column j of ``d`` is that of the first j given labels."""
    a, b = _padded(known), _padded(given)
    place = np.arange(b.shape[1] + 1, dtype=np.int64)
    lengths = np.array([len(row) for row in known])
    d = np.tile(place, (len(known), 1))
    for i in range(a.shape[1]):
        changed = d[:, :-1] + (b != a[:, i : i + 1])
        ways = np.minimum(changed, d[:, 1:] + 1)
        begun = np.concatenate([np.full((len(d), 1), i + 1), ways], axis=1) - place
        new = np.minimum.accumulate(begun, axis=1) + place
        d = np.where((i < lengths)[:, None], new, d)
    return d[np.arange(len(d)), [len(row) for row in given]]


def _padded(rows: Sequence[Values]) -> Whole:
    table = np.full((len(rows), max(map(len, rows), default=0)), -1, np.int64)
    for row, own in zip(table, rows, strict=True):
        row[: len(own)] = own
    return table
