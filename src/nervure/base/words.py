# SPDX-License-Identifier: BSD-3-Clause
"""The words in which faults are told: names, keys, values, annotations."""

from __future__ import annotations

import difflib
import re
import reprlib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeGuard, Union

from nervure.base.described import is_described

LISTS = (tuple, list, Sequence)
"""Origins of annotations that are lists in plain data."""

WORDS: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    str: "text",
    bool: "true or false",
    type(None): "nothing",
}


def is_table(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value is a table of plain data."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list of plain data."""
    return isinstance(value, list | tuple)


def join(path: str, key: str) -> str:
    """The path of a key in the table at ``path``."""
    name = key if re.fullmatch(r"[\w.-]{1,60}", key) else short(key)
    return f"{path}.{name}" if path else name


def short(value: object) -> str:
    """A value as a message shows it: never more than about 60 characters.

    >>> short([[0] * 1000] * 1000)
    '[[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...'
    """
    try:
        text = _Brief().repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a very long number"
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 4]}..."


_BRIEF = 60


class _Brief(reprlib.Repr):
    """Representations of which no more is made than is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.maxtuple = self.maxlist = self.maxdict = _BRIEF // 2
        self.maxlevel = 4

    def repr_str(self, x: str, level: int) -> str:
        return repr(x[: _BRIEF + 20])

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x[: _BRIEF + 20])

    def repr_int(self, x: int, level: int) -> str:
        return repr(x)

    def repr_instance(self, x: object, level: int) -> str:
        return repr(x)


def cut(text: str, most: int) -> str:
    """A text of at most so many characters: its beginning and its end.

    >>> cut("a" * 500 + "b" * 500, 32)
    'aaaaaaaaaaaaa ... bbbbbbbbbbbbb'
    """
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def amount(number: int) -> str:
    """A whole number as a message shows it, of bounded length.

    >>> amount(2**31)
    '2,147,483,648'
    """
    return f"{number:,}" if abs(number) < 10**24 else short(number)


def many(number: int, noun: str) -> str:
    """So many of something.

    >>> many(1, "row"), many(1000, "row"), many(0, "class")
    ('1 row', '1,000 rows', '0 classes')
    """
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{amount(number)} {noun if number == 1 else plural}"


def found(value: object) -> str:
    """What a value is, in a message."""
    if is_table(value):
        return "a table"
    if is_list(value):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, int | float):
        return "nothing" if value is None else short(value)
    word = "text" if isinstance(value, str) else type(value).__name__
    return f"{word} {short(value)}"


def expected(hint: Any) -> str:
    """What an annotation asks for, in a message."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union or origin is types.UnionType:
        some = [expected(a) for a in args if not _goes_without_saying(a, args)]
        return " or ".join(dict.fromkeys(some))
    if origin is Literal:
        return " or ".join(map(repr, args))
    if origin in LISTS:
        return _expected_list(args)
    if is_described(hint):
        return f"{_article(word_of(hint))} (a name or a table with 'type')"
    return WORDS.get(hint, "a table")


def _goes_without_saying(option: Any, options: tuple[Any, ...]) -> bool:
    """None, and lists and tables of what is an option itself."""
    inner = typing.get_args(option)
    return option is type(None) or any(leaf in options for leaf in inner)


def _expected_list(args: tuple[Any, ...]) -> str:
    if len(args) == 1 or args[-1] is Ellipsis:
        if args[0] is Any:
            return "a list"
        return f"a list (each: {expected(args[0])})"
    return f"a list of {len(args)} ({', '.join(map(expected, args))})"


MOST_KNOWN = 2_000
"""Characters of a list of names in a message."""

MOST_COMPARED = 300_000
"""Pairs of characters that a search for the closest name may look at."""


def unknown(where: str, what: str, found: object, candidates: Iterable[str]) -> str:
    """Message for a name that does not exist, closest candidates first.

    >>> unknown("spec", "activation", "rellu", ["tanh", "relu"])
    "[spec] unknown activation 'rellu'; did you mean 'relu'? Known: relu, tanh"
    """
    names = sorted(candidates)
    close = _closest(found, names) if isinstance(found, str) else []
    hint = f"did you mean {' or '.join(map(short, close))}? " if close else ""
    known = [*close, *(name for name in names if name not in close)]
    return f"[{where}] unknown {what} {short(found)}; {hint}Known: {_listed(known)}"


def _closest(name: str, names: Sequence[str]) -> list[str]:
    """Up to three names that are much like it, of as many as can be looked at."""
    length, left = len(name[:_BRIEF]), MOST_COMPARED
    some: list[str] = []
    for one in names:
        left -= length * len(one)
        if left < 0:
            break
        some.append(one)
    return difflib.get_close_matches(name[:_BRIEF], some, n=3, cutoff=0.5)


def _listed(names: Sequence[str]) -> str:
    """Names side by side; of very many the first ones and how many there are more."""
    shown: list[str] = []
    left = MOST_KNOWN
    for name in names:
        text = name if len(name) <= _BRIEF else f"{name[: _BRIEF - 3]}..."
        left -= len(text) + 2
        if left < 0:
            return f"{', '.join(shown)} and {len(names) - len(shown):,} more"
        shown.append(text)
    return ", ".join(shown)


def unknown_name(what: str, name: object, candidates: Iterable[str]) -> str:
    """The text of `unknown` without its place."""
    return unknown("", what, name, candidates).removeprefix("[] ")


def word_of(base: type) -> str:
    return base.__name__.lower()


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
