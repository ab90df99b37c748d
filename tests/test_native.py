# SPDX-License-Identifier: BSD-3-Clause
"""The native executor: which engines it keeps, and for whom."""

from __future__ import annotations

import gc
import resource
import threading
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data, Job, Stretch
from nervure.executors.native import KEPT, PLANNED_ROWS, NativeExecutor, engine
from nervure.graph.parameters import aligned_zeros
from nervure.network.inputs import make_data

RNG = np.random.default_rng(3)


def small(seed: int = 1) -> nv.Network:
    layers = [nv.Input(4), nv.Dense(5, activation="tanh"), nv.Dense(2)]
    return nv.Network(layers, seed=seed, dtype="float64")


def native_of(net: nv.Network) -> NativeExecutor:
    found = net.executor("native")
    assert isinstance(found, NativeExecutor)
    return found


def kept(net: nv.Network) -> list[Any]:
    return list(native_of(net)._kept)  # pyright: ignore[reportPrivateUsage]


def trainer_of(net: nv.Network, X: Any, y: Any, rule: Any) -> tuple[Any, Any]:
    objective = net.objective("mse")
    data = make_data(net, X, y, objective)
    slots = tuple(aligned_zeros(net.layout.size, net.dtype) for _ in rule.slots)
    job = Job(objective, data, rule, slots, batch_size=8, seed=0)
    return native_of(net).trainer(job), slots


def test_two_trainers_of_one_network_have_their_own_updates() -> None:
    """Turn by turn they do what they do where the other one is not."""
    X, y = RNG.normal(size=(8, 4)), RNG.normal(size=(8, 2))
    stretch = Stretch(np.arange(8), [0.1], 0)
    found: list[Any] = []
    for both in (False, True):
        net = small()
        one, _ = trainer_of(net, X, y, nv.SGD(0.1))
        if both:
            trainer_of(net, X, y, nv.Adam(0.1))
        one.run(stretch, [])
        found.append(net.values.copy())
    assert found[0].tobytes() == found[1].tobytes()


def test_evaluating_between_stretches_changes_nothing() -> None:
    X, y = RNG.normal(size=(8, 4)), RNG.normal(size=(8, 2))
    found: list[Any] = []
    for between in (False, True):
        net = small()
        one, _ = trainer_of(net, X, y, nv.Adam(0.1))
        for step in range(3):
            one.run(Stretch(np.arange(8), [0.1], step), [])
            if between:
                net.evaluate(X, y, loss="huber")
                net.forward(X)
        found.append(net.values.copy())
    assert found[0].tobytes() == found[1].tobytes()


def test_few_engines_are_kept() -> None:
    net = small()
    for rows in range(1, 600, 7):
        net.forward(np.ones((rows, 4)))
    assert [extent.rows for _, extent, _ in kept(net)] == list(PLANNED_ROWS)
    for loss in ("mse", "mae", "huber", "log_cosh", "quadratic"):
        net.evaluate(np.ones((3, 4)), np.ones((3, 2)), loss=loss)
        net.trace(np.ones((len(loss), 4)), np.ones((len(loss), 2)), loss=loss)
    assert len(kept(net)) == KEPT


def test_predicting_ever_other_numbers_of_rows_holds_memory() -> None:
    wide = nv.Network([nv.Input(256), *(nv.Dense(256) for _ in range(8))])
    X = np.ones((2000, 256), np.float32)

    def all_sizes() -> None:
        for rows in (*range(1, 40), *range(40, 2000, 37)):
            wide.forward(X[:rows])

    all_sizes()
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    all_sizes()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 8 * 1024  # KiB; one arena for 2000 rows alone has more


def test_threads_that_predict_at_once_do_not_disturb_each_other() -> None:
    net = small()
    inputs = [RNG.normal(size=(512, 4)) for _ in range(4)]
    expected = [net.forward(X) for X in inputs]
    wrong: list[int] = []

    def predict(i: int) -> None:
        for _ in range(60):
            if not np.array_equal(net.forward(inputs[i]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=predict, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("rows", [1, 2, 32, 33, 512, 513, 1100])
def test_a_plan_for_more_rows_gives_the_same(rows: int) -> None:
    net = small()
    X = RNG.normal(size=(rows, 4))
    whole = native_of(net).outputs(Data((X,)))[0]
    single = np.vstack([net.forward(X[i : i + 1]) for i in (0, rows // 2, rows - 1)])
    np.testing.assert_allclose(whole[[0, rows // 2, rows - 1]], single, rtol=1e-12)


# -- memory that strangers ask for ----------------------------------------------------


def test_a_sample_has_a_bounded_size() -> None:
    shape = (2**16, 2**16)
    message = (
        r"^\[c\] shape \(65536, 65536\) holds 4,294,967,296 values; expected at most "
        r"2\^31 for one sample; use a smaller shape"
    )
    with pytest.raises(ValueError, match=message):
        nv.Network(inputs=nv.Input(1), outputs=nv.Constant(1.0, shape, name="c"))
    with pytest.raises(ValueError, match=r"^\[input\] shape \(2147483649,\) holds"):
        nv.Network([nv.Input(2**31 + 1), nv.Flatten()])


def test_shapes_that_grow_from_layer_to_layer_are_bounded() -> None:
    x = nv.Input(2)
    y = x
    for _ in range(40):
        y = nv.Concatenate()(y, y)
    with pytest.raises(ValueError, match=r"expected at most 2\^31 for one sample"):
        nv.Network(inputs=x, outputs=y)


def test_an_arena_beyond_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nervure.base.memory.physical_bytes", lambda: 10**6)
    x = nv.Input(1)
    big = nv.Constant(1.0, (500_000,), name="big")
    net = nv.Network(inputs=x, outputs=[nv.Dense(1)(x), nv.Flatten()(big)])
    message = (
        r"^\[plan\] the layers' values for 1 row take \d.\d GB; expected at most the "
        r"0.0 GB of memory here; use smaller layers"
    )
    with pytest.raises(ValueError, match=message):
        net.trace([[1.0]])


def test_an_arena_too_large_for_many_rows_is_taken_in_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, X = small(), RNG.normal(size=(100, 4))
    expected = net.forward(X)
    costs = net.executor().row_costs(Data((X,), (expected,)), net.objective("mse"))
    monkeypatch.setattr("nervure.executors._planning.ARENA_BYTES", 5_000)
    few = small()
    np.testing.assert_allclose(few.forward(X), expected, rtol=1e-12)
    again = few.executor().row_costs(Data((X,), (expected,)), few.objective("mse"))
    np.testing.assert_allclose(again[1], costs[1], atol=1e-20)


@pytest.mark.parametrize(
    ("layers", "fact"),
    [
        (
            [nv.Input(10**6), nv.Dense(10**9, bias=False)],
            "1,000,000,000,000,000 parameters and their gradients take 8,000,000.0 GB",
        ),
        (
            [nv.Input(2**31 - 16), nv.Dense(2**31 - 16, bias=False)],
            "4,611,685,949,707,911,424 parameters and their gradients take 36,893,487,597.7 GB",
        ),
    ],
    ids=["more than memory", "more than addresses"],
)
def test_parameters_beyond_the_memory_are_refused(layers: list[Any], fact: str) -> None:
    message = rf"^\[network\] {fact}; expected at most the [\d.]+ GB of memory here; use smaller layers$"
    with pytest.raises(ValueError, match=message):
        nv.Network(layers)


def test_outputs_beyond_the_memory_are_refused() -> None:
    net = nv.Network([nv.Input(1), nv.Embedding(2, 2**20)])
    rows = np.broadcast_to(np.float32(0), (2**24, 1))
    message = r"^\[predict\] the outputs of 16,777,216 rows take 70,368.7 GB; expected .*; take fewer rows at a time, or use smaller layers$"
    with pytest.raises(ValueError, match=message):
        net.executor().outputs(Data((rows,)))


def test_the_engine_is_loaded_once() -> None:
    assert engine() is engine()
