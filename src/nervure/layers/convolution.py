# SPDX-License-Identifier: BSD-3-Clause
"""Convolution: the same small window of weights at every place of a map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from nervure.initializers import Initializer, Zeros, default_for, initializer
from nervure.layers._convolve import convolve
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    Parameter,
    Pass,
    Shape,
    Symbol,
    whole,
)
from nervure.layers._window import (
    Padding,
    PerAxis,
    checked_padding,
    pads,
    per_axis,
    spatial,
    spread,
    windows,
)
from nervure.layers.activation import activation_layer


@dataclass(frozen=True)
class Convolution(Layer):
    """What convolutions of every rank share."""

    native: ClassVar[str] = "convolution"
    rank: ClassVar[int]
    modes: ClassVar[tuple[str, ...]] = ("valid", "same")

    filters: int
    kernel: PerAxis
    stride: PerAxis = 1
    dilation: PerAxis = 1
    groups: int = 1
    padding: Padding = "valid"
    activation: str | Layer | None = None
    bias: bool = True
    initializer: Initializer | None = None
    bias_initializer: Initializer | None = None

    def __post_init__(self) -> None:
        for name in ("filters", "groups"):
            count = whole(self, name, getattr(self, name))
            if count < 1:
                raise self.fail(f"{name} = {count}", f"use at least 1 as {name}")
            object.__setattr__(self, name, count)
        for name in ("kernel", "stride", "dilation"):
            value = per_axis(self, name, getattr(self, name), self.rank)
            object.__setattr__(self, name, value)
        padding = checked_padding(self, self.padding, self.rank, self.modes)
        object.__setattr__(self, "padding", padding)
        if self.filters % self.groups:
            raise self.fail(
                f"{self.groups} groups do not divide {self.filters} filters",
                "use a number of filters that the groups divide",
            )
        for name in ("initializer", "bias_initializer"):
            given = getattr(self, name)
            if given is not None:
                where = f"{self.kind}.{name}"
                object.__setattr__(self, name, initializer(given, where))

    def expand(self, *inputs: Symbol) -> Symbol | None:
        if self.activation is None:
            return None
        layer = activation_layer(self.activation)
        initializer = self.initializer or default_for(layer)
        linear = replace(self, activation=None, initializer=initializer)
        return layer(linear(*inputs))

    # -- geometry ---------------------------------------------------------------

    def each_axis(self, value: PerAxis) -> tuple[int, ...]:
        return spread(value, self.rank)

    @property
    def steps(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Kernel, stride and dilation of each axis."""
        return (
            self.each_axis(self.kernel),
            self.each_axis(self.stride),
            self.each_axis(self.dilation),
        )

    def sides(self, extents: Shape) -> tuple[tuple[int, int], ...]:
        return pads(self.padding, extents, *self.steps)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        extents = spatial(self, shape, self.rank)
        if shape[-1] % self.groups:
            raise self.fail(
                f"{self.groups} groups do not divide {shape[-1]} channels",
                "use a number of groups that divides the channels",
            )
        counts = windows(self, extents, *self.steps, self.sides(extents))
        return (*counts, self.filters)

    def weight_shape(self, channels: int) -> Shape:
        return (*self.each_axis(self.kernel), channels // self.groups, self.filters)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        begin = self.initializer or default_for(None)
        weight = Parameter("weight", self.weight_shape(inputs[0][-1]), begin)
        if not self.bias:
            return (weight,)
        zeros = self.bias_initializer or Zeros()
        return (weight, Parameter("bias", (self.filters,), zeros, decays=False))

    def flops(self, *inputs: Shape) -> int:
        places = math.prod(self.output_shape(*inputs)[:-1])
        weights = math.prod(self.weight_shape(inputs[0][-1]))
        return places * (2 * weights + (self.filters if self.bias else 0))

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        kernel, stride, dilation = self.steps
        return {
            "kernel": kernel,
            "stride": stride,
            "dilation": dilation,
            "before": tuple(side[0] for side in self.sides(inputs[0][:-1])),
            "groups": self.groups,
            "bias": int(self.bias),
        }

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        _, stride, dilation = self.steps
        sides = self.sides(tuple(x.shape[1:-1]))
        w = parameters["weight"]
        z = convolve(xp, x, w, sides, stride, dilation, self.groups)
        return z + parameters["bias"] if self.bias else z


@dataclass(frozen=True)
class Conv1D(Convolution):
    """Convolution along one axis: sequences and signals.

    ``z[i, o] = sum over k, c of x[i s + k d - p, c] W[k, c, o] + b[o]`` with stride s,
    dilation d and p zeros before the beginning; see `Conv2D` for all that it shares.

    Shape:
        input ``(batch, width, channels)``, output ``(batch, places, filters)``;
        ``weight (kernel, channels / groups, filters)``, ``bias (filters,)``.

    Args:
        padding: as of `Conv2D`, or "causal": all zeros before the beginning, so that
            no place sees a later one.

    Source: van den Oord et al., *WaveNet* (2016), section 2.1 (causal, dilated).

    >>> import nervure as nv
    >>> nv.Conv1D(8, 3, padding="causal", dilation=4).output_shape((100, 2))
    (100, 8)
    """

    kind: ClassVar[str] = "conv1d"
    rank: ClassVar[int] = 1
    modes: ClassVar[tuple[str, ...]] = ("valid", "same", "causal")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4, 3), ((7, 2),)),
            Example(cls(3, 2, padding="causal", dilation=2), ((6, 3),)),
            Example(cls(2, 3, stride=2, padding="same", bias=False), ((8, 1),)),
        )


@dataclass(frozen=True)
class Conv2D(Convolution):
    """Convolution over height and width, followed by an optional activation.

    ``z[i, j, o] = sum over k, l, c of x[i s + k d - p, j s + l d - p, c] W[k, l, c, o]
    + b[o]`` with stride s, dilation d and p zeros before the edge; like everyone's it
    is a cross-correlation (the kernel is not flipped).

    Shape:
        input ``(batch, height, width, channels)``, output ``(batch, rows, columns,
        filters)`` with ``rows = (height + pads - (kernel - 1) d - 1) // s + 1``;
        ``weight (height, width, channels / groups, filters)``, ``bias (filters,)``.

    Args:
        filters: number of maps, at least 1; the groups divide it.
        kernel: extent of the window, one number or ``(height, width)``.
        stride: distance of neighbouring windows.
        dilation: distance of neighbouring places of a window.
        groups: groups of channels that see nothing of each other; as many as there
            are channels make it depthwise.
        padding: zeros at the edges: "valid" has none; "same" as many as give
            ``ceil(extent / stride)`` windows; a number on all sides; one per axis; or
            pairs ``((top, bottom), (left, right))``.
        activation: name of an activation or an activation layer; None is linear.
        bias: whether the maps have a bias.
        initializer: as of `Dense`; chosen by the activation.
        bias_initializer: zeros by default.

    Raises:
        LayerError: the input has no channel axis, the window exceeds the padded input,
            or the groups do not divide channels and filters.

    Source: LeCun, Bottou, Bengio, Haffner, *Gradient-based learning applied to document
    recognition* (1998), section II; Goodfellow et al., *Deep Learning* (2016), eq. 9.6.

    >>> import nervure as nv
    >>> nv.Conv2D(4, 4, stride=2, padding="same").output_shape((32, 32, 1))
    (16, 16, 4)
    """

    kind: ClassVar[str] = "conv2d"
    rank: ClassVar[int] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4, 3), ((5, 6, 2),)),
            Example(cls(3, (2, 3), stride=2, padding="same"), ((5, 4, 3),)),
            Example(cls(6, 2, groups=2, dilation=2, padding=1), ((4, 5, 4),)),
            Example(cls(3, 3, groups=3, padding="same", bias=False), ((4, 3, 3),)),
            Example(cls(35, 1, stride=(2, 1)), ((3, 2, 17),)),
            Example(cls(2, (3, 1), padding=((2, 0), (0, 1)), stride=3), ((5, 5, 1),)),
        )


@dataclass(frozen=True)
class Conv3D(Convolution):
    """Convolution over depth, height and width: volumes and films; see `Conv2D`.

    Shape:
        input ``(batch, depth, height, width, channels)``, output ``(batch, planes,
        rows, columns, filters)``; ``weight (depth, height, width, channels / groups,
        filters)``, ``bias (filters,)``.

    Source: Tran et al., *Learning spatiotemporal features with 3D convolutional
    networks* (2015), section 3.

    >>> import nervure as nv
    >>> nv.Conv3D(8, 3, padding=1, stride=(1, 2, 2)).output_shape((16, 32, 32, 3))
    (16, 16, 16, 8)
    """

    kind: ClassVar[str] = "conv3d"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(3, 2), ((3, 3, 2, 2),)),
            Example(
                cls(2, (1, 3, 2), stride=(2, 1, 2), padding="same"), ((3, 2, 4, 1),)
            ),
        )
