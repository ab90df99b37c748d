# SPDX-License-Identifier: BSD-3-Clause
"""Meter: what is measured at the end of an epoch."""

from __future__ import annotations

import math

import numpy as np

from nervure.executors import as_rows, count_of
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
        net, data = self._net, self._prepared.data
        kept = tuple(
            np.zeros((count_of(net.graph, data, node), *shape), net.dtype)
            if i in wanted
            else np.zeros(0, net.dtype)
            for i, (node, shape) in enumerate(
                zip(net.graph.outputs, net.graph.output_shapes, strict=True)
            )
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
        net, data, rows = self._net, self._prepared.data, self._prepared.rows
        outputs = [
            as_rows(net.graph, data, node, y)[rows] if y.size else y
            for node, y in zip(net.graph.outputs, state.outputs, strict=True)
        ]
        targets = [t[rows] for t in data.targets]
        own = data.take(rows)
        steps = own.own_step_weights
        return measure(self.metrics, outputs, targets, own.row_weights, steps)


def _mean(state: State) -> float:
    """The cost of the epoch's steps, by the weights of their rows."""
    costs, weights = np.array(state.costs), np.array(state.weights)
    total = weights.sum()
    return float((costs * weights).sum() / total) if total > 0 else math.nan
