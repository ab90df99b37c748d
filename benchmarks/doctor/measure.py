# SPDX-License-Identifier: BSD-3-Clause
"""How often the doctor is right: over broken trainings, and over sound ones.

``python benchmarks/doctor/measure.py --json doctor.json`` draws trainings by
``--seed``, ``--each`` of every kind of fault and ``--sound`` sound ones, and asks
`nv.diagnose` of each. Right is a finding of the fault's code in first or second place.
Of sound trainings everything above a note is a false alarm, told live or afterwards.
``--fix`` trains again as the findings propose, and says how much of the lost score came
back.

Every third instance was set aside while thresholds were chosen; its results stand
alone. With one thread per process (``OPENBLAS_NUM_THREADS=1 NERVURE_THREADS=1``) small
nets are fastest; two processes (``--part 0/2``, ``--part 1/2``) take two cores.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faults import FAULTS, Fault
from instances import HARM, Instance, broken, sound
from trainings import score

import nervure as nv
from nervure.diagnosis.fixing import fix

RECOVERED = 0.9
"""Share of the lost score that has to come back."""


@dataclass
class Result:
    """What the doctor said of one training."""

    kind: str
    index: int
    aside: bool
    task: str
    unusual: list[str]
    codes: list[str]
    sound: float
    score: float
    found: list[tuple[str, str]]
    told: list[str]
    seconds: float
    fixed: float | None = None
    changes: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """The code stands first or second."""
        return any(code in self.codes for code, _ in self.found[:2])

    @property
    def first(self) -> bool:
        return any(code in self.codes for code, _ in self.found[:1])

    @property
    def warned(self) -> bool:
        """The code stands first or second, and as more than a note."""
        return any(
            code in self.codes and severity != "note"
            for code, severity in self.found[:2]
        )

    @property
    def alarm(self) -> bool:
        """Something above a note was found, or told while training."""
        return bool(self.told) or any(s != "note" for _, s in self.found)

    @property
    def recovered(self) -> float | None:
        """Share of the lost score that the fix brought back."""
        lost = self.sound - self.score
        if self.fixed is None or lost < HARM:
            return None
        return (self.fixed - self.score) / lost


def judge(instance: Instance, with_fix: bool) -> Result:
    """Ask the doctor."""
    kind, run = instance.fault, instance.outcome.run
    begun = time.monotonic()
    diagnosis = nv.diagnose(run)
    found = [(f.code, f.severity) for f in diagnosis]
    result = Result(
        kind=instance.name,
        index=instance.index,
        aside=instance.aside,
        task=instance.training.task.name,
        unusual=instance.training.unusual,
        codes=[] if kind is None else list(kind.codes),
        sound=instance.sound,
        score=instance.outcome.score,
        found=found,
        told=list(instance.outcome.told),
        seconds=time.monotonic() - begun,
    )
    if with_fix and kind is not None and kind.fixable:
        result.fixed, result.changes = _fixed(instance, diagnosis)
    return result


def _fixed(instance: Instance, diagnosis: Any) -> tuple[float, list[str]]:
    """Score of what the fix gives back, and what it changed."""
    try:
        found = fix(diagnosis.subject)
    except ValueError:  # nothing to change
        return instance.outcome.score, []
    changes = [line for one in found.attempts for line in one.changes]
    return score(instance.training, found.best.run.network), changes


# -- tables ---------------------------------------------------------------------------


def share(results: Sequence[Result], what: str) -> str:
    """How many of the results, as "93 of 96 (97 %)"."""
    count = sum(bool(getattr(r, what)) for r in results)
    return f"{count} of {len(results)} ({count / max(len(results), 1):.0%})"


def report(results: Sequence[Result]) -> Iterator[str]:
    """The tables, for the instances that were looked at and for those set aside."""
    for aside, name in ((False, "thresholds were chosen by"), (True, "set aside")):
        some = [r for r in results if r.aside == aside]
        bad, good = [r for r in some if r.codes], [r for r in some if not r.codes]
        kinds = len({r.kind for r in bad})
        yield f"{name}:"
        yield f"  broken, right code first or second  {share(bad, 'right')}"
        yield f"  broken, right code first            {share(bad, 'first')}"
        yield f"  broken, and as a warning            {share(bad, 'warned')}"
        yield f"  kinds of fault                      {kinds}"
        quiet = len(good) - sum(r.alarm for r in good)
        yield f"  sound, no warning                   {quiet} of {len(good)}"
        tried = [r.recovered for r in bad if r.recovered is not None]
        if tried:
            back = sum(r >= RECOVERED for r in tried)
            yield f"  fixed, the lost score back          {back} of {len(tried)}"
    yield ""
    yield from _wrong(results)


def _wrong(results: Sequence[Result]) -> Iterator[str]:
    for r in results:
        found = ", ".join(f"{code} ({severity})" for code, severity in r.found[:3])
        if r.codes and not r.right:
            yield f"missed {r.kind} {r.index} ({r.task}): {found or 'nothing'}"
        elif not r.codes and r.alarm:
            what = f"{found} {r.told}"
            yield f"false alarm {r.index} ({r.task}, {', '.join(r.unusual)}): {what}"
        back = r.recovered
        if back is not None and back < RECOVERED:
            yield (
                f"not fixed {r.kind} {r.index} ({r.task}): {r.score:.2f} -> "
                f"{r.fixed:.2f} of {r.sound:.2f}; {'; '.join(r.changes)[:160]}"
            )


def by_kind(results: Sequence[Result]) -> Iterator[str]:
    """A line per kind of fault."""
    groups: dict[str, list[Result]] = collections.defaultdict(list)
    for r in results:
        if r.codes:
            groups[r.kind].append(r)
    for kind, some in groups.items():
        tried = [r.recovered for r in some if r.recovered is not None]
        back = sum(r >= RECOVERED for r in tried)
        right = sum(r.right for r in some)
        fixed = f", fixed {back} of {len(tried)}" if tried else ""
        yield f"{kind}: {right} of {len(some)}{fixed} ({some[0].codes[0]})"


# -- the whole ------------------------------------------------------------------------


def chosen(names: str | None) -> list[Fault]:
    """The kinds of fault that were asked for."""
    wanted = names.split(",") if names else None
    return [f for f in FAULTS if wanted is None or f.name in wanted]


def instances(given: argparse.Namespace) -> Iterable[Instance]:
    part, parts = (int(n) for n in given.part.split("/"))
    kinds = chosen(given.kinds)[part::parts]
    yield from sound(given.seed, given.sound, part, parts)
    yield from broken(given.seed, given.each, kinds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=3, help="of every kind of fault")
    parser.add_argument("--sound", type=int, default=126)
    parser.add_argument("--kinds", help="names of faults, with commas between")
    parser.add_argument("--part", default="0/1", help="as 0/2, of two processes")
    parser.add_argument("--fix", action="store_true", help="also train again")
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--read", type=Path, nargs="+", help="results of parts, joined")
    given = parser.parse_args()
    begun = time.monotonic()
    if given.read:
        results = [Result(**r) for p in given.read for r in json.loads(p.read_text())]
    else:
        results = []
        for one in instances(given):
            results.append(judge(one, given.fix))
            print(".", end="", flush=True, file=sys.stderr)
    print(*report(results), "", *by_kind(results), sep="\n")
    print(f"{time.monotonic() - begun:.0f} s")
    if given.json:
        given.json.write_text(json.dumps([asdict(r) for r in results], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
