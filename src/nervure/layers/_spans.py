# SPDX-License-Identifier: BSD-3-Clause
"""Where the windows of one axis begin and end: a few numbers, never a list of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sliding:
    """Windows of ``size`` at equal distances; what lies in the padding is cut off.

    Window i goes from ``i stride - before`` to before ``i stride - before + size``.

    >>> begins, ends = Sliding(5, size=3, stride=2, before=1, count=3).spans
    >>> begins.tolist(), ends.tolist()
    ([0, 1, 3], [2, 4, 5])
    """

    extent: int
    size: int
    stride: int
    before: int
    count: int

    @property
    def spans(self) -> tuple[Places, Places]:
        """Where each window begins and ends."""
        begins = np.arange(self.count) * self.stride - self.before
        ends = begins + self.size
        return np.maximum(begins, 0), np.minimum(ends, self.extent)

    @property
    def after(self) -> int:
        """What the last window lacks behind the axis."""
        last = (self.count - 1) * self.stride - self.before
        return max(0, last + self.size - self.extent)

    @property
    def fields(self) -> int:
        """Pixels of all windows together."""
        outside = self._outside(self.before) + self._outside(self.after)
        return self.count * self.size - outside

    def _outside(self, most: int) -> int:
        """Pixels that windows have beyond an edge, the outermost so many."""
        windows = min(self.count, -(-most // self.stride))
        return windows * most - self.stride * (windows * (windows - 1) // 2)

    @property
    def some_empty(self) -> bool:
        """Whether a window lies in the padding alone: the first, or the last."""
        last = (self.count - 1) * self.stride - self.before
        return self.size <= self.before or last >= self.extent


@dataclass(frozen=True)
class Parts:
    """Windows that divide an axis into ``count`` nearly equal parts.

    Window i of m on an axis of n pixels goes from ``floor(i n / m)`` to before
    ``ceil((i + 1) n / m)``.

    >>> begins, ends = Parts(5, count=3).spans
    >>> begins.tolist(), ends.tolist()
    ([0, 1, 3], [2, 4, 5])
    """

    size: ClassVar[int] = 0  # where windows slide these are more
    stride: ClassVar[int] = 0
    before: ClassVar[int] = 0

    extent: int
    count: int

    @property
    def spans(self) -> tuple[Places, Places]:
        """Where each window begins and ends."""
        edges = np.arange(self.count + 1) * self.extent
        return edges[:-1] // self.count, -(-edges[1:] // self.count)

    @property
    def fields(self) -> int:
        """Pixels of all windows together."""
        return self.extent + self.count - math.gcd(self.extent, self.count)


Windows = Sliding | Parts
