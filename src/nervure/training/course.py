# SPDX-License-Identifier: BSD-3-Clause
"""Course: how an optimizer gets from the first weights to the last, and who watches.

`Session` runs a course; the course takes steps and tells the session of each stretch
and each epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from nervure.graph.parameters import Floats
from nervure.network.network import Network
from nervure.optimizers import Optimizer
from nervure.training.interrupt import Interruption
from nervure.training.prepare import Prepared
from nervure.training.recorder import Recorder
from nervure.training.settings import Settings
from nervure.training.state import State
from nervure.training.telemetry import Off, Telemetry
from nervure.training.trunk import Learner


class Session(Protocol):
    """What a course sees of the session that runs it."""

    net: Network
    prepared: Prepared
    settings: Settings
    state: State
    recorder: Recorder
    telemetry: Telemetry | Off
    interruption: Interruption

    @property
    def learner(self) -> Learner:
        """What is trained, and the rows as it takes them."""
        ...

    def begin(self, planned: int) -> None:
        """Before the first step of so many that are planned."""
        ...

    def reached(self, whole_epoch: bool) -> str | None:
        """Why a resumed run was at its end already."""
        ...

    def limit_reached(self) -> str | None:
        """The limit of steps or seconds that ends the run, if one does."""
        ...

    def look_up(self, share: float) -> None:
        """After a stretch of steps, so much of the epoch being done."""
        ...

    def end_epoch(self, rate: float, last_good: Floats, known: bool = False) -> None:
        """After the last step of an epoch, taken at this learning rate.

        ``known`` says that the record has the epoch already.
        """
        ...

    def diverged(self, rows: Any, rate: float, last_good: Floats) -> NoReturn:
        """Numbers are no longer finite, for these rows; end with the last good weights.

        Raises:
            DivergenceError: always.
        """
        ...


@dataclass(frozen=True)
class Course:
    """How an optimizer trains.

    Attributes:
        slots: the optimizer's arrays as they begin, for a network.
        run: takes all steps that are left in a session.
    """

    slots: Callable[[Network, Optimizer], tuple[Floats, ...]]
    run: Callable[[Session], None]
