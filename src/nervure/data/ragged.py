# SPDX-License-Identifier: BSD-3-Clause
"""Ragged: sequences of any lengths, their steps in one array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nervure.base.words import short
from nervure.data._errors import fail
from nervure.data.arrays import as_inputs, target_numbers

Array = NDArray[Any]
Whole = NDArray[np.int64]


class Ragged:
    """Sequences as rows: all steps in one array, and where each row begins.

    Rows are views: they may overlap, as windows do, and choosing some copies nothing.

    Args:
        values: the steps of all rows, ``(steps, ...)``.
        lengths: steps of each row, at least 1.
        starts: where rows begin; by default one behind the other.

    Attributes:
        values, lengths, starts: as given, the last two int64 ``(rows,)``.

    Raises:
        DataError: no rows, rows without steps, or steps that are not there.

    >>> import nervure as nv
    >>> rows = nv.Ragged([[1.0], [2.0], [3.0]], lengths=[2, 1])
    >>> len(rows), rows[0].tolist(), rows[[1, 0]].lengths.tolist()
    (2, [[1.0], [2.0]], [1, 2])
    """

    def __init__(self, values: Any, lengths: Any, starts: Any = None) -> None:
        self.values: Array = np.asarray(values)
        self.lengths = _whole(lengths, "lengths")
        behind = np.cumsum(self.lengths) - self.lengths
        self.starts = behind if starts is None else _whole(starts, "starts")
        self._check(starts is None)

    def _check(self, behind: bool) -> None:
        steps, rows = len(self.values) if self.values.ndim else 0, len(self.lengths)
        if rows == 0:
            raise fail("ragged", "no rows; expected at least 1", "give some lengths")
        if len(self.starts) != rows:
            raise fail(
                "ragged",
                f"{len(self.starts)} starts for {rows} rows; expected as many",
                "give one start for each length",
            )
        if self.lengths.min() < 1:
            row = int(np.argmin(self.lengths))
            raise fail(
                "ragged",
                f"row {row} has {self.lengths[row]} steps; expected at least 1",
                "drop empty sequences, or give them a step that says so",
            )
        if behind and int(self.lengths.sum()) != steps:
            raise fail(
                "ragged",
                f"lengths of {self.lengths.sum():,} steps in all, but {steps:,} "
                "values; expected as many",
                "give the steps of all rows, one row behind the other",
            )
        ends = self.starts + self.lengths
        if self.starts.min() < 0 or ends.max() > steps:
            row = int(np.argmax((self.starts < 0) | (ends > steps)))
            raise fail(
                "ragged",
                f"row {row} takes steps {self.starts[row]} to {ends[row] - 1} of "
                f"{steps}; expected steps that are there",
                "change starts or lengths",
            )

    # -- made of other things -----------------------------------------------------

    @classmethod
    def of(cls, sequences: Iterable[Any], where: str = "X") -> Ragged:
        """Of arrays, one for each row, that differ in their first extent alone.

        >>> Ragged.of([[1.0, 2.0], [3.0]]).lengths.tolist()
        [2, 1]
        """
        rows = [_steps(row, i, where) for i, row in enumerate(sequences)]
        for i, row in enumerate(rows):
            if row.ndim == 0 or row.dtype.kind not in "biuf":
                raise fail(
                    where,
                    f"row {i} is {short(row.tolist())}; expected a sequence of numbers",
                    "give an array (time, features) for each row",
                )
            if row.shape[1:] != rows[0].shape[1:] and row.size:
                raise fail(
                    where,
                    f"row {i} has steps of shape {row.shape[1:]}, row 0 of shape "
                    f"{rows[0].shape[1:]}; expected the same",
                    "give every step the same features",
                )
        lengths = [len(row) for row in rows]
        if not rows or min(lengths) < 1:
            return cls(np.empty(0), lengths)  # which says what is wrong
        return cls(np.concatenate(rows), lengths)

    @classmethod
    def of_array(cls, array: Array) -> Ragged:
        """The rows of an array ``(rows, time, ...)``, without a copy.

        >>> Ragged.of_array(np.zeros((4, 7, 2))).values.shape
        (28, 2)
        """
        rows, time = array.shape[:2]
        whole = np.ascontiguousarray(array).reshape(rows * time, *array.shape[2:])
        return cls(whole, np.full(rows, time), np.arange(rows) * time)

    @classmethod
    def windows(cls, values: Any, length: int, stride: int = 1) -> Ragged:
        """All windows of a series, ``stride`` steps apart, as views of it.

        >>> Ragged.windows(np.arange(5), 3, stride=2).to_array().tolist()
        [[0, 1, 2], [2, 3, 4]]
        """
        series = np.asarray(values)
        if not 1 <= length <= len(series):
            raise fail(
                "windows",
                f"length {length} of a series of {len(series)} steps; expected at "
                "least 1, and no more than it has",
                "use shorter windows, or a longer series",
            )
        if stride < 1:
            raise fail("windows", f"stride {stride}; expected at least 1", "use 1")
        starts = np.arange(0, len(series) - length + 1, stride)
        return cls(series, np.full(len(starts), length), starts)

    def shifted(self, steps: int) -> Ragged:
        """The rows ``steps`` later: targets of windows, say, without a copy.

        >>> Ragged.windows(np.arange(9), 3, 3)[:2].shifted(1).to_array().tolist()
        [[1, 2, 3], [4, 5, 6]]
        """
        return Ragged(self.values, self.lengths, self.starts + steps)

    def with_values(self, values: Array) -> Ragged:
        """The same rows of other steps."""
        return Ragged(values, self.lengths, self.starts)

    # -- as a sequence of rows ----------------------------------------------------

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, int | np.integer):
            start, length = int(self.starts[which]), int(self.lengths[which])
            return self.values[start : start + length]
        return Ragged(self.values, self.lengths[which], self.starts[which])

    def __iter__(self) -> Iterator[Array]:
        return (self[row] for row in range(len(self)))

    @property
    def shape(self) -> tuple[int | None, ...]:
        """``(rows, None, ...)``: the time axis is open."""
        return (len(self), None, *self.values.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the values."""
        return self.values.dtype

    @property
    def steps(self) -> int:
        """Steps of all rows."""
        return int(self.lengths.sum())

    @property
    def longest(self) -> int:
        """Steps of the longest row."""
        return int(self.lengths.max())

    @property
    def offsets(self) -> Whole:
        """Where rows begin if they are laid side by side, and where the last ends."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    @property
    def in_order(self) -> bool:
        """Whether the values are the rows side by side, and nothing else."""
        side_by_side = np.array_equal(self.starts, self.offsets[:-1])
        return side_by_side and self.steps == len(self.values)

    # -- as arrays ----------------------------------------------------------------

    def places(self) -> Whole:
        """Of each step, row by row, where it lies in ``values``."""
        within = np.arange(self.steps) - np.repeat(self.offsets[:-1], self.lengths)
        return np.repeat(self.starts, self.lengths) + within

    def packed(self) -> Array:
        """The steps of all rows side by side, ``(steps, ...)``."""
        return self.values if self.in_order else self.values[self.places()]

    def to_array(self, fill: float = 0) -> Array:
        """``(rows, longest, ...)``, shorter rows filled up behind.

        >>> Ragged([1, 2, 3], [2, 1]).to_array(fill=-1).tolist()
        [[1, 2], [3, -1]]
        """
        shape = (len(self), self.longest, *self.values.shape[1:])
        array = np.full(shape, fill, self.values.dtype)
        array[np.arange(self.longest) < self.lengths[:, None]] = self.packed()
        return array

    def to_list(self) -> list[Array]:
        """An array for each row."""
        return list(self)

    def __repr__(self) -> str:
        shortest, longest = int(self.lengths.min()), self.longest
        span = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
        inner = f", each {self.values.shape[1:]}" if self.values.ndim > 1 else ""
        return f"<Ragged: {len(self):,} rows of {span} steps{inner}, {self.dtype}>"


def chunks(values: Any, streams: int, length: int) -> Ragged:
    """A long series cut for training from batch to batch (`stateful` layers).

    The series is cut into ``streams`` parts side by side, each of them into chunks of
    ``length`` steps, the rows: chunk 0 of every stream, then chunk 1 of every stream.
    So each batch of ``streams`` rows goes on where the one before ended, and truncated
    backpropagation goes back to the beginning of a chunk. Steps that fill no chunk are
    left out at the end of each stream.

    Args:
        values: the series, ``(steps, ...)``.
        streams: rows of a batch, at least 1.
        length: steps of a chunk, at least 1.

    Raises:
        DataError: the series is too short.

    Source: Williams and Peng, *An efficient gradient-based algorithm for on-line
    training of recurrent network trajectories* (1990).

    >>> chunks(np.arange(12), streams=2, length=3).to_array().tolist()
    [[0, 1, 2], [6, 7, 8], [3, 4, 5], [9, 10, 11]]
    """
    series = np.asarray(values)
    if streams < 1 or length < 1 or len(series) < streams * length:
        raise fail(
            "chunks",
            f"{len(series)} steps for {streams} streams of chunks of {length}",
            "use at least 1 of each, and a series that fills them",
        )
    each = len(series) // streams
    firsts = np.arange(each // length)[:, None] * length
    starts = (firsts + np.arange(streams) * each).reshape(-1)
    return Ragged(series, np.full(len(starts), length), starts)


def as_sequences(
    given: Any, *, where: str = "X", dtype: DTypeLike | None = None
) -> Ragged:
    """Sequences of numbers as a `Ragged`, its values as `as_inputs` has them.

    Args:
        given: a `Ragged`, an array ``(rows, time, ...)``, a list of arrays, one for
            each row, or a column of lists of a data frame.
        where: name used in errors.
        dtype: "float32" or "float64" for everything but uint8.

    Raises:
        DataError: no rows, rows without steps, not numbers, NaN or infinite.

    >>> as_sequences([[1, 2, 3], [4]]).dtype
    dtype('float32')
    """
    rows = _sequences(given, where)
    check_steps(rows, where)
    return rows.with_values(
        as_inputs(
            rows.values.reshape(len(rows.values), -1), where=where, dtype=dtype
        ).reshape(rows.values.shape)
    )


def step_targets(given: Any, where: str = "y") -> Ragged:
    """A target for each step; integers stay integers (see `target_numbers`).

    >>> step_targets([[0, 1, 1], [2]]).values.tolist()
    [0, 1, 1, 2]
    """
    rows = _sequences(given, where)
    check_steps(rows, where)
    return rows.with_values(target_numbers(rows.values, where))


def packed(rows: Array | Ragged) -> Array:
    """Values one behind the other: those of rows, or of the steps of sequences.

    >>> packed(Ragged([1.0, 2.0, 3.0], [2, 1])[[1, 0]]).tolist()
    [3.0, 1.0, 2.0]
    """
    return rows.packed() if isinstance(rows, Ragged) else rows


def one_each(rows: Array | Ragged, where: str) -> Array:
    """Rows that are no sequences, where nothing else can be used.

    Raises:
        DataError: a value for each step.

    >>> one_each(np.zeros((2, 1)), "here").shape
    (2, 1)
    """
    if isinstance(rows, Ragged):
        raise fail(
            where,
            "a value for each step of sequences; expected one for each row",
            "use net.predict, or a network whose last layer along time has "
            "return_sequences=False",
        )
    return rows


def check_steps(rows: Ragged, where: str) -> None:
    """Raise for the first step that holds NaN or infinity, with its row."""
    if rows.dtype.kind != "f" or np.isfinite(rows.values).all():
        return
    flat = rows.values.reshape(len(rows.values), -1)
    place = int(np.argmax(~np.isfinite(flat).all(axis=1)))
    found = flat[place][~np.isfinite(flat[place])][0]
    inside = (rows.starts <= place) & (place < rows.starts + rows.lengths)
    row = int(np.argmax(inside))
    raise fail(
        where,
        f"{found} in row {row}, step {place - rows.starts[row]}; expected finite "
        "numbers",
        "fill the gap, drop the row, or weigh the step 0 and put any number there",
    )


def _sequences(given: Any, where: str) -> Ragged:
    if isinstance(given, Ragged):
        return given
    if hasattr(given, "to_list"):  # a column of a data frame
        given = given.to_list()
    try:
        array = np.asarray(given)
    except ValueError:  # rows of different lengths
        return Ragged.of(given, where)
    if array.dtype.kind == "O" and array.ndim == 1:
        return Ragged.of(array, where)
    if array.ndim < 2 or array.dtype.kind not in "biuf":
        raise fail(
            where,
            f"shape {array.shape} and type {array.dtype}; expected sequences of "
            "numbers, (rows, time, ...)",
            "give an array of them, a list with an array for each row, or nv.Ragged",
        )
    if array.size == 0:
        raise fail(
            where,
            f"shape {array.shape} holds nothing",
            "give at least 1 row and 1 step",
        )
    return Ragged.of_array(array)


def _steps(row: Any, i: int, where: str) -> Array:
    """A row as an array of its steps."""
    try:
        array = np.asarray(row)
        objects = array.dtype == object and array.ndim > 0
        # pandas reads the lists of a Parquet file as arrays of arrays
        return np.asarray(array.tolist()) if objects else array
    except ValueError:  # lists of different lengths
        raise fail(
            where,
            f"row {i} has steps of different numbers of features; expected as many in "
            "each",
            "give every step the same features",
        ) from None


def _whole(given: Any, what: str) -> Whole:
    array = np.asarray(given)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise fail(
            "ragged",
            f"{what} of shape {array.shape} and type {array.dtype}; expected whole "
            "numbers, one for each row",
            f"give a list of {what}",
        )
    return array.astype(np.int64)
