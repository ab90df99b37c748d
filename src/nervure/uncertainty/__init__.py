# SPDX-License-Identifier: BSD-3-Clause
"""How sure a network is: calibrated probabilities, intervals, sets, spreads.

Temperature scaling and reliability for probabilities; split-conformal intervals and
sets with a guarantee of coverage; the spread over an ensemble's members or over passes
with dropout left on. Everything but temperature scaling and dropout works with anything
that predicts: networks, ensembles, estimators of nervure, scikit-learn and others.

>>> import nervure as nv
>>> y, p = [0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]]
>>> round(nv.uncertainty.expected_calibration_error(y, p), 3)
0.3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nervure.base.lazy import loader

if TYPE_CHECKING:
    from nervure.network.conformal import Conformal, ConformalError
    from nervure.uncertainty.calibration import (
        calibrate,
        conformalize,
        predict_interval,
        predict_set,
    )
    from nervure.uncertainty.quantiles import predict_quantiles, quantile_interval
    from nervure.uncertainty.reliability import (
        Reliability,
        expected_calibration_error,
        reliability_curve,
    )
    from nervure.uncertainty.spread import Spread, ensemble_spread, mc_dropout
    from nervure.uncertainty.temperature import (
        apply_temperature,
        find_temperature,
        scale_temperature,
    )

__all__ = [
    "Conformal",
    "ConformalError",
    "Reliability",
    "Spread",
    "apply_temperature",
    "calibrate",
    "conformalize",
    "ensemble_spread",
    "expected_calibration_error",
    "find_temperature",
    "mc_dropout",
    "predict_interval",
    "predict_quantiles",
    "predict_set",
    "quantile_interval",
    "reliability_curve",
    "scale_temperature",
]

_HOMES = {
    "Conformal": "nervure.network.conformal",
    "ConformalError": "nervure.network.conformal",
    "Reliability": ".reliability",
    "Spread": ".spread",
    "apply_temperature": ".temperature",
    "calibrate": ".calibration",
    "conformalize": ".calibration",
    "ensemble_spread": ".spread",
    "expected_calibration_error": ".reliability",
    "find_temperature": ".temperature",
    "mc_dropout": ".spread",
    "predict_interval": ".calibration",
    "predict_quantiles": ".quantiles",
    "predict_set": ".calibration",
    "quantile_interval": ".quantiles",
    "reliability_curve": ".reliability",
    "scale_temperature": ".temperature",
}

__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
