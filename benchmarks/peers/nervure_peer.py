# SPDX-License-Identifier: BSD-3-Clause
"""nervure through its public API: `nv.fit` as anybody would call it."""

from __future__ import annotations

from typing import Any

import numpy as np
from _nets import Net
from numpy.typing import NDArray

from peers import Variant

VARIANTS = {"default": Variant()}


def versions() -> dict[str, str]:
    import nervure

    return {"nervure": nervure.__version__}


class Peer:
    """Every call of `train` is one `nv.fit`, its checks and its planning included.

    A fit begins with a fresh optimizer, so the moments of Adam start anew at each call;
    the work of an epoch is the same.
    """

    def __init__(
        self,
        net: Net,
        X: NDArray[np.float32],
        y: NDArray[np.int32],
        options: dict[str, Any],
    ) -> None:
        import nervure as nv

        rules = {"sgd": nv.SGD, "adam": nv.Adam}
        hidden = [nv.Dense(n, activation=net.activation) for n in net.hidden]
        output = nv.Dense(net.classes, activation="softmax")
        self._nv, self._net, self._X, self._y = nv, net, X, y
        self._model = nv.Network([nv.Input(net.inputs), *hidden, output], seed=0)
        self._rule = rules[net.optimizer](net.learning_rate)
        self._calls = 0

    def train(self, epochs: int) -> float:
        self._calls += 1  # a seed of its own: fresh permutations
        run = self._nv.fit(
            self._model,
            self._X,
            self._y,
            loss="cross_entropy",
            optimizer=self._rule,
            epochs=epochs,
            batch_size=self._net.batch_size,
            validation=None,
            metrics=(),
            progress=False,
            seed=self._calls,
        )
        return float(run.history["loss"][-1])

    def weights(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        values = list(self._model.parameters.values())
        return [(values[i], values[i + 1]) for i in range(0, len(values), 2)]
