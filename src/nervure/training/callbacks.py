# SPDX-License-Identifier: BSD-3-Clause
"""Callbacks: what happens between epochs besides training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nervure._described import number

if TYPE_CHECKING:
    from nervure.training.run import Run


class Callback:
    """Override what you need; a plain function is taken as ``on_epoch_end``.

    ``run`` is the run so far: ``run.network``, ``run.history``, ``run.epoch``;
    ``run.stop("why")`` ends training after the epoch.
    """

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


@dataclass(frozen=True)
class EarlyStopping:
    """Stops when a value has not improved for ``patience`` epochs.

    The network then has the weights of its best epoch.

    Args:
        patience: epochs without improvement that are waited for, at least 1.
        monitor: name in the history; None is the validation loss, or the training
            loss where there is no validation data.
        min_delta: smallest change that counts as an improvement.

    Source: Prechelt, *Early Stopping - But When?* (1998), criterion UP.

    >>> EarlyStopping(patience=3).monitor is None
    True
    """

    kind: ClassVar[str] = "early_stopping"

    patience: int = 5
    monitor: str | None = None
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        number(self.kind, "patience", self.patience, least=1)
        number(self.kind, "min_delta", self.min_delta, least=0)


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
