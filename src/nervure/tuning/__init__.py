# SPDX-License-Identifier: BSD-3-Clause
"""Tuning: the best values of a spec's keys, found by Optuna within a declared space.

Names are loaded when they are first used: a spec knows the space, not the search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nervure._lazy import loader

if TYPE_CHECKING:
    from nervure.tuning.report import Trial, Tuning
    from nervure.tuning.search import TuneError, tune
    from nervure.tuning.space import Range, TuneSpec

__all__ = ["Range", "Trial", "TuneError", "TuneSpec", "Tuning", "tune"]

_HOMES = {
    "Range": "space",
    "Trial": "report",
    "TuneError": "search",
    "TuneSpec": "space",
    "Tuning": "report",
    "tune": "search",
}

__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
