# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""Rows that are sequences of any lengths, as estimators take them."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from sklearn.utils import check_consistent_length

from nervure.data.frames import is_frame
from nervure.data.ragged import Ragged, as_sequences
from nervure.layers import Input
from nervure.network.network import Network
from nervure.sklearn._compat import validate_data


def holds_sequences(X: Any, layers: Any = None) -> bool:
    """Whether rows are sequences: a `Ragged`, a list or object array of arrays, lists
    of different lengths, a frame with a column of them, or any array for ``layers``
    whose input is open in time.

    Lists of numbers that are equally long are a table, as everywhere.
    """
    if isinstance(X, Ragged):
        return True
    if is_frame(X):
        return any(map(_is_nested, _columns(X)))
    if isinstance(X, np.ndarray) and X.dtype.kind == "O":
        return _is_column(X) and _is_sequence(next(iter(X.flat), None))
    if isinstance(X, list | tuple) and X and all(map(_is_sequence, X)):
        return _depth(X[0]) > 1 or len({len(row) for row in X}) > 1
    return _is_open(layers) and np.ndim(X) > 1


def sequences_of(X: Any, where: str = "X") -> Ragged:
    """The sequences that rows are, each step of them an array.

    Raises:
        DataError: a frame with other columns beside, steps of different shapes, rows
            without steps, NaN or infinite.
    """
    if is_frame(X):
        X = _alone(X, where)
    elif isinstance(X, np.ndarray) and X.dtype.kind == "O":
        X = list(X.flat) if _is_column(X) else X
    rows = as_sequences(X, where=where)
    flat = rows.values.ndim == 1
    return rows.with_values(rows.values[:, None]) if flat else rows


def checked_sequences(
    estimator: Any, X: Any, y: Any, *, reset: bool
) -> tuple[Ragged, Any]:
    """Sequences, and their targets as scikit-learn checks them."""
    rows = sequences_of(X)
    if holds_sequences(y):
        raise ValueError(
            "[y] a target for each step of sequences; expected one for each row; use "
            "nv.fit for targets of steps"
        )
    if reset:
        estimator.__dict__.pop("feature_names_in_", None)
    y = validate_data(
        estimator,
        y=y,
        multi_output=True,
        y_numeric=estimator._numeric,
        reset=reset,
    )
    check_consistent_length(rows, y)
    if reset:
        estimator.n_features_in_ = math.prod(rows.values.shape[1:])
    return rows, y


def misfit(found: tuple[Any, ...], wanted: tuple[Any, ...]) -> str:
    """What to say of rows of another shape than those of the first fit."""
    (one, shape), (other, expected) = _told(found), _told(wanted)
    same = "" if one == other else f"{other} of shape "
    return f"X has {one} of shape {shape}; expected {same}{expected}, as in fit"


def _told(shape: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    sequences = shape[:1] == (None,)
    return ("sequences with steps", shape[1:]) if sequences else ("rows", shape)


def check_reads_sequences(net: Network) -> None:
    """Raise for a network that does not make one answer of a whole sequence."""
    first = net.graph.nodes[net.graph.inputs[0]]
    if first.clock is None:
        raise ValueError(
            f"[layers] the network takes rows of shape {first.shape}, but X holds "
            "sequences of any lengths; begin with nv.Input((None, features)), or leave "
            "the Input out"
        )
    last = net.graph.nodes[net.graph.outputs[0]]
    if last.clock is not None:
        raise ValueError(
            f"[layers] {last.group!r} gives a value for each step, but y has one for "
            "each row; put a layer before it that makes one row of a sequence: "
            "nv.LSTM(32), nv.GRU(32), each with return_sequences=False"
        )


def _is_open(layers: Any) -> bool:
    """Whether layers, or a network, say that they begin with sequences."""
    if isinstance(layers, Network):
        return layers.graph.nodes[layers.graph.inputs[0]].clock is not None
    first = layers[0] if isinstance(layers, list | tuple) and layers else None
    return isinstance(first, Input) and first.time


def _is_sequence(row: Any) -> bool:
    array = isinstance(row, np.ndarray) and row.ndim > 0
    return array or isinstance(row, list | tuple)


def _depth(row: Any) -> int:
    """Axes of a row; of lists those of what comes first."""
    if isinstance(row, np.ndarray):
        return row.ndim
    if not isinstance(row, list | tuple):
        return 0
    return 1 + (_depth(row[0]) if row else 0)


def _is_column(X: np.ndarray) -> bool:
    return X.ndim == 1 or (X.ndim == 2 and X.shape[1] == 1)


def _columns(frame: Any) -> list[Any]:
    import narwhals as nw

    native: Any = nw.from_native(frame, eager_only=True, allow_series=True)
    if isinstance(native, nw.Series):
        return [native]
    return list(native.iter_columns())


def _is_nested(column: Any) -> bool:
    """Whether a column holds lists or arrays."""
    import narwhals as nw

    if column.dtype in (nw.List, nw.Array):
        return True
    if column.dtype != nw.Object:
        return False
    values = column.drop_nulls()
    return len(values) > 0 and _is_sequence(values.to_list()[0])


def _alone(frame: Any, where: str) -> list[Any]:
    """The sequences of a frame, which has no other columns."""
    columns = _columns(frame)
    if len(columns) == 1:
        return cast(list[Any], columns[0].to_list())
    nested = [one.name for one in columns if _is_nested(one)]
    if not nested:
        raise ValueError(
            f"[{where}] {len(columns)} columns of single values; expected sequences, "
            "as in fit; give a frame with one column of lists, or a list of arrays"
        )
    name, others = nested[0], len(columns) - 1
    raise ValueError(
        f"[{where}] column {name!r} holds sequences beside {others} other "
        f"column{'s' if others > 1 else ''}; expected sequences alone; give "
        f"X[[{name!r}]], or put the other numbers into each step"
    )
