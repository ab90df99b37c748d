# SPDX-License-Identifier: BSD-3-Clause
"""Finding a `Preprocessing` from training rows: statistics, categories, what to drop.

Nothing outside the given rows has a say, but for the list of classes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import many
from nervure.data._errors import DataError, fail
from nervure.data._fit_table import Notes, fit_table, join
from nervure.data._raw import RECONSTRUCTION, Raw
from nervure.data.arrays import check_finite
from nervure.data.columns import Table
from nervure.data.encodings import Encodings, Texts
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import (
    Amounts,
    ArrayInput,
    Classes,
    Inputs,
    Reconstruction,
    SequenceInput,
    TableInput,
    Target,
)
from nervure.data.scaling import moments
from nervure.data.sequences import fit_sequences

Array = NDArray[Any]
Rows = NDArray[Any]

MOST_RECORD = 10 << 20
"""Bytes of a record as JSON: a model file holds it beside the network."""

MOST_REBUILT = 100
"""Levels of a category up to which a reconstruction has an input for each."""

_CHUNK = 1 << 18


def fit_preprocessing(
    raw: Raw,
    rows: Rows | None = None,
    *,
    encodings: Encodings | None = None,
    standardize_target: bool = True,
) -> tuple[Preprocessing, list[str]]:
    """The preprocessing that training rows call for, and notes about it.

    Args:
        raw: what `nervure.data.read` returned.
        rows: row numbers (or a mask) of the training rows; None takes all.
        encodings: how the columns of a table are encoded.
        standardize_target: learn a regression's target as ``(y - mean) / scale``.

    Raises:
        DataError: nothing is left to learn from, or a value is infinite.
    """
    notes = Notes()
    inputs: Inputs
    if isinstance(raw.inputs, Table):
        own = _of_inputs(encodings, raw)
        found = fit_sequences(raw.inputs, rows, own, notes)
        inputs = found or fit_table(raw.inputs, rows, own, notes)
        if found is not None and raw.task == RECONSTRUCTION:
            raise _no_reconstruction(found, raw.where)
    else:
        inputs = _fit_array(raw.inputs, raw.scale, rows, notes, raw.where)
    target: Target
    if raw.task == RECONSTRUCTION:
        target, line = Reconstruction("code"), "target: the inputs themselves"
    elif raw.task == "classification":
        target, line = _fit_classes(raw)
    else:
        target, line = _fit_amounts(raw, rows, standardize_target)
    header = False if raw.header is False else None
    record = Preprocessing(
        inputs, target, query=raw.query, header=header, series=raw.series
    )
    _check_record(record, raw.where)
    return record, [line, *notes.lines()]


def _of_inputs(encodings: Encodings | None, raw: Raw) -> Encodings:
    """Encodings without those of targets, of which they said what they are read as."""
    encodings = encodings or Encodings()
    targets = {column.name for column in raw.targets}
    others = {n: use for n, use in encodings.columns.items() if n not in targets}
    columns = {**_of_series(encodings, raw), **others}
    if raw.task == RECONSTRUCTION:
        return _for_reconstruction(encodings, columns, raw.where)
    return replace(encodings, columns=columns)


def _for_reconstruction(
    encodings: Encodings, columns: dict[str, str], where: str
) -> Encodings:
    """Encodings without codes, whose distances mean nothing to a squared error."""
    as_codes = ("embedding", *get_args(Texts))
    codes = [name for name, use in columns.items() if use in as_codes]
    if codes or encodings.categories == "embedding":
        what = f"column {codes[0]!r}" if codes else "categories"
        raise fail(
            where,
            f"{what} as codes for an embedding; expected values that can be given "
            "again",
            "encode them one_hot, or drop them",
        )
    wide = max(encodings.most_one_hot, MOST_REBUILT)
    return replace(encodings, columns=columns, most_one_hot=wide, embeds=False)


def _no_reconstruction(record: SequenceInput, where: str) -> DataError:
    return fail(
        where,
        f"column {record.name!r} holds sequences; expected rows of one shape, which "
        "can be given again",
        "leave it out, or cut the sequences into columns",
    )


def _of_series(encodings: Encodings, raw: Raw) -> dict[str, str]:
    """Encodings of what windows are made of: no value counts rows, groups are names."""
    record, table = raw.series, raw.inputs
    if record is None or not isinstance(table, Table):
        return {}
    found: dict[str, str] = dict.fromkeys(record.lags, encodings.numbers)
    if record.group in table.columns:
        several = len(np.unique(table[record.group].values))
        one_hot = several <= encodings.most_one_hot
        found[record.group] = "one_hot" if one_hot else "embedding"
    return found


def _check_record(record: Preprocessing, where: str) -> None:
    """Refuse before training what could not be saved after it."""
    size = len(json.dumps(asdict(record)))
    if size <= MOST_RECORD:
        return
    largest = max(_parts(record), key=lambda part: part[1])
    raise fail(
        where,
        f"the record of columns and labels takes {size:,} bytes, {largest[1]:,} of "
        f"them for {largest[0]!r}; expected at most {MOST_RECORD:,}",
        f"leave columns out: columns={{{largest[0]!r}: 'drop'}}",
    )


def _parts(record: Preprocessing) -> list[tuple[str, int]]:
    target, inputs = record.target, record.inputs
    columns = inputs.columns if isinstance(inputs, TableInput) else ()
    sizes = [(column.name, len(repr(column))) for column in columns]
    return [*sizes, (", ".join(record.target_names[:1]), len(repr(target)))]


# -- targets ------------------------------------------------------------------------


def _fit_classes(raw: Raw) -> tuple[Classes, str]:
    column = raw.targets[0]
    values, first = np.unique(column.values, return_index=True)
    labels = column.take(first).labels() if len(values) else []
    merged = raw.labels == "merged" and column.kind == "text"
    target = Classes(column.name, tuple(labels), merged=merged)
    shown = [str(label) for label in labels]
    return target, f"target {column.name!r}: {len(labels)} classes ({join(shown, 6)})"


def _fit_amounts(raw: Raw, rows: Rows | None, standardize: bool) -> tuple[Amounts, str]:
    names = tuple(column.name for column in raw.targets)
    found = [(0.0, 1.0) for _ in names]
    if standardize:
        found = [moments(_at(c.floats(), rows)) for c in raw.targets]
    means = tuple(mean for mean, _ in found)
    scales = tuple(scale or 1.0 for _, scale in found)
    named = ", ".join(map(repr, names[:6])) + (" ..." if len(names) > 6 else "")
    if raw.series is not None:
        listed = ", ".join(map(repr, raw.series.targets))
        named = f"{listed}, {many(raw.series.horizon, 'step')} ahead"
    how = "numbers, standardized" if standardize else "numbers"
    written = next((c.written for c in raw.targets if c.written), None)
    target = Amounts(names, means, scales, written=written)
    return target, f"target {named}: {how}"


# -- arrays -------------------------------------------------------------------------


def _fit_array(
    array: Array, scale: float | None, rows: Rows | None, notes: Notes, where: str
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
        notes.bytes.append(f"times 1/{round(1 / chosen)}")
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
    notes.scaled["standard"] = [f"{len(mean):,} features"]
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
