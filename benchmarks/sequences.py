# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent nets, attention and generation, nervure against PyTorch.

``python benchmarks/sequences.py --rounds 9 --json results.json``

Peers run in turn, as in `convolution.py`; README.md in this folder says how.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import _machine
import _product
import _report
import numpy as np
from _racing import choice, enter, race, summary
from _sequence_nets import GOALS, PEERS, SEQUENCE_NETS, SHARES, VOCABULARY, SequenceNet
from _workers import Worker, WorkerError, bind


def rows(net: SequenceNet) -> tuple[Any, Any]:
    """Noise, and classes or letters that follow nothing: only the time counts."""
    random = np.random.default_rng(0)
    if net.family == "transformer":
        letters = random.integers(0, VOCABULARY, (net.rows, net.steps + 1), np.int32)
        return letters[:, :-1].copy(), letters[:, 1:].copy()
    X = random.standard_normal((net.rows, net.steps, net.features), dtype=np.float32)
    y = random.integers(0, net.classes, net.rows).astype(np.int32)
    y[: net.classes] = np.arange(net.classes)[: net.rows]
    return X, y


def run_net(net: SequenceNet, settings: Any) -> dict[str, Any]:
    """Warm every peer up, then let them run in turn; all times of one net."""
    X, y = rows(net)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, X=X, y=y)
        racers, missing = [], {}
        most = 1 if settings.first_variant else None
        for name in PEERS:
            try:
                warm_up = partial(_warm_up, 2)
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
        "own": "nervure_sequences",
        "goal": GOALS[net.name],
        "share": SHARES.get(net.name),
        "gflop per pass": net.flops() / 1e9,
        "peers": {racer.peer: summary(racer) for racer in racers},
        "missing": missing,
    }


def _warm_up(passes: int, worker: Worker) -> float:
    return float(worker.train(passes)["loss"])


def measure(settings: Any) -> dict[str, Any]:
    """Everything, as the JSON file holds it."""
    machine = _machine.describe(settings.threads)
    print(_machine.busy(machine) or "the machine is calm", flush=True)
    libraries = ("numpy", "torch", "nervure")
    before = _product.best_products(settings.threads, libraries)
    nets = {name: run_net(SEQUENCE_NETS[name], settings) for name in settings.nets}
    after = _product.best_products(settings.threads, libraries)
    return {
        "benchmark": "sequences",
        "machine": machine,
        "threads": settings.threads,
        "rounds": settings.rounds,
        "products": {name: [before[name], after[name]] for name in before},
        "nets": nets,
    }


def arguments() -> argparse.Namespace:
    known = tuple(SEQUENCE_NETS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--nets", type=choice(known), default=[*known])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--first-variant", action="store_true", help="do not try the peer's others"
    )
    parser.add_argument("--json", type=Path, help="where to write every number")
    return parser.parse_args()


def main() -> None:
    settings = arguments()
    bind(settings.threads)
    # Ends through atexit, which ends the stopped workers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _report.conclude(measure(settings), settings.json)


if __name__ == "__main__":
    main()
