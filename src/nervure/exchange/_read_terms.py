# SPDX-License-Identifier: BSD-3-Clause
"""What terms of an open axis of time are: positions, attention, embeddings.

Terms are compared with those that the layer would be written as (`_write_sequences`,
`_write_simple`); nothing is taken for a layer that only looks like it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nervure.exchange._held import Held, Known, in_shape, plain, put
from nervure.exchange._held import in_order as as_in_onnx
from nervure.exchange._open_time import (
    ROW,
    TIME,
    Apart,
    Term,
    apart,
    clock_of,
    float_of,
    is_open,
    length,
    number,
    of,
    same,
    steps,
    type_of,
)
from nervure.exchange._reader import Op, Value
from nervure.layers import (
    DotProductAttention,
    Embedding,
    Input,
    PositionEmbedding,
    RotaryPositions,
    Symbol,
)

HIDDEN = -1e9
"""What is added to the scores of keys that a query does not see."""

_DEPTH = 6
"""Of the products below the weights of attention."""

# -- positions -------------------------------------------------------------------------


def _add(op: Op) -> Value | None:
    x, other = op.value(0), op.value(1)
    if isinstance(x, Apart) and isinstance(other, Term):
        return _positions(op, x, other)
    if isinstance(x, Term) and isinstance(other, Term):
        return _rotated(op, x, other)
    return None


def _positions(op: Op, x: Apart, places: Term) -> Value | None:
    """``x + weight[:time]``."""
    weight = places.parts[0] if places.kind == "Slice" else None
    if not x.usual or not isinstance(weight, Known) or isinstance(weight, Term):
        return None
    zero, array = number([0]), weight.array
    wanted = of("Slice", weight, zero, length(op, x), zero)
    if not same(places, wanted) or array.ndim != 2 or x.shape != array.shape[1:]:
        return None
    layer = PositionEmbedding(len(array))
    numbers = {"weight": array}
    return apart(plain(op.reader.weighted(layer, numbers, op.name, steps(x)), x.shape))


def _rotated(op: Op, kept: Term, moved: Term) -> Value | None:
    """``x cos + swapped sin``, as `RotaryPositions` is written."""
    x = kept.parts[0] if kept.kind == "Mul" else None
    if not isinstance(x, Apart) or not x.usual or len(x.shape) != 1:
        return None
    turns = _turns(kept)
    layer = None if turns is None else _rotary(turns.array, x.shape[0])
    if turns is None or layer is None:
        return None
    angle = of("Mul", _places(op, x), turns)
    swapped = of("MatMul", x, Known(_swap(x.shape[0])))
    alike = same(kept, of("Mul", x, of("Cos", angle)))
    alike = alike and same(moved, of("Mul", swapped, of("Sin", angle)))
    return apart(plain(put(layer, steps(x)), x.shape)) if alike else None


def _turns(kept: Term) -> Known | None:
    """The turns among the parts of ``x cos(places turns)``, where they would be."""
    found: Value = kept
    for _ in range(3):
        if not isinstance(found, Term) or not found.parts:
            return None
        found = found.parts[-1]
    return None if isinstance(found, Held | Term) else found


def _rotary(turns: Any, size: int) -> RotaryPositions | None:
    """The layer that turns so, if there is one."""
    if turns.shape != (1, size) or size % 2:
        return None
    own = turns[0].astype(np.float64)
    heads = max(1, int((own == 1).sum()) // 2)
    if size % (2 * heads):
        return None
    width = size // heads
    base = float(own[2] ** (-width / 2)) if width > 2 and 0 < own[2] <= 1 else 1e4
    layer = RotaryPositions(heads, base)
    wanted = np.tile(np.repeat(layer.turns(size), 2), heads)
    return layer if np.allclose(own, wanted, rtol=1e-6) else None


def _places(op: Op, x: Apart) -> Term:
    """0, 1, ... for each step, ``(time, 1)``, as numbers."""
    numbers = of("Cast", _counted(length(op, x)), to=float_of(op))
    return of("Unsqueeze", numbers, number([1]))


def _counted(length: Term) -> Term:
    most = of("Squeeze", length, number([0]))
    return of("Range", number(0), most, number(1))


def _swap(size: int) -> Any:
    """Neighbours exchanged, one of them with its sign."""
    swap = np.zeros((size, size))
    even = np.arange(0, size, 2)
    swap[even + 1, even], swap[even, even + 1] = -1, 1
    return swap


# -- attention -------------------------------------------------------------------------


def _matmul(op: Op) -> Value | None:
    """Weights times values, where the weights are those of attention."""
    weights, v = op.value(0), op.value(1)
    if not isinstance(weights, Term) or not isinstance(v, Apart):
        return None
    products = _products(weights)
    if products is None or v.lay != (ROW, 0, TIME, 1):
        return None
    q, k = products.parts
    assert isinstance(q, Apart)
    assert isinstance(k, Apart)
    heads, width = q.shape
    if k.shape != q.shape or v.shape[0] != heads:
        return None
    if clock_of(op.reader, k.symbol) != clock_of(op.reader, v.symbol):
        return None
    scores = of("Mul", products, number(1 / math.sqrt(width)))
    if same(weights, of("Softmax", scores, axis=-1)):
        causal = False
    elif same(weights, _causal(op, scores)):
        causal = True
    else:
        return None
    flat = [_flat(x) for x in (q, k, v)]
    symbol = put(DotProductAttention(heads, causal), *flat)
    held = in_shape(plain(symbol, flat[2].shape), v.shape)
    return apart(held, (ROW, 0, TIME, 1))


def _products(weights: Term) -> Term | None:
    """The products of queries and keys that weights come of: their first parts."""
    found: Value = weights
    for _ in range(_DEPTH):
        if not isinstance(found, Term) or not found.parts:
            return None
        if found.kind == "MatMul":
            lays = [x.lay for x in found.parts if isinstance(x, Apart)]
            both = lays == [(ROW, 0, TIME, 1), (ROW, 0, 1, TIME)]
            return found if both else None
        found = found.parts[0]
    return None


def _causal(op: Op, scores: Term) -> Term:
    """Weights of keys that stand no later than the query, the last at the last."""
    queries = of("Shape", scores, end=3, start=2)
    keys = of("Shape", scores, end=4, start=3)
    lead = of("Sub", keys, queries)
    last = of("Add", _counted(queries), lead)
    column = of("Unsqueeze", last, number([1]))
    ahead = of("Greater", _counted(keys), column)
    hidden = of("Where", ahead, number(HIDDEN), number(0.0))
    some = of("Cast", of("GreaterOrEqual", column, number([0])), to=float_of(op))
    weights = of("Softmax", of("Add", scores, hidden), axis=-1)
    return of("Mul", weights, some)


def _flat(x: Apart) -> Held:
    """Heads side by side again: ``(features,)``."""
    return as_in_onnx(in_shape(steps(x), (math.prod(x.shape),)))


# -- codes -----------------------------------------------------------------------------


def makes_codes(op: Op) -> bool:
    """Whether an operator makes codes of steps that were rounded before."""
    rounded = op.reader.rounded.get(op.node.input[0]) if op.node.input else None
    return (
        op.kind == "Cast"
        and op.attribute("to") == type_of("INT64")
        and rounded is not None
        and clock_of(op.reader, rounded.symbol) is not None
    )


def _cast(op: Op) -> Value | None:
    if not makes_codes(op):
        return None
    rounded = op.reader.rounded[op.node.input[0]]
    return of("Cast", rounded, to=type_of("INT64"))


def _mul(op: Op) -> Value | None:
    """Rows of a table by codes, and zeros for codes that there are not."""
    found, wide = op.value(0), op.value(1)
    if not isinstance(found, Term) or not isinstance(wide, Term):
        return None
    if found.kind != "Gather" or not isinstance(weight := found.parts[0], Known):
        return None
    code, most = _codes(found)
    if code is None or most is None or weight.array.ndim != 2:
        return None
    x, sizes = code.parts[0], most.array.astype(np.int64)
    assert isinstance(x, Held)
    offsets = np.cumsum(sizes) - sizes
    least = number([0])
    known = of("And", of("GreaterOrEqual", code, least), of("Less", code, most))
    row = of("Add", of("Where", known, code, least), Known(offsets))
    mask = of("Unsqueeze", of("Cast", known, to=float_of(op)), number([-1]))
    own = of("Gather", weight, row, axis=0)
    fits = sizes.shape == (x.shape or (1,)) and sizes.sum() == len(weight.array)
    if not fits or not same(found, own) or not same(wide, mask):
        return None
    return _embedded(op, x, sizes.tolist(), weight)


def _codes(found: Term) -> tuple[Term | None, Known | None]:
    """Codes and their numbers, among the parts of a Gather, where they would be."""
    at: Value = found
    for place in (1, 0, 0, 1):  # the sum, the choice, what is known, what is below
        if not isinstance(at, Term) or len(at.parts) <= place:
            return None, None
        at = at.parts[place]
    if not isinstance(at, Term) or at.kind != "Less" or len(at.parts) != 2:
        return None, None
    code, most = at.parts
    if not isinstance(code, Term) or code.kind != "Cast" or len(code.parts) != 1:
        return None, None
    if is_open(code.parts[0]) or not isinstance(code.parts[0], Held):
        return None, None
    if isinstance(most, Held | Term):
        return None, None
    return code, most


def _embedded(op: Op, x: Held, sizes: list[int], weight: Known) -> Held:
    one = not x.shape
    symbol = x.symbol
    if one and isinstance(symbol, Symbol) and isinstance(symbol.inputs[0], Input):
        x = replace(x, symbol=symbol.inputs[0])  # codes need no axis of their own
    width = weight.array.shape[1]
    layer = Embedding(sizes[0] if one else tuple(sizes), width)
    made = op.reader.weighted(layer, {"weight": weight.array}, op.name, as_in_onnx(x))
    return plain(made, (*x.shape, width))


TERMS: dict[str, Callable[[Op], Value | None]] = {
    "Add": _add,
    "Cast": _cast,
    "MatMul": _matmul,
    "Mul": _mul,
}
"""Operators at which a term may show what it is; None where it does not."""
