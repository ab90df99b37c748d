# SPDX-License-Identifier: BSD-3-Clause
"""Files of every kind, and folders of parts, as tables of columns; SQL over them.

What columns mean is not decided here: texts stay texts (`nervure.data.meaning`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from nervure.data._errors import check_growth, fail, listing
from nervure.data.columns import Column, Table, joined, table_of
from nervure.data.files import duck
from nervure.data.files.packed import SUFFIXES, inner_name, plain_file

FORMATS: dict[str, str] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".tab", ".psv", ".dat"), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), "feather"),
    **dict.fromkeys((".xlsx", ".xlsm"), "excel"),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3", ".db3"), "sqlite"),
}
"""How the end of a name tells the format."""

TYPED = ("parquet", "feather")
"""Formats that tell numbers from texts themselves."""

MOST_PARTS = 10_000


@dataclass(frozen=True)
class Reading:
    """How to read a file: a query, columns that are text, whether there is a header.

    ``known`` are names that a model expects of the columns; ``part`` is the table or
    sheet of a file of several; ``dropped`` are columns of which nothing is read.
    """

    query: str | None = None
    text: frozenset[str] = frozenset()
    header: bool | None = None
    known: frozenset[str] = frozenset()
    part: str | None = None
    dropped: frozenset[str] = frozenset()


def table_format(path: Path) -> str | None:
    """The format by the name's end (that of packing aside), or None."""
    if path.suffix.lower() not in SUFFIXES:
        return FORMATS.get(path.suffix.lower())
    if path.suffix.lower() == ".zip" and not path.is_file():
        return None
    return FORMATS.get(Path(inner_name(path)).suffix.lower())


def split_name(name: str) -> tuple[str, str | None]:
    """A path, and the table or sheet that it names after ``?``.

    >>> split_name("shop.db?table=orders")
    ('shop.db', 'orders')
    """
    path, mark, rest = name.rpartition("?")
    if not mark or Path(name).exists():
        return name, None
    named = dict(parse_qsl(rest))
    part = named.get("table", named.get("sheet"))
    if part is None or len(named) > 1:
        raise fail(
            name,
            f"{rest!r} after the path; expected ?table=NAME of SQLite or ?sheet=NAME "
            "of Excel",
            "write it so, or leave it out",
        )
    return path, part


def read_table(
    path: Path,
    query: str | None = None,
    text: Iterable[str] = (),
    reading: Reading | None = None,
) -> Table:
    """The rows of a file, or of a SQL ``query`` in which the file is named ``data``.

    Args:
        path: a file with a name that ends as in `FORMATS`, perhaps packed, or a folder
            of such files with the same columns.
        query: one SELECT statement of DuckDB's SQL.
        text: columns of a CSV file to be read as text whatever they look like.
        reading: all of that and more, in place of it.

    Raises:
        DataError: the file cannot be read, the query is wrong or reaches elsewhere.
    """
    reading = reading or Reading(query, frozenset(text))
    where = path.resolve().name
    if path.is_dir():
        return _read_parts(path, where, reading)
    form = table_format(path)
    with plain_file(path.resolve()) as plain:
        return _read_file(plain, where, form or "csv", reading)


def parts_of_folder(folder: Path) -> list[Path]:
    """The files of a folder that are tables of one format, in order of their names.

    None where there is no table, or another file besides.
    """
    files = sorted(
        p for p in folder.rglob("*") if p.is_file() and not _hidden(p, folder)
    )
    if not files or len(files) > MOST_PARTS:
        return []
    forms = {table_format(file) for file in files}
    return files if len(forms) == 1 and forms & {"csv", "parquet"} else []


def _hidden(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return any(part.startswith((".", "_")) for part in parts)


def _read_file(path: Path, where: str, form: str, reading: Reading) -> Table:
    from nervure.data.files.delimited import read_delimited
    from nervure.data.files.foreign import read_feather, read_sheet, read_sqlite
    from nervure.data.files.shapes import read_shape

    query = reading.query
    if form == "csv":
        text, known = reading.text, reading.known
        return read_delimited(path, where, query, text, reading.header, known)
    if form in ("parquet", "json"):
        shape = read_shape(path, where) if form == "json" else None
        if shape is None:
            return _read_by_duck([path], where, form, reading)
        return shape if query is None else query_over(shape, query)
    if form == "sqlite":
        table = read_sqlite(path, where, reading.part)
    elif form == "excel":
        table = read_sheet(path, where, reading.part)
    else:
        table = read_feather(path, where)
    return table if query is None else query_over(table, query)


def _read_by_duck(
    files: Sequence[Path], where: str, form: str, reading: Reading
) -> Table:
    query = reading.query
    shown = ", ".join(duck.quote(str(file)) for file in files)
    options = ", hive_partitioning = true" if len(files) > 1 else ""
    failures = duck.failures(where)
    with duck.connected(files, where) as connection:
        try:
            connection.execute(
                "CREATE TEMP VIEW data AS SELECT * FROM "
                f"read_{form}([{shown}]{options})"
            )
            rows = connection.execute("SELECT count(*) FROM data").fetchone()[0]
            width = len(duck.described(connection, "data"))
        except failures as error:
            raise duck.unreadable(where, form, error) from error
        if query is None:
            check_growth(where, sum(f.stat().st_size for f in files), rows * width * 8)
        try:
            if query is None:
                connection.execute("CREATE TEMP TABLE chosen AS SELECT * FROM data")
            else:
                duck.query_rows(connection, query, where)
        except failures as error:
            if query is None:
                raise duck.unreadable(where, form, error) from error
            raise duck.refused(where, query, error) from error
        dropped = reading.dropped
        columns = duck.columns_of(connection, "chosen", where, dropped=dropped)
        return table_of(columns, where)


# -- several files ------------------------------------------------------------------


_SPLITS = ("train", "test", "training", "testing", "val", "valid", "validation")


def _read_parts(folder: Path, where: str, reading: Reading) -> Table:
    files = parts_of_folder(folder)
    named = [file for file in files if file.name.split(".")[0].lower() in _SPLITS]
    if len(named) > 1:
        raise fail(
            where,
            f"files that are parts of a split ({listing([f.name for f in named], 3)}); "
            "expected rows to train on",
            f"train on one of them, {where}/{named[0].name}, and evaluate with the "
            "other",
        )
    if table_format(files[0]) == "parquet":
        paths = [file.resolve() for file in files]
        return _read_by_duck(paths, where, "parquet", reading)
    alone = dataclasses.replace(reading, query=None)
    tables = [read_table(file, reading=alone) for file in files]
    first = list(tables[0].columns)
    for file, table in zip(files, tables, strict=True):
        if list(table.columns) != first:
            odd = list({*first} ^ {*table.columns}) or list(table.columns)
            raise fail(
                f"{where}/{file.name}",
                f"other columns than {files[0].name} ({listing(sorted(odd), 3)}); "
                "expected the same in all parts",
                "keep files of one table together",
            )
    columns = [joined([table[name] for table in tables]) for name in first]
    note = f"{len(files):,} files of {where} in order of their names"
    table = table_of(columns, where)
    table = dataclasses.replace(table, notes=(note, *tables[0].notes))
    return table if reading.query is None else query_over(table, reading.query)


# -- SQL over what is in memory -----------------------------------------------------


def query_over(table: Table, query: str) -> Table:
    """The rows of a query over a table, which is called ``data`` in it."""
    failures = duck.failures(table.where)
    with duck.connected([], table.where) as connection:
        arrays = {name: _plain(column) for name, column in table.columns.items()}
        connection.register("data", arrays)
        try:
            duck.query_rows(connection, query, table.where)
        except failures as error:
            raise duck.refused(table.where, query, error) from error
        found = duck.columns_of(connection, "chosen", table.where, written=True)
    return dataclasses.replace(table_of(found, table.where), notes=table.notes)


def _plain(column: Column) -> Any:
    """An array that DuckDB takes, with None where a value is missing."""
    if column.kind == "date":
        micros = np.where(np.isnan(column.floats()), 0, column.floats() * 1e6)
        moments = micros.astype("datetime64[us]")
        if column.missing is not None:
            moments[column.missing] = np.datetime64("NaT")
        return moments
    if column.kind in ("integer", "real") and column.missing is None:
        return column.values
    if column.kind == "boolean" and column.missing is None:
        return column.values.astype(np.bool_)
    there = column.take(column.present).labels() if column.kind != "empty" else []
    objects = np.full(len(column.values), None, object)
    objects[np.flatnonzero(column.present)] = there
    return objects
