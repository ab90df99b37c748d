# SPDX-License-Identifier: BSD-3-Clause
"""EnsembleDense, EnsembleMean, PeriodicEmbedding: values by hand, losses of members."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.graph.objective import Objective
from nervure.layers import INFERENCE, LayerError
from nervure.losses import CrossEntropy
from nervure.network.inputs import make_data

ROWS = 6


def ensemble(outputs: int, activation: str | None, seed: int = 3) -> nv.Network:
    """Four members, each with numbers of its own in every layer."""
    layers = [
        nv.Input(5),
        nv.EnsembleDense(7, 4, activation="tanh"),
        nv.EnsembleDense(outputs, 4, activation=activation),
        nv.EnsembleMean(),
    ]
    net = nv.Network(layers, seed=seed, dtype="float64")
    net.values[:] = np.random.default_rng(seed).normal(size=net.values.size)
    return net


def rows(seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(ROWS, 5))


def member(net: nv.Network, which: int) -> nv.Network:
    """One member as a network of its own: the shared weights times its scales."""
    last = net.graph.nodes[net.graph.outputs[0] - 1]
    ending = last.layer.function if last.layer.kind == "activation" else None
    ending = "softmax" if last.layer.kind == "softmax" else ending
    units = net.parameters["ensemble_dense_1.weight"].shape[1]
    layers = [nv.Input(5), nv.Dense(7, activation="tanh"), nv.Dense(units, ending)]
    own = nv.Network(layers, dtype="float64")
    for end in ("", "_1"):
        part = {
            name: net.parameters[f"ensemble_dense{end}.{name}"]
            for name in ("weight", "input_scale", "output_scale", "bias")
        }
        scale = np.outer(part["input_scale"][which], part["output_scale"][which])
        own.parameters[f"dense{end}.weight"] = part["weight"] * scale
        own.parameters[f"dense{end}.bias"] = part["bias"][which]
    return own


# -- layers by hand --------------------------------------------------------------------


def test_members_share_a_weight_up_to_rank_one() -> None:
    layers = [nv.Input(2), nv.EnsembleDense(1, 2), nv.EnsembleMean()]
    net = nv.Network(layers, dtype="float64")
    net.parameters["ensemble_dense.weight"] = [[3.0], [5.0]]
    net.parameters["ensemble_dense.input_scale"] = [[1.0, 1.0], [-1.0, 1.0]]
    net.parameters["ensemble_dense.output_scale"] = [[1.0], [2.0]]
    net.parameters["ensemble_dense.bias"] = [[0.0], [10.0]]
    trace = net.trace([[1.0, 2.0]])
    assert trace["ensemble_dense"].a.tolist() == [[[13.0], [24.0]]]
    assert net.forward([[1.0, 2.0]]).tolist() == [[18.5]]


def test_an_ensemble_begins_with_signs_and_goes_on_with_ones() -> None:
    net = nv.Network(
        [nv.Input(50), nv.EnsembleDense(3, 8), nv.EnsembleDense(2, 8)], seed=1
    )
    first = net.parameters["ensemble_dense.input_scale"]
    assert set(np.unique(first)) == {-1.0, 1.0}
    assert 0.4 < (first > 0).mean() < 0.6
    assert (net.parameters["ensemble_dense_1.input_scale"] == 1).all()
    assert (net.parameters["ensemble_dense.output_scale"] == 1).all()


def test_a_wave_by_hand() -> None:
    layer = nv.PeriodicEmbedding(width=2, frequencies=1)
    parameters = {
        "frequency": np.array([[np.pi / 2]]),
        "phase": np.array([[0.0]]),
        "weight": np.array([[[3.0]]]),
        "bias": np.array([[0.5]]),
    }
    x = np.array([[0.0], [1.0], [2.0]])
    y = layer.formula(np, parameters, x, info=INFERENCE)
    np.testing.assert_allclose(y[:, 0], [[0, 3.5], [1, 0.5], [2, -2.5]], atol=1e-15)


def test_numbers_far_from_zero_stay_bounded() -> None:
    layers = [nv.Input(1), nv.PeriodicEmbedding(4), nv.Flatten()]
    y = nv.Network(layers, seed=0).forward([[3e37], [-3e37], [1e9]])
    assert np.isfinite(y).all()
    assert np.abs(y[:, 1:]).max() < 16


# -- losses ----------------------------------------------------------------------------

CASES: list[tuple[str, int, str | None, Any]] = [
    ("cross_entropy", 3, "softmax", np.array([0, 2, 1, 1, 0, 2])),
    ("binary_cross_entropy", 1, "logistic", np.array([0.0, 1, 1, 0, 0, 1])),
    ("mse", 2, None, np.random.default_rng(5).normal(size=(ROWS, 2))),
]


@pytest.mark.parametrize(("loss", "outputs", "activation", "y"), CASES)
def test_each_member_has_a_cost_of_its_own(
    loss: str, outputs: int, activation: str | None, y: Any
) -> None:
    net, X = ensemble(outputs, activation), rows()
    alone = [member(net, m) for m in range(4)]
    costs = [one.evaluate(X, y, loss=loss)["loss"] for one in alone]
    found = net.evaluate(X, y)["loss"]  # the loss that fits the members' output
    np.testing.assert_allclose(found, np.mean(costs), rtol=1e-13)
    mean = np.mean([one.forward(X) for one in alone], axis=0)
    np.testing.assert_allclose(net.forward(X), mean, rtol=1e-12)


@pytest.mark.parametrize(("loss", "outputs", "activation", "y"), CASES)
def test_gradients_of_members(
    loss: str, outputs: int, activation: str | None, y: Any
) -> None:
    check = nv.check_gradients(ensemble(outputs, activation), rows(), y, loss=loss)
    assert check.passed, check


@pytest.mark.parametrize(("loss", "outputs", "activation", "y"), CASES)
def test_jax_agrees(loss: str, outputs: int, activation: str | None, y: Any) -> None:
    pytest.importorskip("jax")
    net, X = ensemble(outputs, activation).astype("float32"), rows()
    objective = net.objective(loss)
    data = make_data(net, X, y, objective)
    costs = [net.executor(n).gradient(data, objective) for n in ("native", "jax")]
    np.testing.assert_allclose(*costs, rtol=2e-6)
    _, native = net.executor("native").row_costs(data, objective)
    _, other = net.executor("jax").row_costs(data, objective)
    np.testing.assert_allclose(native, other, rtol=1e-5)


def test_a_weighted_smoothed_loss_counts_members_once() -> None:
    net, X = ensemble(3, "softmax"), rows()
    y, weights = np.array([0, 1, 2, 0, 1, 2]), np.arange(1.0, 7)
    loss = CrossEntropy(label_smoothing=0.1)
    alone = [
        member(net, m).evaluate(X, y, loss=loss, sample_weight=weights)["loss"]
        for m in range(4)
    ]
    found = net.evaluate(X, y, loss=loss, sample_weight=weights)["loss"]
    np.testing.assert_allclose(found, np.mean(alone), rtol=1e-13)


def test_a_loss_of_ones_own_sees_the_mean() -> None:
    net, X = ensemble(1, None), rows()
    seen: list[tuple[int, ...]] = []

    def loss(output: Any, target: Any) -> tuple[float, Any]:
        seen.append(output.shape)
        return float(((output - target) ** 2).mean()), 2 * (output - target) / ROWS

    found = net.evaluate(X, np.zeros(ROWS), loss=loss)["loss"]
    assert seen == [(ROWS, 1)]
    np.testing.assert_allclose(found, (net.forward(X) ** 2).mean())


@pytest.mark.parametrize("executor", ["native", "jax"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_each_step_is_a_cost_of_each_member(loss: str, executor: str) -> None:
    """Along time too: the mean over members, of the sum over a row's steps."""
    if executor == "jax":
        pytest.importorskip("jax")
    end = "softmax" if loss == "cross_entropy" else None
    layers = [nv.Input((None, 5)), nv.EnsembleDense(3, 4, end), nv.EnsembleMean()]
    net = nv.Network(layers, seed=1, dtype="float64")
    net.values[:] = np.random.default_rng(2).normal(size=net.values.size)
    X = [rows(seed)[:count] for seed, count in enumerate((6, 1, 3))]
    steps = np.concatenate(X)
    alone = (net.trace([x])["ensemble_dense"].a[0] for x in steps[:, None])
    said = np.concatenate([*alone])
    if loss == "cross_entropy":
        y: Any = [np.arange(len(x)) % 3 for x in X]
        labels = np.concatenate(y)
        each = -np.log(said[np.arange(10), :, labels]).mean(axis=1)
    else:
        y = [x[:, :3] for x in X]
        each = ((said - np.concatenate(y)[:, None]) ** 2).mean(axis=(1, 2))
    objective = Objective.of(net.graph, [loss])
    data = make_data(net, X, y, objective)
    costs = net.executor(executor).row_costs(data, objective)[1]
    sums = np.add.reduceat(each, [0, 6, 7]) * 3 / 10  # as many as rows on average
    np.testing.assert_allclose(costs, sums, rtol=1e-12)
    if executor == "native":
        assert nv.check_gradients(net, X, y, loss=loss).passed


def test_places_of_one_answer_have_no_members() -> None:
    layers = [
        *(nv.Input(5), nv.EnsembleDense(6, 4), nv.Reshape((4, 2, 3))),
        *(nv.Softmax(), nv.EnsembleMean()),
    ]
    with pytest.raises(ValueError, match="is the mean of 4 members; expected one answ"):
        Objective.of(nv.Network(layers).graph, ["cross_entropy"])


def test_an_ensemble_beside_another_output() -> None:
    x = nv.Input(5)
    members = nv.EnsembleDense(3, 4, activation="softmax")(x)
    net = nv.Network(inputs=x, outputs=[nv.EnsembleMean()(members), nv.Dense(1)(x)])
    costs = Objective.of(net.graph, ["cross_entropy", "mse"]).costs
    assert [cost.members for cost in costs] == [4, 1]


def test_members_learn_apart() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    layers = [
        nv.Input(2),
        nv.EnsembleDense(16, 8, activation="relu"),
        nv.EnsembleDense(2, 8, activation="softmax"),
        nv.EnsembleMean(),
    ]
    net = nv.Network(layers, seed=0)
    nv.fit(net, X, y, optimizer=nv.Adam(0.02), epochs=40, progress=False)
    assert net.evaluate(X, y)["accuracy"] > 0.95
    said = net.trace(X)["ensemble_dense_1"].a
    assert said.std(axis=1).max() > 0.05


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: nv.EnsembleDense(0, 4),
            "[ensemble_dense] units = 0; use at least 1 as units",
        ),
        (
            lambda: nv.EnsembleDense(4, 2).output_shape((3, 8)),
            "[ensemble_dense] input of shape (3, 8), expected (features,) or (2, "
            "features); put nv.Flatten() before it, or give every layer as many "
            "members",
        ),
        (
            lambda: nv.EnsembleMean().output_shape((8,)),
            "[ensemble_mean] input of shape (8,), expected (members, ...); put "
            "nv.EnsembleDense layers before it",
        ),
        (
            lambda: nv.PeriodicEmbedding(1),
            "[periodic_embedding] width = 1; use at least 2 as width",
        ),
        (
            lambda: nv.PeriodicEmbedding().output_shape((2, 2)),
            "[periodic_embedding] input of shape (2, 2), expected (features,); put "
            "nv.Flatten() before it",
        ),
    ],
)
def test_errors_name_the_remedy(make: Any, text: str) -> None:
    with pytest.raises(LayerError, match=re.escape(text)):
        make()
