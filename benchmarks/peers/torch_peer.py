# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch: tensors preloaded, randperm and an index per batch, fused optimizer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from _nets import Net
from numpy.typing import NDArray

from peers import Variant

VARIANTS = {
    "eager": Variant(),
    "eager, 1 thread": Variant(threads=1),
    "eager, shuffled once per epoch": Variant({"gather": "epoch"}),
    "compiled step": Variant({"compile": True}),
}


def versions() -> dict[str, str]:
    import torch

    return {"torch": torch.__version__}


class Peer:
    """The usual training loop, with everything taken out of it that can be."""

    def __init__(
        self,
        net: Net,
        X: NDArray[np.float32],
        y: NDArray[np.int32],
        options: dict[str, Any],
    ) -> None:
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(options["threads"])
        self._torch = torch
        self._net = net
        self._X = torch.from_numpy(X)
        self._y = torch.from_numpy(y.astype(np.int64))
        self._model = _model(net)
        self._optimizer = _optimizer(net, self._model)
        self._per_epoch = options.get("gather") == "epoch"
        step = self._eager_step
        # Slower or equal here: compiling the loss alone, or for dynamic shapes.
        compiled = options.get("compile", False)
        self._step = torch.compile(step, dynamic=False) if compiled else step

    def _eager_step(self, X: Any, y: Any) -> Any:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._torch.nn.functional.cross_entropy(self._model(X), y)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _batches(self) -> Any:
        """Batches of a fresh permutation, gathered one by one or all at once."""
        order, size = self._torch.randperm(len(self._y)), self._net.batch_size
        if self._per_epoch:
            X, y = self._X[order], self._y[order]
            return zip(X.split(size), y.split(size), strict=True)
        return ((self._X[index], self._y[index]) for index in order.split(size))

    def train(self, epochs: int) -> float:
        torch, rows = self._torch, len(self._y)
        total = torch.zeros(())
        for _ in range(epochs):
            total = torch.zeros(())
            for X, y in self._batches():
                total += self._step(X, y) * len(y)
        return float(total) / rows

    def weights(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        values = [p.detach().numpy() for p in self._model.parameters()]
        return [(values[i].T, values[i + 1]) for i in range(0, len(values), 2)]


def _model(net: Net) -> Any:
    from torch import nn

    activation = {"relu": nn.ReLU, "logistic": nn.Sigmoid}[net.activation]
    layers: list[Any] = []
    for below, above in pairwise(net.sizes):
        layers += [nn.Linear(below, above), activation()]
    return nn.Sequential(*layers[:-1])


def _optimizer(net: Net, model: Any) -> Any:
    import torch

    rules = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    rule = rules[net.optimizer]
    return rule(model.parameters(), lr=net.learning_rate, fused=True)
