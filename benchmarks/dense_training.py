# SPDX-License-Identifier: BSD-3-Clause
"""Seconds per epoch of three dense nets, nervure against its peers.

``python benchmarks/dense_training.py --rounds 9 --json results.json``

Every peer lives in a process of its own and is asked for epochs in turn; README.md in
this folder says what is measured and why that is fair.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import _data
import _machine
import _passes
import _product
import numpy as np
import peers
from _nets import NETS, Net
from _racing import Racer, choice, enter, race, summary
from _workers import Worker, WorkerError

CHECK_EPOCHS = 5  # trained by everybody before the rounds: warm-up, and losses compared


def run_net(net: Net, names: list[str], data: _data.Rows, settings: Any) -> dict:
    """Warm every peer up, then let them run in turn; all times of one net."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, X=data.X, y=data.y)
        racers, missing = [], {}
        for name in names:
            try:
                warm_up = partial(_warm_up, net, data, file.with_name("weights.npz"))
                racers.append(enter(name, net, file, settings.threads, warm_up))
                _progress(net, racers[-1])
            except WorkerError as error:
                missing[name] = str(error)
                print(f"  {name}: missing ({error})", flush=True)
        race(racers, settings.rounds)
        for racer in racers:
            racer.worker.close()
    return {
        "title": net.title,
        "gflop per epoch": net.flops_per_row() * len(data.y) / 1e9,
        "peers": {racer.peer: _summary(racer) for racer in racers},
        "missing": missing,
    }


def _warm_up(net: Net, data: _data.Rows, file: Path, worker: Worker) -> float:
    """Compile and train `CHECK_EPOCHS`; the loss then, computed alike for everybody."""
    worker.train(CHECK_EPOCHS)
    worker.ask({"do": "check", "file": str(file)})
    with np.load(file) as archive:
        arrays = [archive[f"arr_{i}"] for i in range(len(archive.files))]
    return training_loss(net, arrays, data)


def training_loss(net: Net, arrays: list[Any], data: _data.Rows) -> float:
    """Mean cross-entropy over all rows, from exported ``[W, b, W, b, ...]``."""
    x: Any = data.X
    for i in range(0, len(arrays), 2):
        x = x @ arrays[i] + arrays[i + 1]
        if i + 2 < len(arrays):
            relu = net.activation == "relu"
            x = np.maximum(x, 0) if relu else 1 / (1 + np.exp(-x))
    x = x - x.max(axis=1, keepdims=True)
    chosen = x[np.arange(len(x)), data.y]
    return float((np.log(np.exp(x).sum(axis=1)) - chosen).mean())


def _summary(racer: Racer) -> dict[str, Any]:
    return {**summary(racer), f"loss after {CHECK_EPOCHS} epochs": racer.loss}


def _progress(net: Net, racer: Racer) -> None:
    how = f"{racer.variant}, {racer.tried[racer.variant]:.4f} s"
    print(f"  {net.name}: {racer.peer} ready ({how})", flush=True)


def products(settings: Any) -> dict[str, Any]:
    """GFLOP/s of every library's large product: before the rounds, and again after."""
    print("  best large float32 matrix product ...", flush=True)
    return _product.best_products(settings.threads)


def measure(settings: Any) -> dict[str, Any]:
    """Everything, as the JSON file holds it."""
    data = _data.load(settings.data, "train", settings.rows)
    if data.source != "mnist":
        print("MNIST is missing: synthetic rows of the same shape, losses mean nothing")
    if settings.no_zeros:
        data = _data.without_zeros(data)
    machine = _machine.describe(settings.threads)
    print(_machine.busy(machine) or "the machine is calm", flush=True)
    before = products(settings)
    nets = {
        name: run_net(NETS[name], settings.peers, data, settings)
        for name in settings.nets
    }
    after = products(settings)
    return {
        "benchmark": "dense_training",
        "machine": machine,
        "threads": settings.threads,
        "rounds": settings.rounds,
        "rows": len(data.y),
        "data": data.source,
        "products": {name: [before[name], after[name]] for name in before},
        "nets": nets,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", type=choice(peers.PEERS), default=[*peers.PEERS])
    parser.add_argument("--nets", type=choice(tuple(NETS)), default=[*NETS])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument(
        "--no-zeros", action="store_true", help="raise black pixels to 1/512"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, help="folder with the four IDX files")
    parser.add_argument("--json", type=Path, help="where to write every number")
    return parser.parse_args()


def main() -> None:
    _passes.start(arguments(), measure)


if __name__ == "__main__":
    main()
