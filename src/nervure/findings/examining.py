# SPDX-License-Identifier: BSD-3-Clause
"""Examining: all rules over one case, and their findings in order."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from nervure.findings.case import Case
from nervure.findings.finding import SEVERITIES, Finding
from nervure.findings.rules import Rule, rules

RESORT = 0.35
"""Findings weaker than that say how a fault looks from outside, not what it is."""

_failed: set[str] = set()
"""Codes of rules that have failed in this process, each told once."""


def examine(case: Case) -> list[Finding]:
    """What is found, most important first; of a live case by rules that may speak.

    A rule that fails is left out and warned of once.
    """
    asked = (rule for rule in rules() if rule.live or not case.live)
    found = (_ask(rule, case) for rule in asked)
    return in_order(one for one in found if one is not None)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Notes last; causes before what they bring about, errors before warnings.

    Last resorts are left out where there is a cause.
    """
    several = list(findings)
    serious = [one for one in several if one.severity != "note"]
    explained = {code for one in serious for code in _explains(one, serious)}

    def key(one: Finding) -> tuple[bool, bool, int, float]:
        place = SEVERITIES.index(one.severity)
        return one.severity == "note", one.code in explained, place, -one.strength

    kept = [o for o in several if not (o.code in explained and o.strength < RESORT)]
    return sorted(kept, key=key)


def _explains(one: Finding, others: Sequence[Finding]) -> set[str]:
    """Codes that a finding brings about, unless these bring it about themselves."""
    mutual = {o.code for o in others if one.code in o.page.explains}
    return {*one.page.explains} - mutual


def _ask(rule: Rule, case: Case) -> Finding | None:
    try:
        with np.errstate(all="ignore"):  # numbers of broken runs are what they are
            return rule.check(case)
    except Exception as error:
        code = rule.page.code
        if code not in _failed:
            _failed.add(code)
            warnings.warn(
                f"[{code}] the rule failed ({type(error).__name__}: {error}); it is "
                "left out; report this with the record of the run",
                stacklevel=2,
            )
        return None
