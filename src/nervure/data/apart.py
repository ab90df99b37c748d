# SPDX-License-Identifier: BSD-3-Clause
"""Whether different values of a column are still different as float32."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import DataWarning

Array = NDArray[Any]

_WHOLE = 2**23
"""Range of whole numbers up to which float32 holds them apart, scaled or not."""

_LOOKED_AT = 1 << 16  # values of a column of reals


def warn_blurred(name: str, where: str, stacklevel: int = 2) -> None:
    """Warn that float32 does not hold a column's values apart."""
    warnings.warn(
        DataWarning(
            f"[{where}] column {name!r}: float32 cannot hold all of its values apart; "
            "subtract what they have in common, or use dtype float64"
        ),
        stacklevel=stacklevel + 1,
    )


def is_blurred(values: Array, encoded: Array) -> bool:
    """Whether values that differ become one.

    Of whole numbers none may; of others, which are measured, at least half stay apart.

    >>> values = np.array([20180131.0, 20180132.0])
    >>> is_blurred(values, values.astype(np.float32))
    True
    """
    whole = values.dtype.kind in "iu" or bool((values == np.floor(values)).all())
    if whole and float(values.max()) - float(values.min()) < _WHOLE:
        if np.abs(encoded).max() < _WHOLE:
            return False
    elif not whole:
        step = len(values) // _LOOKED_AT + 1
        values, encoded = values[::step], encoded[::step]
    before, after = len(np.unique(values)), len(np.unique(encoded))
    return after < before if whole else after < before / 2


def check_apart(array: Array, dtype: np.dtype[Any], where: str) -> None:
    """Warn of columns of float64 whose values float32 does not hold apart.

    Warns:
        DataWarning: the first such column.
    """
    if array.dtype != np.float64 or dtype != np.float32 or array.ndim != 2:
        return
    most, least = array.max(axis=0, initial=0), array.min(axis=0, initial=0)
    large = np.maximum(most, -least) > 2**24
    for column in np.flatnonzero(large).tolist():
        values = array[:, column]
        if is_blurred(values, values.astype(np.float32)):
            return warn_blurred(f"{where}[:, {column}]", where, 3)
