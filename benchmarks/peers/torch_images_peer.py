# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch on images, channels-last: its fastest layout for convolution on CPUs."""

from __future__ import annotations

from typing import Any

import numpy as np
from _convnets import RESNET18, Block, ConvNet
from numpy.typing import NDArray

from peers import Variant

VARIANTS = {
    "channels-last": Variant(),
    "channels-last, compiled step": Variant({"compile": True}),
    "channels-first": Variant({"first": True}),
}


def versions() -> dict[str, str]:
    import torch

    return {"torch": torch.__version__}


class Peer:
    """The usual training loop: tensors preloaded, fused optimizer."""

    def __init__(
        self,
        net: ConvNet,
        X: NDArray[np.float32],
        y: NDArray[np.int32],
        options: dict[str, Any],
    ) -> None:
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(options["threads"])
        first = options.get("first", False)
        layout = torch.contiguous_format if first else torch.channels_last
        build = {"lenet": _lenet, "resnet18": _resnet18}[net.family]
        self._torch, self._net = torch, net
        self._X = (
            torch.from_numpy(X).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        )
        self._y = torch.from_numpy(y.astype(np.int64))
        self._model = build(net).to(memory_format=layout)
        self._optimizer = torch.optim.SGD(
            self._model.parameters(), net.learning_rate, net.momentum, fused=True
        )
        compiled = options.get("compile", False)
        step = self._eager_step
        self._step = torch.compile(step, dynamic=False) if compiled else step

    def _eager_step(self, X: Any, y: Any) -> Any:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._torch.nn.functional.cross_entropy(self._model(X), y)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def train(self, epochs: int) -> float:
        torch, rows = self._torch, len(self._y)
        total = torch.zeros(())
        for _ in range(epochs):
            total = torch.zeros(())
            for index in torch.randperm(rows).split(self._net.batch_size):
                total += self._step(self._X[index], self._y[index]) * len(index)
        return float(total) / rows


def _lenet(net: ConvNet) -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(net.channels, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(49 * 64, 128), nn.ReLU(), nn.Linear(128, net.classes),
    )  # fmt: skip


def _normed(inputs: int, filters: int, kernel: int, stride: int) -> list[Any]:
    from torch import nn

    conv = nn.Conv2d(inputs, filters, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(filters)]


def _resnet18(net: ConvNet) -> Any:
    from torch import nn

    stem = _normed(net.channels, 64, *((3, 1) if net.small_stem else (7, 2)))
    pool = [] if net.small_stem else [nn.MaxPool2d(3, 2, 1)]
    blocks = [_residual(block) for block in RESNET18]
    return nn.Sequential(
        *stem, nn.ReLU(inplace=True), *pool, *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, net.classes),
    )  # fmt: skip


def _residual(block: Block) -> Any:
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *_normed(block.inputs, block.filters, 3, block.stride),
                nn.ReLU(inplace=True),
                *_normed(block.filters, block.filters, 3, 1),
            )
            around = _normed(block.inputs, block.filters, 1, block.stride)
            self.way = nn.Sequential(*around) if block.projects else nn.Identity()
            self.last = nn.ReLU(inplace=True)

        def forward(self, x: Any) -> Any:
            return self.last(self.body(x) + self.way(x))

    return Residual()
