# SPDX-License-Identifier: BSD-3-Clause
"""Dataset: encoded rows, ready to train on, and how they came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nervure.base.html import html_lines
from nervure.base.words import many
from nervure.data._encode import encode_array, encode_targets
from nervure.data._encode_table import Unknown, encode_table
from nervure.data._fit_table import join
from nervure.data._raw import Raw
from nervure.data.apart import is_blurred, warn_blurred
from nervure.data.columns import Column, Table
from nervure.data.encodings import Encodings
from nervure.data.fitting import fit_preprocessing
from nervure.data.preprocessing import Preprocessing, Task
from nervure.data.records import (
    ArrayInput,
    Numeric,
    Reconstruction,
    SequenceInput,
    TableInput,
)
from nervure.data.sequences import encode_sequences
from nervure.data.series.windows import Origins
from nervure.layers import Layer
from nervure.layers.entrance import entrance

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows as a network takes them.

    Attributes:
        inputs: ``(rows, ...)``, or sequences (`nervure.Ragged`); float32, float64, or
            uint8 to be multiplied by ``preprocessing.scale``.
        targets: class indices int32 ``(rows,)``, or floats ``(rows, targets)``; of a
            reconstruction the inputs as floats ``(rows, features)``.
        preprocessing: how raw rows become these; belongs into the model file.
        source: where the rows came from.
        weights: float64 ``(rows,)``, or None.
        test: inputs and targets of the data set's own test part, or None.
        calibration: inputs and targets kept for conformal scores, or None.
        origins, test_origins: where the rows, and those of the test part, stand in
            their series, if they are windows over some; else None.
        train_rows, held_out_rows: row numbers, if part of the rows was held out when
            the statistics were taken; else None.
        description: lines that say what was read, filled, encoded and dropped.
    """

    inputs: Array
    targets: Array
    preprocessing: Preprocessing
    source: str
    weights: NDArray[np.float64] | None = None
    test: tuple[Array, Array] | None = None
    train_rows: NDArray[np.int64] | None = None
    held_out_rows: NDArray[np.int64] | None = None
    description: tuple[str, ...] = ()
    calibration: tuple[Array, Array] | None = None
    origins: Origins | None = None
    test_origins: Origins | None = None

    @property
    def rows(self) -> int:
        """Number of rows, without those of ``test``."""
        return len(self.inputs)

    @property
    def task(self) -> Task:
        """What the target calls for."""
        return self.preprocessing.task

    def entrance(self) -> list[Layer]:
        """The layers that a network for these rows begins with.

        An `Input` and, where columns are encoded as codes, the embedding of these.

        >>> from nervure.data import load
        >>> load("iris").entrance()
        [Input(name=None, shape=(4,), time=False)]
        """
        return entrance(self.inputs.shape[1:], self.preprocessing.categories)

    def summary(self) -> str:
        """Rows, columns, target, and what was done to them, one line each."""
        return "\n".join(self.description)

    def __repr__(self) -> str:
        first = self.description[0] if self.description else self.source
        held = 0 if self.held_out_rows is None else len(self.held_out_rows)
        kept = f", {held:,} of them held out" if held else ""
        return f"<Dataset {first}{kept}; {self.task}>"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return html_lines(self.description)


def make_dataset(
    raw: Raw,
    train_rows: NDArray[np.int64] | None = None,
    held_out_rows: NDArray[np.int64] | None = None,
    *,
    dtype: DTypeLike = np.float32,
    encodings: Encodings | None = None,
    standardize_target: bool = True,
) -> Dataset:
    """Encode all rows of ``raw`` with statistics of ``train_rows`` alone.

    Raises:
        DataError: see `fit_preprocessing`.
    """
    preprocessing, notes = fit_preprocessing(
        raw,
        train_rows,
        encodings=encodings,
        standardize_target=standardize_target,
    )
    number = np.dtype(dtype)
    inputs, strange = _inputs(preprocessing, raw.inputs, number, raw.where)
    held_out = [] if held_out_rows is None else _strange(strange)
    return Dataset(
        inputs,
        _targets(preprocessing, inputs, raw.targets, number),
        preprocessing,
        raw.where,
        raw.weights,
        _test(preprocessing, raw, number),
        train_rows,
        held_out_rows,
        (_first_line(raw, preprocessing), *raw.notes, *notes, *held_out),
        origins=raw.origins,
    )


def _inputs(
    record: Preprocessing, inputs: Table | Array, dtype: np.dtype[Any], where: str
) -> tuple[Array, tuple[Unknown, ...]]:
    if isinstance(record.inputs, SequenceInput):
        found: Any = encode_sequences(record.inputs, inputs, dtype, where)
        return found, ()
    if isinstance(inputs, Table):
        assert isinstance(record.inputs, TableInput)
        encoded = encode_table(record.inputs, inputs, dtype, where)
        if dtype == np.float32:
            _warn_blurred(record.inputs, inputs, encoded.inputs, where)
        return encoded.inputs, encoded.unknown
    assert isinstance(record.inputs, ArrayInput)
    return encode_array(record.inputs, inputs, dtype, where), ()


def _warn_blurred(record: TableInput, table: Table, inputs: Array, where: str) -> None:
    """Warn of columns of numbers whose values are not held apart any more."""
    start = 0
    for spec in record.columns:
        place, start = start, start + spec.width
        if not isinstance(spec, Numeric) or spec.scaling.kind != "affine":
            continue
        column = table.columns[spec.name]
        if column.kind in ("integer", "real", "date") and column.present.any():
            there = column.present
            if is_blurred(column.values[there], inputs[there, place]):
                warn_blurred(spec.name, where, 4)


def _strange(unknown: tuple[Unknown, ...]) -> list[str]:
    """A note about rows held out, with one-hot categories that no training row has."""
    counts = [
        f"{found.column.name} ({found.rows:,} rows)"
        for found in unknown
        if not found.column.embedded
    ]
    return [f"categories in held-out rows alone: {join(counts)}"] if counts else []


def _targets(
    record: Preprocessing,
    inputs: Array,
    columns: tuple[Column, ...],
    dtype: np.dtype[Any],
) -> Array:
    if isinstance(record.target, Reconstruction):
        return record.as_targets(inputs, dtype=dtype)
    if record.task == "classification":
        return encode_targets(record.target, columns[0], dtype)
    named = {column.name: column.floats() for column in columns}
    return encode_targets(record.target, named, dtype)


def _test(
    record: Preprocessing, raw: Raw, dtype: np.dtype[Any]
) -> tuple[Array, Array] | None:
    if raw.test is None:
        return None
    images, columns = raw.test
    inputs, _ = _inputs(record, images, dtype, f"{raw.where} test part")
    return inputs, _targets(record, inputs, columns, dtype)


def _first_line(raw: Raw, record: Preprocessing) -> str:
    test = "" if raw.test is None else f" and {many(len(raw.test[0]), 'test row')}"
    shape = record.shape
    made = many(shape[0], "input") if len(shape) == 1 else " x ".join(map(str, shape))
    if isinstance(record.inputs, SequenceInput):
        made = f"sequences with steps of {many(shape[0], 'number')}"
    elif isinstance(raw.inputs, Table):
        made = f"{many(len(raw.inputs.columns), 'column')} -> {made}"
    what = "row" if raw.series is None else "window"
    return f"{raw.where}: {many(raw.rows, what)}{test}, {made}"
