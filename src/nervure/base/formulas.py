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


def normal_quantile(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The inverse of Phi, for p in (0, 1).

    >>> normal_quantile(np.array([0.5, 0.975])).round(2).tolist()
    [0.0, 1.96]
    """
    from statistics import NormalDist

    return np.asarray(np.frompyfunc(NormalDist().inv_cdf, 1, 1)(p), np.float64)


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
