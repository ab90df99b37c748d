# SPDX-License-Identifier: BSD-3-Clause
"""Twelve months of airline passengers, forecast from the end of each of many months.

From every origin a network is trained on the rows up to it and nothing later, says the
next twelve months with intervals of 90 %, and is compared with what came and with the
seasonal naive forecast: the same months of the year before. The origins are the latest
of which the next twelve months are known; errors are in thousands of passengers, and in
MASE relative to what the naive forecast errs by before the origin (Hyndman, Koehler,
2006). The series is that of Box and Jenkins; air_passengers.csv names the source.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nervure as nv

DATA = Path(__file__).with_name("air_passengers.csv")
HORIZON, SEASON, LEVEL = 12, 12, 0.9


@dataclass(frozen=True)
class Errors:
    """Of one origin: absolute errors ``(horizon,)``, those of the naive forecast, what
    they are divided by for MASE, and which values lay inside of their intervals."""

    own: Any
    naive: Any
    size: float
    inside: Any


def read() -> tuple[Any, Any]:
    """Months as text and passengers in thousands."""
    columns = np.loadtxt(DATA, dtype=str, delimiter=",", comments="#", skiprows=3)
    return columns[:, 0], columns[:, 1].astype(float)


def from_origin(
    months: Any,
    passengers: Any,
    origin: int,
    seed: int = 0,
    intervals: Any = "conformal",
) -> Errors:
    """Train on the first ``origin`` months and forecast the twelve that follow."""
    past, truth = passengers[:origin], passengers[origin : origin + HORIZON]
    known = {"month": months[:origin], "passengers": past}
    model = nv.Forecaster(
        HORIZON, season=SEASON, test=0, seed=seed, intervals=intervals
    )
    said = model.fit(known, "passengers", time="month").predict(known, level=LEVEL)
    naive = np.resize(past[-SEASON:], HORIZON)
    return Errors(
        np.abs(said["prediction"] - truth),
        np.abs(naive - truth),
        float(np.abs(past[SEASON:] - past[:-SEASON]).mean()),
        (said["low"] <= truth) & (truth <= said["high"]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--origins", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--intervals", choices=("conformal", "pinball"), default="conformal"
    )
    given = parser.parse_args()
    months, passengers = read()
    last = len(passengers) - HORIZON
    begin, found = time.perf_counter(), []
    print("last month known      MAE    naive   in interval")
    for origin in range(last - given.origins + 1, last + 1):
        one = from_origin(months, passengers, origin, given.seed, given.intervals)
        found.append(one)
        print(
            f"{months[origin - 1]:<16}{one.own.mean():9.1f}{one.naive.mean():9.1f}"
            f"{one.inside.sum():8} of {HORIZON}",
            flush=True,
        )
    mae, naive = (np.mean([getattr(o, n) for o in found]) for n in ("own", "naive"))
    mase, naive_mase = (
        np.mean([getattr(o, n).mean() / o.size for o in found])
        for n in ("own", "naive")
    )
    inside = np.mean([o.inside for o in found])
    print(f"MAE {mae:.1f}, seasonal naive {naive:.1f}")
    print(f"MASE {mase:.2f}, seasonal naive {naive_mase:.2f}")
    print(
        f"{100 * LEVEL:.0f} % intervals hold {inside:.1%} of the values "
        f"({time.perf_counter() - begin:.0f} s)"
    )


if __name__ == "__main__":
    main()
