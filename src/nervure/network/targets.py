# SPDX-License-Identifier: BSD-3-Clause
"""What each output of a network is about, where a data set has one table of targets.

Outputs that have, all together, as many numbers as there are columns of amounts share
the columns out in turn. Else each of them is about the whole target, as the auxiliary
classifiers of a deep network are.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.words import many
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Amounts, Reconstruction
from nervure.graph.graph import Graph

Array = npt.NDArray[Any]


def targets_of(graph: Graph, targets: Array) -> Array | list[Array]:
    """A data set's targets as `fit` takes them: one array, or one for each output.

    >>> import nervure as nv
    >>> x = nv.Input(2)
    >>> net = nv.Network(inputs=x, outputs=[nv.Dense(1)(x), nv.Dense(2)(x)])
    >>> [part.shape for part in targets_of(net.graph, np.zeros((5, 3)))]
    [(5, 1), (5, 2)]
    >>> [part.shape for part in targets_of(net.graph, np.zeros(5, np.int32))]
    [(5,), (5,)]
    """
    if len(graph.outputs) == 1:
        return targets
    if targets.ndim == 1:
        return [targets for _ in graph.outputs]
    return [targets[:, columns] for columns in _columns(graph, targets.shape[1])]


def records_of(graph: Graph, record: Preprocessing) -> list[Preprocessing]:
    """For each output the record whose target is what that output is about."""
    target = record.target
    if not isinstance(target, Amounts):
        return [record for _ in graph.outputs]
    parts = [
        dataclasses.replace(
            target, names=target.names[c], mean=target.mean[c], scale=target.scale[c]
        )
        for c in _columns(graph, len(target.names))
    ]
    return [dataclasses.replace(record, target=part) for part in parts]


def check_outputs(graph: Graph, record: Preprocessing) -> None:
    """Raise where an output gives other numbers than the record's targets are made of.

    As many as there are classes (or one for two of them), amounts, or quantiles.

    Raises:
        ValueError: the text says what is wrong and what was expected.
    """
    outputs = list(zip(graph.output_names, graph.output_shapes, strict=True))
    records = records_of(graph, record)
    if isinstance(record.target, Reconstruction):  # others are terms of the cost
        outputs, records = outputs[:1], records[:1]
    for (name, shape), own in zip(outputs, records, strict=True):
        found, each = math.prod(shape), len(own.quantiles) or 1
        wanted = each * own.outputs
        one_for_two = own.task == "classification" and (found, wanted) == (1, 2)
        if found != wanted and not one_for_two:
            what = "class" if own.task == "classification" else "amount"
            what = "quantile" if own.quantiles else what
            what = "input" if own.task == "reconstruction" else what
            raise ValueError(
                f"output {name!r} gives {many(found, 'number')} for a target of "
                f"{many(wanted, what)}; expected one for each"
            )


def _columns(graph: Graph, count: int) -> list[slice]:
    sizes = [math.prod(shape) for shape in graph.output_shapes]
    if sum(sizes) != count:
        return [slice(0, count) for _ in sizes]
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
