# SPDX-License-Identifier: BSD-3-Clause
"""Telemetry: what a session tells of itself while it trains, without changing a bit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from nervure.data.labels import Labels
from nervure.data.ragged import Ragged
from nervure.findings.facts import facts_of
from nervure.graph.parameters import Layout, Segment, initialize
from nervure.network.network import Network
from nervure.record import Event, rounded
from nervure.training.prepare import Prepared
from nervure.training.settings import Settings
from nervure.training.telemetry.checkup import Checkup
from nervure.training.telemetry.probe import Moment, Probe
from nervure.training.telemetry.sampling import Sampling, epoch_is_due
from nervure.training.trunk import Learner

Rows = npt.NDArray[np.int64]
Tell = Callable[[Event], None]


class Telemetry:
    """Looks at sampled steps and epochs, and tells what it sees, event by event.

    What fails in here is warned of once and ends the telemetry, never the training.

    Args:
        tell: takes the events.
    """

    def __init__(
        self,
        net: Network,
        prepared: Prepared,
        settings: Settings,
        tell: Tell,
    ) -> None:
        self._net, self._prepared, self._settings = net, prepared, settings
        self._tell = tell
        self._probe: Probe | None = None
        self._checkup: Checkup | None = None
        self._sampling: Sampling | None = None
        self._measuring = False

    @property
    def on(self) -> bool:
        return True

    def begin(self, learner: Learner, planned: int, known: bool) -> None:
        """Before the first step of so many that are planned.

        ``known`` says that the record has the layout already, from an earlier session.
        """
        with self._safely():
            settings = self._settings
            size = settings.rows_per_step(len(self._prepared.rows))
            self._probe = Probe(
                learner, settings.executor, settings.seed, size, settings.augmentation
            )
            several = (Ragged, Labels)
            if not any(isinstance(y, several) for y in learner.data.targets):
                self._checkup = Checkup(learner, self._prepared.rows)
            self._sampling = Sampling(planned)
            if not known:
                self._tell(rounded(self._layout(self._probe, learner)))
                if not self._prepared.data.ragged:  # what columns say
                    self._tell(rounded(self._facts()))

    def until(self, step: int) -> int | None:
        """Steps until the next one that is looked at; None if there is none."""
        return None if self._sampling is None else self._sampling.until(step)

    def before(self, step: int, rows: Rows) -> None:
        """Before a step with these rows, and those of the steps that follow."""
        if self._probe is None or self._sampling is None:
            return
        if not self._sampling.due(step):
            return
        with self._safely():
            whole = step in self._sampling.wholes
            self._probe.before(Moment(step, rows, whole))
            self._measuring = True

    def after(self, epoch: int, rate: float, cost: float) -> None:
        """After the step, if it was looked at."""
        if self._probe is None or not self._measuring:
            return
        self._measuring = False
        with self._safely():
            seen = self._probe.after()
            self._tell(rounded({**seen, "epoch": epoch, "rate": rate, "cost": cost}))

    def epoch(self, epoch: int, step: int, costs: Sequence[float]) -> bool:
        """After an epoch; whether its rows were looked at."""
        due = epoch_is_due(epoch, self._settings.epochs)
        if self._checkup is None or not due:
            return False
        with self._safely():
            self._tell(rounded(self._checkup.event(epoch, step, costs)))
            return True
        return False

    # -- what it is about ---------------------------------------------------------

    def _layout(self, probe: Probe, learner: Learner) -> Event:
        model = learner.executor.model
        places, segments = probe.gauge.places, probe.gauge.segments
        nodes = model.graph.nodes
        return {
            "event": "layout",
            "rows": probe.rows,
            "layers": [place.name for place in places],
            "functions": [place.function for place in places],
            "units": [math.prod(nodes[place.z].shape[-1:]) for place in places],
            "sizes": [math.prod(nodes[place.z].shape) for place in places],
            "gates": list(probe.along.gates),
            "heads": list(probe.attending.heads),
            "parameters": [s.name for s in segments],
            "shapes": [list(s.shape) for s in segments],
            "learns": [model.learns(s) for s in segments],
            "untrained": sorted(filter(self._is_untrained, self._net.frozen)),
        }

    def _is_untrained(self, layer: str) -> bool:
        """Whether a frozen layer still is what it began with: nobody trained it."""
        net = self._net
        nodes = net.graph.groups[layer]
        own = [s for s in net.layout.segments if s.node in nodes and s.size > 1]
        weights = [s for s in own if s.parameter.trainable and len(s.shape) > 1]
        return bool(weights) and all(map(self._is_fresh, weights))

    def _is_fresh(self, segment: Segment) -> bool:
        net = self._net
        own = np.zeros(net.values.size, net.values.dtype)
        alone = Layout((segment,), net.layout.size)
        initialize(alone, net.seed, own)
        return bool((segment.view(own) == segment.view(net.values)).all())

    def _facts(self) -> Event:
        net, prepared = self._net, self._prepared
        objective = self._settings.objective
        return facts_of(
            net.graph, objective, prepared.data, prepared.rows, prepared.validation
        ).event()

    @contextmanager
    def _safely(self) -> Generator[None]:
        try:
            with np.errstate(all="ignore"):  # broken runs are what it is made for
                yield
        except Exception as error:
            self._probe = self._checkup = self._sampling = None
            warnings.warn(
                f"[telemetry] {type(error).__name__}: {error}; training goes on "
                "without it; report this, or leave it off (telemetry=False)",
                stacklevel=2,
            )


class Off:
    """No telemetry."""

    @property
    def on(self) -> bool:
        return False

    def begin(self, learner: Learner, planned: int, known: bool) -> None:
        pass

    def until(self, step: int) -> int | None:
        return None

    def before(self, step: int, rows: Rows) -> None:
        pass

    def after(self, epoch: int, rate: float, cost: float) -> None:
        pass

    def epoch(self, epoch: int, step: int, costs: Sequence[float]) -> bool:
        return False
