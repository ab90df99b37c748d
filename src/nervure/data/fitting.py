# SPDX-License-Identifier: BSD-3-Clause
"""Finding a `Preprocessing` from training rows: statistics, categories, what to drop.

Nothing outside the given rows has a say, but for the list of classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.data._encode import infinite_value
from nervure.data._errors import fail
from nervure.data._raw import Raw
from nervure.data.arrays import check_finite
from nervure.data.columns import Column, Table
from nervure.data.preprocessing import (
    Amounts,
    ArrayInput,
    Category,
    Classes,
    Numeric,
    Preprocessing,
    TableInput,
)

Array = NDArray[Any]
Rows = NDArray[Any]

MOST_CATEGORIES = 1000
FEW_TEXTS = 20  # so many different texts are categories in however few rows
_CHUNK = 1 << 18


@dataclass
class _Notes:
    """What was done to the columns, for the summary."""

    standardized: list[str] = field(default_factory=list[str])
    encoded: list[str] = field(default_factory=list[str])
    scaled: list[str] = field(default_factory=list[str])
    filled: list[str] = field(default_factory=list[str])
    dropped: list[str] = field(default_factory=list[str])

    def lines(self) -> list[str]:
        named = {
            "numbers, standardized": self.standardized,
            "bytes": self.scaled,
            "categories, one-hot": self.encoded,
            "missing values, filled and flagged": self.filled,
            "dropped": self.dropped,
        }
        return [f"{what}: {_join(items)}" for what, items in named.items() if items]


def fit_preprocessing(
    raw: Raw,
    rows: Rows | None = None,
    *,
    most_categories: int = MOST_CATEGORIES,
    standardize_target: bool = True,
) -> tuple[Preprocessing, list[str]]:
    """The preprocessing that training rows call for, and notes about it.

    Args:
        raw: what `nervure.data.read` returned.
        rows: row numbers (or a mask) of the training rows; None takes all.
        most_categories: text columns with more different texts are dropped.
        standardize_target: learn a regression's target as ``(y - mean) / scale``.

    Raises:
        DataError: nothing is left to learn from, or a value is infinite.
    """
    notes = _Notes()
    inputs: TableInput | ArrayInput
    if isinstance(raw.inputs, Table):
        inputs = _fit_table(raw.inputs, rows, most_categories, notes)
    else:
        inputs = _fit_array(raw.inputs, raw.scale, rows, notes, raw.where)
    target: Classes | Amounts
    if raw.task == "classification":
        target, line = _fit_classes(raw)
    else:
        target, line = _fit_amounts(raw, rows, standardize_target)
    return Preprocessing(inputs, target), [line, *notes.lines()]


# -- targets ------------------------------------------------------------------------


def _fit_classes(raw: Raw) -> tuple[Classes, str]:
    column = raw.targets[0]
    values, first = np.unique(column.values, return_index=True)
    labels = column.take(first).labels() if len(values) else []
    target = Classes(column.name, tuple(labels))
    shown = [str(label) for label in labels]
    return target, f"target {column.name!r}: {len(labels)} classes ({_join(shown, 6)})"


def _fit_amounts(raw: Raw, rows: Rows | None, standardize: bool) -> tuple[Amounts, str]:
    names = tuple(column.name for column in raw.targets)
    moments = [(0.0, 1.0) for _ in names]
    if standardize:
        moments = [_moments(_at(c.floats(), rows)) for c in raw.targets]
    means = tuple(mean for mean, _ in moments)
    scales = tuple(scale or 1.0 for _, scale in moments)
    named = ", ".join(map(repr, names[:6])) + (" ..." if len(names) > 6 else "")
    how = "numbers, standardized" if standardize else "numbers"
    return Amounts(names, means, scales), f"target {named}: {how}"


# -- tables -------------------------------------------------------------------------


def _fit_table(
    table: Table, rows: Rows | None, most_categories: int, notes: _Notes
) -> TableInput:
    columns: list[Numeric | Category] = []
    for column in table.columns.values():
        _check_infinite(column, table.where)
        seen = column if rows is None else column.take(rows)
        spec = _fit_column(seen, most_categories, notes)
        if spec is not None:
            columns.append(spec)
    if not columns:
        raise fail(
            table.where,
            f"no column is left to learn from (dropped: {_join(notes.dropped)}); "
            "expected at least 1 that varies",
            "add columns, or check how the file was read",
        )
    return TableInput(tuple(table.columns), tuple(columns))


def _check_infinite(column: Column, where: str) -> None:
    if column.kind != "real":
        return
    infinite = np.flatnonzero(np.isinf(column.values))
    if infinite.size:
        raise infinite_value(column, int(infinite[0]), where)


def _fit_column(
    column: Column, most_categories: int, notes: _Notes
) -> Numeric | Category | None:
    """What becomes of a column, or None if it is dropped."""
    if column.kind == "empty" or not len(column.values):
        notes.dropped.append(f"{column.name} (empty)")
        return None
    if column.kind in ("text", "boolean"):
        return _fit_category(column, most_categories, notes)
    return _fit_numeric(column, notes)


def _fit_numeric(column: Column, notes: _Notes) -> Numeric | None:
    values = column.floats()
    lost = np.isnan(values)
    fill = float(np.median(values[~lost]))
    values[lost] = fill
    mean, scale = _moments(values)
    flag = bool(lost.any())
    if scale == 0 and not flag:
        notes.dropped.append(f"{column.name} (constant)")
        return None
    if flag:
        how = f"{int(lost.sum()):,} of {len(values):,}, by the median {fill:.6g}"
        notes.filled.append(f"{column.name} ({how})")
    notes.standardized.append(column.name)
    date = column.kind == "date"
    return Numeric(column.name, mean, scale or 1.0, fill, flag=flag, date=date)


def _fit_category(
    column: Column, most_categories: int, notes: _Notes
) -> Category | None:
    present = (
        column.values if column.missing is None else column.values[~column.missing]
    )
    codes: list[int] = np.unique(present).tolist()
    count, lost = len(codes), len(column.values) - len(present)
    if count == 1 and not lost:
        notes.dropped.append(f"{column.name} (constant)")
        return None
    if count > most_categories or (count > FEW_TEXTS and count > len(present) / 2):
        notes.dropped.append(
            f"{column.name} ({count:,} different texts in {len(present):,} rows: looks "
            "like an identifier)"
        )
        return None
    if lost:
        how = f"{lost:,} of {len(column.values):,}, a level of its own"
        notes.filled.append(f"{column.name} ({how})")
    notes.encoded.append(f"{column.name} ({count})")
    levels = tuple(column.levels[code] for code in codes)
    boolean = column.kind == "boolean"
    return Category(column.name, levels, missing=lost > 0, boolean=boolean)


def _moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation (0 for a constant), safe from overflow."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, 0.0
    size = max(abs(low), abs(high))
    scaled = values / size
    return float(scaled.mean()) * size, float(scaled.std()) * size


# -- arrays -------------------------------------------------------------------------


def _fit_array(
    array: Array, scale: float | None, rows: Rows | None, notes: _Notes, where: str
) -> ArrayInput:
    """uint8 is scaled to [0, 1], features are standardized, the rest is kept."""
    shape = array.shape[1:]
    check_finite(array, "X")
    if array.dtype == np.uint8:
        top = int(_at(array, rows).max()) if scale is None else 255
        if top == 0:
            raise fail(
                where, "all values are 0; expected some that vary", "check the data"
            )
        chosen = scale or (1 / 255 if top > 127 else 1 / top)
        notes.scaled.append(f"times 1/{round(1 / chosen)}")
        return ArrayInput(shape, chosen)
    if len(shape) > 1:
        return ArrayInput(shape)
    mean, deviation = _array_moments(array, rows)
    constant = int((deviation == 0).sum())
    if constant == len(deviation):
        raise fail(
            where, "every feature is constant; expected some that vary", "check X"
        )
    if constant:
        notes.dropped.append(f"nothing, but {constant:,} features are constant")
    deviation[deviation == 0] = 1.0
    notes.standardized.append(f"{len(mean):,} features")
    return ArrayInput(shape, 1.0, tuple(mean.tolist()), tuple(deviation.tolist()))


def _array_moments(array: Array, rows: Rows | None) -> tuple[Array, Array]:
    """Mean and deviation of each feature in two passes over a few rows at a time."""
    chosen = np.arange(len(array)) if rows is None else np.arange(len(array))[rows]
    step = max(1, _CHUNK // array.shape[1])
    parts = [chosen[i : i + step] for i in range(0, len(chosen), step)]
    low = np.full(array.shape[1], np.inf)
    high, total, square = -low, np.zeros_like(low), np.zeros_like(low)
    for part in parts:
        values = array[part].astype(np.float64)
        total += values.sum(axis=0) / len(chosen)
        np.minimum(low, values.min(axis=0), out=low)
        np.maximum(high, values.max(axis=0), out=high)
    size = np.maximum(high - low, np.finfo(np.float64).tiny)
    for part in parts:
        square += np.square((array[part] - total) / size).sum(axis=0)
    deviation = np.sqrt(square / len(chosen)) * size
    return np.where(low == high, low, total), np.where(low == high, 0.0, deviation)


def _at(values: Array, rows: Rows | None) -> Array:
    return values if rows is None else values[rows]


def _join(items: list[str], limit: int = 12) -> str:
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")
