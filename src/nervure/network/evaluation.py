# SPDX-License-Identifier: BSD-3-Clause
"""Evaluation: loss and metrics of a network on data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.words import unknown
from nervure.data import Dataset
from nervure.data.labels import Labels
from nervure.data.ragged import Ragged, packed
from nervure.executors import Data, Rows
from nervure.graph.objective import Cost, Objective
from nervure.losses import Loss, weighted_mean
from nervure.metrics import METRICS, Metric, default_metrics, metric
from nervure.network.inputs import make_data, without_labels, without_targets
from nervure.network.predicting import Inference, Predictor
from nervure.network.targets import targets_of

Array = npt.NDArray[Any]

_OF_VALUES = ("r2", "mae", "mse", "rmse")


RESERVED = frozenset({"loss", "seconds", "learning_rate"})
"""Names of the history that no metric can have."""


def metrics_of(
    net: Predictor, objective: Objective, data: Data, metrics: Any
) -> list[tuple[int, str, Metric]]:
    """(output, name in the history, metric) of each metric that is wanted.

    Functions of one name, as lambdas are, get numbers: ``f``, ``f_2``.

    Raises:
        ValueError: an unknown metric, one given twice, or a name that something else
            has.
    """
    found: list[tuple[int, str, Metric]] = []
    names = net.graph.output_names
    answers = data.answers or (None,) * len(data.targets)
    for cost, target, own in zip(objective.costs, data.targets, answers, strict=True):
        wanted = _wanted(metrics, names[cost.output], names)
        if cost.loss.aligns:
            chosen = _of_labels(cost.loss, wanted, names[cost.output])
        else:
            chosen = _of_values(cost, target, own, wanted, names[cost.output])
        prefix = f"{names[cost.output]}_" if len(names) > 1 else ""
        found += [(cost.output, prefix + one.name, one) for one in chosen]
    return _with_own_names(found)


def _of_values(
    cost: Cost,
    target: Rows,
    answers: bool | None,
    wanted: list[Any] | None,
    output: str,
) -> list[Metric]:
    """Metrics of rows, or of steps, with a target each."""
    values = target.values if isinstance(target, Ragged) else target
    if wanted is None:
        classes = values.dtype.kind in "iu" or cost.loss.one_hot
        plain = classes and values.ndim == 1
        return list(default_metrics(cost.loss, classes=plain, answers=answers))
    chosen = [metric(one, cost.loss, answers=answers) for one in wanted]
    for one in chosen:
        if one.of_labels:
            raise ValueError(
                f"[metrics] {one.name} for {output!r}, whose loss is "
                f"{cost.loss.kind}; expected ctc, which has labels; use another metric"
            )
    if cost.loss.task == "regression":
        _check_targets(chosen, values, output)
    return chosen


def _of_labels(loss: Loss, wanted: list[Any] | None, output: str) -> list[Metric]:
    """Metrics of sequences of labels; own functions are given arrays of arrays."""
    if wanted is None:
        return list(default_metrics(loss))
    chosen = [metric(one, loss) for one in wanted]
    for one in chosen:
        if (one.name in METRICS or one.uses_answers) and not one.of_labels:
            several = [name for name, own in METRICS.items() if own.of_labels]
            raise ValueError(
                f"[metrics] {one.name} for {output!r}, whose rows have sequences of "
                f"labels; expected a metric of these; use {', '.join(several)}, or a "
                "function of your own"
            )
    return chosen


def _with_own_names(
    metrics: Sequence[tuple[int, str, Metric]],
) -> list[tuple[int, str, Metric]]:
    taken: set[str] = set()
    found: list[tuple[int, str, Metric]] = []
    for output, name, one in metrics:
        if name in RESERVED or name.startswith("validation_"):
            raise ValueError(
                f"[metrics] a metric named {name!r}, which the history has another "
                "value for; expected another name; rename the function"
            )
        if name in taken and one.name in METRICS:
            raise ValueError(
                f"[metrics] {name!r} is given twice; expected each once; leave one out"
            )
        number = 2
        own = name
        while own in taken:
            own, number = f"{name}_{number}", number + 1
        taken.add(own)
        found.append((output, own, one))
    return found


def _check_targets(metrics: Sequence[Metric], target: Array, output: str) -> None:
    """Metrics of classes want classes: one column of other values is none."""
    if target.ndim == 1 or target.shape[1] > 1:
        return
    for one in metrics:
        of_classes = one.name in METRICS and one.name not in _OF_VALUES
        if of_classes and not np.isin(target, (-1, 0, 1)).all():
            row = int(np.argmin(np.isin(target[:, 0], (-1, 0, 1))))
            raise ValueError(
                f"[metrics] {one.name} for {output!r}, whose target in row {row} is "
                f"{target[row, 0]:g}; expected classes; use {', '.join(_OF_VALUES)}"
            )


def _wanted(metrics: Any, output: str, outputs: Sequence[str]) -> list[Any] | None:
    """The metrics of one output; None for the default ones."""
    if isinstance(metrics, Mapping):
        table = cast(Mapping[str, Any], metrics)
        for name in table:
            if name not in outputs:
                raise ValueError(unknown("metrics", "output", name, outputs))
        metrics = table.get(output, ())
    if metrics is None:
        return None
    return list(cast(Any, metrics)) if isinstance(metrics, list | tuple) else [metrics]


def measure(
    metrics: Sequence[tuple[int, str, Metric]],
    outputs: Sequence[Rows],
    targets: Sequence[Rows],
    weights: Array | None,
    step_weights: Sequence[Ragged | None] = (),
) -> dict[str, float]:
    """The value of every metric; of targets at each step, over the steps that count."""
    found: dict[str, float] = {}
    for i, name, one in metrics:
        of_steps = step_weights[i] if step_weights else None
        found[name] = one(*_aligned(targets[i], outputs[i], weights, of_steps))
    return found


def _aligned(
    target: Rows, output: Rows, weights: Array | None, steps: Ragged | None
) -> tuple[Array, Array, Array | None]:
    """Target, output and weights, by rows or by steps."""
    if isinstance(target, Labels):
        return target.as_objects(), _of_rows(output), weights
    given = packed(output)
    if not isinstance(target, Ragged):
        return target, given.reshape(len(given), -1), weights
    known = target.packed()
    given = given.reshape(len(known), -1)
    if weights is None and steps is None:
        return known, given, None
    own = np.ones(len(known)) if steps is None else steps.packed().astype(np.float64)
    if weights is not None:
        own = own * np.repeat(weights, target.lengths)
    counts = own > 0
    return known[counts], given[counts], own[counts]


def _of_rows(output: Rows) -> Array:
    """``(rows,)``, each an array ``(time, classes)``."""
    found = np.empty(len(output), object)
    for i, row in enumerate(output):
        found[i] = row
    return found


def evaluate(
    net: Predictor,
    X: Any,
    y: Any = None,
    *,
    loss: object = None,
    metrics: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
) -> dict[str, float]:
    """Loss and metrics of ``net`` on data (see `Network.evaluate`)."""
    objective = net.objective(loss)
    if isinstance(X, Dataset):
        without_targets(y)
        without_labels(objective)
        scale = X.preprocessing.scale_of(X.inputs)
        weights = X.weights if sample_weight is None else sample_weight
        targets = targets_of(net.graph, X.targets)
        data = make_data(
            net, X.inputs, targets, objective, weights, class_weight, scale
        )
    else:
        data = make_data(net, X, y, objective, sample_weight, class_weight)
    known = metrics_of(net, objective, data, metrics)
    return evaluate_data(net.executor(), objective, data, known)


def evaluate_data(
    executor: Inference,
    objective: Objective,
    data: Data,
    metrics: Sequence[tuple[int, str, Metric]],
) -> dict[str, float]:
    """Loss and metrics on data that is ready; weights of classes count in the loss."""
    outputs, costs = executor.row_costs(data, objective)
    result = {"loss": float(weighted_mean(np.asarray(costs), data.weights))}
    steps = data.own_step_weights
    return result | measure(metrics, outputs, data.targets, data.row_weights, steps)
