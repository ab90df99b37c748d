# SPDX-License-Identifier: BSD-3-Clause
"""Columns and tables as read: one kind per column, missing values marked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import unknown
from nervure.data._errors import DataError, fail
from nervure.data.meaning.forms import Form
from nervure.data.meaning.markers import is_missing

Kind = Literal["integer", "real", "boolean", "text", "date", "sequence", "empty"]

KIND_WORDS: dict[str, str] = {
    "integer": "integers",
    "real": "numbers",
    "boolean": "booleans",
    "text": "text",
    "date": "dates",
    "sequence": "sequences",
    "empty": "nothing but missing values",
}


@dataclass(frozen=True, eq=False)
class Column:
    """Values of one kind, shape ``(rows,)``.

    ``values`` is int64 (integer), float64 (real; date: seconds since 1970-01-01 UTC),
    objects (sequence: a list or array in each row) or int32 codes into ``levels``
    (text; boolean with the levels "False", "True").
    ``missing`` marks missing rows, whose values mean nothing; None: there are none.
    ``written`` is how the numbers or dates stood in a text file, if not plainly.
    """

    name: str
    kind: Kind
    values: NDArray[Any]
    missing: NDArray[np.bool_] | None = None
    levels: tuple[str, ...] = ()
    written: Form | None = None

    def take(self, rows: NDArray[Any]) -> Column:
        """The column at these rows (indices or a mask)."""
        missing = None if self.missing is None else self.missing[rows]
        taken = made(self.name, self.kind, self.values[rows], missing, self.levels)
        return dataclasses.replace(taken, written=self.written)

    def text(self, row: int) -> str:
        """The text of a row (for text)."""
        return self.levels[int(self.values[row])]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Where there is a value."""
        if self.kind == "empty":
            return np.zeros(len(self.values), np.bool_)
        if self.missing is None:
            return np.ones(len(self.values), np.bool_)
        return ~self.missing

    def compact(self) -> Column:
        """The column without levels that no row holds (for text)."""
        there = self.present
        found, codes = np.unique(self.values[there], return_inverse=True)
        used: list[int] = found.tolist()
        values = np.zeros(len(self.values), np.int32)
        values[there] = codes
        levels = tuple(self.levels[code] for code in used)
        return dataclasses.replace(self, values=values, levels=levels)

    def found(self) -> str:
        """What the column holds, in words, for errors."""
        if self.kind == "text" and len(self.values):
            present = (
                self.values if self.missing is None else self.values[~self.missing]
            )
            return f"text ({self.levels[present[0]]!r:.40})"
        return KIND_WORDS[self.kind]

    def floats(self) -> NDArray[np.float64]:
        """The values as float64 with NaN where missing (not for text)."""
        floats = self.values.astype(np.float64)
        if self.missing is not None:
            floats[self.missing] = np.nan
        return floats

    def labels(self) -> list[Any]:
        """The values as str, int, bool or float; only for columns without missing."""
        if self.kind == "boolean":
            return [bool(code) for code in self.values]
        if self.kind == "text":
            return [self.levels[code] for code in self.values]
        return self.values.tolist()


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, in order. ``series``: it was one column only.

    ``notes`` say how it was read. ``lines`` gives the line of a text file at which a
    row stands; ``decimal_comma`` says that numbers in it are written so; ``twins`` are
    names that several columns had; ``header`` says whether it began with the names.
    """

    columns: dict[str, Column]
    rows: int
    where: str = "data"
    series: bool = False
    notes: tuple[str, ...] = ()
    lines: Callable[[int], int] | None = None
    decimal_comma: bool = False
    twins: frozenset[str] = frozenset()
    header: bool | None = None

    def __getitem__(self, name: str) -> Column:
        if name not in self.columns:
            raise DataError(unknown(self.where, "column", name, self.columns))
        return self.columns[name]

    def take(self, rows: NDArray[Any]) -> Table:
        """The table at these rows (indices or a mask)."""
        columns = {name: c.take(rows) for name, c in self.columns.items()}
        count = int(rows.sum()) if rows.dtype == np.bool_ else len(rows)
        return Table(columns, count, self.where, notes=self.notes)

    def without(self, names: Iterable[str]) -> Table:
        """The table less some columns."""
        gone = set(names)
        left = {k: c for k, c in self.columns.items() if k not in gone}
        return dataclasses.replace(self, columns=left)

    def place(self, row: int) -> str:
        """Where a row stands: a line of the file, or its number."""
        return f"row {row}" if self.lines is None else f"line {self.lines(row):,}"


def table_of(columns: Iterable[Column], where: str, *, series: bool = False) -> Table:
    """A table of columns, which must be of equal length and different names."""
    named: dict[str, Column] = {}
    for column in columns:
        if column.name in named:
            raise fail(
                where,
                f"two columns are named {column.name!r}; expected unique names",
                "rename one of them",
            )
        named[column.name] = column
    lengths = {len(column.values) for column in named.values()}
    if len(lengths) > 1:
        sizes = ", ".join(f"{n!r}: {len(c.values)}" for n, c in named.items())
        raise fail(where, f"columns differ in length ({sizes:.200})", "make them equal")
    return Table(named, lengths.pop() if lengths else 0, where, series)


# -- by kind ------------------------------------------------------------------------


def made(
    name: str,
    kind: Kind,
    values: NDArray[Any],
    missing: NDArray[np.bool_] | None = None,
    levels: tuple[str, ...] = (),
) -> Column:
    """A column without an idle mask; "empty" if all is missing."""
    if missing is not None and not missing.any():
        missing = None
    if missing is not None and missing.all():
        kind, levels = "empty", ()
    return Column(name, kind, values, missing, levels)


def reals(name: str, values: NDArray[Any], missing: Any = None) -> Column:
    """Numbers; NaN is missing."""
    floats = np.ascontiguousarray(values, np.float64)
    nan = np.isnan(floats)
    return made(name, "real", floats, nan if missing is None else nan | missing)


def numbers(name: str, values: NDArray[np.float64], missing: Any = None) -> Column:
    """Integers where all that is there is whole and exact, reals elsewhere."""
    column = reals(name, values, missing)
    whole = as_integers(column) if column.kind == "real" else None
    return whole or column


def integers(name: str, values: NDArray[Any], missing: Any = None) -> Column:
    """Integers; those beyond 64 bits become reals."""
    if values.dtype.kind == "u" and values.size and values.max() > np.iinfo("i8").max:
        return reals(name, values, missing)
    return made(name, "integer", values.astype(np.int64), missing)


def booleans(name: str, values: NDArray[Any], missing: Any = None) -> Column:
    """Truth values as codes into the levels "False" and "True"."""
    return made(name, "boolean", values.astype(np.int32), missing, ("False", "True"))


def dates(name: str, seconds: NDArray[Any], missing: Any = None) -> Column:
    """Times in seconds since 1970-01-01 UTC; NaN is missing."""
    column = reals(name, seconds, missing)
    kind: Kind = "empty" if column.kind == "empty" else "date"
    return Column(name, kind, column.values, column.missing)


def texts(name: str, values: Sequence[Any] | NDArray[Any]) -> Column:
    """Texts as codes into their sorted levels; None and NaN are missing."""
    there = {v for v in values if isinstance(v, str)}
    levels = [str(v) for v in sorted(there)]
    code_of = {level: code for code, level in enumerate(levels)}
    codes = np.fromiter((code_of.get(v, -1) for v in values), np.int32, len(values))
    return made(name, "text", np.maximum(codes, 0), codes < 0, tuple(levels))


def sequences(name: str, values: Iterable[Any]) -> Column:
    """A list or an array in each row; None is missing."""
    rows = list(values)
    missing = np.array([row is None for row in rows], np.bool_)
    return made(name, "sequence", np.fromiter(rows, object, len(rows)), missing)


def words(name: str, values: Sequence[Any] | NDArray[Any]) -> Column:
    """Texts of a file, in which some words stand for a missing value."""
    column = texts(name, values)
    gaps = [code for code, level in enumerate(column.levels) if is_missing(level)]
    if not gaps:
        return column
    missing = np.isin(column.values, gaps)
    if column.missing is not None:
        missing |= column.missing
    found = made(name, column.kind, column.values, missing, column.levels)
    return found.compact() if found.kind == "text" else found


def as_integers(column: Column) -> Column | None:
    """Numbers without fractions as integers (frames hold them as floats where one is
    missing); None if some are not whole or too large."""
    if column.kind == "integer":
        return column
    first = column.values[:1000]
    if (first != np.floor(first)).any() and not np.isnan(first).any():
        return None
    values = column.floats()
    values[np.isnan(values)] = 0
    if not (np.abs(values) < 2**53).all() or (values != np.floor(values)).any():
        return None
    return integers(column.name, values.astype(np.int64), column.missing)


def as_texts(column: Column) -> Column:
    """Integers as texts, in their order as numbers."""
    levels, codes = np.unique(column.values, return_inverse=True)
    words = tuple(map(str, levels.tolist()))
    return made(column.name, "text", codes.astype(np.int32), column.missing, words)


def joined(parts: Sequence[Column]) -> Column:
    """Columns of the same name under each other; of several kinds they become text."""
    name = parts[0].name
    kinds = {part.kind for part in parts} - {"empty"}
    if kinds <= {"integer", "real"} or kinds == {"date"}:
        values = np.concatenate([part.floats() for part in parts])
        return dates(name, values) if kinds == {"date"} else numbers(name, values)
    if kinds == {"boolean"}:
        codes = np.concatenate([part.values for part in parts])
        missing = np.concatenate([~part.present for part in parts])
        return booleans(name, codes, missing)
    return texts(name, [text for part in parts for text in _cells(part)])


def _cells(column: Column) -> list[str | None]:
    if column.kind == "empty":
        return [None] * len(column.values)
    pairs = zip(column.present.tolist(), map(str, column.labels()), strict=True)
    return [text if there else None for there, text in pairs]
