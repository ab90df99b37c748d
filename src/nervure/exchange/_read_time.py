# SPDX-License-Identifier: BSD-3-Clause
"""An open axis of time in an ONNX graph, as `nervure.exchange._write_time` writes it.

A value whose steps are rows of their own, ``(rows time, ...)``, is held as any other:
its layer gives a value for each step. Beside it stands what is *apart*, ``(rows, time,
...)`` in whatever order of axes: moving them changes their names. What else a graph
works out of such values is for `nervure.exchange._read_terms` to know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from nervure.exchange._held import Held, Known, NotCoveredError, in_shape, plain
from nervure.exchange._held import in_order as as_in_onnx
from nervure.exchange._open_time import (
    ROW,
    TIME,
    Apart,
    Term,
    apart,
    is_open,
    length,
    number,
    same,
    steps,
    term,
)
from nervure.exchange._read_sequences import KINDS, Place, final, layer_of, only_forward
from nervure.exchange._read_terms import TERMS
from nervure.exchange._reader import Op, Reader, Value
from nervure.layers import Input, Layer, Reshape, Shape, Symbol

_KEPT = (
    "Add And Cast Concat Cos Gather Greater GreaterOrEqual Less MatMul Mul Range Shape "
    "Sin Slice Softmax Squeeze Sub Unsqueeze Where"
)
KEPT = frozenset(_KEPT.split())
"""Operators of which terms are made."""


def begin(reader: Reader, name: str, rest: Shape, clock: str) -> tuple[Layer, Apart]:
    """An input of sequences of any length, and its value; ``clock`` is what the file
    calls the axis of time, which inputs may have in common."""
    layer = Input((None, *rest), name=reader.named(name))
    reader.clocks[str(layer.name)] = clock
    symbol: Symbol | Layer = layer if rest else Symbol(Reshape((1,)), (layer,))
    axes = tuple(range(len(rest)))
    return layer, Apart(symbol, rest, axes, lay=(ROW, TIME, *axes))


def read_open(op: Op) -> tuple[Value | None, ...]:
    """The outputs of an operator, some inputs of which have an open axis of time."""
    if op.kind in KINDS:
        return _recurrent(op)
    if op.kind in _READ:
        found = _READ[op.kind](op)
        if found is not None:
            return (found,)
    if op.kind in KEPT:
        return (term(op),)
    raise NotCoveredError("no layer does so along an open axis of time")


def ending(value: Value) -> Held | None:
    """An output as the network gives it; None where no layer gives it."""
    if isinstance(value, Apart) and value.usual:
        return as_in_onnx(steps(value))
    return None


# -- shapes ----------------------------------------------------------------------------


def _shape(op: Op) -> Value | None:
    x = op.value()
    asked = (op.attribute("start", 0), op.attribute("end"))
    if isinstance(x, Apart) and x.usual and asked == (1, 2):
        return length(op, x)
    return None


def _reshape(op: Op) -> Value | None:
    x, wanted = op.value(0), op.value(1)
    if isinstance(wanted, Term):
        return _taken_apart(op, x, wanted)
    if not isinstance(x, Apart) or not x.usual:
        return None
    shape: list[int] = wanted.array.tolist() if isinstance(wanted, Known) else []
    if shape[:1] == [-1]:
        return in_shape(steps(x), _rest(x, shape[1:]))
    if shape[:2] == [0, 0] and not op.attribute("allowzero", 0):
        return apart(in_shape(steps(x), _rest(x, shape[2:])))
    return None


def _rest(x: Held, shape: Sequence[int]) -> Shape:
    if min(shape, default=1) < 1 or math.prod(shape) != math.prod(x.shape):
        raise NotCoveredError(f"steps of shape {x.shape} to {tuple(shape)}")
    return tuple(shape)


def _taken_apart(op: Op, x: Value, wanted: Term) -> Value | None:
    """``(rows, time, ...)``, by the shape that a Concat has put together."""
    if isinstance(x, Known | Apart) or wanted.kind != "Concat":
        return None
    shape: list[int] = []
    if len(wanted.parts) == 3 and isinstance(last := wanted.parts[2], Known):
        shape = last.array.tolist()
    elif len(wanted.parts) != 2:
        return None
    found = apart(in_shape(x, _rest(x, shape)))
    fits = same(wanted.parts[0], number([-1]))
    return found if fits and same(wanted.parts[1], length(op, found)) else None


def _transpose(op: Op) -> Value | None:
    x = op.value()
    perm: list[int] = op.attribute("perm") or []
    if not isinstance(x, Apart) or sorted(perm) != list(range(len(x.lay))):
        return None
    return replace(x, lay=tuple(x.lay[axis] for axis in perm))


def _squeeze(op: Op) -> Value | None:
    """A direction of a recurrent operator goes."""
    x = op.value()
    if not isinstance(x, Apart):
        return None
    axes: list[int] = op.constant(1, "axes") or []
    if len(axes) != 1 or not -len(x.lay) <= axes[0] < len(x.lay):
        return None
    own = x.lay[axes[0]]
    if not isinstance(own, int) or x.shape[own] != 1:
        return None
    kept = [axis for axis in x.lay if axis != own]
    lay = tuple(a - 1 if isinstance(a, int) and a > own else a for a in kept)
    shape = tuple(n for axis, n in enumerate(x.shape) if axis != own)
    return apart(in_shape(steps(x), shape), lay)


# -- recurrent operators ---------------------------------------------------------------


def _recurrent(op: Op) -> tuple[Value | None, ...]:
    """All steps ``(time, directions, rows, units)``, and the final states."""
    x = op.value()
    if not isinstance(x, Apart) or x.lay != (TIME, ROW, 0):
        raise NotCoveredError("sequences that do not lie as (time, rows, features)")
    if any(map(is_open, op.inputs[1:])) or op.given(4) is not None:
        raise NotCoveredError("lengths, or first states, along an open axis of time")
    only_forward(op)
    own = replace(op, inputs=tuple(map(_rows_first, op.inputs)), rows=1)
    place = layer_of(own)
    symbol = _placed(place, steps(x))
    layer, whole = place.layer, place.layer.return_sequences
    every = None
    if whole:
        held = in_shape(plain(symbol, (layer.units,)), (1, layer.units))
        every = apart(held, (TIME, 0, ROW, 1))
    states = range(len(type(layer).states))
    ends = (final(own, [symbol], i, whole) for i in states)
    return (every, *(end and replace(end, rows=1) for end in ends))


def _rows_first(x: Value | None) -> Value | None:
    return replace(x, rows=0) if isinstance(x, Held) else x


def _placed(place: Place, x: Held) -> Symbol:
    op, layer = place.op, place.layer
    given = place.states(len(type(layer).states))
    return op.reader.weighted(layer, place.weights, op.name, as_in_onnx(x), *given)


_READ: dict[str, Callable[[Op], Value | None]] = {
    **TERMS,
    "Reshape": _reshape,
    "Shape": _shape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
}
