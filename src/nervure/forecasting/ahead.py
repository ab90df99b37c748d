# SPDX-License-Identifier: BSD-3-Clause
"""What comes after the last value of each series, by a trained network."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.checks import number
from nervure.base.words import many
from nervure.data import DataError
from nervure.data._encode_table import encode_table
from nervure.data._errors import DataWarning, fail
from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import one_each
from nervure.data.records import TableInput
from nervure.data.series.reading import Ahead, ahead_of
from nervure.data.series.records import SeriesRecord
from nervure.data.series.windows import Origins, Windows
from nervure.data.sources import series_table
from nervure.network.finite import tell_not_finite
from nervure.network.predicting import Predictor, ready

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Columns = dict[str, Array]

LEVEL = 0.9
PREDICTION, LOW, HIGH = "prediction", "low", "high"


def forecast(
    model: Predictor,
    series: Any,
    *,
    level: float | None = LEVEL,
    query: str | None = None,
    strict: bool = False,
) -> Columns:
    """Forecast the steps that follow the last value of each series.

    Args:
        model: a network or ensemble trained on a series (`nervure.Forecaster`,
            ``nervure train FILE --time t --horizon 12``).
        series: data frame, dict of columns or table file, with the columns of
            training. Where rows go on after the last value of the target, they say
            what is known in advance.
        level: share of values that shall lie between ``low`` and ``high``, in (0, 1);
            None for no interval.
        query: SQL over a file; by default that of the training.
        strict: whether a forecast that is not finite is an error.

    Returns:
        Columns of ``series * horizon`` rows: the group, if there is one, the time,
        ``prediction``, and ``low`` and ``high`` where the model was calibrated.

    Raises:
        DataError: a model of something else, or rows that do not fit it.

    Warns:
        DataWarning: series too short for a window, which are left out.
    """
    record, said = described(model)
    if level is not None:
        number("forecast", "level", level, above=0, below=1)
    table = series_table(series, record, query=query)
    ahead = ahead_of(table, said)
    for note in ahead.notes:
        warnings.warn(DataWarning(f"[{table.where}] {note}"), stacklevel=2)
    inputs = encoded(record, ahead.windows, model.dtype, table.where)
    outputs = outputs_of(model, record, inputs)
    tell_not_finite([outputs], strict=strict)
    return _columns(model, said, ahead, outputs, level)


def described(model: Predictor) -> tuple[Preprocessing, SeriesRecord]:
    """The records of a model that forecasts.

    Raises:
        DataError: it was trained on something else.
    """
    record = model.preprocessing
    if record is None or record.series is None:
        raise DataError(
            "[forecast] the model was not trained on a series; expected one that was; "
            "use nervure train FILE --time COLUMN --horizon STEPS, or nv.Forecaster"
        )
    return record, record.series


def encoded(record: Preprocessing, windows: Windows, dtype: Any, where: str) -> Array:
    """Rows of windows as the network takes them."""
    assert isinstance(record.inputs, TableInput)
    found = encode_table(record.inputs, windows.table, np.dtype(dtype), where)
    return found.warned(where, 3)


def outputs_of(model: Predictor, record: Preprocessing, inputs: Array) -> Floats:
    """What the network says of rows, ``(rows, horizon)``, in units of their scale.

    Raises:
        DataError: it gives another number of values.
    """
    outputs = model.executor().outputs(ready(model, record, inputs))
    rows = one_each(outputs[0], "forecast").reshape(len(inputs), -1)
    if len(outputs) > 1 or rows.shape[1] != record.outputs:
        raise fail(
            "forecast",
            f"{many(len(outputs), 'output')}, the first of {rows.shape[1]:,} values "
            f"for each row; expected one of {record.outputs:,}",
            "train a network with one output of as many values as the horizon",
        )
    return record.decode_targets(rows)


def ends_of(
    model: Predictor, origins: Origins, outputs: Floats, level: float
) -> tuple[Floats, Floats]:
    """Lower and upper ends ``(rows, horizon)`` of intervals, in units of the series."""
    assert model.conformal is not None
    ends = model.conformal.intervals(outputs, level).reshape(*outputs.shape, 2)
    return origins.values(ends[..., 0]), origins.values(ends[..., 1])


def _columns(
    model: Predictor,
    said: SeriesRecord,
    ahead: Ahead,
    outputs: Floats,
    level: float | None,
) -> Columns:
    origins = ahead.windows.origins
    names = np.repeat(np.array(origins.names)[origins.series], said.horizon)
    first: Columns = {} if said.group is None else {said.group: names}
    first |= {said.time: ahead.times.reshape(-1)}
    found = {PREDICTION: origins.values(outputs).reshape(-1)}
    if level is not None and model.conformal is not None:
        low, high = ends_of(model, origins, outputs, level)
        found |= {LOW: low.reshape(-1), HIGH: high.reshape(-1)}
    # A column of the table that is called as one of ours makes way.
    renamed = {f"{name}_" if name in found else name: c for name, c in first.items()}
    return {**renamed, **found}
