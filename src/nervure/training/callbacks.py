# SPDX-License-Identifier: BSD-3-Clause
"""Callbacks: what happens between epochs besides training."""

from __future__ import annotations

from collections.abc import Callable

from nervure.training.run import Run


class Callback:
    """Override what you need; a plain function is taken as ``on_epoch_end``.

    ``run`` is the run so far: ``run.network``, ``run.history``, ``run.epoch``;
    ``run.stop("why")`` ends training after the epoch.

    Attributes:
        observes: whether it hands on what the run tells, and changes nothing: sampled
            steps are then looked at, and a resumed run can do without it.
    """

    observes: bool = False

    def on_begin(self, run: Run) -> None:
        """Before the first step."""

    def on_epoch_end(self, run: Run) -> None:
        """After an epoch, its values in ``run.history``."""

    def on_end(self, run: Run) -> None:
        """After the last step, however training ended."""


class FunctionCallback(Callback):
    """A function of the run, called after each epoch."""

    def __init__(self, function: Callable[[Run], object]) -> None:
        self._function = function

    def on_epoch_end(self, run: Run) -> None:
        self._function(run)


def as_callback(found: Callback | Callable[[Run], object]) -> Callback:
    """A callback from a callback or a function."""
    if isinstance(found, Callback):
        return found
    if callable(found) and not isinstance(found, type):
        return FunctionCallback(found)
    raise TypeError(
        f"[fit] callback {found!r}; expected nv.EarlyStopping, an nv.Callback or a "
        "function of the run; change callbacks="
    )
