# SPDX-License-Identifier: BSD-3-Clause
"""Every table below a folder: ``python tests/sweeps/tables.py FOLDER [--most N]``.

Each CSV file (packed or not) is trained on for three epochs, predicted and evaluated by
the command line. A traceback or a time-out is a fault; errors
of the project are counted by their text. The report says what was decided for each.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import re
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

from nervure.cli.app import run

SECONDS = 120
ENDS = (".csv", ".csv.gz", ".csv.bz2", ".csv.zip", ".tsv")


@dataclass(frozen=True)
class Outcome:
    """What became of one table: its faults, or what was decided, or why it ended."""

    path: Path
    faults: tuple[str, ...] = ()
    error: str = ""
    told: str = ""

    @property
    def decided(self) -> str:
        """The lines that say what was decided."""
        starts = ("target ", "dropped")
        return " | ".join(t for t in self.told.splitlines() if t.startswith(starts))


def nervure(*words: str, seconds: int = SECONDS) -> tuple[int, str, str]:
    """Exit code, output and errors of a command, run here; -1 where it breaks."""
    told, said = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(seconds)
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(said):
            code = run(words)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return -1, told.getvalue(), traceback.format_exc()
    finally:
        signal.alarm(0)
    return code, told.getvalue(), said.getvalue()


def _too_long(*_: object) -> None:
    raise TookTooLongError(f"took more than {SECONDS} s")


class TookTooLongError(BaseException):
    """A command that does not end; nothing catches it on the way."""


def tried(path: Path, *options: str) -> Outcome:
    """Train, predict and evaluate with a table."""
    with tempfile.TemporaryDirectory() as folder:
        out, answers = str(Path(folder, "run")), str(Path(folder, "answers.csv"))
        short = ["--set", "training.epochs=3", "--quiet"]
        code, told, said = nervure("train", str(path), "--out", out, *short, *options)
        faults = _faults("train", code, said)
        if faults or code != 0:
            return Outcome(path, faults, _error(said))
        for words in (
            ("predict", out, str(path), "--out", answers),
            ("evaluate", out, str(path)),
        ):
            code, _, errors = nervure(*words)
            faults += _faults(words[0], code, errors)
            if code != 0 and not faults:
                faults += (f"{words[0]}: {_error(errors)}",)
        return Outcome(path, faults, "", told + said)


def _faults(command: str, code: int, errors: str) -> tuple[str, ...]:
    if code in (0, 2) and "Traceback" not in errors:
        return ()
    lines = errors.strip().splitlines() or [f"exit code {code}"]
    return (f"{command}: {lines[-1]}",)


def _error(errors: str) -> str:
    told = [line for line in errors.splitlines() if line.startswith("error: ")]
    return told[0].removeprefix("error: ") if told else errors.strip()[-200:]


def tables(folder: Path) -> list[Path]:
    """The tables below a folder, in order of their names."""
    shown = (p for p in folder.rglob("*") if not p.name.startswith("."))
    return sorted(p for p in shown if p.name.lower().endswith(ENDS))


def report(outcomes: list[Outcome]) -> int:
    """Print what became of the tables; how many have faults."""
    for one in outcomes:
        print(f"{one.path.name}: {'; '.join(one.faults) or one.error or one.decided}")
    errors = collections.Counter(
        re.sub(r"'[^']*'|\d[\d,.]*", "_", one.error.partition("] ")[2])[:70]
        for one in outcomes
        if one.error
    )
    print(f"\n{len(outcomes):,} tables, {sum(not o.error for o in outcomes):,} trained")
    for text, count in errors.most_common():
        print(f"{count:5} {text}")
    bad = [one for one in outcomes if one.faults]
    print(f"{len(bad)} with faults" + "".join(f"\n  {b.path}: {b.faults}" for b in bad))
    return len(bad)


def main() -> int:
    """Sweep over the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=None, help="tables, evenly chosen")
    asked = parser.parse_args()
    found = tables(asked.folder)
    if asked.most is not None and len(found) > asked.most:
        step = len(found) / asked.most
        found = [found[int(i * step)] for i in range(asked.most)]
    outcomes = []
    for path in found:
        outcomes.append(tried(path))
        print(".", end="", file=sys.stderr, flush=True)
    return 1 if report(outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
