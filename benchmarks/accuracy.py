# SPDX-License-Identifier: BSD-3-Clause
"""Accuracy of three nervure nets on MNIST's 10,000 test images.

``python benchmarks/accuracy.py --runs quadratic,l2,dropout --json accuracy.json``

The test images are looked at once, after the last epoch. The settings were chosen among
a few by their accuracy on these images, so that the third digit flatters.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _data
import _machine
import _report


@dataclass(frozen=True)
class Trial:
    """One net, how it is trained, and the accuracy that it has to reach."""

    title: str
    goal: float  # share of the test images
    epochs: int
    batch_size: int
    loss: str
    layers: Callable[[Any], list[Any]]
    optimizer: Callable[[Any], Any]
    regularizer: Callable[[Any], Any] = lambda nv: None


def _quadratic(nv: Any) -> list[Any]:
    """Nielsen's first net, *Neural Networks and Deep Learning* (2015), chapter 1."""
    hidden = nv.Dense(30, activation="logistic")
    return [nv.Input(784), hidden, nv.Dense(10, activation="logistic")]


def _cross_entropy(nv: Any) -> list[Any]:
    """Nielsen's chapter 3, with a softmax output: 784-100-10 logistic."""
    hidden = nv.Dense(100, activation="logistic")
    return [nv.Input(784), hidden, nv.Dense(10, activation="softmax")]


def _dropout(nv: Any) -> list[Any]:
    """Srivastava et al., JMLR 15 (2014), table 2: ReLU, 0.2 of the inputs."""
    return [
        nv.Input(784),
        nv.Dropout(0.2),
        nv.Dense(800, activation="relu"),
        nv.Dropout(0.5),
        nv.Dense(800, activation="relu"),
        nv.Dropout(0.5),
        nv.Dense(10, activation="softmax"),
    ]


TRIALS = {
    "quadratic": Trial(
        "784-30-10 logistic, quadratic cost, SGD 3.0",
        goal=0.95,
        epochs=30,
        batch_size=10,
        loss="quadratic",
        layers=_quadratic,
        optimizer=lambda nv: nv.SGD(3.0),
    ),
    "l2": Trial(
        "784-100-10 logistic, cross-entropy, L2",
        goal=0.978,
        epochs=30,
        batch_size=10,
        loss="cross_entropy",
        layers=_cross_entropy,
        optimizer=lambda nv: nv.SGD(nv.schedules.Cosine(0.5)),
        regularizer=lambda nv: nv.L2(1e-4),
    ),
    "dropout": Trial(
        "784-800-800-10 ReLU, dropout 0.2 and 0.5, Adam",
        goal=0.986,
        epochs=40,
        batch_size=128,
        loss="cross_entropy",
        layers=_dropout,
        optimizer=lambda nv: nv.Adam(nv.schedules.Cosine(1e-3)),
    ),
}


def run(trial: Trial, train: _data.Rows, test: _data.Rows, seed: int) -> dict[str, Any]:
    """Train on all 60,000 rows, then count the right answers on the test images."""
    import nervure as nv

    net = nv.Network(trial.layers(nv), seed=seed)
    begin = time.perf_counter()
    history = nv.fit(
        net,
        train.X,
        _targets(trial, train),
        loss=trial.loss,
        optimizer=trial.optimizer(nv),
        regularizer=trial.regularizer(nv),
        epochs=trial.epochs,
        batch_size=trial.batch_size,
        validation=None,
        progress=False,
        seed=seed,
    ).history
    seconds = time.perf_counter() - begin
    answers = net.forward(test.X).argmax(axis=1)
    return {
        "title": trial.title,
        "goal": trial.goal,
        "seed": seed,
        "epochs": trial.epochs,
        "seconds": seconds,
        "last training loss": float(history["loss"][-1]),
        "accuracy": float((answers == test.y).mean()),
    }


def _targets(trial: Trial, rows: _data.Rows) -> Any:
    """The quadratic cost is measured against one-hot rows, as in the book."""
    import numpy as np

    one_hot = trial.loss == "quadratic"
    return np.eye(10, dtype=np.float32)[rows.y] if one_hot else rows.y


def table(results: list[dict[str, Any]]) -> list[list[str]]:
    """Rows for the report."""
    heads = ["net", "epochs", "seed", "seconds", "test accuracy", "goal", ""]
    return [heads] + [
        [
            result["title"],
            str(result["epochs"]),
            str(result["seed"]),
            f"{result['seconds']:.0f}",
            f"{result['accuracy']:.2%}",
            f"{result['goal']:.1%}",
            "reached" if result["accuracy"] >= result["goal"] else "missed",
        ]
        for result in results
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", default=",".join(TRIALS), help="some of the runs")
    parser.add_argument("--seeds", default="1", help="numbers, comma-separated")
    parser.add_argument("--data", type=Path, help="folder with the four IDX files")
    parser.add_argument("--json", type=Path, help="where to write every number")
    settings = parser.parse_args()
    strange = sorted(set(settings.runs.split(",")) - set(TRIALS))
    if strange:
        parser.error(f"--runs: {strange}; known: {', '.join(TRIALS)}")
    return settings


def main() -> None:
    settings = arguments()
    train, test = (_data.load(settings.data, part) for part in ("train", "test"))
    if train.source != "mnist":
        sys.exit("MNIST is missing: name its folder with --data or $NERVURE_MNIST")
    results = []
    for name in settings.runs.split(","):
        for seed in map(int, settings.seeds.split(",")):
            results.append(run(TRIALS[name], train, test, seed))
            print(f"{name}, seed {seed}: {results[-1]['accuracy']:.2%}", flush=True)
    report = {
        "benchmark": "accuracy",
        "machine": _machine.describe(2),
        "results": results,
        "tables": {"Accuracy on MNIST's 10,000 test images": table(results)},
    }
    _report.conclude(report, settings.json)
    missed = any(result["accuracy"] < result["goal"] for result in results)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
