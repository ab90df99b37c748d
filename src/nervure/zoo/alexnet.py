# SPDX-License-Identifier: BSD-3-Clause
"""AlexNet, of 2012 and of 2014."""

from __future__ import annotations

from dataclasses import dataclass

from nervure.initializers import Constant, Normal
from nervure.layers import (
    AdaptiveAveragePool2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LocalResponseNorm,
    MaxPool2D,
    Symbol,
)
from nervure.zoo._architecture import Architecture, Order
from nervure.zoo._blocks import Place


@dataclass(frozen=True)
class AlexNet(Architecture):
    """Five convolutions, three dense layers, dropout: the net of 2012 in one column.

    Widths are those of the second paper, which torchvision publishes; it has neither
    groups nor local response normalization. Images need at least 63 pixels.

    Source: Krizhevsky, Sutskever, Hinton, *ImageNet classification with deep
    convolutional neural networks* (NIPS 2012); Krizhevsky, *One weird trick for
    parallelizing convolutional neural networks* (arXiv 1404.5997), section 5.

    >>> import nervure as nv
    >>> nv.zoo.alexnet.graph().trainable
    61100840
    """

    hidden: int = 4096
    """Nodes of the two hidden dense layers."""

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        h = Conv2D(64, 11, 4, padding=2, activation="relu", name="conv1")(x)
        h = MaxPool2D(3, stride=2, name="pool1")(h)
        h = Conv2D(192, 5, padding=2, activation="relu", name="conv2")(h)
        h = MaxPool2D(3, stride=2, name="pool2")(h)
        for name, maps in (("conv3", 384), ("conv4", 256), ("conv5", 256)):
            h = Conv2D(maps, 3, padding=1, activation="relu", name=name)(h)
        h = MaxPool2D(3, stride=2, name="pool5")(h)
        h = Flatten(name="flatten")(AdaptiveAveragePool2D(6, name="pool")(h))
        for name in ("hidden1", "hidden2"):
            h = Dropout(0.5, name=f"{name}.dropout")(h)
            h = Dense(self.hidden, activation="relu", name=name)(h)
        return [order.head(h)]

    def torch_names(self) -> dict[str, str]:
        places = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}
        dense = {"hidden1": 1, "hidden2": 4, "head": 6}
        return {name: f"features.{i}" for name, i in places.items()} | {
            name: f"classifier.{i}" for name, i in dense.items()
        }


@dataclass(frozen=True)
class AlexNet2012(Architecture):
    """The first AlexNet: two columns, as groups, and local response normalization.

    Weights begin as ``N(0, 0.01^2)``; biases at 1 where the paper has it so, in the
    second, fourth and fifth convolution and the hidden layers, else at 0.

    Source: Krizhevsky, Sutskever, Hinton, *ImageNet classification with deep
    convolutional neural networks* (NIPS 2012), sections 3 and 5.

    >>> import nervure as nv
    >>> nv.zoo.alexnet_2012.graph().trainable
    60965224
    """

    hidden: int = 4096
    """Nodes of the two hidden dense layers."""

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        h = _column(x, "conv1", 96, 11, stride=4, padding=2, bias=0.0)
        h = _normalized_pool(h, 1)
        h = _normalized_pool(_column(h, "conv2", 256, 5, groups=2), 2)
        h = _column(h, "conv3", 384, bias=0.0)
        h = _column(h, "conv4", 384, groups=2)
        h = _column(h, "conv5", 256, groups=2)
        h = Flatten(name="flatten")(MaxPool2D(3, stride=2, name="pool5")(h))
        for name in ("hidden1", "hidden2"):
            dense = Dense(
                self.hidden,
                activation="relu",
                initializer=_NARROW,
                bias_initializer=Constant(1.0),
                name=name,
            )
            h = Dropout(0.5, name=f"{name}.dropout")(dense(h))
        return [order.head(h)]


_NARROW = Normal(std=0.01)


def _column(
    x: Place,
    name: str,
    maps: int,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    padding: int | None = None,
    bias: float = 1.0,
) -> Symbol:
    layer = Conv2D(
        maps,
        kernel,
        stride,
        groups=groups,
        padding=kernel // 2 if padding is None else padding,
        activation="relu",
        initializer=_NARROW,
        bias_initializer=Constant(bias),
        name=name,
    )
    return layer(x)


def _normalized_pool(x: Symbol, number: int) -> Symbol:
    """Local response normalization with the paper's numbers, and pooling."""
    norm = LocalResponseNorm(5, alpha=5e-4, k=2.0, name=f"norm{number}")
    return MaxPool2D(3, stride=2, name=f"pool{number}")(norm(x))
