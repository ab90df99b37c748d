# SPDX-License-Identifier: BSD-3-Clause
"""Applying a `TableInput` to the rows of a table."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import DataWarning, check_size, fail, listing
from nervure.data.columns import KIND_WORDS, Column, Table, as_integers, as_texts
from nervure.data.meaning.tokens import tokens
from nervure.data.meaning.understanding import apply_form, key
from nervure.data.records import Category, Numeric, TableInput, Text

Array = NDArray[Any]


class UnknownCategoryWarning(UserWarning):
    """Rows hold categories that the training rows did not.

    Attributes:
        column: name of the column.
        rows: number of rows.
    """

    def __init__(self, text: str, column: str, rows: int) -> None:
        super().__init__(text)
        self.column, self.rows = column, rows


@dataclass(frozen=True)
class Unknown:
    """Categories of one column that are not in its record: rows and some names."""

    column: Category
    rows: int
    levels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows of a table as a network takes them, and the categories not known."""

    inputs: Array
    unknown: tuple[Unknown, ...]

    def counts(self) -> dict[str, int]:
        """Rows with categories that are not known, by column."""
        return {found.column.name: found.rows for found in self.unknown}

    def warned(self, where: str, stacklevel: int = 2) -> Array:
        """The inputs, after a warning for each column with unknown categories."""
        for found in self.unknown:
            name = found.column.name
            seen, become = (
                ("at least twice in", "the code of what is unknown")
                if found.column.embedded
                else ("in", "zeros")
            )
            text = (
                f"[{where}] column {name!r}: {found.rows:,} rows hold categories that "
                f"were not seen {seen} training ({listing(found.levels, 3)}); they "
                f"become {become}"
            )
            warnings.warn(
                UnknownCategoryWarning(text, name, found.rows),
                stacklevel=stacklevel + 1,
            )
        return self.inputs


def encode_table(
    record: TableInput, table: Table, dtype: np.dtype[Any], where: str
) -> Encoded:
    """Rows of a table as ``(rows, width)``, columns found by name."""
    missing = [c.name for c in record.columns if c.name not in table.columns]
    if missing:
        there = listing(list(table.columns)) or "none"
        raise fail(
            where,
            f"no column {listing(missing)} (there are {there}); expected the columns "
            "of the training data",
            "add or rename the columns",
        )
    size = table.rows * record.width * dtype.itemsize
    check_size(where, size, _without_texts(record))
    encoded = np.zeros((table.rows, record.width), dtype)
    unknown: list[Unknown] = []
    start = 0
    for spec in record.columns:
        out = encoded[:, start : start + spec.width]
        column = table.columns[spec.name]
        if isinstance(spec, Numeric):
            if column.kind == "text":
                column = apply_form(column, spec.written, table)
            _encode_numeric(spec, column, out, where)
        elif isinstance(spec, Text):
            _encode_text(spec, column, out, where)
        else:
            unknown += _encode_category(spec, column, out, where)
        start += spec.width
    return Encoded(encoded, tuple(unknown))


def _without_texts(record: TableInput) -> str:
    """What makes rows of long texts smaller, in words."""
    texts = [column for column in record.columns if isinstance(column, Text)]
    longest = max(texts, key=lambda text: text.length, default=None)
    return "" if longest is None else f"{key(longest.name, 'drop')}, or "


def changed(column: Column, wanted: str, where: str) -> NoReturn:
    """Raise for a column of another kind than in training."""
    raise fail(
        where,
        f"column {column.name!r} holds {column.found()}; expected {wanted}, as in "
        "training",
        "convert the column",
    )


# -- numbers --------------------------------------------------------------------------


def _encode_numeric(spec: Numeric, column: Column, out: Array, where: str) -> None:
    wanted = ("date",) if spec.date else ("integer", "real")
    if column.kind not in (*wanted, "empty"):
        changed(column, "dates" if spec.date else "numbers", where)
    values = column.floats()
    lost = np.isnan(values)
    values[lost] = spec.fill
    _check_finite(column, values, "finite numbers", where)
    with np.errstate(over="ignore"):
        spec.scaling.apply(values, out[:, : spec.scaling.width])
    largest = np.finfo(out.dtype).max
    _check_finite(column, out[:, 0], f"at most {largest:.2g} once scaled", where)
    if spec.flag:
        out[:, -1] = lost


def _check_finite(column: Column, values: Array, wanted: str, where: str) -> None:
    infinite = np.flatnonzero(~np.isfinite(values))
    if infinite.size:
        raise infinite_value(column, int(infinite[0]), where, wanted)


def infinite_value(
    column: Column, row: int, where: str, wanted: str = "finite numbers"
) -> Exception:
    """The error for an infinite value of a table."""
    return fail(
        where,
        f"column {column.name!r} is {column.values[row]} in row {row} (counted "
        f"from 0); expected {wanted}",
        "drop the row or leave the value empty (missing values are filled)",
    )


# -- categories -----------------------------------------------------------------------


def categories(column: Column, spec: Category, where: str) -> Column:
    """The column as texts, if its kind is that of the record."""
    if spec.source == "integer" and column.kind in ("integer", "real"):
        whole = as_integers(column)
        if whole is not None:
            return as_texts(whole)
    wanted = spec.source
    if column.kind not in (wanted, "empty"):
        changed(column, KIND_WORDS[wanted], where)
    return column


def _encode_category(
    spec: Category, column: Column, out: Array, where: str
) -> list[Unknown]:
    column = categories(column, spec, where)
    places = {level: i for i, level in enumerate(spec.levels)}
    lookup = np.array([places.get(level, -1) for level in column.levels] + [-1])
    codes = np.full(len(out), -1) if column.kind == "empty" else lookup[column.values]
    unknown = codes < 0
    if column.missing is not None:
        unknown &= ~column.missing
        codes[column.missing] = len(spec.levels) if spec.missing else -1
    if spec.embedded:
        out[:, 0] = codes + 1
    else:
        known = np.flatnonzero(codes >= 0)
        out[known, codes[known]] = 1
    if not unknown.any():
        return []
    found: list[int] = np.unique(column.values[unknown]).tolist()
    levels = tuple(column.levels[code] for code in found)
    return [Unknown(spec, int(unknown.sum()), levels)]


# -- texts ----------------------------------------------------------------------------

_TOGETHER = 4_096
"""Rows whose codes are laid out at a time."""


def sentences(column: Column) -> Column | None:
    """The column as texts, numbers and truth values as they are written; None if it
    holds dates or sequences."""
    if column.kind in ("text", "empty"):
        return column
    if column.kind == "boolean":
        return dataclasses.replace(column, kind="text")
    if column.kind in ("integer", "real"):
        return as_texts(as_integers(column) or column)
    return None


def _encode_text(spec: Text, column: Column, out: Array, where: str) -> None:
    texts = sentences(column)
    if texts is None:
        changed(column, "text", where)
    if texts.kind == "empty":
        return
    _lay_out(spec, texts, out)
    if texts.missing is not None:
        out[texts.missing] = 0
    _warn_strange(spec, out, where)


def _lay_out(spec: Text, column: Column, out: Array) -> None:
    """The codes of each text, at the end of its row."""
    places = {token: code for code, token in enumerate(spec.vocabulary, start=2)}
    for begin in range(0, len(out), _TOGETHER):
        some = slice(begin, begin + _TOGETHER)
        texts, which = np.unique(column.values[some], return_inverse=True)
        codes = np.zeros((len(texts), spec.length), out.dtype)
        for i, text in enumerate(texts):
            found = tokens(column.levels[int(text)], spec.unit, spec.length)
            codes[i, spec.length - len(found) :] = [places.get(t, 1) for t in found]
        out[some] = codes[which]


def _warn_strange(spec: Text, codes: Array, where: str) -> None:
    """Warn where hardly a text holds anything that training has seen."""
    some = int((codes[:, -1] > 0).sum())
    strange = some - int((codes > 1).any(axis=1).sum())
    if strange <= some / 2:
        return
    warnings.warn(
        DataWarning(
            f"[{where}] column {spec.name!r}: {strange:,} of {some:,} texts hold none "
            f"of the {spec.unit} of training; the network knows nothing of them: are "
            "they in another language, or in another column?"
        ),
        stacklevel=5,
    )
