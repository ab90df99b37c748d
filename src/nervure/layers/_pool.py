# SPDX-License-Identifier: BSD-3-Clause
"""What pooling layers share: their windows, and what becomes of one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nervure.layers._family import Ranked
from nervure.layers._layer import Array, Attribute, Example, Pass, Shape
from nervure.layers._pooled import pooled
from nervure.layers._spans import Parts, Sliding, Windows
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

POOL_MODES = ("valid", "same", "ceil")


@dataclass(frozen=True)
class _AnyPool(Ranked):
    """Windows on each axis, and one summary of every box of them."""

    def axes(self, extents: Shape) -> tuple[Windows, ...]:
        """The windows of every axis, without what lies in the padding."""
        raise NotImplementedError(self.kind)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axes = self.axes(spatial(self, shape, self.rank))
        return (*(axis.count for axis in axes), shape[-1])

    def flops(self, *inputs: Shape) -> int:
        fields = math.prod(axis.fields for axis in self.axes(inputs[0][:-1]))
        return (2 if self.native == "l2_pool" else 1) * fields * inputs[0][-1]

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        axes = self.axes(inputs[0][:-1])
        return {
            "counts": tuple(axis.count for axis in axes),
            "sizes": tuple(axis.size for axis in axes),
            "strides": tuple(axis.stride for axis in axes),
            "before": tuple(axis.before for axis in axes),
        }

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        return pooled(xp, x, self.axes(tuple(x.shape[1:-1])), self.native)


@dataclass(frozen=True)
class Pool(_AnyPool):
    """Windows of one size lie at equal distances.

    Shape:
        input ``(batch, ..., channels)``, output the same with shorter axes: ``(extent +
        pads - size) // stride + 1`` windows on each.

    Args:
        size: extent of a window, one number or one per axis.
        stride: distance of neighbouring windows, by default the size; windows overlap
            where it is smaller.
        padding: as of `Conv2D`, or "ceil": as much after the last pixel as the window
            that sees it lacks. What lies in it does not count.

    Raises:
        LayerError: a window exceeds the padded input, or lies in the padding alone.
    """

    size: PerAxis
    stride: PerAxis | None = None
    padding: Padding = "valid"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        whole = Example(cls(2), ((2, 4, 3, 2)[3 - cls.rank :],))
        same = Example(cls(3, 2, "same"), ((2, 3, 4, 1)[3 - cls.rank :],))
        if cls.rank != 2:
            return whole, same
        one = Example(cls((3, 2), (2, 1), 1), ((5, 4, 2),))
        return whole, same, one, Example(cls(3, 2, "ceil"), ((5, 4, 2),))

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", per_axis(self, "size", self.size, self.rank))
        if self.stride is not None:
            stride = per_axis(self, "stride", self.stride, self.rank)
            object.__setattr__(self, "stride", stride)
        padding = checked_padding(self, self.padding, self.rank, POOL_MODES)
        object.__setattr__(self, "padding", padding)

    def axes(self, extents: Shape) -> tuple[Windows, ...]:
        size = spread(self.size, self.rank)
        stride = spread(self.size if self.stride is None else self.stride, self.rank)
        ones = (1,) * self.rank
        sides = pads(self.padding, extents, size, stride, ones)
        counts = windows(self, extents, size, stride, ones, sides)
        begins = (before for before, _ in sides)
        axes = tuple(map(Sliding, extents, size, stride, begins, counts))
        if any(axis.some_empty for axis in axes):
            raise self.fail(
                f"padding = {self.padding!r} leaves windows {size} with nothing inside",
                "use less padding than the size of a window",
            )
        return axes


@dataclass(frozen=True)
class AdaptivePool(_AnyPool):
    """Windows divide each axis into a given number of nearly equal parts.

    Window i of m on an axis of n pixels goes from ``floor(i n / m)`` to before
    ``ceil((i + 1) n / m)``, so that neighbours overlap where m does not divide n, and
    see the same pixel where there are more windows than pixels.

    Shape:
        input ``(batch, ..., channels)``, output ``(batch, *shape, channels)``.

    Args:
        shape: windows on each axis, one number or one per axis.
    """

    shape: PerAxis

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        shape = (2, 2, 3)[3 - cls.rank :]
        return (Example(cls(shape), ((2, 2, 5, 2)[3 - cls.rank :],)),)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "shape", per_axis(self, "shape", self.shape, self.rank)
        )

    def axes(self, extents: Shape) -> tuple[Windows, ...]:
        return tuple(map(Parts, extents, spread(self.shape, self.rank)))


@dataclass(frozen=True)
class GlobalPool(_AnyPool):
    """One window covers everything; its axes are dropped.

    Shape:
        input ``(batch, ..., channels)``, output ``(batch, channels)``.
    """

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((2, 2, 3, 2)[3 - cls.rank :],)),)

    def axes(self, extents: Shape) -> tuple[Windows, ...]:
        return tuple(Parts(extent, 1) for extent in extents)

    def output_shape(self, *inputs: Shape) -> Shape:
        return super().output_shape(*inputs)[-1:]

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        pooled = super().formula(xp, parameters, *inputs, info=info)
        return pooled.reshape((pooled.shape[0], pooled.shape[-1]))
