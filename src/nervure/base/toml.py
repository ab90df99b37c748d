# SPDX-License-Identifier: BSD-3-Clause
"""TOML text from strangers to tables, and tables to TOML that people like to read.

The standard library reads TOML but does not write it, and the writers on PyPI put
short arrays of tables on one line, where a spec wants one ``[[layer]]`` each.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from nervure.base.words import is_list, is_table

MOST_BYTES = 1 << 20
_WIDTH = 88
# Python's reader takes time quadratic in the parts of a dotted key.
_PART = r"""(?:"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[\w-]++)[ \t]*+"""
_LONG_KEY = re.compile(rf"""(?<![\w"'-])(?:{_PART}\.[ \t]*+){{24}}""")


class TomlError(ValueError):
    """Text that is not TOML, or larger or deeper than a spec may be."""


def parse(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        TomlError: with line and column where the text breaks.
    """
    if len(text) > MOST_BYTES:
        raise TomlError(
            f"larger than {MOST_BYTES >> 20} MiB; expected a spec of some kilobytes; "
            f"check that this is the right file"
        )
    if _LONG_KEY.search(text):
        raise TomlError("a key has more than 24 parts; expected a few; shorten it")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(_worded(str(error))) from None
    except RecursionError:
        raise TomlError("nested too deeply; expected a few levels") from None
    except ValueError as error:  # a number of thousands of digits, a date out of range
        raise TomlError(f"{error}; expected TOML") from None


def _worded(message: str) -> str:
    fact, place = re.fullmatch(r"(.*?)(?: \(at (.*)\))?", message, re.DOTALL).groups()  # type: ignore[union-attr]
    prefix = f"{place}: " if place else ""
    return f"{prefix}{fact[:1].lower()}{fact[1:]}; expected TOML, such as: units = 100"


def parse_value(text: str) -> Any:
    """A TOML value; words that are none are text, as a shell user writes them.

    >>> parse_value("3"), parse_value("[1, 2]"), parse_value("adam")
    (3, [1, 2], 'adam')
    """
    try:
        table = parse(f"value = {text}")
    except TomlError:
        return text
    return table["value"] if len(table) == 1 else text


def write(tables: Mapping[str, Any]) -> str:
    """TOML of a mapping: plain keys first, then ``[tables]`` and ``[[lists]]`` of them.

    >>> print(write({"layer": [{"type": "dense", "units": 3}], "data": {"test": 0.2}}))
    [[layer]]
    type = "dense"
    units = 3
    <BLANKLINE>
    [data]
    test = 0.2
    <BLANKLINE>
    """
    plain = {k: v for k, v in tables.items() if not _is_section(v)}
    blocks = [_lines(plain)] if plain else []
    for key, value in tables.items():
        if is_table(value):
            blocks.append([f"[{_key(key)}]", *_lines(value)])
        elif _is_section(value):
            blocks += [[f"[[{_key(key)}]]", *_lines(table)] for table in value]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _is_section(value: Any) -> bool:
    tables = is_list(value) and bool(value) and all(map(is_table, value))
    return is_table(value) or tables


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [_line(key, value) for key, value in table.items()]


def _line(key: str, value: Any) -> str:
    line = f"{_key(key)} = {_value(value)}"
    if len(line) <= _WIDTH or not is_list(value):
        return line
    items = "".join(f"    {_value(item)},\n" for item in value)
    return f"{_key(key)} = [\n{items}]"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if is_table(value):
        pairs = [f"{_key(k)} = {_value(v)}" for k, v in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if is_list(value):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"{type(value).__name__} has no TOML")


def _float(value: float) -> str:
    return repr(value) if math.isfinite(value) else str(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)
