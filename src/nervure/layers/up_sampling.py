# SPDX-License-Identifier: BSD-3-Clause
"""UpSampling: maps made larger by repeating pixels or by lines between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nervure.layers._family import Ranked
from nervure.layers._layer import Array, Attribute, Example, Pass, Shape
from nervure.layers._window import PerAxis, bounded, per_axis, spatial, spread


@dataclass(frozen=True)
class UpSampling(Ranked):
    """Maps made larger, ``size`` times along each axis.

    "nearest" repeats every pixel. Linear interpolation draws lines between the centres
    of pixels, axis by axis: the centre of pixel i is at i + 1/2, so that pixel j of the
    larger axis lies at ``(j + 1/2) / size - 1/2`` of the smaller one; beyond the
    outermost centres the value stays (half-pixel centres, PyTorch's
    ``align_corners=False``).

    Shape:
        input ``(batch, ..., channels)``, output the same with axes of ``extent size``.

    Args:
        size: how many pixels become of one, one number or one per axis.
        interpolation: "nearest", or what draws lines: "linear" for sequences,
            "bilinear" for images, "trilinear" for volumes.

    Raises:
        LayerError: an unknown interpolation, or the input has no channel axis.

    Source: Odena, Dumoulin, Olah, *Deconvolution and checkerboard artifacts* (Distill,
    2016): a convolution behind it makes no such patterns as a transposed one does.
    """

    native: ClassVar[str] = "up_sampling"
    lines: ClassVar[str]

    size: PerAxis = 2
    interpolation: str = "nearest"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", per_axis(self, "size", self.size, self.rank))
        if self.interpolation not in ("nearest", self.lines):
            raise self.fail(
                f"interpolation = {self.interpolation!r}",
                f'use "nearest" or "{self.lines}"',
            )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        shape, sizes = (2, 3, 2, 2)[3 - cls.rank :], (1, 2, 3)[3 - cls.rank :]
        return (
            Example(cls(), (shape,)),
            Example(cls(sizes), (shape,)),
            Example(cls(sizes, cls.lines), (shape,)),
            Example(cls(3, cls.lines), ((1, 1, 4, 1)[3 - cls.rank :],)),
        )

    @property
    def each_axis(self) -> tuple[int, ...]:
        return spread(self.size, self.rank)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        extents = spatial(self, shape, self.rank)
        pairs = zip(extents, self.each_axis, strict=True)
        return (*bounded(self, tuple(n * s for n, s in pairs)), shape[-1])

    def flops(self, *inputs: Shape) -> int:
        if self.interpolation == "nearest":
            return 0
        return 2 ** (self.rank + 1) * math.prod(self.output_shape(*inputs))

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"size": self.each_axis, "linear": int(self.interpolation == self.lines)}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        for axis, size in enumerate(self.each_axis, start=1):
            if self.interpolation == "nearest":
                x = xp.repeat(x, size, axis=axis)
            else:
                x = _between(xp, x, size, axis)
        return x


def _between(xp: Any, x: Array, size: int, axis: int) -> Array:
    """Lines between the centres of pixels along one axis."""
    extent = x.shape[axis]
    centres = (np.arange(extent * size, dtype=np.float64) + 0.5) / size - 0.5
    places = np.clip(centres, 0.0, extent - 1.0)
    low = places.astype(np.int64)
    high = np.minimum(low + 1, extent - 1)
    share = np.expand_dims(places - low, [i for i in range(x.ndim) if i != axis])
    share = xp.asarray(share, x.dtype)
    return xp.take(x, low, axis=axis) * (1 - share) + xp.take(x, high, axis) * share


@dataclass(frozen=True)
class UpSampling1D(UpSampling):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((2, 1)), nv.UpSampling1D(2, "linear")])
    >>> net.forward([[[0.0], [4.0]]]).ravel().tolist()
    [0.0, 1.0, 3.0, 4.0]
    """

    kind: ClassVar[str] = "up_sampling1d"
    rank: ClassVar[int] = 1
    lines: ClassVar[str] = "linear"


@dataclass(frozen=True)
class UpSampling2D(UpSampling):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.UpSampling2D(2, "bilinear").output_shape((14, 14, 64))
    (28, 28, 64)
    """

    kind: ClassVar[str] = "up_sampling2d"
    rank: ClassVar[int] = 2
    lines: ClassVar[str] = "bilinear"


@dataclass(frozen=True)
class UpSampling3D(UpSampling):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.UpSampling3D((1, 2, 2)).output_shape((8, 14, 14, 16))
    (8, 28, 28, 16)
    """

    kind: ClassVar[str] = "up_sampling3d"
    rank: ClassVar[int] = 3
    lines: ClassVar[str] = "trilinear"
