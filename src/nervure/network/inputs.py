# SPDX-License-Identifier: BSD-3-Clause
"""From what the user gives to the arrays that executors read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.memory import check_memory
from nervure.base.words import many, unknown
from nervure.data.labels import Labels
from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import Ragged
from nervure.data.records import Reconstruction, TableInput, Text
from nervure.executors import Data
from nervure.graph.graph import Graph
from nervure.graph.objective import Cost, Objective
from nervure.metrics import several_answers
from nervure.network.predicting import Reader
from nervure.network.targets import check_outputs
from nervure.network.weighing import weigh

Rows = npt.NDArray[np.int64]
Values = npt.NDArray[Any]


def without_targets(y: Any) -> None:
    """Raises where targets are given that a Dataset brings itself."""
    if y is not None:
        raise ValueError(
            "[fit] y beside a Dataset; expected its own targets; leave y out, or pass "
            "dataset.inputs and y"
        )


def make_data(
    net: Reader,
    X: Any,
    y: Any,
    objective: Objective,
    sample_weight: Any = None,
    class_weight: Any = None,
    scale: float = 1.0,
) -> Data:
    """Inputs, targets and weights as the executors take them."""
    if y is None:
        raise ValueError(
            "[fit] no targets; expected y, or a Dataset from nervure.data.load; pass "
            "them as the third argument"
        )
    inputs, given = net.arrays(X), net.targets(y, objective)
    targets = objective.check_targets(net.graph, given, net.dtype)
    for array, name in zip(targets, net.graph.output_names, strict=True):
        if len(array) != len(inputs[0]):
            raise ValueError(
                f"[fit] {len(array)} targets for {name!r}, but {len(inputs[0])} rows "
                "of inputs; expected as many; give exactly one target per row"
            )
    check_lengths(net.graph, objective, inputs, targets)
    check_alignments(net.graph, objective, inputs, targets)
    scales = tuple(scale for _ in inputs)
    own, own_steps = weigh(objective, given, targets, sample_weight)
    weights, steps = own, own_steps
    if class_weight is not None:
        weights, steps = weigh(objective, given, targets, sample_weight, class_weight)
    answers = tuple(map(_answers, objective.costs, given))
    return Data(
        inputs,
        targets,
        weights,
        scales,
        row_weights=own,
        step_weights=steps,
        own_step_weights=own_steps,
        answers=answers,
    )


def check_lengths(
    graph: Graph,
    objective: Objective,
    inputs: tuple[Any, ...],
    targets: tuple[Any, ...],
) -> None:
    """Raise for a row with another number of targets than its sequence has steps."""
    for cost, target in zip(objective.costs, targets, strict=True):
        clock = graph.nodes[graph.outputs[cost.output]].clock
        if cost.places or clock is None or cost.loss.aligns:
            continue
        lengths = inputs[graph.inputs.index(clock)].lengths
        wrong = np.flatnonzero(lengths != target.lengths)
        if len(wrong):
            row = wrong[0]
            raise ValueError(
                f"[fit] row {row} has {target.lengths[row]} targets for "
                f"{graph.output_names[cost.output]!r}, but {lengths[row]} steps; "
                "expected as many; give each step a target, or weigh those 0 that "
                "have none"
            )


def check_alignments(
    graph: Graph,
    objective: Objective,
    inputs: tuple[Any, ...],
    targets: tuple[Any, ...],
) -> None:
    """Raise for a row whose labels cannot be aligned with its steps, being too few."""
    for cost, target in zip(objective.costs, targets, strict=True):
        if not isinstance(target, Labels):
            continue
        clock = graph.nodes[graph.outputs[cost.output]].clock
        steps = np.full(len(target), cost.places)
        if clock is not None:
            steps = inputs[graph.inputs.index(clock)].lengths
        needed = cost.loss.fewest_steps(target.values, target.rows, len(target))
        if (needed > steps).any():
            raise _impossible(cost, graph, target, steps, needed)
        most = cost.loss.room(int(steps.max()), int(target.counts.max()))
        what = "the alignments of the longest row"
        check_memory(most, cost.loss.kind, what, "cut the row, or leave it out")


def _impossible(
    cost: Cost, graph: Graph, target: Labels, steps: Rows, needed: Rows
) -> ValueError:
    row = int(np.argmax(needed > steps))
    labels = int(target.counts[row])
    again = int(needed[row]) - labels
    repeats = f", {again} of them like the one before," if again else ""
    return ValueError(
        f"[{cost.loss.kind}] row {row} has {many(labels, 'label')}{repeats} but only "
        f"{many(int(steps[row]), 'step')} in {graph.output_names[cost.output]!r}; "
        f"expected at least {needed[row]}; give it more steps (less pooling, smaller "
        "strides), or leave the row out"
    )


def without_labels(objective: Objective) -> None:
    """Raise where a loss wants sequences of labels, which no data set brings."""
    for cost in objective.costs:
        if cost.loss.aligns:
            raise cost.loss.fail(
                "the targets of a data set are one for each row; expected a sequence "
                "of labels",
                "in Python, nv.fit(net, dataset.inputs, y) takes a list of labels for "
                "each row",
            )


def _answers(cost: Cost, given: Values | Ragged) -> bool:
    """Whether rows of a target answer several questions, instead of naming one class.

    The output layer and the loss decide; where they leave it open (values between an
    output and a loss of values), all rows of the data together.
    """
    if cost.loss.aligns:
        return False
    values = given.values if isinstance(given, Ragged) else given
    if values.size == len(values):
        return False
    known = cost.loss.answers(cost.activation)
    return several_answers(values.reshape(len(values), -1), known)


def check_categories(graph: Graph, record: Preprocessing) -> None:
    """Raise for a column of codes that the network would read as a number."""
    if not isinstance(record.inputs, TableInput):
        return
    embedded = record.inputs.embedded
    place = record.inputs.width - sum(column.width for column in embedded)
    found = {
        int(column): int(size)
        for codes in graph.codes
        for column, size in zip(codes.columns, codes.sizes, strict=True)
    }
    for column in embedded:
        places = range(place, place + column.width)
        place = places.stop
        if min(found.get(each, 0) for each in places) < column.codes:
            otherwise = "drop" if isinstance(column, Text) else "one_hot"
            raise ValueError(
                f"[fit] column {column.name!r} holds codes from 0 to "
                f"{column.codes - 1}; expected an embedding of {column.codes} "
                "categories that reads it; begin the network with "
                "dataset.entrance(), or load the data with "
                f"columns={{{column.name!r}: {otherwise!r}}}"
            )


def check_record(graph: Graph, record: Preprocessing) -> None:
    """Raises `ValueError` where a network is not one for rows of this record."""
    shapes = graph.input_shapes
    if len(shapes) != 1 or math.prod(shapes[0]) != math.prod(record.shape):
        raise ValueError(
            f"inputs of shape {' and '.join(map(str, shapes))} for rows of shape "
            f"{record.shape}; expected one input, of as many numbers"
        )
    check_outputs(graph, record)
    check_categories(graph, record)
    target = record.target
    if isinstance(target, Reconstruction) and target.code not in graph.groups:
        raise ValueError(unknown("autoencoder", "layer", target.code, graph.groups))
