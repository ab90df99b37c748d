# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""L-BFGS over all weights of an MLP at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.executors import Data
from nervure.graph.objective import Objective
from nervure.sklearn._perceptron import Perceptron

Vector = npt.NDArray[np.float64]


class FullCost:
    """Cost and gradient of the whole data set as functions of the weights.

    ``mean cost + alpha / (2 w) |W|^2``, ``w`` the weight of all rows.
    """

    def __init__(
        self, perceptron: Perceptron, objective: Objective, data: Data, alpha: float
    ) -> None:
        self._perceptron, self._objective, self._data = perceptron, objective, data
        total = data.rows if data.weights is None else float(data.weights.sum())
        self._strength = np.zeros(perceptron.values.size)
        for segment in perceptron.net.layout.segments:
            if segment.parameter.decays:
                segment.view(self._strength)[...] = alpha / total

    def penalty(self, point: Vector) -> float:
        return float(0.5 * (self._strength * point) @ point)

    def __call__(self, point: Vector) -> tuple[float, Vector]:
        net = self._perceptron.net
        net.values[:] = point
        cost = self._perceptron.executor.gradient(
            self._data, self._objective, training=True
        )
        gradient = net.gradients + self._strength * point
        return cost + self.penalty(point), gradient


def minimize(
    cost: FullCost,
    start: npt.NDArray[Any],
    estimator: Any,
    after: Callable[[Vector, float], None],
) -> tuple[Any, int]:
    """Run SciPy's L-BFGS-B; its result and the number of iterations.

    ``after`` is told the point and the cost of every iteration.
    """
    import scipy
    from scipy import optimize

    options: dict[str, Any] = {
        "maxfun": estimator.max_fun,
        "maxiter": estimator.max_iter,
        "gtol": estimator.tol,
    }
    if scipy.__version__ < "1.15":  # later it prints nothing, and says so
        options["iprint"] = 1 if estimator.verbose else -1

    def callback(intermediate_result: Any) -> None:
        after(intermediate_result.x, float(intermediate_result.fun))

    given: dict[str, Any] = {"jac": True, "options": options, "callback": callback}
    call: Any = optimize.minimize
    found = call(cost, start, method="L-BFGS-B", **given)
    if found.status != 0:
        _warn(found, estimator)
    return found, min(int(found.nit), estimator.max_iter)


def _warn(found: Any, estimator: Any) -> None:
    from sklearn.exceptions import ConvergenceWarning

    warnings.warn(
        f"lbfgs failed to converge after {found.nit} iterations (status="
        f"{found.status}): {found.message}. You might also want to scale the data, or "
        f"increase max_iter ({estimator.max_iter}) or max_fun ({estimator.max_fun}).",
        ConvergenceWarning,
        stacklevel=2,
    )
