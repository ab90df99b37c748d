# SPDX-License-Identifier: BSD-3-Clause
"""Report: findings in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nervure.findings.finding import Finding

EXPERIMENTS = {
    "rate": "a range test suggests a learning rate of {:.2g}",
    "one batch": "trained on 16 rows alone, the net reaches a skill of {:.2f} on them",
    "inputs": "with its inputs at their means the net loses {:.2f} of its skill",
    "shuffled": "targets as they are give {:.2f} more skill than shuffled ones",
    "linear": "a linear model reaches a skill of {:.2f} on rows not seen",
}
"""What experiments say, by their names."""


def lines_of(
    findings: Sequence[Finding],
    missing: Sequence[str],
    trials: Mapping[str, float] | None = None,
) -> list[str]:
    """Each finding with its evidence, cause, remedy and patch; what was tried."""
    lines: list[str] = []
    for number, one in enumerate(findings, start=1):
        lines += [f"{number}. {one.severity}: {one.line}", *_details(one), ""]
    if not findings:
        lines += ["nothing seems to be wrong", ""]
    told = [(EXPERIMENTS[n], v) for n, v in (trials or {}).items() if n in EXPERIMENTS]
    lines += [f"tried: {text.format(value)}" for text, value in told]
    lines += [f"not looked at: {text}" for text in missing]
    return lines[:-1] if lines and not lines[-1] else lines


def _details(one: Finding) -> list[str]:
    lines = [f"   {one.cause}", f"   {one.remedy}"]
    if one.layers:
        lines.insert(0, f"   layers: {', '.join(one.layers)}")
    if one.patch is not None:
        lines += [f"   {line}" for line in one.patch.lines]
    return [*lines, f"   more: nervure doctor {one.code}"]
