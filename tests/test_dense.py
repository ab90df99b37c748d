# SPDX-License-Identifier: BSD-3-Clause
"""Dense beyond the contract: batches that are smaller than the plan's, in every cut."""

from __future__ import annotations

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data, Model
from nervure.executors.native import NativeExecutor

SIZES = [(600, 10), (600, 64), (784, 30), (40, 100), (100, 300)]
"""Few units of many features are cut along the features, others along the output."""

BATCHES = [64, 256]
"""The gradients of the longer one are the sum of two halves where W is small."""


def executor(net: nv.Network, threads: int) -> NativeExecutor:
    model = Model(net.graph, net.layout, net.values, net.gradients)
    return NativeExecutor(model, threads)


@pytest.mark.parametrize(("features", "units"), SIZES)
@pytest.mark.parametrize("rows", [128 + 1, 128 + 20, 128 + 32, 128 + 33])
def test_last_stretch_is_smaller_than_the_plan(
    features: int, units: int, rows: int
) -> None:
    net = nv.Network([nv.Input(features), nv.Dense(units)], seed=3, dtype="float64")
    x = np.random.default_rng(0).normal(size=(rows, features))
    expected = x @ net.parameters["dense.weight"] + net.parameters["dense.bias"]
    for threads in (1, 2):
        (found,) = executor(net, threads).outputs(Data((x,)), batch_size=128)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("features", "units"), SIZES)
@pytest.mark.parametrize("rows", [1, 7, 20, 33])
@pytest.mark.parametrize("batch", BATCHES)
def test_one_step_on_a_partial_batch(
    features: int, units: int, rows: int, batch: int
) -> None:
    """Two batches of one epoch, the second partial: two steps of plain SGD by hand."""
    generator = np.random.default_rng(1)
    x = generator.normal(size=(batch + rows, features))
    y = generator.normal(size=(batch + rows, units))
    net = nv.Network([nv.Input(features), nv.Dense(units)], seed=5, dtype="float64")
    w, b = net.parameters["dense.weight"].copy(), net.parameters["dense.bias"].copy()
    nv.fit(
        net,
        x,
        y,
        loss="quadratic",
        optimizer=nv.SGD(0.01),
        epochs=1,
        batch_size=batch,
        shuffle=False,
        progress=False,
    )
    for part in (slice(0, batch), slice(batch, None)):
        delta = (x[part] @ w + b - y[part]) / len(x[part])
        w, b = w - 0.01 * x[part].T @ delta, b - 0.01 * delta.sum(axis=0)
    np.testing.assert_allclose(
        net.parameters["dense.weight"], w, rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(net.parameters["dense.bias"], b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sizes", [(64, 100, 10), (30, 60, 90), (8, 300, 20)])
@pytest.mark.parametrize("rows", [199, 200])
def test_gradients_of_long_batches(
    threads: int, sizes: tuple[int, int, int], rows: int
) -> None:
    """Backpropagation by hand through two layers: weights, biases and what passes."""
    features, hidden, units = sizes
    generator = np.random.default_rng(4)
    x = generator.normal(size=(rows, features))
    y = generator.normal(size=(rows, units))
    layers = [nv.Input(features), nv.Dense(hidden, activation="tanh"), nv.Dense(units)]
    net = nv.Network(layers, seed=2, dtype="float64")
    before = {name: value.copy() for name, value in net.parameters.items()}
    settings = {"batch_size": rows, "threads": threads, "progress": False}
    rule = nv.SGD(1.0)
    nv.fit(net, x, y, loss="quadratic", optimizer=rule, epochs=1, **settings)
    taken = {name: before[name] - value for name, value in net.parameters.items()}
    a = np.tanh(x @ before["dense.weight"] + before["dense.bias"])
    delta = (a @ before["dense_1.weight"] + before["dense_1.bias"] - y) / rows
    below = delta @ before["dense_1.weight"].T * (1 - a * a)
    expected = {
        "dense.weight": x.T @ below,
        "dense.bias": below.sum(axis=0),
        "dense_1.weight": a.T @ delta,
        "dense_1.bias": delta.sum(axis=0),
    }
    for name, gradient in expected.items():
        np.testing.assert_allclose(taken[name], gradient, rtol=1e-9, atol=1e-11)


def test_dropout_masks_do_not_repeat_between_passes_of_one_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch that the arena takes in several passes gives the bits of one pass."""
    x = np.random.default_rng(2).normal(size=(64, 32))
    y = np.random.default_rng(3).normal(size=(64, 3))

    def trained() -> np.ndarray:
        layers = [nv.Input(32), nv.Dropout(0.5), nv.Dense(3)]
        net = nv.Network(layers, seed=1, dtype="float64")
        nv.fit(
            net, x, y, optimizer=nv.SGD(0.1), batch_size=50, epochs=3, progress=False
        )
        return net.values.copy()

    whole = trained()
    monkeypatch.setattr("nervure.executors.native.ARENA_BYTES", 10_000)
    np.testing.assert_allclose(trained(), whole, rtol=1e-12, atol=1e-14)
