# SPDX-License-Identifier: BSD-3-Clause
"""Torchvision's networks in plain PyTorch: its names, its shapes, what it computes.

Only what `state_dict` and the forward pass in evaluation need; for tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn


def randomize(model: nn.Module, seed: int = 0) -> nn.Module:
    """Weights, scales and running statistics that leave nothing at its default."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
            elif isinstance(module, nn.Conv2d | nn.Linear):
                fan = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.3, generator=generator)
    return model.eval()


# -- ResNet ----------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, maps: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        out = width * (4 if bottleneck else 1)
        before = maps
        for i, k in enumerate(kernels, start=1):
            after = out if i == len(kernels) else width
            step = stride if i == kernels.index(3) + 1 else 1
            conv = nn.Conv2d(before, after, k, step, k // 2, bias=False)
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", nn.BatchNorm2d(after))
            before = after
        self.count = len(kernels)
        if stride != 1 or maps != out:
            conv = nn.Conv2d(maps, out, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(out))
        else:
            self.downsample = None

    def forward(self, x: Any) -> Any:
        h = x
        for i in range(1, self.count + 1):
            h = torch.relu(h) if i > 1 else h
            h = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(h))
        return torch.relu(h + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(
        self, depths: Sequence[int], bottleneck: bool, classes: int, thinnest: int = 64
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, thinnest, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(thinnest)
        maps, expansion = thinnest, 4 if bottleneck else 1
        for stage, depth in enumerate(depths):
            width, blocks = thinnest * 2**stage, []
            for i in range(depth):
                stride = 2 if stage and i == 0 else 1
                blocks.append(Block(maps, width, stride, bottleneck))
                maps = width * expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(maps, classes)

    def forward(self, x: Any) -> Any:
        h = torch.relu(self.bn1(self.conv1(x)))
        h = nn.functional.max_pool2d(h, 3, 2, 1)
        for stage in range(1, 5):
            h = getattr(self, f"layer{stage}")(h)
        return self.fc(h.mean((2, 3)))


# -- VGG and AlexNet -------------------------------------------------------------------


class Row(nn.Module):
    """Features, pooled to a square, and dense layers."""

    def __init__(self, features: list[Any], side: int, classifier: list[Any]) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(side)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: Any) -> Any:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def vgg(depths: Sequence[int], batch_norm: bool, hidden: int, classes: int) -> Row:
    def layers() -> Iterator[nn.Module]:
        maps = 3
        for depth, width in zip(depths, (64, 128, 256, 512, 512), strict=True):
            for _ in range(depth):
                yield nn.Conv2d(maps, width, 3, padding=1)
                if batch_norm:
                    yield nn.BatchNorm2d(width)
                yield nn.ReLU()
                maps = width
            yield nn.MaxPool2d(2)

    dense = [nn.Linear(512 * 49, hidden), nn.ReLU(), nn.Dropout()]
    dense += [nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout()]
    return Row(list(layers()), 7, [*dense, nn.Linear(hidden, classes)])


def alexnet(hidden: int, classes: int) -> Row:
    features = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    features += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for before, after in ((192, 384), (384, 256), (256, 256)):
        features += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    dense = [nn.Dropout(), nn.Linear(256 * 36, hidden), nn.ReLU()]
    dense += [nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU()]
    return Row([*features, nn.MaxPool2d(3, 2)], 6, [*dense, nn.Linear(hidden, classes)])


# -- GoogLeNet -------------------------------------------------------------------------


class Conv(nn.Module):
    def __init__(self, before: int, after: int, k: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, k, stride, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=0.001)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, maps: int, sizes: Sequence[int]) -> None:
        super().__init__()
        one, r3, c3, r5, c5, project = sizes
        self.branch1 = Conv(maps, one, 1)
        self.branch2 = nn.Sequential(Conv(maps, r3, 1), Conv(r3, c3, 3))
        self.branch3 = nn.Sequential(Conv(maps, r5, 1), Conv(r5, c5, 3))
        pool = nn.MaxPool2d(3, 1, 1, ceil_mode=True)
        self.branch4 = nn.Sequential(pool, Conv(maps, project, 1))

    def forward(self, x: Any) -> Any:
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(x) for branch in branches], 1)


class Auxiliary(nn.Module):
    def __init__(self, maps: int, classes: int) -> None:
        super().__init__()
        self.conv = Conv(maps, 128, 1)
        self.fc1, self.fc2 = nn.Linear(2048, 1024), nn.Linear(1024, classes)

    def forward(self, x: Any) -> Any:
        h = self.conv(nn.functional.adaptive_avg_pool2d(x, 4))
        return self.fc2(torch.relu(self.fc1(torch.flatten(h, 1))))


SIZES = {
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


class GoogLeNet(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv(3, 64, 7, 2), Conv(64, 64, 1)
        self.conv3 = Conv(64, 192, 3)
        maps = 192
        for name, sizes in SIZES.items():
            self.add_module(f"inception{name}", Inception(maps, sizes))
            maps = sizes[0] + sizes[2] + sizes[4] + sizes[5]
        self.aux1, self.aux2 = Auxiliary(512, classes), Auxiliary(528, classes)
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: Any) -> tuple[Any, Any, Any]:
        def pool(h: Any, size: int = 3) -> Any:
            return nn.functional.max_pool2d(h, size, 2, ceil_mode=True)

        h = pool(self.conv3(self.conv2(pool(self.conv1(x)))))
        aux: list[Any] = []
        for name in SIZES:
            h = getattr(self, f"inception{name}")(h)
            h = pool(h) if name == "3b" else pool(h, 2) if name == "4e" else h
            if name in ("4a", "4d"):
                aux.append((self.aux1, self.aux2)[len(aux)](h))
        return self.fc(h.mean((2, 3))), aux[0], aux[1]
