# SPDX-License-Identifier: BSD-3-Clause
"""Layers without windows as ONNX operators: weights, merges, shapes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from nervure.exchange._order import joined
from nervure.exchange._site import Site
from nervure.exchange._writer import Value, onnx_type
from nervure.layers._axis import sample_axis


def unchanged(at: Site, x: Value, *others: Value) -> Value:
    """What passes its first input on in inference."""
    return x


def constant(at: Site) -> Value:
    return _for_every_row(at, at.number(at.layer.value, "value"))


def learned(at: Site) -> Value:
    return _for_every_row(at, at.parameter("value"))


def _for_every_row(at: Site, value: str) -> Value:
    """As many rows as the first input has."""
    shape = at.node.shape
    rows = at.step("Shape", [at.writer.rows], "rows", start=0, end=1)
    extents = at.step("Concat", [rows, at.integers(shape, "extents")], "shape", axis=0)
    return Value(at.last("Expand", [value, extents]), shape)


# -- weights ---------------------------------------------------------------------------


def dense(at: Site, x: Value) -> Value:
    return _affine(at, x, at.parameters["weight"])


def transposed_dense(at: Site, x: Value) -> Value:
    return _affine(at, x, at.parameters["weight"].T)


def _affine(at: Site, x: Value, weight: Any) -> Value:
    if len(x.shape) > 1:
        return _on_last_axis(at, at.writer.as_last(x), weight)
    if x.order is not None:
        weight = weight[x.order]
    inputs = [x.name, at.parameter("weight", weight)]
    if at.layer.bias:
        inputs.append(at.parameter("bias"))
    return Value(at.last("Gemm", inputs), at.node.shape)


def _on_last_axis(at: Site, x: Value, weight: Any) -> Value:
    inputs = [x.name, at.parameter("weight", weight)]
    if not at.layer.bias:
        return Value(at.last("MatMul", inputs), at.node.shape)
    product = at.step("MatMul", inputs, "product")
    return Value(at.last("Add", [product, at.parameter("bias")]), at.node.shape)


def ensemble_dense(at: Site, x: Value) -> Value:
    x = at.writer.as_last(x)
    name = x.name
    if len(x.shape) == 1:
        name = at.step("Unsqueeze", [name, at.integers([1], "axis")])
    scaled = at.step("Mul", [name, at.parameter("input_scale")], "scaled")
    product = at.step("MatMul", [scaled, at.parameter("weight")], "product")
    spread = at.step("Mul", [product, at.parameter("output_scale")], "spread")
    return Value(at.last("Add", [spread, at.parameter("bias")]), at.node.shape)


def ensemble_mean(at: Site, x: Value) -> Value:
    x = at.writer.as_last(x)
    return Value(
        at.writer.reduce("ReduceMean", x.name, [1], at.node.name), at.node.shape
    )


def periodic_embedding(at: Site, x: Value) -> Value:
    x = at.writer.as_last(x)
    own = at.parameters
    column = at.step("Unsqueeze", [x.name, at.integers([2], "axis")], "column")
    turned = at.step("Mul", [column, at.parameter("frequency")], "turned")
    angle = at.step("Add", [turned, at.parameter("phase")], "angle")
    wave = at.step("Cos", [angle], "wave")
    row = at.step("Unsqueeze", [wave, at.integers([2], "row_axis")], "row")
    mixing = at.parameter("weight", own["weight"].transpose(0, 2, 1))
    mixed = at.step("MatMul", [row, mixing], "mixed")
    flat = at.step("Squeeze", [mixed, at.integers([2], "mixed_axis")], "flat")
    moved = at.step("Add", [flat, at.parameter("bias")], "moved")
    return Value(at.last("Concat", [column, moved], axis=2), at.node.shape)


def embedding(at: Site, x: Value) -> Value:
    """``y = weight[code + offset]``; zeros for codes that there are not."""
    found, mask = _vectors(at, at.writer.as_last(x), first=0)
    return Value(at.last("Mul", [found, _wide(at, mask)]), at.node.shape)


def embedding_bag(at: Site, x: Value) -> Value:
    """The vectors of codes from 1 on, added up and divided by how many they are."""
    x = at.writer.as_last(x)
    found, mask = _vectors(at, x, first=1)
    known = at.step("Mul", [found, _wide(at, mask)], "vectors")
    axis, name = len(x.shape), at.node.name
    if at.layer.pooling == "sum":
        return Value(at.writer.reduce("ReduceSum", known, [axis], name), at.node.shape)
    total = at.writer.reduce("ReduceSum", known, [axis], f"{name}.total")
    count = at.writer.reduce("ReduceSum", mask, [axis], f"{name}.count", keep=True)
    divisor = at.step("Max", [count, at.number(1.0, "one")], "divisor")
    if at.layer.pooling == "root":
        divisor = at.step("Sqrt", [divisor], "root")
    return Value(at.last("Div", [total, divisor]), at.node.shape)


def _vectors(at: Site, x: Value, first: int) -> tuple[str, str]:
    """The vectors of codes, and 1 for each that stands for one, else 0."""
    sizes = np.array(at.layer.sizes)
    offsets = np.cumsum(sizes) - sizes
    whole = at.step("Round", [x.name], "whole")
    code = at.step("Cast", [whole], "code", to=onnx_type(np.int64))
    least, most = at.integers([first], "least"), at.integers(sizes.tolist(), "most")
    above = at.step("GreaterOrEqual", [code, least], "above")
    known = at.step("And", [above, at.step("Less", [code, most], "below")], "known")
    safe = at.step("Where", [known, code, at.integers([0], "none")], "safe")
    row = at.step("Add", [safe, at.integers(offsets.tolist(), "offsets")], "row")
    found = at.step("Gather", [at.parameter("weight"), row], "found", axis=0)
    return found, at.step("Cast", [known], "mask", to=onnx_type(at.writer.dtype))


def _wide(at: Site, mask: str) -> str:
    return at.step("Unsqueeze", [mask, at.integers([-1], "mask_axis")], "wide")


# -- rows of probabilities ------------------------------------------------------------


def prelu(at: Site, x: Value) -> Value:
    x = at.writer.as_last(x)
    return Value(at.last("PRelu", [x.name, at.parameter("alpha")]), x.shape)


def softmax(at: Site, x: Value) -> Value:
    return _along_channels(at, "Softmax", x)


def log_softmax(at: Site, x: Value) -> Value:
    return _along_channels(at, "LogSoftmax", x)


def _along_channels(at: Site, operator: str, x: Value) -> Value:
    axis = x.axis(len(x.shape) - 1) if x.first else -1
    return at.like(x, at.last(operator, [x.name], axis=axis))


# -- merges ----------------------------------------------------------------------------


def add(at: Site, *xs: Value) -> Value:
    return _merged(at, "Add", "Sum", *xs)


def multiply(at: Site, *xs: Value) -> Value:
    return _merged(at, "Mul", "", *xs)


def _merged(at: Site, pair: str, several: str, *xs: Value) -> Value:
    """Two by one operator; more by one that takes them all, or two by two."""
    alike = at.writer.alike(xs)
    first, *others = [x.name for x in alike]
    if not others:
        return alike[0]
    if len(others) > 1 and several:
        return at.like(alike[0], at.last(several, [first, *others]))
    for i, other in enumerate(others[:-1]):
        first = at.step(pair, [first, other], f"first_{i + 2}")
    return at.like(alike[0], at.last(pair, [first, others[-1]]))


def concatenate(at: Site, *xs: Value) -> Value:
    shape = at.node.shape
    if len(shape) == 1 and any(x.order is not None for x in xs):
        return _concatenated_features(at, *xs)
    alike = at.writer.alike(xs)
    axis = at.layer.attributes(xs[0].shape)["axis"]
    names = [x.name for x in alike]
    made = replace(alike[0], shape=shape)
    return at.like(made, at.last("Concat", names, axis=made.axis(axis)))


def _concatenated_features(at: Site, *xs: Value) -> Value:
    """Features in whatever order they stand, one after the other."""
    order = joined((x.shape[0], x.order) for x in xs)
    name = at.last("Concat", [x.name for x in xs], axis=1)
    return Value(name, at.node.shape, order=order)


def subtract(at: Site, *xs: Value) -> Value:
    return _merged(at, "Sub", "", *xs)


def divide(at: Site, *xs: Value) -> Value:
    return _merged(at, "Div", "", *xs)


def power(at: Site, *xs: Value) -> Value:
    return _merged(at, "Pow", "", *xs)


def maximum(at: Site, *xs: Value) -> Value:
    return _merged(at, "Max", "Max", *xs)


def minimum(at: Site, *xs: Value) -> Value:
    return _merged(at, "Min", "Min", *xs)


_COMPARISONS = {
    "less": "Less",
    "less_equal": "LessOrEqual",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "equal": "Equal",
    "not_equal": "Equal",
}


def compare(at: Site, *xs: Value) -> Value:
    alike, function = at.writer.alike(xs), at.layer.function
    found = at.step(_COMPARISONS[function], [x.name for x in alike], "holds")
    if function == "not_equal":
        found = at.step("Not", [found])
    return at.like(alike[0], at.writer.cast(found, at.writer.dtype, at.node.name))


def where(at: Site, *xs: Value) -> Value:
    condition, a, b = at.writer.alike(xs)
    holds = at.step("Greater", [condition.name, at.number(0.0, "zero")], "holds")
    return at.like(a, at.last("Where", [holds, a.name, b.name]))


def matmul(at: Site, *xs: Value) -> Value:
    names = [at.writer.as_last(x).name for x in xs]
    return Value(at.last("MatMul", names), at.node.shape)


# -- single elements -------------------------------------------------------------------


def clip(at: Site, x: Value) -> Value:
    bounds = {"low": at.layer.low, "high": at.layer.high}
    names = ["" if v is None else at.number(v, word) for word, v in bounds.items()]
    return at.like(x, at.last("Clip", [x.name, *names]))


def reduce(at: Site, x: Value) -> Value:
    """A map of which pixels are left stays as it lies."""
    words = {"sum": "Sum", "mean": "Mean", "max": "Max", "min": "Min"}
    operator = f"Reduce{words.get(at.layer.function, 'Prod')}"
    axes, shape, keep = at.layer.sample_axes(x.shape), at.node.shape, at.layer.keep
    places = [x.axis(axis) for axis in axes]
    if len(axes) == len(x.shape) and not keep:
        name = at.writer.reduce(operator, x.name, places, f"{at.node.name}.all")
        return Value(at.last("Unsqueeze", [name, at.integers([1], "axis")]), shape)
    name = at.writer.reduce(operator, x.name, places, at.node.name, keep)
    channels = len(x.shape) - 1 not in axes
    return Value(name, shape, x.first and (keep or channels) and len(shape) > 1)


# -- shapes ----------------------------------------------------------------------------


def flatten(at: Site, x: Value) -> Value:
    """A map whose channels come first stays so: the next weight is turned instead."""
    if len(x.shape) == 1:
        return x
    name = at.last("Flatten", [x.name], axis=1)
    order = None
    if x.first:
        order = np.moveaxis(np.arange(math.prod(x.shape)).reshape(x.shape), -1, 0)
        order = order.reshape(-1)
    return Value(name, at.node.shape, order=order)


def reshape(at: Site, x: Value) -> Value:
    x = at.writer.as_last(x)
    return Value(at.writer.reshaped(x.name, at.node.shape, at.node.name), at.node.shape)


def cut(at: Site, x: Value) -> Value:
    """`Slice`: every step-th element of one axis."""
    if x.order is not None:
        x = at.writer.as_last(x)
    found: dict[str, int] = at.layer.attributes(x.shape)
    axis, begin, step = found["axis"], found["begin"], found["step"]
    end = begin + (at.node.shape[axis] - 1) * step + 1
    words = {"begin": begin, "end": end, "axis": x.axis(axis), "step": step}
    names = [at.integers([number], word) for word, number in words.items()]
    return replace(x, name=at.last("Slice", [x.name, *names]), shape=at.node.shape)


def permute(at: Site, x: Value) -> Value:
    """Nothing is done where the channels stand already where they are to come."""
    axes = [x.axis(axis - 1) for axis in at.layer.axes]
    if len(axes) == 1:
        return x
    name = x.name
    if axes != list(range(1, len(axes) + 1)):
        name = at.last("Transpose", [name], perm=[0, *axes])
    return Value(name, at.node.shape)


def take(at: Site, x: Value) -> Value:
    if x.order is not None:
        x = at.writer.as_last(x)
    axis = sample_axis(at.layer, at.layer.axis, x.shape)
    indices = at.integers(at.layer.indices, "indices")
    name = at.last("Gather", [x.name, indices], axis=x.axis(axis))
    return replace(x, name=name, shape=at.node.shape)


def broadcast(at: Site, x: Value) -> Value:
    """Channels that are repeated over a map are laid first, as maps have them."""
    x, shape = at.writer.as_last(x), at.node.shape
    first = len(shape) > 1 and math.prod(x.shape) == x.shape[-1] > 1
    whole = (1,) * (len(shape) - len(x.shape)) + x.shape
    made = Value("", shape, first)
    held = Value("", whole, first).held
    name = x.name
    if held != x.shape:
        name = at.writer.reshaped(name, held, f"{at.node.name}.laid")
    return at.like(made, at.last("Expand", [name, at.integers((1, *made.held), "to")]))


def normalize(at: Site, x: Value) -> Value:
    mean, scale = (
        at.parameter(name, at.writer.per_channel(at.parameters[name], x))
        for name in ("mean", "scale")
    )
    return at.like(x, at.last("Div", [at.step("Sub", [x.name, mean], "less"), scale]))
