# SPDX-License-Identifier: BSD-3-Clause
"""Progress: one live line on a terminal, few calm lines in logs and notebooks."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Protocol, TextIO

LIVE_SECONDS = 0.1
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


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


class Live:
    """A bar that is drawn over itself; the last epoch's values stay behind it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begin = self._drawn = time.monotonic()
        self._tail = ""
        self._open = False

    def step(self, epoch: int, epochs: int, share: float, cost: float) -> None:
        now = time.monotonic()
        if now - self._drawn < LIVE_SECONDS:
            return
        self._drawn = now
        self._draw(epoch, epochs, (epoch + share) / epochs, self._tail or f"{cost:.4f}")

    def epoch(self, epoch: int, epochs: int, values: Mapping[str, float]) -> None:
        self._tail = words(values)
        now = time.monotonic()
        if now - self._drawn >= LIVE_SECONDS or epoch + 1 == epochs:
            self._drawn = now
            self._draw(epoch, epochs, (epoch + 1) / epochs, self._tail)

    def _draw(self, epoch: int, epochs: int, done: float, tail: str) -> None:
        width = 24
        filled = round(width * done)
        bar = "━" * filled + "╌" * (width - filled)
        left = (time.monotonic() - self._begin) * (1 - done) / max(done, 1e-9)
        remaining = f"{duration(left)} left" if done < 1 else "done"
        number = f"{epoch + 1}".rjust(len(str(epochs)))
        line = f"epoch {number}/{epochs} {bar} {remaining}  {tail}"
        self._stream.write(f"\r\x1b[2K{line[: _columns() - 1]}")
        self._stream.flush()
        self._open = True

    def note(self, line: str) -> bool:
        self._stream.write(f"\r\x1b[2K{line}\n")
        self._stream.flush()
        self._open, self._drawn = False, 0.0  # the bar is drawn again below it
        return True

    def close(self) -> None:
        if self._open:
            self._stream.write("\n")
            self._stream.flush()


class Calm:
    """A line per epoch, ever rarer: at first after a second, at last each minute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pause = 0.0
        self._written = time.monotonic()
        self._held: str | None = None

    def step(self, epoch: int, epochs: int, share: float, cost: float) -> None:
        pass

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


def make_progress(wanted: bool, stream: TextIO | None = None) -> Progress:
    """The display for where the output goes."""
    stream = stream if stream is not None else sys.stderr
    if not wanted or stream is None:  # a windowed program has no stderr
        return Silence()
    return Live(stream) if stream.isatty() else Calm(stream)


def words(values: Mapping[str, float]) -> str:
    """Values in one line.

    >>> words({"loss": 0.25, "validation_loss": 0.5})
    'loss 0.2500  validation_loss 0.5000'
    """
    return "  ".join(f"{name} {_short(value)}" for name, value in values.items())


def _short(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(0.42), duration(12.3), duration(75), duration(4000)
    ('0.42 s', '12 s', '1 min 15 s', '1 h 07 min')
    """
    if seconds < 9.95:
        return f"{round(seconds, 2):.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes:02d} min"


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
