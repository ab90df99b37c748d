# SPDX-License-Identifier: BSD-3-Clause
"""nervure's default for tables on real ones, beside scikit-learn's models.

``nice python benchmarks/real_tables.py --part choosing``

Every model sees the same rows, three quarters of a table, and is scored on the others:
accuracy for classes, R2 for values, means over the splits. ``train`` is what
``nervure train`` gives (a tenth of its rows only says when to stop), ``Tabular`` the
estimators. scikit-learn's models get imputed, standardized numbers and one-hot
categories (boosting: ordinal ones, as it asks for). Of the tables half are set aside:
``--part aside`` scores them, once something is to be reported.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _real_tables import RealTable, named, set_aside
from _report import aligned
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import nervure as nv
from nervure.runs.building import network_of
from nervure.sklearn import TabularClassifier, TabularRegressor
from nervure.spec.defaults import VALIDATION, default_spec
from nervure.spec.tables import DataSpec

Predict = Callable[[pd.DataFrame], Any]
Fit = Callable[[bool, pd.DataFrame, pd.Series, int], Predict]
WORDS = make_column_selector(dtype_include=object)
CLOSE = 0.01
"""How far behind a linear model counts as behind."""


def train(classes: bool, X: pd.DataFrame, y: pd.Series, seed: int) -> Predict:
    task = "classification" if classes else "regression"
    data = nv.data.load(
        (X, y), task=task, numbers="robust", held_out=VALIDATION, seed=seed
    )
    spec = default_spec(data, DataSpec(task=task, validation=VALIDATION), seed)
    arguments = (spec.training or nv.spec.TrainingSpec()).arguments()
    arguments["checkpoint_seconds"] = None
    net = network_of(spec, data.inputs.shape[1:], seed)
    nv.fit(net, data, progress=False, **arguments)
    return net.predict_classes if classes else net.predict


def tabular(classes: bool, X: pd.DataFrame, y: pd.Series, seed: int) -> Predict:
    kind = TabularClassifier if classes else TabularRegressor
    return kind(random_state=seed).fit(X, y).predict


def prepared() -> Any:
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
    )
    codes = OneHotEncoder(handle_unknown="ignore", sparse_output=False, min_frequency=2)
    rest = make_column_selector(dtype_exclude=object)
    return make_column_transformer((numbers, rest), (codes, WORDS))


def linear(classes: bool, X: pd.DataFrame, y: pd.Series, seed: int) -> Predict:
    model = LogisticRegression(max_iter=2_000) if classes else RidgeCV()
    return make_pipeline(prepared(), model).fit(X, y).predict


def mlp(classes: bool, X: pd.DataFrame, y: pd.Series, seed: int) -> Predict:
    model = (
        MLPClassifier(random_state=seed)
        if classes
        else TransformedTargetRegressor(
            MLPRegressor(random_state=seed), transformer=StandardScaler()
        )
    )
    return make_pipeline(prepared(), model).fit(X, y).predict


def boosting(classes: bool, X: pd.DataFrame, y: pd.Series, seed: int) -> Predict:
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=200
    )
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    words = [*range(len(WORDS(X)))]
    model = kind(random_state=seed, categorical_features=words or None)
    encoded = make_column_transformer((codes, WORDS), remainder="passthrough")
    return make_pipeline(encoded, model).fit(X, y).predict


MODELS: Mapping[str, Fit] = {
    "train": train,
    "Tabular": tabular,
    "linear": linear,
    "MLP": mlp,
    "boosting": boosting,
}


def splits(table: RealTable, seeds: int) -> Iterator[tuple[int, Any, Any, Any, Any]]:
    X, y = table.load()
    even = y if table.classes and y.value_counts().min() >= 2 else None
    for seed in range(seeds):
        parts = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=even)
        yield seed, *parts


def score(classes: bool, truth: pd.Series, found: Any) -> float:
    y = truth.to_numpy()
    if classes:
        return float((np.asarray(found).astype(str) == y).mean())
    errors = y - np.asarray(found, float).ravel()
    return float(1 - (errors**2).sum() / ((y - y.mean()) ** 2).sum())


def measure(table: RealTable, models: list[str], seeds: int) -> dict[str, Any]:
    """Mean score and processor seconds of a fit, per model."""
    found: dict[str, Any] = {name: ([], []) for name in models}
    for seed, X, X_test, y, y_test in splits(table, seeds):
        for name in models:
            begin = time.process_time()
            predict = MODELS[name](table.classes, X, y, seed)
            found[name][1].append(time.process_time() - begin)
            found[name][0].append(score(table.classes, y_test, predict(X_test)))
    return {
        name: {"score": float(np.mean(scores)), "seconds": float(np.mean(seconds))}
        for name, (scores, seconds) in found.items()
    }


def summary(title: str, results: Mapping[str, Any], models: list[str]) -> str:
    """Means over the tables, and where a linear model is ahead."""
    rows = [[title, *models]]
    for what, digits in (("score", 4), ("seconds", 2)):
        means = [np.mean([r[m][what] for r in results.values()]) for m in models]
        rows.append([f"mean {what}", *(f"{mean:.{digits}f}" for mean in means)])
    text = aligned(rows)
    if {"train", "linear"} <= set(models):
        gaps = {
            name: of["linear"]["score"] - of["train"]["score"]
            for name, of in results.items()
        }
        behind = [f"{n} ({gap:.3f})" for n, gap in gaps.items() if gap > CLOSE]
        text += f"\nbehind linear by more than {CLOSE}: {', '.join(behind) or 'none'}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["choosing", "aside"], default="choosing")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=[*MODELS])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    aside = given.part == "aside"
    tables = [t for t in named().values() if (t.name in set_aside()) == aside]
    results: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of models that have not converged
        for table in tables:
            found = measure(table, given.models, given.seeds)
            results[table.classes][table.name] = found
            scores = (f"{name} {found[name]['score']:.4f}" for name in given.models)
            print(table.name, *scores, sep="  ", flush=True)
            if given.json:  # what is measured is kept, however the run ends
                given.json.write_text(json.dumps(results, indent=1))
    for classes, title in ((True, "classes"), (False, "values")):
        count = len(results[classes])
        print(f"\n{summary(f'{title} ({count})', results[classes], given.models)}")


if __name__ == "__main__":
    main()
