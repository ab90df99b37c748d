# SPDX-License-Identifier: BSD-3-Clause
"""Progress: a live table on a terminal or in a notebook, calm lines in logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

from nervure.training.notebook import Notebook
from nervure.training.table import Clock, Columns, Rows, short, words

LIVE_SECONDS = 0.1
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
LONG_EPOCH = 10.0
"""Seconds after which a log is told how far an epoch has come."""


class Progress(Protocol):
    """What training tells while it goes on."""

    def step(self, epoch: int, epochs: int, share: float, cost: float) -> None:
        """``share`` of an epoch is done; the latest cost."""
        ...

    def epoch(self, epoch: int, epochs: int, values: Mapping[str, float]) -> None:
        """An epoch has ended."""
        ...

    def note(self, line: str) -> bool:
        """Something to know, in one line; whether it was shown."""
        ...

    def close(self) -> None:
        """Training has ended."""
        ...


class Silence:
    """Tells nothing."""

    def step(self, epoch: int, epochs: int, share: float, cost: float) -> None:
        pass

    def epoch(self, epoch: int, epochs: int, values: Mapping[str, float]) -> None:
        pass

    def note(self, line: str) -> bool:
        return False

    def close(self) -> None:
        pass


class Calm:
    """A line per epoch, ever rarer: at first after a second, at last each minute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pause = 0.0
        self._written = time.monotonic()
        self._held: str | None = None

    def step(self, epoch: int, epochs: int, share: float, cost: float) -> None:
        if time.monotonic() - self._written >= max(self._pause, LONG_EPOCH):
            done = f"{100 * share:.0f} %  loss {short(cost)}"
            self._held = f"epoch {epoch + 1}/{epochs}  {done}"
            self._write()

    def epoch(self, epoch: int, epochs: int, values: Mapping[str, float]) -> None:
        self._held = f"epoch {epoch + 1}/{epochs}  {words(values)}"
        if time.monotonic() - self._written >= self._pause:
            self._write()

    def note(self, line: str) -> bool:
        print(line, file=self._stream, flush=True)
        return True

    def _write(self) -> None:
        if self._held is None:
            return
        print(self._held, file=self._stream, flush=True)
        self._held = None
        self._written = time.monotonic()
        self._pause = min(max(FIRST_PAUSE, 1.5 * self._pause), LONGEST_PAUSE)

    def close(self) -> None:
        self._write()


class Live:
    """A table of epochs, under which a bar is drawn over itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._clock = Clock()
        self._rows = Rows()
        self._drawn = 0.0
        self._open = False
        self._headed = False

    def step(self, epoch: int, epochs: int, share: float, cost: float) -> None:
        now = time.monotonic()
        if now - self._drawn < LIVE_SECONDS:
            return
        self._drawn = now
        part = f"{100 * share:3.0f} %  loss {short(cost)}"
        left = self._clock.left((epoch + share) / epochs)
        number = f"{epoch + 1}".rjust(len(str(epochs)))
        line = f"epoch {number}/{epochs}  {self._bar(share)} {part}  {left}"
        self._draw(line.rstrip())

    def epoch(self, epoch: int, epochs: int, values: Mapping[str, float]) -> None:
        if self._rows.add(epoch, epochs, values, self._clock.seconds):
            self._print(epochs)

    def note(self, line: str) -> bool:
        self._draw("")
        self._stream.write(f"{line}\n")
        self._stream.flush()
        return True

    def _print(self, epochs: int) -> None:
        """The rows that stay and are not there yet."""
        width = _columns() - 1
        columns = Columns.of(self._rows.names, epochs, width)
        self._draw("")
        lines = [] if self._headed else columns.head()
        lines += [columns.line(row) for row in self._rows.fresh()]
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()
        self._headed, self._open = True, False

    def _bar(self, share: float) -> str:
        full, empty = ("━", "╌") if _speaks(self._stream, "━╌") else ("#", "-")
        filled = round(24 * share)
        return full * filled + empty * (24 - filled)

    def _draw(self, line: str) -> None:
        if line or self._open:
            self._stream.write(f"\r\x1b[2K{line[: _columns() - 1]}")
            self._stream.flush()
        self._open = bool(line)

    def close(self) -> None:
        if self._rows.last():
            self._print(self._rows.epochs)
        self._draw("")


def make_progress(wanted: bool, stream: TextIO | None = None) -> Progress:
    """The display for where the output goes."""
    if not wanted:
        return Silence()
    display = notebook() if stream is None else None
    if display is not None:
        return Notebook(display)
    stream = stream if stream is not None else sys.stderr
    if stream is None:  # a windowed program has no stderr
        return Silence()
    return Live(stream) if stream.isatty() else Calm(stream)


def notebook() -> Any:
    """What shows objects in the notebook that this process serves; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if not hasattr(shell, "kernel"):  # none, or one on a terminal
        return None
    import importlib

    return importlib.import_module("IPython.display")


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _speaks(stream: TextIO, letters: str) -> bool:
    """Whether a stream can write these letters."""
    try:
        letters.encode(stream.encoding or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
