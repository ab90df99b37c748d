# SPDX-License-Identifier: BSD-3-Clause
"""A dozen short trainings and the bits they end with.

``python tests/bits_script.py`` prints a line of JSON for each: its name, a hash of all
weights and what was learned. ``python tests/bits_script.py --record`` keeps them in
``tests/golden/bits.json``, of every instruction set that this processor has: after a
change that is meant to change bits, and only then.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nervure as nv
from nervure.base.engine import usable
from nervure.optimizers import schedules

GOLDEN = Path(__file__).resolve().parent / "golden" / "bits.json"

RNG = np.random.default_rng(20)
X = RNG.normal(size=(90, 12)).astype(np.float32)
LABELS = (X[:, :4] @ RNG.normal(size=(4, 3))).argmax(axis=1)
AMOUNTS = X[:, :2] @ np.array([[1.0], [-2.0]]) + np.abs(X[:, 2:3])
ZEROS = np.where(RNG.random((90, 12)) < 0.6, 0, X).astype(np.float32)
IMAGES = RNG.integers(0, 256, size=(70, 12, 12, 1)).astype(np.uint8)
KINDS = np.arange(70) % 3

Trained = Any
"""Whatever has weights: a network, an ensemble of them, an estimator."""

CASES: dict[str, Callable[[], Trained]] = {}


def case(function: Callable[[], Trained]) -> Callable[[], Trained]:
    CASES[function.__name__] = function
    return function


def fit(net: nv.Network, x: Any = X, y: Any = LABELS, **given: Any) -> nv.Network:
    defaults = {"epochs": 3, "batch_size": 16, "seed": 4, "progress": False}
    nv.fit(net, x, y, **{**defaults, **given})
    return net


def classifier(*hidden: Any, inputs: Any = 12, **given: Any) -> nv.Network:
    end = nv.Dense(3, activation="softmax")
    return nv.Network([nv.Input(inputs), *hidden, end], **{"seed": 2, **given})


@case
def dense() -> Trained:
    return fit(classifier(nv.Dense(20, activation="relu")), optimizer=nv.Adam(0.01))


@case
def dense_of_zeros() -> Trained:
    net = classifier(nv.Dense(30, activation="logistic"))
    return fit(net, ZEROS, optimizer=nv.SGD(0.5), batch_size=10, loss="mse")


@case
def dense_large() -> Trained:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(256, 512)).astype(np.float32)
    hidden = [nv.Dense(512, activation="relu"), nv.Dense(512, activation="relu")]
    net = classifier(*hidden, inputs=512)
    return fit(net, x, np.arange(256) % 3, batch_size=128, optimizer=nv.Adam(0.001))


@case
def double_precision() -> Trained:
    hidden = [nv.Dense(20, activation="tanh"), nv.Dropout(0.3)]
    rule = nv.SGD(schedules.Cosine(0.05), momentum=0.9, nesterov=True, clip_norm=0.5)
    weights = np.linspace(0.5, 2, 90)
    return fit(
        classifier(*hidden, dtype="float64"),
        optimizer=rule,
        validation=0.2,
        sample_weight=weights,
        class_weight={1: 2.0},
        regularizer=nv.ElasticNet(0.001, 0.002),
    )


@case
def regression() -> Trained:
    x = nv.Input(12, name="x")
    hidden = nv.Dense(16, activation="gelu")(nv.LayerNorm()(x))
    wide = nv.Concatenate()(x, hidden)
    net = nv.Network(inputs=x, outputs=nv.Dense(1)(wide), seed=2)
    return fit(net, y=AMOUNTS, optimizer=nv.Lion(0.003), loss="huber")


@case
def quasi_newton() -> Trained:
    return fit(classifier(nv.Dense(8, activation="tanh")), optimizer=nv.LBFGS())


@case
def convolution() -> Trained:
    layers = [
        nv.Conv2D(6, 5, activation="relu"),
        nv.BatchNorm(),
        nv.MaxPool2D(2),
        nv.Conv2D(8, 3, padding="same", activation="elu"),
        nv.GlobalAveragePool2D(),
    ]
    changes = [nv.augmentation.Shift(1), nv.augmentation.Mixup(0.2)]
    net = classifier(*layers, inputs=(12, 12, 1))
    return fit(net, IMAGES, KINDS, augmentation=changes, validation=0.2)


@case
def convolution_by_winograd() -> Trained:
    layers = [nv.Conv2D(32, 3, padding="same", activation="relu") for _ in range(2)]
    pools = [nv.L2Pool2D(2), nv.SeparableConv2D(8, 3), nv.Flatten()]
    net = classifier(*layers, *pools, inputs=(12, 12, 1))
    return fit(net, IMAGES / np.float32(255), KINDS, optimizer="sgd")


@case
def frozen_trunk() -> Trained:
    named = [nv.Dense(9, activation="relu", name=f"block{i}") for i in (1, 2, 3)]
    net = classifier(*named)
    net.freeze(until="block2")
    return fit(net, learning_rates={"block3": 0.1}, optimizer="nadam").replace_head(2)


@case
def table() -> Trained:
    from nervure.sklearn import TabularClassifier

    names = np.array(["red", "green", "blue"])[np.arange(90) % 3]
    rows = np.column_stack([X[:, :4].astype(object), names])
    rows[3, 1] = np.nan
    return TabularClassifier(epochs=4, random_state=5).fit(rows, LABELS).network_


@case
def table_of_a_file() -> Trained:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        lines = [f"{a:.3f},{'uv'[i % 2]},{y[0]:.4f}" for i, (a, y) in enumerate(
            zip(X[:, 0].tolist(), AMOUNTS.tolist(), strict=True))]  # fmt: skip
        path.write_text("\n".join(["a,b,amount", *lines]))
        data = nv.data.load(path, target="amount")
    hidden = nv.Dense(20, activation="tanh")
    end = nv.Dense(1)
    return fit(
        nv.Network([*data.entrance(), hidden, end], seed=2), data, None, validation=0.2
    )


@case
def drop_in() -> Trained:
    from nervure.sklearn import MLPClassifier

    found = MLPClassifier((10,), max_iter=5, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # five iterations do not converge
        return found.fit(X, LABELS)


@case
def ensemble() -> Trained:
    net = classifier(nv.Dense(7, activation="relu"), nv.Dropout(0.2))
    found = nv.Ensemble.of(net, 2, seed=7)
    found.fit(X, LABELS, epochs=2, bagged=True, progress=False)
    return found


@case
def resumed() -> Trained:
    with tempfile.TemporaryDirectory() as folder:
        net = classifier(nv.Dense(20, activation="relu"), nv.Dropout(0.2))
        given = {"directory": Path(folder) / "run", "checkpoint_steps": 4}
        fit(net, max_steps=10, **given)
        again = classifier(nv.Dense(20, activation="relu"), nv.Dropout(0.2))
        return fit(again, max_steps=17, resume=True, **given)


@case
def dense_by_jax() -> Trained:
    net = classifier(nv.Dense(20, activation="relu"), nv.Dropout(0.2))
    return fit(net, executor="jax", optimizer="adam", validation=0.2)


@case
def convolution_by_jax() -> Trained:
    layers = [nv.Conv2D(6, 3, activation="relu"), nv.BatchNorm(), nv.MaxPool2D(2)]
    net = classifier(*layers, nv.Flatten(), inputs=(12, 12, 1))
    return fit(net, IMAGES / np.float32(255), KINDS, executor="jax")


def weights(trained: Trained) -> np.ndarray:
    if hasattr(trained, "coefs_"):
        return np.concatenate([c.ravel() for c in trained.coefs_])
    networks = getattr(trained, "members", [trained])
    return np.concatenate([net.values for net in networks])


def outcome(trained: Trained) -> dict[str, Any]:
    """A hash of all weights, and their size for machines with other bits."""
    values = weights(trained)
    return {
        "hash": hashlib.sha256(values.tobytes()).hexdigest()[:16],
        "norm": float(np.linalg.norm(values.astype(np.float64))),
        "mean": float(values.mean(dtype=np.float64)),
    }


def of_level(level: str, names: list[str]) -> dict[str, dict[str, Any]]:
    """Outcomes in a process of its own with the engine of ``level``."""
    found = subprocess.run(
        [sys.executable, __file__, *names],
        env={**os.environ, "NERVURE_ISA": level},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise RuntimeError(found.stderr)
    return dict(json.loads(line) for line in found.stdout.splitlines())


def main() -> None:
    if sys.argv[1:] == ["--record"]:
        known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
        found = {level: of_level(level, list(CASES)) for level in usable()}
        GOLDEN.write_text(json.dumps({**known, **found}, indent=1) + "\n")
        return
    for name in sys.argv[1:] or CASES:
        print(json.dumps([name, outcome(CASES[name]())]), flush=True)


if __name__ == "__main__":
    main()
