# SPDX-License-Identifier: BSD-3-Clause
"""Numbers as people write them: thousands, decimal commas, currencies, units."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nervure.data.meaning.forms import NumberForm

Floats = NDArray[np.float64]

_CURRENCY = (
    r"(?:(?:US|CA|AU|NZ|HK|C|A|R|S)?\$|[€£¥₹₽₩฿₺₫₪₱₴]|USD|EUR|GBP|CHF|JPY|CNY|INR|SEK|"
    r"NOK|DKK|PLN|kr\.?|zł|Rs\.?|Fr\.)"
)
_BLANK = "[ \u00a0\u2009\u202f]"
_MARKS = {
    ".": r"\.",
    ",": ",",
    " ": _BLANK,
    "'": "['\u2019]",
}
_FACTORS = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "bn": 1e9, "": 1.0}
_UNIT = re.compile(
    r".*\d\.?\s*(?P<unit>[^\W\d_][^\d]{0,11})", re.DOTALL
)  # what follows the last digit
_FORMS = (
    NumberForm(".", ","),
    NumberForm(",", "."),
    NumberForm(",", " "),
    NumberForm(".", " "),
    NumberForm(".", "'"),
    NumberForm(",", "'"),
)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_PLAIN = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:inf(?:inity)?))", re.ASCII
)
_SAMPLE = 2000
_SIDES = {"<": "above", "≤": "above", ">": "below", "≥": "below"}


@dataclass(frozen=True)
class NumberGuess:
    """A form, the weight of the texts that are numbers in it, and whether another
    form reads as many as other numbers."""

    form: NumberForm
    weight: int
    ambiguous: bool = False


def is_plain_number(text: str) -> bool:
    """Whether a text is a number as computers write it."""
    return _PLAIN.fullmatch(text.strip()) is not None


def parse_numbers(texts: Sequence[str], form: NumberForm) -> Floats:
    """The numbers of texts, NaN where one is no number in this form.

    >>> parse_numbers(["$1,234.50", "(5)", "<100", "5 %", "two"], NumberForm(".", ","))
    array([1234.5,   -5. ,  100. ,    5. ,    nan])
    """
    match, marks = _pattern(form).fullmatch, _translation(form)
    found = np.empty(len(texts))
    for i, text in enumerate(texts):
        parts = match(text.strip())
        found[i] = _infinite(text) if parts is None else _value(parts, marks)
    return found


def find_number_form(
    texts: Sequence[str], weights: NDArray[np.int64], decimal: str = ""
) -> NumberGuess | None:
    """The form in which most texts, by weight, are numbers; None where none is one.

    Nor is one where bounds from both sides of a number tell classes ("<=50K", ">50K").
    ``decimal`` is the mark that decides where "1,234" may be read in two ways.

    >>> guess = find_number_form(["1.234,5", "7"], np.array([1, 1]))
    >>> guess.form.decimal, guess.weight
    (',', 2)
    """
    some = _sample(len(texts))
    places: list[int] = some.tolist()
    probed = [texts[i] for i in places]
    unit = _common_unit(probed, weights[some])
    forms = [NumberForm(f.decimal, f.thousands, unit) for f in _FORMS]
    if decimal == ",":
        forms.sort(key=lambda form: form.decimal != ",")
    read = [parse_numbers(probed, form) for form in forms]
    scores = [int(weights[some][~np.isnan(values)].sum()) for values in read]
    best = max(scores)
    if best == 0:
        return None
    tied = [form for form, score in zip(forms, scores, strict=True) if score == best]
    guess = _whole_guess(texts, weights, tied)
    return None if _divided(texts, guess.form) else guess


def _divided(texts: Sequence[str], form: NumberForm) -> bool:
    """Whether a number is a bound from below in one text, from above in another."""
    bounds = [text for text in texts if text.lstrip()[:1] in _SIDES]
    values = parse_numbers(bounds, form).tolist()
    pairs = zip(values, bounds, strict=True)
    sides = {(value, _SIDES[text.lstrip()[0]]) for value, text in pairs}
    return len({value for value, _ in sides}) < len(sides)


def _whole_guess(
    texts: Sequence[str], weights: NDArray[np.int64], forms: list[NumberForm]
) -> NumberGuess:
    """The best of the forms over all texts, the first of those that are level."""
    read = [parse_numbers(texts, form) for form in forms]
    scores = [int(weights[~np.isnan(values)].sum()) for values in read]
    first = int(np.argmax(scores))
    others = [
        values
        for values, score in zip(read, scores, strict=True)
        if score == scores[first] and not np.array_equal(values, read[first], True)
    ]
    return NumberGuess(forms[first], scores[first], bool(others))


def _sample(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))


def _common_unit(texts: Sequence[str], weights: NDArray[np.int64]) -> str:
    """The word that follows nearly all numbers which a word follows, or none."""
    counted: Counter[str] = Counter()
    currency = re.compile(_CURRENCY)
    for text, weight in zip(texts, weights.tolist(), strict=True):
        found = _UNIT.fullmatch(text.strip())
        word = found["unit"] if found else ""
        if word and word not in _FACTORS and not currency.fullmatch(word):
            counted[word] += weight
    if not counted:
        return ""
    word, often = counted.most_common(1)[0]
    return word if often >= 0.9 * counted.total() else ""


@functools.lru_cache(maxsize=64)
def _pattern(form: NumberForm) -> re.Pattern[str]:
    decimal, mark = _MARKS[form.decimal], _MARKS.get(form.thousands, "(?!)")
    whole = rf"(?:[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|\d+)"
    number = rf"(?:{whole}(?:{decimal}\d*)?|{decimal}\d+)(?:[eEdD][+-]?\d+)?"
    unit = f"{_CURRENCY}|[%‰]" + (f"|{re.escape(form.unit)}" if form.unit else "")
    return re.compile(
        rf"[~≈<>≤≥=]{{0,2}}\s*(?P<open>\(?)\s*(?P<sign>[-+−–]?)\s*{_CURRENCY}?\s*"
        rf"(?P<inner>[-+−–]?)\s*(?P<number>{number})\s*(?P<factor>[kKMB]|bn)?\s*"
        rf"(?:{unit})?\s*\)?\+?(?P<after>-?)"
    )


def _infinite(text: str) -> float:
    return float(text) if _INFINITE.fullmatch(text.strip()) else np.nan


def _translation(form: NumberForm) -> dict[int, str | None]:
    gone = dict.fromkeys(map(ord, "' \u2019\u00a0\u2009\u202f"), None)
    gone[ord("," if form.decimal == "." else ".")] = None
    return {**gone, ord(form.decimal): ".", ord("d"): "e", ord("D"): "e"}


def _value(parts: re.Match[str], marks: dict[int, str | None]) -> float:
    number = float(parts["number"].translate(marks)) * _FACTORS[parts["factor"] or ""]
    minus = parts["open"] + parts["sign"] + parts["inner"] + parts["after"]
    return -number if re.search(r"[(\-−–]", minus) else number
