# SPDX-License-Identifier: BSD-3-Clause
"""Backpropagation against finite differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.executors import Data
from nervure.network.inputs import make_data
from nervure.network.network import Network

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class GradientCheck:
    """How far backpropagation and finite differences are apart.

    ``error`` is the largest of ``|g - d| / max(|g|, |d|, floor)``; ``worst`` names the
    parameter and element where it occurs.
    """

    error: float
    worst: str
    checked: int
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance

    def __repr__(self) -> str:
        verdict = "agree" if self.passed else "DISAGREE"
        return (
            f"<gradients {verdict}: worst relative error {self.error:.2e} at "
            f"{self.worst}, {self.checked} elements checked>"
        )


def check_gradients(
    net: Network,
    X: Any,
    y: Any,
    *,
    loss: object = None,
    sample_weight: Any = None,
    tolerance: float = 5e-6,
    step: float = 1e-3,
    most: int = 200,
    seed: int = 0,
) -> GradientCheck:
    """Compare the gradients with 4-point central differences, in float64.

        f'(w) = (f(w - 2h) - 8 f(w - h) + 8 f(w + h) - f(w + 2h)) / 12h + O(h^4)

    Args:
        step: h, relative to ``max(1, |w|)``.
        most: elements checked of each parameter, chosen by ``seed``.

    Source: Abramowitz and Stegun (1964), 25.3.6.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(3, activation="tanh"), nv.Dense(1)])
    >>> nv.check_gradients(net, [[0.1, 0.2]], [[1.0]], loss="mse").passed
    True
    """
    double = net.astype("float64")
    double.unfreeze()
    objective = double.objective(loss)
    data = make_data(double, X, y, objective, sample_weight)
    executor = double.executor()
    executor.gradient(data, objective)
    analytic = double.gradients.copy()
    generator = np.random.Generator(np.random.Philox(seed))
    # What is below a billionth of the largest gradient is rounding.
    floor = 1e-9 * max(1.0, float(np.abs(analytic).max())) / tolerance
    worst, place, checked = 0.0, "-", 0
    for segment in double.layout.segments:
        if not segment.parameter.trainable:
            continue
        chosen = generator.permutation(segment.size)[:most]
        for element in chosen:
            at = segment.offset + int(element)
            h = step * max(1.0, abs(float(double.values[at])))
            difference = _difference(double.values, at, h, executor, data, objective)
            scale = max(abs(analytic[at]), abs(difference), floor)
            error = abs(analytic[at] - difference) / scale
            checked += 1
            if not error <= worst:
                index = np.unravel_index(int(element), segment.shape or (1,))
                where = ", ".join(str(int(i)) for i in index)
                worst, place = float(error), f"{segment.name}[{where}]"
    return GradientCheck(worst, place, checked, tolerance)


def _difference(
    values: Array, at: int, h: float, executor: Any, data: Data, objective: Any
) -> float:
    kept = values[at]
    found: list[float] = []
    for k in (-2, -1, 1, 2):
        values[at] = kept + k * h
        found.append(executor.gradient(data, objective))
    values[at] = kept
    return (found[0] - 8 * found[1] + 8 * found[2] - found[3]) / (12 * h)
