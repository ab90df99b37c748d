# SPDX-License-Identifier: BSD-3-Clause
"""Frozen dataclasses as plain data (tables, lists, numbers, words) and back.

The spec (TOML) and the model file (JSON) hold layers, losses, optimizers, schedules,
initializers and regularizers as tables with a ``type``. The reader follows the
dataclasses' annotations, so that a new class needs no line here, and collects all
faults, each with the path of its key. Nothing read here is imported or evaluated.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, cast

import numpy as np

from nervure.base.described import default_of, hints_of, is_described, kinds_of
from nervure.base.words import (
    LISTS,
    WORDS,
    cut,
    expected,
    found,
    is_list,
    is_table,
    join,
    short,
    unknown_name,
    word_of,
)

DEPTH = 24
"""How deep tables and lists may be nested."""

_MOST_FAULTS, _MOST_TOLD = 50, 6_000
"""Lines and characters that are told of one source: its end says if there are more."""

_MOST_TEXT = 3_000
_INTEGERS = range(-(2**63), 2**64)


class Faults:
    """All faults of one source, one line each: ``[where] key: what is wrong``."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.lines: list[str] = []

    def at(self, path: str = "") -> Place:
        """The place of a key."""
        return Place(self, path)

    @property
    def full(self) -> bool:
        return len(self.lines) > self._told

    @property
    def _told(self) -> int:
        """How many of the lines are told: one at least."""
        sizes = itertools.accumulate(map(len, self.lines[:_MOST_FAULTS]))
        return max(1, sum(size <= _MOST_TOLD for size in sizes))

    def raise_as(self, error: type[Exception]) -> None:
        """Raise all that was collected, if anything was."""
        if self.lines:
            more = ["... and more"] if self.full else []
            raise error("\n".join(self.lines[: self._told] + more))


class _Bad:
    """Stands for a value that could not be read; its fault is collected."""


BAD = _Bad()


@dataclass(frozen=True)
class Place:
    """Where a value stands, and where its faults are collected."""

    faults: Faults
    path: str

    def key(self, name: str) -> Place:
        """The place of a key of the table that stands here."""
        return Place(self.faults, join(self.path, name))

    def item(self, index: int) -> Place:
        """The place of an item of the list that stands here."""
        return Place(self.faults, f"{self.path}[{index}]")

    def bad(self, text: str) -> Any:
        """Collect a fault; `BAD`."""
        key = f"{self.path}: " if self.path else ""
        if not self.faults.full:
            line = f"[{self.faults.where}] {key}{cut(text, _MOST_TEXT)}"
            self.faults.lines.append(line)
        return BAD

    def mismatch(self, hint: Any, value: object) -> Any:
        """Collect that the value is not what the annotation asks for; `BAD`."""
        return self.bad(f"found {found(value)}; expected {expected(hint)}")

    def unknown_keys(self, keys: Iterable[str], known: Iterable[str]) -> None:
        """A fault for each of ``keys``, with the closest of the ``known`` ones."""
        names = list(known)
        for key in keys:
            if self.faults.full:
                return
            text = unknown_name("key", key, names)
            self.key(key).bad(text.replace(f"key {short(key)}", "key", 1))


# -- reading --------------------------------------------------------------------------


def read(hint: Any, value: object, at: Place) -> Any:
    """``value`` as the annotation ``hint`` wants it, or `BAD` and a fault."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is Union or origin is types.UnionType:
        return _read_union(args, value, at)
    if origin is Literal:
        return _read_choice(args, value, at)
    if origin in LISTS:
        return _read_list(hint, value, at)
    if _is_mapping(hint):
        return _read_mapping(hint, value, at)
    if hint in WORDS:
        return _read_scalar(hint, value, at)
    if is_described(hint):
        return _read_described(hint, value, at)
    if dataclasses.is_dataclass(hint) and is_table(value):
        return _read_fields(hint, value, at)
    return at.mismatch(hint, value)


def _read_scalar(hint: Any, value: object, at: Place) -> Any:
    if isinstance(value, np.generic):  # from Python, never from a file
        value = cast(object, value.item())  # pyright: ignore
    if isinstance(value, bool) or hint is bool:
        return value if type(value) is hint else at.mismatch(hint, value)
    if isinstance(value, int) and hint in (int, float):
        if value in _INTEGERS:
            return hint(value)
        return at.bad(f"{short(value)} is too large; expected at most 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        return at.bad(f"found {value}; expected a finite number")
    return value if type(value) is hint else at.mismatch(hint, value)


def _read_choice(choices: Any, value: object, at: Place) -> Any:
    if any(value == c and type(value) is type(c) for c in choices):
        return value
    return at.bad(unknown_name("value", value, map(str, choices)))


def _read_list(hint: Any, value: object, at: Place) -> Any:
    if not is_list(value):
        return at.mismatch(hint, value)
    hints = typing.get_args(hint)
    if len(hints) == 1 or hints[-1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if hints and _are_scalars(hints, value):
        return list(value) if typing.get_origin(hint) is list else tuple(value)
    if len(hints) != len(value):
        return at.bad(f"found {len(value)} values; expected {len(hints)}")
    pairs = enumerate(zip(hints, value, strict=True))
    items = [read(each, item, at.item(i)) for i, (each, item) in pairs]
    if any(item is BAD for item in items):
        return BAD
    return items if typing.get_origin(hint) is list else tuple(items)


def _are_scalars(hints: Any, values: Sequence[Any]) -> bool:
    """Whether values need no look at each place: as many as there are, as annotated."""
    first = hints[0]
    if len(hints) != len(values) or first not in (str, float, bool):
        return False
    same = all(hint is first for hint in hints)
    right = same and all(type(value) is first for value in values)
    return right and (first is not float or all(map(math.isfinite, values)))


def _read_mapping(hint: Any, value: object, at: Place) -> Any:
    if not is_table(value):
        return at.mismatch(hint, value)
    inner = typing.get_args(hint)[1]
    table = {key: read(inner, item, at.key(key)) for key, item in value.items()}
    return BAD if any(item is BAD for item in table.values()) else table


def _read_union(options: Any, value: object, at: Place) -> Any:
    """The first option that takes the value, or the faults of the one meant."""
    trials: dict[Any, Faults] = {}
    for option in options:
        trials[option] = Faults(at.faults.where)
        result = read(option, value, trials[option].at(at.path))
        if result is not BAD:
            return result
    meant = _meant(options, value)
    if len(meant) != 1:
        return at.mismatch(Union[options], value)  # noqa: UP007
    at.faults.lines += trials[meant[0]].lines
    return BAD


def _meant(options: Any, value: object) -> list[Any]:
    """The options that a value of this type of data can be meant as."""
    if is_table(value):
        tables = [o for o in options if _is_mapping(o) or dataclasses.is_dataclass(o)]
        named = [o for o in tables if value.get("kind") in _own_kinds(o)]
        typed = [o for o in tables if is_described(o) == ("type" in value)]
        return named or typed or tables
    if is_list(value):
        return [o for o in options if typing.get_origin(o) in LISTS]
    if isinstance(value, str):
        literal = [o for o in options if typing.get_origin(o) is Literal]
        return literal + [o for o in options if is_described(o)]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return [o for o in options if number and o in (int, float)]


def _own_kinds(option: Any) -> tuple[Any, ...]:
    """What a dataclass may say of itself in a field ``kind``."""
    fields = dataclasses.is_dataclass(option) and isinstance(option, type)
    hint = hints_of(option).get("kind") if fields else None
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def _is_mapping(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _read_described(base: Any, value: object, at: Place) -> Any:
    """An object of a kind of ``base``: its name, or a table."""
    if isinstance(value, base):
        return value
    kinds = {c.kind: c for c in kinds_of(base)}
    if isinstance(value, str):
        known = value in kinds
        return _read_fields(kinds[value], {}, at) if known else _no(base, value, at)
    if not is_table(value):
        return at.mismatch(base, value)
    table = dict(value)
    if "type" not in table:
        names = ", ".join(sorted(kinds))
        return at.key("type").bad(f"missing; expected one of {names}")
    kind = table.pop("type")
    if not isinstance(kind, str) or kind not in kinds:
        return _no(base, kind, at.key("type"))
    return _read_fields(kinds[kind], table, at)


def _no(base: Any, kind: object, at: Place) -> Any:
    known = (c.kind for c in kinds_of(base))
    return at.bad(unknown_name(word_of(base), kind, known))


def _read_fields(cls: Any, table: Mapping[str, Any], at: Place) -> Any:
    """A dataclass of a table's values, its own checks included."""
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    unknown = [key for key in table if key not in fields]
    at.unknown_keys(unknown, fields)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        hint = hints_of(cls)[name]
        if name in table:
            values[name] = read(hint, table[name], at.key(name))
        elif default_of(field) is dataclasses.MISSING:
            add = f"missing; expected {expected(hint)}; add {name} = ..."
            values[name] = at.key(name).bad(add)
    if any(value is BAD for value in values.values()):
        return BAD
    made = _make(cls, values, at)
    return BAD if unknown else made


def _make(cls: Any, values: dict[str, Any], at: Place) -> Any:
    try:
        return cls(**values)
    except (ValueError, TypeError, ArithmeticError) as error:
        for line in str(error).splitlines():
            at.bad(re.sub(r"^\[[^\]]*\] ", "", line))
        return BAD


def check_depth(value: object, at: Place) -> bool:
    """Whether lists and tables are nested no deeper than `DEPTH`; else a fault."""
    level: list[Any] = [value]
    for _ in range(DEPTH):
        level = [item for nested in level for item in _items(nested)]
        if not level:
            return True
    at.bad(f"tables are nested more than {DEPTH} deep; expected fewer")
    return False


def _items(value: object) -> Iterable[Any]:
    if is_table(value):
        return value.values()
    return value if is_list(value) else ()


# -- writing --------------------------------------------------------------------------


def write(value: object, hint: Any = Any, path: str = "") -> Any:
    """Plain data of a value: what `read` takes; fields at their default are omitted.

    Raises:
        ValueError: something in it is not data, such as a function.
    """
    if hasattr(value, "tolist"):  # numbers and arrays of NumPy
        return cast(Any, value).tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_table(value):
        return {str(k): write(v, path=join(path, str(k))) for k, v in value.items()}
    if is_list(value):
        items = enumerate(value)
        return [write(item, hint, f"{path}[{i}]") for i, item in items]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        table = write_fields(cast(object, value), path)
        brief = list(table) == ["type"] and not _takes_text(hint)
        return table["type"] if brief else table
    raise ValueError(
        f"{path or 'value'} is {found(value)}; expected data (numbers, text, layers, "
        f"losses, ...); code cannot be written to a file"
    )


def write_fields(value: Any, path: str = "") -> dict[str, Any]:
    """The table of a dataclass, with its ``type`` first if it has one."""
    hints = hints_of(cast(Any, type(value)))
    table: dict[str, Any] = {"type": value.kind} if is_described(type(value)) else {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if field.init and not _same(item, default_of(field)):
            place = join(path, field.name)
            table[field.name] = write(item, hints[field.name], place)
    return table


def _same(value: object, default: object) -> bool:
    return type(value) is type(default) and bool(value == default)


def _takes_text(hint: Any) -> bool:
    """Whether a name in this place would be read as text, not as an object."""
    if typing.get_origin(hint) is Literal or hint is str:
        return True
    return not _is_mapping(hint) and any(map(_takes_text, typing.get_args(hint)))
