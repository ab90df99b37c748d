# SPDX-License-Identifier: BSD-3-Clause
"""What anything that predicts says of rows: probabilities, classes, amounts."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.data.records import Classes
from nervure.graph.objective import answering, gives_probabilities
from nervure.metrics import probabilities, target_classes

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


def probabilities_of(model: Any, X: Any) -> Floats:
    """Probabilities ``(rows, classes)``: of ``predict_proba``, else of ``predict``.

    Log-probabilities are exp'd, and one logistic output becomes two columns.
    """
    proba = getattr(model, "predict_proba", None)
    return as_probabilities(_one(model.predict(X) if proba is None else proba(X)))


def as_probabilities(outputs: Any) -> Floats:
    """Outputs of a classifier as float64 rows with a column for each class.

    Raises:
        ValueError: numbers outside [0, 1].

    >>> as_probabilities([0.25, 1.0]).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    y = np.asarray(outputs, np.float64)
    p = probabilities(y.reshape(len(y), -1))
    if not ((p >= 0) & (p <= 1 + 1e-6)).all():
        raise ValueError(
            f"[probabilities] values from {p.min():.3g} to {p.max():.3g}; expected "
            "them in [0, 1]; use a network that ends in a softmax or a logistic, or "
            "predict_proba"
        )
    return np.column_stack([1 - p[:, 0], p[:, 0]]) if p.shape[1] == 1 else p


def predictions_of(model: Any, X: Any) -> Floats:
    """What a model predicts, ``(rows, outputs)``."""
    y = np.asarray(_one(model.predict(X)), np.float64)
    return y.reshape(len(y), -1)


def _one(found: Any) -> Any:
    if isinstance(found, list) and found and np.ndim(cast(Any, found[0])) > 0:
        raise ValueError(
            f"[uncertainty] the model has {len(cast(list[Any], found))} outputs; "
            "expected one; make a network of the output that matters"
        )
    return cast(Any, found)


def is_classifier(model: Any) -> bool:
    """Whether a model predicts classes, as far as it says so."""
    record = getattr(model, "preprocessing", None)
    if record is not None:
        return record.task == "classification"
    graph = getattr(model, "graph", None)
    if graph is None:
        return hasattr(model, "predict_proba")
    return gives_probabilities(graph.nodes[answering(graph, 0)].layer)


def classes_of(model: Any, y: Any, count: int) -> npt.NDArray[np.int64]:
    """The classes of rows by number: of labels, of numbers, or of one-hot rows.

    Raises:
        ValueError: a label that the model does not know, or a number out of range.
    """
    record = getattr(model, "preprocessing", None)
    labels = getattr(model, "classes_", None)
    if record is not None and isinstance(record.target, Classes):
        index = np.asarray(record.encode_targets(y), np.int64)
    elif labels is not None:
        index = _by_label(np.asarray(labels), np.asarray(y))
    else:
        index = target_classes(np.asarray(y)).astype(np.int64).reshape(-1)
    if ((index < 0) | (index >= count)).any():
        raise ValueError(
            f"[uncertainty] classes from {index.min()} to {index.max()}; expected "
            f"them from 0 to {count - 1}, as the model gives {count} probabilities; "
            "check y"
        )
    return index


def _by_label(labels: Array, y: Array) -> npt.NDArray[np.int64]:
    order = np.argsort(labels)
    place = np.minimum(np.searchsorted(labels, y, sorter=order), len(labels) - 1)
    index = order[place]
    strange = labels[index] != y
    if strange.any():
        raise ValueError(
            f"[uncertainty] class {y[strange][:1].tolist()[0]!r} in y; expected one of "
            f"{labels.tolist()!r:.200}; check y"
        )
    return index.astype(np.int64)


def same_rows(where: str, rows: int, y: Any) -> None:
    """Raises `ValueError` unless there is a target for each row, and a row at all."""
    if len(y) != rows or not rows:
        raise ValueError(
            f"[{where}] {len(y)} targets for {rows} rows; expected as many, and at "
            "least one; give exactly one target per row"
        )
