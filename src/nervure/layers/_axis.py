# SPDX-License-Identifier: BSD-3-Clause
"""Axes: as users count them (0 is the batch), and what the last one has to hold."""

from __future__ import annotations

from nervure.layers._layer import Layer, Shape


def sample_axis(layer: Layer, axis: int, shape: Shape) -> int:
    """Index into ``shape``, the shape of a sample, of an axis of the whole batch.

    As in NumPy, axis 0 of a batch is its rows and -1 its last axis.

    >>> sample_axis(Layer(), -1, (28, 28, 3)), sample_axis(Layer(), 1, (28, 28, 3))
    (2, 0)
    """
    rank = len(shape)
    if -rank <= axis < 0:
        return axis + rank
    if 1 <= axis <= rank:
        return axis - 1
    raise layer.fail(
        f"axis {axis} for samples of shape {shape}",
        f"use 1 to {rank} or -{rank} to -1 (0 is the batch)"
        if rank
        else "give every sample at least one axis",
    )


def with_last_axis(layer: Layer, shape: Shape, holds: str = "feature") -> Shape:
    """``shape``; raises `LayerError` where a sample has no axis at all."""
    if not shape:
        raise layer.fail(
            f"input of shape (), expected (..., {holds}s)",
            f"give every sample at least one {holds}",
        )
    return shape


def check_groups(layer: Layer, groups: int, channels: int) -> None:
    """Raises `LayerError` where the groups do not divide the channels."""
    if channels % groups:
        raise layer.fail(
            f"{groups} groups do not divide {channels} channels",
            "use a number of groups that divides the channels",
        )
