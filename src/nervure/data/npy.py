# SPDX-License-Identifier: BSD-3-Clause
"""The header of NumPy's files, read in one place and checked before it is believed."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

MOST_HEADER = 10_000  # bytes, as NumPy has it
MOST_AXES = 32
MAGIC = b"\x93NUMPY"
_KINDS = "biufUSM"
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Header:
    """Type, shape and order of the values that follow ``start`` bytes of header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: BinaryIO) -> Header:
    """The header at the beginning of a ``.npy`` stream.

    Raises:
        ValueError: it is none, or of something else than plain values of a size.

    Source: NEP 1, *A simple file format for NumPy arrays*.
    """
    start = stream.read(8)
    if len(start) < 8 or not start.startswith(MAGIC):
        raise ValueError("it does not begin as .npy files do")
    if start[6] not in (1, 2, 3):
        raise ValueError(f".npy version {start[6]}")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > MOST_HEADER:
        raise ValueError(f"a header of {length:,} bytes")
    text = stream.read(length)
    if len(text) < length:
        raise ValueError("its header is cut")
    dtype, shape, fortran = _described(
        text.decode("utf-8" if start[6] == 3 else "latin1")
    )
    return Header(dtype, shape, fortran, 8 + width + length)


def read_values(stream: BinaryIO, header: Header) -> NDArray[Any]:
    """The values that follow a header, a part at a time."""
    array = np.empty(math.prod(header.shape), header.dtype)
    view = (
        memoryview(cast(Any, array.view(np.uint8))) if array.size else memoryview(b"")
    )
    filled = 0
    while filled < header.size:
        part = stream.read(min(_CHUNK, header.size - filled))
        if not part:
            raise ValueError(f"{filled:,} of {header.size:,} bytes of values")
        view[filled : filled + len(part)] = part
        filled += len(part)
    return array.reshape(header.shape, order="F" if header.fortran else "C")


def _described(text: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    try:
        found: Any = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise ValueError("its header is no table of values") from None
    if not isinstance(found, dict) or set(cast("dict[Any, Any]", found)) != {
        "descr",
        "fortran_order",
        "shape",
    }:
        raise ValueError("its header lacks descr, fortran_order or shape")
    table = cast("dict[str, Any]", found)
    return (
        _dtype(table["descr"]),
        _shape(table["shape"]),
        table["fortran_order"] is True,
    )


def _dtype(described: object) -> np.dtype[Any]:
    if not isinstance(described, str):
        raise ValueError("it holds records; expected plain numbers")
    try:
        dtype = np.dtype(described)
    except (TypeError, ValueError, SyntaxError):
        raise ValueError(f"values of an unknown type ({described!r:.30})") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        raise ValueError(f"values of type {described!r:.30}")
    return dtype


def _shape(found: object) -> tuple[int, ...]:
    if not isinstance(found, tuple):
        raise ValueError("its shape is no tuple")
    shape = cast("tuple[Any, ...]", found)
    good = all(type(side) is int and 0 <= side < 2**62 for side in shape)
    if not good or len(shape) > MOST_AXES or math.prod(shape) >= 2**58:
        raise ValueError(f"shape {shape!r:.60}")
    return shape
