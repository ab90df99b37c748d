# SPDX-License-Identifier: BSD-3-Clause
"""The error of the data part, and how much memory it may ask for."""

from __future__ import annotations

import os


class DataError(ValueError):
    """Data that cannot be read or used: ``[where] fact; expectation; remedy``."""


def fail(where: str, fact: str, remedy: str) -> DataError:
    """The error ``[where] fact; remedy``.

    >>> str(fail("iris.csv", "no rows; expected at least 2", "check the file"))
    '[iris.csv] no rows; expected at least 2; check the file'
    """
    return DataError(f"[{where}] {fact}; {remedy}")


def memory_limit() -> int:
    """Bytes that one data set may take: four fifths of the machine's memory.

    Files declare sizes of their own; nothing is allocated before it was compared
    with this. 16 GiB where the machine does not tell.
    """
    try:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        physical = 16 << 30
    return physical * 4 // 5


def check_size(where: str, size: int) -> None:
    """Refuse ``size`` bytes that do not fit into `memory_limit`."""
    limit = memory_limit()
    if size > limit:
        raise fail(
            where,
            f"takes {size:,} bytes; at most {limit:,} fit into this machine",
            "use fewer rows or columns (a query, a memory-mapped .npy)",
        )


def oneline(error: BaseException) -> str:
    """First line of an error's text, for quoting inside another error."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def listing(names: list[str] | tuple[str, ...], limit: int = 10) -> str:
    """Names in quotes, shortened after ``limit``.

    >>> listing(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:limit])
    rest = len(names) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown
