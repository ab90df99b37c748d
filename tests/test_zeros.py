# SPDX-License-Identifier: BSD-3-Clause
"""Features that are 0 in a whole batch are left out in training, and change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data, Model
from nervure.executors.native import NativeExecutor

NETS = {
    "halves of the features": (784, 30, 10),
    "blocks of halves": (800, 100, 130),
    "rows of W": (300, 90, 60),
    "columns of W": (200, 300, 64),
    "halves of the batch": (70, 24, 300),
    "too small to look": (64, 16, 4),
}
"""Features, units, batch: one for each way in which a Dense layer is cut."""

SHARES = [0.0, 0.5, 0.97, 1.0]
"""Of the features, so many are 0 in all rows; of the others, many in most rows."""


def inputs(features: int, rows: int, share: float) -> Any:
    generator = np.random.default_rng(7)
    x = generator.normal(size=(rows, features))
    x[generator.random(x.shape) < 0.6] = 0
    x[:, generator.permutation(features)[: round(share * features)]] = 0
    return x


def net(features: int, units: int) -> nv.Network:
    layers = [
        nv.Input(features),
        nv.Dense(units, activation="relu"),
        nv.Dense(4, activation="softmax"),
    ]
    return nv.Network(layers, seed=3, dtype="float64")


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NETS)
def test_gradients_in_training_are_those_of_all_products(
    name: str, threads: int, share: float
) -> None:
    """Without dropout, training and inference give the same cost and gradients."""
    features, units, rows = NETS[name]
    model = net(features, units)
    x, y = inputs(features, rows, share), np.arange(rows) % 4
    executor = NativeExecutor(
        Model(model.graph, model.layout, model.values, model.gradients), threads
    )
    data = Data((x,), (y.astype(np.int32),))
    found: list[tuple[float, Any]] = []
    for training in (False, True):
        model.gradients[:] = np.nan
        cost = executor.gradient(
            data, model.objective("cross_entropy"), training=training
        )
        found.append((cost, model.gradients.copy()))
    (cost, gradients), (cost_again, gradients_again) = found
    assert cost_again == pytest.approx(cost, rel=1e-13)
    for segment in model.layout.segments:
        part = slice(segment.offset, segment.offset + segment.size)
        np.testing.assert_allclose(
            gradients_again[part], gradients[part], rtol=1e-10, atol=1e-14
        )


RULES = {
    "sgd": nv.SGD(0.2),
    "sgd with decay": nv.SGD(0.2, weight_decay=0.01),
    "momentum": nv.SGD(0.1, momentum=0.9),
    "nesterov": nv.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": nv.Adam(0.01, epsilon=1e-4),
    "clipped": nv.SGD(0.2, clip_value=0.01),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETS)
def test_updates_that_follow_at_once_are_those_of_a_sweep(name: str, rule: str) -> None:
    """A limit of the norm, here never reached, leaves all updates to the sweep."""
    features, units, batch = NETS[name]
    x = inputs(features, 2 * batch + batch // 2, 0.4)
    y = np.arange(len(x)) % 4

    def trained(**given: Any) -> Any:
        model = net(features, units)
        fields = {**vars(RULES[rule]), **given}
        nv.fit(
            model, x, y, optimizer=type(RULES[rule])(**fields), epochs=2,
            batch_size=batch, seed=1, progress=False, threads=1,
        )  # fmt: skip
        return model.values

    np.testing.assert_allclose(
        trained(), trained(clip_norm=1e30), rtol=1e-8, atol=1e-11
    )


@pytest.mark.parametrize("name", ["halves of the features", "blocks of halves"])
@pytest.mark.parametrize("rule", RULES)
def test_threads_change_no_bit(rule: str, name: str) -> None:
    features, units, batch = NETS[name]
    x = inputs(features, 4 * batch + 5, 0.4).astype(np.float32)
    y = np.arange(len(x)) % 4

    def trained(threads: int) -> bytes:
        layers = [nv.Input(features), nv.Dense(units, activation="logistic")]
        model = nv.Network([*layers, nv.Dense(4, activation="softmax")], seed=3)
        nv.fit(
            model, x, y, optimizer=RULES[rule], epochs=3, batch_size=batch, seed=1,
            progress=False, threads=threads,
        )  # fmt: skip
        return model.values.tobytes()

    assert trained(1) == trained(2) == trained(3) == trained(4)


def test_a_row_is_predicted_alike_whatever_rows_are_beside_it() -> None:
    """In inference nothing is left out: what is 0 in a batch depends on the batch."""
    model = net(784, 100)
    x = inputs(784, 64, 0.3)
    others = np.vstack([x[:1], np.ones((63, 784))])
    assert model.predict(x)[:1].tobytes() == model.predict(others)[:1].tobytes()
