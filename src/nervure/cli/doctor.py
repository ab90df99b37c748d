# SPDX-License-Identifier: BSD-3-Clause
"""``nervure doctor``: what is wrong with a run or a spec, why, and what helps."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from nervure.base.files import write_atomically
from nervure.diagnosis.diagnosis import Diagnosis, diagnose
from nervure.diagnosis.fixing import Fix, fix
from nervure.diagnosis.page import page
from nervure.diagnosis.subject import DiagnosisError, Subject, of_spec
from nervure.findings.rules import pages
from nervure.record import worded
from nervure.spec.reading import load_spec
from nervure.spec.tables import SpecError
from nervure.spec.written import save_spec

PATCHED = "patched"
"""What the name of a patched spec ends in: ``net-patched.toml``."""

FIXED = "fixed"
SECONDS = 10.0
"""For the experiments of --apply and --fix, by which learning rates are chosen."""


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    path: Path
    data: str | None = None
    as_json: bool = False
    page: Path | None = None
    apply: bool = False
    fix: bool = False
    experiments: float | None = None


def doctor(wish: Wish) -> int:
    """Tell what is found; the exit code is 1 where something is wrong."""
    explained = pages().get(str(wish.path))
    if explained is not None and not wish.path.exists():
        print(explained.markdown(), end="")
        return 0
    changing = wish.experiments is None and (wish.apply or wish.fix)
    seconds = SECONDS if changing else wish.experiments
    found = diagnose(_subject(wish), experiments=seconds)
    if wish.as_json:
        print(json.dumps(worded(found.document()), indent=2))
    else:
        print(found.report())
    if wish.page is not None:
        title = f"{wish.path}: what the doctor says"
        parts = (title, found.findings, found.case, found.subject.missing)
        write_atomically(wish.page, page(*parts))
        _say(wish, f"written: {wish.page}")
    if wish.apply:
        _say(wish, f"written: {_apply(wish.path, found)}")
    if wish.fix:
        _say(wish, _fix(wish, found, SECONDS if seconds is None else seconds))
    return int(any(finding.severity != "note" for finding in found))


def _say(wish: Wish, text: str) -> None:
    """Beside JSON nothing else is printed."""
    if not wish.as_json:
        print(f"\n{text}")


def _subject(wish: Wish) -> Path | Subject:
    """The path itself, or its spec with other data."""
    if wish.data is None:
        return wish.path
    path = wish.path / "spec.toml" if wish.path.is_dir() else wish.path
    spec = load_spec(path)
    data = dataclasses.replace(spec.data, source=wish.data)
    return of_spec(dataclasses.replace(spec, data=data), path=wish.path)


def _apply(path: Path, found: Diagnosis) -> Path:
    """The patched spec, beside the old one."""
    spec = found.patched
    if spec is None:
        raise DiagnosisError(
            "[--apply] no finding proposes a change of the spec; expected one that "
            "does; read what helps above"
        )
    place = path / "spec.toml" if path.is_dir() else path
    target = place.with_name(f"{place.stem}-{PATCHED}.toml")
    try:
        return save_spec(spec, target)
    except SpecError as error:
        raise DiagnosisError(f"[--apply] {error}") from error


def _fix(wish: Wish, found: Diagnosis, seconds: float) -> str:
    """Train as the findings propose; before and after in words."""
    own = wish.path if wish.path.is_dir() else wish.path.with_suffix("")
    folder = own.with_name(f"{own.name}-{FIXED}")
    made = fix(found.subject, seconds=seconds, directory=folder, progress=True)
    return f"{made.report()}\n\nsaved in {_folder(made)} (round {_round(made)})"


def _round(made: Fix) -> int:
    return made.attempts.index(made.best) + 1


def _folder(made: Fix) -> Path | None:
    return made.best.run.directory
