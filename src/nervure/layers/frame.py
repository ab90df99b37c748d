# SPDX-License-Identifier: BSD-3-Clause
"""ZeroPadding and Cropping: rows of zeros put around a map, or rows taken off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.layers._family import Ranked
from nervure.layers._layer import Array, Attribute, Example, Pass, Shape
from nervure.layers._window import (
    Padding,
    bounded,
    checked_padding,
    padded,
    pads,
    spatial,
)

Sides = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Frame(Ranked):
    """A frame of so many pixels (before, after) on each axis."""

    native: ClassVar[str] = "frame"

    padding: Padding = 1

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        shape = (3, 4, 4, 1)[3 - cls.rank :]
        pairs = ((0, 1), (2, 0), (1, 2))[3 - cls.rank :]
        return Example(cls(), (shape,)), Example(cls(pairs), (shape,))

    def __post_init__(self) -> None:
        padding = checked_padding(self, self.padding, self.rank, ())
        object.__setattr__(self, "padding", padding)

    def sides(self) -> Sides:
        ones = (1,) * self.rank
        return pads(self.padding, ones, ones, ones, ones)


@dataclass(frozen=True)
class ZeroPadding(_Frame):
    """Zeros put around every map.

    Shape:
        input ``(batch, ..., channels)``, output the same with longer axes.

    Args:
        padding: pixels added on all sides, one number per axis, or pairs
            ``(before, after)``.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        extents = spatial(self, shape, self.rank)
        pairs = zip(extents, map(sum, self.sides()), strict=True)
        return (*bounded(self, tuple(map(sum, pairs))), shape[-1])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"before": tuple(before for before, _ in self.sides())}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return padded(xp, inputs[0], self.sides())


@dataclass(frozen=True)
class ZeroPadding1D(ZeroPadding):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.ZeroPadding1D(((4, 0),)).output_shape((28, 3))
    (32, 3)
    """

    kind: ClassVar[str] = "zero_padding1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class ZeroPadding2D(ZeroPadding):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.ZeroPadding2D(1).output_shape((28, 28, 3))
    (30, 30, 3)
    """

    kind: ClassVar[str] = "zero_padding2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class ZeroPadding3D(ZeroPadding):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.ZeroPadding3D((0, 1, 1)).output_shape((8, 28, 28, 3))
    (8, 30, 30, 3)
    """

    kind: ClassVar[str] = "zero_padding3d"
    rank: ClassVar[int] = 3


@dataclass(frozen=True)
class Cropping(_Frame):
    """Pixels taken off the edges of every map.

    Shape:
        input ``(batch, ..., channels)``, output the same with shorter axes.

    Args:
        padding: pixels taken off on all sides, one number per axis, or pairs
            ``(before, after)``.

    Raises:
        LayerError: nothing is left.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        extents = spatial(self, shape, self.rank)
        pairs = zip(extents, self.sides(), strict=True)
        left = tuple(n - before - after for n, (before, after) in pairs)
        if min(left) < 1:
            raise self.fail(
                f"cropping {self.padding!r} leaves nothing of input {extents}",
                "take off fewer pixels",
            )
        return (*left, shape[-1])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"before": tuple(-before for before, _ in self.sides())}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        axes = zip(x.shape[1:-1], self.sides(), strict=True)
        return x[(slice(None), *(slice(b, n - a) for n, (b, a) in axes))]


@dataclass(frozen=True)
class Cropping1D(Cropping):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.Cropping1D(((4, 0),)).output_shape((28, 3))
    (24, 3)
    """

    kind: ClassVar[str] = "cropping1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class Cropping2D(Cropping):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.Cropping2D(1).output_shape((28, 28, 3))
    (26, 26, 3)
    """

    kind: ClassVar[str] = "cropping2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class Cropping3D(Cropping):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.Cropping3D((0, 1, 1)).output_shape((8, 28, 28, 3))
    (8, 26, 26, 3)
    """

    kind: ClassVar[str] = "cropping3d"
    rank: ClassVar[int] = 3
