# SPDX-License-Identifier: BSD-3-Clause
"""The record of a run: scores are written into it, and told of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from nervure.base.files import write_atomically
from nervure.base.words import is_table, many
from nervure.cli.judging import Judgement
from nervure.cli.telling import WIDTH
from nervure.graph.summary import table
from nervure.training.folder import RunFolder
from nervure.training.table import HELD_OUT, cell, duration, short_name

Event = dict[str, Any]

LONGEST_LINE = 100_000


def record_scores(folder: Path, found: Sequence[Judgement], rows: str) -> None:
    """Write what was judged at the end of training into the record of the run.

    Raises:
        WriteError: it cannot be written.
    """
    _log(folder, [_event_of(one.values, rows, one.rows, one.output) for one in found])


def record_values(
    folder: Path, values: Mapping[str, float], of: str, rows: int, output: str = ""
) -> None:
    """Write values of so many rows into the record of a run.

    ``output`` says which of several outputs or targets they are of.

    Raises:
        WriteError: it cannot be written.
    """
    _log(folder, [_event_of(values, of, rows, output)])


def _log(folder: Path, events: Sequence[Event]) -> None:
    run = RunFolder(folder)
    if not run.record.exists():  # an ensemble has those of its members
        write_atomically(run.record, "")
    for event in events:
        run.log(event)


def _event_of(
    values: Mapping[str, float], of: str, rows: int, output: str = ""
) -> Event:
    named = {key.replace(" ", "_"): value for key, value in values.items()}
    which = {"output": output} if output else {}
    return {"event": "scores", "of": of, **which, "rows": rows, **named}


def told_of(folder: Path) -> list[str]:
    """How a run went and what it was scored, in lines; nothing of what is not there."""
    events = _events(RunFolder(folder).record)
    epochs = [event for event in events if event["event"] == "epoch"]
    ends = [event for event in events if event["event"] == "end"]
    scores = [event for event in events if event["event"] == "scores"]
    lines = [_ended(ends[-1])] if ends else []
    lines += _epochs(epochs, ends[-1]) if epochs and ends else []
    return ["", *lines, *map(_scored, scores)] if lines or scores else []


def _events(record: Path) -> list[Event]:
    """The lines that can be read, each a table with the name of its event."""
    if not record.exists():
        return []
    with open(record, encoding="utf-8", errors="replace") as file:
        found = [_event(line) for line in file if len(line) <= LONGEST_LINE]
    return [event for event in found if isinstance(event.get("event"), str)]


def _event(line: str) -> Event:
    try:
        found = cast(object, json.loads(line))
    except (ValueError, RecursionError):
        return {}
    return dict(found) if is_table(found) else {}


def _ended(end: Event) -> str:
    epochs, steps = _whole(end.get("epochs")), _whole(end.get("steps"))
    best = _whole(end.get("best_epoch"), -1)
    kept = f", weights after {many(best + 1, 'epoch')}" if best >= 0 else ""
    seconds = end.get("seconds")
    took = f" in {duration(seconds)}" if isinstance(seconds, int | float) else ""
    why = f" ({end['stopped']})" if end.get("stopped") else ""
    counts = f"{many(epochs, 'epoch')}, {many(steps, 'step')}"
    return f"trained for {counts}{took}{kept}{why}"


def _epochs(epochs: Sequence[Event], end: Event) -> list[str]:
    """The values of the epoch whose weights are kept, trained on and held out."""
    best = _whole(end.get("best_epoch"), -1)
    kept = next((e for e in epochs if e.get("epoch") == best), epochs[-1])
    hidden = ("event", "epoch", "seconds", "learning_rate")
    values = {k: v for k, v in kept.items() if k not in hidden}
    measures = list(dict.fromkeys(name.removeprefix(HELD_OUT) for name in values))
    rows = [
        [word, *(_cell(values.get(prefix + name)) for name in measures)]
        for word, prefix in (("training rows", ""), ("validation rows", HELD_OUT))
        if any(prefix + name in values for name in measures)
    ]
    head = ["", *map(short_name, measures)]
    return table(head, rows, numbers=len(measures))


def _scored(event: Event) -> str:
    hidden = ("event", "of", "output", "rows")
    values = [f"{k} {_cell(v)}" for k, v in event.items() if k not in hidden]
    whose = f"{event.get('of', '')} {event.get('output', '')}".strip()
    rows = many(_whole(event.get("rows")), "row")
    line = f"{whose} ({rows}): {', '.join(values)}".replace("_", " ")
    return textwrap.fill(line, WIDTH, subsequent_indent="  ")


def _cell(value: Any) -> str:
    return cell(value) if isinstance(value, int | float) else str(value or "")[:40]


def _whole(value: Any, default: int = 0) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default
