# SPDX-License-Identifier: BSD-3-Clause
"""Progress in a notebook: a bar and a table of epochs that change in place."""

from __future__ import annotations

import time
from collections.abc import Mapping
from html import escape
from typing import Any

from nervure.base.html import html_lines, html_table
from nervure.training.table import (
    HELD_OUT,
    Clock,
    Rows,
    cell,
    duration,
    short,
    short_name,
)

LIVE_SECONDS = 0.2


class Notebook:
    """One output of a cell; ``display`` is the module `IPython.display`."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None
        self._clock = Clock()
        self._rows = Rows()
        self._bar = ""
        self._notes: list[str] = []
        self._drawn = 0.0

    def step(self, epoch: int, epochs: int, share: float, cost: float) -> None:
        left = self._clock.left((epoch + share) / epochs)
        words = [f"epoch {epoch + 1}/{epochs}", f"{100 * share:.0f} %"]
        words += [f"loss {short(cost)}", left]
        done = (epoch + share) / epochs
        self._bar = _bar(done, ", ".join(word for word in words if word))
        if time.monotonic() - self._drawn >= LIVE_SECONDS:
            self._show()

    def epoch(self, epoch: int, epochs: int, values: Mapping[str, float]) -> None:
        self._rows.add(epoch, epochs, values, self._clock.seconds)
        if time.monotonic() - self._drawn >= LIVE_SECONDS:
            self._show()

    def note(self, line: str) -> bool:
        self._notes.append(line)
        self._show()
        return True

    def close(self) -> None:
        self._rows.last()
        self._bar = ""
        self._show()

    def _show(self) -> None:
        notes = html_lines(self._notes)
        shown = self._display.HTML(f"<div>{self._bar}{self._table()}{notes}</div>")
        if self._handle is None:
            self._handle = self._display.display(shown, display_id=True)
        else:
            self._handle.update(shown)
        self._drawn = time.monotonic()

    def _table(self) -> str:
        rows = self._rows.kept
        if not rows:
            return ""
        names = self._rows.names
        whose = ("held out: " if name.startswith(HELD_OUT) else "" for name in names)
        heads = [f"{a}{short_name(n)}" for a, n in zip(whose, names, strict=True)]
        lines = [
            [
                f"{row.epoch + 1}/{self._rows.epochs}",
                *(cell(row.values.get(name)) for name in names),
                duration(row.seconds),
            ]
            for row in rows
        ]
        return html_table(["epoch", *heads, "time"], lines, numbers=len(heads) + 2)


def _bar(done: float, words: str) -> str:
    return (
        f'<progress value="{done:.4f}" max="1" style="width:20em"></progress> '
        f"{escape(words)}"
    )
