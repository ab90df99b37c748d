# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of the windows of a map: the largest, the mean, the root mean square.

A box of windows is summarized axis by axis, the last one first, so that the first of
the largest pixels is found row by row. Under JAX sliding windows are one operation of
XLA's, which neither gathers them nor makes a program that grows with them.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from nervure.layers._layer import Array
from nervure.layers._spans import Sliding, Windows


def pooled(xp: Any, x: Array, axes: Sequence[Windows], summary: str) -> Array:
    """``x (batch, ..., channels)`` by ``summary``: max_pool, average_pool or l2_pool.

    ``axes`` are the windows of each spatial axis.
    """
    if summary == "max_pool":
        return _largest(xp, x, axes)
    sums = _sums(xp, x if summary == "average_pool" else x * x, axes)
    mean = sums / _fields(xp, axes, x.dtype)
    if summary == "average_pool":
        return mean
    some = mean > 0  # the root has no derivative at 0
    return xp.where(some, xp.sqrt(xp.where(some, mean, 1.0)), 0.0)


def _largest(xp: Any, x: Array, axes: Sequence[Windows]) -> Array:
    """The first of the largest, so that one pixel takes the gradient; a NaN stays."""
    if xp is not np and all(isinstance(axis, Sliding) for axis in axes):
        from jax import lax

        return _by_xla(x, -np.inf, lax.max, axes)
    for k in reversed(range(len(axes))):
        places, _ = _places(axes[k])  # outside of a window: its last pixel once more
        view = xp.take(x, places, axis=k + 1)
        first = xp.expand_dims(view.argmax(axis=k + 2), k + 2)
        x = xp.take_along_axis(view, first, axis=k + 2).squeeze(k + 2)
    return x


def _sums(xp: Any, x: Array, axes: Sequence[Windows]) -> Array:
    if xp is not np and all(isinstance(axis, Sliding) for axis in axes):
        from jax import lax

        return _by_xla(x, 0.0, lax.add, axes)
    for k in reversed(range(len(axes))):
        places, inside = _places(axes[k])
        view = xp.take(x, places, axis=k + 1)
        behind = (1,) * (view.ndim - k - 3)
        x = xp.where(inside.reshape(*inside.shape, *behind), view, 0.0).sum(axis=k + 2)
    return x


def _by_xla(x: Array, begin: float, operation: Any, axes: Sequence[Windows]) -> Array:
    lax: Any = importlib.import_module("jax.lax")
    sliding = [axis for axis in axes if isinstance(axis, Sliding)]
    return lax.reduce_window(
        x,
        np.asarray(begin, x.dtype),
        operation,
        (1, *(axis.size for axis in sliding), 1),
        (1, *(axis.stride for axis in sliding), 1),
        ((0, 0), *((axis.before, axis.after) for axis in sliding), (0, 0)),
    )


def _places(axis: Windows) -> tuple[Array, Array]:
    """Pixels ``(windows, places)`` of an axis, and whether the window has them."""
    begins, ends = axis.spans
    places = begins[:, None] + np.arange(int((ends - begins).max()))
    inside = places < ends[:, None]
    return np.minimum(places, ends[:, None] - 1), inside


def _fields(xp: Any, axes: Sequence[Windows], dtype: Any) -> Array:
    """Pixels of each window: ``(..., 1)``."""
    lengths = [ends - begins for begins, ends in (axis.spans for axis in axes)]
    counts = functools.reduce(np.multiply, np.ix_(*lengths))
    return xp.asarray(counts[..., None], dtype)
