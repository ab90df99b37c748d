# SPDX-License-Identifier: BSD-3-Clause
"""nervure's MLPClassifier against scikit-learn's, with the same settings.

``python benchmarks/estimators.py --rounds 5 --json estimators.json``

The two run in turn in one process; what is compared is the median of the rounds. Both
get float64 data, the same random state and the same number of epochs, and so take the
same steps (see tests/test_sklearn_mlp.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
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
}

PEERS = {
    "nervure": nervure.sklearn.MLPClassifier,
    "scikit-learn": sklearn.neural_network.MLPClassifier,
}


def seconds(run: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """Times of both in turn, their medians and the ratio."""
    runs = {name: case.task(mlp) for name, mlp in PEERS.items()}
    times: dict[str, list[float]] = {name: [] for name in PEERS}
    runs["nervure"]()  # loads the engine
    for _ in range(1 if case.slow else rounds):
        for name, run in runs.items():
            times[name].append(seconds(run, case.repeats))
    medians = {name: statistics.median(found) for name, found in times.items()}
    ratio = medians["scikit-learn"] / medians["nervure"]
    return {
        "title": case.title,
        "goal": case.goal,
        "times": times,
        "median": medians,
        "ratio": ratio,
    }


def shown(results: dict[str, Any]) -> str:
    rows = [["case", "nervure, s", "scikit-learn, s", "ratio", "goal"]]
    for found in results.values():
        own, their = (f"{found['median'][name]:.5f}" for name in PEERS)
        goal = f"{found['goal']:g}x"
        rows.append([found["title"], own, their, f"{found['ratio']:.1f}x", goal])
    return aligned(rows)


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
        results = {n: measure(CASES[n], given.rounds) for n in given.cases}
    print(shown(results))
    if given.json:
        whole = {
            "benchmark": "estimators",
            "machine": machine,
            "scikit-learn": sklearn.__version__,
            "rounds": given.rounds,
            "results": results,
        }
        given.json.write_text(json.dumps(whole, indent=1))


if __name__ == "__main__":
    main()
