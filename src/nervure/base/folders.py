# SPDX-License-Identifier: BSD-3-Clause
"""Folders that are made: what was made is known, and is all that is taken back."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Generator, Sequence
from pathlib import Path

from nervure.base.files import WriteError


def make(folder: Path) -> list[Path]:
    """Make a folder and those above it; those that are new, the innermost first.

    Raises:
        WriteError: one cannot be made; of the others nothing is left.
    """
    made: list[Path] = []
    try:
        for each in (*reversed(folder.parents), folder):
            if _is_new(each):
                made.insert(0, each)
    except OSError as error:
        remove(made)
        raise WriteError(
            f"[{folder}] cannot be made: {(error.strerror or str(error)).lower()}; "
            "expected a folder that may be written; choose another"
        ) from error
    return made


def _is_new(folder: Path) -> bool:
    """Make one folder; whether it was not there."""
    try:
        folder.mkdir()
    except OSError as error:
        if folder.is_dir():  # made by others, or a root that nobody makes
            return False
        if isinstance(error, FileExistsError):
            number = errno.ENOTDIR
            raise NotADirectoryError(number, os.strerror(number)) from error
        raise
    return True


def remove(paths: Sequence[Path]) -> None:
    """Remove files and empty folders, as far as that is possible."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def numbers(name: str, within: Path) -> list[int]:
    """The numbers of the folders ``<name>-<number>`` that there are, in order."""
    pattern = rf"{re.escape(name)}-(\d{{1,9}})"
    found = (re.fullmatch(pattern, path.name) for path in within.glob("*"))
    return sorted(int(match[1]) for match in found if match)


@contextlib.contextmanager
def numbered(name: str, within: Path) -> Generator[Path]:
    """The next folder ``within/<name>-<number>``, which no other process gets too.

    Afterwards it is taken away again if it is empty.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as there:
    ...     with numbered("a", Path(there)) as one, numbered("a", Path(there)) as two:
    ...         one.name, two.name
    ('a-1', 'a-2')
    """
    above = make(within)
    while True:
        folder = within / f"{name}-{max(numbers(name, within), default=0) + 1}"
        own = make(folder)
        if own:  # else somebody was faster
            break
    try:
        yield folder
    finally:
        remove([*own, *above])
