# SPDX-License-Identifier: BSD-3-Clause
"""Layers over maps as ONNX operators: convolution, pooling, norms, frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nervure.exchange._site import Site
from nervure.exchange._writer import Value

# -- convolution -----------------------------------------------------------------------


def convolution(at: Site, x: Value) -> Value:
    """Weights become ``(filters, channels / groups, *kernel)``."""
    x = at.writer.as_first(x)
    layer = at.layer
    kernel, stride, dilation = layer.steps
    weight = np.moveaxis(at.parameters["weight"], (-1, -2), (0, 1))
    found = at.last(
        "Conv",
        [x.name, *_weights(at, weight)],
        kernel_shape=kernel,
        strides=stride,
        dilations=dilation,
        pads=_pads(layer.sides(x.shape[:-1])),
        group=layer.groups_of(x.shape[-1]),
    )
    return Value(found, at.node.shape, first=True)


def transposed_convolution(at: Site, x: Value) -> Value:
    """Weights become ``(channels, filters / groups, *kernel)``.

    What the windows do not reach behind the last pixel is ``output_padding``.
    """
    x = at.writer.as_first(x)
    layer = at.layer
    kernel, stride, dilation = layer.steps
    extents = layer.wide(x.shape[:-1])
    sides = layer.sides(extents)
    reach = [
        (n - 1) * s + (k - 1) * d + 1 - sum(side)
        for n, k, s, d, side in zip(
            x.shape[:-1], kernel, stride, dilation, sides, strict=True
        )
    ]
    weight = np.moveaxis(at.parameters["weight"], (-1, -2), (0, 1))
    found = at.last(
        "ConvTranspose",
        [x.name, *_weights(at, weight)],
        kernel_shape=kernel,
        strides=stride,
        dilations=dilation,
        pads=_pads(sides),
        output_padding=[n - r for n, r in zip(extents, reach, strict=True)],
        group=layer.groups,
    )
    return Value(found, at.node.shape, first=True)


def _weights(at: Site, weight: Any) -> list[str]:
    bias = [at.parameter("bias")] if at.layer.bias else []
    return [at.parameter("weight", weight), *bias]


def _pads(sides: Any) -> list[int]:
    """ONNX has all the befores, then all the afters."""
    return [before for before, _ in sides] + [after for _, after in sides]


# -- pooling ---------------------------------------------------------------------------


def max_pool(at: Site, x: Value) -> Value:
    x = at.writer.as_first(x)
    name = at.last("MaxPool", [x.name], **_windows(at, x))
    return Value(name, at.node.shape, first=True)


def average_pool(at: Site, x: Value) -> Value:
    x = at.writer.as_first(x)
    name = at.last("AveragePool", [x.name], count_include_pad=0, **_windows(at, x))
    return Value(name, at.node.shape, first=True)


def l2_pool(at: Site, x: Value) -> Value:
    x = at.writer.as_first(x)
    square = at.step("Mul", [x.name, x.name], "square")
    mean = at.step(
        "AveragePool", [square], "mean", count_include_pad=0, **_windows(at, x)
    )
    return Value(at.last("Sqrt", [mean]), at.node.shape, first=True)


def _windows(at: Site, x: Value) -> dict[str, list[int]]:
    """Size, distance and padding of windows; padding that none of them sees is left
    out, since operators refuse more of it than a window has pixels."""
    axes = at.layer.axes(x.shape[:-1])
    return {
        "kernel_shape": [axis.size for axis in axes],
        "strides": [axis.stride for axis in axes],
        "pads": [axis.before for axis in axes] + [axis.after for axis in axes],
    }


def global_max_pool(at: Site, x: Value) -> Value:
    return _global(at, x, "Max")


def global_average_pool(at: Site, x: Value) -> Value:
    return _global(at, x, "Average")


def global_l2_pool(at: Site, x: Value) -> Value:
    x = at.writer.as_first(x)
    square = at.step("Mul", [x.name, x.name], "square")
    pooled = at.step("GlobalAveragePool", [square], "mean")
    root = at.step("Sqrt", [pooled], "root")
    return Value(at.last("Flatten", [root], axis=1), at.node.shape)


def _global(at: Site, x: Value, word: str) -> Value:
    x = at.writer.as_first(x)
    pooled = at.step(f"Global{word}Pool", [x.name], "pooled")
    return Value(at.last("Flatten", [pooled], axis=1), at.node.shape)


def adaptive_max_pool(at: Site, x: Value) -> Value:
    x = at.writer.as_first(x)
    return _adaptive(at, x, x.name, "Max")


def adaptive_average_pool(at: Site, x: Value) -> Value:
    x = at.writer.as_first(x)
    return _adaptive(at, x, x.name, "Mean")


def adaptive_l2_pool(at: Site, x: Value) -> Value:
    x = at.writer.as_first(x)
    square = at.step("Mul", [x.name, x.name], "square")
    mean = _adaptive(at, x, square, "Mean")
    return replace(mean, name=at.last("Sqrt", [mean.name]))


def _adaptive(at: Site, x: Value, name: str, word: str) -> Value:
    """Windows of equal size are plain ones; others are cut out, axis by axis."""
    axes = list(zip(x.shape[:-1], at.node.shape[:-1], strict=True))
    final = at.step if at.layer.native == "l2_pool" else at.last
    if all(extent % count == 0 for extent, count in axes):
        size = [extent // count for extent, count in axes]
        operator = "MaxPool" if word == "Max" else "AveragePool"
        found = final(operator, [name], kernel_shape=size, strides=size)
        return Value(found, at.node.shape, first=True)
    for axis, windows in enumerate(at.layer.axes(x.shape[:-1])):
        spans = zip(*(ends.tolist() for ends in windows.spans), strict=True)
        parts = [_part(at, name, axis, i, span, word) for i, span in enumerate(spans)]
        put = final if axis == len(axes) - 1 else at.step
        name = put("Concat", parts, axis=axis + 2)
    return Value(name, at.node.shape, first=True)


def _part(at: Site, x: str, axis: int, i: int, span: tuple[int, int], word: str) -> str:
    """One window along one axis, in one number."""
    words = {"begin": span[0], "end": span[1], "axis": axis + 2}
    names = [at.integers([n], f"{k}_{axis}_{i}") for k, n in words.items()]
    window = at.step("Slice", [x, *names], f"window_{axis}_{i}")
    name = f"{at.node.name}.pooled_{axis}_{i}"
    return at.writer.reduce(f"Reduce{word}", window, [axis + 2], name, keep=True)


# -- norms -----------------------------------------------------------------------------


def batch_norm(at: Site, x: Value) -> Value:
    x = at.writer.as_first(x)
    own = ("gamma", "beta", "running_mean", "running_variance")
    numbers = [at.parameters[name] for name in own]
    if x.order is not None:
        numbers = [array[x.order] for array in numbers]
    names = [at.parameter(n, array) for n, array in zip(own, numbers, strict=True)]
    return at.like(
        x,
        at.last(
            "BatchNormalization",
            [x.name, *names],
            epsilon=float(at.layer.epsilon),
            momentum=float(at.layer.momentum),
        ),
    )


def layer_norm(at: Site, x: Value) -> Value:
    x = at.writer.as_last(x)
    names = [x.name, at.parameter("gamma"), at.parameter("beta")]
    found = at.last("LayerNormalization", names, axis=-1, epsilon=at.layer.epsilon)
    return Value(found, x.shape)


def rms_norm(at: Site, x: Value) -> Value:
    x = at.writer.as_last(x)
    square = at.step("Mul", [x.name, x.name], "square")
    mean = at.writer.reduce(
        "ReduceMean", square, [-1], f"{at.node.name}.mean", keep=True
    )
    above = at.step("Add", [mean, at.number(at.layer.epsilon, "epsilon")], "above")
    normal = at.step("Div", [x.name, at.step("Sqrt", [above], "root")], "normal")
    return Value(at.last("Mul", [normal, at.parameter("gamma")]), x.shape)


def group_norm(at: Site, x: Value) -> Value:
    """Groups as channels of one axis, each normalized as an instance."""
    if len(x.shape) == 1:
        x = at.writer.as_last(x)
    x = at.writer.as_first(x)
    groups, channels = at.layer.groups, x.shape[-1]
    parts = at.writer.reshaped(x.name, (groups, -1), f"{at.node.name}.groups")
    ones, zeros = (
        at.writer.constant(array, f"{at.node.name}.{word}")
        for word, array in (("ones", np.ones(groups)), ("zeros", np.zeros(groups)))
    )
    normal = at.step(
        "InstanceNormalization", [parts, ones, zeros], epsilon=at.layer.epsilon
    )
    back = at.writer.reshaped(normal, x.held, f"{at.node.name}.normal")
    wide = (channels, *(1 for _ in x.shape[1:]))
    gamma, beta = (
        at.parameter(name, at.parameters[name].reshape(wide))
        for name in ("gamma", "beta")
    )
    return at.like(x, at.last("Add", [at.step("Mul", [back, gamma], "scaled"), beta]))


def local_response_norm(at: Site, x: Value) -> Value:
    """Images and odd numbers of neighbours have an operator; of an even number more lie
    to the left here, to the right there."""
    layer = at.layer
    if layer.size % 2 and len(x.shape) == 3:
        x = at.writer.as_first(x)
        numbers = {"alpha": layer.alpha, "beta": layer.beta, "bias": layer.k}
        return at.like(x, at.last("LRN", [x.name], size=layer.size, **numbers))
    x = at.writer.as_last(x)
    channels = x.shape[-1]
    square = at.step("Mul", [x.name, x.name], "square")
    row = at.writer.reshaped(square, (1, -1, channels), f"{at.node.name}.row")
    before, after = layer.size // 2, (layer.size - 1) // 2
    sides = at.integers([0, 0, 0, before, 0, 0, 0, after], "sides")
    wide = at.step("Pad", [row, sides], "wide")
    window = [1, layer.size]
    mean = at.step("AveragePool", [wide], "mean", kernel_shape=window, strides=[1, 1])
    back = at.writer.reshaped(mean, x.shape, f"{at.node.name}.back")
    scaled = at.step("Mul", [back, at.number(layer.alpha, "alpha")], "scaled")
    above = at.step("Add", [scaled, at.number(layer.k, "k")], "above")
    power = at.step("Pow", [above, at.number(layer.beta, "beta")], "power")
    return Value(at.last("Div", [x.name, power]), x.shape)


# -- frames, larger maps ---------------------------------------------------------------


def zero_padding(at: Site, x: Value) -> Value:
    befores, afters = _by_axis(at, x)
    name = at.last("Pad", [x.name, at.integers([*befores, *afters], "sides")])
    return replace(x, name=name, shape=at.node.shape)


def cropping(at: Site, x: Value) -> Value:
    befores, afters = _by_axis(at, x)
    ends = [n - after for n, after in zip((0, *x.held), afters, strict=True)]
    axes = [i for i in range(1, len(ends)) if befores[i] or afters[i]]
    if not axes:
        return x
    names = [
        at.integers([befores[i] for i in axes], "begins"),
        at.integers([ends[i] for i in axes], "ends"),
        at.integers(axes, "axes"),
    ]
    return replace(x, name=at.last("Slice", [x.name, *names]), shape=at.node.shape)


def _by_axis(at: Site, x: Value) -> tuple[list[int], list[int]]:
    """Pixels before and after on every axis of the ONNX value."""
    befores, afters = [0] * (len(x.shape) + 1), [0] * (len(x.shape) + 1)
    for axis, (before, after) in enumerate(at.layer.sides()):
        befores[x.axis(axis)], afters[x.axis(axis)] = before, after
    return befores, afters


def up_sampling(at: Site, x: Value) -> Value:
    x = at.writer.as_first(x)
    layer = at.layer
    scales = np.array([1, 1, *layer.each_axis], np.float32)
    name = f"{at.node.name}.scales"
    inputs = [x.name, "", at.writer.constant(scales, name, np.float32)]
    if layer.interpolation == "nearest":
        way: dict[str, Any] = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
    else:
        way = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return Value(at.last("Resize", inputs, **way), at.node.shape, first=True)
