# SPDX-License-Identifier: BSD-3-Clause
"""Applying a `Preprocessing` to rows and targets."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import short
from nervure.data._encode_table import Encoded, changed, encode_table
from nervure.data._errors import fail, listing
from nervure.data.arrays import as_inputs, check_finite
from nervure.data.columns import Column, Table, table_of
from nervure.data.frames import (
    column_of,
    is_frame,
    named_columns,
    table_from_frame,
    table_from_mapping,
)
from nervure.data.meaning.labels import folded
from nervure.data.opening import How, features_of
from nervure.data.ragged import Ragged
from nervure.data.records import (
    Amounts,
    ArrayInput,
    Classes,
    Inputs,
    LetterInput,
    SequenceInput,
    TableInput,
    Text,
)
from nervure.data.sequences import encode_sequences
from nervure.data.sparse import Sparse, is_sparse
from nervure.layers.entrance import Codes, TextCodes

Array = NDArray[Any]
_CHUNK = 1 << 18


def encode(
    record: Inputs,
    raw: Any,
    *,
    query: str | None = None,
    dtype: np.dtype[Any],
    where: str | None = None,
) -> Any:
    """See `Preprocessing.encode`."""
    if isinstance(record, LetterInput):
        return encode_letters(record, raw, dtype, where or "text")
    if isinstance(record, SequenceInput):
        rows, where = _read(record, raw, query, where)
        return encode_sequences(record, rows, dtype, where)
    if is_sparse(raw):
        parts = _dense_parts(Sparse.of(raw, where or "rows"))
        made = [encode(record, part, dtype=dtype, where=where) for part in parts]
        return np.concatenate(made)
    rows, where = _opened(record, raw, query, where)
    if isinstance(record, TableInput):
        return encode_table(record, rows, dtype, where).warned(where, 3)
    return encode_array(record, rows, dtype, where)


def _dense_parts(rows: Sparse) -> Iterator[Array]:
    """Some sparse rows after the other, as arrays."""
    step = max(1, _CHUNK // rows.shape[1])
    return (np.asarray(rows[i : i + step]) for i in range(0, len(rows), step))


def encode_rows(record: TableInput, raw: Any, dtype: np.dtype[Any]) -> Encoded:
    """Rows of a frame, a dict or an array for a record of a table."""
    table = _table_of(record, raw, "rows")
    return encode_table(record, table, dtype, table.where)


def codes_of(record: TableInput) -> tuple[Codes, ...]:
    """What the last inputs of rows hold, as a network's entrance asks."""
    return tuple(
        TextCodes(column.codes, column.length)
        if isinstance(column, Text)
        else column.codes
        for column in record.embedded
    )


def _opened(
    record: TableInput | ArrayInput, raw: Any, query: str | None, where: str | None
) -> tuple[Any, str]:
    """A table or array of what may be a file, and its name."""
    raw, where = _read(record, raw, query, where)
    if isinstance(record, TableInput):
        return _table_of(record, raw, where), where
    table = named_columns(raw, where)
    return (raw if table is None else _stacked(record, table, where)), where


def _read(
    record: TableInput | ArrayInput | SequenceInput,
    raw: Any,
    query: str | None,
    where: str | None,
) -> tuple[Any, str]:
    """What a file holds, or what is given, and its name."""
    if isinstance(raw, str | Path):
        where = where or Path(raw).name
        raw = features_of(os.fspath(raw), How(query, inputs=record))
    elif query is not None:
        raise fail(where or "rows", "a query without a file", "give a table file")
    return raw, where or (raw.where if isinstance(raw, Table) else "rows")


def _table_of(record: TableInput, raw: Any, where: str) -> Table:
    wanted = [column.name for column in record.columns]
    table = named_columns(raw, where, wanted)
    return _by_position(record, raw, where) if table is None else table


# -- tables -------------------------------------------------------------------------


def _by_position(record: TableInput, raw: Any, where: str) -> Table:
    """An array of rows as a table with the names of the training data."""
    array = _as_array(raw)
    if array.ndim != 2 or array.shape[1] != len(record.names):
        raise fail(
            where,
            f"an array of shape {array.shape}; expected (rows, {len(record.names)}) "
            f"with the columns {listing(record.names)}",
            "give all columns in this order, or a data frame or dict",
        )
    used = {column.name for column in record.columns}
    named = enumerate(record.names)
    columns = [column_of(n, array[:, i], where) for i, n in named if n in used]
    return table_of(columns, where)


def _as_array(raw: Any) -> Array:
    """An array as it is; a list as objects, so that kinds are not mixed up."""
    if isinstance(raw, np.ndarray):
        return cast("Array", raw)
    return np.array(raw, object) if isinstance(raw, list | tuple) else np.asarray(raw)


# -- arrays -------------------------------------------------------------------------


def encode_array(
    record: ArrayInput, raw: Any, dtype: np.dtype[Any], where: str
) -> Array:
    """Rows of an array as ``(rows, *shape)``; uint8 is kept unless standardized."""
    array = as_inputs(raw, where=where)
    array = array.reshape(len(array), *_fitting(record, array.shape[1:], where))
    if array.dtype == np.uint8 and not record.mean:
        return array
    if record.mean:
        mean, deviation = np.array(record.mean), np.array(record.deviation)
        return _by_chunks(array, dtype, mean, 1 / deviation)
    if record.scale != 1:
        return _by_chunks(array, dtype, 0.0, record.scale)
    floats = np.ascontiguousarray(array, dtype)
    if floats.dtype.itemsize < array.dtype.itemsize:
        check_finite(floats, where, fact=f"a value beyond {dtype}", remedy="scale it")
    return floats


def _fitting(record: ArrayInput, found: tuple[int, ...], where: str) -> tuple[int, ...]:
    """The record's shape, if rows of shape ``found`` can be seen so."""
    shape = record.shape
    grey = shape[:-1] if shape[-1] == 1 and len(shape) > 1 else shape
    if found in (shape, grey, (math.prod(shape),)):
        return shape
    raise fail(
        where,
        f"rows of shape {found}; expected {shape} or {math.prod(shape)} values, as in "
        "training",
        "reshape or resize the rows",
    )


def _by_chunks(array: Array, dtype: np.dtype[Any], mean: Any, factor: Any) -> Array:
    """``(x - mean) * factor`` in float64, a few rows at a time to save memory."""
    out = np.empty(array.shape, dtype)
    step = max(1, _CHUNK // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), step):
        part = array[start : start + step].astype(np.float64)
        out[start : start + step] = (part - mean) * factor
    return out


def _stacked(record: ArrayInput, table: Table, where: str) -> Array:
    """A table of numbers, one column per value, as rows of an array."""
    if len(table.columns) != record.width:
        raise fail(
            where,
            f"{len(table.columns)} columns; expected {record.width}, one for each "
            f"value of shape {record.shape}",
            "keep only these columns, in order",
        )
    for column in table.columns.values():
        if column.kind not in ("integer", "real") or column.missing is not None:
            lacks = "a missing value" if column.missing is not None else column.found()
            raise fail(
                where,
                f"column {column.name!r} holds {lacks}; expected numbers",
                "correct the column",
            )
    return np.column_stack([column.values for column in table.columns.values()])


# -- targets ------------------------------------------------------------------------


def encode_targets(target: Classes | Amounts, raw: Any, dtype: np.dtype[Any]) -> Array:
    """See `Preprocessing.encode_targets`."""
    columns = _target_columns(target, raw)
    for column in columns:
        if column.missing is not None:
            row = int(np.flatnonzero(column.missing)[0])
            raise fail(
                "targets",
                f"target {column.name!r} is missing in row {row} (counted from 0)",
                "drop the row",
            )
    if isinstance(target, Classes):
        return _class_indices(target, columns[0])
    return _amounts(target, columns, dtype)


def _target_columns(target: Classes | Amounts, raw: Any) -> list[Column]:
    if isinstance(raw, Column):
        return [raw]
    names = (target.name,) if isinstance(target, Classes) else target.names
    if is_frame(raw):
        table = table_from_frame(raw, "targets")
        return (
            list(table.columns.values()) if table.series else [table[n] for n in names]
        )
    if isinstance(raw, Mapping):
        table = table_from_mapping(cast("Mapping[str, Any]", raw), "targets")
        return [table[name] for name in names]
    array = _as_array(raw)
    if array.ndim == 1:
        return [column_of(names[0], array, "targets")]
    if array.ndim != 2 or array.shape[1] != len(names):
        raise fail(
            "targets",
            f"shape {array.shape}; expected (rows, {len(names)})",
            "give one column per target",
        )
    return [column_of(name, array[:, i], "targets") for i, name in enumerate(names)]


def _class_indices(target: Classes, column: Column) -> NDArray[np.int32]:
    values, first, inverse = np.unique(
        column.values, return_index=True, return_inverse=True
    )
    own = _folded if target.merged else _as_is
    places: dict[Any, int] = {own(label): i for i, label in enumerate(target.labels)}
    labels = (
        [own(label) for label in column.take(first).labels()] if len(values) else []
    )
    for label, row in zip(labels, first, strict=True):
        if label not in places:
            raise fail(
                "targets",
                f"class {label!r} in row {int(row)} (counted from 0) was not there in "
                f"training; expected {listing([str(c) for c in target.labels])}",
                "correct the label, or train again with it",
            )
    indices = np.array([places[label] for label in labels], np.int32)
    return indices[inverse]


def _folded(label: Any) -> Any:
    return folded(label) if isinstance(label, str) else label


def _as_is(label: Any) -> Any:
    return label


def _amounts(target: Amounts, columns: list[Column], dtype: np.dtype[Any]) -> Array:
    if len(columns) != len(target.names):
        raise fail("targets", f"{len(columns)} targets", f"give {len(target.names)}")
    for column in columns:
        if column.kind not in ("integer", "real", "boolean"):
            changed(column, "numbers", "targets")
    values = np.column_stack([column.floats() for column in columns])
    check_finite(values, "targets")
    return ((values - np.array(target.mean)) / np.array(target.scale)).astype(dtype)


def encode_letters(
    record: LetterInput, raw: Any, dtype: np.dtype[Any], where: str
) -> Ragged:
    """Codes of the letters of a text, or of several."""
    texts = [raw] if isinstance(raw, str) else raw
    if not isinstance(texts, list | tuple) or not texts:
        raise fail(where, f"found {short(raw)}", "expected a text, or a list of them")
    known = {letter: i for i, letter in enumerate(record.letters)}
    rows: list[Array] = []
    for i, text in enumerate(cast("list[object]", texts)):
        if not isinstance(text, str) or not text:
            remedy = "expected a text of some letters; leave it out"
            raise fail(where, f"text {i} is {short(text)}", remedy)
        strange = next((letter for letter in text if letter not in known), None)
        if strange is not None:
            raise fail(
                where,
                f"letter {strange!r} in text {i}; expected one of the {len(known)} "
                "that the network was trained on",
                "write it without",
            )
        rows.append(np.array([known[letter] for letter in text], dtype))
    return Ragged(np.concatenate(rows), [len(row) for row in rows])
