# SPDX-License-Identifier: BSD-3-Clause
"""Fixing: the spec changed as the findings propose, trained again, and compared."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nervure.diagnosis.rows import read
from nervure.diagnosis.subject import DiagnosisError, Subject, of_run
from nervure.findings.case import Case
from nervure.findings.examining import examine
from nervure.findings.finding import Finding
from nervure.findings.patch import Patch, apply, chosen
from nervure.runs.training import fit_arrays, fit_spec
from nervure.spec.tables import DataSpec, Spec
from nervure.training.divergence import DivergenceError
from nervure.training.run import Run

ROUNDS = 3
"""Trainings at most: what a fault hides may show only when it is gone."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """One training again.

    Attributes:
        changes: lines that say what was changed.
        spec: what was trained.
        run: what came of it.
        case: what is known of it.
    """

    changes: tuple[str, ...]
    spec: Spec
    run: Run
    case: Case

    @property
    def skill(self) -> float:
        return skill_of(self.case)


@dataclass(frozen=True, eq=False)
class Fix:
    """The training before, and those that were made to mend it."""

    before: Case
    attempts: tuple[Attempt, ...]

    @property
    def best(self) -> Attempt:
        """The attempt that did best on rows held out, or on its own."""
        return max(self.attempts, key=lambda one: _rank(one.skill))

    def report(self) -> str:
        """Before and after, side by side."""
        rows = [("", "before", *(f"round {i + 1}" for i in range(len(self.attempts))))]
        cases = [self.before, *(one.case for one in self.attempts)]
        rows += [(name, *map(read, cases)) for name, read in _LINES]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines: list[str] = []
        for i, one in enumerate(self.attempts):
            lines += [f"round {i + 1}:", *(f"  {line}" for line in one.changes)]
        pairs = [list(zip(row, widths, strict=True)) for row in rows]
        lines += ["", *("  ".join(t.rjust(w) for t, w in row) for row in pairs)]
        return "\n".join(lines)


def proposed(findings: Sequence[Finding]) -> list[tuple[Finding, Patch]]:
    """Patches to make together: of warnings, but not of what others bring about."""
    serious = [f for f in findings if f.severity != "note"] or list(findings)
    explained: set[str] = set()
    pairs: list[tuple[Finding, Patch]] = []
    for one in serious:
        if one.patch is not None and one.code not in explained:
            pairs.append((one, one.patch))
            explained |= set(one.page.explains)
    kept = chosen([patch for _, patch in pairs])
    return [(one, patch) for one, patch in pairs if patch in kept]


def fix(
    subject: Subject,
    *,
    seconds: float = 10.0,
    directory: str | os.PathLike[str] | None = None,
    progress: Any = False,
    rounds: int = ROUNDS,
) -> Fix:
    """Train again as the findings propose, until nothing is left to propose.

    Args:
        seconds: for experiments, by which learning rates are chosen.
        directory: folder of the last training; those before get a number.

    Raises:
        DiagnosisError: there are no rows, or nothing that a spec could change.
    """
    if subject.prepared is None:
        raise DiagnosisError(
            "[fix] there are no rows to train on; expected data that the spec names; "
            "pass X and y, or name the data"
        )
    before = subject.case()
    attempts: list[Attempt] = []
    current = subject
    for number in range(rounds):
        case = current.case(current.trials(seconds))
        pairs = proposed(examine(case))
        if not pairs:
            break
        spec = apply(current.spec, [patch for _, patch in pairs])
        place = None if directory is None else Path(f"{directory}-{number + 1}")
        run = _train(subject, spec, place, progress)
        lines = tuple(
            f"{one.code}: {line}" for one, patch in pairs for line in patch.lines
        )
        current = dataclasses.replace(
            of_run(run), spec=spec, dataset=subject.dataset, prepared=run.prepared
        )
        found = current.case()
        attempts.append(Attempt(lines, spec, run, found))
        if _is_mended(found):
            break
    if not attempts:
        raise DiagnosisError(
            "[fix] no finding proposes a change of the spec; expected one that does; "
            "read what helps: nervure doctor"
        )
    return Fix(before, tuple(attempts))


def _is_mended(case: Case) -> bool:
    """Whether there is little left to gain."""
    return not case.fails and not any(f.severity != "note" for f in examine(case))


def skill_of(case: Case) -> float:
    """Skill on rows held out, else on those that were trained on."""
    return case.own if math.isnan(case.held_out) else case.held_out


def _rank(skill: float) -> float:
    return -math.inf if math.isnan(skill) else skill


def _train(subject: Subject, spec: Spec, place: Path | None, progress: Any) -> Run:
    """Train the spec on the subject's rows."""
    more: dict[str, Any] = {"progress": progress, "telemetry": True, "directory": place}
    try:
        if subject.dataset is not None:
            return cast(Run, fit_spec(spec, subject.dataset, **more))
        return _on_arrays(subject, spec, more)
    except DivergenceError as error:
        return error.run


def _on_arrays(subject: Subject, spec: Spec, more: dict[str, Any]) -> Run:
    prepared = subject.prepared
    assert prepared is not None
    own = prepared.data.take(prepared.rows)
    spec = dataclasses.replace(spec, data=DataSpec())
    if own.weights is not None and spec.training is not None:
        # The weights at hand are those of the classes as well.
        training = dataclasses.replace(spec.training, class_weight=None)
        spec = dataclasses.replace(spec, training=training)
        more["sample_weight"] = own.weights
    held = prepared.validation
    if held is not None:
        more["validation"] = (_alone(read(held)), _alone(list(held.targets)))
        more["validation"] += () if held.weights is None else (held.weights,)
    run = fit_arrays(spec, _alone(read(own)), _alone(list(own.targets)), **more)
    return cast(Run, run)


def _alone(arrays: list[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else arrays


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"


def _last(case: Case, name: str) -> str:
    values = case.history(name)
    return _number(float(values[-1])) if len(values) else "-"


_LINES: tuple[tuple[str, Callable[[Case], str]], ...] = (
    ("training loss", lambda case: _last(case, "loss")),
    ("validation loss", lambda case: _last(case, "validation_loss")),
    ("skill on own rows", lambda case: _number(case.own)),
    ("skill on rows held out", lambda case: _number(case.held_out)),
    ("epochs", lambda case: str(len(case.loss))),
    ("warnings", lambda case: str(_warnings(case))),
)


def _warnings(case: Case) -> int:
    return sum(f.severity != "note" for f in examine(case))
