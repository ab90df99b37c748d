# SPDX-License-Identifier: BSD-3-Clause
"""Finding: something that seems to be wrong, with its evidence and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nervure.findings.page import Page
from nervure.findings.patch import Patch

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class FindingWarning(UserWarning):
    """A finding that is told while training; silence it as any category of warnings.

    >>> import warnings
    >>> warnings.simplefilter("ignore", FindingWarning)
    """


@dataclass(frozen=True)
class Finding:
    """Something that seems to be wrong with a training.

    Attributes:
        page: what is the same for every finding of its code.
        severity: "error" (nothing will come of it), "warning" (it costs something),
            "note" (worth knowing).
        seen: what was seen, one sentence with its numbers.
        evidence: these numbers by name.
        layers: where.
        step, epoch: since when, counted from 0; None where it is no matter of time.
        strength: how clear it is, in [0, 1].
        patch: what to change in the spec, where that can be said.
        advice: what helps here, where more can be said than for all of its code.
    """

    page: Page
    severity: Severity
    seen: str
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    layers: tuple[str, ...] = ()
    step: int | None = None
    epoch: int | None = None
    strength: float = 0.5
    patch: Patch | None = None
    advice: str = ""

    @property
    def code(self) -> str:
        """Its name, as ``vanishing-gradient``; fixed for all versions."""
        return self.page.code

    @property
    def cause(self) -> str:
        """Why such a thing happens."""
        return self.page.cause

    @property
    def remedy(self) -> str:
        """What helps."""
        return self.advice or self.page.remedy

    @property
    def link(self) -> str:
        """The page that explains it."""
        return self.page.link

    @property
    def line(self) -> str:
        """In one calm line.

        >>> from nervure.findings.page import Page
        >>> Finding(Page("dead-units", "", "", "", ""), "warning", "no unit fires").line
        'dead-units: no unit fires'
        """
        return f"{self.code}: {self.seen}"

    def document(self) -> dict[str, Any]:
        """As plain data."""
        since = {"step": self.step, "epoch": self.epoch}
        return {
            "code": self.code,
            "severity": self.severity,
            "seen": self.seen,
            "evidence": dict(self.evidence),
            "layers": list(self.layers),
            **{name: value for name, value in since.items() if value is not None},
            "cause": self.cause,
            "remedy": self.remedy,
            "link": self.link,
            "patch": None if self.patch is None else self.patch.document(),
        }

    def __repr__(self) -> str:
        return f"<{self.severity} {self.line}>"
