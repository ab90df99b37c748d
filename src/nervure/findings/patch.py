# SPDX-License-Identifier: BSD-3-Clause
"""Patch: what to change in a spec, as keys of its tables before and after."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from nervure.base.words import is_list, is_table
from nervure.spec.reading import parse_spec
from nervure.spec.tables import Spec
from nervure.spec.written import spec_to_dict

Table = dict[Any, Any]
How = Literal["set", "insert", "remove"]
SHOWN = 4
"""Items of a list that a line shows."""


@dataclass(frozen=True)
class Change:
    """One key of a spec: ``training.batch_size``, ``layer.2.activation``.

    ``set`` gives it the value ``after``, or takes it away where that is None;
    ``insert`` puts a layer before the one of this place, ``remove`` takes it out.
    """

    key: str
    before: Any
    after: Any
    how: How = "set"

    @property
    def line(self) -> str:
        """In words.

        >>> Change("training.batch_size", 4, 32).line
        'training.batch_size: 4 -> 32'
        """
        if self.how == "insert":
            return f"{self.key}: insert {_shown(self.after)}"
        if self.how == "remove":
            return f"{self.key}: remove {_shown(self.before)}"
        return f"{self.key}: {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True)
class Patch:
    """Changes of a spec that belong together, in order."""

    changes: tuple[Change, ...]

    @property
    def keys(self) -> frozenset[str]:
        """What it touches; two patches that touch the same are not made together."""
        return frozenset(change.key for change in self.changes)

    @property
    def lines(self) -> list[str]:
        """In words, one line per change."""
        return [change.line for change in self.changes]

    def document(self) -> list[dict[str, Any]]:
        """As plain data."""
        return [vars(change) for change in self.changes]


def apply(spec: Spec, patches: Iterable[Patch]) -> Spec:
    """The spec with patches applied; those that meet earlier ones are left out.

    Raises:
        SpecError: the changes do not fit the spec.

    >>> from nervure.spec import parse_spec
    >>> spec = parse_spec('[[layer]]\\ntype = "dense"\\nunits = 2\\n[training]\\n')
    >>> patch = Patch((Change("training.epochs", 10, 40),))
    >>> apply(spec, [patch]).training.epochs
    40
    """
    return parse_spec(patched(spec_to_dict(spec), patches), "patched spec")


def patched(tables: Mapping[str, Any], patches: Iterable[Patch]) -> dict[str, Any]:
    """Tables of a spec with patches applied (see `apply`)."""
    made = copy.deepcopy(dict(tables))
    taken: set[str] = set()
    moves: list[Change] = []
    for patch in patches:
        if any(_meet(key, other) for key in patch.keys for other in taken):
            continue
        taken |= patch.keys
        for change in patch.changes:
            if change.how == "set":
                _set(made, change.key.split("."), change.after)
            else:
                moves.append(change)
    # From the end, so that the places of the others stay.
    for change in sorted(moves, key=_place, reverse=True):
        layers = cast(list[Any], made["layer"])
        if change.how == "insert":
            layers.insert(_place(change), change.after)
        else:
            del layers[_place(change)]
    return made


def chosen(patches: Sequence[Patch]) -> list[Patch]:
    """Those that can be made together, earlier ones first."""
    kept: list[Patch] = []
    for patch in patches:
        taken = [key for other in kept for key in other.keys]
        if not any(_meet(key, other) for key in patch.keys for other in taken):
            kept.append(patch)
    return kept


def _meet(key: str, other: str) -> bool:
    return (f"{key}.").startswith(f"{other}.") or (f"{other}.").startswith(f"{key}.")


def _place(change: Change) -> int:
    return int(change.key.split(".")[1])


def _set(here: Any, parts: Sequence[str], value: Any) -> None:
    part, *rest = parts
    slot: Any = int(part) if is_list(here) else part
    if not rest:
        if value is None and isinstance(here, dict):
            cast(Table, here).pop(slot, None)
        else:
            cast(Table, here)[slot] = value
        return
    if isinstance(here, dict):
        cast(Table, here).setdefault(slot, {})
    inner = cast(Table, here)
    if isinstance(inner[slot], str):  # a bare name stands for a table
        inner[slot] = {"type": inner[slot]}
    _set(inner[slot], rest, value)


def _shown(value: Any) -> str:
    if value is None:
        return "(nothing)"
    if is_table(value):
        return ", ".join(f"{k} = {_shown(v)}" for k, v in value.items())
    if is_list(value):
        some = ", ".join(map(_shown, value[:SHOWN]))
        return f"[{some}{', ...' if len(value) > SHOWN else ''}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
