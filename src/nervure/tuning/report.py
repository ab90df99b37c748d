# SPDX-License-Identifier: BSD-3-Clause
"""What a search has found: in tables, in files, and as a spec to train."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nervure.base.files import write_atomically
from nervure.base.words import many
from nervure.graph.summary import table
from nervure.spec.space import word_of
from nervure.spec.tables import Spec
from nervure.spec.written import save_spec

MOST_SHOWN = 10


class TuneError(ValueError):
    """A search that cannot be made or gone on with."""


@dataclass(frozen=True)
class Trial:
    """One training: the values it took and what came out.

    ``state`` is "complete", "pruned" (worse than others at its epoch), "diverged",
    "failed" (``note`` says why), or "stopped" (by Ctrl-C, a limit of time or a kill;
    the next call repeats it). ``value`` is that of the best epoch; of pruned trials
    the latest known one.
    """

    number: int
    state: str
    values: Mapping[str, Any]
    value: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Tuning:
    """The result of `nervure.tune`.

    Attributes:
        trials: all of them, in the order they began.
        best: the complete trial with the best value; None without one.
        spec: the spec of the best trial, ready for `nervure train --spec`.
        monitor: what was judged.
        stopped: why the search ended before its trials were done, or None.
        directory: where `best.toml`, `report.md`, `report.json` and the study lie.
    """

    trials: tuple[Trial, ...]
    best: Trial | None
    spec: Spec | None
    monitor: str
    larger_is_better: bool = False
    stopped: str | None = None
    directory: Path | None = None

    def ranking(self) -> list[Trial]:
        """The complete trials, the best first."""
        sign = -1 if self.larger_is_better else 1
        complete = [t for t in self.trials if t.state == "complete"]
        return sorted(complete, key=lambda t: (sign * (t.value or 0.0), t.number))

    def summary(self) -> str:
        """The best trials in a table, and how the others ended."""
        lines = [_ends(self.trials)] if self.trials else []
        notes = {trial.note for trial in self.trials if trial.note}
        lines += [f"  {note}" for note in sorted(notes)[:3]]
        if self.best is None:
            return "\n".join([*lines, "no trial was completed"])
        return "\n".join([*lines, "", *table(*self._table(), numbers=0)])

    def _table(self) -> tuple[list[str], list[list[str]]]:
        shown = self.ranking()[:MOST_SHOWN]
        keys = list(shown[0].values)
        head = ["trial", self.monitor, *map(_brief(keys).get, keys), "epochs"]
        rows = [
            [
                str(t.number),
                f"{t.value:.6g}",
                *(_word(t.values[key]) for key in keys),
                str(t.epochs),
            ]
            for t in shown
        ]
        return [str(word) for word in head], rows


def taken(values: Mapping[str, Any]) -> str:
    """The values of a trial in one line.

    >>> taken({"layer.0.units": 32, "training.optimizer.learning_rate": 0.001234567})
    'units=32  learning_rate=0.001235'
    """
    brief = _brief(list(values))
    return "  ".join(f"{brief[key]}={_word(value)}" for key, value in values.items())


def _ends(trials: Sequence[Trial]) -> str:
    """How many trials there are, and how they ended."""
    counts = Counter(trial.state for trial in trials)
    ended = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{many(len(trials), 'trial')}: {ended}"


def _brief(keys: list[str]) -> dict[str, str]:
    """Keys by as many of their last parts as tell them apart.

    >>> list(_brief(["layer.0.units", "layer.2.units", "training.epochs"]).values())
    ['0.units', '2.units', 'epochs']
    """
    short: dict[str, str] = {}
    for key in keys:
        parts = key.split(".")
        for n in range(1, len(parts) + 1):
            short[key] = ".".join(parts[-n:])
            if sum(f".{k}".endswith(f".{short[key]}") for k in keys) == 1:
                break
    return short


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(word_of(value))


# -- files ----------------------------------------------------------------------------

REPORT = "report.json"


def write_report(found: Tuning, folder: Path) -> None:
    """Write best.toml, report.json and report.md, each atomically."""
    if found.spec is not None:
        save_spec(found.spec, folder / "best.toml")
    document = {
        "monitor": found.monitor,
        "larger_is_better": found.larger_is_better,
        "stopped": found.stopped,
        "best": None if found.best is None else found.best.number,
        "trials": [asdict(trial) for trial in found.trials],
    }
    write_atomically(folder / REPORT, json.dumps(document, indent=1) + "\n")
    write_atomically(folder / "report.md", _markdown(found))


def read_report(folder: Path) -> Tuning:
    """What `write_report` wrote, without the spec.

    Raises:
        TuneError: it is no report.
    """
    file = folder / REPORT
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        trials = tuple(_trial(one) for one in document["trials"])
        number = document["best"]
        best = None if number is None else next(t for t in trials if t.number == number)
        found = Tuning(
            trials,
            best,
            None,
            str(document["monitor"]),
            bool(document["larger_is_better"]),
            document["stopped"],
            folder,
        )
        found.summary()
    except (OSError, ValueError, LookupError, TypeError, StopIteration) as error:
        raise TuneError(
            f"[{file}] is no report of a search ({error}); expected what nervure tune "
            "wrote; go on with: nervure tune --resume"
        ) from error
    return found


def _trial(data: Any) -> Trial:
    value = data["value"]
    return Trial(
        int(data["number"]),
        str(data["state"]),
        {str(k): v for k, v in data["values"].items()},
        None if value is None else float(value),
        int(data["epochs"]),
        float(data["seconds"]),
        str(data["note"]),
    )


def _markdown(found: Tuning) -> str:
    lines = ["# Tuning", "", f"{_ends(found.trials)}.", ""]
    if found.best is None:
        return "\n".join([*lines, "No trial was completed."]) + "\n"
    keys = list(found.best.values)
    heads = ["trial", "state", found.monitor, *keys, "epochs", "seconds"]
    lines += [
        f"Best: trial {found.best.number}, {found.monitor} {found.best.value:.6g}. "
        "Train it with `nervure train --spec best.toml`.",
        "",
        _row(heads),
        "|" + "---|" * len(heads),
    ]
    ranked = found.ranking()
    others = [trial for trial in found.trials if trial not in ranked]
    for t in [*ranked, *others]:
        value = "" if t.value is None else f"{t.value:.6g}"
        values = [_word(t.values[key]) if key in t.values else "" for key in keys]
        ends = [str(t.epochs), f"{t.seconds:.1f}"]
        lines.append(_row([str(t.number), t.state, value, *values, *ends]))
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
