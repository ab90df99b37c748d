# SPDX-License-Identifier: BSD-3-Clause
"""Sequences of any length in an ONNX graph: their steps are rows of their own.

What follows the lengths of an input is held as ``(batch * time, ...)``, so that layers
which act on each step are written as ever. A layer along time gets ``(batch, time,
...)``, with `OPEN` for the number of steps, and so do the outputs. All sequences of one
call have the same length: ONNX has no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nervure.exchange._writer import Value, Writer
from nervure.graph.graph import Graph

OPEN = 0
"""Stands for a number of steps; in a new shape ONNX takes 0 for the extent it had."""


@dataclass(frozen=True)
class Times:
    """The number of steps by the input that says it, as values ``(1,)``."""

    graph: Graph
    names: Mapping[int, str]

    @classmethod
    def of(cls, writer: Writer, graph: Graph, raw: Sequence[str]) -> Times:
        """Those of the inputs with these names, where they are sequences."""
        inputs = dict(zip(graph.inputs, raw, strict=False))
        return cls(
            graph, {clock: steps(writer, inputs[clock]) for clock in graph.clocks}
        )

    def packed(self, writer: Writer, x: Value) -> Value:
        """The steps of all rows one behind the other, where there is a time axis."""
        if x.shape[:1] != (OPEN,):
            return x
        rest = x.shape[1:]
        shape = writer.integers((-1, *rest), f"{x.name}.steps.shape")
        return Value(writer.node("Reshape", [x.name, shape], f"{x.name}.steps"), rest)

    def apart(self, writer: Writer, x: Value, node: int) -> Value:
        """The value of a node, along time if it is: ``(batch, time, ...)``."""
        clock = self.graph.nodes[node].clock
        if clock is None:
            return x
        last = writer.as_last(x)
        parts = [
            writer.integers((-1,), f"{x.name}.rows"),
            self.names[clock],
            *([writer.integers(x.shape, f"{x.name}.rest")] if x.shape else []),
        ]
        shape = writer.node("Concat", parts, f"{x.name}.time.shape", axis=0)
        name = writer.node("Reshape", [last.name, shape], f"{x.name}.time")
        return Value(name, (OPEN, *x.shape))


def steps(writer: Writer, x: str) -> str:
    """The extent of the time axis, ``(1,)``."""
    return writer.node("Shape", [x], f"{x}.length", start=1, end=2)


def counted(writer: Writer, extent: str, name: str) -> str:
    """0, 1, ... below an extent ``(1,)``."""
    axis = writer.integers([0], f"{name}.axis")
    most = writer.node("Squeeze", [extent, axis], f"{name}.most")
    zero, one = (
        writer.constant(number, f"{name}.{word}", "int64")
        for number, word in ((0, "first"), (1, "step"))
    )
    return writer.node("Range", [zero, most, one], name)
