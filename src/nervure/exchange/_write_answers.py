# SPDX-License-Identifier: BSD-3-Clause
"""What a network gives, in the user's terms, as ONNX operators.

The names are those that sklearn-onnx gives to a classifier's and a regressor's outputs:
``label`` and ``probabilities``, or ``variable``. Where a network has several outputs,
the name of each stands before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Amounts, Classes, Reconstruction
from nervure.exchange._writer import Value, Writer
from nervure.graph.graph import Graph
from nervure.graph.objective import activation_of, answering
from nervure.network.targets import records_of


@dataclass(frozen=True)
class Answer:
    """An output of the model: the value that it shows, its type and shape."""

    name: str
    dtype: Any
    shape: tuple[int | str, ...]


def answer_names(graph: Graph, record: Preprocessing | None) -> list[str]:
    """Names of the outputs."""
    names = graph.output_names
    if record is None or isinstance(record.target, Reconstruction):
        return list(names)
    classes = record.task == "classification"
    words = ("label", "probabilities") if classes else ("variable",)
    return [f"{_prefix(graph, name)}{word}" for name in names for word in words]


def _prefix(graph: Graph, name: str) -> str:
    return f"{name}_" if len(graph.outputs) > 1 else ""


def plain_answers(
    writer: Writer, ends: Sequence[Value], shapes: Sequence[tuple[int | str, ...]]
) -> list[Answer]:
    """The network's outputs as they are."""
    return [
        Answer(writer.as_last(y).name, writer.dtype, shape)
        for y, shape in zip(ends, shapes, strict=True)
    ]


def answers(
    writer: Writer, graph: Graph, record: Preprocessing, ends: Sequence[Value]
) -> list[Answer]:
    """Labels and probabilities, or amounts in their units."""
    found: list[Answer] = []
    names, records = graph.output_names, records_of(graph, record)
    for i, (name, own, y) in enumerate(zip(names, records, ends, strict=True)):
        y, prefix = writer.as_last(y), _prefix(graph, name)
        target: Any = own.target
        if isinstance(target, Reconstruction):
            found.append(Answer(y.name, writer.dtype, y.shape))
        elif isinstance(target, Classes):
            logs = activation_of(graph.nodes[answering(graph, i)].layer)
            flat = _flat(writer, y, name)
            found += _classes(writer, target, flat, logs == "log_softmax", prefix)
        else:
            found.append(_amounts(writer, target, _flat(writer, y, name), prefix))
    return found


def _flat(writer: Writer, y: Value, name: str) -> Value:
    if len(y.shape) == 1:
        return y
    size = int(np.prod(y.shape))
    return Value(writer.reshaped(y.name, (size,), f"{name}.flat"), (size,))


def _classes(
    writer: Writer, target: Classes, y: Value, logs: bool, prefix: str
) -> list[Answer]:
    """One logistic output is the probability of the second class."""
    name = f"{prefix}answer"
    p, count = y.name, y.shape[0]
    if logs:
        p = writer.node("Exp", [p], f"{name}.probabilities")
    if count == 1:
        one = writer.constant(1.0, f"{name}.one")
        other = writer.node("Sub", [one, p], f"{name}.other")
        p, count = writer.node("Concat", [other, p], f"{name}.both", axis=1), 2
        half = writer.constant(0.5, f"{name}.half")
        above = writer.node("Greater", [y.name, half], f"{name}.above")
        column = writer.cast(above, np.int64, f"{name}.column")
        axis = writer.integers([1], f"{name}.axis")
        index = writer.node("Squeeze", [column, axis], f"{name}.index")
    else:
        index = writer.node("ArgMax", [y.name], f"{name}.index", axis=1, keepdims=0)
    labels = np.array(target.labels)
    listed = writer.constant(labels, f"{name}.labels", labels.dtype)
    label = writer.node("Gather", [listed, index], f"{name}.label")
    return [
        Answer(label, labels.dtype, ()),
        Answer(p, writer.dtype, (count,)),
    ]


def _amounts(writer: Writer, target: Amounts, y: Value, prefix: str) -> Answer:
    """``y * scale + mean``, in double as `Preprocessing.decode_targets` does."""
    name, double = f"{prefix}answer", np.dtype(np.float64)
    wide = y.name
    if writer.dtype != double:
        wide = writer.cast(wide, double, f"{name}.wide")
    scale, mean = (
        writer.constant(numbers, f"{name}.{word}", double)
        for word, numbers in (("scale", target.scale), ("mean", target.mean))
    )
    scaled = writer.node("Mul", [wide, scale], f"{name}.scaled")
    found = writer.node("Add", [scaled, mean], f"{name}.amounts")
    return Answer(found, double, y.shape)
