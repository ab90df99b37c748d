# SPDX-License-Identifier: BSD-3-Clause
"""Run: what training gives back, and what callbacks see while it goes on."""

from __future__ import annotations

from pathlib import Path

from nervure.findings.finding import Finding
from nervure.findings.watch import Watch
from nervure.graph.objective import Objective
from nervure.network.network import Network
from nervure.record import Record
from nervure.training.history import History
from nervure.training.prepare import Prepared
from nervure.training.state import State


class Run:
    """A training run.

    Attributes:
        network: the network that is trained.
        directory: the run folder, or None.
        record: all that was told so far, sampled steps among it with telemetry.
        watch: what is made of the record.
        prepared, objective: the rows as they were trained on, and for what.
    """

    def __init__(
        self,
        network: Network,
        state: State,
        directory: Path | None,
        record: Record,
        watch: Watch,
        prepared: Prepared,
        objective: Objective,
    ) -> None:
        self.network = network
        self.directory = directory
        self.record = record
        self.watch = watch
        self.prepared, self.objective = prepared, objective
        self._state = state
        self._stop: str | None = None

    @property
    def history(self) -> History:
        """Series by name, one value per epoch."""
        return self._state.history

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return self._state.epoch

    @property
    def step(self) -> int:
        """Updates made."""
        return self._state.step

    @property
    def seconds(self) -> float:
        """Time spent in training, earlier sessions of a resumed run included."""
        return self._state.seconds

    @property
    def best_epoch(self) -> int:
        """Epoch (from 0) with the best monitored value; -1 before the first ends."""
        return self._state.best.epoch

    @property
    def stopped(self) -> str | None:
        """Why training ended before its epochs were done; None if it did not."""
        return self._state.stopped

    @property
    def findings(self) -> list[Finding]:
        """What seems to be wrong by what was told so far, most important first.

        `nervure.diagnose` looks at the rows too, and can make experiments.
        """
        return self.watch.findings()

    def best_network(self) -> Network:
        """A copy of the network with the weights of its best epoch.

        The network itself has them after early stopping; else it has the last ones.
        """
        best = self.network.copy()
        if self.best_epoch >= 0:
            best.values[:] = self._state.best_values
        return best

    def stop(self, reason: str) -> None:
        """End training at the next opportunity."""
        self._stop = reason

    @property
    def stop_requested(self) -> str | None:
        """The reason given to `stop`."""
        return self._stop

    def __repr__(self) -> str:
        last = ", ".join(f"{k} {v:.4g}" for k, v in self.history.last().items())
        why = f", stopped: {self.stopped}" if self.stopped else ""
        return f"<Run {self.epoch} epochs, {self.step} steps, {last}{why}>"
