# SPDX-License-Identifier: BSD-3-Clause
"""Residual networks: each block adds to what it is given.

Sources: He, Zhang, Ren, Sun, *Deep residual learning for image recognition* (CVPR 2016,
arXiv 1512.03385), table 1 and section 4.2; the same, *Identity mappings in deep
residual networks* (ECCV 2016, arXiv 1603.05027), figure 4e.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nervure.layers import (
    Add,
    BatchNorm,
    Concatenate,
    Constant,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
    Symbol,
)
from nervure.zoo._architecture import Architecture, Order
from nervure.zoo._blocks import Place, convolution, relu, stem_pool


@dataclass(frozen=True)
class Block:
    """One residual block: its stage and place there, the maps inside of it."""

    stage: int
    place: int
    width: int

    @property
    def name(self) -> str:
        return f"block{self.stage + 1}.{self.place}"

    @property
    def stride(self) -> int:
        """2 where a stage halves the extents."""
        return 2 if self.stage > 0 and self.place == 0 else 1


@dataclass(frozen=True)
class Residual(Architecture):
    """What residual networks share: stages of blocks, the maps doubled from each to
    the next while their extents are halved.

    Attributes:
        depths: blocks of each stage.
        bottleneck: whether blocks are 1x1, 3x3, 1x1 with four times the maps at the
            end, instead of two convolutions of 3x3.
        width: maps of the first stage.
        thin: whether it is one for CIFAR, which never reduces images at first.
    """

    depths: tuple[int, ...] = ()
    bottleneck: bool = False
    width: int = 64
    thin: bool = False

    @property
    def expansion(self) -> int:
        """Maps of a block's output to the maps inside."""
        return 4 if self.bottleneck else 1

    def blocks(self) -> Iterator[Block]:
        for stage, depth in enumerate(self.depths):
            for place in range(depth):
                yield Block(stage, place, self.width * 2**stage)

    def kernels(self) -> tuple[int, ...]:
        """Extents of the convolutions of a block."""
        return (1, 3, 1) if self.bottleneck else (3, 3)

    def convolutions(self, block: Block) -> Iterator[tuple[str, int, int, int]]:
        """Name, filters, kernel and stride of each; the first of 3x3 has the stride."""
        kernels = self.kernels()
        strided = kernels.index(3)
        for i, kernel in enumerate(kernels):
            last = i == len(kernels) - 1
            filters = block.width * (self.expansion if last else 1)
            stride = block.stride if i == strided else 1
            yield f"{block.name}.conv{i + 1}", filters, kernel, stride

    def projects(self, block: Block) -> bool:
        """Whether the shortcut is a convolution, since extents or maps change."""
        return block.place == 0 and (block.stage > 0 or self.expansion > 1)

    def small(self, order: Order) -> bool:
        """Whether the first convolution is one of 3x3, without pooling after it."""
        return self.thin or order.small

    def stem(self, x: Place, order: Order) -> Symbol:
        kernel, stride = (3, 1) if self.small(order) else (7, 2)
        return convolution(x, "stem.conv", self.width, kernel, stride)


def norm(x: Place, name: str) -> Symbol:
    return BatchNorm(name=name)(x)


def classifier(x: Place, order: Order) -> list[Symbol]:
    return [order.head(GlobalAveragePool2D(name="pool")(x))]


@dataclass(frozen=True)
class ResNet(Residual):
    """Convolution, BatchNorm, ReLU; added to the shortcut before the last ReLU.

    Small images (under 64 pixels) begin with a convolution of 3x3 instead of 7x7 with
    stride 2 and pooling, as is usual for CIFAR. A bottleneck has its stride in the 3x3
    convolution, as torchvision and the authors' later code have it. Shortcuts that
    change the shape are convolutions of 1x1 (option B), but in ``thin`` networks every
    second pixel, and zeros for the maps that are new (option A).

    >>> import nervure as nv
    >>> nv.zoo.resnet20.graph().trainable
    269722
    """

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        h = relu(norm(self.stem(x, order), "stem.norm"), "stem.relu")
        h = h if self.small(order) else stem_pool(h)
        for block in self.blocks():
            h = self._block(h, block, order)
        return classifier(h, order)

    def _block(self, x: Symbol, block: Block, order: Order) -> Symbol:
        h = x
        for i, (name, *sizes) in enumerate(self.convolutions(block), start=1):
            h = relu(h, f"{block.name}.relu{i - 1}") if i > 1 else h
            h = norm(convolution(h, name, *sizes), f"{block.name}.norm{i}")
        total = Add(name=f"{block.name}.add")(h, self._shortcut(x, block, order))
        return relu(total, f"{block.name}.relu")

    def _shortcut(self, x: Symbol, block: Block, order: Order) -> Symbol:
        name = f"{block.name}.shortcut"
        if not self.projects(block):
            return x
        if self.thin:
            return _widened(x, name, block, order)
        maps = block.width * self.expansion
        z = convolution(x, f"{name}.conv", maps, 1, block.stride)
        return norm(z, f"{name}.norm")

    def torch_names(self) -> dict[str, str]:
        if self.thin:
            return {}
        names = {"stem.conv": "conv1", "stem.norm": "bn1", "head": "fc"}
        for block in self.blocks():
            theirs = block.name.replace("block", "layer")
            for i in range(1, len(self.kernels()) + 1):
                names[f"{block.name}.conv{i}"] = f"{theirs}.conv{i}"
                names[f"{block.name}.norm{i}"] = f"{theirs}.bn{i}"
            if self.projects(block):
                names[f"{block.name}.shortcut.conv"] = f"{theirs}.downsample.0"
                names[f"{block.name}.shortcut.norm"] = f"{theirs}.downsample.1"
        return names


def _widened(x: Symbol, name: str, block: Block, order: Order) -> Symbol:
    """Every second pixel, and as many maps of zeros as there are maps."""
    rows, columns = (-(-n // 2**block.stage) for n in order.input_shape[:2])
    half = MaxPool2D(1, stride=2, name=f"{name}.pool")(x)
    zeros = Constant(0.0, (rows, columns, block.width // 2), name=f"{name}.zeros")
    return Concatenate(name=f"{name}.joined")(half, zeros)


@dataclass(frozen=True)
class PreActivationResNet(Residual):
    """BatchNorm and ReLU before each convolution: a clear path throughout.

    The first block, and those with a convolution as shortcut, give the shortcut what is
    normalized; the others what they were given. A last BatchNorm and ReLU stand before
    the classifier.

    >>> import nervure as nv
    >>> nv.zoo.preact_resnet164.graph().output_shapes
    ((10,),)
    """

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        h = self.stem(x, order)
        h = h if self.small(order) else stem_pool(h)
        for block in self.blocks():
            h = self._block(h, block)
        return classifier(relu(norm(h, "norm"), "relu"), order)

    def _block(self, x: Symbol, block: Block) -> Symbol:
        first = relu(norm(x, f"{block.name}.norm1"), f"{block.name}.relu1")
        h = first
        for i, (name, *sizes) in enumerate(self.convolutions(block), start=1):
            if i > 1:
                h = relu(norm(h, f"{block.name}.norm{i}"), f"{block.name}.relu{i}")
            h = convolution(h, name, *sizes)
        shortcut = first if block.stage == block.place == 0 else x
        if self.projects(block):
            maps, name = block.width * self.expansion, f"{block.name}.shortcut"
            shortcut = convolution(first, name, maps, 1, block.stride)
        return Add(name=f"{block.name}.add")(h, shortcut)
