# SPDX-License-Identifier: BSD-3-Clause
"""What formulas need besides NumPy, for whichever array module is at hand."""

from __future__ import annotations

import importlib
import math
from typing import Any

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
