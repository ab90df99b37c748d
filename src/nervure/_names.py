# SPDX-License-Identifier: BSD-3-Clause
"""Looking names up, with an error that lists what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown(where: str, what: str, found: object, candidates: Iterable[str]) -> str:
    """Message for a name that does not exist, closest candidates first.

    >>> unknown("spec", "activation", "rellu", ["tanh", "relu"])
    "[spec] unknown activation 'rellu'; did you mean 'relu'? Known: relu, tanh"
    """
    names = sorted(candidates)
    close = difflib.get_close_matches(str(found), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    known = ", ".join(close + [name for name in names if name not in close])
    return f"[{where}] unknown {what} {found!r}; {hint}Known: {known}"
