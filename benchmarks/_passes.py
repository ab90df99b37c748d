# SPDX-License-Identifier: BSD-3-Clause
"""What benchmarks share whose peers make passes over rows: races, report, options."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import _machine
import _product
import _report
import numpy as np
from _convnets import ConvNet
from _racing import choice, enter, race, summary
from _sequence_nets import SequenceNet
from _workers import Worker, WorkerError, bind

LIBRARIES = ("numpy", "torch", "nervure")


def raced(
    net: ConvNet | SequenceNet,
    arrays: tuple[Any, Any],
    peers: Sequence[str],
    passes: int,
    settings: Any,
) -> dict[str, Any]:
    """Warm every peer up by some passes, then let them run in turn; all their times."""

    def warm_up(worker: Worker) -> float:
        return float(worker.train(passes)["loss"])

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, X=arrays[0], y=arrays[1])
        racers, missing = [], {}
        most = 1 if settings.first_variant else None
        for name in peers:
            try:
                racers.append(enter(name, net, file, settings.threads, warm_up, most))
                print(f"  {net.name}: {name} ready, {racers[-1].tried}", flush=True)
            except WorkerError as error:
                missing[name] = str(error)
                print(f"  {net.name}: {name} missing ({error})", flush=True)
        race(racers, settings.rounds)
        for racer in racers:
            racer.worker.close()
    return {
        "title": net.title,
        "peers": {racer.peer: summary(racer) for racer in racers},
        "missing": missing,
    }


def measure(
    benchmark: str, settings: Any, of: Callable[[str], Mapping[str, Any]]
) -> dict[str, Any]:
    """Everything, as the JSON file holds it; ``of(name)`` runs one of the nets."""
    machine = _machine.describe(settings.threads)
    print(_machine.busy(machine) or "the machine is calm", flush=True)
    before = _product.best_products(settings.threads, LIBRARIES)
    nets = {name: of(name) for name in settings.nets}
    after = _product.best_products(settings.threads, LIBRARIES)
    return {
        "benchmark": benchmark,
        "machine": machine,
        "threads": settings.threads,
        "rounds": settings.rounds,
        "products": {name: [before[name], after[name]] for name in before},
        "nets": nets,
    }


def options(doc: str, nets: Iterable[str]) -> argparse.ArgumentParser:
    """The options that all of them have."""
    known = tuple(nets)
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--nets", type=choice(known), default=[*known])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--first-variant", action="store_true", help="do not try the peers' others"
    )
    parser.add_argument("--json", type=Path, help="where to write every number")
    return parser


def start(settings: Any, measured: Callable[[Any], dict[str, Any]]) -> None:
    """Measure on the cores that are asked for, and show what came of it."""
    bind(settings.threads)
    # Ends through atexit, which ends the stopped workers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _report.conclude(measured(settings), settings.json)
