# SPDX-License-Identifier: BSD-3-Clause
"""In which order gates stand: those of nervure's layers, and those of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.layers import GRU, LSTM, Layer, SimpleRNN

Array = npt.NDArray[Any]

OPERATORS: dict[type[Layer], tuple[str, tuple[int, ...]]] = {
    SimpleRNN: ("RNN", (0,)),
    LSTM: ("LSTM", (0, 3, 1, 2)),
    GRU: ("GRU", (1, 0, 2)),
}
"""ONNX's operator, and which of our gates stands at each of its places."""


def in_order(array: Array, order: Sequence[int]) -> Array:
    """Gates side by side along the last axis, those that stand there in this order.

    >>> in_order(np.arange(6), (2, 0, 1)).tolist()
    [4, 5, 0, 1, 2, 3]
    """
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[i] for i in order], axis=-1)


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """The order that undoes another.

    >>> inverse((0, 3, 1, 2))
    (0, 2, 3, 1)
    """
    return tuple(int(i) for i in np.argsort(order))
