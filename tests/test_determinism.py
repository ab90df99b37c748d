# SPDX-License-Identifier: BSD-3-Clause
"""The same seed gives the same bits, whatever else goes on."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors.native import NativeTrainer
from nervure.training import steps

RNG = np.random.default_rng(0)
X = RNG.normal(size=(331, 40)).astype(np.float32)
Y = (X[:, :4] @ RNG.normal(size=(4, 5))).argmax(axis=1)

OPTIMIZERS = {
    "sgd": nv.SGD(0.1),
    "nesterov": nv.SGD(0.05, momentum=0.9, nesterov=True, clip_norm=0.5),
    "adam": nv.Adam(0.01, weight_decay=0.1, clip_value=0.01),
    "rmsprop": nv.RMSprop(0.01),
    "lion": nv.Lion(0.001, clip_norm=1.0),
    "gradient descent": nv.GradientDescent(0.5),
    "lbfgs": nv.LBFGS(),
}


def net(seed: int = 1, dtype: str = "float32") -> nv.Network:
    """Wide enough to be cut into parts, with dropout."""
    layers = [
        nv.Input(40),
        nv.Dense(301, activation="relu"),
        nv.Dropout(0.3),
        nv.Dense(130, activation="tanh"),
        nv.Dense(5, activation="softmax"),
    ]
    return nv.Network(layers, seed=seed, dtype=dtype)


def train(seed: int = 3, **given: Any) -> tuple[bytes, dict[str, list[float]]]:
    """Weights and history of two epochs: two whole batches and a partial one each."""
    trained = given.pop("net", None) or net()
    arguments = {"epochs": 2, "batch_size": 150, "validation": 0.1, "seed": seed}
    run = nv.fit(trained, X, Y, progress=False, **{**arguments, **given})
    history = {k: v for k, v in run.history.items() if k != "seconds"}
    return trained.values.tobytes(), history


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_threads_change_no_bit(name: str) -> None:
    rule = OPTIMIZERS[name]
    results = [train(optimizer=rule, threads=threads) for threads in (1, 2, 4)]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    "given",
    [
        {"batch_size": 7},
        {"regularizer": nv.MaxNorm(0.7)},
        {"regularizer": nv.ElasticNet(0.01, 0.02)},
        {"sample_weight": np.linspace(0, 2, 331)},
        {"loss": "focal"},
        {"net": "float64"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_threads_change_no_bit_of_other_settings(given: dict[str, Any]) -> None:
    double = given.get("net") == "float64"
    rest = {k: v for k, v in given.items() if k != "net"}
    nesterov = OPTIMIZERS["nesterov"]
    results = [
        train(
            optimizer=nesterov, threads=threads,
            net=net(dtype="float64" if double else "float32"), **rest,
        )
        for threads in (1, 2, 4)
    ]  # fmt: skip
    assert results[0] == results[1] == results[2]


def test_seeds_matter() -> None:
    results = {train(seed=seed)[0] for seed in (3, 4)} | {train(net=net(seed=2))[0]}
    assert len(results) == 3
    assert train() == train()


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
def test_how_the_steps_are_cut_changes_no_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stretches follow the clock; one step at a time gives the bits of all at once."""
    lengths: list[int] = []
    take = NativeTrainer.run

    def run(self: Any, stretch: Any, outputs: Any) -> Any:
        lengths.append(len(stretch.learning_rates))
        return take(self, stretch, outputs)

    monkeypatch.setattr(NativeTrainer, "run", run)
    given = {"optimizer": OPTIMIZERS[name], "batch_size": 16}
    monkeypatch.setattr(steps, "STRETCH_SECONDS", 0.0)
    single = train(**given)
    assert set(lengths) == {1}
    lengths.clear()
    monkeypatch.setattr(steps, "STRETCH_SECONDS", 1e9)
    assert train(**given) == single
    assert max(lengths) > 5


def test_networks_in_several_threads_give_the_bits_they_give_alone() -> None:
    def one(i: int, into: dict[int, Any]) -> None:
        into[i] = train(
            net=net(seed=i), optimizer=nv.Adam(0.01), threads=2, epochs=3, batch_size=32
        )

    alone: dict[int, Any] = {}
    for i in range(4):
        one(i, alone)
    together: dict[int, Any] = {}
    workers = [threading.Thread(target=one, args=(i, together)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert together == alone
    assert len({weights for weights, _ in alone.values()}) == 4


def _in_child(queue: Any) -> None:
    queue.put(train(threads=2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*")
@pytest.mark.filterwarnings("ignore:os.fork.*")
def test_a_forked_child_trains_to_the_same_bits() -> None:
    expected = train(threads=2)  # the parent has workers, the child must get its own
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    found = queue.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    assert found == expected
    assert train(threads=2) == expected  # and the parent's still work


SCRIPT = """
import hashlib, sys
import numpy as np
import nervure as nv
rng = np.random.default_rng(0)
X, y = rng.normal(size=(500, 64)).astype("float32"), rng.integers(0, 4, 500)
layers = [nv.Input(64), nv.Dense(256, activation="relu"), nv.Dropout(0.2)]
net = nv.Network([*layers, nv.Dense(4, activation="softmax")], seed=5)
nv.fit(net, X, y, epochs=2, batch_size=128, seed=5, progress=False)
print(hashlib.sha256(net.values.tobytes()).hexdigest())
print(hashlib.sha256(net.forward(X).tobytes()).hexdigest())
"""


def test_processes_and_their_numbers_of_threads_change_no_bit() -> None:
    found = set()
    for threads in ("1", "3"):
        environment = os.environ | {"NERVURE_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True,
            text=True, check=True, timeout=60,
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.parametrize("rows", [1, 2, 100, 331])
def test_a_row_is_predicted_alike_in_any_company_of_threads(
    rows: int, everywhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for threads in ("1", "2", "4"):
        monkeypatch.setenv("NERVURE_THREADS", threads)
        results.append(net().forward(X[:rows]).tobytes())
    assert results[0] == results[1] == results[2]
