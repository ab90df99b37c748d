# SPDX-License-Identifier: BSD-3-Clause
"""Pieces that several architectures are made of."""

from __future__ import annotations

from typing import Any

from nervure.layers import Activation, BatchNorm, Conv2D, Layer, MaxPool2D, Symbol

Place = Symbol | Layer


def relu(x: Place, name: str) -> Symbol:
    return Activation("relu", name=name)(x)


def convolution(
    x: Place, name: str, filters: int, kernel: int = 3, stride: int = 1, **more: Any
) -> Symbol:
    """A convolution that keeps the extent where its stride is 1, without a bias.

    It begins as He et al. (2015) have it, since a ReLU follows somewhere.
    """
    given: dict[str, Any] = {
        "padding": kernel // 2,
        "bias": False,
        "initializer": "he_normal",
        **more,
    }
    return Conv2D(filters, kernel, stride, name=name, **given)(x)


def normalized(
    x: Place,
    name: str,
    filters: int,
    kernel: int = 3,
    stride: int = 1,
    epsilon: float = 1e-5,
) -> Symbol:
    """Convolution, BatchNorm and ReLU: ``name``, ``name.norm``, ``name.relu``."""
    z = convolution(x, name, filters, kernel, stride)
    return relu(BatchNorm(epsilon, name=f"{name}.norm")(z), f"{name}.relu")


def stem_pool(x: Place, name: str = "stem.pool") -> Symbol:
    """Overlapping maxima that halve the extents."""
    return MaxPool2D(3, stride=2, padding=1, name=name)(x)
