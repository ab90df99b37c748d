# SPDX-License-Identifier: BSD-3-Clause
"""Finding a `TableInput` from training rows: what each column is, and what to drop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import many, unknown
from nervure.data._encode_table import infinite_value, sentences
from nervure.data._errors import DataError, fail
from nervure.data.columns import Column, Table, as_integers, as_texts
from nervure.data.encodings import Encodings, Method, Texts
from nervure.data.meaning.row_numbers import counts_rows, row_numbers
from nervure.data.meaning.tokens import SENTENCE, Unit, learnt, mean_words, stands_alone
from nervure.data.meaning.understanding import key
from nervure.data.records import (
    Category,
    Numeric,
    TableColumn,
    TableInput,
    Text,
    order_of,
)
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
    texts: list[str] = field(default_factory=list[str])
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
            "free text": self.texts,
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
    found: list[TableColumn] = []
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
    found.sort(key=order_of)
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
) -> list[TableColumn]:
    """What becomes of a column; nothing if it is dropped."""
    source = column.kind
    if use in ("one_hot", "embedding"):
        column = _as_categories(column, where)
        source = "integer" if source == "real" else source
    if use in get_args(Texts):
        column = _as_texts(column, where)
    seen = column if rows is None else column.take(rows)
    if seen.kind == "empty" or not len(seen.values):
        notes.dropped.append(f"{column.name} (empty)")
        return []
    if seen.kind in ("text", "boolean"):
        if use in get_args(Method):
            raise _unfit(column, f"asked for as {use!r}; expected numbers or", where)
        free = use is None and _is_free_text(seen)
        if free and not encodings.embeds:
            notes.dropped.append(f"{column.name} (free text, only codes of its words)")
            return []
        if free or use in get_args(Texts):
            text = _fit_text(seen, use, notes)
            return [] if text is None else [text]
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


def _as_texts(column: Column, where: str) -> Column:
    """The column as free text, which numbers are if they are asked for so."""
    texts = sentences(column)
    if texts is None:
        raise fail(
            where,
            f"column {column.name!r} holds {column.found()}; expected text, numbers or "
            "booleans for free text",
            "choose another encoding in columns",
        )
    return texts


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
    if use is None and _tell_rows_apart(count, len(present)):
        notes.dropped.append(
            f"{column.name} ({count:,} different texts in {len(present):,} rows: looks "
            f"like an identifier; {key(column.name, 'text')} takes its words)"
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


def _tell_rows_apart(different: int, rows: int) -> bool:
    return different > FEW_TEXTS and different > rows / 2


# -- texts ----------------------------------------------------------------------------


def _is_free_text(column: Column) -> bool:
    """Whether most texts of a column are different, and of several words."""
    texts, counts = _texts_of(column)
    if column.kind != "text" or not _tell_rows_apart(len(texts), int(counts.sum())):
        return False
    return mean_words(texts) >= SENTENCE


def _texts_of(column: Column) -> tuple[list[str], Rows]:
    """Texts that are there, and in how many rows each."""
    codes, counts = np.unique(column.values[column.present], return_counts=True)
    return [column.levels[code] for code in codes.tolist()], counts


def _fit_text(column: Column, use: str | None, notes: Notes) -> Text | None:
    texts, counts = _texts_of(column)
    unit: Unit = "characters" if use == "characters" else "words"
    vocabulary, length, covered = learnt(texts, counts, unit)
    if not vocabulary:
        some = many(len(texts), "different text")
        fact = f"{some}, without a {unit[:-1]} that is in two rows"
        notes.dropped.append(f"{column.name} ({fact})")
        return None
    keys = [key(column.name, "drop") + " leaves it out"]
    if use is None:
        keys.insert(0, key(column.name, "characters") + " reads characters")
    each = "; each character of its script is a word" if _alone(vocabulary) else ""
    known = f"{len(vocabulary):,}, {covered:.0%} of the {unit} of the training rows"
    notes.texts.append(
        f"{column.name} (the first {many(length, unit[:-1])} of each text; vocabulary "
        f"of {known}{each}; {', '.join(keys)})"
    )
    lost = len(column.values) - int(counts.sum())
    if lost:
        filled = f"{lost:,} of {len(column.values):,}, texts without {unit}"
        notes.filled.append(f"{column.name} ({filled})")
    return Text(column.name, vocabulary, length, unit)


def _alone(vocabulary: tuple[str, ...]) -> bool:
    """Whether words are mostly characters of scripts without spaces between words."""
    return sum(map(stands_alone, vocabulary)) > len(vocabulary) / 2


def join(items: list[str], limit: int = 12) -> str:
    """Items in a row, shortened after ``limit``."""
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")
