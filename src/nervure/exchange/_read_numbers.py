# SPDX-License-Identifier: BSD-3-Clause
"""ONNX operators of arithmetic as layers: functions, pairs, reductions, products."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nervure.exchange._held import (
    Held,
    Known,
    NotCoveredError,
    in_order,
    in_shape,
    like,
    plain,
    put,
    transposed,
    with_last,
)
from nervure.exchange._reader import Array, Op, Value
from nervure.layers import (
    Activation,
    Add,
    Broadcast,
    Clip,
    Compare,
    Conv1D,
    Conv2D,
    Conv3D,
    Dense,
    Divide,
    Dropout,
    Layer,
    MatMul,
    Maximum,
    Minimum,
    Multiply,
    Normalize,
    Power,
    PReLU,
    Reduce,
    Shape,
    Subtract,
    Symbol,
    Where,
)

Read = Callable[[Op], Value | tuple[Value | None, ...] | None]
ReadOne = Callable[[Op], Held]

# -- functions of single elements ------------------------------------------------------


def function(name: str, alpha: float | None = None) -> Read:
    """An activation; ``alpha`` is what the operator takes where it says nothing."""

    def read(op: Op) -> Held:
        x = op.held()
        own = None if alpha is None else float(op.attribute("alpha", alpha))
        return like(x, put(Activation(name, own), x))

    return read


def activated(x: Held, name: str) -> Held:
    return like(x, put(Activation(name), x))


def shifted(x: Held, mean: float, scale: float) -> Held:
    """``(x - mean) / scale``."""
    if (mean, scale) == (0, 1):
        return x
    if (mean, scale) == (0, -1):
        return activated(x, "negative")
    if not (math.isfinite(mean) and math.isfinite(scale)) or scale == 0:
        raise NotCoveredError(f"x - {mean:g} divided by {scale:g}")
    return like(x, put(Normalize(mean, scale), x))


def scaled(x: Held, factor: float) -> Held:
    if factor == 0:
        raise NotCoveredError("a product with 0")
    return shifted(x, 0.0, 1 / factor)


def selu(op: Op) -> Held:
    alpha, gamma = (
        op.attribute("alpha", 1.67326319217681884765625),
        op.attribute("gamma", 1.05070102214813232421875),
    )
    x = op.held()
    if abs(alpha - 1.6732632) < 1e-6 and abs(gamma - 1.050701) < 1e-6:
        return activated(x, "selu")
    return scaled(like(x, put(Activation("elu", float(alpha)), x)), float(gamma))


def hard_sigmoid(op: Op) -> Held:
    alpha, beta, x = op.attribute("alpha", 0.2), op.attribute("beta", 0.5), op.held()
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return activated(x, "hard_sigmoid")
    line = shifted(x, -beta / alpha, 1 / alpha)
    return like(x, put(Clip(0.0, 1.0), line))


def gelu(op: Op) -> Held:
    tanh = op.attribute("approximate", "none") == "tanh"
    return activated(op.held(), "gelu_tanh" if tanh else "gelu")


def swish(op: Op) -> Held:
    alpha, x = float(op.attribute("alpha", 1.0)), op.held()
    if alpha == 1:
        return activated(x, "silu")
    gate = activated(scaled(x, alpha), "logistic")
    return like(x, put(Multiply(), x, gate))


def shrink(op: Op) -> Held:
    """x + bias below -lambd, x - bias above lambd, else 0."""
    bias, lambd = float(op.attribute("bias", 0.0)), float(op.attribute("lambd", 0.5))
    x = op.held()
    sides: list[Held] = []
    for sign, function in ((1, "greater"), (-1, "less")):
        bound = Known(np.array(sign * lambd))
        both = op.reader.alike([x, bound], op.name)
        beyond = like(both[0], put(Compare(function), *both))
        moved = shifted(both[0], sign * bias, 1.0)
        sides.append(like(moved, put(Multiply(), beyond, moved)))
    return like(x, put(Add(), *sides))


def leaky(op: Op) -> Held:
    alpha, x = float(op.attribute("alpha", 0.01)), op.held()
    if alpha < 0:
        raise NotCoveredError(f"alpha {alpha:g}")
    return like(x, put(Activation("leaky_relu", alpha), x))


def prelu(op: Op) -> Held:
    """One slope, or one for each channel, is a layer; others are arithmetic."""
    x, slope = op.held(), op.value(1)
    if isinstance(slope, Known):
        array = op.reader.of_sample(slope, len(x.shape))
        slopes = _slopes(array, x)
        if slopes is not None and np.isfinite(slopes).all():
            layer = PReLU(shared=slopes.size < x.lies[-1])
            name = op.weight_name(1)
            return like(x, op.reader.weighted(layer, {"alpha": slopes}, name, x))
    value, factors = op.reader.alike([x, slope], op.name)
    below = activated(activated(value, "negative"), "relu")
    part = like(value, put(Multiply(), factors, below))
    return like(value, put(Subtract(), activated(value, "relu"), part))


def _slopes(array: Array, x: Held) -> Array | None:
    if array.size == 1:
        return array.reshape(1)
    return _along_last(array, x) if array.ndim <= len(x.shape) else None


def _along_last(array: Array, x: Held) -> Array | None:
    """Numbers of the last axis as x lies, if the array has no others."""
    if x.order is not None or not x.shape:
        return None
    whole = (1,) * (len(x.shape) - array.ndim) + array.shape
    last = x.axes[-1]
    own = [axis for axis, n in enumerate(whole) if n != 1]
    fits = own == [last] and whole[last] == x.shape[last]
    return array.reshape(-1) if fits else None


def same(op: Op) -> Value:
    return op.value()


def dropout(op: Op) -> Held:
    """Off in prediction, on in training to come."""
    training = op.given(2)
    if training is not None and bool(np.any(op.known(2, "training_mode"))):
        raise NotCoveredError("dropout in prediction")
    op.only_output("masks")
    rate, x = op.number(1, "ratio", 0.5) or 0.0, op.held()
    if not 0 <= rate < 1:
        raise NotCoveredError(f"ratio {rate:g}")
    return like(x, put(Dropout(float(rate)), x)) if rate else x


def cast(op: Op) -> Held:
    """To whole numbers by leaving off what is behind the point; to truth by != 0."""
    from onnx import TensorProto

    to, x = op.attribute("to"), op.held()
    if to in (TensorProto.FLOAT, TensorProto.DOUBLE):
        return x
    known = to in TensorProto.DataType.values()
    name = TensorProto.DataType.Name(to) if known else str(to)
    op.reader.codes[op.node.output[0]] = x
    if name == "BOOL":
        both = op.reader.alike([x, Known(np.array(0.0))], op.name)
        return like(both[0], put(Compare("not_equal"), *both))
    if name not in WHOLE:
        raise NotCoveredError(f"to {name}")
    return x if op.whole else truncated(x)


def cast_like(op: Op) -> Held:
    """To the type of another value, which must be one of layers too."""
    other = op.value(1)
    if isinstance(other, Known):
        singles = other.array.dtype.name in ("float32", "float64")
    else:
        singles = op.node.input[1] not in op.reader.whole
    if not singles:
        raise NotCoveredError("to another type than single or double")
    return op.held()


WHOLE = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")


def truncated(x: Held) -> Held:
    """What stands before the point."""
    size = activated(activated(x, "abs"), "floor")
    return like(x, put(Multiply(), activated(x, "sign"), size))


def clip(op: Op) -> Held:
    x = op.held()
    if any(isinstance(op.given(i), Held) for i in (1, 2)):
        for i, layer in ((1, Maximum()), (2, Minimum())):
            if op.given(i) is not None:
                both = op.reader.alike([x, op.value(i)], op.name)
                x = like(both[0], put(layer, *both))
        return x
    low, high = op.number(1, "min"), op.number(2, "max")
    low = None if low is None or low < -1e38 else low
    high = None if high is None or high > 1e38 else high
    if (low, high) == (0, 6):
        return activated(x, "relu6")
    if low is not None and high is not None and low > high:
        low = high  # what ONNX says of bounds in the wrong order
    return like(x, put(Clip(low, high), x))


# -- pairs -----------------------------------------------------------------------------


def pair(layer: Layer, shortcut: Callable[[Op], Held | None] | None = None) -> ReadOne:
    """Two values of one shape; ``shortcut`` for one number, if there is one."""

    def read(op: Op) -> Held:
        found = shortcut(op) if shortcut else None
        if found is not None:
            return found
        both = op.reader.alike([op.value(0), op.value(1)], op.name)
        return like(both[0], put(layer, *both))

    return read


def several(layer: Layer) -> ReadOne:
    """Any number of values."""

    def read(op: Op) -> Held:
        if len(op.inputs) == 1:
            return op.held()
        alike = op.reader.alike([op.value(i) for i in range(len(op.inputs))], op.name)
        return like(alike[0], put(layer, *alike))

    return read


def mean(op: Op) -> Held:
    return scaled(several(Add())(op), 1 / len(op.inputs))


def _number(op: Op) -> tuple[Held, float, bool] | None:
    """A value, a number, and whether the number comes first."""
    a, b = op.value(0), op.value(1)
    if isinstance(a, Held) and isinstance(b, Known) and b.number is not None:
        return _of_rank(a, b), b.number, False
    if isinstance(b, Held) and isinstance(a, Known) and a.number is not None:
        return _of_rank(b, a), a.number, True
    return None


def _of_rank(x: Held, known: Known) -> Held:
    """One number may have more axes than the value, each of one element."""
    more = known.array.ndim - len(x.shape)
    return in_shape(x, (1,) * more + x.shape) if more > 1 else x


def add_number(op: Op) -> Held | None:
    found = _number(op)
    if found is not None:
        return shifted(found[0], -found[1], 1.0)
    return _with_bias(op)


def _with_bias(op: Op) -> Held | None:
    """What is added to a layer of weights without a bias is its bias."""
    for i in (0, 1):
        x, other = op.value(i), op.value(1 - i)
        if not (isinstance(x, Held) and isinstance(other, Known)):
            continue
        layer: Any = x.symbol.layer if isinstance(x.symbol, Symbol) else x.symbol
        alone = op.reader.uses[op.node.input[i]] == 1
        lacks = isinstance(layer, Dense | Conv1D | Conv2D | Conv3D) and not layer.bias
        array = op.reader.of_sample(other, len(x.shape))
        along = _along_last(array, x) if array.ndim <= len(x.shape) else None
        if lacks and alone and along is not None and isinstance(x.symbol, Symbol):
            op.reader.weights[str(layer.name)]["bias"] = along
            return like(x, Symbol(replace(layer, bias=True), x.symbol.inputs))
    return None


def subtract_number(op: Op) -> Held | None:
    found = _number(op)
    if found is None:
        return None
    x, number, first = found
    return shifted(x, number, -1.0 if first else 1.0)


def multiply_number(op: Op) -> Held | None:
    found = _number(op)
    return scaled(found[0], found[1]) if found and found[1] != 0 else None


def divide(op: Op) -> Held:
    """Of whole numbers what is behind the point is left off."""
    found = pair(Divide(), divide_number)(op)
    return truncated(found) if op.whole else found


def divide_number(op: Op) -> Held | None:
    found = _number(op)
    if found is None:
        return None
    x, number, first = found
    if not first:
        return shifted(x, 0.0, number) if number else None
    return scaled(activated(x, "reciprocal"), number) if number else None


def power_number(op: Op) -> Held | None:
    found = _number(op)
    if found is None or found[2]:
        return None
    x, number, _ = found
    known = {0.5: "sqrt", 2.0: "square", -1.0: "reciprocal"}
    if number in known:
        return activated(x, known[number])
    if number == 1:
        return x
    if number in (3.0, 4.0):
        square = activated(x, "square")
        return like(x, put(Multiply(), square, x if number == 3 else square))
    both = op.reader.alike([x, Known(np.array(number))], op.name)
    return like(both[0], put(Power(), *both))


def negated(op: Op) -> Held:
    """Not: 1 - x of what is 0 or 1."""
    return shifted(op.held(), 1.0, -1.0)


def unlike_itself(op: Op) -> Held:
    """IsNaN."""
    x = op.held()
    return like(x, put(Compare("not_equal"), x, x))


def where(op: Op) -> Held:
    alike = op.reader.alike([op.value(i) for i in range(3)], op.name)
    return like(alike[1], put(Where(), *alike))


# -- rows of probabilities -------------------------------------------------------------


def softmax(layer: Layer) -> Read:
    """Since opset 13 along one axis; before, over all axes from it on."""

    def read(op: Op) -> Held:
        x = op.held()
        rank = len(x.shape)
        if op.reader.opset >= 13:
            axis = op.axis(op.attribute("axis", -1), rank)
            last = with_last(x, axis)
            return like(last, put(layer, last))
        axis = op.axis(op.attribute("axis", 1), rank)
        if axis == rank - 1 or math.prod(x.shape[axis + 1 :]) == 1:
            last = with_last(x, axis)
            return like(last, put(layer, last))
        flat = in_order(in_shape(x, (*x.shape[:axis], math.prod(x.shape[axis:]))))
        return in_shape(like(flat, put(layer, flat)), x.shape)

    return read


# -- reductions ------------------------------------------------------------------------


def reduction(name: str, before: str = "", after: str = "") -> Read:
    """A reduction, perhaps of a function, and a function of what comes out."""

    def read(op: Op) -> Held:
        x, axes = _reduced_axes(op)
        if name == "mean" and op.whole:
            raise NotCoveredError("a mean of whole numbers")
        if axes is None:
            return x if not before else _applied(x, before, after)
        return _applied(x, before, after, name, axes, bool(op.attribute("keepdims", 1)))

    return read


def _reduced_axes(op: Op) -> tuple[Held, tuple[int, ...] | None]:
    x = op.held()
    rank = len(x.shape)
    axes = op.constant(1, "axes")
    if not axes:
        if op.attribute("noop_with_empty_axes", 0):
            return x, None
        axes = range(rank + op.reader.lead)
    return x, op.axes(axes, rank)


def _applied(
    x: Held,
    before: str,
    after: str,
    name: str = "",
    axes: tuple[int, ...] = (),
    keep: bool = True,
) -> Held:
    if before:
        x = activated(x, before)
    if name:
        x = reduced(x, name, axes, keep)
    return activated(x, after) if after else x


def reduced(x: Held, name: str, axes: tuple[int, ...], keep: bool) -> Held:
    """The sum, mean, ... over some axes of ONNX's."""
    if x.order is not None:
        x = in_order(x)
    if not axes:
        return x
    places = tuple(x.axes.index(axis) + 1 for axis in axes)
    symbol = put(Reduce(name, places, keep), x)
    if keep:
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        return Held(symbol, shape, x.axes)
    left = [axis for axis in range(len(x.shape)) if axis not in axes]
    shape = tuple(x.shape[axis] for axis in left)
    held = tuple(left.index(axis) for axis in x.axes if axis in left)
    return Held(symbol, shape, held)


def log_sum_exp(op: Op) -> Held:
    """Less the largest, so that no exponential overflows."""
    x, axes = _reduced_axes(op)
    if axes is None:
        return x
    x = in_order(x)
    keep = bool(op.attribute("keepdims", 1))
    top = reduced(x, "max", axes, True)
    wide = Held(put(Broadcast(x.lies), top), x.shape, x.axes)
    less = activated(like(x, put(Subtract(), x, wide)), "exp")
    logs = activated(reduced(less, "sum", axes, True), "log")
    found = like(logs, put(Add(), logs, top))
    left = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return found if keep else in_shape(found, left)


def lp_normalization(op: Op) -> Held:
    x = op.held()
    axis = op.axis(op.attribute("axis", -1), len(x.shape))
    p = op.attribute("p", 2)
    before, after = ("abs", "") if p == 1 else ("square", "sqrt")
    norm = _applied(x, before, after, "sum", (axis,))
    zero = op.reader.alike([norm, Known(np.array(0.0))], op.name)
    none = like(norm, put(Compare("equal"), *zero))
    norm = like(norm, put(Add(), norm, none))  # 0 stays 0
    both = op.reader.alike([x, norm], op.name)
    return like(both[0], put(Divide(), *both))


# -- products --------------------------------------------------------------------------


def linear(op: Op, x: Held, weight: Array, bias: Array | None, name: str) -> Held:
    """``x W + b`` over the last axis of ONNX's."""
    features, units = weight.shape
    if not x.shape or x.shape[-1] != features:
        raise NotCoveredError(f"{x.shape} times {weight.shape}")
    numbers = {"weight": weight} | ({} if bias is None else {"bias": bias})
    rank = len(x.shape)
    if rank == 1:
        if x.order is not None:
            numbers["weight"] = weight[x.order]
        layer = Dense(units, bias=bias is not None)
        return plain(op.reader.weighted(layer, numbers, name, x), (units,))
    if rank > 4:
        flat = in_shape(in_order(x), (math.prod(x.shape[:-1]), features))
        found = linear(op, flat, weight, bias, name)
        return in_shape(found, (*x.shape[:-1], units))
    x = with_last(x, rank - 1)
    numbers["weight"] = weight.reshape(*(1,) * (rank - 1), features, units)
    layer = (Conv1D, Conv2D, Conv3D)[rank - 2](units, 1, bias=bias is not None)
    symbol = op.reader.weighted(layer, numbers, name, x)
    return Held(symbol, (*x.shape[:-1], units), x.axes)


def gemm(op: Op) -> Held:
    alpha, beta = float(op.attribute("alpha", 1.0)), float(op.attribute("beta", 1.0))
    a, b = op.value(0), op.value(1)
    if op.reader.lead and op.attribute("transA", 0):
        raise NotCoveredError("it works across the rows")
    if isinstance(a, Held) and op.attribute("transA", 0):
        a = _swapped(a)
    c = op.given(2)
    if isinstance(a, Held) and isinstance(b, Known) and not isinstance(c, Held):
        weight = b.array.T if op.attribute("transB", 0) else b.array
        bias = None if c is None else _bias(c.array, weight.shape[1])
        if c is None or bias is not None:
            own = None if bias is None else beta * bias
            return linear(op, a, alpha * weight, own, op.weight_name(1))
    b = _swapped(b) if op.attribute("transB", 0) else b
    found = scaled(product(op, a, b), alpha) if alpha != 1 else product(op, a, b)
    if c is None:
        return found
    both = op.reader.alike([found, c if beta == 1 else _times(c, beta)], op.name)
    return like(both[0], put(Add(), *both))


def _times(x: Value, factor: float) -> Value:
    if isinstance(x, Known):
        return Known(x.array * x.array.dtype.type(factor), x.learned)
    return scaled(x, factor)


def _bias(array: Array, units: int) -> Array | None:
    """One number for each unit, if all rows have the same."""
    if array.size == 1:
        return np.full(units, array.reshape(()))
    fits = array.size == units == array.shape[-1]
    return array.reshape(units) if fits else None


def _swapped(x: Value) -> Value:
    """The last two axes exchanged."""
    if isinstance(x, Known):
        return Known(np.swapaxes(x.array, -1, -2), x.learned)
    rank = len(x.shape)
    if rank < 2:
        raise NotCoveredError("it works across the rows")
    return transposed(x, (*range(rank - 2), rank - 1, rank - 2))


def matmul(op: Op) -> Held:
    a, b = op.value(0), op.value(1)
    if isinstance(a, Held) and isinstance(b, Known):
        if b.array.ndim == 2:
            return linear(op, a, b.array, None, op.weight_name(1))
        if b.array.ndim == 1:
            found = linear(op, a, b.array[:, None], None, op.weight_name(1))
            return in_shape(found, found.shape[:-1])
    return product(op, a, b)


def product(op: Op, a: Value, b: Value) -> Held:
    """Of two values that both depend on the row."""
    a, b = (_stored(op, x) for x in (a, b))
    if op.reader.lead and (len(a.shape) < 2 or len(b.shape) < 2):
        raise NotCoveredError("it works across the rows")
    before, behind = len(a.shape) == 1, len(b.shape) == 1
    a = in_order(a) if not before else in_shape(in_order(a), (1, *a.shape))
    b = in_order(b) if not behind else in_shape(in_order(b), (*b.shape, 1))
    try:
        front = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise NotCoveredError(f"{a.shape} times {b.shape}") from None
    a, b = (_widened(x, front) for x in (a, b))
    shape = (*front, a.shape[-2], b.shape[-1])
    found = plain(put(MatMul(), a, b), shape)
    left = [n for i, n in enumerate(shape[-2:]) if not (before, behind)[i]]
    return in_shape(found, (*front, *left))


def _stored(op: Op, x: Value) -> Held:
    if isinstance(x, Held):
        return x
    array = (
        x.array[0]
        if op.reader.lead and x.array.ndim > 2 and len(x.array) == 1
        else x.array
    )
    return op.reader.stored(Known(array, x.learned), op.name)


def _widened(x: Held, front: Shape) -> Held:
    shape = (*front, *x.shape[-2:])
    if x.shape == shape:
        return x
    return plain(put(Broadcast(shape), x), shape)
