# SPDX-License-Identifier: BSD-3-Clause
"""GoogLeNet and Inception-BN: blocks of branches with windows of several extents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nervure.layers import (
    AdaptiveAveragePool2D,
    AveragePool2D,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LocalResponseNorm,
    MaxPool2D,
    Symbol,
)
from nervure.zoo._architecture import Architecture, Order
from nervure.zoo._blocks import Place, normalized, stem_pool

# -- GoogLeNet -------------------------------------------------------------------------

# Maps of: 1x1; 3x3 and the 1x1 that reduces before it; 5x5 likewise; after pooling.
_BLOCKS: dict[str, tuple[int, int, int, int, int, int]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_POOLED = {"3b": ("pool3", 3), "4e": ("pool4", 2)}
_AUXILIARY = {"4a": "aux1", "4d": "aux2"}
_EPSILON = 1e-3


@dataclass(frozen=True)
class GoogLeNet(Architecture):
    """Inception v1, with auxiliary classifiers after 4a and 4d if asked for.

    With ``batch_norm`` it is torchvision's: no biases, a BatchNorm after every
    convolution, and windows of 3x3 where the paper has 5x5. Without, the paper's, with
    local response normalization around the second and third convolution.

    Train the auxiliary classifiers with ``loss_weights=[1, 0.3, 0.3]`` (section 5), and
    take the network `without_auxiliary` then.

    Source: Szegedy et al., *Going deeper with convolutions* (CVPR 2015, arXiv
    1409.4842), table 1 and section 5.

    >>> import nervure as nv
    >>> graph = nv.zoo.googlenet.graph(aux=True)
    >>> graph.output_names, graph.trainable
    (('head', 'aux1.head', 'aux2.head'), 13004888)
    """

    auxiliary: ClassVar[tuple[str, ...]] = ("aux1.", "aux2.")

    batch_norm: bool = True

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        h = self._stem(x, order)
        heads: list[Symbol] = []
        for block in _BLOCKS:
            h = self._block(h, block)
            if order.aux and block in _AUXILIARY:
                heads.append(self._auxiliary(h, _AUXILIARY[block], order))
            if block in _POOLED:
                name, size = _POOLED[block]
                h = MaxPool2D(size, stride=2, padding="ceil", name=name)(h)
        h = Dropout(0.2, name="dropout")(GlobalAveragePool2D(name="pool")(h))
        return [order.head(h), *heads]

    def _stem(self, x: Layer, order: Order) -> Symbol:
        if order.small:
            h = self._convolution(x, "stem.conv1", 64, 3)
        else:
            h = self._convolution(x, "stem.conv1", 64, 7, 2)
            h = MaxPool2D(3, stride=2, padding="ceil", name="stem.pool1")(h)
        h = h if self.batch_norm else LocalResponseNorm(name="stem.norm1")(h)
        h = self._convolution(h, "stem.conv2", 64, 1)
        h = self._convolution(h, "stem.conv3", 192, 3)
        h = h if self.batch_norm else LocalResponseNorm(name="stem.norm2")(h)
        return MaxPool2D(3, stride=2, padding="ceil", name="stem.pool2")(h)

    def _block(self, x: Symbol, block: str) -> Symbol:
        one, reduce3, three, reduce5, five, project = _BLOCKS[block]
        name = f"inception{block}"
        wide = 3 if self.batch_norm else 5
        pool = MaxPool2D(3, stride=1, padding=1, name=f"{name}.pool")(x)
        narrow3 = self._convolution(x, f"{name}.3x3_reduce", reduce3, 1)
        narrow5 = self._convolution(x, f"{name}.5x5_reduce", reduce5, 1)
        return Concatenate(name=f"{name}.joined")(
            self._convolution(x, f"{name}.1x1", one, 1),
            self._convolution(narrow3, f"{name}.3x3", three, 3),
            self._convolution(narrow5, f"{name}.5x5", five, wide),
            self._convolution(pool, f"{name}.project", project, 1),
        )

    def _convolution(
        self, x: Place, name: str, maps: int, kernel: int, stride: int = 1
    ) -> Symbol:
        if self.batch_norm:
            return normalized(x, name, maps, kernel, stride, _EPSILON)
        side = kernel // 2
        return Conv2D(maps, kernel, stride, padding=side, activation="relu", name=name)(
            x
        )

    def _auxiliary(self, x: Symbol, name: str, order: Order) -> Symbol:
        h = AdaptiveAveragePool2D(4, name=f"{name}.pool")(x)
        h = self._convolution(h, f"{name}.conv", 128, 1)
        h = Flatten(name=f"{name}.flatten")(h)
        h = Dense(1024, activation="relu", name=f"{name}.hidden")(h)
        h = Dropout(0.7, name=f"{name}.dropout")(h)
        return order.head(h, f"{name}.head")

    def torch_names(self) -> dict[str, str]:
        if not self.batch_norm:
            return {}
        branches = {
            "1x1": "branch1",
            "3x3_reduce": "branch2.0",
            "3x3": "branch2.1",
            "5x5_reduce": "branch3.0",
            "5x5": "branch3.1",
            "project": "branch4.1",
        }
        both = {f"stem.conv{i}": f"conv{i}" for i in (1, 2, 3)}
        for block in _BLOCKS:
            for ours, theirs in branches.items():
                both[f"inception{block}.{ours}"] = f"inception{block}.{theirs}"
        names = {"head": "fc"}
        for aux in _AUXILIARY.values():
            both[f"{aux}.conv"] = f"{aux}.conv"
            names |= {f"{aux}.hidden": f"{aux}.fc1", f"{aux}.head": f"{aux}.fc2"}
        names |= {ours: f"{theirs}.conv" for ours, theirs in both.items()}
        return names | {f"{ours}.norm": f"{t}.bn" for ours, t in both.items()}


# -- Inception-BN ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Branches:
    """Maps of the branches of a block; 0 where there is none.

    ``double`` is the branch of two 3x3, ``project`` the 1x1 after pooling. A block
    without ``one`` halves the extents.
    """

    one: int
    reduce: int
    three: int
    reduce_double: int
    double: int
    pool: str
    project: int


_BN_BLOCKS = {
    "3a": _Branches(64, 64, 64, 64, 96, "average", 32),
    "3b": _Branches(64, 64, 96, 64, 96, "average", 64),
    "3c": _Branches(0, 128, 160, 64, 96, "max", 0),
    "4a": _Branches(224, 64, 96, 96, 128, "average", 128),
    "4b": _Branches(192, 96, 128, 96, 128, "average", 128),
    "4c": _Branches(160, 128, 160, 128, 160, "average", 128),
    "4d": _Branches(96, 128, 192, 160, 192, "average", 128),
    "4e": _Branches(0, 128, 192, 192, 256, "max", 0),
    "5a": _Branches(352, 192, 320, 160, 224, "average", 128),
    "5b": _Branches(352, 192, 320, 192, 224, "max", 128),
}


@dataclass(frozen=True)
class InceptionBN(Architecture):
    """GoogLeNet with BatchNorm, and two 3x3 convolutions in place of one of 5x5.

    Source: Ioffe and Szegedy, *Batch normalization* (ICML 2015, arXiv 1502.03167),
    figure 5; the maps of 4c and 4d as in the published models (their sums in the
    figure are those of 4b).

    >>> import nervure as nv
    >>> nv.zoo.inception_bn.graph(classes=10).output_shapes
    ((10,),)
    """

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        if order.small:
            h = normalized(x, "stem.conv1", 64, 3)
        else:
            h = stem_pool(normalized(x, "stem.conv1", 64, 7, 2), "stem.pool1")
        h = normalized(h, "stem.conv2", 64, 1)
        h = stem_pool(normalized(h, "stem.conv3", 192, 3), "stem.pool2")
        for block, branches in _BN_BLOCKS.items():
            h = _inception(h, f"inception{block}", branches)
        return [order.head(GlobalAveragePool2D(name="pool")(h))]


def _inception(x: Symbol, name: str, maps: _Branches) -> Symbol:
    stride = 1 if maps.one else 2
    three = normalized(x, f"{name}.3x3_reduce", maps.reduce, 1)
    three = normalized(three, f"{name}.3x3", maps.three, 3, stride)
    double = normalized(x, f"{name}.double_reduce", maps.reduce_double, 1)
    double = normalized(double, f"{name}.double1", maps.double, 3)
    double = normalized(double, f"{name}.double2", maps.double, 3, stride)
    kind = MaxPool2D if maps.pool == "max" else AveragePool2D
    pool = kind(3, stride=stride, padding=1, name=f"{name}.pool")(x)
    if maps.project:
        pool = normalized(pool, f"{name}.project", maps.project, 1)
    one = [normalized(x, f"{name}.1x1", maps.one, 1)] if maps.one else []
    return Concatenate(name=f"{name}.joined")(*one, three, double, pool)
