# SPDX-License-Identifier: BSD-3-Clause
"""The heaps of an HDF5 file, looked through before the library is given the file.

The library (2.0) follows lists in them that go in a circle until the memory is full, or
for ever. Names of members are in local heaps, ``HEAP``, with a list of what is free;
texts of attributes in global ones, ``GCOL``, where objects stand one behind the other.

Source: The HDF Group, *HDF5 file format specification* (version 3.0), III.D and III.E.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SIGNATURE = b"\x89HDF\r\n\x1a\n"

_LOCAL = struct.Struct("<4sB3xQQQ")
_GLOBAL = struct.Struct("<4sB3xQ")
_BLOCK = struct.Struct("<QQ")
_OBJECT = struct.Struct("<HH4xQ")


def checked_size(source: str | bytes) -> int:
    """Bytes of a file, by its path or its bytes.

    Raises:
        ValueError: it is no HDF5 file, or a list in it does not end.
    """
    if isinstance(source, bytes):
        return _checked(source)
    with (
        open(source, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw,
    ):
        return _checked(raw)


def _checked(raw: Any) -> int:
    held = _Raw(raw)
    if raw[: len(SIGNATURE)] != SIGNATURE:
        raise ValueError("another signature")
    if not held.all(b"HEAP", _local_ends) or not held.all(b"GCOL", _global_ends):
        raise ValueError("a list without an end")
    return len(raw)


@dataclass(frozen=True)
class _Raw:
    """Bytes, in memory or mapped."""

    raw: Any

    def all(self, word: bytes, ends: Callable[[_Raw, int], bool]) -> bool:
        """Whether it holds of every place where these bytes stand."""
        at = self.raw.find(word, 0)
        while at >= 0:
            if not ends(self, at):
                return False
            at = self.raw.find(word, at + len(word))
        return True

    def read(self, form: struct.Struct, at: int) -> tuple[Any, ...] | None:
        """What stands there, or None beyond the end."""
        found = self.raw[at : at + form.size]
        return form.unpack(found) if len(found) == form.size else None


def _local_ends(held: _Raw, at: int) -> bool:
    """Each free block says where the next one is; 1 is the end."""
    _, version, size, free, begin = held.read(_LOCAL, at) or (b"", 1, 0, 1, 0)
    seen: set[int] = set()
    while version == 0 and free != 1 and free + _BLOCK.size <= size:
        block = held.read(_BLOCK, begin + free)
        if free in seen:
            return False
        if block is None:
            break
        seen.add(free)
        free = block[0]
    return True


def _global_ends(held: _Raw, at: int) -> bool:
    """Objects up to the end; number 0 is what is free, its own header among it."""
    _, version, size = held.read(_GLOBAL, at) or (b"", 0, 0)
    place, end = at + _GLOBAL.size, at + size
    while version == 1 and place + _OBJECT.size <= end:
        found = held.read(_OBJECT, place)
        if found is None:
            break
        number, _, length = found
        step = length if number == 0 else _OBJECT.size + -(-length // 8) * 8
        if step < _OBJECT.size or place + step > end:
            return False
        place += step
    return True
