# SPDX-License-Identifier: BSD-3-Clause
"""Training and inference of convolutional nets, nervure against the fastest peer.

``python benchmarks/convolution.py --rounds 9 --json results.json``

Every peer lives in a process of its own and is asked for passes over the rows in turn;
README.md in this folder says what is measured and why that is fair.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import _data
import _machine
import _product
import _report
import numpy as np
from _convnets import CONVNETS, GOALS, PEERS_OF, SHARES, ConvNet
from _racing import choice, enter, race, summary
from _workers import Worker, WorkerError, bind

CHECK_PASSES = {"lenet": 2, "resnet18": 1, "infer1": 3, "infer32": 1}


def images(net: ConvNet, folder: Path | None) -> tuple[Any, Any, str]:
    """MNIST's for LeNet; noise of ten classes where only the time counts."""
    if net.family == "lenet":
        data = _data.load(folder, "train", net.rows)
        return data.X.reshape(-1, *net.image), data.y, data.source
    random = np.random.default_rng(0)
    X = random.standard_normal((net.rows, *net.image), dtype=np.float32)
    y = random.integers(0, 10, net.rows).astype(np.int32)
    y[:10] = np.arange(10)[: net.rows]
    return X, y, "noise"


def run_net(net: ConvNet, settings: Any) -> dict[str, Any]:
    """Warm every peer up, then let them run in turn; all times of one net."""
    X, y, source = images(net, settings.data)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, X=X, y=y)
        racers, missing = [], {}
        most = 1 if settings.first_variant else None
        for name in PEERS_OF[net.task]:
            try:
                warm_up = partial(_warm_up, CHECK_PASSES[net.name])
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
        "own": "nervure_images",
        "goal": GOALS[net.name],
        "share": SHARES.get(net.name),
        "data": source,
        "gflop per pass": net.flops_per_row() * net.rows / 1e9,
        "peers": {racer.peer: summary(racer) for racer in racers},
        "missing": missing,
    }


def _warm_up(passes: int, worker: Worker) -> float:
    return float(worker.train(passes)["loss"])


def measure(settings: Any) -> dict[str, Any]:
    """Everything, as the JSON file holds it."""
    machine = _machine.describe(settings.threads)
    print(_machine.busy(machine) or "the machine is calm", flush=True)
    before = _product.best_products(settings.threads, ("numpy", "torch", "nervure"))
    nets = {name: run_net(CONVNETS[name], settings) for name in settings.nets}
    after = _product.best_products(settings.threads, ("numpy", "torch", "nervure"))
    return {
        "benchmark": "convolution",
        "machine": machine,
        "threads": settings.threads,
        "rounds": settings.rounds,
        "products": {name: [before[name], after[name]] for name in before},
        "nets": nets,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--nets", type=choice(tuple(CONVNETS)), default=[*CONVNETS])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--first-variant", action="store_true", help="do not try the peers' others"
    )
    parser.add_argument("--data", type=Path, help="folder with the four IDX files")
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
