# SPDX-License-Identifier: BSD-3-Clause
"""The convolutional workloads: what every peer has to build, and for how much work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Block:
    """Two 3x3 convolutions and a way around them (1x1 where the shape changes)."""

    inputs: int
    filters: int
    stride: int

    @property
    def projects(self) -> bool:
        return self.stride > 1 or self.inputs != self.filters


RESNET18 = tuple(
    Block(inputs, filters, stride)
    for before, filters in ((64, 64), (64, 128), (128, 256), (256, 512))
    for inputs, stride in ((before, 1 if filters == 64 else 2), (filters, 1))
)


@dataclass(frozen=True)
class ConvNet:
    """A net of images, trained on mean cross-entropy by SGD with momentum, or run."""

    name: str
    title: str
    family: str  # "lenet" | "resnet18"
    task: str  # "train" | "infer"
    extent: int  # of the images
    channels: int
    classes: int
    batch_size: int
    rows: int
    learning_rate: float = 0.01
    momentum: float = 0.9

    @property
    def image(self) -> tuple[int, int, int]:
        return (self.extent, self.extent, self.channels)

    @property
    def small_stem(self) -> bool:
        """3x3, stride 1, no pooling: the usual stem of ResNets for 32x32 images."""
        return self.extent < 64

    def flops_per_row(self) -> int:
        """Products and convolutions of one image, without those that nobody needs.

        Training takes three times as many, but for the first layer's input gradient.
        """
        sizes = list(_lenet() if self.family == "lenet" else _resnet18(self))
        forward = sum(sizes)
        return forward if self.task == "infer" else 3 * forward - sizes[0]

    def to_json(self) -> dict[str, Any]:
        return {"form": "images", "name": self.name}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ConvNet:
        return CONVNETS[fields["name"]]


def _lenet() -> Iterator[int]:
    yield from (2 * 28**2 * 25 * 32, 2 * 14**2 * 25 * 32 * 64)
    yield from (2 * 49 * 64 * 128, 2 * 128 * 10)


def _resnet18(net: ConvNet) -> Iterator[int]:
    extent, kernel = (net.extent, 3) if net.small_stem else (net.extent // 2, 7)
    yield 2 * extent**2 * kernel**2 * net.channels * 64
    extent = extent if net.small_stem else extent // 2
    for block in RESNET18:
        extent //= block.stride
        taps = 9 * (block.inputs + block.filters) + block.projects * block.inputs
        yield 2 * extent**2 * taps * block.filters
    yield 2 * 512 * net.classes


CONVNETS = {
    net.name: net
    for net in (
        ConvNet("lenet", "LeNet-like, 28x28, batch 64", "lenet", "train",
                28, 1, 10, batch_size=64, rows=2560),
        ConvNet("resnet18", "ResNet-18, 32x32, batch 32", "resnet18", "train",
                32, 3, 10, batch_size=32, rows=256),
        ConvNet("infer1", "ResNet-18 inference, 224x224, batch 1", "resnet18", "infer",
                224, 3, 1000, batch_size=1, rows=1),
        ConvNet("infer32", "ResNet-18 inference, 224x224, batch 32", "resnet18",
                "infer", 224, 3, 1000, batch_size=32, rows=32),
    )
}  # fmt: skip

PEERS_OF = {
    "train": ("nervure_images", "torch_images"),
    "infer": ("nervure_images", "onnxruntime_images"),
}
# How many times faster than the peer, and the share of the best large product.
GOALS = {"lenet": 1.4, "resnet18": 1.15, "infer1": 1.0, "infer32": 1.0}
SHARES = {"lenet": 0.60, "resnet18": 0.80}
