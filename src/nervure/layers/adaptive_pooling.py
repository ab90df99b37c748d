# SPDX-License-Identifier: BSD-3-Clause
"""Pooling of whole maps: into a given number of windows, or into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nervure.layers._layer import Example
from nervure.layers._pool import AdaptivePool, GlobalPool


@dataclass(frozen=True)
class AdaptiveMaxPool1D(AdaptivePool):
    """The largest value of each window of as many as are asked for.

    Window i of m on an axis of n pixels goes from ``floor(i n / m)`` to before
    ``ceil((i + 1) n / m)``.

    Shape:
        input ``(batch, width, channels)``, output
        ``(batch, *shape, channels)``.

    Args:
        shape: windows on each axis, one number or one per axis.

    Raises:
        LayerError: more windows than pixels.
    """

    kind: ClassVar[str] = "adaptive_max_pool1d"
    native: ClassVar[str] = "max_pool"
    rank: ClassVar[int] = 1

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(3), ((7, 2),)),)


@dataclass(frozen=True)
class AdaptiveMaxPool2D(AdaptivePool):
    """The largest value of each window of as many as are asked for.

    Window i of m on an axis of n pixels goes from ``floor(i n / m)`` to before
    ``ceil((i + 1) n / m)``.

    Shape:
        input ``(batch, height, width, channels)``, output
        ``(batch, *shape, channels)``.

    Args:
        shape: windows on each axis, one number or one per axis.

    Raises:
        LayerError: more windows than pixels.
    """

    kind: ClassVar[str] = "adaptive_max_pool2d"
    native: ClassVar[str] = "max_pool"
    rank: ClassVar[int] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((2, 3)), ((5, 4, 2),)),)


@dataclass(frozen=True)
class AdaptiveMaxPool3D(AdaptivePool):
    """The largest value of each window of as many as are asked for.

    Window i of m on an axis of n pixels goes from ``floor(i n / m)`` to before
    ``ceil((i + 1) n / m)``.

    Shape:
        input ``(batch, depth, height, width, channels)``, output
        ``(batch, *shape, channels)``.

    Args:
        shape: windows on each axis, one number or one per axis.

    Raises:
        LayerError: more windows than pixels.
    """

    kind: ClassVar[str] = "adaptive_max_pool3d"
    native: ClassVar[str] = "max_pool"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(2), ((3, 2, 4, 1),)),)


@dataclass(frozen=True)
class AdaptiveAveragePool1D(AdaptivePool):
    """The mean of each window of as many as are asked for.

    Window i of m on an axis of n pixels goes from ``floor(i n / m)`` to before
    ``ceil((i + 1) n / m)``.

    Shape:
        input ``(batch, width, channels)``, output
        ``(batch, *shape, channels)``.

    Args:
        shape: windows on each axis, one number or one per axis.

    Raises:
        LayerError: more windows than pixels.
    """

    kind: ClassVar[str] = "adaptive_average_pool1d"
    native: ClassVar[str] = "average_pool"
    rank: ClassVar[int] = 1

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(3), ((7, 2),)),)


@dataclass(frozen=True)
class AdaptiveAveragePool2D(AdaptivePool):
    """The mean of each window of as many as are asked for.

    Window i of m on an axis of n pixels goes from ``floor(i n / m)`` to before
    ``ceil((i + 1) n / m)``.

    Shape:
        input ``(batch, height, width, channels)``, output
        ``(batch, *shape, channels)``.

    Args:
        shape: windows on each axis, one number or one per axis.

    Raises:
        LayerError: more windows than pixels.
    """

    kind: ClassVar[str] = "adaptive_average_pool2d"
    native: ClassVar[str] = "average_pool"
    rank: ClassVar[int] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((2, 3)), ((5, 4, 2),)),)


@dataclass(frozen=True)
class AdaptiveAveragePool3D(AdaptivePool):
    """The mean of each window of as many as are asked for.

    Window i of m on an axis of n pixels goes from ``floor(i n / m)`` to before
    ``ceil((i + 1) n / m)``.

    Shape:
        input ``(batch, depth, height, width, channels)``, output
        ``(batch, *shape, channels)``.

    Args:
        shape: windows on each axis, one number or one per axis.

    Raises:
        LayerError: more windows than pixels.
    """

    kind: ClassVar[str] = "adaptive_average_pool3d"
    native: ClassVar[str] = "average_pool"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(2), ((3, 2, 4, 1),)),)


@dataclass(frozen=True)
class GlobalMaxPool1D(GlobalPool):
    """The largest value of each channel, along one axis.

    Shape:
        input ``(batch, width, channels)``, output ``(batch, channels)``.
    """

    kind: ClassVar[str] = "global_max_pool1d"
    native: ClassVar[str] = "max_pool"
    rank: ClassVar[int] = 1

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((4, 3),)),)


@dataclass(frozen=True)
class GlobalMaxPool2D(GlobalPool):
    """The largest value of each channel, over height and width.

    Shape:
        input ``(batch, height, width, channels)``, output ``(batch, channels)``.
    """

    kind: ClassVar[str] = "global_max_pool2d"
    native: ClassVar[str] = "max_pool"
    rank: ClassVar[int] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((3, 2, 3),)),)


@dataclass(frozen=True)
class GlobalMaxPool3D(GlobalPool):
    """The largest value of each channel, over depth, height and width.

    Shape:
        input ``(batch, depth, height, width, channels)``, output ``(batch, channels)``.
    """

    kind: ClassVar[str] = "global_max_pool3d"
    native: ClassVar[str] = "max_pool"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((2, 2, 2, 1),)),)


@dataclass(frozen=True)
class GlobalAveragePool1D(GlobalPool):
    """The mean of each channel, along one axis.

    Shape:
        input ``(batch, width, channels)``, output ``(batch, channels)``.

    Source: Lin, Chen, Yan, *Network in network* (2014), section 3.2.
    """

    kind: ClassVar[str] = "global_average_pool1d"
    native: ClassVar[str] = "average_pool"
    rank: ClassVar[int] = 1

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((4, 3),)),)


@dataclass(frozen=True)
class GlobalAveragePool2D(GlobalPool):
    """The mean of each channel, over height and width.

    Shape:
        input ``(batch, height, width, channels)``, output ``(batch, channels)``.

    Source: Lin, Chen, Yan, *Network in network* (2014), section 3.2.
    """

    kind: ClassVar[str] = "global_average_pool2d"
    native: ClassVar[str] = "average_pool"
    rank: ClassVar[int] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((3, 2, 3),)),)


@dataclass(frozen=True)
class GlobalAveragePool3D(GlobalPool):
    """The mean of each channel, over depth, height and width.

    Shape:
        input ``(batch, depth, height, width, channels)``, output ``(batch, channels)``.

    Source: Lin, Chen, Yan, *Network in network* (2014), section 3.2.
    """

    kind: ClassVar[str] = "global_average_pool3d"
    native: ClassVar[str] = "average_pool"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((2, 2, 2, 1),)),)
