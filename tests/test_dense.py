# SPDX-License-Identifier: BSD-3-Clause
"""Dense beyond the contract: batches that are smaller than the plan's, in every cut."""

from __future__ import annotations

from typing import Any

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
    monkeypatch.setattr("nervure.executors._planning.ARENA_BYTES", 10_000)
    np.testing.assert_allclose(trained(), whole, rtol=1e-12, atol=1e-14)


def test_a_loss_of_ones_own_sees_the_batch_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However little memory a pass is given: it may depend on all rows together."""
    seen: list[int] = []

    def loss(target: Any, output: Any) -> tuple[float, Any]:
        seen.append(len(output))
        spread = output - output.mean(axis=0)
        return float((spread**2).mean()), 2 * spread / output.size

    monkeypatch.setattr("nervure.executors._planning.ARENA_BYTES", 2_000)
    net = nv.Network([nv.Input(32), nv.Dense(3)], seed=1)
    x = np.random.default_rng(2).normal(size=(128, 32))
    how = {"epochs": 1, "batch_size": 64, "metrics": (), "progress": False}
    nv.fit(net, x, np.zeros((128, 3)), loss=loss, validation=None, **how)
    assert seen == [64, 64]


LARGE = [(300, 260, 150), (784, 100, 200), (256, 520, 90), (1100, 512, 530)]
"""Cut along the features in all products; the last is too long to look for zeros."""


@pytest.mark.parametrize(("features", "units", "batch"), LARGE)
@pytest.mark.parametrize("clip_norm", [None, 1e9])
@pytest.mark.parametrize("share", [1.0, 0.02])
def test_large_layers(
    features: int, units: int, batch: int, clip_norm: float | None, share: float
) -> None:
    """Two layers, two batches, the second small; some of the data 0. With a limit of the
    norm all gradients are written before the first update."""
    generator = np.random.default_rng(2)
    x = generator.normal(size=(batch + 9, features))
    x[:, generator.random(features) > share] = 0
    y = generator.normal(size=(batch + 9, 120))
    layers = [nv.Dense(units, activation="tanh"), nv.Dense(120)]
    net = nv.Network([nv.Input(features), *layers], seed=5, dtype="float64")
    values = [value.copy() for value in net.parameters.values()]
    rule = nv.SGD(0.02) if clip_norm is None else nv.SGD(0.02, clip_norm=clip_norm)
    nv.fit(
        net,
        x,
        y,
        loss="quadratic",
        optimizer=rule,
        epochs=1,
        batch_size=batch,
        shuffle=False,
        progress=False,
    )
    for rows in (slice(0, batch), slice(batch, None)):
        _step(values, x[rows], y[rows])
    for found, expected in zip(net.parameters.values(), values, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def _step(values: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> None:
    """One step down the quadratic cost of tanh(x W + b) V + c."""
    w, b, v, c = values
    hidden = np.tanh(x @ w + b)
    dz = (hidden @ v + c - y) / len(x)
    inner = (dz @ v.T) * (1 - hidden**2)
    gradients = (x.T @ inner, inner.sum(0), hidden.T @ dz, dz.sum(0))
    for value, gradient in zip(values, gradients, strict=True):
        value -= 0.02 * gradient


@pytest.mark.parametrize(("features", "units", "batch"), LARGE)
def test_early_updates_of_large_layers(features: int, units: int, batch: int) -> None:
    """Adam takes the gradients of some rows at a time, or all of them at the end."""
    generator = np.random.default_rng(3)
    x, y = (generator.normal(size=(batch, n)) for n in (features, 120))

    def trained(clip_norm: float | None) -> list[np.ndarray]:
        layers = [nv.Dense(units, activation="tanh"), nv.Dense(120)]
        net = nv.Network([nv.Input(features), *layers], seed=5, dtype="float64")
        rule = (
            nv.Adam(1e-3) if clip_norm is None else nv.Adam(1e-3, clip_norm=clip_norm)
        )
        nv.fit(
            net,
            x,
            y,
            loss="quadratic",
            optimizer=rule,
            epochs=3,
            batch_size=batch,
            progress=False,
        )
        return list(net.parameters.values())

    for early, late in zip(trained(None), trained(1e9), strict=True):
        np.testing.assert_allclose(early, late, rtol=1e-9, atol=1e-11)
