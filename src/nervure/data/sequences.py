# SPDX-License-Identifier: BSD-3-Clause
"""A column of lists, alone in its table: sequences as inputs, scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import many
from nervure.data._errors import fail, listing
from nervure.data._fit_table import Notes, check_names
from nervure.data.columns import Column, Table
from nervure.data.encodings import Encodings
from nervure.data.frames import named_columns
from nervure.data.meaning.understanding import key
from nervure.data.ragged import Ragged, as_sequences
from nervure.data.records import SequenceInput

Array = NDArray[Any]


def fit_sequences(
    table: Table, rows: Array | None, encodings: Encodings, notes: Notes
) -> SequenceInput | None:
    """The record of a column of lists, or None where a table has none.

    Steps of reals are standardized by those of the training rows; whole numbers, which
    may be codes, stay as they are unless "standard" is asked for. "embedding" says that
    they are codes.

    Raises:
        DataError: other columns beside it, another encoding, steps that do not fit.
    """
    kept = [c for c in table.columns.values() if not _drops(encodings, c.name)]
    found = [column for column in kept if column.kind == "sequence"]
    if not found:
        return None
    own = found[0]
    check_names(table, encodings)
    _check_alone(own, kept, table.where)
    use = encodings.columns.get(own.name)
    if use not in (None, "standard", "embedding"):
        raise fail(
            table.where,
            f"column {own.name!r} of sequences as {use!r}; expected 'standard', or "
            "'embedding' of codes",
            "leave it out of columns",
        )
    steps = sequences_in(own, table.where)
    if use == "embedding":
        _check_codes(own.name, steps, table.where)
    others = [name for name in table.columns if name != own.name]
    notes.dropped += [f"{name} (as asked for)" for name in others]
    record = _fitted(own.name, steps, rows, standard=use == "standard")
    notes.sequences.append(_told(record, steps))
    return record


def encode_sequences(
    record: SequenceInput, raw: Any, dtype: np.dtype[Any], where: str
) -> Ragged:
    """The sequences of a table, a frame, a dict, or a list of arrays, scaled.

    Raises:
        DataError: no such column, or steps of other features than in training.
    """
    steps = _sequences(record, raw, where)
    count = steps.values.shape[1]
    if count != record.features:
        raise fail(
            where,
            f"steps of {many(count, 'number')}; expected {record.features}, as in "
            "training",
            "give each step the features that the network was trained on",
        )
    values = steps.values
    if record.mean:
        mean, deviation = np.array(record.mean), np.array(record.deviation)
        values = (values.astype(np.float64) - mean) / deviation
    return steps.with_values(np.ascontiguousarray(values, dtype))


def sequences_in(column: Column, where: str) -> Ragged:
    """The sequences of a column, each step a vector."""
    return _vectors(as_sequences(column.values, where=f"{where}: {column.name}"), where)


def _sequences(record: SequenceInput, raw: Any, where: str) -> Ragged:
    table = named_columns(raw, where)
    if table is None:
        return _vectors(as_sequences(raw, where=where), where)
    if table.series:
        (column,) = table.columns.values()
    elif record.name in table.columns:
        column = table[record.name]
    else:
        raise fail(
            where,
            f"no column {record.name!r} (there are {listing(list(table.columns))}); "
            "expected the sequences of the training data",
            "add or rename the column",
        )
    if column.kind != "sequence":
        raise fail(
            where,
            f"column {column.name!r} holds {column.found()}; expected sequences, as in "
            "training",
            "give a list of numbers in each row",
        )
    return sequences_in(column, where)


def _vectors(rows: Ragged, where: str) -> Ragged:
    if rows.values.ndim == 1:
        return rows.with_values(rows.values[:, None])
    if rows.values.ndim > 2:
        raise fail(
            where,
            f"steps of shape {rows.values.shape[1:]}; expected numbers, or lists of "
            "them",
            "lay the numbers of a step side by side",
        )
    return rows


def _check_codes(name: str, steps: Ragged, where: str) -> None:
    """Raise for what is to be embedded and has steps that are no codes."""
    count = steps.values.shape[1]
    if count == 1 and _whole(steps.packed()):
        return
    found = "numbers that are no whole ones from 0 on"
    found = found if count == 1 else f"steps of {many(count, 'number')}"
    raise fail(
        where,
        f"column {name!r} as 'embedding' holds {found}; expected steps of one code, a "
        "whole number from 0 on",
        "leave it out of columns",
    )


def _drops(encodings: Encodings, name: str) -> bool:
    return encodings.columns.get(name) == "drop"


def _check_alone(own: Column, kept: list[Column], where: str) -> None:
    others = [column.name for column in kept if column is not own]
    if others:
        raise fail(
            where,
            f"column {own.name!r} holds sequences, beside {listing(others, 3)}; "
            "expected sequences as the only input",
            f'leave the others out (columns={{{others[0]!r}: "drop"}}), or put their '
            "numbers into each step",
        )


def _fitted(
    name: str, steps: Ragged, rows: Array | None, *, standard: bool
) -> SequenceInput:
    own = steps if rows is None else steps[rows]
    values, features = own.packed(), steps.values.shape[1]
    if _whole(values) and not standard:
        return SequenceInput(name, features)
    values = values.astype(np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    deviation[deviation == 0] = 1.0
    return SequenceInput(
        name, features, tuple(mean.tolist()), tuple(deviation.tolist())
    )


def _whole(values: Array) -> bool:
    """Whether numbers may be codes: whole, and none below 0."""
    return bool((values >= 0).all() and (values == np.floor(values)).all())


def _told(record: SequenceInput, steps: Ragged) -> str:
    shortest = int(steps.lengths.min())
    span = f"{shortest:,} to {steps.longest:,}"
    scales = f"{key(record.name, 'standard')} scales them"
    whole = f"whole numbers, as they are ({scales})"
    how = "standardized" if record.mean else whole
    numbers = many(record.features, "number")
    return f"{record.name!r}, {span} steps of {numbers} each, {how}"
