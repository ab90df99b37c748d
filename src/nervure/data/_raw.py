# SPDX-License-Identifier: BSD-3-Clause
"""Data as read: features and targets apart, before any statistics are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import unknown
from nervure.data._errors import DataError, fail, listing
from nervure.data.arrays import as_inputs
from nervure.data.columns import Column, Table, as_integers, integers, reals
from nervure.data.frames import column_of, is_frame, table_from_frame
from nervure.data.meaning.labels import Labels, check_labels, merged
from nervure.data.meaning.task import MOST_CLASSES, are_classes
from nervure.data.series.reading import windows_of
from nervure.data.series.records import Series, SeriesRecord
from nervure.data.series.windows import Origins

Array = NDArray[Any]
Task = Literal["classification", "regression", "reconstruction"]
TASKS = ("classification", "regression")
RECONSTRUCTION = "reconstruction"
"""The task of rows that are their own target."""


FEW_CLASSES = 20  # so many classes may have a row each


@dataclass(frozen=True, eq=False)
class Parts:
    """Inputs and targets that come apart already: arrays, images, built-in tables."""

    where: str
    inputs: Table | Array
    targets: tuple[Column, ...]
    scale: float | None = None
    test: tuple[Array, tuple[Column, ...]] | None = None
    notes: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Raw(Parts):
    """Rows as they were read. Nothing in it depends on which rows train.

    ``inputs`` is a table or an array, rows first; ``targets`` one column (several for
    a regression of several outputs, none for a reconstruction). ``scale`` is what
    uint8 inputs are multiplied with, if known. ``test`` is the data set's own test
    part. ``image_size`` is the height and width that image files were brought to.
    ``query``, ``header`` and ``labels`` are how a table was read. Where the rows are
    windows over ``series``, ``origins`` says where each stands.
    """

    task: Task = field(kw_only=True)
    weights: NDArray[np.float64] | None = field(default=None, kw_only=True)
    query: str | None = field(default=None, kw_only=True)
    header: bool | None = field(default=None, kw_only=True)
    labels: Labels = field(default="as_written", kw_only=True)
    series: SeriesRecord | None = field(default=None, kw_only=True)
    origins: Origins | None = field(default=None, kw_only=True)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return _count(self.inputs)

    def strata(self) -> NDArray[Any] | None:
        """What to stratify a split by: class codes, or None for a regression."""
        if self.task != "classification":
            return None
        values = self.targets[0].values
        return np.unique(values, return_inverse=True)[1]


def raw_from_table(
    table: Table,
    target: str | Sequence[str] | None = None,
    task: str | None = None,
    weights: str | None = None,
    labels: Labels = "as_written",
) -> Raw:
    """Take the target (by default the last column) and weights out of a table.

    Rows without a target are dropped, with a note.
    """
    if table.rows == 0 or not table.columns:
        raise fail(table.where, "no rows; expected at least 2", "check the source")
    names = _target_names(table, target, weights)
    table, notes = _with_targets(table, names)
    kept = table.without([*names, *([weights] if weights else [])])
    if not kept.columns:
        raise fail(
            table.where,
            f"no column besides the target {listing(names)}; expected at least 1",
            "add a column to predict from",
        )
    targets = tuple(table[name] for name in names)
    if labels == "merged":
        targets = tuple(map(merged, targets))
    elif len(targets) == 1:
        check_labels(targets[0], table.where)
    found = find_task(table.where, targets, task)
    return Raw(
        table.where,
        kept,
        targets,
        task=found,
        weights=None if weights is None else _weights(table, table[weights]),
        notes=(*table.notes, *notes, *task_notes(targets, found, task)),
        labels=labels,
    )


def raw_of_inputs(
    table: Table,
    target: str | Sequence[str] | None = None,
    weights: str | None = None,
) -> Raw:
    """A table whose rows are their own target.

    Columns that are named as targets are left out, with a note.
    """
    if table.rows == 0 or not table.columns:
        raise fail(table.where, "no rows; expected at least 2", "check the source")
    names = [] if target is None else _target_names(table, target, weights)
    left_out = [*names, *([weights] if weights else [])]
    kept = table.without(left_out)
    if not kept.columns:
        raise fail(
            table.where,
            f"no column besides {listing(left_out)}; expected at least 1",
            "add a column, or leave out fewer",
        )
    note = f"no target: every column is an input ({_LEFT_OUT})"
    if names:
        note = f"left out of the inputs: {listing(names)}, named as the target"
    return Raw(
        table.where,
        kept,
        (),
        task=RECONSTRUCTION,
        weights=None if weights is None else _weights(table, table[weights]),
        notes=(*table.notes, note),
    )


_LEFT_OUT = "data.target names columns to be left out"


def raw_from_series(
    table: Table,
    said: Series,
    target: str | Sequence[str] | None = None,
    task: str | None = None,
    weights: str | None = None,
) -> Raw:
    """The windows over a table with a time column."""
    names = [target] if isinstance(target, str) else [*(target or ())]
    for fact, odd in (
        (f"task {task!r} of a series; expected regression", task == TASKS[0]),
        (f"weights {weights!r} of a series; expected none", weights is not None),
    ):
        if odd:
            raise fail(table.where, fact, "leave it out")
    windows, record, notes = windows_of(table, said, names)
    ahead = [f"{n} ahead {k + 1}" for n in record.targets for k in range(said.horizon)]
    values = zip(ahead, windows.targets.T, strict=True)
    columns = [reals(name, y) for name, y in values]
    return Raw(
        table.where,
        windows.table,
        tuple(columns),
        task="regression",
        notes=(*table.notes, *notes),
        series=record,
        origins=windows.origins,
    )


def raw_from_parts(parts: Parts, task: str | None = None) -> Raw:
    """Rows whose task is found by their targets, unless it is given."""
    if task == RECONSTRUCTION:
        return _without_targets(parts)
    found = find_task(parts.where, parts.targets, task)
    told = task_notes(parts.targets, found, task)
    noted = replace(parts, notes=(*parts.notes, *told))
    return Raw(**vars(noted), task=found)


def _without_targets(parts: Parts) -> Raw:
    """The inputs alone, as rows that are their own target."""
    names = [column.name for column in parts.targets]
    notes = [f"left out: the targets {listing(names)}"] if names else []
    test = None if parts.test is None else (parts.test[0], ())
    kept = replace(parts, targets=(), test=test, notes=(*parts.notes, *notes))
    if _count(parts.inputs) == 0:
        raise fail(parts.where, "no rows; expected at least 2", "check the source")
    return Raw(**vars(kept), task=RECONSTRUCTION)


def _count(inputs: Table | Array) -> int:
    return inputs.rows if isinstance(inputs, Table) else len(inputs)


def inputs_alone(inputs: Any, where: str) -> Parts:
    """An array of inputs that have no targets."""
    return Parts(where, as_inputs(inputs, where=where), ())


def parts_of(
    inputs: Any,
    targets: Any,
    where: str = "data",
    task: str | None = None,
    test: tuple[Any, Any] | None = None,
) -> Parts:
    """Arrays of inputs and targets, or a frame and its target, compared in length."""

    features: Table | Array
    features = table_from_frame(inputs, "X") if is_frame(inputs) else as_inputs(inputs)
    columns = _target_columns(targets, "y", task)
    rows = features.rows if isinstance(features, Table) else len(features)
    if len(columns[0].values) != rows:
        raise fail(
            where,
            f"{len(columns[0].values)} targets for {rows} rows of inputs",
            "give exactly one target per row",
        )
    if test is not None and isinstance(features, Table):
        raise fail(where, "a test part of a data frame", "give arrays, or no test part")
    part = None if test is None else _test_part(test, features, task)
    return Parts(where, features, columns, test=part)


def _test_part(test: tuple[Any, Any], inputs: Any, task: str | None) -> Any:
    images = as_inputs(test[0], where="X_test")
    if images.shape[1:] != inputs.shape[1:] or images.dtype != inputs.dtype:
        raise fail(
            "X_test",
            f"rows of shape {images.shape[1:]}, {images.dtype}; expected "
            f"{inputs.shape[1:]}, {inputs.dtype} as in training",
            "prepare both parts in the same way",
        )
    columns = _target_columns(test[1], "y_test", task)
    if len(columns[0].values) != len(images):
        raise fail(
            "y_test",
            f"{len(columns[0].values)} targets for {len(images)} rows",
            "give exactly one target per row",
        )
    return images, columns


def _target_columns(targets: Any, where: str, task: str | None) -> tuple[Column, ...]:
    plain = isinstance(targets, list | np.ndarray)
    array: Array | None = np.asarray(cast(Any, targets)) if plain else None
    if array is None:
        columns = (column_of("y", targets, where),)
    elif array.ndim == 2 and array.shape[1] > 1:
        columns = _two_axes(array, where, task)
    else:
        columns = (column_of("y", array.reshape(-1), where),)
    for column in columns:
        if column.missing is not None:
            row = int(np.flatnonzero(column.missing)[0])
            raise fail(
                where,
                f"no value at {where}[{row}] (nan or None); expected a target per row",
                "drop the row",
            )
    return columns


def _two_axes(array: Array, where: str, task: str | None) -> tuple[Column, ...]:
    """One-hot rows are classes; other rows are the outputs of a regression."""
    if array.dtype.kind not in "biuf":
        raise fail(where, f"{array.dtype} of two axes", "give one label per row")
    binary = bool(((array == 0) | (array == 1)).all())
    one_hot = binary and bool((array.sum(axis=1) == 1).all())
    if one_hot and task != "regression":
        return (integers("y", array.argmax(axis=1)),)
    return tuple(reals(f"y{i}", array[:, i]) for i in range(array.shape[1]))


# -- choosing -----------------------------------------------------------------------


def _target_names(
    table: Table, target: str | Sequence[str] | None, weights: str | None
) -> list[str]:
    if weights is not None:
        _ = table[weights]
    if target is None:
        return [[name for name in table.columns if name != weights][-1]]
    names = [target] if isinstance(target, str) else list(target)
    for name in names:
        if name in table.twins:
            raise fail(
                table.where,
                f"two columns are named {name!r}; expected one that is the target",
                f"rename one of them, or choose {_twin(table, name)!r}, the second",
            )
        if name not in table.columns:
            raise _unknown_target(table, name)
        if name == weights:
            raise fail(table.where, f"{name!r} is target and weight", "use two columns")
        if names.count(name) > 1:
            fact = f"target {name!r} is named twice; expected different columns"
            raise fail(table.where, fact, "name it once")
    return names


def _twin(table: Table, name: str) -> str:
    return next(other for other in table.columns if other.startswith(f"{name}_"))


def _unknown_target(table: Table, name: str) -> DataError:
    """The error for a target that is no column, closest candidates first."""
    return DataError(unknown(table.where, "target column", name, table.columns))


def _with_targets(table: Table, names: list[str]) -> tuple[Table, list[str]]:
    """The rows in which every target is given, and a note about the others."""
    masks = [table[name].missing for name in names]
    lost = np.zeros(table.rows, np.bool_)
    for mask in masks:
        lost |= False if mask is None else mask
    if not lost.any():
        return table, []
    if lost.all():
        raise fail(
            table.where,
            f"target {listing(names)} is missing in every row",
            "choose another target",
        )
    count = int(lost.sum())
    return table.take(~lost), [
        f"dropped {count:,} of {table.rows:,} rows: target {listing(names)} is missing"
    ]


def _weights(table: Table, column: Column) -> NDArray[np.float64]:
    values = column.floats() if column.kind in ("integer", "real") else None
    if values is None or not np.isfinite(values).all() or (values < 0).any():
        raise fail(
            table.where,
            f"weight column {column.name!r} holds {column.found()}, or a missing or "
            "negative value; expected numbers of at least 0",
            "correct the column",
        )
    if not values.any():
        raise fail(
            table.where, f"weights {column.name!r} are all 0", "use another column"
        )
    return values


# -- classification or regression ---------------------------------------------------


def find_task(where: str, columns: Sequence[Column], task: str | None = None) -> Task:
    """The task that a target calls for, unless it is given.

    Text and booleans are classes, and so are whole numbers that are like classes
    (`nervure.data.meaning.task`). Everything else is a regression.
    """
    if task is not None and task not in TASKS:
        raise fail(where, f"task {task!r}; expected {' or '.join(TASKS)}", "choose one")
    found = _infer(columns) if task is None else task
    for column in columns:
        _check_target(where, column, found, given=task is not None)
    if found == "classification" and len(columns) > 1:
        raise fail(
            where,
            f"{len(columns)} targets of a classification; expected one",
            "choose one target, or task='regression'",
        )
    return "classification" if found == "classification" else "regression"


def task_notes(columns: Sequence[Column], found: Task, asked: str | None) -> list[str]:
    """What was decided about whole numbers, and the key that changes it."""
    if asked is not None or len(columns) > 1 or columns[0].kind != "integer":
        return []
    count = len(np.unique(columns[0].values))
    if count == 2:
        return []
    words = {"classification": "classes", "regression": "amounts"}
    other: Task = "regression" if found == "classification" else "classification"
    return [
        f"target {columns[0].name!r}: whole numbers of {count:,} values, taken as "
        f'{words[found]} (data.task = "{other}" takes them as {words[other]})'
    ]


def _infer(columns: Sequence[Column]) -> str:
    if len(columns) > 1:
        return "regression"
    column = columns[0]
    if column.kind in ("text", "boolean"):
        return "classification"
    whole = as_integers(column) if column.kind in ("integer", "real") else None
    if whole is None or whole.missing is not None:
        return "regression"
    return _WORDS[are_classes(column.name, whole.values)]


_WORDS = {True: "classification", False: "regression"}


def _check_target(where: str, column: Column, task: str, *, given: bool) -> None:
    if column.kind == "sequence":
        raise fail(
            where,
            f"target {column.name!r} holds sequences; expected a class or a number for "
            "each row",
            "choose another target",
        )
    if column.kind == "empty":
        raise fail(where, f"target {column.name!r} is empty", "choose another target")
    if task == "regression":
        return _check_amounts(where, column)
    if column.kind == "date":
        raise fail(
            where,
            f"target {column.name!r} holds dates; expected classes or numbers",
            "choose another target",
        )
    count = len(np.unique(column.values))
    if count == 1:
        raise fail(
            where,
            f"target {column.name!r} has one class ({column.labels()[0]!r}); expected "
            "at least 2",
            "choose another target or add rows of other classes",
        )
    if too_many(column, count):
        numbers = column.kind in ("integer", "real")
        other = ", or task='regression' for numbers" if numbers else ""
        raise fail(
            where,
            f"target {column.name!r} has {count:,} classes in {len(column.values):,} "
            f"rows; expected at most {MOST_CLASSES:,}, with two rows each on average",
            f"choose another target{other}",
        )


def too_many(column: Column, count: int) -> bool:
    """Whether so many classes cannot be learnt from the rows."""
    alone = count > FEW_CLASSES and count > len(column.values) / 2
    return count > MOST_CLASSES or alone


def _check_amounts(where: str, column: Column) -> None:
    if column.kind not in ("integer", "real", "boolean"):
        classes = not too_many(column, len(np.unique(column.values)))
        able = classes and column.kind == "text"
        raise fail(
            where,
            f"target {column.name!r} holds {column.found()}; expected numbers for a "
            "regression",
            "choose another target" + (" or task='classification'" if able else ""),
        )
    values = column.values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise fail(
            where,
            f"target {column.name!r} is {values[row]} in row {row}; expected finite "
            "numbers",
            "drop the row",
        )
    if values.min() == values.max():
        raise fail(
            where,
            f"target {column.name!r} is {values[0]} in every row; expected different "
            "values",
            "choose another target",
        )
