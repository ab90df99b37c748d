# SPDX-License-Identifier: BSD-3-Clause
"""Predictions that are no numbers are counted and told, whatever asks for them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import Ragged
from nervure.executors import Rows

Array = npt.NDArray[Any]


class NotFiniteWarning(RuntimeWarning):
    """Predictions that are infinite or no number."""


class NotFiniteError(ArithmeticError):
    """Predictions that are infinite or no number, where none may be."""


def tell_not_finite(
    outputs: Sequence[Rows], where: str = "predict", *, strict: bool = False
) -> None:
    """Warn of rows with an output that is infinite or no number, with their count.

    Raises:
        NotFiniteError: there are some, and it is ``strict``.

    >>> import numpy as np
    >>> tell_not_finite([np.array([[1.0], [np.nan]])], strict=True)
    Traceback (most recent call last):
    ...
    nervure.network.finite.NotFiniteError: [predict] 1 of 2 predictions is not finite \
(row 1, from 0); expected numbers; the inputs are too large or not numbers, or the \
weights are: correct these rows or leave them out
    """
    bad = _rows_not_finite(outputs)
    if bad is None:
        return
    count, first = int(bad.sum()), int(bad.argmax())
    verb, place = ("is", "row") if count == 1 else ("are", "first row")
    said = (
        f"[{where}] {count:,} of {len(bad):,} predictions {verb} not finite ({place} "
        f"{first}, from 0); expected numbers; the inputs are too large or not numbers, "
        "or the weights are: correct these rows or leave them out"
    )
    if strict:
        raise NotFiniteError(said)
    warnings.warn(said, NotFiniteWarning, stacklevel=3)


def _rows_not_finite(outputs: Sequence[Rows]) -> npt.NDArray[np.bool_] | None:
    """Which rows, or None where all outputs are finite."""
    each = [_of_one(y) for y in outputs if not _finite(_values(y))]
    return np.logical_or.reduce(each) if each else None


def _values(y: Rows) -> Array:
    return y.values if isinstance(y, Ragged) else y


def _finite(values: Array) -> bool:
    """By the sum alone where that is finite, as it nearly always is."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def _of_one(y: Rows) -> npt.NDArray[np.bool_]:
    values = _values(y)
    bad = np.asarray((~np.isfinite(values)).reshape(len(values), -1).any(axis=1))
    if not isinstance(y, Ragged):
        return bad
    ends = y.starts + y.lengths
    return np.array([bad[a:b].any() for a, b in zip(y.starts, ends, strict=True)])
