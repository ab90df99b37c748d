# SPDX-License-Identifier: BSD-3-Clause
"""Values with an open axis of time: steps beside their rows, and what is made of them.

A value whose steps are rows of their own, ``(rows time, ...)``, is held as any other:
its layer gives a value for each step. Beside it stands what is *apart*, ``(rows, time,
...)`` in whatever order of axes. What a graph works out of such values and of the
number of their steps is kept as a *term*, until it shows to be what a layer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nervure.exchange._held import Held, Known, NotCoveredError
from nervure.exchange._held import in_order as as_in_onnx
from nervure.exchange._reader import Op, Reader, Value
from nervure.layers import Input, Layer, Symbol
from nervure.layers._layer import Port

Axes = tuple[int | str, ...]

ROW, TIME = "row", "time"

_SAID = ("axis", "end", "start", "to")


@dataclass(frozen=True, eq=False)
class Apart(Held):
    """Steps beside their rows.

    ``symbol`` and ``shape`` are of one step, which lies as ONNX has it; ``lay`` says
    which axis stands where: `ROW`, `TIME`, or the number of an axis of a step.
    """

    lay: Axes = ()

    @property
    def usual(self) -> bool:
        """Whether it is ``(rows, time, ...)``."""
        return self.lay == (ROW, TIME, *range(len(self.shape)))


@dataclass(frozen=True, eq=False)
class Term(Known):
    """What an operator makes of values apart: the operator, and what it was given."""

    kind: str = ""
    parts: tuple[Value, ...] = ()
    said: tuple[tuple[str, Any], ...] = ()


def is_open(value: Value | None) -> bool:
    """Whether a value has an open axis of time, or comes of one."""
    return isinstance(value, Apart | Term)


def steps(x: Apart) -> Held:
    """The steps as rows of their own."""
    return Held(x.symbol, x.shape, x.axes, x.order)


def apart(x: Held, lay: Axes | None = None) -> Apart:
    x = as_in_onnx(x)
    axes = tuple(range(len(x.shape)))
    return Apart(x.symbol, x.shape, axes, lay=lay or (ROW, TIME, *axes))


# -- terms -----------------------------------------------------------------------------


def term(op: Op) -> Term:
    parts = tuple(op.value(i) for i in range(len(op.inputs)))
    said = tuple((name, op.attribute(name)) for name in _SAID)
    return made(op.kind, *parts, said=said)


def made(kind: str, *parts: Value, said: tuple[tuple[str, Any], ...] = ()) -> Term:
    given = tuple((name, value) for name, value in said if value is not None)
    return Term(np.empty(0, object), kind=kind, parts=parts, said=given)


def of(kind: str, *parts: Value, **said: Any) -> Term:
    """The term that a layer would be written as."""
    return made(kind, *parts, said=tuple(sorted(said.items())))


def number(value: float | Sequence[int]) -> Known:
    return Known(np.array(value))


def length(op: Op, x: Apart) -> Term:
    """The number of steps, by the input that says it."""
    clock = clock_of(op.reader, x.symbol)
    if clock is None:
        raise NotCoveredError("steps of which no input says how many there are")
    return of("Length", of=clock)


def clock_of(reader: Reader, symbol: Symbol | Layer) -> str | None:
    """What the file calls the axis of time that a value has a step of, if it has."""
    known, stack = reader.followed, [symbol]
    while stack:
        one = stack[-1]
        unknown = [feed for feed in _leading(one) if id(feed) not in known]
        if unknown and id(one) not in known:
            stack += unknown
            continue
        known[id(stack.pop())] = (one, _own_clock(reader, one))
    return known[id(symbol)][1]


def _leading(one: Symbol | Layer) -> tuple[Symbol | Layer, ...]:
    """Of what feeds a layer those whose clock it may follow."""
    if isinstance(one, Layer | Port):
        return ()
    if not one.layer.sequences:
        return one.inputs
    return one.inputs[:1] if one.layer.keeps_time else ()


def _own_clock(reader: Reader, one: Symbol | Layer) -> str | None:
    """The clock of a layer, those of what feeds it being known."""
    if isinstance(one, Layer):
        return reader.clocks.get(str(one.name)) if isinstance(one, Input) else None
    clocks = (reader.followed[id(feed)][1] for feed in _leading(one))
    return next((clock for clock in clocks if clock is not None), None)


def same(one: Value, other: Value) -> bool:
    """Whether two values are worked out alike, of the same values.

    One of them is what a layer would be written as: it is small, whatever a file holds.
    """
    if isinstance(one, Term) and isinstance(other, Term):
        alike = (one.kind, one.said, len(one.parts)) == (
            other.kind,
            other.said,
            len(other.parts),
        )
        return alike and all(map(same, one.parts, other.parts))
    if isinstance(one, Term) or isinstance(other, Term):
        return False
    if isinstance(one, Known) and isinstance(other, Known):
        a, b = (x.array.astype(np.float32) for x in (one, other))
        return a.shape == b.shape and bool((a == b).all())
    if isinstance(one, Known) or isinstance(other, Known):
        return False
    lays = [x.lay if isinstance(x, Apart) else None for x in (one, other)]
    return (
        one.symbol is other.symbol and one.shape == other.shape and lays[0] == lays[1]
    )


def float_of(op: Op) -> int:
    """ONNX's number of the type that the graph computes in."""
    return type_of("DOUBLE" if op.reader.double else "FLOAT")


def type_of(word: str) -> int:
    from onnx import TensorProto

    return TensorProto.DataType.Value(word)
