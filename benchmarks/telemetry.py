# SPDX-License-Identifier: BSD-3-Clause
"""What looking at sampled steps costs, and from how many steps on it is under 1 %.

``python benchmarks/telemetry.py`` trains each net for about ``--steps`` steps, on one
thread, and prints the processor's time that telemetry takes beside that of the steps.
Samples are dense in the first steps, then ever rarer: what they cost hardly grows with
the length of a run, so that its share falls.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nervure as nv
from nervure.training.telemetry import Telemetry


class Watch:
    """Sums up the time that telemetry takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            begun = time.thread_time()
            try:
                return work(*given)
            finally:
                self.seconds += time.thread_time() - begun

        return timed


def dense(*units: int, activation: str) -> Callable[[], nv.Network]:
    def make() -> nv.Network:
        body = [nv.Dense(n, activation=activation) for n in units]
        return nv.Network([nv.Input(784), *body, nv.Dense(10, "softmax")], seed=0)

    return make


def lenet() -> nv.Network:
    return nv.zoo.lenet5(classes=10, input_shape=(28, 28, 1))


def lstm() -> nv.Network:
    layers = [nv.Input((28, 28)), nv.LSTM(128), nv.Dense(10, "softmax")]
    return nv.Network(layers, seed=0)


def transformer() -> nv.Network:
    body = [nv.Dense(32), nv.PositionEmbedding(28), nv.TransformerBlock(4)]
    ends = [nv.GlobalAveragePool1D(), nv.Dense(10, "softmax")]
    return nv.Network([nv.Input((28, 28)), *body, *ends], seed=0)


NETS: dict[str, tuple[Callable[[], nv.Network], Any, int]] = {
    "small, 784-30-10 logistic, batch 10": (
        dense(30, activation="logistic"),
        nv.SGD(0.5),
        10,
    ),
    "medium, 784-100-10 relu, batch 200": (
        dense(100, activation="relu"),
        nv.Adam(1e-3),
        200,
    ),
    "large, 784-512-512-10 relu, batch 128": (
        dense(512, 512, activation="relu"),
        nv.Adam(1e-3),
        128,
    ),
    "LeNet-5, 28x28, batch 64": (lenet, nv.Adam(1e-3), 64),
    "LSTM of 128 over 28 rows, batch 64": (lstm, nv.Adam(2e-3), 64),
    "transformer of 32 over 28 rows, batch 64": (transformer, nv.Adam(2e-3), 64),
}


def rows(count: int) -> tuple[Any, Any]:
    """Something to learn from, shaped as MNIST."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, count)
    centers = rng.random((10, 784)) * (rng.random((10, 784)) < 0.3)
    X = np.clip(centers[y] + 0.1 * rng.normal(size=(count, 784)), 0, 1)
    return X.astype(np.float32), y


def measure(name: str, count: int) -> dict[str, float]:
    """Seconds of a training of about so many steps, and those of telemetry in it."""
    make, rule, batch = NETS[name]
    X, y = rows(min(20_000, count * batch))
    net = make()
    X = X.reshape(-1, *net.graph.input_shapes[0])
    per_epoch = -(-len(X) // batch)
    epochs = max(1, round(count / per_epoch))
    given = {"epochs": epochs, "batch_size": batch, "optimizer": rule, "threads": 1}
    watch = Watch()
    kept = {n: getattr(Telemetry, n) for n in ("begin", "before", "after", "epoch")}
    for method, work in kept.items():
        setattr(Telemetry, method, watch.around(work))
    try:
        begun = time.thread_time()
        run = nv.fit(net, X, y, progress=False, telemetry=True, **given)
        whole = time.thread_time() - begun
    finally:
        for method, work in kept.items():
            setattr(Telemetry, method, work)
    rest = (whole - watch.seconds) / run.step
    samples = len(run.record.of("step"))
    return {
        "steps": run.step,
        "samples": samples,
        "telemetry": watch.seconds,
        "step": rest,
        "enough": watch.seconds / (0.01 * rest),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--nets", type=int, default=len(NETS), help="the first so many")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    given = parser.parse_args()
    warnings.simplefilter("ignore", nv.FindingWarning)
    found = {}
    for name in list(NETS)[: given.nets]:
        found[name] = one = measure(name, given.steps)
        print(
            f"{name}: {one['telemetry'] * 1e3:.0f} ms for {one['samples']} samples, "
            f"{one['step'] * 1e6:.0f} us a step: "
            f"{one['telemetry'] / one['step'] / one['steps']:.2%} of {one['steps']} "
            f"steps, under 1 % from {one['enough']:,.0f} steps on, "
            f"{one['enough'] * one['step']:.0f} s",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
