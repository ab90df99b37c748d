# SPDX-License-Identifier: BSD-3-Clause
"""Pooling: each window of a map summarized in one number, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nervure.layers._pool import Pool


@dataclass(frozen=True)
class MaxPool(Pool):
    """The largest value of each window, channel by channel.

    Of equal values the first takes the gradient.

    Source: LeCun, Bengio, Hinton, *Deep learning* (Nature 521, 2015); Goodfellow et al.
    (2016), section 9.3.
    """

    native: ClassVar[str] = "max_pool"


@dataclass(frozen=True)
class MaxPool1D(MaxPool):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.MaxPool1D(3, stride=2).output_shape((9, 8))
    (4, 8)
    """

    kind: ClassVar[str] = "max_pool1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class MaxPool2D(MaxPool):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.MaxPool2D(3, stride=2).output_shape((13, 13, 256))
    (6, 6, 256)
    """

    kind: ClassVar[str] = "max_pool2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class MaxPool3D(MaxPool):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.MaxPool3D(2).output_shape((4, 8, 8, 16))
    (2, 4, 4, 16)
    """

    kind: ClassVar[str] = "max_pool3d"
    rank: ClassVar[int] = 3


@dataclass(frozen=True)
class AveragePool(Pool):
    """The mean of each window, channel by channel.

    Source: LeCun et al., *Gradient-based learning applied to document recognition*
    (1998), section II.B (sub-sampling).
    """

    native: ClassVar[str] = "average_pool"


@dataclass(frozen=True)
class AveragePool1D(AveragePool):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.AveragePool1D(3, stride=2).output_shape((9, 8))
    (4, 8)
    """

    kind: ClassVar[str] = "average_pool1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class AveragePool2D(AveragePool):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.AveragePool2D(3, stride=2).output_shape((13, 13, 256))
    (6, 6, 256)
    """

    kind: ClassVar[str] = "average_pool2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class AveragePool3D(AveragePool):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.AveragePool3D(2).output_shape((4, 8, 8, 16))
    (2, 4, 4, 16)
    """

    kind: ClassVar[str] = "average_pool3d"
    rank: ClassVar[int] = 3


@dataclass(frozen=True)
class L2Pool(Pool):
    """The root mean square of each window: ``y = sqrt(mean of x^2)``.

    Its derivative is taken as 0 where the whole window is 0.

    Source: Sermanet, Chintala, LeCun, *Convolutional neural networks applied to house
    numbers digit classification* (2012), section 2.2, p = 2.
    """

    native: ClassVar[str] = "l2_pool"


@dataclass(frozen=True)
class L2Pool1D(L2Pool):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.L2Pool1D(3, stride=2).output_shape((9, 8))
    (4, 8)
    """

    kind: ClassVar[str] = "l2_pool1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class L2Pool2D(L2Pool):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.L2Pool2D(3, stride=2).output_shape((13, 13, 256))
    (6, 6, 256)
    """

    kind: ClassVar[str] = "l2_pool2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class L2Pool3D(L2Pool):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.L2Pool3D(2).output_shape((4, 8, 8, 16))
    (2, 4, 4, 16)
    """

    kind: ClassVar[str] = "l2_pool3d"
    rank: ClassVar[int] = 3
