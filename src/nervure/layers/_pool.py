# SPDX-License-Identifier: BSD-3-Clause
"""What pooling layers share: their windows, and what becomes of one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from nervure.layers._family import Ranked
from nervure.layers._layer import Array, Attribute, Example, Pass, Shape
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

Spans = tuple[tuple[int, int], ...]
"""Where the windows of one axis begin and end."""


@dataclass(frozen=True)
class Row:
    """The windows of one axis: the first begins ``before`` pixels outside."""

    size: int
    stride: int
    before: int
    count: int

    def spans(self, extent: int) -> Spans:
        """Where they begin and end inside of the axis."""
        first = (i * self.stride - self.before for i in range(self.count))
        return tuple((max(0, b), min(extent, b + self.size)) for b in first)


# -- what becomes of a window ----------------------------------------------------------


def _largest(xp: Any, views: Sequence[Array], inside: Sequence[Array]) -> Array:
    """The first of the largest, so that one pixel takes the gradient; a NaN stays."""
    y = xp.where(inside[0], views[0], -xp.inf)
    for view, valid in zip(views[1:], inside[1:], strict=True):
        y = xp.where((y >= view) | (y != y) | ~valid, y, view)
    return y


def _mean(xp: Any, views: Sequence[Array], inside: Sequence[Array]) -> Array:
    total = sum(xp.where(i, x, 0.0) for x, i in zip(views, inside, strict=True))
    return total / sum(i.astype(views[0].dtype) for i in inside)


def _root_mean_square(
    xp: Any, views: Sequence[Array], inside: Sequence[Array]
) -> Array:
    mean = _mean(xp, [x * x for x in views], inside)
    some = mean > 0  # the root has no derivative at 0
    return xp.where(some, xp.sqrt(xp.where(some, mean, 1.0)), 0.0)


_SUMMARIES = {"max_pool": _largest, "average_pool": _mean, "l2_pool": _root_mean_square}


# -- layers ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _AnyPool(Ranked):
    """Windows given by where they begin and end on each axis."""

    def spans(self, extents: Shape) -> tuple[Spans, ...]:
        """The windows of every axis, without what lies in the padding."""
        raise NotImplementedError(self.kind)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        spans = self.spans(spatial(self, shape, self.rank))
        return (*map(len, spans), shape[-1])

    def flops(self, *inputs: Shape) -> int:
        spans = self.spans(inputs[0][:-1])
        fields = math.prod(sum(end - begin for begin, end in axis) for axis in spans)
        return (2 if self.native == "l2_pool" else 1) * fields * inputs[0][-1]

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        axes = self.spans(inputs[0][:-1])
        begins, ends = zip(*(span for axis in axes for span in axis), strict=True)
        return {"counts": tuple(map(len, axes)), "begins": begins, "ends": ends}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        spans = self.spans(tuple(x.shape[1:-1]))
        views: list[Array] = []
        inside: list[Array] = []
        for place in product(*(range(max(e - b for b, e in axis)) for axis in spans)):
            view, valid = x, np.ones((1,) * (self.rank + 2), bool)
            for k, (axis, i) in enumerate(zip(spans, place, strict=True), start=1):
                at = np.array([min(begin + i, end - 1) for begin, end in axis])
                view = xp.take(view, at, axis=k)
                short = np.array([begin + i < end for begin, end in axis])
                valid = valid & np.expand_dims(
                    short, [j for j in range(self.rank + 2) if j != k]
                )
            views.append(view)
            inside.append(valid)
        return _SUMMARIES[self.native](xp, views, inside)


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

    def rows(self, extents: Shape) -> tuple[Row, ...]:
        """The windows of every axis, as far as they lie in the padding too."""
        size = spread(self.size, self.rank)
        stride = spread(self.size if self.stride is None else self.stride, self.rank)
        ones = (1,) * self.rank
        sides = pads(self.padding, extents, size, stride, ones)
        counts = windows(self, extents, size, stride, ones, sides)
        axes = zip(size, stride, sides, counts, strict=True)
        return tuple(Row(k, s, before, count) for k, s, (before, _), count in axes)

    def spans(self, extents: Shape) -> tuple[Spans, ...]:
        rows = zip(self.rows(extents), extents, strict=True)
        spans = tuple(row.spans(extent) for row, extent in rows)
        if any(begin >= end for axis in spans for begin, end in axis):
            raise self.fail(
                f"padding = {self.padding!r} leaves windows "
                f"{spread(self.size, self.rank)} with nothing inside",
                "use less padding than the size of a window",
            )
        return spans


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

    def spans(self, extents: Shape) -> tuple[Spans, ...]:
        counts = spread(self.shape, self.rank)
        return tuple(
            tuple((i * n // m, -(-(i + 1) * n // m)) for i in range(m))
            for n, m in zip(extents, counts, strict=True)
        )


@dataclass(frozen=True)
class GlobalPool(_AnyPool):
    """One window covers everything; its axes are dropped.

    Shape:
        input ``(batch, ..., channels)``, output ``(batch, channels)``.
    """

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((2, 2, 3, 2)[3 - cls.rank :],)),)

    def spans(self, extents: Shape) -> tuple[Spans, ...]:
        return tuple(((0, n),) for n in extents)

    def output_shape(self, *inputs: Shape) -> Shape:
        return super().output_shape(*inputs)[-1:]

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        pooled = super().formula(xp, parameters, *inputs, info=info)
        return pooled.reshape((pooled.shape[0], pooled.shape[-1]))
