# SPDX-License-Identifier: BSD-3-Clause
"""A forecaster of series: windows, network, training and intervals in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from nervure.data import Dataset, read
from nervure.data.series.records import Series
from nervure.ensemble.ensemble import Ensemble
from nervure.forecasting.ahead import LEVEL, Columns, forecast
from nervure.forecasting.scoring import Score, scores, sizes_of, with_intervals
from nervure.network.network import Network
from nervure.network.predicting import Predictor
from nervure.runs.training import fit_spec
from nervure.spec.defaults import TEST, VALIDATION, default_spec
from nervure.spec.for_series import Intervals, check_intervals, with_quantiles
from nervure.spec.rows import dataset_of
from nervure.spec.tables import DataSpec, TrainingSpec


class Forecaster:
    """Forecasts of series some steps ahead, with intervals.

    One network says all steps at once from windows of the past, in terms of the
    seasonal naive forecast; see `nervure.data.Series`. The latest steps are held out,
    never random ones, to measure errors: for the width of intervals (``validation``)
    and for the score (``test``). Then a second network is trained on all steps, as long
    and in the same way, which is the one that forecasts (``refit``); without it the
    first one is kept, at the epoch that was best for the validation steps.

    Args:
        horizon: steps to forecast.
        season, window, known: as in `nervure.data.Series`.
        validation, test: shares of the steps that are held out, in [0, 1).
        refit: whether to train once more, on all steps.
        intervals: "conformal": as wide as errors on steps held out (``validation``);
            "pinball": the network learns the quantiles 0.05, 0.5 and 0.95, which such
            errors move.
        epochs: passes over the windows; None: as many as the rows ask for.
        seed: of the weights and the training.
        verbose: whether to show progress.

    Attributes:
        network_: the trained network; ``network_.save(path)`` keeps all that
            `nervure.forecast` and ``nervure predict`` need.
        score_: errors of the first network on the steps held out as ``test``, or None;
            of several targets those of the first.
        scores_: the same by target; empty without such steps.
        summary_: what was read, chosen, filled and left out, in lines.

    Raises:
        DataError: a table that is no series, or too short a one.

    Source: direct multi-step forecasts, Ben Taieb et al., *Expert Systems with
    Applications* 39 (2012), section 2; intervals by split conformal prediction, Lei et
    al. (2018), of quantiles Romano, Patterson, Candès (2019).

    >>> import numpy as np
    >>> t = np.arange(80)
    >>> table = {"t": t, "y": 0.1 * t + np.sin(np.pi * t / 2)}
    >>> model = Forecaster(horizon=2, season=4, epochs=40).fit(table, "y", time="t")
    >>> found = model.predict(table)
    >>> error = np.abs(found["prediction"] - [8.0, 9.1]).max()
    >>> found["t"].tolist(), bool(error < 0.3)
    ([80, 81], True)
    """

    network_: Network | Ensemble
    score_: Score | None
    scores_: dict[str, Score]
    summary_: str

    def __init__(
        self,
        horizon: int,
        *,
        season: int | None = None,
        window: int | None = None,
        known: tuple[str, ...] = (),
        validation: float = VALIDATION,
        test: float = TEST,
        refit: bool = True,
        intervals: Intervals = "conformal",
        epochs: int | None = None,
        seed: int = 0,
        verbose: bool = False,
    ) -> None:
        self.horizon = horizon
        self.season = season
        self.window = window
        self.known = known
        self.validation = validation
        self.test = test
        self.refit = refit
        self.intervals = intervals
        self.epochs = epochs
        self.seed = seed
        self.verbose = verbose

    def fit(
        self,
        series: Any,
        target: str | Sequence[str] | None = None,
        *,
        time: str,
        group: str | None = None,
    ) -> Forecaster:
        """Train on a data frame, a dict of columns or a table file.

        Args:
            target: column to forecast, or several, which are forecast together; by
                default the last that is nothing else.
            time: column of dates or numbers.
            group: column that says which series a row belongs to.
        """
        check_intervals(self.intervals, "forecaster")
        if not isinstance(target, str | None):
            target = tuple(target)
        said = Series(
            time, self.horizon, group, self.window, self.season, tuple(self.known)
        )
        raw = read(series, target=target, series=said)
        data = DataSpec(
            target=target,
            validation=self.validation,
            test=self.test,
            numbers="robust",
            series=said,
        )
        dataset = dataset_of(raw, data, self.seed)
        network = self._trained(dataset, data)
        self.network_ = with_intervals(network, dataset) or network
        found = scores_of(self.network_, dataset)
        self.score_ = found[0] if found else None
        self.scores_ = {one.target: one for one in found}
        if self.refit and (self.validation or self.test):
            scores = self.network_.conformal
            data = replace(data, validation=0.0, test=0.0)
            dataset = dataset_of(raw, data, self.seed)
            self.network_ = self._trained(dataset, data)
            # The errors of outputs are in units of the windows, for either network.
            self.network_.conformal = scores
        self.summary_ = dataset.summary()
        return self

    def _trained(self, dataset: Dataset, data: DataSpec) -> Network:
        spec = default_spec(dataset, data, self.seed)
        spec = with_quantiles(spec) if self.intervals == "pinball" else spec
        training = spec.training or TrainingSpec()
        stopping = None if self.refit else training.early_stopping
        training = replace(
            training,
            checkpoint_seconds=None,
            early_stopping=stopping,
            epochs=self.epochs or training.epochs,
        )
        spec = replace(spec, training=training)
        run: Any = fit_spec(spec, dataset, progress=self.verbose)
        return cast(Network, run.network)

    def predict(self, series: Any, level: float | None = LEVEL) -> Columns:
        """What comes after the last value of each series; see `nervure.forecast`."""
        return forecast(self.network_, series, level=level)


def scores_of(network: Predictor, dataset: Dataset) -> tuple[Score, ...]:
    """How good forecasts of the steps are that training never saw, target by target;
    nothing if there are none."""
    record, origins = network.preprocessing, dataset.test_origins
    if dataset.test is None or origins is None:
        return ()
    assert record is not None
    return scores(network, record, dataset.test, origins, sizes_of(dataset))
