# SPDX-License-Identifier: BSD-3-Clause
"""Tuning: the best values of a spec's keys, found by Optuna within a declared space.

Names are loaded when they are first used: a spec knows the space, not the search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nervure.base.lazy import loader

if TYPE_CHECKING:
    from nervure.spec.space import Range, TuneSpec
    from nervure.tuning.report import Trial, Tuning
    from nervure.tuning.search import TuneError, tune

__all__ = ["Range", "Trial", "TuneError", "TuneSpec", "Tuning", "tune"]

_HOMES = {
    "Range": "nervure.spec.space",
    "Trial": ".report",
    "TuneError": ".search",
    "TuneSpec": "nervure.spec.space",
    "Tuning": ".report",
    "tune": ".search",
}

__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
