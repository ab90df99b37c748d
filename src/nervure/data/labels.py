# SPDX-License-Identifier: BSD-3-Clause
"""Labels: for each row a sequence of classes, shorter than its steps, perhaps empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import short
from nervure.data._errors import fail
from nervure.data.frames import is_frame
from nervure.data.ragged import Ragged

Array = NDArray[Any]
Whole = NDArray[np.int64]

_FORMS = (
    "give a list with the labels of each row, nv.Ragged, or an array (rows, labels) "
    "filled up with the number that the loss ignores"
)


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of rows as executors read them, with an end mark behind those of each row.

    So no row is empty, and rows are found as those of sequences are.

    >>> found = Labels.of([[1, 2], []])
    >>> len(found), found.counts.tolist(), [row.tolist() for row in found.to_list()]
    (2, [2, 0], [[1, 2], []])
    """

    ended: Ragged

    @classmethod
    def of(cls, given: Any, where: str = "y") -> Labels:
        """Of what users give: lists, arrays or `Ragged`; whole numbers of any kind.

        Raises:
            DataError: no rows, no sequences, or something else than whole numbers.
        """
        values, counts = _flat(given, where)
        rows = np.repeat(np.arange(len(counts)), counts)
        _check_whole(values, rows, where)
        return cls.joined(values.astype(np.int64), rows, len(counts))

    @classmethod
    def joined(cls, values: Array, rows: Whole, count: int, end: int = 0) -> Labels:
        """Of labels and the row of each, in order, for so many rows."""
        lengths = np.bincount(rows, minlength=count)
        ended = np.full(len(values) + count, end, values.dtype)
        ended[np.arange(len(values)) + rows] = values
        return cls(Ragged(ended, lengths + 1))

    # -- as a sequence of rows ----------------------------------------------------

    def __len__(self) -> int:
        return len(self.ended)

    def __getitem__(self, which: Any) -> Labels:
        return Labels(self.ended[which])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.ended.dtype

    @property
    def counts(self) -> Whole:
        """How many labels each row has."""
        return self.ended.lengths - 1

    @property
    def rows(self) -> Whole:
        """The row of each label."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def values(self) -> Array:
        """The labels of all rows, one row behind the other."""
        packed = self.ended.packed()
        last = np.zeros(len(packed), np.bool_)
        last[self.ended.offsets[1:] - 1] = True
        return packed[~last]

    def filled(self) -> Array:
        """``(rows, most)``, shorter rows filled up with the end mark; never empty."""
        array = self.ended.to_array(int(self.ended[0][-1]))
        return array[:, : max(1, int(self.counts.max()))]

    def to_list(self) -> list[Array]:
        """An array for each row."""
        return [row[:-1] for row in self.ended]

    def as_objects(self) -> Array:
        """``(rows,)``, each an array of labels: what metrics are given."""
        found = np.empty(len(self), object)
        found[:] = self.to_list()
        return found


def label_targets(given: Any, where: str, blank: int, ignore: int | None) -> Labels:
    """A sequence of labels for each row, those left out that are ``ignore``."""
    found = Labels.of(given, where)
    if ignore is None:
        return found
    values, keep = found.values, found.values != ignore
    return Labels.joined(values[keep], found.rows[keep], len(found), blank)


def _flat(given: Any, where: str) -> tuple[Array, Whole]:
    """All labels, one row behind the other, and how many each row has."""
    if isinstance(given, Ragged):
        return _column(given.packed(), where), given.lengths
    if hasattr(given, "to_list"):  # a column of a data frame
        given = given.to_list()
    if is_frame(given):
        given = np.asarray(given)
    if isinstance(given, np.ndarray):
        array: Array = given  # pyright: ignore[reportUnknownVariableType]
        if array.dtype.kind != "O":
            return _of_array(array, where)
    rows = [_row(row, i, where) for i, row in enumerate(_rows(given, where))]
    counts = np.array([len(row) for row in rows], np.int64)
    full = [row for row in rows if len(row)]
    return np.concatenate(full) if full else np.empty(0, np.int64), counts


def _rows(given: Any, where: str) -> Any:
    if hasattr(given, "__len__") and not isinstance(given, str) and len(given):
        return given
    raise fail(where, f"{short(given)}; expected labels for each row", _FORMS)


def _of_array(array: Array, where: str) -> tuple[Array, Whole]:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 or not len(array):
        raise fail(
            where,
            f"shape {array.shape}; expected a sequence of labels for each row",
            _FORMS,
        )
    return array.reshape(-1), np.full(len(array), array.shape[1])


def _column(values: Array, where: str) -> Array:
    if values.size != len(values):
        raise fail(
            where,
            f"steps of shape {values.shape[1:]}; expected one label at each place",
            _FORMS,
        )
    return values.reshape(-1)


def _row(given: Any, i: int, where: str) -> Array:
    try:
        row = np.asarray(given)
        row = np.asarray(row.tolist()) if row.dtype == object else row
    except ValueError:  # lists of different lengths
        row = np.empty((0, 0))
    if row.ndim != 1:
        raise fail(
            where,
            f"row {i} is {short(given)}; expected a sequence of labels",
            _FORMS,
        )
    return row


def _check_whole(values: Array, rows: Whole, where: str) -> None:
    bad = _not_whole(values)
    if not bad.any():
        return
    at = int(np.argmax(bad))
    found = values[at : at + 1].tolist()
    row = int(rows[at])
    place = at - int(np.searchsorted(rows, row))
    raise fail(
        where,
        f"row {row}, label {place} is {short(found[0])}; expected whole numbers",
        "encode labels as 0, 1, 2, ... beside the blank",
    )


def _not_whole(values: Array) -> NDArray[np.bool_]:
    if values.dtype.kind in "iu":
        return np.zeros(len(values), np.bool_)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return ~(np.isfinite(values) & (values == np.floor(values)))
    found: list[Any] = values.tolist()
    return np.array([not isinstance(label, int) for label in found], np.bool_)
