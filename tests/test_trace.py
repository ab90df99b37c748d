# SPDX-License-Identifier: BSD-3-Clause
"""Backpropagation by hand, and the check that finds a wrong gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nervure as nv


def logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@pytest.fixture
def net() -> nv.Network:
    """2-2-1, logistic: the weights of the worked example below."""
    layers = [
        nv.Input(2),
        nv.Dense(2, activation="logistic", name="hidden"),
        nv.Dense(1, activation="logistic", name="out"),
    ]
    net = nv.Network(layers, dtype="float64")
    net.parameters["hidden.weight"] = [[0.5, -0.25], [1.0, 0.75]]
    net.parameters["hidden.bias"] = [0.1, -0.2]
    net.parameters["out.weight"] = [[1.5], [-2.0]]
    net.parameters["out.bias"] = [0.3]
    return net


def test_every_quantity_of_a_2_2_1_net_by_hand(net: nv.Network) -> None:
    """x = (1, -1), y = 1, quadratic cost C = (a - y)^2 / 2."""
    z1 = [0.5 * 1 - 1.0 * 1 + 0.1, -0.25 * 1 - 0.75 * 1 - 0.2]  # (-0.4, -1.2)
    a1 = [logistic(z) for z in z1]  # (0.401312..., 0.231475...)
    z2 = 1.5 * a1[0] - 2.0 * a1[1] + 0.3
    a2 = logistic(z2)
    delta2 = (a2 - 1) * a2 * (1 - a2)
    delta1 = [
        delta2 * 1.5 * a1[0] * (1 - a1[0]),
        delta2 * -2.0 * a1[1] * (1 - a1[1]),
    ]
    t = net.trace([[1.0, -1.0]], [[1.0]], loss="quadratic")
    exact = {"rtol": 1e-13, "atol": 0}
    np.testing.assert_allclose(z1, [-0.4, -1.2])
    np.testing.assert_allclose(t["hidden"].z, [z1], **exact)
    np.testing.assert_allclose(t["hidden"].a, [a1], **exact)
    np.testing.assert_allclose(t["hidden"].a, [[0.401312339888, 0.231475216501]])
    np.testing.assert_allclose(t["out"].z, [[z2]], **exact)
    np.testing.assert_allclose(t["out"].z, [[0.439018076831]], rtol=1e-11)
    np.testing.assert_allclose(t["out"].a, [[a2]], **exact)
    np.testing.assert_allclose(t["out"].delta, [[delta2]], **exact)
    np.testing.assert_allclose(t["hidden"].delta, [delta1], **exact)
    weight = t["out"].gradient["weight"]
    np.testing.assert_allclose(weight, [[a1[0] * delta2], [a1[1] * delta2]], **exact)
    np.testing.assert_allclose(t["out"].gradient["bias"], [delta2], **exact)
    below = [[delta1[0], delta1[1]], [-delta1[0], -delta1[1]]]
    np.testing.assert_allclose(t["hidden"].gradient["weight"], below, **exact)
    np.testing.assert_allclose(t["hidden"].gradient["bias"], delta1, **exact)
    assert t.loss == pytest.approx((a2 - 1) ** 2 / 2, rel=1e-14)


def test_a_batch_is_the_mean_of_its_rows(net: nv.Network) -> None:
    X, y = [[1.0, -1.0], [0.5, 2.0], [-3.0, 0.0]], [[1.0], [0.0], [1.0]]
    whole = net.trace(X, y, loss="quadratic")
    rows = [net.trace([x], [t], loss="quadratic") for x, t in zip(X, y, strict=True)]
    assert whole.loss == pytest.approx(np.mean([row.loss for row in rows]))
    for name in ("hidden", "out"):
        mean = sum(row[name].gradient["weight"] for row in rows) / 3
        np.testing.assert_allclose(whole[name].gradient["weight"], mean, rtol=1e-12)
        deltas = np.concatenate([row[name].delta for row in rows]) / 3
        np.testing.assert_allclose(whole[name].delta, deltas, rtol=1e-12)


def test_sample_weights_weigh_the_rows(net: nv.Network) -> None:
    X, y = [[1.0, -1.0], [0.5, 2.0]], [[1.0], [0.0]]
    weighted = net.trace(X, y, loss="quadratic", sample_weight=[3.0, 1.0])
    repeated = net.trace([X[0]] * 3 + [X[1]], [y[0]] * 3 + [y[1]], loss="quadratic")
    assert weighted.loss == pytest.approx(repeated.loss, rel=1e-14)
    found, expected = weighted["hidden"].gradient, repeated["hidden"].gradient
    np.testing.assert_allclose(found["weight"], expected["weight"], rtol=1e-12)


def test_softmax_and_cross_entropy_give_a_minus_y() -> None:
    net = nv.Network([nv.Input(3), nv.Dense(3, activation="softmax")], seed=2)
    t = net.trace([[1.0, 2.0, 3.0]], [1])
    expected = t["dense"].a - np.array([[0, 1, 0]])
    np.testing.assert_allclose(t["dense"].delta, expected, rtol=1e-5)
    assert t.loss == pytest.approx(-math.log(t["dense"].a[0, 1]), rel=1e-5)


def test_without_targets_there_are_values_alone(net: nv.Network) -> None:
    t = net.trace([[1.0, -1.0]])
    assert math.isnan(t.loss)
    assert t["hidden"].delta is None
    assert t["hidden"].gradient == {}
    assert list(t) == ["input", "hidden", "out"]
    assert len(t) == 3
    np.testing.assert_allclose(t["hidden"].z, [[-0.4, -1.2]])


def test_tracing_changes_no_parameter(net: nv.Network) -> None:
    before = net.values.copy()
    net.trace([[1.0, -1.0]], [[1.0]])
    np.testing.assert_array_equal(net.values, before)


def test_a_trace_is_a_copy(net: nv.Network) -> None:
    t = net.trace([[1.0, -1.0]], [[1.0]])
    kept = t["hidden"].gradient["weight"].copy(), t["hidden"].a.copy()
    net.trace([[5.0, 5.0]], [[0.0]])
    np.testing.assert_array_equal(t["hidden"].gradient["weight"], kept[0])
    np.testing.assert_array_equal(t["hidden"].a, kept[1])


def test_an_unknown_layer_lists_the_layers(net: nv.Network) -> None:
    with pytest.raises(KeyError) as caught:
        net.trace([[1.0, -1.0]])["hiden"]
    assert caught.value.args[0] == (
        "[trace] unknown layer 'hiden'; did you mean 'hidden'? "
        "Known: hidden, input, out"
    )


def test_a_trace_shows_itself(net: nv.Network) -> None:
    text = repr(net.trace([[1.0, -1.0]], [[1.0]], loss="quadratic"))
    assert text.startswith("<trace, loss 0.0")
    assert "hidden: z (1, 2), a (1, 2), |delta| 0.0" in text


# -- checking gradients ----------------------------------------------------------------


def test_right_gradients_pass(net: nv.Network) -> None:
    check = nv.check_gradients(net, [[1.0, -1.0], [0.2, 0.4]], [[1.0], [0.0]])
    assert check.passed
    assert check.error < 1e-8
    assert check.checked == 9
    assert "agree" in repr(check)


@pytest.mark.parametrize(
    "loss", ["cross_entropy", "mse", "focal", "kl", "cosine", "mae", "huber"]
)
def test_deep_nets_pass_under_every_loss(loss: str) -> None:
    x = nv.Input(4)
    h = nv.Dense(6, activation="gelu")(x)
    h = nv.Concatenate()(h, nv.Dense(3, activation="tanh")(x))
    y = nv.Dense(3, activation="softmax")(nv.Add()(nv.Dense(5)(h), nv.Dense(5)(x)))
    net = nv.Network(inputs=x, outputs=y, seed=4)
    rng = np.random.default_rng(1)
    X = rng.normal(size=(6, 4))
    t = rng.dirichlet(np.ones(3), 6) if loss == "kl" else np.eye(3)[[0, 1, 2, 0, 1, 2]]
    target = [0, 1, 2, 0, 1, 2] if loss in ("cross_entropy", "focal") else t
    check = nv.check_gradients(
        net, X, target, loss=loss, sample_weight=[1, 2, 1, 0.5, 1, 1]
    )
    assert check.passed, check


def wrong(factor: np.ndarray):
    def loss(output: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        difference = output - target
        value = float((difference**2).sum() / len(output))
        return value, 2 * difference * factor / len(output)

    return loss


def test_a_planted_bug_is_found_and_named() -> None:
    """The gradient of the second output is 1 % off: it is the out layer's column 1."""
    net = nv.Network([nv.Input(3), nv.Dense(2, name="out")], seed=0)
    X, y = np.random.default_rng(0).normal(size=(8, 3)), np.zeros((8, 2))
    assert nv.check_gradients(net, X, y, loss=wrong(np.array([1.0, 1.0]))).passed
    check = nv.check_gradients(net, X, y, loss=wrong(np.array([1.0, 1.01])))
    assert not check.passed
    assert check.error == pytest.approx(0.01 / 1.01, rel=1e-3)
    assert check.worst.startswith(("out.weight[", "out.bias[1]"))
    assert check.worst.endswith("1]")
    assert "DISAGREE" in repr(check)
    assert check.worst in repr(check)


def test_a_gradient_that_is_nan_fails() -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1)])
    net.parameters["dense.weight"] = [[np.nan]]
    assert not nv.check_gradients(net, [[1.0]], [[1.0]], loss="mse").passed


def test_checking_leaves_the_network_alone(net: nv.Network) -> None:
    before = net.values.copy()
    nv.check_gradients(net, [[1.0, -1.0]], [[1.0]])
    np.testing.assert_array_equal(net.values, before)
