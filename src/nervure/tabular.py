# SPDX-License-Identifier: BSD-3-Clause
"""The network and training for tables, by one name: a spec to read, change and fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nervure.data import Dataset, load
from nervure.spec.for_sequences import sequence_spec
from nervure.spec.for_tables import (
    MEMBERS,
    MOST_WAVES,
    default_layers,
    default_training,
    table_spec,
)
from nervure.spec.tables import DataSpec, Spec

__all__ = ["MEMBERS", "MOST_WAVES", "default", "default_layers", "default_training"]


def default(
    X: Any, y: Any = None, *, task: str | None = None, members: int = MEMBERS
) -> Spec:
    """The network and training for these rows, as a spec to read, change and fit.

    Args:
        X, y: what `nervure.data.load` reads as ``(X, y)``; or a `nervure.data.Dataset`,
            or a source such as ``"table.csv"``, as ``X`` alone.
        task: "classification" or "regression"; by default as the target suggests.
        members: networks of the ensemble, at least 1; a table whose only input is a
            column of sequences has one recurrent network instead.

    Returns:
        A `Spec`: `nervure.spec.write_spec` gives its text, and
        `nervure.fit_spec` trains.

    Raises:
        DataError: rows or a target that cannot be used.

    >>> import nervure as nv
    >>> spec = nv.tabular.default("iris")
    >>> [entry.layer.kind for entry in spec.layers][:3]
    ['periodic_embedding', 'flatten', 'ensemble_dense']
    >>> spec.training.batch_size, spec.training.epochs
    (64, 200)
    """
    if isinstance(X, Dataset):
        dataset = X
    else:
        dataset = load(X if y is None else (X, y), task=task, numbers="robust")
    source = str(X) if isinstance(X, str | Path) else None
    task = dataset.preprocessing.task
    data = DataSpec(source=source, task=task, numbers="robust")
    if dataset.preprocessing.inputs.kind == "sequences":
        return sequence_spec(dataset, data)
    return table_spec(dataset, data, members)
