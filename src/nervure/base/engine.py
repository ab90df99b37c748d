# SPDX-License-Identifier: BSD-3-Clause
"""The native engine, in the build for this processor's instruction set.

``NERVURE_ISA`` (``v2``, ``v3`` or ``v4``) forces an older one.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

import numpy as np
import numpy.typing as npt


def _newest() -> str:
    """The newest level that this processor has; ``native`` where there is but one."""
    cpu: Any = importlib.import_module("nervure._cpu")
    return cpu.level


def usable() -> list[str]:
    """The levels that this processor has and that were built, the newest last."""
    newest = _newest()
    levels = ("native",) if newest == "native" else ("v2", "v3", "v4")
    had = levels[: levels.index(newest) + 1]
    return [level for level in had if importlib.util.find_spec(_module(level))]


def _module(level: str) -> str:
    return f"nervure._engine_{level}"


def _load() -> Any:
    levels = usable()
    wanted = os.environ.get("NERVURE_ISA") or (levels[-1] if levels else "native")
    if wanted not in levels:
        raise ImportError(
            f"[NERVURE_ISA] {wanted!r} cannot run here; expected one of "
            f"{', '.join(levels) or 'none'}, which were built and which this processor "
            "has; unset the variable for the newest, or install nervure again"
        )
    return importlib.import_module(_module(wanted))


def in_memory(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array as the engine reads it: contiguous, aligned, of this byte order.

    The same array where it is so already; the engine takes no other, and converts none.
    """
    own = array.dtype.newbyteorder("=")
    return np.require(array, own, ["C_CONTIGUOUS", "ALIGNED"])


engine: Any = _load()
