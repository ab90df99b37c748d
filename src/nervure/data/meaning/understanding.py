# SPDX-License-Identifier: BSD-3-Clause
"""Columns of text as the numbers or dates that they are, by all of their rows."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import DataWarning
from nervure.data.columns import Column, Table, dates, numbers
from nervure.data.encodings import Method
from nervure.data.meaning.dates import (
    DateGuess,
    check_pattern,
    day_first_of,
    find_date_form,
    parse_dates,
)
from nervure.data.meaning.forms import DateForm, Form, NumberForm
from nervure.data.meaning.markers import is_gap
from nervure.data.meaning.numbers import (
    NumberGuess,
    find_number_form,
    is_plain_number,
    parse_numbers,
)

NEARLY_ALL = 0.9
"""Share of the rows from which a column is of numbers, the rest being missing."""

MANY = 0.5
"""Share of the rows from which a column of texts is said to hold numbers."""

_SHOWN = 24


@dataclass(frozen=True)
class Wishes:
    """What the user has said of columns: encodings, and patterns of dates by name.

    ``typed``: the source tells numbers from texts itself, so that plain numbers in
    a text are meant to be text.
    """

    uses: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    dates: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    typed: bool = False


def key(name: str, word: str, table: str = "columns") -> str:
    """The setting that changes what becomes of a column, as a spec has it.

    >>> key("row id", "drop")
    'data.columns."row id" = "drop"'
    """
    bare = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
    return f'data.{table}.{bare} = "{word}"'


def understood(table: Table, wishes: Wishes | None = None) -> Table:
    """The table with texts that are numbers or dates as such; notes say what was read.

    A column is of numbers, or of dates, where at least `NEARLY_ALL` of its values are
    (or the user says so); the others become missing, with a warning for the column.

    Warns:
        DataWarning: values that are lost, or a column of texts that holds many numbers.
    """
    wishes = wishes or Wishes()
    for name in wishes.dates:
        _ = table[name]
    texts = [c for c in table.columns.values() if c.kind == "text"]
    texts = [c for c in texts if _may_change(c, wishes)]
    guesses = {column.name: _guessed(column, wishes) for column in texts}
    read = [_numbers_of(guess) for guess in guesses.values()]
    marks = {g.form.decimal for g in read if g is not None and not g.ambiguous}
    decimal = "," if marks == {","} or (table.decimal_comma and not marks) else ""
    dated = [_dates_of(guess) for guess in guesses.values()]
    orders = {day_first_of(g.form) for g in dated if g is not None and not g.ambiguous}
    orders.discard(None)
    day_first = orders.pop() if len(orders) == 1 else None
    found: list[Column] = []
    notes: list[str] = []
    for column in table.columns.values():
        guess = guesses.get(column.name)
        if guess is not None:
            guess = _settled(column, guess, decimal, day_first)
            column, note = _read(column, guess, table, wishes)
            notes += note
        found.append(column)
    return dataclasses.replace(
        table,
        columns={column.name: column for column in found},
        notes=(*table.notes, *notes),
    )


def apply_form(column: Column, form: Form | None, table: Table) -> Column:
    """A column of text as a model's training file wrote it.

    Warns:
        DataWarning: values that are lost.
    """
    form = form or NumberForm(".", ",")
    count = len(_values(column)[0])
    made, lost = _parsed(column, form)
    if count and made.kind == "empty":
        return column
    if len(lost):
        _warn_lost(column, form, lost, table, "they count as missing")
    return made


# -- guessing -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Guess:
    numbers: NumberGuess | None
    dates: DateGuess | None
    rows: int
    """Rows that hold neither nothing nor a mark of a gap."""

    plain: bool = False


def _may_change(column: Column, wishes: Wishes) -> bool:
    return wishes.uses.get(column.name, "standard") in get_args(Method)


def _guessed(column: Column, wishes: Wishes) -> _Guess:
    texts, weights = _values(column)
    rows = int(weights.sum())
    if not rows or not any(
        re.search(r"\d", text) for text in texts[:: len(texts) // 200 or 1]
    ):
        return _Guess(None, None, rows)
    numbers = find_number_form(texts, weights)
    pattern = wishes.dates.get(column.name)
    if pattern is not None:
        check_pattern(f"data.dates.{column.name}", pattern)
        form = DateForm((pattern,))
        read = ~np.isnan(parse_dates(texts, form))
        return _Guess(None, DateGuess(form, int(weights[read].sum())), rows)
    many = numbers is not None and numbers.weight >= NEARLY_ALL * rows
    plain = many and all(map(is_plain_number, texts))
    dates = None if many else find_date_form(texts, weights)
    return _Guess(numbers, dates, rows, plain)


def _numbers_of(guess: _Guess) -> NumberGuess | None:
    some = guess.numbers
    return some if some and some.weight >= NEARLY_ALL * guess.rows else None


def _dates_of(guess: _Guess) -> DateGuess | None:
    some = guess.dates
    return some if some and some.weight >= NEARLY_ALL * guess.rows else None


def _settled(
    column: Column, guess: _Guess, decimal: str, day_first: bool | None
) -> _Guess:
    """The guess with what the other columns of the table say."""
    texts, weights = _values(column)
    if guess.numbers and guess.numbers.ambiguous and decimal:
        settled = find_number_form(texts, weights, decimal)
        return dataclasses.replace(guess, numbers=settled)
    if guess.dates and guess.dates.ambiguous and day_first is not None:
        again = find_date_form(texts, weights, day_first)
        return dataclasses.replace(guess, dates=again)
    return guess


# -- reading ------------------------------------------------------------------------


def _read(
    column: Column, guess: _Guess, table: Table, wishes: Wishes
) -> tuple[Column, list[str]]:
    """The column as what it is, and a note about it."""
    name, forced = column.name, column.name in wishes.uses
    number, date = guess.numbers, guess.dates
    if name in wishes.dates or (_dates_of(guess) and not _numbers_of(guess)):
        assert date is not None
        return _as(column, date.form, table), _date_notes(column, date, wishes)
    if number is None or guess.rows == 0:
        return column, _almost(column, guess, table, forced)
    if wishes.typed and guess.plain and not forced:
        return column, [
            f"{name}: text that holds numbers, taken as text "
            f"({key(name, 'standard')} takes it as numbers)"
        ]
    if _numbers_of(guess) or forced:
        made = _as(column, number.form, table)
        return made, [] if guess.plain else _number_notes(column, number)
    return column, _almost(column, guess, table, forced)


def _almost(column: Column, guess: _Guess, table: Table, forced: bool) -> list[str]:
    """Warns of a column of text in which many rows are numbers or dates."""
    if forced or not guess.rows:
        return []
    number, date = guess.numbers, guess.dates
    weight = max(number.weight if number else 0, date.weight if date else 0)
    if weight <= MANY * guess.rows:
        return []
    what = "numbers" if number and number.weight == weight else "dates"
    form = number.form if number and what == "numbers" else date and date.form
    assert form is not None
    _, lost = _parsed(column, form)
    _warn_lost(
        column, form, lost, table, "the column is taken as text", key_word="standard"
    )
    return []


def _as(column: Column, form: Form, table: Table) -> Column:
    made, lost = _parsed(column, form)
    if len(lost):
        _warn_lost(
            column, form, lost, table, "they count as missing", key_word="one_hot"
        )
    return made


def _parsed(column: Column, form: Form) -> tuple[Column, NDArray[np.int64]]:
    """The column in a form, and the rows whose texts are lost by it."""
    whole = _exact(column) if isinstance(form, NumberForm) else None
    if whole is not None:
        return whole, np.empty(0, np.int64)
    texts = list(column.levels)
    if isinstance(form, DateForm):
        values = parse_dates(texts, form)
    else:
        values = parse_numbers(texts, form)
    gaps = np.fromiter(map(is_gap, texts), np.bool_, len(texts))
    missing = np.zeros(len(column.values), np.bool_)
    if column.missing is not None:
        missing |= column.missing
    of_rows = values[column.values] if len(texts) else np.full(len(missing), np.nan)
    lost = np.isnan(of_rows) & ~missing
    if len(texts):
        lost &= ~gaps[column.values]
    nothing = missing | np.isnan(of_rows)
    make = dates if isinstance(form, DateForm) else numbers
    made = make(column.name, of_rows, nothing)
    return dataclasses.replace(made, written=form), np.flatnonzero(lost)


def _exact(column: Column) -> Column | None:
    """Whole numbers that float64 would round, exactly; None if it is not these."""
    if not any(len(level) >= 16 for level in column.levels):
        return None
    kept = [level.strip() for level in column.levels]
    if not all(re.fullmatch(r"[+-]?\d{1,19}", t) or is_gap(t) for t in kept):
        return None
    gaps = np.fromiter(map(is_gap, kept), np.bool_, len(kept))
    values = [0 if is_gap(text) else int(text) for text in kept]
    if any(abs(value) >= 2**63 for value in values):
        return None
    missing = gaps[column.values]
    if column.missing is not None:
        missing = missing | column.missing
    made = np.array(values, np.int64)[column.values]
    return Column(column.name, "integer", made, missing if missing.any() else None)


def _values(column: Column) -> tuple[list[str], NDArray[np.int64]]:
    """Texts that are there and hold something, and how often each comes."""
    found, counts = np.unique(column.values[column.present], return_counts=True)
    codes: list[int] = found.tolist()
    kept = np.array([not is_gap(column.levels[i]) for i in codes], np.bool_)
    texts = [column.levels[i] for i in codes if not is_gap(column.levels[i])]
    return texts, counts[kept]


# -- words --------------------------------------------------------------------------


def _number_notes(column: Column, guess: NumberGuess) -> list[str]:
    texts, _ = _values(column)
    odd = next((text for text in texts if not is_plain_number(text)), None)
    if odd is None:
        return []
    (value,) = parse_numbers([odd], guess.form)
    if np.isnan(value):
        return []
    doubt = ", which it may mean otherwise" if guess.ambiguous else ""
    return [
        f"{column.name}: numbers written like {odd!r:.{_SHOWN}}, read as {value:.10g}"
        f"{doubt} ({key(column.name, 'one_hot')} keeps the text)"
    ]


def _date_notes(column: Column, guess: DateGuess, wishes: Wishes) -> list[str]:
    if column.name in wishes.dates or guess.form.patterns == ("%Y-%m-%d",):
        return []
    shown = ", ".join(guess.form.patterns)
    if not guess.ambiguous:
        return [f"{column.name}: dates written as {shown}"]
    pattern = guess.form.patterns[0]
    other = pattern.translate(str.maketrans("dm", "md"))
    setting = key(column.name, other, "dates")
    return [
        f"{column.name}: dates read as {shown}, though {other} would do as well "
        f"({setting} reads them so)"
    ]


def _warn_lost(
    column: Column,
    form: Form,
    lost: NDArray[np.int64],
    table: Table,
    what: str,
    key_word: str = "",
) -> None:
    if not len(lost):
        return
    first = int(lost[0])
    text = column.text(first)
    kind = "dates" if isinstance(form, DateForm) else "numbers"
    word, verb = ("value", "is") if len(lost) == 1 else ("values", "are")
    remedies = {
        "one_hot": f"; {key(column.name, 'one_hot')} keeps the text",
        "standard": f"; {key(column.name, 'standard')} takes the others as missing"
        if kind == "numbers"
        else "; correct them, or drop the column",
    }
    warnings.warn(
        DataWarning(
            f"[{table.where}] column {column.name!r}: {len(lost):,} {word} {verb} "
            f"no {kind} as the others are (first {text!r:.{_SHOWN}}, "
            f"{table.place(first)}); {what}{remedies.get(key_word, '')}"
        ),
        stacklevel=2,
    )
