# SPDX-License-Identifier: BSD-3-Clause
"""The zoo: published architectures, ready to be trained, changed, or given weights.

>>> import nervure as nv
>>> net = nv.zoo.resnet20(classes=10)
>>> net.graph.input_shapes, net.graph.output_shapes
(((32, 32, 3),), ((10,),))
"""

from __future__ import annotations

from nervure.exchange.errors import CheckpointError
from nervure.zoo._architecture import Architecture
from nervure.zoo._auxiliary import without_auxiliary
from nervure.zoo._list import (
    ARCHITECTURES,
    alexnet,
    alexnet_2012,
    googlenet,
    inception_bn,
    inception_v1,
    lenet1,
    lenet4,
    lenet5,
    preact_resnet18,
    preact_resnet34,
    preact_resnet50,
    preact_resnet101,
    preact_resnet152,
    preact_resnet164,
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet44,
    resnet50,
    resnet56,
    resnet101,
    resnet110,
    resnet152,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from nervure.zoo._named import ZooNetwork, architecture, image_shape

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "CheckpointError",
    "ZooNetwork",
    "alexnet",
    "alexnet_2012",
    "architecture",
    "googlenet",
    "image_shape",
    "inception_bn",
    "inception_v1",
    "lenet1",
    "lenet4",
    "lenet5",
    "names",
    "preact_resnet18",
    "preact_resnet34",
    "preact_resnet50",
    "preact_resnet101",
    "preact_resnet152",
    "preact_resnet164",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "without_auxiliary",
]


def names() -> tuple[str, ...]:
    """The names of all architectures, oldest first."""
    return tuple(ARCHITECTURES)
