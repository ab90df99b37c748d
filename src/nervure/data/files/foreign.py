# SPDX-License-Identifier: BSD-3-Clause
"""Tables in the files of other programs: SQLite, Excel, Feather."""

from __future__ import annotations

import importlib
import sqlite3
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nervure.data._errors import DataError, check_size, fail, listing, oneline
from nervure.data.columns import Table, table_of
from nervure.data.frames import column_of, table_from_frame
from nervure.data.meaning.markers import is_missing

_CELL = 64  # bytes of memory that a cell may take


def read_sqlite(path: Path, where: str, table: str | None) -> Table:
    """A table of a SQLite file, opened for reading alone.

    ``table`` may be left out where there is one only.

    Raises:
        DataError: no such table, or no SQLite file.
    """
    try:
        address = f"file:{quote(str(path))}?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True)
        try:
            return _sqlite_table(connection, where, table)
        finally:
            connection.close()
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        raise fail(
            where, f"cannot be read as SQLite ({oneline(error)})", "check the file"
        ) from error


def _sqlite_table(connection: Any, where: str, table: str | None) -> Table:
    names = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
    ]
    if table is None and len(names) == 1:
        table = names[0]
    if table not in names:
        found = "no table" if table is None else f"no table {table!r}"
        some = f"{where}?table={names[0]}" if names else "another file"
        raise fail(
            where, f"{found} (there are {listing(names) or 'none'})", f"use {some}"
        )
    own = '"' + str(table).replace('"', '""') + '"'
    cursor = connection.execute(f"SELECT * FROM {own}")
    heads = [str(described[0]) for described in cursor.description]
    (rows,) = connection.execute(f"SELECT count(*) FROM {own}").fetchone()
    check_size(where, rows * len(heads) * _CELL)
    return table_from_cells(heads, cursor.fetchall(), where)


def read_sheet(path: Path, where: str, sheet: str | None) -> Table:
    """A sheet of an Excel file, by default the first; its first row holds names.

    Raises:
        DataError: openpyxl is not there, no such sheet, or no Excel file.
    """
    try:
        openpyxl: Any = importlib.import_module("openpyxl")
    except ImportError as error:
        raise fail(
            where,
            "an Excel file, for which openpyxl is missing; expected it, or a CSV file",
            "save the sheet as CSV, or run: pip install openpyxl",
        ) from error
    try:
        with zipfile.ZipFile(path) as archive:
            check_size(where, 8 * sum(m.file_size for m in archive.infolist()))
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        names = list(book.sheetnames)
        if sheet is not None and sheet not in names:
            raise fail(
                where,
                f"no sheet {sheet!r} (there are {listing(names)})",
                f"use {where}?sheet={names[0]}",
            )
        rows = list(book[sheet or names[0]].iter_rows(values_only=True))
        book.close()
    except DataError:
        raise
    except Exception as error:  # openpyxl raises whatever its parsers do
        raise fail(
            where,
            f"cannot be read as Excel ({oneline(error)})",
            "save the sheet as CSV",
        ) from error
    filled = [row for row in rows if any(cell is not None for cell in row)]
    if not filled:
        raise fail(where, "the sheet is empty; expected a header and rows", "check it")
    heads = [
        str(cell).strip() if cell is not None else f"unnamed_{i + 1}"
        for i, cell in enumerate(filled[0])
    ]
    return table_from_cells(heads, filled[1:], where)


def read_feather(path: Path, where: str) -> Table:
    """The table of a Feather (Arrow) file, by pyarrow or polars."""
    for module, reader in (("pyarrow.feather", "read_table"), ("polars", "read_ipc")):
        try:
            library: Any = importlib.import_module(module)
        except ImportError:
            continue
        check_size(where, path.stat().st_size)
        options = {"memory_map": False}
        try:
            return table_from_frame(
                getattr(library, reader)(str(path), **options), where
            )
        except DataError:
            raise
        except Exception as error:  # of whatever kind the library has
            raise fail(
                where, f"cannot be read as Feather ({oneline(error)})", "check the file"
            ) from error
    raise fail(
        where,
        "a Feather file, for which pyarrow is missing; expected it, or a Parquet file",
        "save it as Parquet, or run: pip install pyarrow",
    )


def table_from_cells(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], where: str
) -> Table:
    """A table of rows of cells; a column of several kinds is text."""
    cells = list(rows)
    columns = [
        [row[i] if i < len(row) else None for row in cells] for i in range(len(heads))
    ]
    pairs = zip(heads, columns, strict=True)
    return table_of((_column(name, values, where) for name, values in pairs), where)


def _column(name: str, values: list[Any], where: str) -> Any:
    plain = [None if isinstance(v, str) and is_missing(v) else v for v in values]
    kinds: set[type] = {type(value) for value in plain if value is not None}
    numbers = {int, float, bool}
    if kinds <= numbers - {bool} or len(kinds) <= 1 or not kinds & {*numbers, str}:
        return column_of(name, plain, where)
    return column_of(name, [None if v is None else str(v) for v in plain], where)
