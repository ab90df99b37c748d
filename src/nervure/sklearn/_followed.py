# SPDX-License-Identifier: BSD-3-Clause
"""What is seen of an MLP while it is fitted: its record, and the findings in it."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np

from nervure.executors import Data
from nervure.findings.finding import Finding, FindingWarning
from nervure.findings.watch import Watch
from nervure.record import Record
from nervure.sklearn._perceptron import Perceptron
from nervure.spec.tables import DataSpec
from nervure.training.described import spec_of
from nervure.training.prepare import Prepared
from nervure.training.settings import Settings
from nervure.training.telemetry import Off, Telemetry
from nervure.training.trunk import Learner


class Follower:
    """Follows one fit; without telemetry it sees nothing and costs nothing.

    Args:
        held: rows that early stopping looks at, or None.
        settings: of the fit, in the words of `nervure.fit`.
        seeing: whether sampled steps are looked at.
        verbose: whether findings are printed; else they are warnings.

    Attributes:
        telemetry: is told of every stretch of steps.
    """

    def __init__(
        self,
        perceptron: Perceptron,
        data: Data,
        held: Data | None,
        settings: Settings,
        *,
        seeing: bool,
        verbose: bool,
    ) -> None:
        net, objective = perceptron.net, settings.objective
        self._record = Record()
        asked = partial(spec_of, net, settings, DataSpec())
        self._watch = Watch(asked, net.graph, objective, self._record)
        self._learner = Learner(perceptron.executor, objective, data, held)
        self._verbose = verbose
        self._rows = np.arange(data.rows)
        rows = Prepared(data, self._rows, held)
        self.telemetry = (
            Telemetry(net, rows, settings, self._record.append) if seeing else Off()
        )

    def begin(self, planned: int) -> None:
        """Before the first step of so many that are planned."""
        self.telemetry.begin(self._learner, planned, False)

    def begin_iterations(self, planned: int) -> None:
        """Before the first of so many iterations, each over all rows."""
        self.begin(planned)
        self.telemetry.before(0, self._rows)

    def iteration(self, loss: float) -> None:
        """After an iteration, whose weights the network has."""
        number = len(self._record.of("epoch"))
        self.telemetry.after(number, 0.0, loss)
        self.epoch(loss, number + 1, [loss])
        self.telemetry.before(number + 1, self._rows)

    def epoch(self, loss: float, step: int, costs: list[float]) -> None:
        """After an epoch, whose steps had these costs."""
        if not self.telemetry.on:
            return
        number = len(self._record.of("epoch"))
        seen = self.telemetry.epoch(number, step, costs)
        self._record.append({"event": "epoch", "epoch": number, "loss": loss})
        if not np.isfinite(loss):
            self._record.append({"event": "diverged", "step": step, "epoch": number})
        if seen:
            self._tell()

    def _tell(self) -> None:
        """What was not told before."""
        for finding in self._watch.news():
            self._record.append({"event": "finding", **finding.document()})
            if self._verbose:
                print(finding.line)
            else:
                warnings.warn(finding.line, FindingWarning, stacklevel=2)

    def end(self, steps: int) -> list[Finding]:
        """What seems to be wrong with the fit; empty where nothing was seen."""
        self._record.append({"event": "end", "steps": steps})
        return self._watch.findings() if self._record.of("step") else []
