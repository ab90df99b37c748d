# SPDX-License-Identifier: BSD-3-Clause
"""Instances: sound and broken trainings, drawn by seed until they are what they claim.

A sound training comes within `TOLERANCE` of what its task gives (`REFERENCE`). A broken
one was made of a sound one, and its score is lower by at least `HARM`, unless the fault
is wrong in itself. Whatever is not so is drawn again, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from bases import base, unusual
from faults import FAULTS, Fault
from trainings import Outcome, Training, train

REFERENCE = {
    "digits": 0.94,
    "images": 0.95,
    "letters": 0.93,
    "codes": 0.86,
    "iris": 0.96,
    "wine": 0.93,
    "cancer": 0.92,
    "diabetes": 0.36,
    "moons": 0.85,
    "rings": 0.98,
    "blobs": 0.99,
    "spirals": 0.99,
    "friedman": 0.85,
    "wave": 0.96,
    "several": 0.94,
    "series": 0.99,
}
"""Scores that sound trainings of each task reach, the median of ten."""

TOLERANCE, HARM, LEAST = 0.06, 0.1, 0.2
DRAWS = 12
ASIDE = 3
"""Every third instance is set aside while thresholds are chosen."""


@dataclass
class Instance:
    """A training that was run.

    Attributes:
        fault: its kind, None for a sound one.
        index: its number within the kind.
        sound: score of the training without the fault.
        draws: how often it was drawn.
        own: the training without the fault.
    """

    fault: Fault | None
    index: int
    training: Training
    outcome: Outcome
    sound: float
    draws: int
    own: Training

    @property
    def aside(self) -> bool:
        return self.index % ASIDE == ASIDE - 1

    @property
    def name(self) -> str:
        return self.fault.name if self.fault else "sound"


def _is_sound(training: Training, score: float) -> bool:
    return score >= REFERENCE[training.task.name] - TOLERANCE


def sound(seed: int, count: int, part: int = 0, parts: int = 1) -> Iterator[Instance]:
    """Sound trainings, half of them with settings that are merely unusual.

    Of several parts every so many-th one.
    """
    for i in range(part, count, parts):
        for draw in range(DRAWS):
            rng = np.random.default_rng([seed, 0, i, draw])
            made = (base, unusual)[i // 3 % 2](rng)
            found = train(made)
            if _is_sound(made, found.score):
                yield Instance(None, i, made, found, found.score, draw + 1, made)
                break


def broken(seed: int, each: int, kinds: list[Fault] = FAULTS) -> Iterator[Instance]:
    """So many trainings of each kind of fault."""
    for kind in kinds:
        for i in range(each):
            found = draw(seed, kind, i)
            if found is not None:
                yield found


def draw(seed: int, kind: Fault, index: int) -> Instance | None:
    """A training with this fault; None where `DRAWS` of them did no harm."""
    number = 1 + FAULTS.index(kind)
    for time in range(DRAWS):
        rng = np.random.default_rng([seed, number, index, time])
        own = base(rng, kind.names, kind.depth)
        made = own.copy()
        if not kind.change(made, rng):
            continue
        if kind.minded is not None:
            own = made.copy()
            kind.minded(own)
        before = train(own).score
        if not (before >= LEAST if kind.minded else _is_sound(own, before)):
            continue
        found = train(made)
        if kind.silent or before - found.score >= HARM:
            return Instance(kind, index, made, found, before, time + 1, own)
    return None
