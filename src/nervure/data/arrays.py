# SPDX-License-Identifier: BSD-3-Clause
"""Turning what users pass to `fit` into the arrays that the engine reads."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nervure.data._errors import DataError, fail
from nervure.data.frames import is_frame, table_from_frame

Array = NDArray[Any]

LARGEST_CLASS = 2**31 - 1
EXACT_IN_FLOAT32 = 2**24
"""The largest whole number up to which float32 holds all."""

_CHUNK = 1 << 18  # elements looked at in one go, to keep temporaries small


def as_inputs(
    inputs: Any, *, where: str = "X", dtype: DTypeLike | None = None
) -> Array:
    """Rows of numbers as a C-contiguous float32, float64 or uint8 array.

    uint8 stays uint8, float32 and float64 stay what they are unless ``dtype`` says
    otherwise; integers that float32 would round become float64, everything else
    float32. An array (or memory map) that fits
    already is returned itself, without a copy.

    Args:
        inputs: lists, an array, a memory map, or a data frame of numeric columns;
            shape ``(rows, ...)`` with at least two axes.
        where: name used in errors.
        dtype: "float32" or "float64" for everything but uint8.

    Raises:
        DataError: no rows, not numbers, NaN or infinite, or one axis only.

    >>> as_inputs([[1, 2], [3, 4]]).dtype
    dtype('float32')
    """
    array = _plain(_frame_values(inputs, where) if is_frame(inputs) else inputs, where)
    if array.ndim < 2:
        raise fail(
            where,
            f"shape {array.shape}; expected rows first, (rows, features)",
            "use reshape(-1, 1) for one feature or reshape(1, -1) for one row",
        )
    if array.size == 0:
        raise fail(
            where,
            f"shape {array.shape} holds nothing",
            "give at least 1 row and 1 feature",
        )
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    return as_floats(array, where, _float_type(array, dtype))


def as_targets(
    targets: Any,
    *,
    rows: int | None = None,
    classes: bool | None = None,
    where: str = "y",
    dtype: DTypeLike | None = None,
) -> Array:
    """Class indices as int32 ``(rows,)``, or float rows ``(rows, outputs)``.

    Args:
        targets: integers or booleans of one axis are class indices; floats, and
            anything with two axes (one-hot rows, say), are float rows.
        rows: number of rows of the inputs, to compare with.
        classes: True wants class indices (integral floats pass), False wants float
            rows, None decides by the type as above.
        where: name used in errors.
        dtype: "float32" or "float64" of float rows; by default as in `as_inputs`.

    Raises:
        DataError: wrong number of rows, text, NaN or infinite, negative classes.

    >>> as_targets([0, 2, 1]).dtype, as_targets([0.5, 1.5]).shape
    (dtype('int32'), (2, 1))
    """
    array = target_numbers(targets, where)
    if rows is not None and len(array) != rows:
        raise fail(
            where,
            f"{len(array)} rows, but the inputs have {rows}",
            "give exactly one target per row",
        )
    column = array.reshape(len(array)) if array.size == len(array) else array
    if classes or (classes is None and array.ndim == 1 and array.dtype.kind in "biu"):
        return _class_indices(column, where)
    floats = as_floats(array, where, _float_type(array, dtype))
    return floats.reshape(len(floats), -1) if floats.ndim == 1 else floats


def target_numbers(targets: Any, where: str = "y") -> Array:
    """Targets as an array of finite numbers, whatever they stand for.

    Integers stay integers: whether they are classes is for the loss to say.

    Raises:
        DataError: nothing, text, NaN or infinite.

    >>> target_numbers([-1, 5]).tolist()
    [-1, 5]
    """
    values = _frame_values(targets, where) if is_frame(targets) else targets
    array = _plain(values, where, text_remedy=_TEXT_TARGETS)
    if array.ndim == 0 or array.size == 0:
        raise fail(where, f"shape {array.shape} holds nothing", "give 1 target per row")
    check_finite(array, where)
    return array


_TEXT_TARGETS = (
    "use class indices (np.unique(y, return_inverse=True)), nervure.data.load, "
    "or an estimator"
)


def _class_indices(array: Array, where: str) -> Array:
    if array.ndim != 1:
        raise fail(
            where, f"shape {array.shape}; expected class indices (rows,)", _TEXT_TARGETS
        )
    if array.dtype.kind == "f":
        check_finite(array, where)
        broken = np.flatnonzero(array != np.floor(array))
        if broken.size:
            raise fail(
                where,
                f"{array[broken[0]]!r} at {where}[{broken[0]}]; expected class indices "
                "0, 1, 2, ...",
                "use a regression loss for real targets",
            )
    if array.min() < 0 or array.max() > LARGEST_CLASS:
        found = int(array.min()) if array.min() < 0 else int(array.max())
        raise fail(where, f"class index {found}; expected 0, 1, 2, ...", _TEXT_TARGETS)
    return np.ascontiguousarray(array, dtype=np.int32)


def as_floats(array: Array, where: str, dtype: DTypeLike) -> Array:
    """``array`` as contiguous finite floats of ``dtype``; copied only if need be."""
    check_finite(array, where)
    if array.dtype == dtype and array.flags.c_contiguous and array.dtype.isnative:
        return array
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(array, dtype=dtype)
    check_finite(
        floats,
        where,
        fact=f"a value beyond the range of {np.dtype(dtype)}",
        remedy="scale the column, or use dtype='float64'",
    )
    return floats


def check_finite(
    array: Array,
    where: str,
    *,
    fact: str | None = None,
    remedy: str = (
        "drop the row or fill the value "
        "(nervure.data.load fills and flags missing values of a table)"
    ),
) -> None:
    """Raise for the first NaN or infinite value, with its index.

    >>> check_finite(np.array([[1.0, np.nan]]), "X")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nervure.data._errors.DataError: [X] nan at X[0, 1]; ...
    """
    if array.dtype.kind != "f":
        return
    step = max(1, _CHUNK // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), step):
        finite = np.isfinite(array[start : start + step])
        if not finite.all():
            first = np.argwhere(~finite)[0]
            first[0] += start
            index = ", ".join(str(i) for i in first)
            found = fact or repr(float(array[tuple(first)]))
            raise fail(
                where, f"{found} at {where}[{index}]; expected finite numbers", remedy
            )


def _float_type(array: Array, wanted: DTypeLike | None) -> np.dtype[Any]:
    if wanted is not None:
        return np.dtype(wanted)
    if array.dtype.kind in "iu" and array.dtype.itemsize > 2 and array.size:
        beyond = max(abs(int(array.min())), abs(int(array.max()))) > EXACT_IN_FLOAT32
        return np.dtype(np.float64 if beyond else np.float32)
    double = array.dtype.kind == "f" and array.dtype.itemsize == 8  # of any byte order
    return np.dtype(np.float64 if double else np.float32)


def _plain(
    values: Any,
    where: str,
    text_remedy: str = "read tables with text through nervure.data.load",
) -> Array:
    """A numeric or boolean array of anything, or an error that says what it holds."""
    if hasattr(values, "toarray"):
        raise fail(where, "a sparse matrix; expected a dense array", "use .toarray()")
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.getmaskarray(values).any():  # pyright: ignore
            raise fail(where, "a masked array with masked values", "fill them first")
        values = cast("Array", np.ma.getdata(values))  # pyright: ignore
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise fail(
            where,
            f"rows of different lengths or kinds ({error})",
            "give a rectangular array",
        ) from error
    if array.dtype.kind == "O":
        array = _of_objects(array, where)
    if array.dtype.kind == "b":
        return array.astype(np.uint8 if array.ndim == 1 else np.float32)
    if array.dtype.kind in "iuf":
        return array.astype(np.float64) if array.dtype.itemsize > 8 else array
    raise _not_numbers(array, where, text_remedy)


def _of_objects(array: Array, where: str) -> Array:
    """Numbers that came as Python objects; other objects stay what they are."""
    if array.ndim == 0:
        raise fail(
            where,
            f"{type(array.item()).__name__}; expected rows of numbers",
            "give an array, a list of rows or a data frame",
        )
    plain = all(_is_number(value) for value in array.reshape(-1))
    return np.array(array.tolist()) if plain and array.size else array


def _not_numbers(array: Array, where: str, text_remedy: str) -> DataError:
    if array.dtype.kind == "O" and array.size:
        flat = array.reshape(-1)
        bad = next((i for i, v in enumerate(flat) if not _is_number(v)), 0)
        index = ", ".join(str(i) for i in np.unravel_index(bad, array.shape))
        found = f"{type(flat[bad]).__name__} {flat[bad]!r:.40} at {where}[{index}]"
        return fail(where, f"{found}; expected numbers", text_remedy)
    named = {"U": "text", "S": "bytes", "M": "dates", "m": "durations", "c": "complex"}
    found = named.get(array.dtype.kind, f"dtype {array.dtype}")
    return fail(where, f"{found}; expected numbers", text_remedy)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number)


def _frame_values(frame: Any, where: str) -> Array:
    """Values of a frame or series of numbers; for others see `nervure.data.load`."""
    table = table_from_frame(frame, where)
    arrays: list[Array] = []
    for column in table.columns.values():
        if column.kind not in ("integer", "real", "boolean"):
            place = "the series" if table.series else f"column {column.name!r}"
            raise fail(
                where,
                f"{place} holds {column.found()}; expected numbers",
                "read the frame through nervure.data.load(frame, target=...), which "
                "encodes it",
            )
        if column.missing is not None:
            row = int(np.flatnonzero(column.missing)[0])
            raise fail(
                where,
                f"column {column.name!r} has a missing value in row {row}",
                "drop the row, fill the value, or use nervure.data.load, which fills "
                "and flags",
            )
        arrays.append(column.values)
    if table.series:
        return arrays[0]
    return np.column_stack(arrays) if arrays else np.empty((table.rows, 0))
