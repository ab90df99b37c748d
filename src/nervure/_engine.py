# SPDX-License-Identifier: BSD-3-Clause
"""The native engine, in the build for this processor's instruction set.

``NERVURE_ISA`` (``v2``, ``v3`` or ``v4``) forces an older one.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nervure._cpu import level as newest  # type: ignore[import-not-found]

LEVELS = ("v2", "v3", "v4") if newest != "native" else ("native",)


def _level() -> str:
    wanted = os.environ.get("NERVURE_ISA", newest)
    if wanted not in LEVELS or LEVELS.index(wanted) > LEVELS.index(newest):
        usable = ", ".join(LEVELS[: LEVELS.index(newest) + 1])
        raise ImportError(
            f"[NERVURE_ISA] {wanted!r} cannot run on this processor; "
            f"expected one of {usable}; unset the variable for the newest"
        )
    return wanted


@contextmanager
def _blas_core(level: str) -> Iterator[None]:
    """OpenBLAS knows processors by model and takes new ones for older families.

    On one with AVX-512 that it took for Haswell, the right family doubled the speed of
    large float32 products (107 -> 206 GFLOP/s on one core). The library reads the
    variable while it is loaded; a value set by the user wins.
    """
    key = "OPENBLAS_CORETYPE"
    if level != "v4" or key in os.environ:
        yield
        return
    os.environ[key] = "SkylakeX"
    try:
        yield
    finally:
        del os.environ[key]


def _load() -> Any:
    level = _level()
    with _blas_core(level):
        return importlib.import_module(f"nervure._engine_{level}")


engine = _load()
