# SPDX-License-Identifier: BSD-3-Clause
"""What formulas need besides NumPy, for whichever array module is at hand."""

from __future__ import annotations

import importlib
import math
from typing import Any, cast

import numpy as np
import numpy.typing as npt


def gaussian_cdf(xp: Any, z: Any) -> Any:
    """Phi(z) = erfc(-z / sqrt 2) / 2: share of a standard normal population below z.

    >>> gaussian_cdf(np, np.array([0.0, 1.96])).round(3).tolist()
    [0.5, 0.975]
    """
    if xp is not np:
        return _special().ndtr(z)
    x = np.asarray(z, np.float64) / -math.sqrt(2)
    shares = np.frompyfunc(math.erfc, 1, 1)(x) / 2
    return np.asarray(shares, np.result_type(z, np.float16))


def log_gaussian_cdf(xp: Any, z: Any) -> Any:
    """log Phi(z), also where Phi(z) is too small for a number.

    Far out ``Phi(-a) = phi(a) / a (1 - 1 / a^2 + 3 / a^4 - 15 / a^6 + ...)``.

    >>> log_gaussian_cdf(np, np.array([0.0, -6.0, -1000.0])).round(2).tolist()
    [-0.69, -20.74, -500007.83]
    """
    if xp is not np:
        return _special().log_ndtr(z)
    x = np.asarray(z, np.float64)
    square = x * x
    near = gaussian_cdf(np, np.maximum(x, -30.0))
    above = gaussian_cdf(np, -np.abs(x))
    far = np.minimum(x, -30.0)
    series = np.polynomial.polynomial.polyval(far**-2, [0, -1, 3, -15, 105])
    tail = np.log1p(series) - np.log(-far) - math.log(2 * math.pi) / 2 - square / 2
    logs = np.where(x >= 0, np.log1p(-above), np.where(x > -30, np.log(near), tail))
    return np.asarray(logs, np.result_type(z, np.float16))


def normal_quantile(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The inverse of Phi, for p in (0, 1).

    >>> normal_quantile(np.array([0.5, 0.975])).round(2).tolist()
    [0.0, 1.96]
    """
    from statistics import NormalDist

    return np.asarray(np.frompyfunc(NormalDist().inv_cdf, 1, 1)(p), np.float64)


def erf(xp: Any, z: Any) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to z.

    >>> erf(np, np.array([0.0, 1.0])).round(4).tolist()
    [0.0, 0.8427]
    """
    if xp is not np:
        return _special().erf(z)
    found = np.frompyfunc(math.erf, 1, 1)(np.asarray(z, np.float64))
    return np.asarray(found, np.result_type(z, np.float16))


def logistic(xp: Any, z: Any) -> Any:
    """1 / (1 + exp(-z)) without overflow.

    >>> logistic(np, np.array([-1e9, 0.0])).tolist()
    [0.0, 0.5]
    """
    if xp is not np:
        return _special().expit(z)
    power = np.exp(-np.abs(z))
    return np.where(np.asarray(z) >= 0, 1, power) / (1 + power)


def _special() -> Any:
    return importlib.import_module("jax.scipy.special")


def stop_gradient(xp: Any, x: Any) -> Any:
    """``x`` itself, with derivative 0 under JAX.

    Formulas that subtract a largest element need it: JAX derives ``max`` by comparing
    with the elements again, and where XLA has rounded those another way none is equal,
    which makes the derivative 0 / 0.

    >>> stop_gradient(np, 2.0)
    2.0
    """
    if xp is np:
        return x
    import jax

    return jax.lax.stop_gradient(x)


def along_time(
    xp: Any,
    step: Any,
    begin: tuple[Any, ...],
    inputs: Any,
    lengths: Any | None,
    reverse: bool = False,
) -> tuple[tuple[Any, ...], Any]:
    """Fold ``step`` over the steps of sequences: the last states, and what it told.

    ``step(states, x)`` gives the states after a step, each ``(rows, ...)``, and a tree
    of arrays that it tells of it. A row whose sequence has ended keeps its states.

    Args:
        inputs: ``(rows, time, ...)``.
        lengths: of the rows, or None where all have every step.
        reverse: from the last step of each sequence to its first.

    Returns:
        The final states, and what the steps told, with time as the second axis.

    >>> total = lambda states, x: ((states[0] + x,), states[0] + x)
    >>> x = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 9.0]])
    >>> (end,), sums = along_time(np, total, (np.zeros(2),), x, np.array([3, 2]))
    >>> end.tolist(), sums[0].tolist()
    ([6.0, 2.0], [1.0, 3.0, 6.0])
    """
    time = inputs.shape[1]

    def body(states: Any, at: Any) -> tuple[Any, Any]:
        x, t = at
        new, told = step(states, x)
        if lengths is not None:
            alive = t < lengths
            new = tuple(
                xp.where(alive.reshape(-1, *(1,) * (n.ndim - 1)), n, old)
                for n, old in zip(new, states, strict=True)
            )
        return new, told

    steps = xp.moveaxis(inputs, 1, 0), xp.arange(time)
    if xp is not np:
        import jax

        states, told = jax.lax.scan(body, begin, steps, reverse=reverse)

        def behind_rows(y: Any) -> Any:
            return xp.moveaxis(y, 0, 1)

        return states, jax.tree.map(behind_rows, told)
    states: Any = begin
    found: list[Any] = [None] * time
    for t in range(time - 1, -1, -1) if reverse else range(time):
        states, found[t] = body(states, (steps[0][t], t))
    return states, _stacked(found)


def _stacked(found: list[Any]) -> Any:
    """A list of trees of arrays as a tree of arrays, the list being the second axis."""
    first = found[0]
    if isinstance(first, dict):
        keys = list(cast(dict[str, Any], first))
        return {key: _stacked([one[key] for one in found]) for key in keys}
    if isinstance(first, tuple):
        places = range(len(cast(tuple[Any, ...], first)))
        return tuple(_stacked([one[i] for one in found]) for i in places)
    return np.stack(found, axis=1)
