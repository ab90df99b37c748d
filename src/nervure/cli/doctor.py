# SPDX-License-Identifier: BSD-3-Clause
"""``nervure doctor``: what is wrong with a run or a spec, why, and what helps."""

from __future__ import annotations

import json

from nervure.diagnosis.diagnosis import Diagnosis, diagnose


def doctor(path: str, *, as_json: bool = False) -> int:
    """Tell what is found; the exit code is 1 where something is wrong."""
    found = diagnose(path)
    print(json.dumps(found.document(), indent=2) if as_json else found.report())
    return int(any(finding.severity != "note" for finding in found))


__all__ = ["Diagnosis", "doctor"]
