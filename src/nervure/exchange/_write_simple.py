# SPDX-License-Identifier: BSD-3-Clause
"""Layers without windows as ONNX operators: dense ones, activations, merges, shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nervure.exchange._site import Site
from nervure.exchange._writer import Value, onnx_type
from nervure.layers.activation import SELU_ALPHA, SELU_SCALE

Write = Callable[[Site, str], str]


def unchanged(at: Site, x: Value) -> Value:
    """What does nothing in inference."""
    return x


def constant(at: Site) -> Value:
    """One value for every row: as many as the first input has."""
    shape = at.node.shape
    rows = at.step("Shape", [at.writer.rows], "rows", start=0, end=1)
    extents = at.step("Concat", [rows, at.integers(shape, "extents")], "shape", axis=0)
    value = at.number(at.layer.value, "value")
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
    x = at.writer.as_last(x)
    sizes = np.array(at.layer.sizes)
    offsets = np.cumsum(sizes) - sizes
    whole = at.step("Round", [x.name], "whole")
    code = at.step("Cast", [whole], "code", to=onnx_type(np.int64))
    least, most = at.integers([0], "least"), at.integers(sizes.tolist(), "most")
    above = at.step("GreaterOrEqual", [code, least], "above")
    known = at.step("And", [above, at.step("Less", [code, most], "below")], "known")
    safe = at.step("Where", [known, code, least], "safe")
    row = at.step("Add", [safe, at.integers(offsets.tolist(), "offsets")], "row")
    found = at.step("Gather", [at.parameter("weight"), row], "found", axis=0)
    mask = at.step("Cast", [known], "mask", to=onnx_type(at.writer.dtype))
    wide = at.step("Unsqueeze", [mask, at.integers([-1], "mask_axis")], "wide")
    return Value(at.last("Mul", [found, wide]), at.node.shape)


# -- activations -----------------------------------------------------------------------


def activation(at: Site, x: Value) -> Value:
    return at.like(x, _ACTIVATIONS[at.layer.function](at, x.name))


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


def _plain(operator: str, **attributes: Any) -> Write:
    def write(at: Site, x: str) -> str:
        return at.last(operator, [x], **attributes)

    return write


def _linear(at: Site, x: str) -> str:
    return x


def _heaviside(at: Site, x: str) -> str:
    above = at.step("Greater", [x, at.number(0.0, "zero")], "above")
    return at.last("Cast", [above], to=onnx_type(at.writer.dtype))


def _gaussian_cdf(at: Site, x: str, last: Any = None) -> str:
    scaled = at.step("Mul", [x, at.number(math.sqrt(0.5), "root")], "scaled")
    shifted = at.step("Add", [at.step("Erf", [scaled]), at.number(1.0, "one")])
    return (last or at.last)("Mul", [shifted, at.number(0.5, "half")])


def _scaled_tanh(at: Site, x: str) -> str:
    inner = at.step("Mul", [x, at.number(2 / 3, "inner")], "scaled")
    return at.last("Mul", [at.step("Tanh", [inner]), at.number(1.7159, "outer")])


def _leaky_relu(at: Site, x: str) -> str:
    return at.last("LeakyRelu", [x], alpha=_alpha(at))


def _elu(at: Site, x: str) -> str:
    return at.last("Elu", [x], alpha=_alpha(at))


def _alpha(at: Site) -> float:
    return float(at.layer.attributes(())["alpha"])


def _gelu(at: Site, x: str) -> str:
    if at.writer.opset >= 20:
        return at.last("Gelu", [x])
    return at.last("Mul", [x, _gaussian_cdf(at, x, at.step)])


def _gelu_tanh(at: Site, x: str) -> str:
    if at.writer.opset >= 20:
        return at.last("Gelu", [x], approximate="tanh")
    square = at.step("Mul", [x, x], "square")
    cube = at.step("Mul", [square, x], "cube")
    part = at.step("Mul", [cube, at.number(0.044715, "cubic")], "part")
    inner = at.step("Add", [x, part], "inner")
    u = at.step("Mul", [inner, at.number(math.sqrt(2 / math.pi), "root")], "u")
    one = at.step("Add", [at.step("Tanh", [u]), at.number(1.0, "one")], "above")
    half = at.step("Mul", [x, at.number(0.5, "half")], "half_x")
    return at.last("Mul", [half, one])


def _silu(at: Site, x: str) -> str:
    return at.last("Mul", [x, at.step("Sigmoid", [x])])


def _relu6(at: Site, x: str) -> str:
    return at.last("Clip", [x, at.number(0.0, "low"), at.number(6.0, "high")])


_ACTIVATIONS: dict[str, Write] = {
    "linear": _linear,
    "heaviside": _heaviside,
    "logistic": _plain("Sigmoid"),
    "gaussian_cdf": _gaussian_cdf,
    "tanh": _plain("Tanh"),
    "scaled_tanh": _scaled_tanh,
    "relu": _plain("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _plain("Selu", alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"),
    "hard_sigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    "relu6": _relu6,
}


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
    first = 0
    orders: list[Any] = []
    for x in xs:
        own = np.arange(x.shape[0]) if x.order is None else x.order
        orders.append(own + first)
        first += x.shape[0]
    name = at.last("Concat", [x.name for x in xs], axis=1)
    return Value(name, at.node.shape, order=np.concatenate(orders))


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


def normalize(at: Site, x: Value) -> Value:
    mean, scale = (
        at.parameter(name, at.writer.per_channel(at.parameters[name], x))
        for name in ("mean", "scale")
    )
    return at.like(x, at.last("Div", [at.step("Sub", [x.name, mean], "less"), scale]))
