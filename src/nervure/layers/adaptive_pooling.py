# SPDX-License-Identifier: BSD-3-Clause
"""Pooling of whole maps: into a given number of windows, or into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nervure.layers._pool import AdaptivePool, GlobalPool


@dataclass(frozen=True)
class AdaptiveMaxPool(AdaptivePool):
    """The largest value of each window, of as many as are asked for."""

    native: ClassVar[str] = "max_pool"


@dataclass(frozen=True)
class AdaptiveMaxPool1D(AdaptiveMaxPool):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.AdaptiveMaxPool1D(3).output_shape((7, 8))
    (3, 8)
    """

    kind: ClassVar[str] = "adaptive_max_pool1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class AdaptiveMaxPool2D(AdaptiveMaxPool):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.AdaptiveMaxPool2D((2, 3)).output_shape((5, 4, 8))
    (2, 3, 8)
    """

    kind: ClassVar[str] = "adaptive_max_pool2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class AdaptiveMaxPool3D(AdaptiveMaxPool):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.AdaptiveMaxPool3D(2).output_shape((3, 2, 4, 8))
    (2, 2, 2, 8)
    """

    kind: ClassVar[str] = "adaptive_max_pool3d"
    rank: ClassVar[int] = 3


@dataclass(frozen=True)
class AdaptiveAveragePool(AdaptivePool):
    """The mean of each window, of as many as are asked for."""

    native: ClassVar[str] = "average_pool"


@dataclass(frozen=True)
class AdaptiveAveragePool1D(AdaptiveAveragePool):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.AdaptiveAveragePool1D(3).output_shape((7, 8))
    (3, 8)
    """

    kind: ClassVar[str] = "adaptive_average_pool1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class AdaptiveAveragePool2D(AdaptiveAveragePool):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.AdaptiveAveragePool2D((2, 3)).output_shape((5, 4, 8))
    (2, 3, 8)
    """

    kind: ClassVar[str] = "adaptive_average_pool2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class AdaptiveAveragePool3D(AdaptiveAveragePool):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.AdaptiveAveragePool3D(2).output_shape((3, 2, 4, 8))
    (2, 2, 2, 8)
    """

    kind: ClassVar[str] = "adaptive_average_pool3d"
    rank: ClassVar[int] = 3


@dataclass(frozen=True)
class AdaptiveL2Pool(AdaptivePool):
    """The root mean square of each window, of as many as are asked for."""

    native: ClassVar[str] = "l2_pool"


@dataclass(frozen=True)
class AdaptiveL2Pool1D(AdaptiveL2Pool):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.AdaptiveL2Pool1D(3).output_shape((7, 8))
    (3, 8)
    """

    kind: ClassVar[str] = "adaptive_l2_pool1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class AdaptiveL2Pool2D(AdaptiveL2Pool):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.AdaptiveL2Pool2D((2, 3)).output_shape((5, 4, 8))
    (2, 3, 8)
    """

    kind: ClassVar[str] = "adaptive_l2_pool2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class AdaptiveL2Pool3D(AdaptiveL2Pool):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.AdaptiveL2Pool3D(2).output_shape((3, 2, 4, 8))
    (2, 2, 2, 8)
    """

    kind: ClassVar[str] = "adaptive_l2_pool3d"
    rank: ClassVar[int] = 3


@dataclass(frozen=True)
class GlobalMaxPool(GlobalPool):
    """The largest value of each channel over its whole map."""

    native: ClassVar[str] = "max_pool"


@dataclass(frozen=True)
class GlobalMaxPool1D(GlobalMaxPool):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.GlobalMaxPool1D().output_shape((7, 8))
    (8,)
    """

    kind: ClassVar[str] = "global_max_pool1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class GlobalMaxPool2D(GlobalMaxPool):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.GlobalMaxPool2D().output_shape((5, 4, 8))
    (8,)
    """

    kind: ClassVar[str] = "global_max_pool2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class GlobalMaxPool3D(GlobalMaxPool):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.GlobalMaxPool3D().output_shape((3, 2, 4, 8))
    (8,)
    """

    kind: ClassVar[str] = "global_max_pool3d"
    rank: ClassVar[int] = 3


@dataclass(frozen=True)
class GlobalAveragePool(GlobalPool):
    """The mean of each channel over its whole map.

    Source: Lin, Chen, Yan, *Network in network* (2014), section 3.2.
    """

    native: ClassVar[str] = "average_pool"


@dataclass(frozen=True)
class GlobalAveragePool1D(GlobalAveragePool):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.GlobalAveragePool1D().output_shape((7, 8))
    (8,)
    """

    kind: ClassVar[str] = "global_average_pool1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class GlobalAveragePool2D(GlobalAveragePool):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.GlobalAveragePool2D().output_shape((5, 4, 8))
    (8,)
    """

    kind: ClassVar[str] = "global_average_pool2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class GlobalAveragePool3D(GlobalAveragePool):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.GlobalAveragePool3D().output_shape((3, 2, 4, 8))
    (8,)
    """

    kind: ClassVar[str] = "global_average_pool3d"
    rank: ClassVar[int] = 3


@dataclass(frozen=True)
class GlobalL2Pool(GlobalPool):
    """The root mean square of each channel over its whole map."""

    native: ClassVar[str] = "l2_pool"


@dataclass(frozen=True)
class GlobalL2Pool1D(GlobalL2Pool):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.GlobalL2Pool1D().output_shape((7, 8))
    (8,)
    """

    kind: ClassVar[str] = "global_l2_pool1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class GlobalL2Pool2D(GlobalL2Pool):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.GlobalL2Pool2D().output_shape((5, 4, 8))
    (8,)
    """

    kind: ClassVar[str] = "global_l2_pool2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class GlobalL2Pool3D(GlobalL2Pool):
    """Of volumes ``(batch, depth, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.GlobalL2Pool3D().output_shape((3, 2, 4, 8))
    (8,)
    """

    kind: ClassVar[str] = "global_l2_pool3d"
    rank: ClassVar[int] = 3
