# SPDX-License-Identifier: BSD-3-Clause
"""Frozen dataclasses as data and back: `"he_normal"`, `{type = "normal", std = 0.01}`.

Initializers, optimizers, schedules and regularizers are dataclasses with a ``kind``;
`read` makes one of what a TOML file or a JSON header holds, `describe` the reverse.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from nervure._names import unknown

D = TypeVar("D")


def read(
    found: object, kinds: Sequence[type[D]], base: type[D], where: str, what: str
) -> D:
    """The object that a name, a table or an object of class ``base`` stands for.

    Raises:
        ValueError: an unknown name or key, a missing key, or something else.
    """
    if isinstance(found, base):
        return found
    if isinstance(found, str):
        found = {"type": found}
    by_name = {_kind(kind): kind for kind in kinds}
    if not isinstance(found, Mapping) or "type" not in found:
        raise ValueError(
            f"[{where}] {what} {found!r}; expected a name or a table with the key "
            f"'type'; use one of {', '.join(sorted(by_name))}"
        )
    table = dict(cast(Mapping[str, object], found))
    name = table.pop("type")
    if not isinstance(name, str) or name not in by_name:
        raise ValueError(unknown(where, what, name, by_name))
    return _build(by_name[name], table, where)


def _build(kind: type[D], table: Mapping[str, object], where: str) -> D:
    name = _kind(kind)
    fields = {f.name: f for f in dataclasses.fields(cast(Any, kind)) if f.init}
    for key in table:
        if key not in fields:
            raise ValueError(unknown(where, f"key of {name}", key, fields))
    missing = [key for key, f in fields.items() if _required(f) and key not in table]
    if missing:
        example = ", ".join(f"{key} = ..." for key in missing)
        raise ValueError(
            f"[{where}] {name} lacks {', '.join(missing)}; expected every key without "
            f'a default; write {{type = "{name}", {example}}}'
        )
    return kind(**table)


def describe(thing: object) -> object:
    """The name or table of an object: what `read` takes and TOML and JSON can hold.

    Fields at their default are left out; an object without others is its name.
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        table = {
            f.name: describe(getattr(thing, f.name))
            for f in dataclasses.fields(thing)
            if f.init and getattr(thing, f.name) != _default(f)
        }
        name = _kind(type(thing))
        return {"type": name, **table} if table else name
    if isinstance(thing, list | tuple):
        return [describe(item) for item in cast(Iterable[object], thing)]
    plain = getattr(thing, "item", None)  # a NumPy scalar becomes a Python number
    return plain() if callable(plain) else thing


def _kind(kind: type) -> str:
    return cast(str, vars(kind)["kind"])


def _required(f: dataclasses.Field[Any]) -> bool:
    return _default(f) is dataclasses.MISSING


def _default(f: dataclasses.Field[Any]) -> object:
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return f.default


def number(
    where: str,
    name: str,
    value: object,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """``value`` as a float if it is a finite number within the bounds.

    Raises:
        ValueError: it is not; the message names the place and the range.
    """
    real = isinstance(value, int | float) or hasattr(value, "__float__")
    if real and not isinstance(value, bool | str):
        found = float(cast(float, value))
        inside = above < found < below and least <= found <= most
        if math.isfinite(found) and inside:
            return found
    low = f"(> {above:g})" if least == -math.inf else f"(>= {least:g})"
    high = f"(< {below:g})" if most == math.inf else f"(<= {most:g})"
    bounds = [text for text in (low, high) if "inf" not in text]
    raise ValueError(
        f"[{where}] {name} = {value!r}; expected a finite number"
        f"{' ' + ' and '.join(bounds) if bounds else ''}; change {name}"
    )


def count(where: str, name: str, value: object, *, least: int) -> None:
    """Raises `ValueError` unless ``value`` is a whole number, at least ``least``."""
    whole = hasattr(value, "__index__") and not isinstance(value, bool)
    if not whole or cast(int, value) < least:
        raise ValueError(
            f"[{where}] {name} = {value!r}; expected a whole number (>= {least}); "
            f"change {name}"
        )


def flag(where: str, name: str, value: object) -> None:
    """Raises `ValueError` unless ``value`` is true or false."""
    if not isinstance(value, bool):
        raise ValueError(
            f"[{where}] {name} = {value!r}; expected true or false; change {name}"
        )
