# SPDX-License-Identifier: BSD-3-Clause
"""How peers are raced: each in its fastest variant, in turn, for as many rounds."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import peers
from _convnets import ConvNet
from _nets import Net
from _sequence_nets import SequenceNet
from _workers import Worker, WorkerError

CALIBRATION_ROUNDS = 3
SHORTEST_ROUND = 0.4  # seconds: a round holds as many epochs as that takes
LONGEST_ROUND = 40  # epochs


@dataclass
class Racer:
    """One peer on one net: its fastest variant, warm, and the times it has shown."""

    peer: str
    variant: str
    worker: Worker
    tried: dict[str, float | str]
    loss: float
    epochs: int = 1  # per round
    seconds: list[float] = field(default_factory=list)
    own_loss: float = math.nan
    peak_kib: int = 0

    def race(self) -> None:
        answer = self.worker.train(self.epochs)
        self.seconds.append(answer["seconds"])
        self.own_loss, self.peak_kib = answer["loss"], answer["peak_kib"]


def race(racers: list[Racer], rounds: int) -> None:
    """Rounds in alternating order, so that no peer always follows the same one."""
    for number in range(rounds):
        for racer in racers[:: -1 if number % 2 else 1]:
            racer.race()


def enter(
    peer: str,
    net: Net | ConvNet | SequenceNet,
    file: Path,
    threads: int,
    warm_up: Callable[[Worker], float],
    most: int | None = None,
) -> Racer:
    """Try the variants of a peer, or the first ``most``; the fastest stays, warm.

    ``warm_up`` returns the loss to be shown.
    """
    best: Racer | None = None
    tried: dict[str, float | str] = {}
    error = WorkerError("no variant")
    for variant, how in list(peers.module(peer).VARIANTS.items())[:most]:
        if (how.threads or threads) > threads:
            continue
        try:
            worker = Worker(peer, net, file, how, threads)
            loss = warm_up(worker)
            runs = [worker.train(1)["seconds"] for _ in range(CALIBRATION_ROUNDS)]
        except WorkerError as failure:
            tried[variant], error = str(failure), failure
            continue
        tried[variant] = min(runs)
        racer = Racer(peer, variant, worker, tried, loss, _round_length(min(runs)))
        best = _faster(best, racer)
    if best is None:
        raise error
    return best


def _faster(best: Racer | None, racer: Racer) -> Racer:
    """The faster of two variants; the other one's process ends."""
    if best is None:
        return racer
    slow, fast = sorted((best, racer), key=lambda r: -float(r.tried[r.variant]))
    slow.worker.close()
    return fast


def _round_length(seconds: float) -> int:
    return max(1, min(LONGEST_ROUND, math.ceil(SHORTEST_ROUND / seconds)))


def summary(racer: Racer) -> dict[str, Any]:
    """What the JSON file keeps of a racer."""
    quartiles = np.quantile(racer.seconds, [0.25, 0.5, 0.75])
    return {
        "variant": racer.variant,
        "variants tried": racer.tried,
        "versions": racer.worker.versions,
        "epochs per round": racer.epochs,
        "seconds": racer.seconds,
        "quartiles": [float(q) for q in quartiles],
        "median": float(quartiles[1]),
        "last loss of its own": racer.own_loss,
        "peak MB": racer.peak_kib / 1024,
    }


def choice(known: tuple[str, ...]) -> Any:
    """A comma-separated choice of names."""

    def names(text: str) -> list[str]:
        chosen = text.split(",")
        strange = sorted(set(chosen) - set(known))
        if strange:
            raise argparse.ArgumentTypeError(f"{strange}; known: {', '.join(known)}")
        return chosen

    return names
