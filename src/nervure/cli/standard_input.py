# SPDX-License-Identifier: BSD-3-Clause
"""Data that come through a pipe: ``-`` in the place of a source."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

STANDARD_INPUT = "-"
_STARTS = {b"PAR1": ".parquet", b"{": ".json", b"[": ".json", b"\x1f\x8b": ".csv.gz"}
"""How files begin that are no plain CSV."""


@contextlib.contextmanager
def from_standard_input(source: str) -> Generator[str]:
    """The path of a source; what is piped in lies in a file for as long as needed."""
    if source != STANDARD_INPUT:
        yield source
        return
    pipe = sys.stdin.buffer
    with tempfile.TemporaryDirectory(prefix="nervure-") as folder:
        start = pipe.read(4)
        kinds = (kind for first, kind in _STARTS.items() if start.startswith(first))
        path = Path(folder, f"standard-input{next(kinds, '.csv')}")
        with open(path, "wb") as file:
            file.write(start)
            shutil.copyfileobj(pipe, file)
        yield str(path)


def called(source: str) -> str:
    """What a source is called where it is told of."""
    return "standard input" if source == STANDARD_INPUT else source


def refuse_standard_input(source: str | None, command: str) -> None:
    """Raises `ValueError` where data are read again later on."""
    if source == STANDARD_INPUT:
        raise ValueError(
            f"[{command}] standard input, which cannot be read again by --resume and "
            "evaluate; expected a file; save it first"
        )
