# SPDX-License-Identifier: BSD-3-Clause
"""nervure's MLPClassifier against scikit-learn's and skorch, with the same settings.

``python benchmarks/estimators.py --rounds 5 --json estimators.json``

The two run in turn in one process; what is compared is the median of the rounds. Both
get float64 data, the same random state and the same number of epochs, and so take the
same steps (see tests/test_sklearn_mlp.py). skorch trains the same net in PyTorch, from
its own beginning, in float32, the way it is fastest: one thread, no validation split,
no callbacks.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import _machine
import numpy as np
import sklearn
import sklearn.neural_network
from _report import aligned
from _workers import restart_without_steering
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import nervure.sklearn

CALM = 0.3  # seconds in which the threads of the peer before stop spinning

Task = Callable[[type], Callable[[], object]]
"""From the class to what is timed."""


@dataclass(frozen=True)
class Case:
    """What is timed, how often in a round, and how many times faster it should be."""

    title: str
    goal: float
    task: Task
    repeats: int = 1
    slow: bool = False
    peer: str = "scikit-learn"


def table(rows: int, features: int = 64) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_classification(
        rows, features, n_informative=20, n_classes=10, random_state=0
    )
    return X, y


def epochs(hidden: tuple[int, ...], batch: int, rows: int, count: int) -> Task:
    """``count`` epochs of Adam over a table, whatever the loss does."""
    X, y = table(rows)

    def task(mlp: type) -> Callable[[], object]:
        settings = {"max_iter": count, "n_iter_no_change": np.inf, "random_state": 0}
        return lambda: mlp(hidden, batch_size=batch, **settings).fit(X, y)

    return task


def whole_fit(mlp: type) -> Callable[[], object]:
    X, y = load_digits(return_X_y=True)
    return lambda: mlp(random_state=0).fit(X, y)


def one_row(mlp: type) -> Callable[[], object]:
    X, y = load_digits(return_X_y=True)
    model = mlp(max_iter=5, random_state=0).fit(X, y)
    row = X[:1]
    return lambda: model.predict_proba(row)


def grid_search(mlp: type) -> Callable[[], object]:
    X, y = load_digits(return_X_y=True)
    grid = {
        "hidden_layer_sizes": [(16,), (32,), (64,), (100,), (64, 32)],
        "alpha": [1e-4, 1e-2],
        "learning_rate_init": [1e-3, 1e-2],
    }
    return lambda: GridSearchCV(mlp(max_iter=30, random_state=0), grid, cv=5).fit(X, y)


CASES = {
    "16": Case("(16), batch 32, Adam", 8, epochs((16,), 32, 5000, 5)),
    "64-64": Case("(64, 64), batch 32, Adam", 4, epochs((64, 64), 32, 5000, 5)),
    "256-256": Case(
        "(256, 256), batch 256, Adam", 2.5, epochs((256, 256), 256, 5000, 5)
    ),
    "digits": Case("default settings on digits, whole fit", 5, whole_fit),
    "row": Case("predict_proba of one row", 5, one_row, repeats=300),
    "grid": Case("GridSearchCV, 20 candidates x 5 folds", 4, grid_search, slow=True),
    # Last: with PyTorch in the process, everybody's other cases take longer.
    "skorch": Case(
        "(16), batch 32, Adam", 20, epochs((16,), 32, 5000, 5), peer="skorch"
    ),
}


class Skorch:
    """skorch's classifier with the arguments of scikit-learn's."""

    def __init__(
        self, hidden: tuple[int, ...], *, batch_size: int, max_iter: int, **_: Any
    ) -> None:
        self._hidden, self._batch, self._epochs = hidden, batch_size, max_iter

    def fit(self, X: np.ndarray, y: np.ndarray) -> object:
        import torch
        from skorch import NeuralNetClassifier

        torch.set_num_threads(1)
        torch.manual_seed(0)
        sizes = [X.shape[1], *self._hidden]
        layers: list[Any] = []
        for below, units in pairwise(sizes):
            layers += [torch.nn.Linear(below, units), torch.nn.ReLU()]
        layers.append(torch.nn.Linear(sizes[-1], len(np.unique(y))))
        net = NeuralNetClassifier(
            torch.nn.Sequential(*layers),
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=0.001,
            batch_size=self._batch,
            max_epochs=self._epochs,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks="disable",
            verbose=0,
        )
        return net.fit(X.astype(np.float32), y.astype(np.int64))


PEERS = {
    "nervure": nervure.sklearn.MLPClassifier,
    "scikit-learn": sklearn.neural_network.MLPClassifier,
    "skorch": Skorch,
}


def installed(peer: str) -> bool:
    """Whether a peer is there; says so where it is not."""
    found = importlib.util.find_spec(peer.replace("scikit-learn", "sklearn"))
    if found is None:
        print(f"{peer}: missing")
    return found is not None


def seconds(run: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """Times of both in turn, their medians and the ratio."""
    runs = {name: case.task(PEERS[name]) for name in ("nervure", case.peer)}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for name in ("nervure", "skorch"):
        if name in runs:
            runs[name]()  # loads the engine, or PyTorch
    for _ in range(1 if case.slow else rounds):
        for name, run in runs.items():
            time.sleep(CALM)
            times[name].append(seconds(run, case.repeats))
    medians = {name: statistics.median(found) for name, found in times.items()}
    ratio = medians[case.peer] / medians["nervure"]
    return {
        "title": case.title,
        "peer": case.peer,
        "goal": case.goal,
        "times": times,
        "median": medians,
        "ratio": ratio,
    }


def shown(results: dict[str, Any]) -> str:
    rows = [["case", "nervure, s", "peer, s", "peer", "ratio", "goal"]]
    for found in results.values():
        peer, ratio, goal = (found[key] for key in ("peer", "ratio", "goal"))
        own, their = (f"{found['median'][name]:.5f}" for name in ("nervure", peer))
        rows.append([found["title"], own, their, peer, f"{ratio:.1f}x", f"{goal:g}x"])
    return aligned(rows)


def versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in ("nervure", "scikit-learn", "skorch", "torch"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    given = parser.parse_args()
    restart_without_steering()
    machine = _machine.describe(0)
    if _machine.busy(machine):
        print(_machine.busy(machine))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cases = [n for n in given.cases if installed(CASES[n].peer)]
        results = {n: measure(CASES[n], given.rounds) for n in cases}
    print(shown(results))
    if given.json:
        whole = {
            "benchmark": "estimators",
            "machine": machine,
            "versions": versions(),
            "rounds": given.rounds,
            "results": results,
        }
        given.json.write_text(json.dumps(whole, indent=1))


if __name__ == "__main__":
    main()
