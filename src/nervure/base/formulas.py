# SPDX-License-Identifier: BSD-3-Clause
"""What formulas need besides NumPy, for whichever array module is at hand."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np


def _special(xp: Any) -> Any:
    """`scipy.special` for NumPy, `jax.scipy.special` for JAX."""
    package = "scipy" if xp.__name__ == "numpy" else "jax.scipy"
    return importlib.import_module(f"{package}.special")


def gaussian_cdf(xp: Any, z: Any) -> Any:
    """Phi(z): share of a standard normal population below z."""
    return _special(xp).ndtr(z)


def erf(xp: Any, z: Any) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to z."""
    return _special(xp).erf(z)


def logistic(xp: Any, z: Any) -> Any:
    """1 / (1 + exp(-z)) without overflow."""
    return _special(xp).expit(z)


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
