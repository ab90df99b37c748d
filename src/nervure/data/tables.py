# SPDX-License-Identifier: BSD-3-Clause
"""Reading CSV, TSV, Parquet and JSON files, and SQL over them, through DuckDB.

The connection may read the one file and nothing else: no other path, no network, no
extension, no write, no change of these settings, and half of the machine's memory.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nervure.base.extras import needed
from nervure.data._errors import DataError, check_size, fail, memory_limit, oneline
from nervure.data.columns import (
    Column,
    Table,
    booleans,
    dates,
    integers,
    reals,
    table_of,
    texts,
)

MISSING_WORDS = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "?")
"""What stands for a missing value in a CSV file."""

FORMATS: dict[str, str] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"} | {
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
}
_REALS = {"FLOAT", "DOUBLE", "UBIGINT", "HUGEINT", "UHUGEINT"}
_TEXTS = {"VARCHAR", "UUID"}
_MOMENTS = ("DATE", "TIME")  # DATE, TIME, TIMESTAMP, TIMESTAMP WITH TIME ZONE, ...


def table_format(path: Path) -> str | None:
    """ "csv", "parquet" or "json" by the name's end (``.gz`` aside), or None."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def read_table(path: Path, query: str | None = None, text: Iterable[str] = ()) -> Table:
    """The rows of a file, or of a SQL ``query`` in which the file is named ``data``.

    Args:
        path: a file with a name that ends as in `FORMATS`, ``.gz`` allowed.
        query: one SELECT statement of DuckDB's SQL.
        text: columns of a CSV file to be read as text whatever they look like.

    Raises:
        DataError: the file cannot be read, the query is wrong or reaches elsewhere.
    """
    where = path.name
    duckdb = needed("duckdb", where)
    file = path.resolve()
    connection: Any = _connect(file)
    try:
        try:
            _open(connection, file, set(text))
        except duckdb.Error as error:
            raise _unreadable(file, error) from error
        try:
            _materialize(connection, file, query)
        except duckdb.Error as error:
            raise _refused(file, query, error) from error
        described = _described(connection, "chosen")
        rows = connection.execute("SELECT count(*) FROM chosen").fetchone()[0]
        check_size(where, rows * len(described) * 8)
        columns = [_fetch(connection, n, kind, where) for n, kind in described]
    finally:
        connection.close()
    return table_of(columns, where)


# -- DuckDB -------------------------------------------------------------------------


def _connect(file: Path) -> Any:
    connection: Any = needed("duckdb", file.name).connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        },
    )
    for setting in (
        "python_enable_replacements = false",  # no Python variables as tables
        f"memory_limit = '{memory_limit() // 2}B'",
        "temp_directory = ''",
        f"allowed_paths = [{_quote(str(file))}]",
        "enable_external_access = false",
    ):
        connection.execute(f"SET {setting}")
    return connection


def _open(connection: Any, file: Path, text: set[str]) -> None:
    """Name the file ``data``, with types found by looking at every row."""
    form = table_format(file)
    if form != "csv":
        connection.execute(
            f"CREATE TEMP VIEW data AS SELECT * FROM read_{form}({_quote(str(file))})"
        )
        return
    options = _csv_options(file)
    found = _described(connection, _csv(file, options))
    _check_header(file, [name for name, _ in found])
    unsure = [name for name, kind in found if kind == "BOOLEAN"]
    words = _not_boolean(connection, _csv(file, _typed(options, unsure)), unsure)
    options = _typed(options, words | {name for name, _ in found if name in text})
    connection.execute(f"CREATE TEMP VIEW data AS {_csv(file, options)}")


def _described(connection: Any, source: str) -> list[tuple[str, str]]:
    """Names and types of the columns of a table or a SELECT."""
    rows = connection.execute(f"DESCRIBE {source}").fetchall()
    return [(name, kind) for name, kind, *_ in rows]


def _typed(options: str, text: Iterable[str]) -> str:
    """Options that read some columns as text."""
    kinds = ", ".join(f"{_quote(name)}: 'VARCHAR'" for name in sorted(text))
    return f"{options}, types = {{{kinds}}}" if kinds else options


def _not_boolean(connection: Any, select: str, names: list[str]) -> set[str]:
    """Columns with other words than true and false: DuckDB takes yes, no, t, f too."""
    if not names:
        return set()
    tests = (f"bool_and(lower({_name(n)}) IN ('true', 'false'))" for n in names)
    found = connection.execute(f"SELECT {', '.join(tests)} FROM ({select})").fetchone()
    return {name for name, boolean in zip(names, found, strict=True) if not boolean}


def _csv(file: Path, options: str) -> str:
    return f"SELECT * FROM read_csv({_quote(str(file))}, {options})"


def _csv_options(file: Path) -> str:
    """The dialect, decided here: DuckDB's guess skips rows that do not fit it.

    ``sample_size = -1``: a type guessed from the first rows would round later ones.
    """
    delimiter, comma = _dialect(file)
    missing = ", ".join(_quote(word) for word in MISSING_WORDS)
    decimal = ", decimal_separator = ','" if comma else ""
    return (
        f"header = true, skip = 0, delim = {_quote(delimiter)}, quote = '\"', "
        f"escape = '\"', comment = '', sample_size = -1, nullstr = [{missing}]{decimal}"
    )


def _dialect(file: Path) -> tuple[str, bool]:
    """The delimiter, and whether numbers have a decimal comma."""
    start = _start(file)
    header = re.sub(r'"[^"]*"', "", start.split("\n", 1)[0])
    delimiter = max(",;\t|", key=header.count)
    if file.name.lower().removesuffix(".gz").endswith(".tsv"):
        delimiter = "\t"
    fields = start.replace("\n", delimiter).split(delimiter)
    comma = any(re.fullmatch(r"-?\d+,\d+", field) for field in fields)
    point = any(re.fullmatch(r"-?\d+\.\d+", field) for field in fields)
    return delimiter, delimiter != "," and comma and not point


def _start(file: Path) -> str:
    """The first 64 KiB of a text file."""
    opener: Any = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opener(file, "rb") as stream:
            start: bytes = stream.read(1 << 16)
    except (OSError, EOFError) as error:
        raise fail(
            file.name, f"cannot be read ({oneline(error)})", "check the file"
        ) from error
    text = start.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    if not text.strip():
        raise fail(
            file.name,
            "the file is empty; expected a header line and rows",
            "check the file",
        )
    return text.replace("\r\n", "\n")


def _check_header(file: Path, names: list[str]) -> None:
    if all(re.fullmatch(r"[-+]?[\d.]+([eE][-+]?\d+)?(_\d+)?", name) for name in names):
        raise fail(
            file.name,
            f"the first line holds numbers ({', '.join(names):.60}); expected a header "
            "line with the columns' names",
            "put a header line at the top",
        )


def _materialize(connection: Any, file: Path, query: str | None) -> None:
    """Keep the wanted rows, in order, as the table ``chosen``.

    One thread for a query: sums and groups come out the same each time.
    """
    select = "SELECT * FROM data"
    if query is not None:
        select = _select(connection, file, query)
        connection.execute("SET threads = 1")
    connection.execute("SET lock_configuration = true")
    connection.execute(f"CREATE TEMP TABLE chosen AS {select}")


def _select(connection: Any, file: Path, query: str) -> str:
    duckdb = needed("duckdb", file.name)
    statements: list[Any] = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise fail(
            file.name,
            f"query {query!r:.80}; expected one SELECT statement",
            "write it like SELECT a, b FROM data WHERE a > 0",
        )
    return statements[0].query


def _fetch(connection: Any, name: str, kind: str, where: str) -> Column:
    quoted = _name(name)

    def values(expression: str) -> tuple[NDArray[Any], Any]:
        sql = f"SELECT {expression.format(quoted)} AS v FROM chosen"
        array: Any = connection.execute(sql).fetchnumpy()["v"]
        if isinstance(array, np.ma.MaskedArray):
            masked = cast(Any, array)
            return np.ma.getdata(masked), np.ma.getmaskarray(masked)
        return array, None

    def nulls() -> NDArray[Any]:
        return values("{0} IS NULL")[0]

    if kind in _INTEGERS:
        return integers(name, values("coalesce({0}, 0)::BIGINT")[0], nulls())
    if kind in _REALS or kind.startswith("DECIMAL"):
        return reals(name, *values("{0}::DOUBLE"))
    if kind == "BOOLEAN":
        return booleans(name, values("coalesce({0}, false)")[0], nulls())
    if kind.startswith(_MOMENTS) and not kind.endswith("[]"):
        return dates(name, *values("epoch({0})"))
    if kind in _TEXTS or kind.startswith("ENUM("):
        array, missing = values("{0}::VARCHAR")
        if missing is not None:
            array[missing] = None
        return texts(name, array)
    missing = nulls()
    if missing.all():  # types as NULL and JSON, which come without a value only
        return texts(name, [None] * len(missing))
    raise fail(
        where,
        f"column {name!r} holds {kind:.60}; expected numbers, text, booleans or dates",
        "leave it out or take it apart with a query",
    )


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# -- errors -------------------------------------------------------------------------


def _unreadable(file: Path, error: Exception) -> DataError:
    if "Out of Memory" in str(error):
        return fail(
            file.name,
            "does not fit into memory; expected rows of at most "
            f"{memory_limit() // 2:,} bytes",
            "choose fewer rows or columns with a query",
        )
    if table_format(file) == "csv":
        return fail(file.name, _csv_fault(file) or _brief(error), "correct the file")
    return fail(
        file.name,
        f"cannot be read as {table_format(file)} ({_brief(error)})",
        "check that the file is whole and that its name ends as its format is",
    )


def _refused(file: Path, query: str | None, error: Exception) -> DataError:
    if query is None or "Out of Memory" in str(error):
        return _unreadable(file, error)
    return fail(
        file.name,
        f"query {query!r:.80} failed: {_brief(error)}",
        "correct the query (the file is the table 'data'; other files are closed)",
    )


def _brief(error: Exception) -> str:
    """DuckDB's text without its advice and its drawing of the query."""
    lines = str(error).strip().split("\n\n")[0].splitlines()[:3]
    return " ".join(line.strip() for line in lines)


def _csv_fault(file: Path) -> str | None:
    """The first line that is not UTF-8 or has the wrong number of fields."""
    opener: Any = gzip.open if file.suffix.lower() == ".gz" else open
    delimiter, _ = _dialect(file)
    reader: Any = None
    line = 0
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            width = len(next(reader))
            for record in reader:
                line = reader.line_num
                if record and len(record) != width:
                    return (
                        f"line {line} has {len(record)} fields; expected {width}, as "
                        "many as the header line"
                    )
    except UnicodeDecodeError:
        return f"not UTF-8 text after line {line}; expected a CSV file in UTF-8"
    except (csv.Error, OSError, EOFError) as error:
        place = f"line {reader.line_num}" if reader else "the beginning"
        return f"after {place}: {oneline(error)}; expected a CSV file in UTF-8"
    return None
