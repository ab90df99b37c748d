# SPDX-License-Identifier: BSD-3-Clause
"""diagnose: what is wrong with a training, why, and what to change."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nervure.base.checks import number
from nervure.diagnosis.fixing import Fix, fix, proposed
from nervure.diagnosis.report import lines_of
from nervure.diagnosis.subject import Subject, subject_of
from nervure.findings.case import Case
from nervure.findings.examining import examine
from nervure.findings.finding import Finding
from nervure.findings.patch import apply
from nervure.spec.tables import Spec

PATIENCE = 10.0
"""Seconds for experiments that nobody has asked for."""

CLEAR = 0.7
"""Strength of a finding that needs no experiment."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found, most important first.

    Attributes:
        subject: what was looked at.
        case: what is known of it.
        findings: what seems to be wrong.
    """

    subject: Subject
    case: Case
    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def patched(self) -> Spec | None:
        """The spec changed as the findings propose; None where none proposes any."""
        pairs = proposed(self.findings)
        if not pairs or not (self.subject.spec.layers or self.subject.spec.network):
            return None
        return apply(self.subject.spec, [patch for _, patch in pairs])

    @property
    def tried(self) -> dict[str, float]:
        """What experiments have told, by name; empty where none was made."""
        found = dict(self.case.trials)
        linear = self.case.deep.get("linear", math.nan)
        return found | ({"linear": linear} if found and not math.isnan(linear) else {})

    def fix(self, **arguments: Any) -> Fix:
        """Train again as the findings propose, and compare (see `fixing.fix`)."""
        return fix(self.subject, **arguments)

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "findings": [finding.document() for finding in self.findings],
            "experiments": self.tried,
            "missing": list(self.subject.missing),
        }

    def report(self) -> str:
        """In words."""
        return "\n".join(lines_of(self.findings, self.subject.missing, self.tried))


def diagnose(
    found: Any, X: Any = None, y: Any = None, *, experiments: float | None = None
) -> Diagnosis:
    """What is wrong with a training, why, and what to change.

    Args:
        found: a run, the folder of one, a spec or the file of one, a network, or
            ``(network, X, y)``.
        X, y: rows, where they are not known otherwise.
        experiments: seconds that experiments may take: a learning-rate range test,
            whether the net can fit 16 rows, whether it uses its inputs, whether it
            learns more from the targets than from shuffled ones. By default they are
            made, within `PATIENCE`, where it is not clear why a net fails.

    Raises:
        DiagnosisError: nothing a diagnosis can be made of.
        SpecError, RecordError, DataError: a file that cannot be read.
    """
    if isinstance(found, tuple):
        found, X, y = found  # pyright: ignore
    if experiments is not None:
        number("diagnose", "experiments", experiments, least=0)
    subject = subject_of(found, X, y)
    case = subject.case()
    findings = examine(case)
    wanted = _is_open(case, findings) if experiments is None else experiments > 0
    if wanted:
        seconds = PATIENCE if experiments is None else experiments
        case = dataclasses.replace(case, trials=subject.trials(seconds))
        findings = examine(case)
    return Diagnosis(subject, case, tuple(findings))


def _is_open(case: Case, findings: Sequence[Finding]) -> bool:
    """Whether a net fails, and nothing that was found says clearly why."""
    clear = [f for f in findings if f.severity != "note" and f.strength >= CLEAR]
    return case.fails and not clear
