# SPDX-License-Identifier: BSD-3-Clause
"""nervure's default for tables against scikit-learn's, all with their defaults.

``nice python benchmarks/tabular.py --seeds 3 --json tabular.json``

Five folds for each seed; accuracy for classes, R2 for values. Every model sees the same
folds; scikit-learn's MLP and linear models get standardized inputs, its MLP
standardized targets too; nervure's takes the rows as they are. The sets named in
`CHOOSING` are those on which nervure's settings were chosen; those of `HELD_OUT` were
not looked at before.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import _machine
import numpy as np
import sklearn
from _report import aligned
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nervure.sklearn import TabularClassifier, TabularRegressor

Rows = tuple[np.ndarray, np.ndarray]
FOLDS = 5
OWN, RIVAL = "nervure", "MLP"


@dataclass(frozen=True)
class Task:
    """A data set: how it is made, and whether its target are classes."""

    make: Callable[[], Rows]
    classes: bool = True


def embedded(load: Callable[..., Rows], classes: bool = True) -> Task:
    return Task(partial(load, return_X_y=True), classes)


def made(make: Callable[..., Rows], rows: int, seed: int, **settings: Any) -> Task:
    return Task(partial(make, n_samples=rows, random_state=seed, **settings))


def values(make: Callable[..., Rows], rows: int, seed: int, **settings: Any) -> Task:
    return Task(partial(make, n_samples=rows, random_state=seed, **settings), False)


CHOOSING = {
    "iris": embedded(datasets.load_iris),
    "wine": embedded(datasets.load_wine),
    "breast_cancer": embedded(datasets.load_breast_cancer),
    "digits": embedded(datasets.load_digits),
    "classes": made(datasets.make_classification, 500, 1),
    "classes, clusters": made(
        datasets.make_classification,
        1000,
        2,
        n_informative=10,
        n_clusters_per_class=4,
        flip_y=0.05,
    ),
    "classes, 5": made(
        datasets.make_classification,
        1000,
        3,
        n_features=30,
        n_informative=12,
        n_redundant=6,
        n_classes=5,
    ),
    "classes, wide": made(
        datasets.make_classification,
        400,
        4,
        n_features=100,
        n_informative=8,
        n_redundant=10,
    ),
    "moons": made(datasets.make_moons, 500, 5, noise=0.25),
    "circles": made(datasets.make_circles, 500, 6, noise=0.12, factor=0.6),
    "gaussian quantiles": made(
        datasets.make_gaussian_quantiles, 1000, 7, n_features=5, n_classes=3
    ),
    "hastie": made(datasets.make_hastie_10_2, 1500, 8),
    "diabetes": embedded(datasets.load_diabetes, classes=False),
    "friedman1": values(datasets.make_friedman1, 500, 9, noise=1.0),
    "friedman2": values(datasets.make_friedman2, 500, 10, noise=20.0),
    "friedman3": values(datasets.make_friedman3, 500, 11, noise=0.05),
    "linear": values(
        datasets.make_regression, 500, 12, n_features=20, n_informative=10, noise=20.0
    ),
    "linear, few rows": values(
        datasets.make_regression, 200, 13, n_features=50, n_informative=20, noise=5.0
    ),
}
HELD_OUT = {
    "classes, 3 of 2000": made(
        datasets.make_classification,
        2000,
        21,
        n_features=15,
        n_informative=8,
        n_classes=3,
        flip_y=0.1,
    ),
    "classes, rare": made(
        datasets.make_classification, 800, 22, n_informative=6, weights=[0.85]
    ),
    "blobs": made(datasets.make_blobs, 300, 23, centers=6, cluster_std=2.5),
    "moons, noisy": made(datasets.make_moons, 300, 24, noise=0.4),
    "gaussian quantiles, 2": made(
        datasets.make_gaussian_quantiles, 600, 25, n_features=10, n_classes=2
    ),
    "friedman1, noisy": values(
        datasets.make_friedman1, 1000, 26, n_features=20, noise=3.0
    ),
    "friedman2, exact": values(datasets.make_friedman2, 300, 27),
    "s curve": values(datasets.make_s_curve, 500, 28, noise=0.1),
    "sparse": values(datasets.make_sparse_uncorrelated, 400, 29, n_features=12),
    "low rank": values(
        datasets.make_regression, 600, 30, n_features=30, effective_rank=8, noise=1.0
    ),
}
TASKS = CHOOSING | HELD_OUT


def scaled_mlp(seed: int) -> Any:
    """With a standardized target too: without, its default learns hardly any value."""
    mlp = MLPRegressor(random_state=seed)
    return TransformedTargetRegressor(mlp, transformer=StandardScaler())


def models(classes: bool, seed: int) -> dict[str, Any]:
    """One of each kind, with the defaults it comes with."""
    own = TabularClassifier if classes else TabularRegressor
    mlp = MLPClassifier(random_state=seed) if classes else scaled_mlp(seed)
    trees = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    linear = LogisticRegression(max_iter=1000) if classes else RidgeCV()
    return {
        OWN: own(random_state=seed),
        RIVAL: make_pipeline(StandardScaler(), mlp),
        "boosting": trees(random_state=seed),
        "linear": make_pipeline(StandardScaler(), linear),
    }


def folds(task: Task, seed: int) -> Iterator[tuple[Rows, Rows]]:
    X, y = task.make()
    kind = StratifiedKFold if task.classes else KFold
    for train, test in kind(FOLDS, shuffle=True, random_state=seed).split(X, y):
        yield (X[train], y[train]), (X[test], y[test])


def measure(task: Task, seeds: int) -> dict[str, dict[str, list[float]]]:
    """Scores and seconds of every model, over folds and seeds."""
    found: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        for train, test in folds(task, seed):
            for name, model in models(task.classes, seed).items():
                own = found.setdefault(name, {"score": [], "seconds": []})
                begin = time.perf_counter()
                model.fit(*train)
                own["seconds"].append(time.perf_counter() - begin)
                own["score"].append(model.score(*test))
    return found


def verdict(found: dict[str, dict[str, list[float]]]) -> str:
    """ "+" or "-" where the mean difference to the MLP is beyond one standard error."""
    gap = np.subtract(found[OWN]["score"], found[RIVAL]["score"])
    error = gap.std(ddof=1) / np.sqrt(len(gap))
    if abs(gap.mean()) <= error:
        return "="
    return "+" if gap.mean() > 0 else "-"


def row_of(name: str, found: dict[str, dict[str, list[float]]]) -> list[str]:
    scores = [f"{np.mean(one['score']):.4f}" for one in found.values()]
    own, rival = (float(np.mean(found[one]["seconds"])) for one in (OWN, RIVAL))
    return [name, *scores, verdict(found), f"{own:.2f}", f"{own / rival:.1f}x"]


def means(title: str, some: list[dict[str, Any]]) -> list[str]:
    """Mean score of every model over sets, and the ratio of the times of all fits."""
    scores = [
        f"{np.mean([np.mean(found[name]['score']) for found in some]):.4f}"
        for name in some[0]
    ]
    verdicts = [verdict(found) for found in some]
    counts = " ".join(f"{verdicts.count(sign)}{sign}" for sign in "+=-")
    own, rival = (
        float(np.mean([np.mean(found[one]["seconds"]) for found in some]))
        for one in (OWN, RIVAL)
    )
    return [title, *scores, counts, f"{own:.2f}", f"{own / rival:.1f}x"]


def shown(results: dict[str, Any]) -> str:
    names = list(next(iter(results.values())))
    lines = [["set", *names, "to MLP", "s/fit", "to MLP's"]]
    for title, tasks in (("chosen on", CHOOSING), ("held out", HELD_OUT)):
        here = {name: results[name] for name in tasks if name in results}
        lines += [row_of(name, found) for name, found in here.items()]
        for what, classes in (("classes", True), ("values", False)):
            some = [f for name, f in here.items() if TASKS[name].classes == classes]
            if some:
                lines.append(means(f"= {title}, {what}", some))
    return aligned(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sets", nargs="*", choices=TASKS, default=list(TASKS))
    given = parser.parse_args()
    machine = _machine.describe(0)
    if _machine.busy(machine):
        print(_machine.busy(machine))
    results: dict[str, Any] = {}
    whole = {
        "benchmark": "tabular",
        "machine": machine,
        "scikit-learn": sklearn.__version__,
        "seeds": given.seeds,
        "folds": FOLDS,
        "held out": list(HELD_OUT),
        "results": results,
    }
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLPs that have not converged
        for name in given.sets:
            results[name] = measure(TASKS[name], given.seeds)
            print(*row_of(name, results[name]), sep="  ", flush=True)
            if given.json:  # what is measured is kept, however the run ends
                given.json.write_text(json.dumps(whole, indent=1))
    print(f"\n{shown(results)}\n\n{time.perf_counter() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
