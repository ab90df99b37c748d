# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS through SciPy, on all parameters as one vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count, number
from nervure.base.extras import needed
from nervure.optimizers._rule import Optimizer

Vector = npt.NDArray[np.float64]
ValueAndGradient = Callable[[Vector], tuple[float, Vector]]


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """Quasi-Newton steps over the full batch, with a line search instead of a rate.

    For small data and small networks; one iteration counts as an epoch. SciPy keeps
    the memory of the method to itself, so there is no state to save.

    Args:
        memory: pairs of steps and gradient changes that are kept, at least 1.
        tolerance: stop when an iteration lowers the cost by less than this share.
        gradient_tolerance: stop when no component of the gradient is larger.
        line_search: most evaluations in one iteration.

    Raises:
        ValueError: a value is out of its range.

    Source: Byrd, Lu, Nocedal, Zhu, *SIAM J. Sci. Comput.* 16 (1995); Nocedal and
    Wright, *Numerical Optimization* (2006), algorithm 7.5.

    >>> LBFGS(memory=20).full_batch
    True
    """

    kind: ClassVar[str] = "lbfgs"
    full_batch: ClassVar[bool] = True

    memory: int = 10
    tolerance: float = 1e-9
    gradient_tolerance: float = 1e-6
    line_search: int = 20

    def __post_init__(self) -> None:
        count(self.kind, "memory", self.memory, least=1)
        number(self.kind, "tolerance", self.tolerance, least=0)
        number(self.kind, "gradient_tolerance", self.gradient_tolerance, least=0)
        count(self.kind, "line_search", self.line_search, least=1)


class Minimum(NamedTuple):
    """Where L-BFGS ended: point, cost, iterations and whether a tolerance was met."""

    point: Vector
    value: float
    iterations: int
    converged: bool
    message: str


class _StoppedError(Exception):
    """The callback asked to stop."""


def minimize(
    lbfgs: LBFGS,
    value_and_gradient: ValueAndGradient,
    start: Vector,
    *,
    iterations: int,
    callback: Callable[[int, Vector, float], bool] | None = None,
) -> Minimum:
    """Minimizes a function of a vector, at most ``iterations`` iterations long.

    ``callback(iteration, point, value)`` is called after each, counted from 1, and
    stops the search by returning True.

    >>> import numpy as np
    >>> def bowl(x):
    ...     return float(x @ x), 2 * x
    >>> minimize(LBFGS(), bowl, np.ones(3), iterations=9).converged
    True
    """
    scipy = needed("scipy.optimize", lbfgs.kind)
    done = 0
    point, value = np.array(start, np.float64), np.inf

    def evaluate(x: Vector) -> tuple[float, Vector]:
        cost, gradient = value_and_gradient(x)
        return float(cost), np.asarray(gradient, np.float64)

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal done, point, value
        done += 1
        point = np.array(intermediate_result.x, np.float64)
        value = float(intermediate_result.fun)
        if callback is not None and callback(done, point, value):
            raise _StoppedError

    options = {
        "maxcor": lbfgs.memory,
        "ftol": lbfgs.tolerance,
        "gtol": lbfgs.gradient_tolerance,
        "maxls": lbfgs.line_search,
        "maxiter": iterations,
        "maxfun": iterations * (lbfgs.line_search + 1) + 1,
    }
    try:
        found = scipy.minimize(
            evaluate,
            point,
            jac=True,
            method="L-BFGS-B",
            callback=after_iteration,
            options=options,
        )
    except _StoppedError:
        return Minimum(point, value, done, False, "stopped by the callback")
    return Minimum(
        np.asarray(found.x, np.float64),
        float(found.fun),
        int(found.nit),
        bool(found.success),
        str(found.message),
    )
