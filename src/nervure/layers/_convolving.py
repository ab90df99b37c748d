# SPDX-License-Identifier: BSD-3-Clause
"""What layers share that slide windows of weights over maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.initializers import Named, Zeros, initializer
from nervure.layers._axis import check_groups
from nervure.layers._convolve import convolve
from nervure.layers._family import Ranked
from nervure.layers._layer import (
    Array,
    Attribute,
    Layer,
    Parameter,
    Pass,
    Shape,
    at_least,
)
from nervure.layers._weights import Activated
from nervure.layers._window import (
    MOST_PIXELS,
    Padding,
    PerAxis,
    checked_padding,
    pads,
    per_axis,
    spatial,
    spread,
    windows,
)


class Convolving(Ranked, Activated):
    """A window of weights sees some pixels at a time, with zeros where there are none.

    Args:
        kernel: extent of the window, one number or one per axis.
        stride: distance of neighbouring windows.
        dilation: distance of neighbouring places of a window.
        padding: zeros at the edges: "valid" has none; "same" as many as give
            ``ceil(extent / stride)`` windows; a number on all sides; one per axis; or
            pairs ``((top, bottom), (left, right))``.
        activation: name of an activation or an activation layer; None is linear.
        bias: whether the maps have a bias.
        initializer: as of `Dense`; chosen by the activation.
        bias_initializer: zeros by default.
    """

    native: ClassVar[str] = "convolution"
    modes: ClassVar[tuple[str, ...]] = ("valid", "same")

    kernel: PerAxis
    stride: PerAxis
    dilation: PerAxis
    padding: Padding
    bias: bool
    bias_initializer: Named | None

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation"):
            value = per_axis(self, name, getattr(self, name), self.rank)
            object.__setattr__(self, name, value)
        if math.prod(self.each_axis(self.kernel)) > MOST_PIXELS:
            raise self.fail(
                f"kernel = {self.kernel!r}", f"use at most {MOST_PIXELS:,} places"
            )
        padding = checked_padding(self, self.padding, self.rank, self.modes)
        object.__setattr__(self, "padding", padding)
        super().__post_init__()

    # -- maps -------------------------------------------------------------------

    def filters_of(self, channels: int) -> int:
        """How many maps come out where so many channels come in."""
        raise NotImplementedError(self.kind)

    def groups_of(self, channels: int) -> int:
        """How many groups of them see nothing of each other."""
        raise NotImplementedError(self.kind)

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
        sides, channels = self.sides(extents), shape[-1]
        counts = windows(self, extents, *self.steps, sides, channels)
        return (*counts, self.filters_of(channels))

    def weight_shape(self, channels: int) -> Shape:
        into = channels // self.groups_of(channels)
        return (*self.each_axis(self.kernel), into, self.filters_of(channels))

    def fans(self, channels: int) -> tuple[int, int] | None:
        """Connections into a unit and out of one, where the weight's shape lies."""
        return None

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        channels = inputs[0][-1]
        begin = initializer(self.initializer or self.beginning(None))
        fans = self.fans(channels)
        weight = Parameter("weight", self.weight_shape(channels), begin, fans=fans)
        if not self.bias:
            return (weight,)
        zeros = initializer(self.bias_initializer or Zeros())
        filters = self.filters_of(channels)
        return (weight, Parameter("bias", (filters,), zeros, decays=False))

    def flops(self, *inputs: Shape) -> int:
        *counts, filters = self.output_shape(*inputs)
        weights = math.prod(self.weight_shape(inputs[0][-1]))
        return math.prod(counts) * (2 * weights + (filters if self.bias else 0))

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        kernel, stride, dilation = self.steps
        return {
            "kernel": kernel,
            "stride": stride,
            "dilation": dilation,
            "before": tuple(side[0] for side in self.sides(inputs[0][:-1])),
            "groups": self.groups_of(inputs[0][-1]),
            "bias": int(self.bias),
        }

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        _, stride, dilation = self.steps
        sides = self.sides(tuple(x.shape[1:-1]))
        groups = self.groups_of(x.shape[-1])
        z = convolve(xp, x, parameters["weight"], sides, stride, dilation, groups)
        return z + parameters["bias"] if self.bias else z


@dataclass(frozen=True)
class Grouped(Convolving):
    """Every map sees all channels, or those of its group.

    Args:
        filters: number of maps, at least 1; the groups divide it.
        groups: groups of channels that see nothing of each other; for as many as there
            are channels take `DepthwiseConv2D`, which is faster.

    Raises:
        LayerError: the input has no channel axis, the window exceeds the padded input,
            or the groups do not divide channels and filters.
    """

    filters: int
    kernel: PerAxis
    stride: PerAxis = 1
    dilation: PerAxis = 1
    groups: int = 1
    padding: Padding = "valid"
    activation: str | Layer | None = None
    bias: bool = True
    initializer: Named | None = None
    bias_initializer: Named | None = None

    def __post_init__(self) -> None:
        at_least(self, "filters")
        at_least(self, "groups")
        super().__post_init__()
        if self.filters % self.groups:
            raise self.fail(
                f"{self.groups} groups do not divide {self.filters} filters",
                "use a number of filters that the groups divide",
            )

    def filters_of(self, channels: int) -> int:
        return self.filters

    def groups_of(self, channels: int) -> int:
        return self.groups

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = super().output_shape(*inputs)
        check_groups(self, self.groups, inputs[0][-1])
        return shape
