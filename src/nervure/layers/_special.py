# SPDX-License-Identifier: BSD-3-Clause
"""Special functions that NumPy lacks, for whichever array module is at hand."""

from __future__ import annotations

import importlib
from typing import Any


def _special(xp: Any) -> Any:
    """`scipy.special` for NumPy, `jax.scipy.special` for JAX."""
    package = "scipy" if xp.__name__ == "numpy" else "jax.scipy"
    return importlib.import_module(f"{package}.special")


def gaussian_cdf(xp: Any, z: Any) -> Any:
    """Phi(z): share of a standard normal population below z."""
    return _special(xp).ndtr(z)


def logistic(xp: Any, z: Any) -> Any:
    """1 / (1 + exp(-z)) without overflow."""
    return _special(xp).expit(z)
