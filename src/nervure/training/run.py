# SPDX-License-Identifier: BSD-3-Clause
"""Run: what training gives back, and what callbacks see while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nervure.base.html import html_lines, html_table
from nervure.base.words import many
from nervure.findings.finding import Finding
from nervure.findings.watch import Watch
from nervure.graph.objective import Objective
from nervure.network.network import Network
from nervure.record import Record
from nervure.training.curves import plot
from nervure.training.history import History
from nervure.training.prepare import Prepared
from nervure.training.state import State
from nervure.training.table import duration


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
        """Epoch (from 0) with the best monitored value; -1 before the first ends.

        ``run.history["loss"][run.best_epoch]`` is its loss, after ``best_epoch + 1``
        epochs, as displays and the command line say it.
        """
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

    def plot(self, axes: Any = None) -> Any:
        """Draw the history with Matplotlib (extra ``plot``): a panel per measure.

        Args:
            axes: as many axes as there are measures; by default of a new figure.

        Returns:
            The axes, in an array.
        """
        return plot(self.history, self.best_epoch, axes)

    def __repr__(self) -> str:
        why = f", stopped: {self.stopped}" if self.stopped else ""
        return f"<Run of {self._length}{self._best}{why}>"

    def _repr_html_(self) -> str:
        """What notebooks show: the first, the best and the last epoch; findings."""
        shown = {0: "first", self.epoch - 1: "last", self.best_epoch: "best"}
        epochs = sorted(epoch for epoch in shown if epoch >= 0)
        names = [name for name in self.history if name != "seconds"]
        rows = [
            [shown[i], i + 1, *(f"{self.history[n][i]:.4g}" for n in names)]
            for i in (epochs if self.epoch else [])
        ]
        ended = [self.stopped] if self.stopped else []
        place = [f"kept in {self.directory}"] if self.directory else []
        wrong = [f.line for f in self.findings if f.severity != "note"]
        lines = [f"{self._length}{self._best}", *ended, *place, *wrong]
        table = html_table(["", "epochs", *names], rows, numbers=1 + len(names))
        return table + html_lines(lines)

    @property
    def _length(self) -> str:
        times = f"{many(self.epoch, 'epoch')}, {many(self.step, 'step')}"
        return f"{times}, {duration(self.seconds)}"

    @property
    def _best(self) -> str:
        if self.best_epoch < 0:
            return ""
        name = self._state.monitors["early_stopping"]
        value = f"{name} {self._state.best.value:.4g}"
        return f", best: {value} after {many(self.best_epoch + 1, 'epoch')}"
