# SPDX-License-Identifier: BSD-3-Clause
"""Bodies of requests as rows that a `Preprocessing` encodes: JSON, CSV, images.

Everything here comes from strangers. Sizes are bounded by the limit of a body.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from nervure.base.words import found, is_table, many, unknown
from nervure.data._errors import listing, oneline
from nervure.data.columns import Table
from nervure.data.image_folders import image_for
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import (
    MOST_AXES,
    Category,
    Numeric,
    TableColumn,
    TableInput,
    Text,
)
from nervure.data.sources import rows_of
from nervure.serving.faults import RequestError, fault, heard

BODY = "body"
ROWS = 'expected a list of rows, as [{"column": value}] or [[value, value]]'


# -- JSON -----------------------------------------------------------------------------


def read_json(body: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        RequestError: it is none, or nested without end; a name that stands twice;
            numbers that JSON does not know.
    """
    if not body.strip():
        raise fault(BODY, "empty; expected JSON; send the rows in it")
    try:
        return json.loads(body, parse_constant=_strange, object_pairs_hook=_once)
    except RequestError:
        raise
    except RecursionError:
        fact = "lists in lists in lists without end"
        raise fault(BODY, f"{fact}; {ROWS}; send it plainer") from None
    except ValueError as error:
        raise fault(
            BODY, f"no JSON ({oneline(error)}); expected JSON; correct it"
        ) from None


def _strange(word: str) -> NoReturn:
    raise fault(
        BODY, f"{word}, which is no number of JSON; expected numbers; send null instead"
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise fault(
            BODY, f"{twice!r:.60} twice in one object; expected it once; leave one out"
        )
    return table


def rows_of_json(record: Preprocessing, value: Any) -> Any:
    """Rows of a value of JSON: columns by name for a table, else the rows themselves.

    Raises:
        RequestError: it holds no rows, or rows that are not those of the model.
    """
    given = [value] if is_table(value) else value
    if not isinstance(given, list) or not given:
        fact = "an empty list" if value == [] else found(value)
        raise fault(BODY, f"{fact}; {ROWS}; send it so")
    rows = cast("list[Any]", given)
    table = record.inputs
    if isinstance(table, TableInput):
        return columns_of_rows(table, record.target_names, rows)
    return _arrays(record, rows)


def _arrays(record: Preprocessing, rows: list[Any]) -> list[Any]:
    """Rows of numbers, in lists that are no deeper than arrays can be."""
    shape = record.shape
    for i, row in enumerate(rows):
        if not isinstance(row, list):
            fact = f"{found(row)}; expected a list of the numbers of shape {shape}"
            raise fault(f"row {i}", f"{fact}; send [row, row, ...]")
        if _depth(cast("list[Any]", row)) > MOST_AXES:
            fact = f"lists in more than {MOST_AXES} lists; expected shape {shape}"
            raise fault(f"row {i}", f"{fact}; send it plainer")
    return rows


def _depth(value: Any) -> int:
    """How deep the first of the lists in lists are; one more than can be at most."""
    depth = 0
    while isinstance(value, list) and depth <= MOST_AXES:
        depth, value = depth + 1, cast("list[Any]", value)[0] if value else None
    return depth


_OBJECT, _LIST = cast("type[Any]", dict), cast("type[Any]", list)


def columns_of_rows(
    record: TableInput, targets: Sequence[str], rows: list[Any]
) -> dict[str, list[Any]]:
    """The columns that a table's network reads, of objects or lists.

    Raises:
        RequestError: a column that is missing, too much, or of another kind.
    """
    by_name = isinstance(rows[0], dict)
    known, needed = _known(record, targets), _needed(record)
    for i, row in enumerate(rows):
        if not isinstance(row, _OBJECT if by_name else _LIST):
            kind = "an object" if by_name else "a list"
            fact = f"{found(row)}; expected {kind}, as the first row is"
            raise fault(f"row {i}", f"{fact}; send rows of one kind")
        if by_name:
            _check_names(record, row, i, needed, known)
        else:
            _check_length(record, row, i)
    places: dict[str, Any] = {name: name for name in needed}
    if not by_name:
        places = {name: i for i, name in enumerate(record.names)}
    return {
        column.name: _cells(column, [row[places[column.name]] for row in rows])
        for column in record.columns
    }


def columns_by_name(
    record: TableInput, targets: Sequence[str], given: dict[str, list[Any]]
) -> dict[str, list[Any]]:
    """The columns that a table's network reads, of all that are given.

    Raises:
        RequestError: as `columns_of_rows` does.
    """
    _check_names(record, given, 0, _needed(record), _known(record, targets))
    return {c.name: _cells(c, given[c.name]) for c in record.columns}


def _known(record: TableInput, targets: Sequence[str]) -> set[str]:
    return {*record.names, *targets}


def _needed(record: TableInput) -> set[str]:
    return {column.name for column in record.columns}


def _check_names(
    record: TableInput, row: dict[str, Any], i: int, needed: set[str], known: set[str]
) -> None:
    if not row.keys() <= known:
        extra = next(name for name in row if name not in known)
        raise _unknown_column(f"row {i}", extra, record)
    if not needed <= row.keys():
        lacking = [c.name for c in record.columns if c.name not in row]
        raise fault(
            f"row {i}",
            f"no column {listing(lacking)}; expected {listing(record.names)}; add it, "
            "null where its value is not known",
        )


def _check_length(record: TableInput, row: list[Any], i: int) -> None:
    if len(row) != len(record.names):
        raise fault(
            f"row {i}",
            f"{many(len(row), 'value')}; expected {len(record.names)}, of the columns "
            f"{listing(record.names)}; send all of them in this order, or objects",
        )


def check_columns(table: Table, record: TableInput, targets: Sequence[str]) -> None:
    """Refuse columns of a table that the model does not know.

    Raises:
        RequestError: there is one.
    """
    known = _known(record, targets)
    for name in table.columns:
        if name not in known:
            raise _unknown_column(table.where, name, record)


def _unknown_column(where: str, name: str, record: TableInput) -> RequestError:
    told = unknown(where, "column", name, record.names)
    return RequestError(f"{told}; leave it out or rename it")


# -- cells ----------------------------------------------------------------------------


def _cells(column: TableColumn, values: list[Any]) -> list[Any]:
    """The values of a column, each of the kind that the model was trained on."""
    fits, wanted, remedy = _kind(column)
    for i, value in enumerate(values):
        if value is not None and not fits(value):
            raise fault(
                f"row {i}",
                f"column {column.name!r:.60} holds {found(value)}; expected {wanted}, "
                f"as in training; {remedy}",
            )
    if isinstance(column, Numeric) and column.date and column.written is None:
        return [_moment(column.name, i, value) for i, value in enumerate(values)]
    return values


Kind = tuple[Callable[[Any], bool], str, str]


def _kind(column: TableColumn) -> Kind:
    """What a value of a column may be, in code and in words, and what helps."""
    if isinstance(column, Text):
        return is_text, "text", "write it in quotes, or null if there is none"
    if isinstance(column, Category):
        return {
            "text": (is_text, "text", "write it in quotes"),
            "boolean": (is_flag, "true or false", "write it without quotes"),
            "integer": (is_number, "a whole number", "write it without quotes"),
        }[column.source]
    if column.date:
        return is_text, "a date as text", 'write it as "2024-12-31"'
    if column.written is not None:
        return is_number_or_text, "a number", "write it as in the training file"
    return is_number, "a number", "write it without quotes, or null if it is not known"


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number_or_text(value: Any) -> bool:
    return is_text(value) or is_number(value)


def _moment(name: str, i: int, value: str | None) -> datetime.datetime | None:
    try:
        return None if value is None else datetime.datetime.fromisoformat(value)
    except ValueError:
        raise fault(
            f"row {i}",
            f"column {name!r:.60} holds {found(value)}; expected a date; write it as "
            '"2024-12-31" or "2024-12-31T23:59:59"',
        ) from None


# -- CSV and images -------------------------------------------------------------------


@contextlib.contextmanager
def rows_of_csv(record: Preprocessing, body: bytes) -> Generator[Any]:
    """Rows of a CSV text, read as the model's own files are.

    It lies in a file meanwhile, in which errors find the lines of their rows.

    Raises:
        DataError: it cannot be read.
        RequestError: it is empty, or has columns that the model does not know.
    """
    if not body.strip():
        raise fault(BODY, "empty; expected CSV; send the rows in it")
    with tempfile.TemporaryDirectory(prefix="nervure-") as folder:
        path = Path(folder, "rows.csv")
        path.write_bytes(body)
        with heard():
            rows = rows_of(path, record)
        own = isinstance(record.inputs, TableInput) and record.query is None
        if own and isinstance(rows, Table):
            check_columns(rows, cast(TableInput, record.inputs), record.target_names)
        yield rows


def rows_of_image(record: Preprocessing, body: bytes) -> Any:
    """The one image of a body, as bytes of the size that the model reads.

    Raises:
        DataError: it is none, or the model reads none.
        RequestError: it is empty.
    """
    if not body:
        raise fault(BODY, "empty; expected an image; send a PNG or JPEG file")
    return image_for(body, record.inputs)
