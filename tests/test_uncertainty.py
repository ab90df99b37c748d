# SPDX-License-Identifier: BSD-3-Clause
"""Calibrated probabilities, and the spread of ensembles and of dropout's draws."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import nervure as nv
from nervure import random
from nervure import uncertainty as un
from nervure.sklearn import NeuralNetClassifier, NeuralNetRegressor
from nervure.uncertainty.temperature import temperature_of


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def drawn(p: np.ndarray, seed: int = 0) -> np.ndarray:
    """A class of each row, drawn with its probabilities."""
    u = np.random.default_rng(seed).random((len(p), 1))
    return np.minimum((p.cumsum(axis=1) < u).sum(axis=1), p.shape[1] - 1)


# -- reliability ----------------------------------------------------------------------


def test_reliability_of_rows_worked_out_by_hand() -> None:
    """Bins of a fifth: 0.7 (right, wrong) in one, 0.9 (right) in another."""
    p = [[0.7, 0.3], [0.3, 0.7], [0.1, 0.9]]
    found = un.reliability_curve([0, 0, 1], p, bins=5)
    np.testing.assert_allclose(found.confidence, [0.7, 0.9])
    np.testing.assert_allclose(found.accuracy, [0.5, 1.0])
    assert found.rows.tolist() == [2, 1]
    assert found.error == pytest.approx((2 * 0.2 + 0.1) / 3)
    assert found.largest_error == pytest.approx(0.2)


def test_reliability_is_scikit_learn_s_curve(rng: np.random.Generator) -> None:
    p = softmax(rng.normal(size=(500, 4)))
    y = drawn(p)
    found = un.reliability_curve(y, p)
    right, sure = p.argmax(axis=1) == y, p.max(axis=1)
    accuracy, confidence = calibration_curve(right, sure, n_bins=15)
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.confidence, confidence)
    assert found.rows.sum() == 500
    assert (found.rows > 0).all()


def test_probabilities_that_are_true_have_a_small_error(
    rng: np.random.Generator,
) -> None:
    p = softmax(2 * rng.normal(size=(20_000, 3)))
    assert un.expected_calibration_error(drawn(p), p) < 0.02
    assert un.expected_calibration_error(drawn(p), softmax(9 * np.log(p))) > 0.1


def test_one_column_is_the_probability_of_class_1() -> None:
    two = un.expected_calibration_error([0, 1], [[0.8, 0.2], [0.3, 0.7]])
    assert un.expected_calibration_error([0, 1], [0.2, 0.7]) == pytest.approx(two)


def test_numbers_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("values from -1 to 2; expected")):
        un.expected_calibration_error([0, 1], [[-1.0, 2.0], [0.5, 0.5]])
    with pytest.raises(ValueError, match="3 targets for 2 rows; expected as many"):
        un.reliability_curve([0, 1, 1], [[0.5, 0.5], [0.5, 0.5]])


# -- temperature ----------------------------------------------------------------------

HEADS = {
    "softmax": [nv.Dense(3, activation="softmax")],
    "log-softmax": [nv.Dense(3, activation="log_softmax")],
    "softmax layer": [nv.Dense(3), nv.Softmax()],
    "named": [nv.Dense(3, activation="softmax", name="end")],
    "logistic": [nv.Dense(1, activation="sigmoid")],
    "logistic layer": [nv.Dense(1), nv.Activation("logistic")],
}


def too_sure(
    head: str, factor: float = 3.0
) -> tuple[nv.Network, np.ndarray, np.ndarray]:
    """A network, rows and the classes that it would be right about at a third of z."""
    layers = [nv.Input(4), nv.Dense(8, activation="tanh"), *HEADS[head]]
    net = nv.Network(layers, seed=1, dtype="float64")
    last = [name for name in net.parameters if name.endswith(".weight")][-1]
    net.parameters[last] = 4 * net.parameters[last]
    X = np.random.default_rng(2).normal(size=(8000, 4))
    y = drawn(un.outputs.probabilities_of(net, X))
    net.parameters[last] = factor * net.parameters[last]
    return net, X, y


@pytest.mark.parametrize("head", HEADS)
def test_the_temperature_is_found(head: str) -> None:
    net, X, y = too_sure(head)
    made = un.scale_temperature(net, X[:4000], y[:4000])
    assert temperature_of(made) == pytest.approx(3.0, rel=0.12)
    p, q = (un.outputs.probabilities_of(one, X[4000:]) for one in (net, made))
    np.testing.assert_array_equal(p.argmax(axis=1), q.argmax(axis=1))
    errors = [un.expected_calibration_error(y[4000:], one) for one in (p, q)]
    assert errors[1] < errors[0] / 3
    expected = un.apply_temperature(p, temperature_of(made))
    np.testing.assert_allclose(q, expected, atol=1e-7)
    assert temperature_of(net) is None


def test_the_temperature_is_in_the_model_file(tmp_path: Path) -> None:
    net, X, y = too_sure("softmax")
    made = un.scale_temperature(net, X, y)
    made.save(tmp_path / "model.safetensors")
    same = nv.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(same.predict(X), made.predict(X))
    assert temperature_of(same) == temperature_of(made)


def test_a_second_scaling_finds_nothing_left_to_do() -> None:
    net, X, y = too_sure("softmax")
    once = un.scale_temperature(net, X, y)
    twice = un.scale_temperature(once, X, y)
    assert len(twice.graph.nodes) == len(once.graph.nodes)
    assert temperature_of(twice) == pytest.approx(temperature_of(once), rel=1e-4)


def test_probabilities_of_anybody_have_a_temperature() -> None:
    """The same one as the network's own z gives."""
    net, X, y = too_sure("softmax")
    t = un.find_temperature(y, net.predict(X))
    made = un.scale_temperature(net, X, y)
    assert t == pytest.approx(temperature_of(made), rel=1e-5)


def test_labels_are_those_of_the_data() -> None:
    data = nv.data.load("iris")
    net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=0)
    nv.fit(net, data, epochs=30, progress=False)
    iris = load_iris()
    rows = dict(zip(iris.feature_names, iris.data.T, strict=True))
    labels = data.preprocessing.decode_classes(data.targets)
    made = un.scale_temperature(net, rows, labels)
    assert temperature_of(made) != pytest.approx(1.0)
    loss = [one.evaluate(data)["loss"] for one in (net, made)]
    assert loss[1] < loss[0]


def test_rows_that_are_all_right_have_no_temperature() -> None:
    p = [[0.9, 0.1], [0.2, 0.8]]
    with pytest.warns(UserWarning, match="every row is right"):
        assert un.find_temperature([0, 1], p) == 1.0


def test_networks_without_probabilities_have_no_temperature() -> None:
    net = nv.Network([nv.Input(2), nv.Dense(2, activation="tanh")])
    with pytest.raises(
        ValueError, match="ends in dense 'dense' with activation 'tanh'"
    ):
        un.scale_temperature(net, [[0.0, 1.0]], [1])
    net = nv.Network([nv.Input(2), nv.Dense(2, activation="softmax")])
    with pytest.raises(
        ValueError, match="classes from 3 to 3; expected them from 0 to 1"
    ):
        un.scale_temperature(net, [[0.0, 1.0]], [3])


# -- spreads --------------------------------------------------------------------------


def test_the_spread_of_amounts_is_numpy_s(rng: np.random.Generator) -> None:
    """Mean and variance of a mixture (Lakshminarayanan et al. 2017, section 2.4)."""
    means, variances = rng.normal(size=(5, 7, 2)), rng.random(size=(5, 7, 2))
    found = un.Spread.of(means, classes=False, variances=variances)
    np.testing.assert_allclose(found.mean, means.mean(axis=0))
    mixture = (variances + means**2).mean(axis=0) - means.mean(axis=0) ** 2
    np.testing.assert_allclose(found.variance, mixture)
    np.testing.assert_allclose(found.deviation, np.sqrt(mixture))
    assert found.entropy is found.mutual_information is None


def test_the_spread_of_classes_is_scipy_s(rng: np.random.Generator) -> None:
    p = softmax(rng.normal(size=(30, 4))).reshape(5, 6, 4)
    found = un.Spread.of(p, classes=True)
    np.testing.assert_allclose(found.entropy, stats.entropy(p.mean(axis=0), axis=1))
    expected = stats.entropy(p, axis=2).mean(axis=0)
    np.testing.assert_allclose(found.expected_entropy, expected)
    np.testing.assert_allclose(found.mutual_information, found.entropy - expected)
    assert (found.mutual_information > 0).all()


def test_members_that_agree_have_no_mutual_information() -> None:
    found = un.Spread.of([[[0.3, 0.7]]] * 3, classes=True)
    assert found.mutual_information == pytest.approx(0.0)
    assert found.variance == pytest.approx(np.zeros((1, 2)))


def test_ensembles_of_networks_and_estimators(blobs) -> None:
    X, y = blobs
    models = [
        NeuralNetClassifier([nv.Dense(4)], epochs=5, random_state=s).fit(X, y)
        for s in range(3)
    ]
    found = un.ensemble_spread(models, X)
    each = np.array([model.predict_proba(X) for model in models], np.float64)
    np.testing.assert_allclose(found.mean, each.mean(axis=0))
    np.testing.assert_allclose(found.variance, each.var(axis=0), atol=1e-12)
    nets = un.ensemble_spread([model.network_ for model in models], X)
    np.testing.assert_allclose(nets.variance, found.variance)
    other = [LogisticRegression().fit(X, y)]
    assert un.ensemble_spread(other, X).members == 1
    with pytest.raises(ValueError, match=r"\[ensemble\] no members"):
        un.ensemble_spread([], X)


# -- dropout --------------------------------------------------------------------------


def dropping(rate: float = 0.4, **options) -> nv.Network:
    layers = [nv.Input(3), nv.Dense(16, activation="tanh"), nv.Dropout(rate)]
    return nv.Network([*layers, nv.Dense(2)], seed=3, **options)


def by_formula(net: nv.Network, X: np.ndarray, seed: int, step: int) -> np.ndarray:
    """One pass with dropout by NumPy, from the numbers that the engine counts."""
    own = net.parameters
    h = np.tanh(X @ own["dense.weight"] + own["dense.bias"])
    (node,) = [n for n in net.graph.nodes if n.layer.kind == "dropout"]
    u = random.uniform(np, seed, step, node.random_key, h.size).reshape(h.shape)
    kept = np.where(u >= node.layer.threshold / 2**24, h / (1 - node.layer.rate), 0.0)
    return kept @ own["dense_1.weight"] + own["dense_1.bias"]


def test_draws_are_those_of_the_formula(rng: np.random.Generator) -> None:
    """Over more rows than one pass of the engine takes."""
    net, X = dropping(dtype="float64"), rng.normal(size=(1100, 3))
    found = un.mc_dropout(net, X, samples=6, seed=11)
    each = np.array([by_formula(net, X, 11, step) for step in range(6)])
    np.testing.assert_allclose(found.mean, each.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.variance, each.var(axis=0), atol=1e-12)
    assert not np.array_equal(each[0][:512], each[0][512:1024])


def test_the_variance_is_the_one_of_the_masks(rng: np.random.Generator) -> None:
    """``Var y = r / (1 - r) sum (w h)^2``: its estimate lies within its own spread."""
    net, X = dropping(dtype="float64"), rng.normal(size=(1, 3))
    own, samples = net.parameters, 4000
    h = np.tanh(X @ own["dense.weight"] + own["dense.bias"])
    exact = 0.4 / 0.6 * (h**2) @ (own["dense_1.weight"] ** 2)
    found = un.mc_dropout(net, X, samples=samples)
    ratio = found.variance / exact
    # Var of a sample variance is (kurtosis - 1) / n times its square; kurtosis < 6.
    assert np.abs(ratio - 1).max() < 5 * np.sqrt(5 / samples)
    wrong = np.abs(found.mean - net.predict(X)) / np.sqrt(exact / samples)
    assert wrong.max() < 5


def test_draws_are_fixed_by_the_seed(everywhere, monkeypatch) -> None:
    X = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    first = un.mc_dropout(dropping(), X, samples=4, seed=5)
    monkeypatch.setattr("nervure.executors.native.NativeExecutor.workers", lambda *a: 1)
    again = un.mc_dropout(dropping(), X, samples=4, seed=5)
    other = un.mc_dropout(dropping(), X, samples=4, seed=6)
    assert first.mean.tobytes() == again.mean.tobytes()
    assert first.variance.tobytes() == again.variance.tobytes()
    assert first.mean.tobytes() != other.mean.tobytes()


def test_draws_are_those_of_training(rng: np.random.Generator) -> None:
    """Row 0 of step 3 is masked as a training step with the same key would."""
    net, X = dropping(dtype="float64"), rng.normal(size=(5, 3))
    data = nv.executors.Data((X,))
    (y,) = net.executor().outputs(data, draw=(9, 3))
    np.testing.assert_allclose(y, by_formula(net, X, 9, 3), atol=1e-12)


def test_jax_draws_the_same(rng: np.random.Generator) -> None:
    pytest.importorskip("jax")
    net, X = dropping(dtype="float64"), rng.normal(size=(1100, 3))
    data = nv.executors.Data((X,))
    for step in (0, 3):
        (native,) = net.executor("native").outputs(data, draw=(9, step))
        (jax,) = net.executor("jax").outputs(data, draw=(9, step))
        np.testing.assert_allclose(jax, native, atol=1e-10)
    (still,) = net.executor("jax").outputs(data)
    np.testing.assert_allclose(still, net.forward(X), atol=1e-10)


def test_batch_normalization_keeps_its_statistics(rng: np.random.Generator) -> None:
    layers = [nv.Input(3), nv.Dense(6), nv.BatchNorm(), nv.Dropout(0.0), nv.Dense(2)]
    net = nv.Network(layers, seed=1, dtype="float64")
    own = net.parameters
    for name in ("running_mean", "beta"):
        own[f"batch_norm.{name}"] = rng.normal(size=6)
    own["batch_norm.running_variance"] = rng.random(6) + 0.1
    own["batch_norm.gamma"] = [1.0, -2.0, 0.5, 0.0, 3.0, 1.0]
    before, X = net.values.copy(), rng.normal(size=(4, 3))
    found = un.mc_dropout(net, X, samples=3)
    np.testing.assert_allclose(found.mean, net.predict(X), atol=1e-9)
    np.testing.assert_allclose(found.variance, 0, atol=1e-18)
    assert np.array_equal(net.values, before)


def test_amounts_come_in_their_units() -> None:
    data = nv.data.load("diabetes")
    layers = [
        nv.Input(10),
        nv.Dense(16, activation="relu"),
        nv.Dropout(0.3),
        nv.Dense(1),
    ]
    net = nv.Network(layers, seed=0)
    nv.fit(net, data, epochs=5, progress=False)
    names = [column.name for column in data.preprocessing.inputs.columns]
    rows = {name: np.linspace(-0.05, 0.05, 20) for name in names}
    found = un.mc_dropout(net, rows, samples=400)
    assert found.mean.shape == (20, 1)
    wrong = (found.mean - net.predict(rows)) / np.sqrt(found.variance / 400)
    assert np.abs(wrong).max() < 5


def test_classes_have_entropies(blobs, make_net) -> None:
    X, y = blobs
    net = make_net(rate=0.5)
    nv.fit(net, X, y, epochs=20, progress=False)
    far = np.array([[0.0, 0.0], [0.0, 3.0]], np.float32)
    found = un.mc_dropout(net, far, samples=100)
    assert found.mean.sum(axis=1) == pytest.approx(1.0)
    assert found.entropy[0] > found.entropy[1]
    assert (found.mutual_information >= 0).all()
    assert (found.entropy <= np.log(3) + 1e-9).all()


def test_estimators_have_dropout_too() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    layers = [nv.Dense(8, activation="relu"), nv.Dropout(0.2)]
    model = NeuralNetRegressor(layers, epochs=3, random_state=0).fit(X, X[:, 0])
    assert un.mc_dropout(model, X, samples=10).variance.min() > 0


@pytest.mark.parametrize("layer", [nv.SpatialDropout(0.5), nv.StochasticDepth(0.5)])
def test_every_layer_that_draws_counts(layer) -> None:
    layers = [nv.Input((2, 2, 3)), layer, nv.Flatten(), nv.Dense(1)]
    X = np.ones((4, 2, 2, 3), np.float32)
    found = un.mc_dropout(nv.Network(layers, seed=0), X, samples=20)
    assert found.variance.min() > 0


def test_networks_without_dropout_are_refused(make_net) -> None:
    with pytest.raises(ValueError, match=r"\[mc_dropout\] the network has no dropout"):
        un.mc_dropout(make_net(), [[0.0, 1.0]])
    with pytest.raises(
        ValueError, match=r"samples = 0; expected a whole number \(>= 1\)"
    ):
        un.mc_dropout(make_net(rate=0.1), [[0.0, 1.0]], samples=0)


def test_unknown_names_are_told() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'mc_drop'"):
        _ = un.mc_drop
    assert set(dir(un)) == set(un.__all__)
