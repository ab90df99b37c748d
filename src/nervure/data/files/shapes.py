# SPDX-License-Identifier: BSD-3-Clause
"""JSON files: rows as objects, or any of the shapes that pandas writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from nervure.data._errors import DataError, check_size, fail, oneline
from nervure.data.columns import Table
from nervure.data.frames import table_from_mapping

_OBJECT = 20  # bytes of memory that a byte of JSON may take as Python objects


def read_shape(path: Path, where: str) -> Table | None:
    """The table of a JSON file that is one object, or a list of lists; None for
    others, which are rows as objects.

    Raises:
        DataError: it is no JSON, or no table.
    """
    with open(path, "rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    nested = start[:1] == b"[" and start[1:].lstrip()[:1] not in (b"{", b"]", b"")
    if start[:1] != b"{" and not nested:
        return None
    check_size(where, path.stat().st_size * _OBJECT)
    try:
        found: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        if start[:1] == b"{" and "Extra data" in str(error):
            return None  # one object in each line
        reason = oneline(error)
        raise fail(where, f"no whole JSON ({reason})", "check the file") from error
    return _table(found, where)


def _table(found: Any, where: str) -> Table | None:
    if isinstance(found, list):  # orient="values"
        rows = cast("list[Any]", found)
        return _from_rows(rows, None, where)
    shape = cast("dict[str, Any]", found)
    if isinstance(shape.get("data"), list):
        names = shape.get("columns")
        if isinstance(names, list):  # orient="split"
            return _from_rows(
                shape["data"], [str(name) for name in cast("list[Any]", names)], where
            )
        return _from_objects(shape["data"], where)  # orient="table"
    values = list(shape.values())
    if values and all(isinstance(value, list) for value in values):
        return table_from_mapping(shape, where)
    if values and all(isinstance(value, dict) for value in values):
        return _from_dicts(cast("dict[str, dict[str, Any]]", shape), where)
    return None  # one row


def _from_dicts(shape: Mapping[str, Mapping[str, Any]], where: str) -> Table:
    """orient="columns" (column by column), or "index" (row by row).

    Columns have the same rows, 0, 1, 2, ... as a rule; names of columns are no numbers.
    """
    inner = [list(value) for value in shape.values()]
    same = all(keys == inner[0] for keys in inner)
    rows_outside = all(key.isdigit() for key in shape)
    rows_inside = all(key.isdigit() for key in inner[0])
    if rows_outside and not rows_inside:
        return _from_objects(list(shape.values()), where)
    if same:
        columns = {name: list(values.values()) for name, values in shape.items()}
        return table_from_mapping(columns, where)
    raise _no_table(where)


def _from_rows(rows: Sequence[Any], names: list[str] | None, where: str) -> Table:
    width = len(names) if names is not None else len(rows[0]) if rows else 0
    if not all(
        isinstance(row, list) and len(cast("list[Any]", row)) == width for row in rows
    ):
        raise _no_table(where)
    names = names or [f"column{i + 1}" for i in range(width)]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return table_from_mapping(columns, where)


def _from_objects(rows: Sequence[Any], where: str) -> Table:
    if not all(isinstance(row, dict) for row in rows):
        raise _no_table(where)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    return table_from_mapping(columns, where)


def _no_table(where: str) -> DataError:
    return fail(
        where,
        "JSON that is no table; expected rows as objects, or what pandas' to_json "
        "writes",
        'write it so: [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]',
    )
