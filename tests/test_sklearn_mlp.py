# SPDX-License-Identifier: BSD-3-Clause
"""MLPClassifier and MLPRegressor: scikit-learn's numbers, and what is our own."""

from __future__ import annotations

import gc
import inspect
import pickle
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_digits, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import nervure.sklearn as ours

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]

NAMES = ("MLPClassifier", "MLPRegressor")

SINCE_1_7 = pytest.mark.skipif(
    "loss" not in inspect.signature(theirs.MLPRegressor).parameters,
    reason="scikit-learn's MLP takes sample_weight and loss from 1.7 on",
)


def digits(rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:rows] / 16, y[:rows]


def pair(name: str, **settings: object) -> tuple:
    settings = {"random_state": 3, "max_iter": 12, **settings}
    return getattr(theirs, name)(**settings), getattr(ours, name)(**settings)


def assert_same_fit(their, own, *, atol: float = 1e-11, loss: float = 2e-5) -> None:
    for a, b in zip(
        their.coefs_ + their.intercepts_, own.coefs_ + own.intercepts_, strict=True
    ):
        np.testing.assert_allclose(b, a, rtol=0, atol=atol)
    assert own.n_iter_ == their.n_iter_
    assert own.t_ == their.t_
    assert own.loss_ == pytest.approx(their.loss_, abs=loss)


@parametrize_with_checks([ours.MLPClassifier(), ours.MLPRegressor()])
def test_scikit_learn_checks(estimator, check) -> None:
    check(estimator)


# -- drop-in --------------------------------------------------------------------------


@SINCE_1_7
@pytest.mark.parametrize("name", NAMES)
def test_same_constructor(name: str) -> None:
    wanted = inspect.signature(getattr(theirs, name).__init__).parameters
    found = inspect.signature(getattr(ours, name).__init__).parameters
    added = {"class_weight", "telemetry"} - set(wanted)
    kinds = [(p.name, p.default, p.kind) for p in found.values() if p.name not in added]
    assert kinds == [(p.name, p.default, p.kind) for p in wanted.values()]
    assert all(found[name].default is None for name in added & set(found))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weight_is_the_weight_of_its_rows(solver: str) -> None:
    X, y = digits(200)
    labels = np.where(y > 7, "rare", "common")

    def made(**settings: object) -> ours.MLPClassifier:
        return ours.MLPClassifier(
            (8,), solver=solver, random_state=0, max_iter=15, **settings
        )

    rows = np.where(labels == "rare", 3.0, 1.0)
    by_class = made(class_weight={"rare": 3.0}).fit(X, labels)
    by_row = made().fit(X, labels, sample_weight=rows)
    balanced = made(class_weight="balanced").fit(X, labels)
    np.testing.assert_array_equal(by_class.coefs_[0], by_row.coefs_[0])
    wanted = np.unique(labels, return_counts=True)[1]
    rows = (len(y) / 2 / wanted)[(labels == "rare").astype(int)]
    by_row = made().fit(X, labels, sample_weight=rows)
    np.testing.assert_array_equal(balanced.coefs_[0], by_row.coefs_[0])


def test_class_weight_leaves_validation_scores_plain() -> None:
    X, y = digits(300)
    settings = {"early_stopping": True, "random_state": 0, "max_iter": 3}
    model = ours.MLPClassifier((8,), class_weight={0: 100.0}, **settings).fit(X, y)
    thirtieths = 30 * np.array(model.validation_scores_)  # of the 30 rows held out
    np.testing.assert_allclose(thirtieths, thirtieths.round(), atol=1e-9)


def test_balanced_classes_need_all_rows() -> None:
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        ours.MLPClassifier(class_weight="balanced").partial_fit(
            [[0.0]], [0], None, [0, 1]
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}])
def test_same_public_attributes(name: str, settings: dict) -> None:
    X, y = digits(100)
    their, own = (one.fit(X, y) for one in pair(name, **settings))
    fitted = {key for key in vars(their) if key.endswith("_") and key[0] != "_"}
    assert fitted <= set(vars(own))
    for key in ("validation_scores_", "best_validation_score_", "best_loss_"):
        wanted = getattr(their, key)
        assert (getattr(own, key) is None) == (wanted is None)


SGD_SETTINGS = [
    {"activation": "tanh"},
    {"activation": "logistic", "hidden_layer_sizes": (7, 5)},
    {"activation": "identity", "alpha": 1.0},
    {"nesterovs_momentum": False},
    {"momentum": 0.0},
    {"momentum": 1.0},
    {"learning_rate": "invscaling", "learning_rate_init": 0.1},
    {"learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2},
    {"batch_size": 37, "alpha": 0.5},
    {"shuffle": False},
    {"early_stopping": True, "validation_fraction": 0.2},
]


@pytest.mark.parametrize("settings", SGD_SETTINGS, ids=str)
@pytest.mark.parametrize("weighted", [False, pytest.param(True, marks=SINCE_1_7)])
@pytest.mark.parametrize("name", NAMES)
def test_sgd_gives_the_same_weights(
    name: str, settings: dict, weighted: bool, rng: np.random.Generator
) -> None:
    X, y = digits()
    y = y if name == "MLPClassifier" else y / 10
    given = {"sample_weight": rng.uniform(0.2, 2, len(y))} if weighted else {}
    their, own = pair(name, solver="sgd", **settings)
    their.fit(X, y, **given)
    own.fit(X, y, **given)
    # The penalty within an epoch is taken along a line: alpha = 1 shows it.
    assert_same_fit(their, own, loss=1e-4 if settings.get("alpha") else 1e-6)
    if own.validation_scores_:
        np.testing.assert_allclose(own.validation_scores_, their.validation_scores_)
    np.testing.assert_allclose(own.loss_curve_, their.loss_curve_, rtol=3e-4)


@pytest.mark.parametrize("name", NAMES)
def test_lbfgs_gives_the_same_weights(name: str) -> None:
    X, y = digits()
    their, own = pair(name, solver="lbfgs", max_iter=8, alpha=0.1, activation="tanh")
    assert_same_fit(their.fit(X, y), own.fit(X, y), atol=1e-8, loss=1e-10)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-3])
@pytest.mark.parametrize("name", NAMES)
def test_adam_gives_the_same_weights(name: str, epsilon: float) -> None:
    X, y = digits()
    their, own = pair(name, epsilon=epsilon, max_iter=5, activation="tanh")
    assert_same_fit(their.fit(X, y), own.fit(X, y), atol=1e-12, loss=1e-8)


def test_multilabel_gives_the_same_weights() -> None:
    X, y = make_multilabel_classification(n_samples=60, random_state=0)
    their, own = pair("MLPClassifier", solver="sgd")
    assert_same_fit(their.fit(X, y), own.fit(X, y))
    np.testing.assert_array_equal(own.predict(X), their.predict(X))
    np.testing.assert_allclose(own.predict_proba(X), their.predict_proba(X))


@SINCE_1_7
@pytest.mark.parametrize("columns", [1, 2])
def test_poisson_gives_the_same_weights(columns: int, rng: np.random.Generator) -> None:
    X = rng.normal(size=(80, 3))
    y = rng.poisson(2, size=(80, columns)).squeeze().astype(float)
    their, own = pair("MLPRegressor", loss="poisson", solver="sgd")
    assert_same_fit(their.fit(X, y), own.fit(X, y))
    np.testing.assert_allclose(own.predict(X), their.predict(X), rtol=1e-10)


def test_partial_fit_goes_on_with_the_momentum() -> None:
    X, y = digits()
    their, own = pair("MLPClassifier", solver="sgd")
    for _ in range(4):
        their.partial_fit(X, y, classes=range(10))
        own.partial_fit(X, y, classes=range(10))
        own = pickle.loads(pickle.dumps(own))
    assert_same_fit(their, own)


# -- gradient -------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh"])
@pytest.mark.parametrize("labels", [2, 3])
def test_gradient_of_the_full_cost(
    activation: str, labels: int, rng: np.random.Generator
) -> None:
    """In place of scikit-learn's test_gradient, which calls a private method."""
    from nervure.sklearn._quasi_newton import FullCost

    X, y = rng.uniform(size=(5, 4)), np.arange(5) % labels
    model = ours.MLPClassifier(
        3, activation, solver="lbfgs", max_iter=1, alpha=0.3, random_state=1
    ).fit(X, y)
    perceptron = model._perceptron
    data = model._data(perceptron, X, model._encoded(y), np.array([1.0, 2, 1, 0.5, 1]))
    cost = FullCost(perceptron, perceptron.objective(), data, model.alpha)
    point = perceptron.values.copy()
    _, gradient = cost(point)
    for i in np.flatnonzero(point):
        step = np.zeros_like(point)
        step[i] = 1e-4
        far = cost(point + 2 * step)[0] - cost(point - 2 * step)[0]
        near = cost(point + step)[0] - cost(point - step)[0]
        assert (8 * near - far) / 12e-4 == pytest.approx(
            gradient[i], rel=5e-6, abs=1e-9
        )


# -- weights as arrays ----------------------------------------------------------------


def test_coefs_written_in_place_predict() -> None:
    X, y = digits()
    model = ours.MLPRegressor(hidden_layer_sizes=4, max_iter=2, random_state=0).fit(
        X, y
    )
    model.coefs_[1][...] = 0
    model.intercepts_[1][...] = 2.5
    np.testing.assert_allclose(model.predict(X), 2.5)


def test_coefs_replaced_predict_and_train_on() -> None:
    X, y = digits()
    model = ours.MLPRegressor(
        hidden_layer_sizes=4, max_iter=2, random_state=0, warm_start=True
    ).fit(X, y)
    model.coefs_[1] = np.zeros((4, 1))
    model.intercepts_ = [model.intercepts_[0], np.array([2.5])]
    np.testing.assert_allclose(model.predict(X), 2.5)
    model.set_params(learning_rate_init=1e-9).fit(X, y)
    np.testing.assert_allclose(model.predict(X), 2.5, atol=1e-5)


def test_warm_start_with_other_outputs_is_refused() -> None:
    X, y = digits(50)
    model = ours.MLPRegressor(hidden_layer_sizes=4, max_iter=1, warm_start=True).fit(
        X, y
    )
    with pytest.raises(ValueError, match="y has 2 outputs, but the model was fitted"):
        model.fit(X, np.column_stack([y, y]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_pickle_holds_data_and_predicts_the_same(name: str, solver: str) -> None:
    X, y = digits()
    model = getattr(ours, name)(
        hidden_layer_sizes=8, solver=solver, max_iter=3, random_state=0
    ).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert "_perceptron" not in model.__getstate__()
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


# -- input ----------------------------------------------------------------------------


def test_rows_that_need_no_checks_predict_like_those_that_do() -> None:
    X, y = digits()
    model = ours.MLPClassifier(8, max_iter=5, random_state=0).fit(X, y)
    wanted = model.predict_proba(X.tolist())
    np.testing.assert_array_equal(model.predict_proba(X), wanted)
    np.testing.assert_array_equal(model.predict_proba(np.asfortranarray(X)), wanted)
    one = [model.predict_proba(X[i : i + 1])[0] for i in range(20)]
    np.testing.assert_allclose(one, wanted[:20], rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(bad: float) -> None:
    X, y = digits(50)
    model = ours.MLPClassifier(8, max_iter=1).fit(X, y)
    X = X.copy()
    X[3, 1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        model.predict(X)


def test_large_finite_rows_are_not_refused() -> None:
    X, y = digits(50)
    model = ours.MLPClassifier(8, "logistic", max_iter=1).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.predict(np.full((2, 64), 1e308)).shape == (2,)


def test_labels_of_any_type() -> None:
    X, y = digits()
    words = np.array([f"digit {i}" for i in y], dtype=object)
    model = ours.MLPClassifier(8, max_iter=40, random_state=0).fit(X, words)
    assert model.classes_.tolist() == sorted(set(words))
    assert set(model.predict(X)) <= set(words)
    same = ours.MLPClassifier(8, max_iter=40, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))


def test_diverging_without_early_stopping_is_an_error() -> None:
    X, y = digits(100)
    model = ours.MLPRegressor(
        activation="identity", solver="sgd", learning_rate_init=100.0, random_state=0
    )
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.fit(X, y)


def test_ctrl_c_keeps_what_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    from nervure.executors.native import NativeTrainer

    X, y = digits()
    calls = []
    run = NativeTrainer.run

    def interrupted(self, stretch, outputs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(self, stretch, outputs)

    settings = {"solver": "sgd", "batch_size": 300, "random_state": 0}
    wanted = ours.MLPClassifier(max_iter=2, **settings).fit(X, y)
    monkeypatch.setattr(NativeTrainer, "run", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = ours.MLPClassifier(**settings).fit(X, y)
    assert model.n_iter_ == 2
    np.testing.assert_array_equal(model.coefs_[0], wanted.coefs_[0])


# -- threads and memory ---------------------------------------------------------------


def test_several_threads_predict_with_one_model() -> None:
    X, y = digits()
    model = ours.MLPClassifier((64, 64), max_iter=3, random_state=0).fit(X, y)
    wanted = model.predict_proba(X)
    wrong: list[int] = []

    def predict() -> None:
        for _ in range(30):
            if not np.array_equal(model.predict_proba(X), wanted):
                wrong.append(1)

    threads = [threading.Thread(target=predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_many_fits_hold_no_memory() -> None:
    X, y = digits(60)
    model = ours.MLPClassifier(8, max_iter=2, random_state=0)
    for _ in range(3):
        clone(model).fit(X, y).predict(X)
    gc.collect()  # what Python keeps to use again is not held by a fit
    tracemalloc.start()
    before = resident_bytes()
    traced = tracemalloc.get_traced_memory()[0]
    for i in range(200):
        clone(model).fit(X, y).predict(X[: 1 + i % 60])
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - traced
    tracemalloc.stop()
    assert grown < 100_000
    assert resident_bytes() - before < 12_000_000


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return 0


def test_convergence_warning_says_what_ended() -> None:
    X, y = digits(60)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        ours.MLPClassifier(4, max_iter=2).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        ours.MLPClassifier(4, max_iter=2, solver="lbfgs").fit(X, y)
