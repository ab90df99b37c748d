# SPDX-License-Identifier: BSD-3-Clause
"""The order of features, where one library lays them out as another does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Order = npt.NDArray[Any]


def joined(parts: Iterable[tuple[int, Order | None]]) -> Order:
    """Which feature stands at each place of parts that stand one after the other.

    Of each part its number of features and its own order; None: each at its place.

    >>> joined([(2, None), (3, np.array([2, 0, 1]))]).tolist()
    [0, 1, 4, 2, 3]
    """
    first, orders = 0, list[Order]()
    for count, order in parts:
        orders.append((np.arange(count) if order is None else order) + first)
        first += count
    return np.concatenate(orders)
