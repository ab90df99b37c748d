# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's searchers, and joblib's back ends for clusters, as they are.

Each back end gives what one process gives, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import BaggingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
)

import nervure as nv
from nervure.sklearn import MLPClassifier, NeuralNetClassifier

ESTIMATORS: dict[str, tuple[BaseEstimator, dict[str, list[Any]], str]] = {
    "network": (
        NeuralNetClassifier([nv.Dense(4, activation="tanh")], random_state=0),
        {"optimizer": [nv.Adam(0.1), nv.Adam(1e-5)], "batch_size": [8, 16]},
        "epochs",
    ),
    "mlp": (
        MLPClassifier((4,), n_iter_no_change=1000, tol=0, random_state=0),
        {"learning_rate_init": [0.1, 1e-5], "alpha": [0.0, 1e-3]},
        "max_iter",
    ),
}


@pytest.fixture(params=ESTIMATORS)
def searched(request) -> tuple[BaseEstimator, dict[str, list[Any]], str]:
    estimator, grid, epochs = ESTIMATORS[request.param]
    return clone(estimator), grid, epochs


def best_rate(search: Any) -> Any:
    found = search.best_params_
    rate = found.get("learning_rate_init")
    return found["optimizer"].learning_rate if rate is None else rate


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_grid_search(searched, blobs) -> None:
    estimator, grid, epochs = searched
    search = GridSearchCV(estimator.set_params(**{epochs: 10}), grid, cv=3)
    search.fit(*blobs)
    assert best_rate(search) == 0.1
    assert search.best_score_ > 0.9
    assert search.score(*blobs) > 0.9


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_randomized_search(searched, blobs) -> None:
    estimator, grid, epochs = searched
    search = RandomizedSearchCV(
        estimator.set_params(**{epochs: 10}), grid, n_iter=3, cv=3, random_state=0
    )
    assert len(search.fit(*blobs).cv_results_["params"]) == 3
    assert search.best_score_ > 0.9


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_halving_search_over_epochs(searched, blobs) -> None:
    """The candidates that remain get three times the epochs."""
    estimator, grid, epochs = searched
    search = HalvingGridSearchCV(
        estimator, grid, resource=epochs, min_resources=3, max_resources=10, cv=3
    )
    search.fit(*blobs)
    assert search.n_resources_ == [3, 9]
    assert best_rate(search) == 0.1


# -- clusters -------------------------------------------------------------------------


@contextmanager
def dask_cluster() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster),
    ):
        yield "dask"


@contextmanager
def ray_cluster() -> Iterator[str]:
    ray = pytest.importorskip("ray")
    joblib_ray = pytest.importorskip("ray.util.joblib")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        joblib_ray.register_ray()
        yield "ray"
    finally:
        ray.shutdown()


@pytest.mark.filterwarnings("ignore")  # theirs, about ports, forks and files left open
@pytest.mark.parametrize("cluster", [dask_cluster, ray_cluster])
def test_searches_folds_and_ensembles_on_a_cluster(cluster, blobs) -> None:
    X, y = blobs
    estimator = NeuralNetClassifier(
        [nv.Dense(4, activation="tanh")], epochs=5, random_state=0
    )
    grid = {"optimizer": [nv.Adam(0.1), nv.Adam(1e-5)]}

    def results() -> list[np.ndarray]:
        search = GridSearchCV(estimator, grid, cv=3, n_jobs=2).fit(X, y)
        folds = cross_val_score(estimator, X, y, cv=3, n_jobs=2)
        bagged = BaggingClassifier(estimator, 4, n_jobs=2, random_state=0).fit(X, y)
        p = bagged.predict_proba(X)
        return [search.cv_results_["mean_test_score"], folds, p]

    here = results()
    with cluster() as backend, joblib.parallel_config(backend=backend):
        there = results()
    for one, two in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, two)
