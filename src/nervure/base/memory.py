# SPDX-License-Identifier: BSD-3-Clause
"""What a file from a stranger may ask for: no more memory than there is."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")
"""Where Linux says how much a container may use; the word ``max`` is no limit."""

_MACHINE = Path("/proc/meminfo")
_PROCESS = Path("/proc/self/statm")

_ALWAYS = 64 * 2**20
"""Bytes that nobody needs to ask for."""


@functools.cache
def physical_bytes() -> int:
    """Bytes of memory that this process can hope for; 2^47 where no one can tell."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on this system
        physical = 2**47
    try:
        return min(physical, int((_GROUP / "memory.max").read_text()))
    except (OSError, ValueError):
        return physical


def available_bytes() -> int:
    """Bytes that this process can still take: of the machine, its container, its limit.

    >>> 0 <= available_bytes() <= physical_bytes()
    True
    """
    return max(0, min([physical_bytes(), *_left()]))


def _left() -> Iterator[int]:
    """What is left of each limit that this system has."""
    for limit in (_left_of_machine, _left_of_group, _left_of_process):
        try:
            yield limit()
        except (OSError, ValueError, ImportError, StopIteration):
            continue  # no such limit, or not on this system


def _left_of_machine() -> int:
    with open(_MACHINE, encoding="ascii") as file:
        line = next(line for line in file if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def _left_of_group() -> int:
    most = int((_GROUP / "memory.max").read_text())
    pages = (_GROUP / "memory.stat").read_text().split()
    used = int((_GROUP / "memory.current").read_text())
    return most - used + int(pages[pages.index("inactive_file") + 1])


def _left_of_process() -> int:
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        raise ValueError
    used = int(_PROCESS.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return most - used


def check_memory(
    wanted: int, where: str, what: str, remedy: str = "use smaller layers"
) -> None:
    """Raises `ValueError` if ``wanted`` bytes are more than there are.

    >>> check_memory(10**6, "plan", "the values of 1 row")
    """
    if wanted <= min(_ALWAYS, physical_bytes()):
        return
    free = available_bytes()
    if wanted > free:
        raise ValueError(
            f"[{where}] {what} take {_gigabytes(wanted)}; expected at most the "
            f"{_gigabytes(free)} of memory here; {remedy}"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
