# SPDX-License-Identifier: BSD-3-Clause
"""Transposed convolution: every pixel spreads over a window of a larger map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.layers._axis import check_groups
from nervure.layers._convolve import convolve, stretched, turned
from nervure.layers._convolving import Grouped
from nervure.layers._layer import Array, Attribute, Example, Pass, Shape
from nervure.layers._window import bounded, pads, spatial


@dataclass(frozen=True)
class TransposedConvolution(Grouped):
    """The input gradient of a `Convolution` as a layer: maps become larger.

    On two axes ``z[i s + k d - p, j s + l d - p, o] += sum over c of x[i, j, c]
    W[k, l, o, c]``, beginning at ``b[o]``. An axis of the output has
    ``(extent - 1) s + (kernel - 1) d + 1 - pads`` pixels, or ``extent s`` with "same";
    padding is taken off the output's edges. The weight is that of the convolution
    which it transposes.

    Source: Dumoulin and Visin, *A guide to convolution arithmetic for deep learning*
    (2018), chapter 4.
    """

    native: ClassVar[str] = "transposed_convolution"

    def wide(self, extents: Shape) -> Shape:
        """Extents of the output: what the convolution would begin with."""
        axes = list(zip(extents, *self.steps, strict=True))
        if self.padding == "same":
            return tuple(n * s for n, _, s, _ in axes)
        reach = tuple((n - 1) * s + (k - 1) * d + 1 for n, k, s, d in axes)
        sides = pads(self.padding, extents, *self.steps)
        return tuple(n - sum(side) for n, side in zip(reach, sides, strict=True))

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        extents = self.wide(spatial(self, shape, self.rank))
        check_groups(self, self.groups, shape[-1])
        if min(extents) < 1:
            raise self.fail(
                f"padding = {self.padding!r} leaves nothing of input {shape[:-1]}",
                "use less padding or a larger kernel",
            )
        padded = map(sum, zip(extents, map(sum, self.sides(extents)), strict=True))
        bounded(self, tuple(padded), " with its padding", self.filters)
        return (*extents, self.filters)

    def weight_shape(self, channels: int) -> Shape:
        return (*self.each_axis(self.kernel), self.filters // self.groups, channels)

    def fans(self, channels: int) -> tuple[int, int]:
        """Those of a convolution from as many channels to as many filters.

        The weight's shape has them the other way round.
        """
        field = math.prod(self.each_axis(self.kernel))
        return field * channels // self.groups, field * self.filters

    def flops(self, *inputs: Shape) -> int:
        (shape,) = inputs
        spread = 2 * math.prod(shape[:-1]) * math.prod(self.weight_shape(shape[-1]))
        return spread + (math.prod(self.output_shape(shape)) if self.bias else 0)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        extents = self.wide(inputs[0][:-1])
        before = tuple(side[0] for side in self.sides(extents))
        return {**super().attributes(*inputs), "before": before}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        kernel, stride, dilation = self.steps
        extents = self.wide(tuple(x.shape[1:-1]))
        spread = stretched(xp, x, stride)
        w = turned(xp, parameters["weight"], self.groups)
        margins: list[tuple[int, int]] = []
        axes = zip(kernel, dilation, self.sides(extents), extents, strict=True)
        for axis, (k, d, (before, _), extent) in enumerate(axes, start=1):
            reach = (k - 1) * d
            after = extent - spread.shape[axis] + before
            margins.append((reach - before, after))
        z = convolve(xp, *_cut(spread, margins, w), self._ones, dilation, self.groups)
        return z + parameters["bias"] if self.bias else z

    @property
    def _ones(self) -> tuple[int, ...]:
        return (1,) * self.rank


def _cut(
    x: Array, margins: list[tuple[int, int]], w: Array
) -> tuple[Array, Array, list[tuple[int, int]]]:
    """Negative margins cut the array; the others are left for padding."""
    cuts = [
        slice(max(0, -before), n - max(0, -after))
        for n, (before, after) in zip(x.shape[1:-1], margins, strict=True)
    ]
    x = x[(slice(None), *cuts)]
    return x, w, [(max(0, before), max(0, after)) for before, after in margins]


@dataclass(frozen=True)
class Conv1DTranspose(TransposedConvolution):
    """Of sequences.

    Shape:
        input ``(batch, width, channels)``, output ``(batch, places, filters)``;
        ``weight (kernel, filters / groups, channels)``, ``bias (filters,)``.

    >>> import nervure as nv
    >>> nv.Conv1DTranspose(8, 4, stride=2, padding=1).output_shape((50, 16))
    (100, 8)
    """

    kind: ClassVar[str] = "conv1d_transpose"
    rank: ClassVar[int] = 1

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(3, 3, stride=2), ((4, 2),)),
            Example(cls(2, 1, stride=3, padding="same"), ((3, 2),)),
        )


@dataclass(frozen=True)
class Conv2DTranspose(TransposedConvolution):
    """Of images.

    Shape:
        input ``(batch, height, width, channels)``, output ``(batch, rows, columns,
        filters)``; ``weight (height, width, filters / groups, channels)``,
        ``bias (filters,)``.

    >>> import nervure as nv
    >>> nv.Conv2DTranspose(8, 4, stride=2, padding=1).output_shape((7, 7, 16))
    (14, 14, 8)
    """

    kind: ClassVar[str] = "conv2d_transpose"
    rank: ClassVar[int] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(3, 3), ((3, 4, 2),)),
            Example(cls(4, (3, 2), stride=2, padding=1, groups=2), ((3, 3, 4),)),
            Example(cls(2, 3, stride=(1, 2), padding="same", bias=False), ((2, 3, 3),)),
            Example(cls(17, 2, dilation=2, padding=((0, 1), (1, 0))), ((2, 3, 1),)),
        )


@dataclass(frozen=True)
class Conv3DTranspose(TransposedConvolution):
    """Of volumes.

    Shape:
        input ``(batch, depth, height, width, channels)``, output ``(batch, planes,
        rows, columns, filters)``; ``weight (depth, height, width, filters / groups,
        channels)``, ``bias (filters,)``.

    >>> import nervure as nv
    >>> nv.Conv3DTranspose(8, 2, stride=(1, 2, 2)).output_shape((4, 7, 7, 16))
    (5, 14, 14, 8)
    """

    kind: ClassVar[str] = "conv3d_transpose"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(2, 2, stride=(1, 2, 2)), ((2, 2, 3, 2),)),)
