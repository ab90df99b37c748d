# SPDX-License-Identifier: BSD-3-Clause
"""Pooling: each window of a map summarized in one number, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nervure.layers._layer import Example
from nervure.layers._pool import Pool


@dataclass(frozen=True)
class MaxPool1D(Pool):
    """The largest value of each window, along one axis.

    See `MaxPool2D`.

    Shape:
        input ``(batch, width, channels)``, output the same with shorter axes.
    """

    kind: ClassVar[str] = "max_pool1d"
    native: ClassVar[str] = "max_pool"
    rank: ClassVar[int] = 1

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((6, 3),)),
            Example(cls(3, stride=2, padding="same"), ((6, 2),)),
        )


@dataclass(frozen=True)
class MaxPool2D(Pool):
    """The largest value of each window, over height and width.

    Of equal values the first takes the gradient.

    Shape:
        input ``(batch, height, width, channels)``, output ``(batch, rows, columns,
        channels)`` with ``rows = (height + pads - size) // stride + 1``.

    Args:
        size: extent of a window, one number or one per axis.
        stride: distance of neighbouring windows, by default the size; windows overlap
            where it is smaller.
        padding: as of `Conv2D`; what lies in it does not count.

    Raises:
        LayerError: a window exceeds the padded input, or lies in the padding alone.

    Source: LeCun, Bengio, Hinton, *Deep learning* (Nature 521, 2015); Goodfellow et al.
    (2016), section 9.3.

    >>> import nervure as nv
    >>> nv.MaxPool2D(3, stride=2).output_shape((13, 13, 256))
    (6, 6, 256)
    """

    kind: ClassVar[str] = "max_pool2d"
    native: ClassVar[str] = "max_pool"
    rank: ClassVar[int] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((4, 5, 3),)),
            Example(cls((3, 2), stride=(2, 1), padding=1), ((5, 4, 2),)),
        )


@dataclass(frozen=True)
class MaxPool3D(Pool):
    """The largest value of each window, over depth, height and width.

    See `MaxPool2D`.

    Shape:
        input ``(batch, depth, height, width, channels)``, output the same with
        shorter axes.
    """

    kind: ClassVar[str] = "max_pool3d"
    native: ClassVar[str] = "max_pool"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(2), ((2, 4, 3, 2),)),)


@dataclass(frozen=True)
class AveragePool1D(Pool):
    """The mean of each window, along one axis.

    See `AveragePool2D`.

    Shape:
        input ``(batch, width, channels)``, output the same with shorter axes.
    """

    kind: ClassVar[str] = "average_pool1d"
    native: ClassVar[str] = "average_pool"
    rank: ClassVar[int] = 1

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((6, 3),)),
            Example(cls(3, stride=2, padding="same"), ((6, 2),)),
        )


@dataclass(frozen=True)
class AveragePool2D(Pool):
    """The mean of each window, over height and width.

    Shape:
        input ``(batch, height, width, channels)``, output ``(batch, rows, columns,
        channels)`` with ``rows = (height + pads - size) // stride + 1``.

    Args:
        size: extent of a window, one number or one per axis.
        stride: distance of neighbouring windows, by default the size; windows overlap
            where it is smaller.
        padding: as of `Conv2D`; what lies in it does not count.

    Raises:
        LayerError: a window exceeds the padded input, or lies in the padding alone.

    Source: LeCun et al., *Gradient-based learning applied to document recognition*
    (1998), section II.B (sub-sampling).

    >>> import nervure as nv
    >>> nv.AveragePool2D(3, stride=2).output_shape((13, 13, 256))
    (6, 6, 256)
    """

    kind: ClassVar[str] = "average_pool2d"
    native: ClassVar[str] = "average_pool"
    rank: ClassVar[int] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((4, 5, 3),)),
            Example(cls((3, 2), stride=(2, 1), padding=1), ((5, 4, 2),)),
        )


@dataclass(frozen=True)
class AveragePool3D(Pool):
    """The mean of each window, over depth, height and width.

    See `AveragePool2D`.

    Shape:
        input ``(batch, depth, height, width, channels)``, output the same with
        shorter axes.
    """

    kind: ClassVar[str] = "average_pool3d"
    native: ClassVar[str] = "average_pool"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(2), ((2, 4, 3, 2),)),)


@dataclass(frozen=True)
class L2Pool1D(Pool):
    """The root mean square of each window, along one axis.

    See `L2Pool2D`.

    Shape:
        input ``(batch, width, channels)``, output the same with shorter axes.
    """

    kind: ClassVar[str] = "l2_pool1d"
    native: ClassVar[str] = "l2_pool"
    rank: ClassVar[int] = 1

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((6, 3),)),
            Example(cls(3, stride=2, padding="same"), ((6, 2),)),
        )


@dataclass(frozen=True)
class L2Pool2D(Pool):
    """The root mean square of each window, over height and width.

    ``y = sqrt(mean of x^2)``. Its derivative is taken as 0 where the whole window is 0.

    Shape:
        input ``(batch, height, width, channels)``, output ``(batch, rows, columns,
        channels)`` with ``rows = (height + pads - size) // stride + 1``.

    Args:
        size: extent of a window, one number or one per axis.
        stride: distance of neighbouring windows, by default the size; windows overlap
            where it is smaller.
        padding: as of `Conv2D`; what lies in it does not count.

    Raises:
        LayerError: a window exceeds the padded input, or lies in the padding alone.

    Source: Sermanet, Chintala, LeCun, *Convolutional neural networks applied to house
    numbers digit classification* (2012), section 2.2, p = 2.

    >>> import nervure as nv
    >>> nv.L2Pool2D(3, stride=2).output_shape((13, 13, 256))
    (6, 6, 256)
    """

    kind: ClassVar[str] = "l2_pool2d"
    native: ClassVar[str] = "l2_pool"
    rank: ClassVar[int] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((4, 5, 3),)),
            Example(cls((3, 2), stride=(2, 1), padding=1), ((5, 4, 2),)),
        )


@dataclass(frozen=True)
class L2Pool3D(Pool):
    """The root mean square of each window, over depth, height and width.

    See `L2Pool2D`.

    Shape:
        input ``(batch, depth, height, width, channels)``, output the same with
        shorter axes.
    """

    kind: ClassVar[str] = "l2_pool3d"
    native: ClassVar[str] = "l2_pool"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(2), ((2, 4, 3, 2),)),)
