# SPDX-License-Identifier: BSD-3-Clause
"""How good forecasts are: errors beside the seasonal naive ones, and how often
intervals hold the truth.

Legend: e the error of a forecast. ``MAE = mean |e|``, and ``MASE = mean |e| / q`` with
q the mean error of the seasonal naive forecast, one step ahead, in the training part of
the series. Source: Hyndman, Koehler, *Another look at measures of forecast accuracy*,
International Journal of Forecasting 22 (2006), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data import Dataset
from nervure.data.preprocessing import Preprocessing
from nervure.data.series.reading import windows_again
from nervure.data.series.windows import Origins
from nervure.data.sources import series_table
from nervure.ensemble.ensemble import Ensemble
from nervure.forecasting.ahead import (
    LEVEL,
    described,
    encoded,
    ends_of,
    outputs_of,
)
from nervure.network.network import Network
from nervure.network.predicting import Predictor
from nervure.uncertainty.calibration import calibrate

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Score:
    """Errors of the forecasts of rows, by step ahead, beside the seasonal naive ones.

    Attributes:
        rows: times forecast from (origins).
        mae, naive_mae: mean absolute errors ``(horizon,)``.
        mase, naive_mase: mean scaled errors over all steps; None where it is not known
            what to scale by.
        coverage, width: share of the values inside of the intervals, and their mean
            width; None without intervals.
        level: share that the intervals shall hold.
    """

    rows: int
    mae: Floats
    naive_mae: Floats
    mase: float | None = None
    naive_mase: float | None = None
    coverage: float | None = None
    width: float | None = None
    level: float = LEVEL

    def values(self) -> dict[str, float]:
        """All of it by name, for the record of a run."""
        found = {
            "mae": float(self.mae.mean()),
            "naive mae": float(self.naive_mae.mean()),
            "mase": self.mase,
            "naive mase": self.naive_mase,
            "coverage": self.coverage,
            "width": self.width,
        }
        return {k: v for k, v in found.items() if v is not None and np.isfinite(v)}

    def __str__(self) -> str:
        mae, naive = self.mae.mean(), self.naive_mae.mean()
        first = f"MAE {mae:.4g} (seasonal naive {naive:.4g})"
        if self.mase is not None and np.isfinite(self.mase):
            first += f", MASE {self.mase:.3g} ({self.naive_mase:.3g})"
        held = ""
        if self.coverage is not None:
            share = f"{100 * self.coverage:.1f} % of the values"
            held = f"; {100 * self.level:g} % intervals hold {share}"
            held += f" (width {self.width:.4g} on average)"
        return f"{first}{held}"


def score(
    model: Predictor,
    record: Preprocessing,
    rows: tuple[Array, Array],
    origins: Origins,
    sizes: Floats | None = None,
    level: float = LEVEL,
) -> Score:
    """Compare forecasts with what came.

    Args:
        rows: encoded inputs and targets.
        origins: where they stand.
        sizes: what errors of each series are divided by for MASE.
    """
    inputs, targets = rows
    outputs = outputs_of(model, record, inputs)
    truth = origins.values(record.decode_targets(targets))
    wrong = np.abs(origins.values(outputs) - truth)
    naive = np.abs(origins.naive - truth)
    found = Score(len(origins), wrong.mean(axis=0), naive.mean(axis=0), level=level)
    if sizes is not None:
        of_rows = sizes[origins.series][:, None]
        found = replace(
            found, mase=_mean(wrong / of_rows), naive_mase=_mean(naive / of_rows)
        )
    if model.conformal is None:
        return found
    low, high = ends_of(model, origins, outputs, level)
    inside = (low <= truth) & (truth <= high)
    return replace(
        found, coverage=float(inside.mean()), width=float((high - low).mean())
    )


def score_source(
    model: Predictor, source: Any, *, query: str | None = None, level: float = LEVEL
) -> Score:
    """Compare forecasts from every time of a source with what came.

    Raises:
        DataError: the model is none of a series, or the source does not fit it.
    """
    record, said = described(model)
    table = series_table(source, record, query=query)
    windows = windows_again(table, said)
    inputs = encoded(record, windows, model.dtype, table.where)
    named = zip(record.target_names, windows.targets.T, strict=True)
    targets = record.encode_targets(dict(named), dtype=model.dtype)
    return score(model, record, (inputs, targets), windows.origins, level=level)


def _mean(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def sizes_of(dataset: Dataset) -> Floats:
    """Mean error of the seasonal naive forecast in the training part of each series."""
    origins = dataset.origins
    assert origins is not None
    rows = np.arange(dataset.rows) if dataset.train_rows is None else dataset.train_rows
    ahead = dataset.preprocessing.decode_targets(dataset.targets[rows])[:, 0]
    of = origins.take(rows)
    count = len(origins.names)
    total = np.bincount(of.series, np.abs(ahead) * of.scale, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        sizes = total / np.bincount(of.series, minlength=count)
    return np.where(sizes > 0, sizes, np.nan)


def with_intervals(
    network: Network | Ensemble, dataset: Dataset
) -> Network | Ensemble | None:
    """A copy with the errors, by step ahead, of the latest origins that were held out.

    Those of ``calibration``; where there are none the validation origins, by which the
    epoch was chosen as well. None where there are neither.

    Windows overlap, so that errors are less independent than split conformal
    prediction asks for: coverage is near the level, not guaranteed.
    """
    rows = dataset.held_out_rows
    if dataset.calibration is None and rows is not None and len(rows):
        held = dataset.inputs[rows], dataset.targets[rows]
        dataset = replace(dataset, calibration=held)
    return None if dataset.calibration is None else calibrate(network, dataset)
