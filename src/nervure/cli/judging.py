# SPDX-License-Identifier: BSD-3-Clause
"""How good a network is on rows; `nervure.cli.telling` says it in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.plain import write_fields
from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import one_each
from nervure.data.records import Classes
from nervure.executors import Data
from nervure.graph.objective import PROBABILITIES, Cost, Objective
from nervure.losses import BinaryCrossEntropy, CrossEntropy, Loss
from nervure.metrics import (
    Metric,
    auc,
    average_precision,
    confusion_matrix,
    log_loss,
    shares,
    target_classes,
)
from nervure.network.evaluation import metrics_of
from nervure.network.finite import tell_not_finite
from nervure.network.inputs import make_data
from nervure.network.predicting import Predictor
from nervure.network.targets import records_of, targets_of
from nervure.uncertainty import Conformal, expected_calibration_error
from nervure.uncertainty.outputs import as_probabilities

Array = npt.NDArray[Any]

LEVEL = 0.9
"""Of the sets and intervals that are judged."""

_LOG_LOSSES = (CrossEntropy(), BinaryCrossEntropy())
"""Losses that are the log loss itself."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """Metrics on rows; ``confusion[true, predicted]`` counts rows, for classes.

    ``loss`` says what the value ``loss`` is, where it is not the log loss; ``output``
    is the name of the output judged, where there are several.
    """

    rows: int
    values: dict[str, float]
    labels: tuple[str, ...] = ()
    confusion: Array | None = None
    output: str = ""
    loss: str = ""


def judge(
    network: Predictor, inputs: Array, targets: Array, loss: object = None
) -> list[Judgement]:
    """Compare each of a network's outputs for encoded rows with its targets.

    ``loss`` is the one that training made small, if that is known.
    """
    record = network.preprocessing
    assert record is not None
    whole = network.objective(loss)
    wanted = targets_of(network.graph, targets)
    scale = record.scale_of(inputs)
    data = make_data(network, inputs, wanted, whole, scale=scale)
    records = records_of(network.graph, record)
    measured = metrics_of(network, whole, data, None)
    found: list[Judgement] = []
    for cost, own in zip(whole.costs, records, strict=True):
        metrics = [one for output, _, one in measured if output == cost.output]
        found.append(_judge(network, cost, own, data, metrics))
    return found


def _judge(
    network: Predictor,
    cost: Cost,
    record: Preprocessing,
    data: Data,
    metrics: Sequence[Metric],
) -> Judgement:
    """The judgement of one output: the loss is its own."""
    target = one_each(data.targets[cost.output], "evaluate")
    alone = dataclasses.replace(data, targets=(target,))
    outputs, costs = network.executor().row_costs(alone, Objective((cost,)))
    tell_not_finite([outputs[cost.output]], "evaluate")
    y = one_each(outputs[cost.output], "evaluate").reshape(data.rows, -1)
    values = {"loss": float(np.mean(costs))}
    values |= {one.name: one(target, y) for one in metrics}
    values |= _coverage(network.conformal, record, target, y)
    several = len(network.graph.outputs) > 1
    name = network.graph.output_names[cost.output] if several else ""
    word = "" if cost.loss in _LOG_LOSSES else _word(cost.loss)
    if not isinstance(record.target, Classes):
        values |= _in_units(record, y, target)
        return Judgement(data.rows, values, output=name, loss=word)
    labels = tuple(map(str, record.target.labels))
    found = confusion_matrix(target, y, threshold=cost.loss.threshold)
    values["balanced accuracy"] = float(np.nanmean(shares(found)[0]))
    if cost.activation in PROBABILITIES and np.isfinite(y).all():
        values |= _of_probabilities(target_classes(target), as_probabilities(y))
    return Judgement(data.rows, values, labels, found, name, word)


def _word(loss: Loss) -> str:
    """The name of a loss, and what makes it another than the usual one."""
    fields = {k: v for k, v in write_fields(loss).items() if k != "type"}
    options = "".join(f", {key} {value}" for key, value in fields.items())
    return f"{loss.kind}{options}".replace("_", " ")


def _of_probabilities(classes: Array, p: Array) -> dict[str, float]:
    """What rows of probabilities are worth, whatever the threshold."""
    values = {
        "log loss": log_loss(classes, p),
        "calibration error": expected_calibration_error(classes, p),
    }
    if p.shape[1] == 2:
        rarer = int(np.bincount(classes, minlength=2).argmin())
        own = (classes == rarer).astype(np.int64), p[:, [rarer]]
        values["ROC AUC"] = auc(*own)
        values["average precision"] = average_precision(*own)
    return values


def _in_units(
    record: Preprocessing, outputs: Array, targets: Array
) -> dict[str, float]:
    """Root mean square error in the units of the target."""
    if record.quantiles:
        return _of_quantiles(record, outputs, targets)
    error = record.decode_targets(outputs) - record.decode_targets(targets)
    return {"rmse": float(np.sqrt(np.mean(error**2)))}


def _of_quantiles(
    record: Preprocessing, outputs: Array, targets: Array
) -> dict[str, float]:
    """Share of the rows below each quantile, which should be the quantile itself."""
    below = (targets[:, :1] <= np.sort(outputs, axis=1)).mean(axis=0)
    return {
        f"below quantile {q:g}": float(share)
        for q, share in zip(sorted(record.quantiles), below, strict=True)
    }


def _coverage(
    conformal: Conformal | None, record: Preprocessing, targets: Array, outputs: Array
) -> dict[str, float]:
    """Share of the rows whose truth lies in their set or interval, and its size."""
    if conformal is None:
        return {}
    if conformal.gives_sets:
        sets = conformal.sets(as_probabilities(outputs), LEVEL)
        inside = sets[np.arange(len(sets)), target_classes(targets)]
        return {"coverage": float(inside.mean()), "size": float(sets.sum(1).mean())}
    y = record.decode_targets(targets[:, : len(record.target_names)])
    ends = conformal.intervals(record.decode_targets(outputs), LEVEL)
    ends = ends.reshape(*y.shape, 2)
    inside = (ends[..., 0] <= y) & (y <= ends[..., 1])
    width = (ends[..., 1] - ends[..., 0]).mean()
    return {"coverage": float(inside.mean()), "width": float(width)}
