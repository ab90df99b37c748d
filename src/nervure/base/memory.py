# SPDX-License-Identifier: BSD-3-Clause
"""What a file from a stranger may ask for: no more memory than there is."""

from __future__ import annotations

import functools
import os
from pathlib import Path

_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how much a container may use; the word ``max`` is no limit."""


@functools.cache
def physical_bytes() -> int:
    """Bytes of memory that this process can hope for; 2^47 where no one can tell."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on this system
        physical = 2**47
    try:
        return min(physical, int(_LIMIT.read_text()))
    except (OSError, ValueError):
        return physical


def check_memory(wanted: int, where: str, what: str) -> None:
    """Raises `ValueError` if ``wanted`` bytes are more than there are.

    >>> check_memory(10**6, "plan", "the values of 1 row")
    """
    if wanted > physical_bytes():
        raise ValueError(
            f"[{where}] {what} take {_gigabytes(wanted)}; expected at most the "
            f"{_gigabytes(physical_bytes())} of memory here; use smaller layers"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
