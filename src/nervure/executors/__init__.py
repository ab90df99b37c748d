# SPDX-License-Identifier: BSD-3-Clause
"""Executors: what runs a graph. ``native`` is the C++ engine, ``jax`` is XLA."""

from __future__ import annotations

from nervure.base.words import unknown
from nervure.executors._executor import (
    Data,
    Draw,
    Executor,
    Job,
    Model,
    Rows,
    Stretch,
    StretchResult,
    Trace,
    Trainer,
    as_rows,
    count_of,
    places_of,
    sequences_of,
)

EXECUTORS = ("native", "jax")


def make_executor(name: str, model: Model, threads: int | None = None) -> Executor:
    """The executor of this name for a model.

    Raises:
        ValueError: there is none of this name.
        ImportError: it needs an extra that is not installed.
    """
    if name == "native":
        from nervure.executors.native import NativeExecutor

        return NativeExecutor(model, threads)
    if name == "jax":
        from nervure.executors.jax import JaxExecutor

        return JaxExecutor(model)
    raise ValueError(unknown("executor", "executor", name, EXECUTORS))


__all__ = [
    "EXECUTORS",
    "Data",
    "Draw",
    "Executor",
    "Job",
    "Model",
    "Rows",
    "Stretch",
    "StretchResult",
    "Trace",
    "Trainer",
    "as_rows",
    "count_of",
    "make_executor",
    "places_of",
    "sequences_of",
]
