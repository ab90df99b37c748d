# SPDX-License-Identifier: BSD-3-Clause
"""Names: of residual networks' layers as others have them, free ones, their order.

Torchvision and timm say ``layer1.0.conv1`` and ``fc``; Hugging Face's transformers
``encoder.stages.0.layers.0.layer.0.convolution`` and ``classifier.1``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Scheme = Callable[[str], str]
"""The name that others have for a layer of ours: its own, where there is no other."""

_BLOCK = re.compile(r"block(\d+)\.(\d+)\.(conv|norm|shortcut\.)(\d+|conv|norm)")

_TORCH = {"stem.conv": "conv1", "stem.norm": "bn1", "head": "fc"}
_STEM = "embedder.embedder"
_HUGGING = {
    "stem.conv": f"{_STEM}.convolution",
    "stem.norm": f"{_STEM}.normalization",
    "head": "classifier.1",
}
_LONG = {"conv": "convolution", "norm": "normalization"}


def same(name: str) -> str:
    """Names that are ours."""
    return name


def torchvision(name: str) -> str:
    """Those of torchvision and timm.

    >>> torchvision("block2.0.norm1"), torchvision("block2.0.shortcut.conv")
    ('layer2.0.bn1', 'layer2.0.downsample.0')
    """
    found = _BLOCK.fullmatch(name)
    if found is None:
        return _TORCH.get(name, name)
    stage, block, kind, which = found.groups()
    if kind == "shortcut.":
        own = f"downsample.{('conv', 'norm').index(which)}"
    else:
        own = {"conv": "conv", "norm": "bn"}[kind] + which
    return f"layer{stage}.{block}.{own}"


def transformers(name: str) -> str:
    """Those of Hugging Face's ResNet alone.

    >>> transformers("block2.0.norm1")
    'encoder.stages.1.layers.0.layer.0.normalization'
    """
    found = _BLOCK.fullmatch(name)
    if found is None:
        return _HUGGING.get(name, name)
    stage, block, kind, which = found.groups()
    if kind == "shortcut.":
        own = f"shortcut.{_LONG[which]}"
    else:
        own = f"layer.{int(which) - 1}.{_LONG[kind]}"
    return f"encoder.stages.{int(stage) - 1}.layers.{block}.{own}"


def classifying_transformers(name: str) -> str:
    """Those of Hugging Face's ResNet with its classifier, which is not of the trunk."""
    theirs = transformers(name)
    return theirs if name == "head" else f"resnet.{theirs}"


SCHEMES: tuple[Scheme, ...] = (
    *(same, torchvision, classifying_transformers, transformers),
)
"""Names that are tried; of those that find as many tensors the first."""


def take_name(wanted: str, taken: set[str]) -> str:
    """A name that is not taken yet, and is from now on.

    >>> take_name("dense", {"dense", "dense_1"})
    'dense_2'
    """
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def natural(name: str) -> list[tuple[int, str]]:
    """What names are sorted by, so that numbers in them count as numbers.

    >>> sorted(["conv10", "conv2", "conv1.bias"], key=natural)
    ['conv1.bias', 'conv2', 'conv10']
    """
    parts = re.split(r"(\d+)", name)
    return [
        (int(part[:18]), part) if i % 2 else (-1, part) for i, part in enumerate(parts)
    ]
