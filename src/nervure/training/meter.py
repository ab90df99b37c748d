# SPDX-License-Identifier: BSD-3-Clause
"""Meter: what is measured at the end of an epoch."""

from __future__ import annotations

import math

import numpy as np

from nervure.graph.parameters import Floats
from nervure.network.evaluation import evaluate_data, measure, metrics_of
from nervure.network.network import Network
from nervure.training.prepare import Prepared
from nervure.training.settings import Settings
from nervure.training.state import State
from nervure.training.trunk import Learner


class Meter:
    """Loss and metrics, of the epoch's own outputs and of the held-out rows.

    Attributes:
        metrics: (output, name in the history, metric) of each.
        names: of all that is measured.
    """

    def __init__(self, net: Network, prepared: Prepared, settings: Settings) -> None:
        self._net, self._prepared = net, prepared
        self.metrics = metrics_of(
            net, settings.objective, prepared.data, settings.metrics
        )
        own = ["loss", *(name for _, name, _ in self.metrics)]
        held_out = [] if prepared.validation is None else own
        self.names = [*own, *(f"validation_{name}" for name in held_out)]

    def outputs(self) -> tuple[Floats, ...]:
        """Room for what the network gives for each row, where a metric wants it."""
        wanted = {output for output, _, _ in self.metrics}
        net, rows = self._net, self._prepared.data.rows
        kept = tuple(
            np.zeros((rows, *shape) if i in wanted else (0,), net.dtype)
            for i, shape in enumerate(net.graph.output_shapes)
        )
        return kept if wanted else ()

    def values(self, state: State, learner: Learner) -> dict[str, float]:
        """All that is measured, by name."""
        values = {"loss": _mean(state)} | self._of_the_epoch(state)
        if learner.validation is not None:
            found = evaluate_data(
                learner.executor, learner.objective, learner.validation, self.metrics
            )
            values |= {f"validation_{name}": value for name, value in found.items()}
        return values

    def _of_the_epoch(self, state: State) -> dict[str, float]:
        """Metrics of what the network gave during the epoch, dropout and all."""
        if not self.metrics:
            return {}
        data, rows = self._prepared.data, self._prepared.rows
        outputs = [y[rows] if y.size else y for y in state.outputs]
        targets = [t[rows] for t in data.targets]
        weights = None if data.row_weights is None else data.row_weights[rows]
        return measure(self.metrics, outputs, targets, weights)


def _mean(state: State) -> float:
    """The cost of the epoch's steps, by the weights of their rows."""
    costs, weights = np.array(state.costs), np.array(state.weights)
    total = weights.sum()
    return float((costs * weights).sum() / total) if total > 0 else math.nan
