# SPDX-License-Identifier: BSD-3-Clause
"""BatchNorm in training: statistics of the batch, running ones, both executors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data, Model, _planning
from nervure.executors.native import NativeExecutor
from nervure.executors.plan import Extent, Room
from nervure.layers import BatchNorm, LayerError, Pass
from nervure.network.inputs import make_data

SHAPE = (3, 2, 70)
ROWS = 40


def network(dtype: str = "float64") -> nv.Network:
    layers = [
        nv.Input(SHAPE),
        BatchNorm(epsilon=1e-3, momentum=0.8),
        nv.Flatten(),
        nv.Dense(2),
    ]
    net = nv.Network(layers, seed=3, dtype=dtype)
    rng = np.random.default_rng(1)
    for name in ("gamma", "beta", "running_mean"):
        net.parameters[f"batch_norm.{name}"] = rng.normal(size=70)
    return net


def data(net: nv.Network) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(ROWS, *SHAPE)) * 3 + 100 * np.arange(70)
    return x.astype(net.dtype), rng.normal(size=(ROWS, 2)).astype(net.dtype)


def run_training(net: nv.Network, executor: str = "native", **more: Any) -> Any:
    x, y = data(net)
    options = {"epochs": 2, "batch_size": 16, "metrics": [], "progress": False, **more}
    return nv.fit(
        net, x, y, loss="mse", optimizer=nv.SGD(0.01), executor=executor, **options
    )


def test_a_step_by_hand() -> None:
    """Two rows, one feature: mean 2, variance 1 (unbiased 2), outputs -1 and 1."""
    net = nv.Network([nv.Input(1), BatchNorm(epsilon=1e-12)], dtype="float64")
    nv.fit(
        net, [[1.0], [3.0]], [[0.0], [0.0]], loss="mse", optimizer=nv.SGD(0.25),
        epochs=1, batch_size=2, metrics=[], progress=False, shuffle=False,
    )  # fmt: skip
    # C = mean y^2 = gamma^2 + beta^2: dgamma = 2, dbeta = 0.
    own = {name.split(".")[1]: float(v[0]) for name, v in net.parameters.items()}
    assert own == pytest.approx(
        {"gamma": 0.5, "beta": 0, "running_mean": 0.2, "running_variance": 0.9 + 0.2}
    )
    assert net.forward([[0.2]])[0, 0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_training_computes_the_formula(dtype: str) -> None:
    net = network(dtype)
    x, _ = data(net)
    graph = nv.Network([nv.Input(SHAPE), BatchNorm(1e-3, 0.8)], dtype=dtype)
    for name in graph.parameters:
        graph.parameters[name] = net.parameters[name]
    model = Model(graph.graph, graph.layout, graph.values, graph.gradients)
    executor = NativeExecutor(model)
    held = executor._take(("infer", Extent(ROWS), None), Room())
    out = np.empty(x.shape, dtype)
    arrays = executor.hold(Data((x,)))
    own = {k.split(".")[1]: v.astype(float) for k, v in graph.parameters.items()}
    held.forward(1, arrays, None, 0, ROWS, True, 0, 0, [out.reshape(-1)], None)
    layer = BatchNorm(1e-3, 0.8)
    wide = x.astype(float)
    expected = layer.formula(np, own, wide, info=Pass(training=True))
    tolerance = 1e-10 if dtype == "float64" else 2e-2  # deviation 3 at 7000
    np.testing.assert_allclose(out, expected, atol=tolerance)
    moved = layer.state_updates(np, own, wide)
    for name, value in moved.items():
        found = graph.parameters[f"batch_norm.{name}"]
        np.testing.assert_allclose(
            found, value, rtol=1e-3 if dtype == "float32" else 1e-9
        )


def test_training_is_that_of_jax() -> None:
    pytest.importorskip("jax")
    one, other = network(), network()
    run_training(one)
    run_training(other, "jax")
    for name in one.parameters:
        np.testing.assert_allclose(
            one.parameters[name], other.parameters[name], rtol=1e-8, atol=1e-10
        )
    assert (one.parameters["batch_norm.running_variance"] != 1).all()


@pytest.mark.usefixtures("everywhere")
def test_threads_change_no_bit() -> None:
    found = []
    for threads in (1, 2, 4):
        net = network("float32")
        run_training(net, threads=threads)
        found.append(net.values.tobytes())
    assert found[0] == found[1] == found[2]


def test_a_batch_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = network(), network()
    run_training(one)
    monkeypatch.setattr("nervure.executors._planning.ARENA_BYTES", 1000)
    run_training(other)
    assert one.values.tobytes() == other.values.tobytes()


def test_evaluation_is_cut_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = network(), network()
    x, y = data(one)
    whole = one.forward(x), one.evaluate(x, y, loss="mse")
    monkeypatch.setitem(_planning.CACHE_BYTES, "infer", 1000)
    parts = other.forward(x), other.evaluate(x, y, loss="mse")
    assert other.executor().planning.that_fits("infer", ROWS, None).rows < ROWS
    np.testing.assert_array_equal(parts[0], whole[0])
    assert parts[1] == whole[1]


def test_evaluation_moves_nothing() -> None:
    net = network()
    x, y = data(net)
    before = net.values.copy()
    net.forward(x)
    net.trace(x, y, loss="mse")
    net.evaluate(x, y, loss="mse")
    np.testing.assert_array_equal(net.values, before)


def test_a_batch_that_is_not_finite_moves_nothing() -> None:
    net = network()
    x = data(net)[0]
    x[0, 0, 0, 0] = np.inf
    before = net.parameters["batch_norm.running_mean"].copy()
    layer = BatchNorm(momentum=0.8)
    own = {
        k.split(".")[1]: np.array(v) for k, v in net.parameters.items() if "norm" in k
    }
    with np.errstate(invalid="ignore"):
        moved = layer.state_updates(np, own, x)
    assert moved["running_mean"][0] == before[0]
    assert (moved["running_mean"][1:] != before[1:]).all()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: BatchNorm(epsilon=0),
            "[batch_norm] epsilon = 0; use a number above 0",
        ),
        (
            lambda: BatchNorm(momentum=1.0),
            "[batch_norm] momentum = 1.0; use a number in [0, 1)",
        ),
        (
            lambda: BatchNorm().output_shape(()),
            "[batch_norm] input of shape (), expected (..., features); give every "
            "sample at least one feature",
        ),
    ],
)
def test_errors_name_place_fact_and_remedy(make: Any, text: str) -> None:
    with pytest.raises(LayerError, match=f"^{re.escape(text)}$"):
        make()


# -- batches that are too small ----------------------------------------------------------


@pytest.mark.parametrize("executor", ["native", "jax"])
def test_a_last_batch_of_one_row_leaves_the_running_statistics(executor: str) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    X = np.random.default_rng(3).normal(size=(129, 1)).astype(np.float32)
    net = nv.Network([nv.Input(1), nv.BatchNorm(momentum=0.5), nv.Dense(1)], seed=1)
    nv.fit(
        net, X, X[:, 0], loss="mse", epochs=12, batch_size=64, progress=False, seed=2,
        optimizer=nv.SGD(1e-9), executor=executor,
    )  # fmt: skip
    variance = net.parameters["batch_norm.running_variance"][0]
    assert variance == pytest.approx(X.var(ddof=1), rel=0.1)


def test_a_row_alone_is_normalized_by_the_running_statistics() -> None:
    net = nv.Network([nv.Input(2), nv.BatchNorm()], seed=1, dtype="float64")
    net.parameters["batch_norm.running_mean"][...] = [1.0, 2.0]
    net.parameters["batch_norm.running_variance"][...] = [4.0, 9.0]
    layer = nv.BatchNorm()
    own = {name.partition(".")[2]: value for name, value in net.parameters.items()}
    x = np.array([[3.0, 5.0]])
    training = layer.formula(np, own, x, info=Pass(training=True))
    np.testing.assert_allclose(training, [[1.0, 1.0]], rtol=1e-5)
    for name, value in layer.state_updates(np, own, x).items():
        assert (value == own[name]).all()
    objective = net.objective("mse")
    data = make_data(net, x, [[0.0, 0.0]], objective)
    cost = net.executor().gradient(data, objective, training=True)
    assert cost == pytest.approx((training**2).mean())
    assert net.parameters["batch_norm.running_mean"].tolist() == [1.0, 2.0]


def test_batches_of_one_row_are_refused() -> None:
    given: dict[str, Any] = {"loss": "mse", "epochs": 1, "progress": False}
    net = nv.Network([nv.Input(2), nv.BatchNorm(), nv.Dense(1)])
    X, y = np.random.default_rng(0).random((5, 2)), np.arange(5.0)
    with pytest.raises(nv.LayerError, match=r"\[batch_norm\] batches of 1 row; expect"):
        nv.fit(net, X, y, batch_size=1, **given)
    net.freeze("batch_norm")
    nv.fit(net, X, y, batch_size=1, **given)
    maps = nv.Network([nv.Input((2, 1, 1)), nv.BatchNorm(), nv.Flatten(), nv.Dense(1)])
    nv.fit(maps, X, y, batch_size=1, **given)
