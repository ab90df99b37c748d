# SPDX-License-Identifier: BSD-3-Clause
"""nervure along time through its public API: `nv.fit` and `nv.generate`."""

from __future__ import annotations

from typing import Any

from _sequence_nets import VOCABULARY, SequenceNet
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
        net: SequenceNet,
        X: NDArray[Any],
        y: NDArray[Any],
        options: dict[str, Any],
    ) -> None:
        import nervure as nv

        self._nv, self._net, self._y, self._calls = nv, net, y, 0
        rows = [row[:n] for row, n in zip(X, net.lengths(), strict=True)]
        self._X = X if net.shortest is None else rows
        self._model = nv.Network(_layers(nv, net), seed=0)

    def train(self, epochs: int) -> float:
        self._calls += 1  # a seed of its own: fresh permutations
        if self._net.task == "generate":
            for _ in range(epochs):
                self._nv.generate(self._model, [0], self._net.steps, seed=self._calls)
            return 0.0
        run = self._nv.fit(
            self._model,
            self._X,
            self._y,
            loss="cross_entropy",
            optimizer=self._nv.Adam(1e-3),
            epochs=epochs,
            batch_size=self._net.batch_size,
            metrics=(),
            progress=False,
            seed=self._calls,
        )
        return float(run.history["loss"][-1])


def _layers(nv: Any, net: SequenceNet) -> list[Any]:
    softmax = {"activation": "softmax"}
    if net.family == "transformer":
        block = {"causal": True}
        return [
            nv.Input((None,)),
            nv.Embedding(VOCABULARY, net.units),
            nv.PositionEmbedding(128),
            *(
                nv.TransformerBlock(net.heads, 4 * net.units, **block)
                for _ in range(net.blocks)
            ),
            nv.LayerNorm(),
            nv.Dense(VOCABULARY, **softmax),
        ]
    layer = {"lstm": nv.LSTM, "gru": nv.GRU}[net.family]
    if net.task == "generate":
        embedding = nv.Embedding(VOCABULARY, VOCABULARY)
        every = layer(net.units, return_sequences=True)
        return [nv.Input((None,)), embedding, every, nv.Dense(VOCABULARY, **softmax)]
    time = None if net.shortest else net.steps
    begin = nv.Input((time, net.features))
    return [begin, layer(net.units), nv.Dense(net.classes, **softmax)]
