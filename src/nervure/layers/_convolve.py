# SPDX-License-Identifier: BSD-3-Clause
"""The sum of a convolution: readable in NumPy, one operation in JAX."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from nervure.layers._layer import Array
from nervure.layers._window import padded, seen

Sides = Sequence[tuple[int, int]]


def convolve(
    xp: Any,
    x: Array,
    w: Array,
    sides: Sides,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Array:
    """Every window of ``x (batch, ..., channels)`` times the kernel.

    ``w (..., channels / groups, filters)``; ``sides`` are zeros around x.
    """
    if xp is not np:
        return _by_xla(x, w, sides, stride, dilation, groups)
    x = padded(np, x, sides)
    kernel = w.shape[:-2]
    axes = zip(x.shape[1:-1], kernel, stride, dilation, strict=True)
    counts = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in axes]
    z: Array = 0.0
    for place in product(*map(range, kernel)):
        views = np.split(seen(x, place, counts, stride, dilation), groups, axis=-1)
        weights = np.split(w[place], groups, axis=-1)
        parts = [a @ b for a, b in zip(views, weights, strict=True)]
        z = z + np.concatenate(parts, axis=-1)
    return z


def _by_xla(
    x: Array,
    w: Array,
    sides: Sides,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Array:
    from jax import lax

    letters = "DHW"[3 - len(stride) :]
    return lax.conv_general_dilated(
        x,
        w,
        window_strides=stride,
        padding=sides,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=groups,
    )


def stretched(xp: Any, x: Array, stride: Sequence[int]) -> Array:
    """``x`` with ``stride - 1`` zeros between neighbours along its spatial axes."""
    for axis, step in enumerate(stride, start=1):
        if step > 1:
            sides = [(0, 0)] * (x.ndim + 1)
            sides[axis + 1] = (0, step - 1)
            shape = (*x.shape[:axis], x.shape[axis] * step, *x.shape[axis + 1 :])
            x = xp.pad(xp.expand_dims(x, axis + 1), sides).reshape(shape)
            whole = (slice(None),) * axis
            x = x[(*whole, slice(0, shape[axis] - step + 1))]
    return x


def turned(xp: Any, w: Array, groups: int) -> Array:
    """The transposed convolution's kernel: reversed, inputs and filters swapped."""
    rank = w.ndim - 2
    w = xp.flip(w, axis=tuple(range(rank)))
    out, into = w.shape[-2], w.shape[-1] // groups
    parted = w.reshape((*w.shape[:-2], out, groups, into))
    axes = (*range(rank), rank + 2, rank + 1, rank)
    return xp.transpose(parted, axes).reshape((*w.shape[:-2], into, groups * out))
