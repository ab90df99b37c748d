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
    forecasts_of,
    learnt_ends,
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
        target: the column that is forecast.
        learnt: share of the values between the outer quantiles as the network gives
            them; None where it gives none, or errors of origins held out move none.
        crossed: share of the steps where its quantiles had to be put in order.
    """

    rows: int
    mae: Floats
    naive_mae: Floats
    mase: float | None = None
    naive_mase: float | None = None
    coverage: float | None = None
    width: float | None = None
    level: float = LEVEL
    target: str = ""
    learnt: float | None = None
    crossed: float | None = None

    def values(self) -> dict[str, float]:
        """All of it by name, for the record of a run."""
        found = {
            "mae": float(self.mae.mean()),
            "naive mae": float(self.naive_mae.mean()),
            "mase": self.mase,
            "naive mase": self.naive_mase,
            "coverage": self.coverage,
            "width": self.width,
            "coverage as learnt": self.learnt,
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
        if self.learnt is not None:
            held += f", quantiles as learnt {100 * self.learnt:.1f} %"
        if self.crossed:
            held += (
                f"; quantiles crossed in {100 * self.crossed:.1f} % of the steps and "
                "were put in order"
            )
        return f"{first}{held}"


def scores(
    model: Predictor,
    record: Preprocessing,
    rows: tuple[Array, Array],
    origins: Origins,
    sizes: Floats | None = None,
    level: float = LEVEL,
) -> tuple[Score, ...]:
    """Compare forecasts with what came, target by target.

    Args:
        rows: encoded inputs and targets.
        origins: where they stand.
        sizes: what errors of each series are divided by for MASE, ``(series,
            targets)``.
        level: of intervals; without errors of origins held out it is that of the
            network's quantiles.
    """
    said, (inputs, targets) = record.series, rows
    assert said is not None
    found = forecasts_of(model, record, inputs)
    truth = origins.values(record.decode_targets(targets))
    values = {
        "wrong": np.abs(origins.values(found.middle) - truth),
        "naive": np.abs(origins.naive - truth),
    }
    if model.conformal is not None or found.several:
        low, high = ends_of(model, origins, found, level)
        values |= {"inside": (low <= truth) & (truth <= high), "width": high - low}
    if model.conformal is None and found.several:
        level = found.level
    if model.conformal is not None and found.several:
        low, high = learnt_ends(origins, found)
        values["learnt"] = (low <= truth) & (truth <= high)
    made: list[Score] = []
    for i, target in enumerate(said.targets):
        own = slice(i * said.horizon, (i + 1) * said.horizon)
        size = None if sizes is None else sizes[origins.series][:, [i]]
        one = _score({k: v[:, own] for k, v in values.items()}, size)
        crossed = found.crossed if found.several else None
        made.append(replace(one, level=level, target=target, crossed=crossed))
    return tuple(made)


def _score(values: dict[str, Array], size: Floats | None) -> Score:
    """The score of one target; ``size`` is what its errors are divided by."""
    wrong, naive = values["wrong"], values["naive"]
    found = Score(len(wrong), wrong.mean(axis=0), naive.mean(axis=0))
    if size is not None:
        mase, naive_mase = _mean(wrong / size), _mean(naive / size)
        found = replace(found, mase=mase, naive_mase=naive_mase)
    if "inside" in values:
        coverage, width = values["inside"].mean(), values["width"].mean()
        found = replace(found, coverage=float(coverage), width=float(width))
    learnt = values.get("learnt")
    return found if learnt is None else replace(found, learnt=float(learnt.mean()))


def scores_of_source(
    model: Predictor, source: Any, *, query: str | None = None, level: float = LEVEL
) -> tuple[Score, ...]:
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
    return scores(model, record, (inputs, targets), windows.origins, level=level)


def _mean(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def sizes_of(dataset: Dataset) -> Floats:
    """Mean error of the seasonal naive forecast, one step ahead, in the training part
    of each series, ``(series, targets)``."""
    origins, said = dataset.origins, dataset.preprocessing.series
    assert origins is not None
    assert said is not None
    rows = np.arange(dataset.rows) if dataset.train_rows is None else dataset.train_rows
    decoded = dataset.preprocessing.decode_targets(dataset.targets[rows])
    of = origins.take(rows)
    errors = np.abs(decoded[:, :: said.horizon]) * of.scale
    count = len(origins.names)
    total = [np.bincount(of.series, own, minlength=count) for own in errors.T]
    with np.errstate(invalid="ignore", divide="ignore"):
        sizes = np.array(total).T / np.bincount(of.series, minlength=count)[:, None]
    return np.where(sizes > 0, sizes, np.nan)


def with_intervals(
    network: Network | Ensemble, dataset: Dataset
) -> Network | Ensemble | None:
    """A copy with the errors, by step ahead, of the latest origins that were held out.

    Those of ``calibration``; where there are none the validation origins, by which the
    epoch was chosen as well. None where there are neither.

    Of quantiles these are the errors of conformalized quantile regression (Romano,
    Patterson, Candès, 2019, eq. 6). Windows overlap, so that errors are less
    independent than split conformal prediction asks for: coverage is near the level,
    not guaranteed.
    """
    rows = dataset.held_out_rows
    if dataset.calibration is None and rows is not None and len(rows):
        held = dataset.inputs[rows], dataset.targets[rows]
        dataset = replace(dataset, calibration=held)
    return None if dataset.calibration is None else calibrate(network, dataset)
