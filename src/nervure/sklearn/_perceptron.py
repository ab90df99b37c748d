# SPDX-License-Identifier: BSD-3-Clause
"""The network behind an MLP's `coefs_` and `intercepts_`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import one_each
from nervure.executors import Data, Model
from nervure.executors.native import NativeExecutor
from nervure.graph.graph import Graph
from nervure.graph.objective import Objective
from nervure.graph.symbols import sequence
from nervure.layers import Dense, Input, Layer
from nervure.losses import BinaryCrossEntropy, CrossEntropy, CustomLoss, Loss, Quadratic
from nervure.network.network import Network

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]


class Perceptron:
    """Dense layers whose weights and biases are `coefs` and `intercepts`.

    The arrays are views of the flat memory that the engine works in: what training
    does shows in them, and what is written into them is what predicts.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str,
        out_activation: str,
        dtype: npt.DTypeLike,
    ) -> None:
        graph = Graph.of(sequence(_layers(sizes, activation, out_activation)))
        self.net = Network.from_graph(graph, dtype=np.dtype(dtype).name, begin=False)
        self.out_activation = out_activation
        model = Model(graph, self.net.layout, self.net.values, self.net.gradients)
        self.executor = NativeExecutor(model)
        views = [s.view(self.net.values) for s in self.net.layout.segments]
        self.coefs: list[Floats] = views[0::2]
        self.intercepts: list[Floats] = views[1::2]

    @property
    def values(self) -> Floats:
        """All numbers in one array, weights and biases layer by layer."""
        return self.net.values

    def holds(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> bool:
        """Whether these lists are the views, not arrays that somebody put there."""
        own = [*self.coefs, *self.intercepts]
        given = [*coefs, *intercepts]
        return len(own) == len(given) and all(map(_same, own, given))

    def adopt(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> None:
        """Copy arrays that somebody else made."""
        for own, given in zip(self.coefs, coefs, strict=True):
            own[...] = given
        for own, given in zip(self.intercepts, intercepts, strict=True):
            own[...] = given

    def squares(self) -> float:
        """Sum of the squares of all weights, without the biases.

        Not by `numpy.dot`: the threads of its BLAS would go on spinning beside the
        engine's for a while after.
        """
        flat = (coef.reshape(-1) for coef in self.coefs)
        return float(sum(np.einsum("i,i", one, one) for one in flat))

    def outputs(self, X: Any) -> Floats:
        """What the last layer gives for every row."""
        (rows,) = self.executor.outputs(Data((X,)))
        y = one_each(rows, "MLP")
        return np.exp(y, out=y) if self.out_activation == "exp" else y

    def objective(self) -> Objective:
        """The cost as scikit-learn takes its gradient: a sum over the outputs."""
        outputs = self.net.graph.output_shapes[0][0]
        mean = self.out_activation == "logistic"
        weight = float(outputs) if mean else 1.0
        return Objective.of(self.net.graph, LOSSES[self.out_activation], weight)


def _same(own: Any, given: Any) -> bool:
    return own is given


def _layers(sizes: Sequence[int], activation: str, out_activation: str) -> list[Layer]:
    hidden = None if activation == "identity" else activation
    last = None if out_activation in ("identity", "exp") else out_activation
    layers: list[Layer] = [Input(sizes[0])]
    layers += [Dense(units, activation=hidden) for units in sizes[1:-1]]
    return [*layers, Dense(sizes[-1], activation=last)]


def poisson_deviance(
    output: Floats, target: Floats, weights: Floats | None = None
) -> tuple[float, Floats]:
    """Half the Poisson deviance of rates ``exp(output)``, summed over the outputs.

    ``t log(t / rate) - t + rate``, whose derivative is ``rate - t``.
    """
    with np.errstate(over="ignore"):
        rate = np.exp(output)
    known = np.where(target > 0, target * np.log(np.where(target > 0, target, 1)), 0)
    costs = (known - target * output - target + rate).sum(axis=1)
    share = np.full(len(output), 1 / len(output))
    if weights is not None:
        share = weights / max(weights.sum(), np.finfo(np.float64).tiny)
    return float(share @ costs), (rate - target) * share[:, None]


LOSSES: dict[str, Loss] = {
    "softmax": CrossEntropy(),
    "logistic": BinaryCrossEntropy(),
    "identity": Quadratic(),
    "exp": CustomLoss(poisson_deviance),
}
"""The loss whose derivative by the last weighted sum is ``output - target``."""
