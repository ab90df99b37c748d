# SPDX-License-Identifier: BSD-3-Clause
"""Rows that are not the first axis, as around recurrent operators.

An operator reads its inputs as if their rows came first. Most leave the rows at their
axis; those below move them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nervure.exchange import _read_shapes as shapes
from nervure.exchange._held import (
    ROWS,
    Held,
    Known,
    NotCoveredError,
    in_shape,
    transposed,
)
from nervure.exchange._read_numbers import Read
from nervure.exchange._reader import Op, Value, bounded
from nervure.layers import Shape

_KEEPING = (
    "Abs Add Cast CastLike Ceil Celu Clip Concat Cos Div Dropout Elu Erf Exp "
    "Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Log LogSoftmax MatMul "
    "Max Min Mish Mul Neg PRelu Pow Reciprocal Relu Round Selu Shape Sigmoid "
    "Sign Sin Slice Softmax Softplus Softsign Split Sqrt Sub Sum Swish Tanh "
    "ThresholdedRelu"
)
KEEPING = frozenset(_KEEPING.split())
"""Operators that leave the rows at their axis, wherever that is."""


def parted(inputs: Sequence[Value | None]) -> tuple[tuple[Value | None, ...], int]:
    """Inputs as if their rows came first, and the axis that they have.

    Raises:
        NotCoveredError: they have several.
    """
    found = {x.rows for x in inputs if isinstance(x, Held)}
    if len(found) > 1:
        raise NotCoveredError(f"rows on axes {', '.join(map(str, sorted(found)))}")
    first = tuple(replace(x, rows=0) if isinstance(x, Held) else x for x in inputs)
    return first, found.pop() if found else 0


def keeping(read: Read) -> Read:
    """An operator whose rows stay at their axis."""

    def stay(op: Op) -> Value | tuple[Value | None, ...] | None:
        if op.rows and op.kind not in KEEPING:
            raise NotCoveredError(f"rows on axis {op.rows}")
        if op.rows:
            _check_constants(op)
        found = read(op)
        if isinstance(found, tuple):
            return tuple(_stamped(x, op.rows) for x in found)
        return _stamped(found, op.rows)

    return stay


def _stamped(x: Value | None, rows: int) -> Value | None:
    return replace(x, rows=rows) if isinstance(x, Held) else x


def _check_constants(op: Op) -> None:
    """A constant must not reach to the rows."""
    if op.kind in ("Slice", "Split", "MatMul"):
        return
    behind = min(len(x.shape) for x in op.inputs if isinstance(x, Held)) - op.rows
    for x in op.inputs:
        if isinstance(x, Known) and (op.kind == "Concat" or x.array.ndim > behind):
            raise NotCoveredError(
                f"a constant of shape {x.array.shape} meets rows on axis {op.rows}"
            )


def transpose(op: Op) -> Held:
    x = op.held()
    rank, lead = len(x.shape), op.reader.lead
    perm = list(op.attribute("perm") or reversed(range(rank + lead)))
    if sorted(perm) != list(range(rank + lead)):
        raise NotCoveredError(f"perm {perm} of {rank + lead} axes")
    if not lead:
        return transposed(x, op.axes(perm, rank))
    place = perm.index(op.rows)
    axes = op.axes([axis for axis in perm if axis != op.rows], rank)
    return replace(transposed(x, axes), rows=place)


def reshape(op: Op) -> Held:
    """The rows come out where as many elements stand before them as did before."""
    if not op.rows:
        return shapes.reshape(op)
    x = op.held()
    whole = op.shape_of(x)
    wanted = shapes.asked(op, whole)
    before, size = math.prod(x.shape[: op.rows]), math.prod(x.shape)
    for place in _places(wanted):
        rest = [n for i, n in enumerate(wanted) if i != place]
        if not any(n is ROWS for n in rest) and rest.count(-1) < 2:
            shape = shapes.filled(rest, size)
            if math.prod(shape[:place]) == before:
                return replace(in_shape(x, shape), rows=place)
    raise NotCoveredError(f"{whole} to {wanted}")


def _places(wanted: Sequence[Any]) -> list[int]:
    """Where the rows may be: where it says so, else at an extent of 1 or -1."""
    told = [i for i, n in enumerate(wanted) if n is ROWS]
    return told or [i for i, n in enumerate(wanted) if n in (1, -1)]


def squeeze(op: Op) -> Held:
    found = shapes.squeeze(op)
    before = sum(axis < op.rows for axis in shapes.squeezed(op, op.held()))
    return replace(found, rows=op.rows - before)


def unsqueeze(op: Op) -> Held:
    """New axes are counted among those of the output."""
    x = op.held()
    axes: list[int] = op.constant(1, "axes") or []
    whole = len(x.shape) + op.reader.lead + len(axes)
    new = {axis % whole for axis in axes}
    old = [i for i in range(whole) if i not in new]
    rows = old[op.rows] if op.reader.lead else 0
    return replace(shapes.unsqueeze(replace(op, rows=rows)), rows=rows)


def gather(op: Op) -> Held:
    """An axis before the rows goes, or becomes several."""
    found = shapes.gather(op)
    indices = op.given(1)
    axis = op.attribute("axis", 0)
    if not op.rows or not isinstance(indices, Known):
        return found
    whole = len(op.held().shape) + op.reader.lead
    more = indices.array.ndim - 1 if axis % whole < op.rows else 0
    return replace(found, rows=op.rows + more)


def expand(op: Op) -> Held:
    """A constant for rows on another axis than the first: as first states are made."""
    given, wanted = op.value(0), op.known(1, "shape").tolist()
    place = next((i for i, n in enumerate(wanted) if n is ROWS), 0)
    if not isinstance(given, Known) or not place:
        return shapes.expand(op)
    array = given.array.reshape(
        (1,) * (len(wanted) - given.array.ndim) + given.array.shape
    )
    if array.ndim != len(wanted) or array.shape[place] != 1:
        raise NotCoveredError(f"{given.array.shape} to {wanted}")
    return _for_rows(op, np.take(array, 0, place), wanted, place, given.learned)


def constant_of_shape(op: Op) -> Held:
    """One number, over and over, for each row."""
    from onnx import numpy_helper

    wanted = op.known(0, "shape").tolist()
    tensor = op.attribute("value")
    number = 0.0 if tensor is None else numpy_helper.to_array(tensor).reshape(())
    places = [i for i, n in enumerate(wanted) if n is ROWS]
    if len(places) != 1:
        raise NotCoveredError(f"shape {wanted}")
    return _for_rows(op, np.array(number), wanted, places[0], False)


def _for_rows(
    op: Op, array: Any, wanted: Sequence[Any], place: int, learned: bool
) -> Held:
    shape: Shape = tuple(int(n) for i, n in enumerate(wanted) if i != place)
    bounded(shape)
    full = np.broadcast_to(array, shape).astype(array.dtype)
    return replace(op.reader.stored(Known(full, learned), op.name), rows=place)
