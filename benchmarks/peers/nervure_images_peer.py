# SPDX-License-Identifier: BSD-3-Clause
"""nervure on images through its public API: `nv.fit` and `net.forward`."""

from __future__ import annotations

from typing import Any

import numpy as np
from _convnets import RESNET18, Block, ConvNet
from numpy.typing import NDArray

from peers import Variant

VARIANTS = {"default": Variant()}


def versions() -> dict[str, str]:
    import nervure

    return {"nervure": nervure.__version__}


class Peer:
    """Every call of `train` is one `nv.fit`, its checks and its planning included."""

    def __init__(
        self,
        net: ConvNet,
        X: NDArray[np.float32],
        y: NDArray[np.int32],
        options: dict[str, Any],
    ) -> None:
        import nervure as nv

        self._nv, self._net, self._X, self._y = nv, net, X, y
        build = {"lenet": _lenet, "resnet18": _resnet18}[net.family]
        self._model = build(nv, net)
        self._calls = 0

    def train(self, epochs: int) -> float:
        if self._net.task == "infer":
            return max(float(self._model.forward(self._X).max()) for _ in range(epochs))
        self._calls += 1  # a seed of its own: fresh permutations
        run = self._nv.fit(
            self._model,
            self._X,
            self._y,
            loss="cross_entropy",
            optimizer=self._nv.SGD(self._net.learning_rate, self._net.momentum),
            epochs=epochs,
            batch_size=self._net.batch_size,
            validation=None,
            metrics=(),
            progress=False,
            seed=self._calls,
        )
        return float(run.history["loss"][-1])


def _lenet(nv: Any, net: ConvNet) -> Any:
    return nv.Network(
        [
            nv.Input(net.image),
            nv.Conv2D(32, 5, padding="same", activation="relu"),
            nv.MaxPool2D(2),
            nv.Conv2D(64, 5, padding="same", activation="relu"),
            nv.MaxPool2D(2),
            nv.Flatten(),
            nv.Dense(128, activation="relu"),
            nv.Dense(net.classes, activation="softmax"),
        ],
        seed=0,
    )


def _resnet18(nv: Any, net: ConvNet) -> Any:
    def normed(x: Any, filters: int, kernel: int, stride: int, padding: int) -> Any:
        conv = nv.Conv2D(filters, kernel, stride=stride, padding=padding, bias=False)
        return nv.BatchNorm()(conv(x))

    def residual(x: Any, block: Block) -> Any:
        y = nv.Activation("relu")(normed(x, block.filters, 3, block.stride, 1))
        y = normed(y, block.filters, 3, 1, 1)
        way = normed(x, block.filters, 1, block.stride, 0) if block.projects else x
        return nv.Activation("relu")(nv.Add()(y, way))

    start = x = nv.Input(net.image)
    if net.small_stem:
        x = nv.Activation("relu")(normed(x, 64, 3, 1, 1))
    else:
        x = nv.Activation("relu")(normed(x, 64, 7, 2, 3))
        x = nv.MaxPool2D(3, stride=2, padding=1)(x)
    for block in RESNET18:
        x = residual(x, block)
    x = nv.Dense(net.classes, activation="softmax")(nv.GlobalAveragePool2D()(x))
    return nv.Network(inputs=start, outputs=x, seed=0)
