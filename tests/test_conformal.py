# SPDX-License-Identifier: BSD-3-Clause
"""Conformal intervals and sets hold the truth as often as they say.

In each of many draws there are 19 calibration rows and one new row, all alike. With 19
rows and a level of 0.9 the new score is below the 18th with probability exactly
18 / 20, so that the number of hits is binomial; bounds leave out one in a million.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression, LogisticRegression

import nervure as nv
from nervure import uncertainty as un
from nervure.network.modelfile import read_model, write_model
from nervure.sklearn import NeuralNetClassifier, NeuralNetRegressor
from nervure.uncertainty import Conformal, ConformalError

DRAWS, ROWS, LEVEL = 1500, 19, 0.9
RARE = 1e-6


def hits_expected(p: float = 0.9) -> tuple[float, float]:
    return stats.binom.interval(1 - RARE, DRAWS, p)


def interval_hits(
    draw: Callable[[np.random.Generator], dict[str, np.ndarray]], method: str
) -> int:
    """Of how many draws the 20th row lies within the interval of the other 19."""
    rng, hits = np.random.default_rng(7), 0
    for _ in range(DRAWS):
        rows = draw(rng)
        spread = rows.get("spread", np.ones(ROWS + 1))
        known, y = rows["a"], rows["y"]
        found = Conformal.of_amounts(
            y[:ROWS], known[:ROWS], method=method, spread=spread[:ROWS]
        )
        ends = found.intervals(known[ROWS:], LEVEL, spread=spread[ROWS:])
        hits += int(ends[0, 0] <= y[ROWS] <= ends[0, 1])
    return hits


def wrong_model(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Predictions far off, and noise that grows with x: coverage does not care."""
    x = rng.random(ROWS + 1)
    y = x + rng.standard_t(3, ROWS + 1) * x
    return {"a": 2 * x + 1, "y": y, "spread": 0.1 + x**2}


def wrong_quantiles(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Quantiles much too narrow on one side, and some that cross."""
    x, noise = rng.random(ROWS + 1), rng.normal(size=ROWS + 1)
    return {"a": np.column_stack([x - 0.5, x + 0.1 * x - 0.6]), "y": x + noise}


@pytest.mark.parametrize(
    ("method", "draw"),
    [
        ("absolute", wrong_model),
        ("normalized", wrong_model),
        ("cqr", wrong_quantiles),
    ],
)
def test_intervals_cover(method: str, draw) -> None:
    low, high = hits_expected()
    assert low <= interval_hits(draw, method) <= high


def set_hits(method: str, randomized: bool, level: float = LEVEL) -> tuple[int, float]:
    """Hits of the 20th row's class, and the mean size of its set."""
    rng, hits, size = np.random.default_rng(3), 0, 0
    for i in range(DRAWS):
        truth = rng.dirichlet(np.full(5, 0.5), ROWS + 1)
        y = (truth.cumsum(axis=1) < rng.random((ROWS + 1, 1))).sum(axis=1).clip(0, 4)
        said = 0.5 * truth + 0.5 * rng.dirichlet(np.ones(5), ROWS + 1)  # wrong, too
        seed = i if randomized else None
        found = Conformal.of_classes(y[:ROWS], said[:ROWS], method=method, seed=seed)
        inside = found.sets(said[ROWS:], level)
        hits += int(inside[0, y[ROWS]])
        size += int(inside.sum())
    return hits, size / DRAWS


def test_sets_of_least_ambiguity_cover() -> None:
    """Hardly a set would be empty here, so that the share is exact again."""
    low, high = hits_expected()
    hits, size = set_hits("lac", False)
    assert low <= hits <= high
    assert size < 4


def test_adaptive_sets_cover() -> None:
    """More often where the most probable class is put in, and scores are equal."""
    sizes = {}
    for randomized in (True, False):
        hits, sizes[randomized] = set_hits("aps", randomized, level=0.6)
        assert hits >= hits_expected(0.6)[0]
    assert sizes[True] < sizes[False] < 4


def test_quantiles_of_several_targets_by_hand() -> None:
    """Each target has scores of its own: how far it lies outside of its quantiles."""
    y = [[1.0, 10.0], [2.0, 30.0], [5.0, 15.0]]
    quantiles = np.broadcast_to([[0.0, 1.0, 3.0], [10.0, 20.0, 20.0]], (3, 2, 3))
    scores = Conformal.of_amounts(y, quantiles, method="cqr")
    assert scores.scores.tolist() == [[-1, -5], [-1, 0], [2, 10]]
    ends = scores.intervals(quantiles[:1], level=0.75)
    assert ends.tolist() == [[[-2, 5], [0, 30]]]
    with pytest.raises(
        ConformalError, match=r"predictions \(3, 2\) for targets \(3, 3\)"
    ):
        Conformal.of_amounts(np.zeros((3, 3)), quantiles, method="cqr")


def test_networks_cover_new_rows() -> None:
    """The share of many new rows below the k-th of n scores is beta-binomial."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-2, 2, size=(2400, 1))
    y = np.sin(2 * X[:, 0]) + rng.normal(size=2400) * (0.1 + 0.2 * np.abs(X[:, 0]))
    pinball = nv.losses.Pinball((0.05, 0.95))
    parts = {"X": X, "y": y}
    train, held, new = (
        {k: v[s] for k, v in parts.items()}
        for s in (slice(0, 1000), slice(1000, 1400), slice(1400, None))
    )
    layers = [nv.Dense(32, activation="tanh")]
    widths = {}
    for method, loss in (("absolute", None), ("cqr", pinball)):
        options = {"optimizer": nv.Adam(0.01), "epochs": 150, "random_state": 0}
        model = NeuralNetRegressor(layers, loss=loss, **options)
        model.fit(**train)
        scores = un.conformalize(model, held["X"], held["y"], method=method)
        ends = un.predict_interval(model, new["X"], scores, level=0.9)
        inside = (ends[:, 0] <= new["y"]) & (new["y"] <= ends[:, 1])
        k = int(np.ceil(401 * 0.9))
        low, high = stats.betabinom.interval(1 - RARE, 1000, k, 401 - k)
        assert low <= inside.sum() <= high
        calm, wild = np.abs(new["X"][:, 0]) < 0.3, np.abs(new["X"][:, 0]) > 1.7
        width = ends[:, 1] - ends[:, 0]
        widths[method] = width[wild].mean() / width[calm].mean()
    assert widths["absolute"] == pytest.approx(1)
    assert widths["cqr"] > 1.5


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_classifiers_cover_new_rows(method: str) -> None:
    rng = np.random.default_rng(4)
    y = rng.integers(0, 3, 2100)
    X = rng.normal(size=(2100, 2)) + np.array([[0, 2], [2, -1], [-2, -1]])[y] * 0.6
    labels = np.array(["red", "green", "blue"])[y]
    model = NeuralNetClassifier(
        [nv.Dense(8, activation="relu")], epochs=10, random_state=0
    )
    model.fit(X[:700], labels[:700])
    scores = un.conformalize(model, X[700:1100], labels[700:1100], method=method)
    sets = un.predict_set(model, X[1100:], scores, level=0.9)
    place = {label: i for i, label in enumerate(model.classes_)}
    inside = sets[np.arange(1000), [place[label] for label in labels[1100:]]]
    k = int(np.ceil(401 * 0.9))
    low, high = stats.betabinom.interval(1 - RARE, 1000, k, 401 - k)
    assert low <= inside.sum()
    assert method == "aps" or inside.sum() <= high
    assert sets.sum(axis=1).mean() < 2.5


# -- by hand --------------------------------------------------------------------------


def test_the_quantile_has_the_finite_sample_rank() -> None:
    scores = Conformal("absolute", np.arange(1.0, 10.0))
    assert scores.quantile(0.5).tolist() == [5]
    assert scores.quantile(0.9).tolist() == [9]
    assert scores.quantile(0.91).tolist() == [np.inf]
    assert scores.quantile(0.05).tolist() == [1]


def test_too_few_rows_make_intervals_that_hold_everything() -> None:
    scores = Conformal.of_amounts([0.0, 1.0], [0.0, 0.5])
    assert scores.intervals([3.0], 0.9).tolist() == [[-np.inf, np.inf]]
    sets = Conformal.of_classes([0], [[0.6, 0.4]])
    assert sets.sets([[0.9, 0.1]], 0.9).tolist() == [[True, True]]


def test_adaptive_scores_are_sums_of_the_likelier_classes() -> None:
    """Angelopoulos and Bates (2021), section 2.1: the classes in order, up to y."""
    p = [[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]]
    found = Conformal.of_classes([2, 0], p, method="aps")
    np.testing.assert_allclose(found.scores, [0.8, 1.0])
    assert found.sets([[0.2, 0.7, 0.1]], 0.3).tolist() == [[False, True, False]]


def test_least_ambiguous_scores_are_what_is_left() -> None:
    found = Conformal.of_classes([0, 1], [[0.7, 0.3], [0.1, 0.9]])
    np.testing.assert_allclose(found.scores, [0.1, 0.3])
    assert found.sets([[0.8, 0.2], [0.5, 0.5]], 0.6).tolist() == [
        [True, False],
        [True, False],
    ]


def test_quantile_scores_and_ends() -> None:
    """Romano et al. (2019), eq. 6 and 7; scores below 0 pull the ends inwards."""
    quantiles = [[1.0, 3.0], [1.0, 3.0], [1.0, 3.0]]
    found = Conformal.of_amounts([2.0, 2.5, 2.8], quantiles, method="cqr")
    np.testing.assert_allclose(found.scores, [-1.0, -0.5, -0.2])
    np.testing.assert_allclose(found.intervals([[4.0, 8.0]], 0.5), [[4.5, 7.5]])
    tight = found.intervals([[4.0, 4.4]], 0.5)
    np.testing.assert_allclose(tight, [[4.2, 4.2]])


def test_several_targets_are_covered_each() -> None:
    y = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    found = Conformal.of_amounts(y, y + np.array([[0.1, 1], [0.2, 3], [0.3, 2]]))
    ends = found.intervals([[0.0, 0.0]], 0.5)
    assert ends.shape == (1, 2, 2)
    np.testing.assert_allclose(ends[0], [[-0.2, 0.2], [-2.0, 2.0]])


# -- models ---------------------------------------------------------------------------


def test_estimators_of_scikit_learn() -> None:
    X = np.linspace(0, 1, 60).reshape(-1, 1)
    line = LinearRegression().fit(X, 2 * X[:, 0])
    scores = un.conformalize(line, X, 2 * X[:, 0] + 0.5)
    assert scores.method == "absolute"
    np.testing.assert_allclose(
        un.predict_interval(line, X[:1], scores), [[-0.5, 0.5]], atol=1e-9
    )
    labels = np.where(X[:, 0] > 0.5, "yes", "no")
    model = LogisticRegression().fit(X, labels)
    sets = un.predict_set(model, X, un.conformalize(model, X, labels))
    assert sets.shape == (60, 2)
    with pytest.raises(ValueError, match="class 'maybe' in y; expected one of"):
        un.conformalize(model, X, np.full(60, "maybe"))


def test_a_spread_makes_intervals_of_different_width(make_net) -> None:
    layers = [
        nv.Input(1),
        nv.Dense(16, activation="relu"),
        nv.Dropout(0.2),
        nv.Dense(1),
    ]
    net = nv.Network(layers, seed=0)
    X = np.linspace(-2, 2, 80).reshape(-1, 1).astype(np.float32)

    def hard(X):
        return un.mc_dropout(net, X, samples=30).deviation

    scores = un.conformalize(net, X, X[:, 0], method="normalized", spread=hard)
    ends = un.predict_interval(net, X, scores, spread=hard)
    width = ends[:, 1] - ends[:, 0]
    np.testing.assert_allclose(width / width[0], (hard(X) / hard(X)[0])[:, 0])
    with pytest.raises(ConformalError, match="spread of 0 rows for 80 predictions"):
        un.predict_interval(net, X, scores)


def test_quantile_networks_give_quantiles_in_order() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(1500, 1))
    y = X[:, 0] + rng.exponential(size=1500)
    quantiles = (0.1, 0.5, 0.9)
    model = NeuralNetRegressor(
        [nv.Dense(16, activation="tanh")],
        loss=nv.losses.Pinball(quantiles),
        epochs=60,
        random_state=0,
    ).fit(X, y)
    found = un.predict_quantiles(model, X)
    assert (np.diff(found, axis=1) >= 0).all()
    below = (y[:, None] <= found).mean(axis=0)
    # Its own rows: the pinball loss itself asks for these shares.
    np.testing.assert_allclose(below, quantiles, atol=0.04)
    ends = un.quantile_interval(model, X)
    np.testing.assert_array_equal(ends, found[:, [0, 2]])
    with pytest.raises(ValueError, match=r"\[quantiles\] one prediction per row"):
        un.quantile_interval(LinearRegression().fit(X, y), X)


# -- files ----------------------------------------------------------------------------


@pytest.fixture
def calibrated(blobs, make_net):
    """A network that carries its scores, and its rows."""
    X, y = blobs
    net = make_net()
    nv.fit(net, X[:50], y[:50], epochs=3, progress=False)
    net.conformal = un.conformalize(net, X[50:], y[50:], method="aps", seed=3)
    return net, X


def test_scores_are_in_the_model_file(calibrated, tmp_path: Path) -> None:
    net, X = calibrated
    net.save(tmp_path / "a.safetensors")
    same = nv.load(tmp_path / "a.safetensors")
    assert same.conformal.method == "aps"
    assert same.conformal.seed == 3
    np.testing.assert_array_equal(un.predict_set(same, X), un.predict_set(net, X))
    same.save(tmp_path / "b.safetensors")
    one, two = (tmp_path / f"{n}.safetensors" for n in "ab")
    assert one.read_bytes() == two.read_bytes()
    np.testing.assert_array_equal(un.predict_set(net.copy(), X), un.predict_set(net, X))


def test_training_takes_the_scores_away(calibrated, blobs) -> None:
    net, X = calibrated
    nv.fit(net, *blobs, epochs=1, progress=False)
    assert net.conformal is None
    with pytest.raises(ConformalError, match="the model is not calibrated; expected"):
        un.predict_set(net, X)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"method": None}, "unknown method None"),
        ({"seed": -1}, "seed = -1; expected a whole number"),
        ({"seed": "x"}, "seed = 'x'; expected a whole number"),
        ({"scores": np.array([2.0, 1.0])}, "in ascending order"),
        ({"scores": np.array([1.0, np.nan])}, "expected finite float64"),
        ({"scores": np.zeros(0)}, "scores float64 (0,)"),
        ({"scores": np.zeros((1, 1, 1))}, "scores float64 (1, 1, 1)"),
        ({"scores": np.zeros(3, np.float32)}, "scores float32 (3,)"),
        ({"scores": None}, "scores object ()"),
    ],
)
def test_damaged_scores_are_refused(calibrated, tmp_path: Path, change, told) -> None:
    net, _ = calibrated
    path = tmp_path / "model.safetensors"
    net.save(path)
    tensors, document = read_model(path)
    if "scores" in change:
        tensors.pop("conformal/scores")
        if change["scores"] is not None:
            tensors["conformal/scores"] = change["scores"]
    else:
        document["conformal"] |= change
    write_model(path, tensors, json.loads(json.dumps(document)))
    with pytest.raises(nv.ModelFileError, match=re.escape(told)):
        nv.load(path)


# -- what does not fit ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: Conformal.of_amounts([1.0], [1.0], method="lac"),
            "'lac' is a method for classes; expected one for amounts; use absolute or normalized or cqr",
        ),
        (
            lambda: Conformal.of_classes([1], [[0.5, 0.5]], method="cqr"),
            "'cqr' is a method for amounts; expected one for classes; use lac or aps",
        ),
        (
            lambda: Conformal.of_amounts([1.0], [1.0], method="lacc"),
            "unknown method 'lacc'; did you mean 'lac'?",
        ),
        (
            lambda: Conformal.of_amounts([1.0, 2.0], [[1.0, 2.0]]),
            "predictions (1, 2) for targets (2, 1)",
        ),
        (
            lambda: Conformal.of_amounts([1.0], [1.0], method="cqr"),
            "one prediction per row; expected at least two quantiles",
        ),
        (
            lambda: Conformal.of_amounts([np.nan], [1.0]),
            "scores of 1 rows, not all finite",
        ),
        (lambda: Conformal.of_amounts([], []), "scores of 0 rows"),
        (
            lambda: Conformal.of_amounts(
                [1.0], [1.0], method="normalized", spread=[0.0]
            ),
            "a positive number for each",
        ),
        (
            lambda: Conformal.of_amounts([1.0], [1.0]).intervals([[1.0, 2.0]]),
            "2 predictions per row, but scores of 1 targets",
        ),
        (
            lambda: Conformal.of_amounts([1.0], [1.0]).sets([[1.0, 2.0]]),
            "'absolute' is a method for amounts",
        ),
        (
            lambda: Conformal.of_amounts([1.0], [1.0]).intervals([1.0], 1.0),
            "level = 1.0; expected a finite number (> 0) and (< 1)",
        ),
    ],
)
def test_errors_say_what_to_do(call, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        call()


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Conformal.of_amounts([1.0], [1.0]).method = "cqr"
