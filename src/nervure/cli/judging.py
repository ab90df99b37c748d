# SPDX-License-Identifier: BSD-3-Clause
"""How good a network is on rows it did not learn from, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Classes
from nervure.executors import Data
from nervure.graph.objective import PROBABILITIES, Cost, Objective
from nervure.graph.summary import table
from nervure.metrics import Metric, confusion_matrix, target_classes
from nervure.network.evaluation import metrics_of
from nervure.network.inputs import make_data
from nervure.network.network import Network
from nervure.network.predicting import Predictor
from nervure.network.targets import records_of, targets_of
from nervure.uncertainty import Conformal, expected_calibration_error
from nervure.uncertainty.outputs import as_probabilities
from nervure.uncertainty.temperature import temperature_of

Array = npt.NDArray[Any]

MOST_SHOWN = 12
"""Classes up to which the whole confusion matrix is shown."""

MOST_PAIRS = 5
LEVEL = 0.9
"""Of the sets and intervals that are judged."""

_LONGEST_LABEL = 24


@dataclass(frozen=True, eq=False)
class Judgement:
    """Metrics on rows; ``confusion[true, predicted]`` counts rows, for classes.

    ``output`` is the name of the output judged, where there are several.
    """

    rows: int
    values: dict[str, float]
    labels: tuple[str, ...] = ()
    confusion: Array | None = None
    output: str = ""


def judge(network: Predictor, inputs: Array, targets: Array) -> list[Judgement]:
    """Compare each of a network's outputs for encoded rows with its targets."""
    record = network.preprocessing
    assert record is not None
    whole = network.objective()
    wanted = targets_of(network.graph, targets)
    data = make_data(network, inputs, wanted, whole, scale=record.scale)
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
    target = data.targets[cost.output]
    alone = dataclasses.replace(data, targets=(target,))
    outputs, costs = network.executor().row_costs(alone, Objective((cost,)))
    y = outputs[cost.output].reshape(data.rows, -1)
    values = {"loss": float(np.mean(costs))}
    values |= {one.name: one(target, y) for one in metrics}
    values |= _coverage(network.conformal, record, target, y)
    several = len(network.graph.outputs) > 1
    name = network.graph.output_names[cost.output] if several else ""
    if isinstance(record.target, Classes):
        labels = tuple(map(str, record.target.labels))
        found = confusion_matrix(target, y)
        if cost.activation in PROBABILITIES:
            values["calibration error"] = expected_calibration_error(target, y)
        return Judgement(data.rows, values, labels, found, name)
    return Judgement(data.rows, values | _in_units(record, y, target), output=name)


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


def reports(found: Sequence[Judgement], name: str) -> str:
    """The judgements of all outputs in lines (see `report`)."""
    return "\n".join(report(one, f"{name} {one.output}".rstrip()) for one in found)


def report(found: Judgement, name: str) -> str:
    """The judgement in lines; ``name`` is what the rows are to the network."""
    if found.confusion is None:
        others = "  ".join(
            f"{key} {value:.4g}"
            for key, value in found.values.items()
            if key not in ("coverage", "width")
        )
        line = f"{name}: {others} ({found.rows:,} rows)"
        return "\n".join([line, *_covered(found)])
    right, total = int(np.trace(found.confusion)), int(found.confusion.sum())
    lines = [
        f"{name} accuracy {100 * right / total:.1f} % ({right:,} of {total:,} rows), "
        f"loss {found.values['loss']:.4g}"
    ]
    error = found.values.get("calibration error")
    if error is not None:
        lines[0] += f", calibration error {100 * error:.1f} %"
    lines += _covered(found)
    pairs = confused(found)
    if pairs:
        lines.append(f"most confused: {', '.join(pairs)}")
    if len(found.labels) <= MOST_SHOWN:
        lines += ["", *_matrix(found), ""]
    return "\n".join(lines)


def _covered(found: Judgement) -> list[str]:
    """How often sets or intervals hold the truth, where the model gives them."""
    share = found.values.get("coverage")
    if share is None:
        return []
    what, size = "intervals", f"width {found.values.get('width', 0):.4g}"
    if "size" in found.values:
        what, size = "sets", f"{found.values['size']:.2f} classes"
    held = f"hold the truth of {100 * share:.1f} % of the rows"
    return [f"{100 * LEVEL:g} % {what} {held} ({size} on average)"]


def calibrated(network: Predictor) -> str:
    """What calibration found, in words."""
    scores = network.conformal
    assert scores is not None
    temperature = temperature_of(network) if isinstance(network, Network) else None
    words = f"calibrated on {scores.rows:,} rows kept for it ({scores.method})"
    return words + ("" if temperature is None else f", temperature {temperature:.3g}")


def confused(found: Judgement) -> list[str]:
    """The pairs of classes that are taken for each other most often, in words.

    >>> confusion = np.array([[8, 2], [0, 5]])
    >>> confused(Judgement(15, {}, ("cat", "dog"), confusion))
    ['cat taken for dog (2 of 10)']
    """
    assert found.confusion is not None
    wrong = found.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    places = [divmod(int(i), len(wrong)) for i in order]
    of = found.confusion.sum(axis=1)
    return [
        f"{_label(found, true)} taken for {_label(found, taken)} "
        f"({wrong[true, taken]:,} of {of[true]:,})"
        for true, taken in places
        if wrong[true, taken] > 0
    ]


def _label(found: Judgement, index: int) -> str:
    label = found.labels[index]
    return (
        label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 3]}..."
    )


def _matrix(found: Judgement) -> list[str]:
    assert found.confusion is not None
    names = [_label(found, i) for i in range(len(found.labels))]
    rows = [
        [name, *(f"{count:,}" if count else "." for count in counts)]
        for name, counts in zip(names, found.confusion.tolist(), strict=True)
    ]
    return table(["true \\ predicted", *names], rows, numbers=len(names))
