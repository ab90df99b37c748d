# SPDX-License-Identifier: BSD-3-Clause
"""Generation in NumPy: the plain form, for every layer that goes step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure import random
from nervure.executors.stepper import Drawing
from nervure.graph.objective import activation_of
from nervure.layers import INFERENCE, Input
from nervure.layers._layer import Further
from nervure.network.finite import NotFiniteError
from nervure.network.network import Network

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

TOGETHER = 64
"""Steps whose random numbers are drawn at once; each costs more than a small step."""


def written(
    reader: Reader, codes: Sequence[int], steps: int, how: Drawing
) -> Iterator[int]:
    """Codes, each drawn from what is said to come behind those before.

    Raises:
        NotFiniteError: scores that are no numbers.
    """
    scores = drawn = np.zeros(0)
    for code in codes:
        scores = reader(code)
    for step in range(steps):
        if np.isnan(scores).any() or not np.isfinite(scores.max()):
            raise not_finite(step)
        if step % TOGETHER == 0:
            drawn = random.uniform_of_steps(how.seed, step, TOGETHER, 0)
        u = float(drawn[step % TOGETHER])
        power = shares(scores, how.temperature, how.top_k, how.top_p)
        code = int(np.searchsorted(np.cumsum(power), u, side="right"))
        code = min(code, len(scores) - 1)
        yield code
        if step + 1 < steps:
            scores = reader(code)


def not_finite(step: int) -> NotFiniteError:
    """The error for scores that cannot be drawn from."""
    return NotFiniteError(
        f"[generate] what comes next is not finite at step {step} (from 0); "
        "expected numbers; the weights are too large or none: look at the "
        "training (nervure doctor)"
    )


def shares(
    scores: Floats,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Floats:
    """The probabilities that are drawn from, of logits or logarithms.

    >>> shares(np.log([0.5, 0.3, 0.2]), top_p=0.7).round(3).tolist()
    [0.625, 0.375, 0.0]
    """
    if temperature == 0:
        return (np.arange(len(scores)) == scores.argmax()).astype(np.float64)
    power = np.exp((scores - scores.max()) / temperature)
    order = np.argsort(-power, kind="stable")
    kept = np.ones(len(power), bool)
    if top_k is not None:
        kept[order[top_k:]] = False
    if top_p is not None:
        sums = np.cumsum(power[order]) / power.sum()
        kept[order[1 + int(np.searchsorted(sums, top_p - 1e-12)) :]] = False
    power = np.where(kept, power, 0.0)
    return power / power.sum()


class Reader:
    """A network that reads one sequence, step by step; each call costs one step."""

    def __init__(self, net: Network) -> None:
        graph = net.graph
        self._nodes, self._end = graph.nodes, graph.outputs[0]
        self._activation = activation_of(graph.nodes[self._end].layer)
        self._states: list[Any] = [None] * len(graph.nodes)
        self._dtype = net.dtype
        values = {name: np.asarray(view) for name, view in net.parameters.items()}
        self._own = [node.own(values) for node in graph.nodes]

    def __call__(self, code: int) -> Floats:
        """Logits, or logarithms of probabilities, of what comes next."""
        values: list[Array] = []
        further: dict[int, tuple[Array, ...]] = {}
        for i, node in enumerate(self._nodes):
            layer = node.layer
            if isinstance(layer, Input):
                values.append(np.full(1, code, self._dtype))
                continue
            if isinstance(layer, Further):
                values.append(further[node.inputs[0]][layer.number])
                continue
            feeds = [values[j] for j in node.inputs]
            if any(node.times):  # along an axis of each step
                y = layer.formula(np, self._own[i], *feeds, info=INFERENCE)
            else:
                state = self._states[i]
                y, self._states[i] = layer.advance(self._own[i], state, *feeds)
            if isinstance(y, tuple):
                y, *others = cast(tuple[Array, ...], y)
                further[i] = tuple(others)
            values.append(y)
        y = values[self._end].reshape(-1).astype(np.float64)
        if self._activation == "softmax":
            with np.errstate(divide="ignore"):
                return np.log(y)
        return y
