# SPDX-License-Identifier: BSD-3-Clause
"""CSV and its kin: read in one pass by DuckDB, or cleaned first where that cannot be.

The types that the first rows suggest are tried on all rows; columns with other values
are read again as text, and what they mean is found by `nervure.data.meaning`.
"""

from __future__ import annotations

import csv
import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from nervure.data._errors import DataError, fail, oneline
from nervure.data.columns import Column, Table, booleans, dates, numbers, table_of
from nervure.data.files import duck
from nervure.data.files.dialect import (
    Cut,
    Dialect,
    eight_bits,
    find_dialect,
    records_of,
)
from nervure.data.files.odd_rows import without_odd_rows
from nervure.data.meaning.markers import MISSING_WORDS

_PASSES = 4
_EXACT = 2.0**53  # from here on float64 leaves out whole numbers
_LONGEST_LINE = 2 << 20  # bytes, unless the header line is long itself


@dataclasses.dataclass(frozen=True)
class TextFile:
    """A plain text file, what it is called in errors, and how it is cut."""

    path: Path
    where: str
    dialect: Dialect

    @property
    def cut(self) -> Cut:
        """How its lines are cut."""
        return Cut(self.dialect.delimiter, self.dialect.backslash)


def read_delimited(
    path: Path,
    where: str,
    query: str | None = None,
    text: Iterable[str] = (),
    header: bool | None = None,
    known: Iterable[str] = (),
) -> Table:
    """The rows of a plain text file, or of a query over them.

    Args:
        path: where it lies.
        where: what it is called in errors.
        query: SQL over it, in which it is the table ``data``.
        text: columns to be read as text whatever they look like.
        header: whether the first row holds names; None decides by its cells.
        known: names that a model expects of its columns.

    Raises:
        DataError: it cannot be read, or a row has another number of fields.
    """
    original = TextFile(path, where, find_dialect(path, where, header, known))
    with tempfile.TemporaryDirectory(prefix="nervure-") as folder:
        file = original
        if not file.dialect.plain:
            file = cleaned(original, Path(folder))
        try:
            table = _read(file, query, set(text))
        except _UncleanError as fault:
            if file is not original:
                raise fail(where, str(fault), "correct the file") from fault
            file = cleaned(original, Path(folder))
            try:
                table = _read(file, query, set(text))
            except _UncleanError as again:
                raise fail(where, str(again), "correct the file") from again
        notes = (*file.dialect.notes, *table.notes)
    lines = None if query is not None else Lines(original)
    table = dataclasses.replace(
        table,
        notes=notes,
        lines=lines,
        decimal_comma=original.dialect.delimiter == ";",
        twins=original.dialect.twins,
        header=original.dialect.header,
    )
    return table if query is not None else without_odd_rows(table)


class _UncleanError(Exception):
    """DuckDB does not take the rows of a file as they are."""


class Lines:
    """Lines of a text file at which its rows stand, found when asked for."""

    def __init__(self, file: TextFile) -> None:
        self._file = file

    def __call__(self, row: int) -> int:
        """The line, counted from 1, of a row, counted from 0; 0 where it is gone."""
        try:
            with _opened(self._file) as stream:
                for i, (line, _) in enumerate(_rows(self._file, stream)):
                    if i == row + self._file.dialect.header:
                        return line
        except (OSError, csv.Error, UnicodeError):
            pass
        return 0


# -- as it lies ---------------------------------------------------------------------


def _read(file: TextFile, query: str | None, text: set[str]) -> Table:
    dialect = file.dialect
    kinds = dict(zip(dialect.names, dialect.types, strict=True))
    kinds |= {column: "VARCHAR" for column in text if column in kinds}
    failures = duck.failures(file.where)
    for _ in range(_PASSES):
        with duck.connected([file.path], file.where) as connection:
            try:
                made = _columns(connection, file, kinds, query, text)
            except failures as error:
                if "Out of Memory" in str(error):
                    raise duck.unreadable(file.where, "csv", error) from error
                if query is not None and not isinstance(error, _reading_failures(file)):
                    raise duck.refused(file.where, query, error) from error
                raise _UncleanError(duck.brief(error)) from error
        if isinstance(made, Table):
            return made
        kinds |= dict.fromkeys(made, "VARCHAR")
    return _read(file, query, set(dialect.names))


def _reading_failures(file: TextFile) -> Any:
    from nervure.base.extras import needed

    return needed("duckdb", file.where).InvalidInputException


def _columns(
    connection: Any,
    file: TextFile,
    kinds: Mapping[str, str],
    query: str | None,
    text: set[str],
) -> Table | set[str]:
    """The table, or the columns that must be read as text."""
    own = dict(zip(_told_apart([*kinds]), kinds, strict=True))
    typed = dict(zip(own, kinds.values(), strict=True))
    select = f"SELECT * FROM {_source(file, typed)}"
    if query is None and "VARCHAR" not in kinds.values():
        places = [f"c{i}" for i in range(len(kinds))]  # a zero byte ends its names
        numbered = f"{select} AS numbered({', '.join(places)})"
        arrays: Any = connection.execute(numbered).fetchnumpy()
        wrong = _rejected(connection)
        if wrong:
            return {own[name] for name in wrong}
        found = [
            _number(name, kind, arrays.pop(place))
            for place, (name, kind) in zip(places, kinds.items(), strict=True)
        ]
    else:
        connection.execute(f"CREATE TEMP TABLE data AS {select}")
        wrong = _rejected(connection)
        if wrong:
            return {own[name] for name in wrong}
        if query is not None:
            _type_for_queries(connection, typed)
            duck.query_rows(connection, query, file.where)
        source = "data" if query is None else "chosen"
        found = duck.columns_of(connection, source, file.where, written=True)
        if query is None:
            found = [dataclasses.replace(one, name=own[one.name]) for one in found]
    found = [column if column.name in text else _truth(column) for column in found]
    table = table_of(found, file.where)
    rounded = {name for name, column in table.columns.items() if _is_rounded(column)}
    return table if query is not None or not rounded else rounded


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names, those that DuckDB would take for one that came before with a number.

    It knows no capital letters; in queries these are the columns' names.

    >>> _told_apart(["p95", "P90", "P95"])
    ['p95', 'P90', 'P95_1']
    """
    known, found = {name.lower() for name in names}, list[str]()
    used = set[str]()
    for name in names:
        other, number = name, 0
        while other.lower() in used or (number and other.lower() in known):
            number += 1
            other = f"{name}_{number}"
        used.add(other.lower())
        found.append(other)
    return found


def _source(file: TextFile, kinds: Mapping[str, str]) -> str:
    """The file as DuckDB is told to read it: nothing is left to its guess."""
    dialect = file.dialect
    columns = ", ".join(f"{duck.quote(n)}: '{kind}'" for n, kind in kinds.items())
    missing = ", ".join(duck.quote(word) for word in MISSING_WORDS)
    longest = max(_LONGEST_LINE, 8 * sum(map(len, dialect.names)))
    end = r"\r\n" if dialect.line_end == "\r\n" else r"\n"
    return (
        f"read_csv({duck.quote(str(file.path))}, auto_detect = false, "
        f"header = {str(dialect.header).lower()}, skip = {dialect.skip}, "
        f"delim = {duck.quote(dialect.delimiter)}, quote = '\"', escape = '\"', "
        f"comment = '', new_line = '{end}', columns = {{{columns}}}, "
        f"nullstr = [{missing}], max_line_size = {longest}, "
        "ignore_errors = true, store_rejects = true, rejects_limit = 100000)"
    )


def _rejected(connection: Any) -> set[str]:
    """Columns with values that are not of their type.

    Raises:
        _UncleanError: rows that are cut wrongly.
    """
    found = connection.execute(
        "SELECT DISTINCT error_type::VARCHAR, column_name FROM reject_errors"
    ).fetchall()
    faults = {kind for kind, _ in found} - {"CAST"}
    if faults:
        raise _UncleanError(", ".join(sorted(faults)).lower())
    return {column for _, column in found}


def _number(name: str, kind: str, array: Any) -> Column:
    values, missing = duck.plain_values(array)
    if kind == "DOUBLE":
        return numbers(name, values, missing)
    micros = values.astype("datetime64[us]")
    seconds = micros.astype(np.int64) / 1e6
    seconds[np.isnat(micros)] = np.nan
    return dates(name, seconds, missing)


def _truth(column: Column) -> Column:
    """Texts that are all true or false as booleans."""
    if column.kind != "text" or not {w.lower() for w in column.levels} <= _TRUTH:
        return column
    is_true = np.array([level.lower() == "true" for level in column.levels])
    return booleans(column.name, is_true[column.values], column.missing)


_TRUTH = {"true", "false"}


def _is_rounded(column: Column) -> bool:
    """Whether whole numbers may have lost their last digits as floats."""
    if column.kind not in ("real", "integer"):
        return False
    values = column.values
    if column.missing is not None:
        values = values[~column.missing]
    if not len(values) or np.abs(values[:: len(values) // 1000 or 1]).max() < 1e12:
        return False
    large = np.abs(values)
    finite = np.isfinite(large).all()
    return bool(
        finite
        and large.max() >= _EXACT
        and large.max() < 2.0**63
        and (values == np.floor(values)).all()
    )


def _type_for_queries(connection: Any, kinds: Mapping[str, str]) -> None:
    """Whole numbers as BIGINT and true and false as BOOLEAN in the table ``data``."""
    tests: dict[str, tuple[str, str]] = {}
    for column, kind in kinds.items():
        own = duck.name(column)
        if kind == "DOUBLE":
            whole = f"bool_and({own} = trunc({own}) AND abs({own}) < 9e15)"
            tests[column] = (whole, "BIGINT")
        elif kind == "VARCHAR":
            tests[column] = (f"bool_and(lower({own}) IN ('true', 'false'))", "BOOLEAN")
    names = list(tests)
    changes: dict[str, str] = {}
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        chosen = ", ".join(tests[n][0] for n in some)
        found = connection.execute(f"SELECT {chosen} FROM data").fetchone()
        changes |= {n: tests[n][1] for n, good in zip(some, found, strict=True) if good}
    casts = (f"{duck.name(n)}::{kind} AS {duck.name(n)}" for n, kind in changes.items())
    if changes:
        connection.execute("ALTER TABLE data RENAME TO rows_as_read")
        connection.execute(
            f"CREATE TEMP VIEW data AS SELECT * REPLACE ({', '.join(casts)}) "
            "FROM rows_as_read"
        )


# -- cleaned ------------------------------------------------------------------------


def cleaned(file: TextFile, folder: Path) -> TextFile:
    """A copy in UTF-8 with commas, doubled quotes and one kind of line ends.

    Raises:
        DataError: the first row that has another number of fields than the header, or
            quotes that do not match.
    """
    try:
        return _cleaned(file, folder)
    except UnicodeDecodeError:
        with open(file.path, "rb") as stream:
            encoding = eight_bits(stream.read())
    notes = (*file.dialect.notes, f"text read as {encoding}, since it is not UTF-8")
    dialect = dataclasses.replace(file.dialect, encoding=encoding, notes=notes)
    if file.dialect.header:
        dialect = _renamed(TextFile(file.path, file.where, dialect))
    return _cleaned(TextFile(file.path, file.where, dialect), folder)


def _renamed(file: TextFile) -> Dialect:
    """The dialect with names as its encoding has them."""
    with _opened(file) as stream:
        _, first = next(_rows(file, stream))
    extra = ["rownames"] if file.dialect.row_names else []
    names = [*extra, *(cell.strip() for cell in first)]
    if len(set(names)) < len(names) or not all(names):
        return file.dialect
    return dataclasses.replace(file.dialect, names=tuple(names))


def _cleaned(file: TextFile, folder: Path) -> TextFile:
    copy = folder / "clean.csv"
    dialect = file.dialect
    width = len(dialect.names)
    try:
        with (
            _opened(file) as stream,
            open(copy, "w", encoding="utf-8", newline="") as out,
        ):
            write = csv.writer(out, lineterminator="\n").writerow
            first = dialect.header
            for line, record in _rows(file, stream):
                if first:
                    first = False
                    write(dialect.names)
                else:
                    write(_fitting(record, width, line, file))
    except OSError as error:
        reason = error.strerror or oneline(error)
        raise fail(
            file.where, f"cannot be read ({reason})", "check the file"
        ) from error
    plain = dataclasses.replace(
        dialect,
        encoding="utf-8",
        delimiter=",",
        backslash=False,
        skip=0,
        comments=False,
        line_end="\n",
        row_names=False,
        trailing=False,
    )
    return TextFile(copy, file.where, plain)


def _fitting(record: list[str], width: int, line: int, file: TextFile) -> list[str]:
    """A row of as many fields as there are names; empty ones beyond are cut."""
    if len(record) > width and not any(cell.strip() for cell in record[width:]):
        record = record[:width]
    if len(record) == width:
        return record
    there = "the header line" if file.dialect.header else "the first line"
    raise fail(
        file.where,
        f"line {line:,} has {len(record):,} fields; expected {width:,}, as many as "
        f"{there}",
        "correct the line, or quote what holds "
        + ("blanks" if file.dialect.delimiter == " " else repr(file.dialect.delimiter)),
    )


def _opened(file: TextFile) -> TextIO:
    return open(file.path, encoding=file.dialect.encoding, newline=None)


def _rows(file: TextFile, stream: TextIO) -> Iterator[tuple[int, list[str]]]:
    """All rows, the header too, each with the number of its last line."""
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for line in stream:
            count += 1
            skipped = count <= file.dialect.skip
            if not (skipped or (file.dialect.comments and line.startswith("#"))):
                yield line

    try:
        for record in records_of(lines(), file.cut):
            yield count, record
    except csv.Error as error:
        raise DataError(
            f"[{file.where}] after line {count:,}: {oneline(error)}; expected quotes "
            "in pairs; correct the line"
        ) from error
