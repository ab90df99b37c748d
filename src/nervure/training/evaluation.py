# SPDX-License-Identifier: BSD-3-Clause
"""Evaluation: loss and metrics of a network on data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nervure.data import Dataset
from nervure.executors import Data
from nervure.losses import weighted_mean
from nervure.metrics import Metric, default_metrics, metric
from nervure.objective import Objective
from nervure.training.prepare import make_data

if TYPE_CHECKING:
    from nervure.network import Network

Array = npt.NDArray[Any]


def metrics_of(
    net: Network, objective: Objective, data: Data, metrics: Sequence[Any] | None
) -> list[tuple[int, str, Metric]]:
    """(output, name in the history, metric) of each metric that is wanted."""
    found: list[tuple[int, str, Metric]] = []
    several = len(objective.costs) > 1
    for cost, target in zip(objective.costs, data.targets, strict=True):
        if metrics is None:
            classes = target.dtype.kind in "iu" or cost.loss.one_hot
            chosen = default_metrics(cost.loss, classes=classes and target.ndim == 1)
        else:
            chosen = [metric(one, cost.loss) for one in metrics]
        prefix = f"{net.graph.output_names[cost.output]}_" if several else ""
        found += [(cost.output, prefix + one.name, one) for one in chosen]
    return found


def measure(
    metrics: Sequence[tuple[int, str, Metric]],
    outputs: Sequence[Array],
    targets: Sequence[Array],
    weights: Array | None,
) -> dict[str, float]:
    """The value of every metric."""
    return {
        name: one(targets[i], outputs[i].reshape(len(outputs[i]), -1), weights)
        for i, name, one in metrics
    }


def evaluate(
    net: Network,
    X: Any,
    y: Any = None,
    *,
    loss: object = None,
    metrics: Sequence[Any] | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
) -> dict[str, float]:
    """Loss and metrics of ``net`` on data (see `Network.evaluate`)."""
    objective = net.objective(loss)
    if isinstance(X, Dataset):
        scale = X.preprocessing.scale
        weights = X.weights if sample_weight is None else sample_weight
        data = make_data(
            net, X.inputs, X.targets, objective, weights, class_weight, scale
        )
    else:
        data = make_data(net, X, y, objective, sample_weight, class_weight)
    return evaluate_data(
        net, objective, data, metrics_of(net, objective, data, metrics)
    )


def evaluate_data(
    net: Network,
    objective: Objective,
    data: Data,
    metrics: Sequence[tuple[int, str, Metric]],
    executor: str = "native",
) -> dict[str, float]:
    """Loss and metrics on data that is ready."""
    outputs, costs = net.executor(executor).row_costs(data, objective)
    result = {"loss": float(weighted_mean(np.asarray(costs), data.weights))}
    return result | measure(metrics, outputs, data.targets, data.weights)
