# SPDX-License-Identifier: BSD-3-Clause
"""BatchNorm folded into the layer before it when a network predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data, Model
from nervure.executors._folding import Folding, foldable
from nervure.executors.native import NativeExecutor

BatchNorm = nv.BatchNorm


def randomized(net: nv.Network) -> nv.Network:
    """Parameters far from their beginnings, variances above 0."""
    rng = np.random.default_rng(4)
    for name, view in net.parameters.items():
        view[...] = rng.normal(size=view.shape) * 0.5
        if name.endswith("variance"):
            view[...] = rng.uniform(0.2, 3, view.shape)
    return net


def rows_of(net: nv.Network, count: int = 50) -> np.ndarray:
    (shape,) = net.graph.input_shapes
    return np.random.default_rng(1).normal(size=(count, *shape)).astype(net.dtype)


def both(net: nv.Network, x: np.ndarray, monkeypatch: Any) -> list[np.ndarray]:
    """What the network gives with folded weights and without."""
    found: list[np.ndarray] = []
    for worth in (0, 10**9):
        monkeypatch.setattr("nervure.executors._folding.WORTH", worth)
        model = Model(net.graph, net.layout, net.values, net.gradients)
        found += NativeExecutor(model).outputs(Data((x,)))
    return found


CASES = {
    "dense": ((5,), [nv.Dense(4), BatchNorm(), nv.Activation("relu")]),
    "dense without bias": ((5,), [nv.Dense(4, bias=False), BatchNorm(epsilon=0.1)]),
    "conv": ((6, 5, 3), [nv.Conv2D(8, 3, 2, padding="same"), BatchNorm()]),
    "no bias": ((6, 5, 3), [nv.Conv2D(4, 3, bias=False), BatchNorm(), nv.MaxPool2D(2)]),
    "groups": ((6, 5, 4), [nv.Conv2D(8, 3, groups=2), BatchNorm()]),
    "depthwise": ((6, 5, 4), [nv.DepthwiseConv2D(3, depth_multiplier=2), BatchNorm()]),
    "separable": ((6, 5, 4), [nv.SeparableConv2D(6, 3), BatchNorm()]),
    "sequence": ((9, 4), [nv.Conv1D(3, 3, padding="causal"), BatchNorm()]),
    "volume": ((3, 4, 3, 2), [nv.Conv3D(3, 2), BatchNorm()]),
    "transposed": ((3, 3, 2), [nv.Conv2DTranspose(3, 3, stride=2), BatchNorm()]),
    "transposed groups": (
        (3, 3, 4), [nv.Conv2DTranspose(6, 2, groups=2, bias=False), BatchNorm()],
    ),
    "several": (
        (6, 5, 3),
        [nv.Conv2D(4, 3), BatchNorm(), nv.Activation("relu"), nv.Conv2D(4, 2),
         BatchNorm(), BatchNorm(), nv.Flatten(), nv.Dense(3), BatchNorm()],
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_folding_changes_no_output(case: str, dtype: str, monkeypatch: Any) -> None:
    shape, layers = CASES[case]
    net = randomized(nv.Network([nv.Input(shape), *layers], dtype=dtype))
    assert foldable(net.graph)
    before = net.values.copy()
    folded, plain = both(net, rows_of(net), monkeypatch)
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(folded, plain, rtol=tolerance, atol=tolerance)
    assert (folded != plain).any()  # another order of rounding: it was folded
    np.testing.assert_array_equal(net.values, before)


def test_a_dense_layer_by_hand() -> None:
    """z = 2 x + 1, mean 3, deviation 2, gamma 4, beta 5: y = 4 x + 1."""
    net = nv.Network([nv.Input(1), nv.Dense(1), BatchNorm(epsilon=1.0)])
    numbers = {"dense.weight": 2, "dense.bias": 1}
    numbers |= {"batch_norm.gamma": 4, "batch_norm.beta": 5}
    numbers |= {"batch_norm.running_mean": 3, "batch_norm.running_variance": 3}
    for name, number in numbers.items():
        net.parameters[name][...] = number
    model = Model(net.graph, net.layout, net.values, net.gradients)
    folding = Folding(model, {2: 1})
    folding.fill(net.values)
    names = [(s.name, float(s.view(folding.model.values).item()))
             for s in folding.model.layout.segments]  # fmt: skip
    assert names == [("dense.weight", 4.0), ("dense.bias", 1.0)]


def residual() -> nv.Network:
    x = nv.Input((6, 6, 4))
    h = nv.Activation("relu")(BatchNorm()(nv.Conv2D(4, 3, padding=1, bias=False)(x)))
    h = BatchNorm()(nv.Conv2D(4, 3, padding=1, bias=False)(h))
    y = nv.Activation("relu")(nv.Add()(h, BatchNorm()(nv.Conv2D(4, 1)(x))))
    return nv.Network(inputs=x, outputs=[nv.GlobalAveragePool2D()(y), h])


def test_a_graph_with_shortcuts_and_two_outputs(monkeypatch: Any) -> None:
    net = randomized(residual())
    assert len(foldable(net.graph)) == 3
    a, b, c, d = both(net, rows_of(net), monkeypatch)
    np.testing.assert_allclose(a, c, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(b, d, rtol=2e-5, atol=2e-5)


def two_readers() -> nv.Network:
    x = nv.Input(3)
    z = nv.Dense(4)(x)
    return nv.Network(inputs=x, outputs=nv.Add()(z, BatchNorm()(z)))


def a_layer_that_is_an_output() -> nv.Network:
    x = nv.Input(3)
    z = nv.Dense(4)(x)
    return nv.Network(inputs=x, outputs=[z, BatchNorm()(z)])


@pytest.mark.parametrize(
    "make",
    [
        lambda: nv.Network([nv.Input(3), BatchNorm()]),
        lambda: nv.Network([nv.Input(3), nv.Dense(4, "relu"), BatchNorm()]),
        lambda: nv.Network([nv.Input((4, 1)), nv.Conv1D(2, 3, activation="tanh"),
                            BatchNorm()]),
        lambda: nv.Network([nv.Input((4, 1)), nv.Conv1D(2, 3), nv.MaxPool1D(2),
                            BatchNorm()]),
        two_readers,
        a_layer_that_is_an_output,
    ],
)  # fmt: skip
def test_what_cannot_be_folded(make: Any) -> None:
    assert not foldable(make().graph)


def test_parameters_written_through_a_view_count_at_once(monkeypatch: Any) -> None:
    monkeypatch.setattr("nervure.executors._folding.WORTH", 0)
    net = nv.Network([nv.Input(2), nv.Dense(2), BatchNorm()], seed=1)
    x = rows_of(net)
    mean, weight = (
        net.parameters[k] for k in ("batch_norm.running_mean", "dense.weight")
    )
    first = net.predict(x)
    mean += 1
    np.testing.assert_allclose(net.predict(x), first - 1 / np.sqrt(1 + 1e-5), atol=1e-5)
    weight[...] = 0
    assert np.ptp(net.predict(x), axis=0).max() == 0


def test_training_sees_the_layers_as_they_are(monkeypatch: Any) -> None:
    """Predicting between epochs changes nothing of a run."""
    monkeypatch.setattr("nervure.executors._folding.WORTH", 0)
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    y = x.sum(axis=1)
    found = []
    for callbacks in ([], [lambda run: run.network.predict(x)]):
        net = nv.Network([nv.Input(3), nv.Dense(4), BatchNorm(), nv.Dense(1)], seed=2)
        run = nv.fit(net, x, y, epochs=3, progress=False, callbacks=callbacks)
        found.append((run.history["loss"], net.values.tobytes()))
    assert found[0] == found[1]


@pytest.mark.usefixtures("everywhere")
def test_threads_change_no_bit(monkeypatch: Any) -> None:
    monkeypatch.setattr("nervure.executors._folding.WORTH", 0)
    net = randomized(residual())
    x = rows_of(net, 70)
    model = Model(net.graph, net.layout, net.values, net.gradients)
    runs = [NativeExecutor(model, n).outputs(Data((x,))) for n in (1, 2, 4)]
    bits = [[y.tobytes() for y in outputs] for outputs in runs]
    assert bits[0] == bits[1] == bits[2]


def test_few_rows_are_not_worth_the_folding() -> None:
    net = nv.Network([nv.Input(100), nv.Dense(100), BatchNorm()])
    model = Model(net.graph, net.layout, net.values, net.gradients)
    folding = Folding(model, foldable(net.graph))
    folded = 100 * 100 + 112  # the bias takes whole cache lines
    assert folding.least_rows == -(-4 * folded // 100)
