# SPDX-License-Identifier: BSD-3-Clause
"""Types of numbers in files of others, the same ones whatever the file's form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BFLOAT16 = np.dtype([("bfloat16", "<u2")])
"""Bits of a bfloat16, which NumPy does not know; `as_floats` reads them."""

_BY_WORD = {
    "float16": np.dtype("<f2"),
    "bfloat16": BFLOAT16,
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "int8": np.dtype("<i1"),
    "int16": np.dtype("<i2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
    "uint8": np.dtype("|u1"),
    "bool": np.dtype("|b1"),
}

FLOATS = "float16, bfloat16, float32 or float64"

OF_TORCH = {
    "HalfStorage": _BY_WORD["float16"],
    "BFloat16Storage": _BY_WORD["bfloat16"],
    "FloatStorage": _BY_WORD["float32"],
    "DoubleStorage": _BY_WORD["float64"],
    "CharStorage": _BY_WORD["int8"],
    "ShortStorage": _BY_WORD["int16"],
    "IntStorage": _BY_WORD["int32"],
    "LongStorage": _BY_WORD["int64"],
    "ByteStorage": _BY_WORD["uint8"],
    "BoolStorage": _BY_WORD["bool"],
}
"""As PyTorch's pickles name them."""

OF_SAFETENSORS = {
    "F16": _BY_WORD["float16"],
    "BF16": _BY_WORD["bfloat16"],
    "F32": _BY_WORD["float32"],
    "F64": _BY_WORD["float64"],
    "I8": _BY_WORD["int8"],
    "I16": _BY_WORD["int16"],
    "I32": _BY_WORD["int32"],
    "I64": _BY_WORD["int64"],
    "U8": _BY_WORD["uint8"],
    "BOOL": _BY_WORD["bool"],
}
"""As the header of a safetensors file names them."""


def word_of(dtype: np.dtype[Any]) -> str:
    """A type as messages name it."""
    return "bfloat16" if dtype == BFLOAT16 else dtype.name


def are_floats(array: Array) -> bool:
    """Whether `as_floats` gives the numbers."""
    return array.dtype.kind == "f" or array.dtype == BFLOAT16


def as_floats(array: Array) -> Array:
    """Numbers of a file as NumPy computes with them.

    >>> as_floats(np.array([0x3FC0], "<u2").view(BFLOAT16))
    array([1.5], dtype=float32)
    """
    if array.dtype != BFLOAT16:
        return array
    return (array["bfloat16"].astype(np.uint32) << 16).view(np.float32)
