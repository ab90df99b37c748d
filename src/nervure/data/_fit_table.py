# SPDX-License-Identifier: BSD-3-Clause
"""Finding a `TableInput` from training rows: what each column is, and what to drop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import unknown
from nervure.data._encode_table import infinite_value
from nervure.data._errors import DataError, fail
from nervure.data.columns import Column, Table, as_integers, as_texts
from nervure.data.encodings import Encodings, Method
from nervure.data.meaning.row_numbers import counts_rows, row_numbers
from nervure.data.meaning.understanding import key
from nervure.data.records import Category, Numeric, TableInput
from nervure.data.scaling import fit_scaling

Rows = NDArray[Any]
FEW_TEXTS = 20  # so many different texts are categories in however few rows
MOST_LEVELS = 50_000
"""Levels of an embedded column; the others share the code of what is unknown."""


@dataclass
class Notes:
    """What was done to the columns, for the summary."""

    scaled: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    bytes: list[str] = field(default_factory=list[str])
    sequences: list[str] = field(default_factory=list[str])
    one_hot: list[str] = field(default_factory=list[str])
    embedded: list[str] = field(default_factory=list[str])
    filled: list[str] = field(default_factory=list[str])
    counting: list[str] = field(default_factory=list[str])
    dropped: list[str] = field(default_factory=list[str])

    def lines(self) -> list[str]:
        named = {
            **{f"numbers, {_WORDS[k]}": v for k, v in self.scaled.items()},
            "bytes": self.bytes,
            "sequences": self.sequences,
            "categories, one-hot": self.one_hot,
            "categories, embedded": self.embedded,
            "missing values, filled and flagged": self.filled,
            "kept, though it counts the rows": self.counting,
            "dropped": self.dropped,
        }
        return [f"{what}: {join(items)}" for what, items in named.items() if items]


_WORDS: dict[str, str] = {
    "standard": "standardized",
    "robust": "robustly scaled",
    "quantile": "as normal scores",
    "piecewise": "piecewise linear",
}


def fit_table(
    table: Table, rows: Rows | None, encodings: Encodings, notes: Notes
) -> TableInput:
    """What the training rows say about each column; the notes are added to.

    Raises:
        DataError: an infinite value, a column that cannot be encoded as asked for, or
            none that is left.
    """
    check_names(table, encodings)
    aside = row_numbers(table)
    found: list[Numeric | Category] = []
    for name, column in table.columns.items():
        use = encodings.columns.get(name)
        if use == "drop":
            notes.dropped.append(f"{name} (as asked for)")
            continue
        if use is None and name in aside:
            keeps = f"{key(name, encodings.numbers)} keeps it"
            notes.dropped.append(f"{name} ({aside[name]}; {keeps})")
            continue
        if use is None and counts_rows(column):
            notes.counting.append(f"{name} ({key(name, 'drop')} drops it)")
        if column.kind == "sequence":
            raise _no_sequences(name, table.where)
        _check_infinite(column, table.where)
        found += _fit_column(column, use, rows, encodings, notes, table.where)
    if not found:
        raise fail(
            table.where,
            f"no column is left to learn from (dropped: {join(notes.dropped)}); "
            "expected at least 1 that varies",
            "add columns, or check how the file was read",
        )
    # Codes come last.
    found.sort(key=lambda spec: isinstance(spec, Category) and spec.embedded)
    return TableInput(tuple(table.columns), tuple(found))


def _no_sequences(name: str, where: str) -> DataError:
    return fail(
        where,
        f"column {name!r} holds sequences; expected numbers, text, booleans or dates",
        "leave it out, or give sequences as the only input to a network along time",
    )


def check_names(table: Table, encodings: Encodings) -> None:
    """Raise for an encoding of a column that is not there."""
    for name in encodings.columns:
        if name not in table.columns:
            place = f"{table.where}: columns"
            raise DataError(unknown(place, "column", name, table.columns))


def _fit_column(
    column: Column,
    use: str | None,
    rows: Rows | None,
    encodings: Encodings,
    notes: Notes,
    where: str,
) -> list[Numeric | Category]:
    """What becomes of a column; nothing if it is dropped."""
    source = column.kind
    if use in ("one_hot", "embedding"):
        column = _as_categories(column, where)
        source = "integer" if source == "real" else source
    seen = column if rows is None else column.take(rows)
    if seen.kind == "empty" or not len(seen.values):
        notes.dropped.append(f"{column.name} (empty)")
        return []
    if seen.kind in ("text", "boolean"):
        if use in get_args(Method):
            raise _unfit(column, f"asked for as {use!r}; expected numbers or", where)
        found = _fit_category(seen, use, encodings, notes)
        return [] if found is None else [_of_source(found, source)]
    number = _fit_numeric(seen, use or encodings.numbers, notes, where)
    return [] if number is None else [number]


def _check_infinite(column: Column, where: str) -> None:
    if column.kind != "real":
        return
    infinite = np.flatnonzero(np.isinf(column.values))
    if infinite.size:
        raise infinite_value(column, int(infinite[0]), where)


def _unfit(column: Column, fact: str, where: str) -> DataError:
    return fail(
        where,
        f"column {column.name!r} holds {column.found()}, {fact} dates",
        "choose another encoding in columns",
    )


# -- numbers --------------------------------------------------------------------------


def _fit_numeric(
    column: Column, method: Any, notes: Notes, where: str
) -> Numeric | None:
    values = column.floats()
    lost = np.isnan(values)
    fill = float(np.median(values[~lost]))
    values[lost] = fill
    flag = bool(lost.any())
    constant = values.min() == values.max()
    if constant and not flag:
        notes.dropped.append(f"{column.name} (constant)")
        return None
    if flag:
        how = f"{int(lost.sum()):,} of {len(values):,}, by the median {fill:.6g}"
        notes.filled.append(f"{column.name} ({how})")
    method = "standard" if constant else method
    try:
        scaling = fit_scaling(method, values)
    except DataError as error:
        raise fail(
            where, f"column {column.name!r}: {error}", "encode it otherwise"
        ) from None
    notes.scaled.setdefault(method, []).append(column.name)
    return Numeric(
        column.name,
        scaling,
        fill,
        flag=flag,
        date=column.kind == "date",
        written=column.written,
    )


# -- categories -----------------------------------------------------------------------


def _as_categories(column: Column, where: str) -> Column:
    """The column as categories, which integers are if they are asked for so."""
    if column.kind in ("text", "boolean", "empty"):
        return column
    whole = as_integers(column) if column.kind != "date" else None
    if whole is None:
        raise fail(
            where,
            f"column {column.name!r} holds {column.found()}; expected text, booleans "
            "or integers for categories",
            "convert the column, or choose another encoding",
        )
    return as_texts(whole)


def _of_source(found: Category, source: Any) -> Category:
    return Category(
        found.name, found.levels, found.missing, source, embedded=found.embedded
    )


def _fit_category(
    column: Column, use: str | None, encodings: Encodings, notes: Notes
) -> Category | None:
    missing = column.missing
    present = column.values if missing is None else column.values[~missing]
    codes, counts = np.unique(present, return_counts=True)
    count, lost = len(codes), len(column.values) - len(present)
    if count == 1 and not lost:
        notes.dropped.append(f"{column.name} (constant)")
        return None
    if use is None and count > FEW_TEXTS and count > len(present) / 2:
        notes.dropped.append(
            f"{column.name} ({count:,} different texts in {len(present):,} rows: looks "
            "like an identifier)"
        )
        return None
    how = use or encodings.categories
    if how == "auto" and count > encodings.most_one_hot and not encodings.embeds:
        keeps = f"{key(column.name, 'one_hot')} keeps it"
        notes.dropped.append(f"{column.name} ({count:,} categories; {keeps})")
        return None
    if how == "auto":
        how = "embedding" if count > encodings.most_one_hot else "one_hot"
    if how == "embedding":
        codes = _common(codes, counts)
        if not len(codes):
            notes.dropped.append(
                f"{column.name} ({count:,} different texts, none of them twice)"
            )
            return None
        rare = f" of {count:,}, the rarer ones as one" if len(codes) < count else ""
        notes.embedded.append(f"{column.name} ({len(codes):,}{rare})")
    else:
        notes.one_hot.append(f"{column.name} ({count})")
    if lost:
        filled = f"{lost:,} of {len(column.values):,}, a level of its own"
        notes.filled.append(f"{column.name} ({filled})")
    kept: list[int] = codes.tolist()
    levels = tuple(column.levels[code] for code in kept)
    return Category(column.name, levels, lost > 0, embedded=how == "embedding")


def _common(codes: Rows, counts: Rows) -> Rows:
    """Codes of levels that come at least twice, the most frequent `MOST_LEVELS`.

    A level that comes once cannot be learnt; as the code of what is unknown it teaches
    what to make of such levels.
    """
    order = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
    return np.sort(codes[order[counts[order] > 1]])


def join(items: list[str], limit: int = 12) -> str:
    """Items in a row, shortened after ``limit``."""
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")
