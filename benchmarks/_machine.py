# SPDX-License-Identifier: BSD-3-Clause
"""What the numbers were measured on, for the JSON files."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

from _workers import cores, steering


def describe(threads: int) -> dict[str, Any]:
    """Processor, system, cores in use, load at the start, settings dropped."""
    return {
        "processor": _processor(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if _linux() else os.cpu_count(),
        "cores used": cores(threads),
        "load at start": round(os.getloadavg()[0], 2) if _posix() else None,
        "environment dropped": steering(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def busy(machine: dict[str, Any]) -> str | None:
    """A warning where something else was running, else None."""
    load = machine["load at start"]
    if load is None or load < 0.5:
        return None
    return f"load {load} before the start: something else is running, times are rough"


def _linux() -> bool:
    return hasattr(os, "sched_getaffinity")


def _posix() -> bool:
    return hasattr(os, "getloadavg")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    keys = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in keys.items()}
    features = [n for n in ("avx2", "avx512f") if n in fields.get("flags", "").split()]
    name = fields.get("model name", platform.machine())
    return f"{name} ({', '.join(features)})" if features else name
