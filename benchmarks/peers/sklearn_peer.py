# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's `MLPClassifier`: one `partial_fit` over all rows is one epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from _nets import Net
from numpy.typing import NDArray

from peers import Variant

VARIANTS = {"default": Variant(), "1 thread": Variant(threads=1)}


def versions() -> dict[str, str]:
    import sklearn

    return {"scikit-learn": sklearn.__version__, "numpy": np.__version__}


class Peer:
    """No penalty, no momentum, float32 kept; the checks of the data are switched off.

    `partial_fit` keeps the optimizer's state and never stops early; `fit` does neither.
    """

    def __init__(
        self,
        net: Net,
        X: NDArray[np.float32],
        y: NDArray[np.int32],
        options: dict[str, Any],
    ) -> None:
        import sklearn
        from sklearn.neural_network import MLPClassifier

        sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
        self._X, self._y = X, y
        self._classes = np.arange(net.classes)
        self._model = MLPClassifier(
            hidden_layer_sizes=net.hidden,
            activation=net.activation,
            solver=net.optimizer,
            learning_rate_init=net.learning_rate,
            batch_size=net.batch_size,
            momentum=0.0,
            nesterovs_momentum=False,
            alpha=0.0,
            shuffle=True,
            random_state=0,
        )

    def train(self, epochs: int) -> float:
        for _ in range(epochs):
            self._model.partial_fit(self._X, self._y, classes=self._classes)
        return float(self._model.loss_)

    def weights(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        return list(zip(self._model.coefs_, self._model.intercepts_, strict=True))
