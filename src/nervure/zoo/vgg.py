# SPDX-License-Identifier: BSD-3-Clause
"""VGG: a row of small convolutions, then dense layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nervure.layers import (
    AdaptiveAveragePool2D,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool2D,
    Symbol,
)
from nervure.zoo._architecture import Architecture, Order
from nervure.zoo._blocks import Place, convolution, relu

MAPS = (64, 128, 256, 512, 512)
"""Maps of the convolutions of each of VGG's five blocks."""


@dataclass(frozen=True)
class VGG(Architecture):
    """Blocks of 3x3 convolutions, each followed by pooling; three dense layers.

    The maps are averaged to 7x7 before the dense layers; of small images (under 64
    pixels) they are taken as they are.

    Attributes:
        depths: convolutions of each block.
        batch_norm: whether a BatchNorm follows each convolution.
        hidden: nodes of the two hidden dense layers.

    Source: Simonyan and Zisserman, *Very deep convolutional networks for large-scale
    image recognition* (ICLR 2015, arXiv 1409.1556), table 1, columns A, B, D, E.

    >>> import nervure as nv
    >>> nv.zoo.vgg16.graph().trainable
    138357544
    """

    depths: tuple[int, ...] = ()
    batch_norm: bool = False
    hidden: int = 4096

    def convolutions(self) -> Iterator[tuple[str, str, int]]:
        """Block, name and maps of each convolution."""
        for i, (depth, maps) in enumerate(zip(self.depths, MAPS, strict=True)):
            for j in range(depth):
                yield f"block{i + 1}", f"block{i + 1}.conv{j + 1}", maps

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        h: Place = x
        before = "block1"
        for block, name, maps in self.convolutions():
            if block != before:
                h = MaxPool2D(2, name=f"{before}.pool")(h)
            h = self._convolution(h, name, maps)
            before = block
        h = MaxPool2D(2, name=f"{before}.pool")(h)
        h = h if order.small else AdaptiveAveragePool2D(7, name="pool")(h)
        h = Flatten(name="flatten")(h)
        for name in ("hidden1", "hidden2"):
            h = Dense(self.hidden, activation="relu", name=name)(h)
            h = Dropout(0.5, name=f"{name}.dropout")(h)
        return [order.head(h)]

    def _convolution(self, x: Place, name: str, maps: int) -> Symbol:
        z = convolution(x, name, maps, bias=True)
        z = BatchNorm(name=f"{name}.norm")(z) if self.batch_norm else z
        return relu(z, f"{name}.relu")

    def torch_names(self) -> dict[str, str]:
        names = {
            "hidden1": "classifier.0",
            "hidden2": "classifier.3",
            "head": "classifier.6",
        }
        place, before = 0, "block1"
        for block, name, _ in self.convolutions():
            place += block != before  # a pooling layer
            names[name] = f"features.{place}"
            if self.batch_norm:
                names[f"{name}.norm"] = f"features.{place + 1}"
            place += 3 if self.batch_norm else 2
            before = block
        return names
