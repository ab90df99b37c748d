# SPDX-License-Identifier: BSD-3-Clause
"""diagnose: what is wrong with a training, why, and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nervure.diagnosis.report import lines_of
from nervure.diagnosis.subject import Subject, subject_of
from nervure.findings.case import Case
from nervure.findings.examining import examine
from nervure.findings.finding import Finding


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

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "findings": [finding.document() for finding in self.findings],
            "missing": list(self.subject.missing),
        }

    def report(self) -> str:
        """In words."""
        return "\n".join(lines_of(self.findings, self.subject.missing))


def diagnose(found: Any, X: Any = None, y: Any = None) -> Diagnosis:
    """What is wrong with a training, why, and what to change.

    Args:
        found: a run, the folder of one, a spec or the file of one, a network, or
            ``(network, X, y)``.
        X, y: rows, where they are not known otherwise.

    Raises:
        DiagnosisError: nothing a diagnosis can be made of.
        SpecError, RecordError, DataError: a file that cannot be read.
    """
    if isinstance(found, tuple):
        found, X, y = found  # pyright: ignore
    subject = subject_of(found, X, y)
    case = subject.case()
    return Diagnosis(subject, case, tuple(examine(case)))
