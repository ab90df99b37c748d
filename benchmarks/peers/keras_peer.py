# SPDX-License-Identifier: BSD-3-Clause
"""Keras 3: `fit` on arrays, jit-compiled, on its JAX or its PyTorch backend."""

from __future__ import annotations

from typing import Any

import numpy as np
from _nets import Net
from numpy.typing import NDArray

from peers import Variant

JAX, TORCH = {"KERAS_BACKEND": "jax"}, {"KERAS_BACKEND": "torch"}
VARIANTS = {
    "JAX backend, jit": Variant({"jit": True}, environment=JAX),
    "JAX backend, jit, 16 steps per execution": Variant(
        {"jit": True, "steps": 16}, environment=JAX
    ),
    "PyTorch backend": Variant({"jit": False}, environment=TORCH),
}


def versions() -> dict[str, str]:
    import keras

    return {"keras": keras.__version__, "keras backend": keras.backend.backend()}


class Peer:
    """A `Sequential` model; labels as integers, no metrics, no progress bar."""

    def __init__(
        self,
        net: Net,
        X: NDArray[np.float32],
        y: NDArray[np.int32],
        options: dict[str, Any],
    ) -> None:
        import keras

        if keras.backend.backend() == "torch":
            import torch

            torch.set_num_threads(options["threads"])
        keras.utils.set_random_seed(0)
        self._net, self._X, self._y = net, X, y
        self._model = _model(net)
        rules = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
        settings = {"sgd": {}, "adam": {"epsilon": 1e-8}}[net.optimizer]
        self._model.compile(
            optimizer=rules[net.optimizer](net.learning_rate, **settings),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=options["jit"],
            steps_per_execution=options.get("steps", 1),
        )

    def train(self, epochs: int) -> float:
        history = self._model.fit(
            self._X,
            self._y,
            batch_size=self._net.batch_size,
            epochs=epochs,
            shuffle=True,
            verbose=0,
        )
        return float(history.history["loss"][-1])

    def weights(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        values = self._model.get_weights()
        return list(zip(values[::2], values[1::2], strict=True))


def _model(net: Net) -> Any:
    import keras

    activation = {"relu": "relu", "logistic": "sigmoid"}[net.activation]
    hidden = [keras.layers.Dense(n, activation=activation) for n in net.hidden]
    return keras.Sequential(
        [keras.Input((net.inputs,)), *hidden, keras.layers.Dense(net.classes)]
    )
