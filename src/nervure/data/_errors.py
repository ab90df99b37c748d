# SPDX-License-Identifier: BSD-3-Clause
"""The error of the data part, and how much memory it may ask for."""

from __future__ import annotations

import os
import re
import warnings

from nervure.base.memory import physical_bytes


class DataError(ValueError):
    """Data that cannot be read or used: ``[where] fact; expectation; remedy``."""


class DataWarning(UserWarning):
    """Something in the data is not what it should be; it was taken as is said."""


def fail(where: str, fact: str, remedy: str) -> DataError:
    """The error ``[where] fact; remedy``.

    >>> str(fail("iris.csv", "no rows; expected at least 2", "check the file"))
    '[iris.csv] no rows; expected at least 2; check the file'
    """
    return DataError(f"[{where}] {fact}; {remedy}")


MOST_BYTES = "NERVURE_MOST_BYTES"
"""The setting of the environment that raises `memory_limit`."""

_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def memory_limit() -> int:
    """Bytes that one data set may take: `MOST_BYTES`, or a quarter of the memory.

    Files declare sizes of their own, and what is packed grows; nothing is allocated
    before it was compared with this.

    Raises:
        DataError: the setting is no number of bytes.
    """
    given = os.environ.get(MOST_BYTES, "").strip()
    if not given:
        return physical_bytes() // 4
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", given.lower())
    if found is None:
        raise fail(
            MOST_BYTES, f"{given!r}; expected bytes, as 8000000000 or 8G", "change it"
        )
    return int(float(found[1]) * _SIZES[found[2]])


def check_size(where: str, size: int, remedy: str = "") -> None:
    """Refuse ``size`` bytes that are more than `memory_limit`."""
    limit = memory_limit()
    if size > limit:
        raise fail(
            where,
            f"takes {size:,} bytes; expected at most {limit:,}",
            f"{remedy}use fewer rows or columns (a query, a memory-mapped .npy), or "
            f"raise {MOST_BYTES} where there is memory",
        )


MUCH = 100
"""Times the size of a file, beyond which what it becomes in memory is said."""

LITTLE = 64 << 20
"""Bytes that nobody asks about."""


def check_growth(where: str, stored: int, size: int) -> None:
    """Refuse ``size`` bytes out of a file of ``stored`` as `check_size` does, and say
    where they are many times as many.

    Warns:
        DataWarning: more than `MUCH` times the file's size.
    """
    check_size(where, size)
    if size > MUCH * max(1, stored) and size > LITTLE:
        warnings.warn(
            DataWarning(
                f"[{where}] {stored:,} bytes become {size:,}, more than {MUCH} times "
                "as many"
            ),
            stacklevel=2,
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
