# SPDX-License-Identifier: BSD-3-Clause
"""DuckDB as a reader: one connection that may read the given files and nothing else.

No other path, no network, no extension, no write, no change of these settings, and a
bounded share of the machine's memory.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nervure.base.extras import needed
from nervure.data._errors import DataError, check_size, fail, memory_limit
from nervure.data.columns import (
    Column,
    booleans,
    dates,
    integers,
    numbers,
    reals,
    sequences,
    texts,
    words,
)

MOST_VALUES = 4_000_000
"""Values that are fetched in one go where texts are among them."""

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"} | {
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
}
_REALS = {"FLOAT", "DOUBLE", "UBIGINT", "HUGEINT", "UHUGEINT"}
_TEXTS = {"VARCHAR", "UUID"}
_MOMENTS = ("DATE", "TIME")  # DATE, TIME, TIMESTAMP, TIMESTAMP WITH TIME ZONE, ...


@contextmanager
def connected(files: Iterable[Path], where: str) -> Generator[Any]:
    """A connection that may read these files."""
    connection: Any = needed("duckdb", where).connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        },
    )
    allowed = ", ".join(quote(str(file)) for file in files)
    try:
        for setting in (
            "python_enable_replacements = false",  # no Python variables as tables
            f"memory_limit = '{memory_limit()}B'",
            "temp_directory = ''",
            f"allowed_paths = [{allowed}]",
            "enable_external_access = false",
        ):
            connection.execute(f"SET {setting}")
        yield connection
    finally:
        connection.close()


def failures(where: str) -> Any:
    """The class of all errors that DuckDB raises."""
    return needed("duckdb", where).Error


def query_rows(connection: Any, query: str, where: str) -> str:
    """Let the rows of a user's query over ``data`` be the table ``chosen``.

    One thread: sums and groups come out the same each time.
    """
    duckdb = needed("duckdb", where)
    statements: list[Any] = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise fail(
            where,
            f"query {query!r:.80}; expected one SELECT statement",
            "write it like SELECT a, b FROM data WHERE a > 0",
        )
    connection.execute("SET threads = 1")
    connection.execute("SET lock_configuration = true")
    seconds = query_seconds()
    watch = threading.Timer(seconds, connection.interrupt)
    watch.daemon = True
    watch.start()
    try:
        connection.execute(f"CREATE TEMP TABLE chosen AS {statements[0].query}")
    except duckdb.InterruptException as error:
        raise fail(
            where,
            f"query {query!r:.80} took more than {seconds:g} seconds; expected one "
            "that ends",
            f"simplify it, or raise {MOST_SECONDS}",
        ) from error
    finally:
        watch.cancel()
    return "chosen"


MOST_SECONDS = "NERVURE_QUERY_SECONDS"
"""The setting of the environment that says how long a query may take."""


def query_seconds() -> float:
    """Seconds that a query may take: `MOST_SECONDS`, or ten minutes.

    Raises:
        DataError: the setting is no number above 0.
    """
    given = os.environ.get(MOST_SECONDS, "600")
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise fail(MOST_SECONDS, f"{given!r}; expected seconds above 0", "change it")
    return seconds


def columns_of(
    connection: Any,
    source: str,
    where: str,
    *,
    written: bool = False,
    dropped: Collection[str] = (),
) -> list[Column]:
    """The columns of a table; ``written``: numbers and texts are those of a text file,
    in which words stand for missing values and whole numbers are integers. Nothing is
    read of what is ``dropped``, which comes out empty."""
    kinds = [
        (name, "DROPPED" if name in dropped else kind)
        for name, kind in described(connection, source)
    ]
    rows = connection.execute(f"SELECT count(*) FROM {source}").fetchone()[0]
    check_size(where, rows * len(kinds) * 8)
    step = max(1, MOST_VALUES // max(1, rows))
    found: list[Column] = []
    for column, kind in kinds:
        if _is_sequence(kind):
            check_size(where, _size(connection, source, column, kind))
    for start in range(0, len(kinds), step):
        some = kinds[start : start + step]
        values = fetched(connection, source, some, where)
        for name, kind in some:
            found.append(_column(name, kind, *values.pop(name), where, written=written))
    return found


def _size(connection: Any, source: str, column: str, kind: str) -> int:
    """Bytes of the numbers in a column of lists."""
    nested = len(re.findall(r"\[\d*\]", kind)) > 1
    own = f"flatten({name(column)})" if nested else name(column)
    count = connection.execute(f"SELECT sum(len({own})) FROM {source}").fetchone()[0]
    return 8 * int(count or 0)


def described(connection: Any, source: str) -> list[tuple[str, str]]:
    """Names and types of the columns of a table or a SELECT."""
    rows = connection.execute(f"DESCRIBE {source}").fetchall()
    return [(name, kind) for name, kind, *_ in rows]


Values = tuple[NDArray[Any], NDArray[np.bool_] | None]


def fetched(
    connection: Any, source: str, kinds: Sequence[tuple[str, str]], where: str
) -> dict[str, Values]:
    """Values and missing of some columns, in one SELECT."""
    chosen = ", ".join(
        f"{_expression(n, kind, where)} AS c{i}" for i, (n, kind) in enumerate(kinds)
    )  # by number: DuckDB cuts names at a zero byte
    arrays: Any = connection.execute(f"SELECT {chosen} FROM {source}").fetchnumpy()
    return {n: plain_values(arrays.pop(f"c{i}")) for i, (n, _) in enumerate(kinds)}


def plain_values(array: Any) -> Values:
    """The values of an array and where they are missing; None: nowhere."""
    if isinstance(array, np.ma.MaskedArray):
        masked = cast(Any, array)
        return np.ma.getdata(masked), np.ma.getmaskarray(masked)
    return array, None


def name(column: str) -> str:
    """A column's name as SQL has it."""
    return '"' + column.replace('"', '""') + '"'


def quote(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def brief(error: Exception) -> str:
    """DuckDB's text without its advice and its drawing of the query."""
    lines = str(error).strip().split("\n\n")[0].splitlines()[:3]
    return " ".join(line.strip() for line in lines)


def unreadable(where: str, form: str, error: Exception) -> DataError:
    """The error for a file that DuckDB cannot read."""
    if "Out of Memory" in str(error):
        return fail(
            where,
            f"does not fit into memory; expected rows of at most {memory_limit():,} "
            "bytes",
            "choose fewer rows or columns with a query, or raise NERVURE_MOST_BYTES",
        )
    return fail(
        where,
        f"cannot be read as {form} ({brief(error)})",
        "check that the file is whole and that its name ends as its format is",
    )


def refused(where: str, query: str, error: Exception) -> DataError:
    """The error for a query that fails."""
    if "Out of Memory" in str(error):
        return unreadable(where, "a table", error)
    return fail(
        where,
        f"query {query!r:.80} failed: {brief(error)}",
        "correct the query (the file is the table 'data'; other files are closed)",
    )


def _expression(column: str, kind: str, where: str) -> str:
    """What is fetched of a column, so that NumPy gets one of a few types."""
    own = name(column)
    if kind in _INTEGERS:
        return f"{own}::BIGINT"
    if kind in _REALS or kind.startswith("DECIMAL"):
        return f"{own}::DOUBLE"
    if kind == "BOOLEAN":
        return own
    if kind.startswith(_MOMENTS) and not kind.endswith("[]"):
        return f"epoch({own})"
    if kind in _TEXTS or kind.startswith("ENUM("):
        return f"{own}::VARCHAR"
    if kind == "DROPPED":
        return "true"
    if _is_sequence(kind):
        return own
    return f"({own} IS NULL)"  # of other types only nothing at all is taken


def _is_sequence(kind: str) -> bool:
    """Whether a type is a list of numbers, or a list of lists of them."""
    inner = kind
    for _ in range(2):
        inner = re.sub(r"\[\d*\]$", "", inner)
    number = inner in _INTEGERS | _REALS or inner.startswith("DECIMAL")
    return inner != kind and number and not inner.endswith("]")


def _steps(value: Any) -> Any:
    """A list as DuckDB gives it, its numbers that are missing as NaN."""
    array: Any = value
    if isinstance(value, np.ma.MaskedArray):
        if array.dtype != object:
            return array.astype(np.float64).filled(np.nan)
        return [np.empty(0) if row is np.ma.masked else _steps(row) for row in array]
    if isinstance(value, np.ndarray) and array.dtype == object:
        return [_steps(row) for row in array]
    return array


def _column(
    column: str,
    kind: str,
    values: NDArray[Any],
    missing: NDArray[np.bool_] | None,
    where: str,
    *,
    written: bool,
) -> Column:
    if kind in _INTEGERS:
        if missing is not None:
            values[missing] = 0
        return integers(column, values, missing)
    if kind in _REALS or kind.startswith("DECIMAL"):
        return (numbers if written else reals)(column, values, missing)
    if kind == "BOOLEAN":
        return booleans(column, values, missing)
    if kind.startswith(_MOMENTS) and not kind.endswith("[]"):
        return dates(column, values, missing)
    if kind in _TEXTS or kind.startswith("ENUM("):
        if missing is not None:
            values[missing] = None
        return (words if written else texts)(column, values)
    if _is_sequence(kind):
        gone = np.zeros(len(values), np.bool_) if missing is None else missing
        pairs = zip(values, gone.tolist(), strict=True)
        return sequences(column, (None if lost else _steps(v) for v, lost in pairs))
    if values.all():
        return texts(column, [None] * len(values))
    raise fail(
        where,
        f"column {column!r} holds {kind:.60}; expected numbers, text, booleans or "
        "dates",
        "leave it out or take it apart with a query",
    )
