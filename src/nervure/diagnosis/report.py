# SPDX-License-Identifier: BSD-3-Clause
"""Report: findings in words."""

from __future__ import annotations

from collections.abc import Sequence

from nervure.findings.finding import Finding


def lines_of(findings: Sequence[Finding], missing: Sequence[str]) -> list[str]:
    """Each finding with its evidence, cause, remedy and patch."""
    lines: list[str] = []
    for number, one in enumerate(findings, start=1):
        lines += [f"{number}. {one.severity}: {one.line}", *_details(one), ""]
    if not findings:
        lines += ["nothing seems to be wrong", ""]
    lines += [f"not looked at: {text}" for text in missing]
    return lines[:-1] if lines and not lines[-1] else lines


def _details(one: Finding) -> list[str]:
    lines = [f"   {one.cause}", f"   {one.remedy}"]
    if one.layers:
        lines.insert(0, f"   layers: {', '.join(one.layers)}")
    if one.patch is not None:
        lines += [f"   {line}" for line in one.patch.lines]
    return [*lines, f"   more: nervure doctor {one.code}"]
