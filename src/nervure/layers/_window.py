# SPDX-License-Identifier: BSD-3-Clause
"""Windows that slide over the spatial axes of a sample: sizes, padding, what fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from nervure.base.words import amount, short
from nervure.layers._layer import Array, Layer, Shape, whole

PerAxis = int | tuple[int, ...]
"""One number for all spatial axes, or one for each."""

Padding = str | int | tuple[int, ...] | tuple[tuple[int, int], ...]
"""A mode, or rows of zeros: on all sides, per axis, or (before, after) per axis."""

AXES = ("depth", "height", "width")

MOST_PIXELS = 2**24
"""On one axis, of pixels and of what is counted in them (kernel, stride, padding)."""

MOST_SEEN = 2**31
"""Numbers of a map with all its padding, so that no place in it overflows 64 bits."""


def per_axis(layer: Layer, name: str, value: Any, rank: int, least: int = 1) -> PerAxis:
    """``value`` checked; one number where all axes have the same."""
    several = isinstance(value, list | tuple)
    given = cast(Sequence[Any], value) if several else (value,) * rank
    if len(given) != rank:
        raise layer.fail(
            f"{name} = {value!r} for {rank} spatial axes",
            f"give one number, or {rank}",
        )
    numbers = tuple(whole(layer, name, each) for each in given)
    if min(numbers) < least:
        raise layer.fail(f"{name} = {short(value)}", f"use at least {least}")
    if max(numbers) > MOST_PIXELS:
        raise layer.fail(f"{name} = {short(value)}", f"use at most {MOST_PIXELS:,}")
    return numbers[0] if len(set(numbers)) == 1 else numbers


def spread(value: PerAxis, rank: int) -> tuple[int, ...]:
    """One number for each axis."""
    return (value,) * rank if isinstance(value, int) else value


def checked_padding(
    layer: Layer, padding: Any, rank: int, modes: Sequence[str]
) -> Padding:
    """``padding`` as one of ``modes``, an int, or tuples, as short as it can be."""
    if isinstance(padding, str):
        if padding not in modes:
            listed = ", ".join([*map(repr, modes), "a number"])
            raise layer.fail(f"padding = {padding!r}", f"use {listed} or pairs")
        return padding
    several = isinstance(padding, list | tuple)
    given = cast(Sequence[Any], padding) if several else ()
    if not any(isinstance(each, list | tuple) for each in given):
        return per_axis(layer, "padding", padding, rank, least=0)
    if len(given) != rank or any(
        not isinstance(each, list | tuple) or len(cast(Sequence[Any], each)) != 2
        for each in given
    ):
        raise layer.fail(
            f"padding = {padding!r} for {rank} spatial axes",
            f"give {rank} pairs (before, after)",
        )
    pairs = tuple(
        cast(tuple[int, int], spread(per_axis(layer, "padding", pair, 2, least=0), 2))
        for pair in given
    )
    if any(before != after for before, after in pairs):
        return pairs
    return per_axis(layer, "padding", tuple(pair[0] for pair in pairs), rank, least=0)


def pads(
    padding: Padding,
    extents: Shape,
    size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """Zeros (before, after) on each axis.

    ``same`` gives ``ceil(extent / stride)`` windows, the odd zero after; ``causal``
    puts all zeros before, ``ceil`` after: as many as the last window that begins
    inside needs.

    >>> pads("same", (5, 6), (3, 3), (1, 2), (1, 1))
    ((1, 1), (0, 1))
    """
    if padding == "valid":
        return ((0, 0),) * len(extents)
    if padding == "causal":
        return tuple(((k - 1) * d, 0) for k, d in zip(size, dilation, strict=True))
    if padding == "ceil":
        axes = zip(extents, size, stride, strict=True)
        return tuple((0, _missing(n, k, step)) for n, k, step in axes)
    if padding == "same":
        found: list[tuple[int, int]] = []
        axes = zip(extents, size, stride, dilation, strict=True)
        for extent, k, step, d in axes:
            seen = (-(-extent // step) - 1) * step + (k - 1) * d + 1
            total = max(0, seen - extent)
            found.append((total // 2, total - total // 2))
        return tuple(found)
    rank = len(extents)
    given = cast(PerAxis | tuple[tuple[int, int], ...], padding)
    sides = (given,) * rank if isinstance(given, int) else given
    return tuple((p, p) if isinstance(p, int) else p for p in sides)


def _missing(extent: int, size: int, stride: int) -> int:
    """What the last window that begins inside lacks, every pixel being seen."""
    last = max(0, -(-(extent - size) // stride) * stride)
    if last >= extent:  # where windows lie apart, the last may begin outside
        last -= stride
    return max(0, last + size - extent)


def windows(
    layer: Layer,
    extents: Shape,
    size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    sides: Sequence[tuple[int, int]],
    channels: int = 1,
) -> Shape:
    """How many windows lie on each axis of a map; `LayerError` where none does."""
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    padded = [n + sum(side) for n, side in zip(extents, sides, strict=True)]
    bounded(layer, padded, " with its padding", channels)
    if any(r > n for r, n in zip(reach, padded, strict=True)):
        spans = " spanning " + _tuple(reach) if any(d > 1 for d in dilation) else ""
        more = " padded to " + _tuple(padded) if padded != list(extents) else ""
        raise layer.fail(
            f"window {_tuple(size)}{spans} exceeds input {_tuple(extents)}{more}",
            'use padding="same", a smaller window or a larger input',
        )
    return tuple(
        (n - r) // s + 1 for n, r, s in zip(padded, reach, stride, strict=True)
    )


def _tuple(values: Sequence[int]) -> str:
    return str(tuple(values))


def spatial(layer: Layer, shape: Shape, rank: int) -> Shape:
    """The spatial extents of a sample ``(..., channels)`` of this rank."""
    if len(shape) != rank + 1 or min(shape) < 1:
        axes = ", ".join([*AXES[3 - rank :], "channels"])
        remedy = (
            "add the channel axis, as nv.Reshape does"
            if len(shape) == rank
            else f"give samples with {rank} spatial axes"
        )
        raise layer.fail(f"input of shape {shape}, expected ({axes})", remedy)
    return bounded(layer, shape[:-1])


def bounded(
    layer: Layer, extents: Sequence[int], what: str = "", channels: int = 1
) -> Shape:
    """``extents``; raises `LayerError` where an axis or the whole map is too large."""
    if max(extents) > MOST_PIXELS:
        raise layer.fail(
            f"an axis of {amount(max(extents))} pixels{what}, expected at most "
            f"{MOST_PIXELS:,}",
            "cut samples into shorter ones",
        )
    if math.prod(extents) * channels > MOST_SEEN:
        raise layer.fail(
            f"a map of {_tuple((*extents, channels))} numbers{what}, expected at most "
            "2^31",
            "use smaller samples, or less padding",
        )
    return tuple(extents)


def padded(
    xp: Any, x: Array, sides: Sequence[tuple[int, int]], value: float = 0.0
) -> Array:
    """The batch with ``value`` around its spatial axes."""
    if not any(map(any, sides)):
        return x
    return xp.pad(x, [(0, 0), *sides, (0, 0)], constant_values=value)


def seen(
    x: Array,
    place: Sequence[int],
    counts: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Array:
    """What all windows see at one of their places: ``(batch, *counts, channels)``."""
    axes = zip(place, counts, stride, dilation, strict=True)
    cuts = [slice(i * d, i * d + (n - 1) * s + 1, s) for i, n, s, d in axes]
    return x[(slice(None), *cuts, slice(None))]
