# SPDX-License-Identifier: BSD-3-Clause
"""How good a network is on rows it did not learn from, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.preprocessing import Classes, Preprocessing
from nervure.metrics import confusion_matrix
from nervure.network import Network
from nervure.summary import table
from nervure.training.evaluation import measure, metrics_of
from nervure.training.prepare import make_data

Array = npt.NDArray[Any]

MOST_SHOWN = 12
"""Classes up to which the whole confusion matrix is shown."""

MOST_PAIRS = 5
_LONGEST_LABEL = 24


@dataclass(frozen=True, eq=False)
class Judgement:
    """Metrics on rows; ``confusion[true, predicted]`` counts rows, for classes."""

    rows: int
    values: dict[str, float]
    labels: tuple[str, ...] = ()
    confusion: Array | None = None


def judge(network: Network, inputs: Array, targets: Array) -> Judgement:
    """Compare a network's outputs for encoded rows with their targets."""
    record = network.preprocessing
    scale = 1.0 if record is None else record.scale
    objective = network.objective()
    data = make_data(network, inputs, targets, objective, scale=scale)
    outputs, costs = network.executor().row_costs(data, objective)
    measured = metrics_of(network, objective, data, None)
    values = {"loss": float(np.mean(costs))}
    values |= measure(measured, outputs, data.targets, None)
    if record is not None and isinstance(record.target, Classes):
        labels = tuple(map(str, record.target.labels))
        flat = outputs[0].reshape(len(outputs[0]), -1)
        found = confusion_matrix(data.targets[0], flat)
        return Judgement(len(inputs), values, labels, found)
    return Judgement(len(inputs), values | _in_units(record, outputs[0], targets))


def _in_units(
    record: Preprocessing | None, outputs: Array, targets: Array
) -> dict[str, float]:
    """Root mean square error in the units of the target."""
    if record is None:
        return {}
    rows = outputs.reshape(len(outputs), -1)
    error = record.decode_targets(rows) - record.decode_targets(targets)
    return {"rmse": float(np.sqrt(np.mean(error**2)))}


def report(found: Judgement, name: str) -> str:
    """The judgement in lines; ``name`` is what the rows are to the network."""
    if found.confusion is None:
        others = "  ".join(f"{key} {value:.4g}" for key, value in found.values.items())
        return f"{name}: {others} ({found.rows:,} rows)"
    right, total = int(np.trace(found.confusion)), int(found.confusion.sum())
    lines = [
        f"{name} accuracy {100 * right / total:.1f} % ({right:,} of {total:,} rows), "
        f"loss {found.values['loss']:.4g}"
    ]
    pairs = confused(found)
    if pairs:
        lines.append(f"most confused: {', '.join(pairs)}")
    if len(found.labels) <= MOST_SHOWN:
        lines += ["", *_matrix(found), ""]
    return "\n".join(lines)


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
