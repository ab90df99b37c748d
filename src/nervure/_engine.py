# SPDX-License-Identifier: BSD-3-Clause
"""The native engine, in the build for this processor's instruction set.

``NERVURE_ISA`` (``v2``, ``v3`` or ``v4``) forces an older one.
"""

from __future__ import annotations

import importlib
import os
from typing import Any


def _newest() -> str:
    """The newest level that this processor has; ``native`` where there is but one."""
    cpu: Any = importlib.import_module("nervure._cpu")
    return cpu.level


def _level(newest: str) -> str:
    levels = ("native",) if newest == "native" else ("v2", "v3", "v4")
    usable = levels[: levels.index(newest) + 1]
    wanted = os.environ.get("NERVURE_ISA") or newest
    if wanted in usable:
        return wanted
    raise ImportError(
        f"[NERVURE_ISA] {wanted!r} cannot run on this processor; "
        f"expected one of {', '.join(usable)}; unset the variable for the newest"
    )


def _load() -> Any:
    return importlib.import_module(f"nervure._engine_{_level(_newest())}")


engine: Any = _load()
