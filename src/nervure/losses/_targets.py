# SPDX-License-Identifier: BSD-3-Clause
"""Targets as users give them, checked and brought into the two forms of the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Fail = Callable[[str, str], Exception]
"""Makes the error ``[loss] fact; remedy``."""


def plain(target: npt.ArrayLike, fail: Fail) -> Values:
    """The target as finite numbers with at least one row; bools become 0 and 1."""
    found = np.asarray(target)
    if found.dtype == np.bool_:
        found = found.astype(np.int32)
    if found.dtype.kind not in "iuf":
        raise fail(
            f"target holds {found.dtype}, expected numbers",
            "encode the classes as 0, 1, 2, ...",
        )
    if found.ndim == 0 or found.shape[0] == 0:
        raise fail(
            f"target has shape {found.shape}, expected at least one row",
            "give one target per row of the data",
        )
    _require_finite(found, fail)
    return found


def are_classes(target: Values, outputs: int) -> bool:
    """Whether integers in one column stand for one of several outputs."""
    return outputs > 1 and _is_column(target) and target.dtype.kind in "iu"


def fit_int32(target: Values) -> bool:
    """Whether these are integers that the engine can take as classes."""
    bounds = np.iinfo(np.int32)
    whole = target.dtype.kind in "iu"
    return bool(whole and target.min() >= bounds.min and target.max() <= bounds.max)


def _is_column(target: Values) -> bool:
    return target.size == target.shape[0]


def classes(target: Values, outputs: int, fail: Fail) -> npt.NDArray[np.int32]:
    """Class indices from 0 to ``outputs - 1``, as int32."""
    column = target.reshape(-1)
    whole = column == np.floor(column)
    if not whole.all():
        row = int(np.argmin(whole))
        raise fail(
            f"target row {row} is {column[row]:g}, expected a class index",
            "use whole numbers from 0, or a loss for regression such as mse",
        )
    outside = (column < 0) | (column >= outputs)
    if outside.any():
        row = int(np.argmax(outside))
        raise fail(
            f"target row {row} is class {int(column[row])}, but the network has "
            f"{outputs} outputs (classes 0 to {outputs - 1})",
            "recode the classes or give the last layer one unit per class",
        )
    return column.astype(np.int32)


def one_hot(found: npt.NDArray[np.int32], outputs: int, dtype: npt.DTypeLike) -> Values:
    """Rows with 1 at the class and 0 elsewhere."""
    rows = np.zeros((len(found), outputs), dtype)
    rows[np.arange(len(found)), found] = 1
    return rows


def rows(target: Values, outputs: int, fail: Fail, dtype: npt.DTypeLike) -> Values:
    """The target as ``(batch, outputs)``; a 1-D target is one column."""
    flat = target.reshape(target.shape[0], -1)
    if flat.shape[1] != outputs:
        raise fail(
            f"target of shape {target.shape} has {flat.shape[1]} columns, but the "
            f"network has {outputs} outputs",
            "give one target column per output or change units of the last layer",
        )
    return np.ascontiguousarray(flat, dtype)


def _require_finite(target: Values, fail: Fail) -> None:
    """NaN and infinities name their place."""
    if target.dtype.kind != "f" or np.isfinite(target).all():
        return
    flat = target.reshape(target.shape[0], -1)
    row, column = np.unravel_index(int(np.argmin(np.isfinite(flat))), flat.shape)
    raise fail(
        f"target row {row}, column {column} is {flat[row, column]}, expected a "
        f"finite number",
        "drop such rows or fill them",
    )


def require(
    holds: npt.NDArray[np.bool_], values: Values, expected: str, remedy: str, fail: Fail
) -> None:
    """Every value holds, or the first that does not is named."""
    if holds.all():
        return
    row, column = np.unravel_index(int(np.argmin(holds)), holds.shape)
    raise fail(
        f"target row {row}, column {column} is {values[row, column]:g}, "
        f"expected {expected}",
        remedy,
    )


def require_distribution(values: Values, fail: Fail) -> None:
    """Rows are probabilities that sum to 1."""
    require(
        values >= 0, values, "a probability", "give classes or rows that sum to 1", fail
    )
    sums = values.sum(axis=1, dtype=np.float64)
    wrong = np.abs(sums - 1) > 1e-3
    if wrong.any():
        row = int(np.argmax(wrong))
        raise fail(
            f"target row {row} sums to {sums[row]:g}, expected 1",
            "give integer classes, one-hot rows or probabilities",
        )
