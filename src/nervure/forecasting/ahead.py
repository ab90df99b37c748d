# SPDX-License-Identifier: BSD-3-Clause
"""What comes after the last value of each series, by a trained network."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
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
        ``prediction``, and ``low`` and ``high`` where the model was calibrated or
        gives quantiles. Of several targets each has its own, ``prediction_<target>``
        and so on.

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
    found = forecasts_of(model, record, inputs)
    tell_not_finite([found.quantiles], strict=strict)
    level = _given_level(model, found, level)
    return _columns(model, said, ahead, found, level)


@dataclass(frozen=True, eq=False)
class Forecasts:
    """What a network says of rows, in units of their scale.

    Attributes:
        levels: of the quantiles, ascending; ``(0.5,)`` stands for one value.
        quantiles: in order, ``(rows, targets horizon, quantiles)``.
        crossed: share of the steps where the network had them in another order.
    """

    levels: tuple[float, ...]
    quantiles: Floats
    crossed: float = 0.0

    @property
    def middle(self) -> Floats:
        """The value that is forecast: the quantile next to the median."""
        away = [abs(level - 0.5) for level in self.levels]
        return self.quantiles[:, :, away.index(min(away))]

    @property
    def several(self) -> bool:
        """Whether they are quantiles, not one value."""
        return len(self.levels) > 1

    @property
    def level(self) -> float:
        """The share that shall lie between the outer quantiles."""
        return self.levels[-1] - self.levels[0]


def usual_level(model: Predictor) -> float:
    """The level of intervals that nobody asked for: `LEVEL`, or that of quantiles which
    no errors of origins held out move."""
    record, _ = described(model)
    if model.conformal is not None or len(record.quantiles) < 2:
        return LEVEL
    return max(record.quantiles) - min(record.quantiles)


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


def forecasts_of(model: Predictor, record: Preprocessing, inputs: Array) -> Forecasts:
    """What the network says of rows; quantiles that cross are put in order.

    Raises:
        DataError: it gives another number of values.
    """
    outputs = model.executor().outputs(ready(model, record, inputs))
    rows = one_each(outputs[0], "forecast").reshape(len(inputs), -1)
    levels = record.quantiles or (0.5,)
    wanted = record.outputs * len(levels)
    if len(outputs) > 1 or rows.shape[1] != wanted:
        raise fail(
            "forecast",
            f"{many(len(outputs), 'output')}, the first of {rows.shape[1]:,} values "
            f"for each row; expected one of {wanted:,}",
            "train a network with one output of as many values as the horizon",
        )
    given = record.decode_targets(rows).reshape(len(rows), -1, len(levels))
    given = given[:, :, np.argsort(levels)]
    crossed = (np.diff(given, axis=2) < 0).any(axis=2)
    share = float(crossed.mean()) if crossed.size else 0.0
    return Forecasts(tuple(sorted(levels)), np.sort(given, axis=2), share)


def ends_of(
    model: Predictor, origins: Origins, found: Forecasts, level: float
) -> tuple[Floats, Floats]:
    """Lower and upper ends ``(rows, targets horizon)`` of intervals, in units of the
    series; without errors of origins held out, the outer quantiles as learnt."""
    scores = model.conformal
    if scores is None:
        return learnt_ends(origins, found)
    given = found.quantiles if scores.method == "cqr" else found.middle
    ends = scores.intervals(given, level).reshape(*found.middle.shape, 2)
    # Errors may pull wide quantiles together, but not past the value that is forecast.
    low = np.minimum(ends[..., 0], found.middle)
    high = np.maximum(ends[..., 1], found.middle)
    return origins.values(low), origins.values(high)


def learnt_ends(origins: Origins, found: Forecasts) -> tuple[Floats, Floats]:
    """The outer quantiles, in units of the series."""
    low, high = found.quantiles[:, :, 0], found.quantiles[:, :, -1]
    return origins.values(low), origins.values(high)


def _given_level(
    model: Predictor, found: Forecasts, level: float | None
) -> float | None:
    """The level of intervals; None where there are none."""
    if level is None or model.conformal is not None:
        return level
    if not found.several:
        return None
    if not math.isclose(level, found.level):
        shown = " and ".join(f"{q:g}" for q in (found.levels[0], found.levels[-1]))
        raise fail(
            "forecast",
            f"level {level:g} of a network that gives the quantiles {shown}, and holds "
            f"no errors of origins held out; expected {found.level:g}",
            f"ask for {found.level:g} (level=, --interval), or train with "
            "data.validation or data.calibration",
        )
    return level


def _columns(
    model: Predictor,
    said: SeriesRecord,
    ahead: Ahead,
    forecasts: Forecasts,
    level: float | None,
) -> Columns:
    origins = ahead.windows.origins
    names = np.repeat(np.array(origins.names)[origins.series], said.horizon)
    first: Columns = {} if said.group is None else {said.group: names}
    first |= {said.time: ahead.times.reshape(-1)}
    values = {PREDICTION: origins.values(forecasts.middle)}
    if level is not None:
        low, high = ends_of(model, origins, forecasts, level)
        values |= {LOW: low, HIGH: high}
    found = _by_target(said, values)
    # A column of the table that is called as one of ours makes way.
    renamed = {f"{name}_" if name in found else name: c for name, c in first.items()}
    return {**renamed, **found}


def _by_target(said: SeriesRecord, values: Columns) -> Columns:
    """Columns of each target: ``prediction``, or ``prediction_<target>`` of several."""
    several = len(said.targets) > 1
    found: Columns = {}
    for i, target in enumerate(said.targets):
        own = slice(i * said.horizon, (i + 1) * said.horizon)
        suffix = f"_{target}" if several else ""
        found |= {f"{k}{suffix}": v[:, own].reshape(-1) for k, v in values.items()}
    return found
