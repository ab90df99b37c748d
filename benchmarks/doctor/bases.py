# SPDX-License-Identifier: BSD-3-Clause
"""Sound trainings, drawn by seed: sensible ones, and merely unusual ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tasks import NAMES, Rows, Task, task
from trainings import Training

Generator = np.random.Generator
Table = dict[str, Any]

STEPS = {
    "iris": 500,
    "wine": 400,
    "cancer": 400,
    "diabetes": 200,
    "letters": 150,
    "images": 400,
    "wave": 1600,
    "several": 1600,
    "friedman": 600,
}
"""About how many updates a task wants; 800 where nothing is said."""

ACTIVATIONS = ("relu", "tanh", "gelu", "silu", "elu", "leaky_relu")


def pick(rng: Generator, options: Sequence[Any]) -> Any:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def base(rng: Generator, names: Sequence[str] = NAMES, depth: int = 0) -> Training:
    """A sound training of one of these tasks, with at least ``depth`` hidden layers."""
    own = task(pick(rng, names))
    layers = [{"type": "input", "shape": list(own.shape)}]
    makers = {"images": _convolutions, "letters": _lenet, "series": _filters}
    body = makers.get(own.name, _dense)
    layers += body(rng, own, depth)
    layers.append(_head(rng, own))
    settings = _settings(rng, own)
    tables = {"layer": layers, "training": settings}
    held = own.held_out if rng.random() < 0.85 else None
    return Training(own, tables, own.train, held, own.test)


# -- networks -------------------------------------------------------------------------


def _dense(rng: Generator, own: Task, depth: int) -> list[Table]:
    activation = pick(rng, ACTIVATIONS)
    count = max(depth, int(rng.integers(1, 4)))
    units = int(pick(rng, (32, 48, 64, 96)))
    if own.name == "diabetes":
        return [{"type": "dense", "units": 16, "activation": activation}]
    if own.name == "codes":
        return [
            {"type": "dense", "units": n, "activation": activation}
            for n in (64, 24, 64)
        ]
    layers: list[Table] = []
    normal = rng.random() < 0.2
    rate = pick(rng, (0.0, 0.0, 0.1, 0.2)) if own.kind == "classes" else 0.0
    for _ in range(count):
        if normal:
            layers.append({"type": "dense", "units": units, "bias": False})
            layers.append({"type": "batch_norm"})
            layers.append({"type": "activation", "function": activation})
        else:
            layers.append({"type": "dense", "units": units, "activation": activation})
        if rate:
            layers.append({"type": "dropout", "rate": rate})
    return layers


def _convolutions(rng: Generator, own: Task, depth: int) -> list[Table]:
    activation = pick(rng, ("relu", "gelu", "silu"))
    layers: list[Table] = []
    for filters in (8, 16):
        layers.append(
            {"type": "conv2d", "filters": filters, "kernel": 3, "padding": "same"}
        )
        if rng.random() < 0.4:
            layers.append({"type": "batch_norm"})
        layers.append({"type": "activation", "function": activation})
        layers.append({"type": "max_pool2d", "size": 2})
    layers.append({"type": "flatten"})
    return [*layers, {"type": "dense", "units": 32, "activation": activation}]


def _lenet(rng: Generator, own: Task, depth: int) -> list[Table]:
    activation = pick(rng, ("tanh", "relu"))
    conv = {"type": "conv2d", "kernel": 5, "activation": activation}
    pool = {"type": "average_pool2d", "size": 2}
    return [
        {**conv, "filters": 4, "padding": "same"},
        pool,
        {**conv, "filters": 8},
        dict(pool),
        {"type": "flatten"},
        {"type": "dense", "units": 48, "activation": activation},
    ]


def _filters(rng: Generator, own: Task, depth: int) -> list[Table]:
    if rng.random() < 0.4:
        kind = pick(rng, ("simple_rnn", "lstm", "gru"))
        layer: Table = {"type": kind, "units": int(pick(rng, (24, 32)))}
        if kind == "simple_rnn" and rng.random() < 0.5:
            layer["activation"] = "relu"
        return [layer]
    activation = pick(rng, ("relu", "gelu"))
    conv = {"type": "conv1d", "kernel": 5, "padding": "same", "activation": activation}
    layers: list[Table] = [{**conv, "filters": 16}, {"type": "max_pool1d", "size": 2}]
    layers.append({**conv, "filters": 16})
    end = pick(rng, ("global_max_pool1d", "flatten"))
    return [
        *layers,
        {"type": end},
        {"type": "dense", "units": 32, "activation": "relu"},
    ]


def _head(rng: Generator, own: Task) -> Table:
    if own.kind == "amounts":
        return {"type": "dense", "units": own.outputs}
    if own.classes == 2 and rng.random() < 0.5:
        return {"type": "dense", "units": 1, "activation": "logistic"}
    return {"type": "dense", "units": own.classes, "activation": "softmax"}


# -- training -------------------------------------------------------------------------


def _settings(rng: Generator, own: Task) -> Table:
    batch = int(pick(rng, (8, 16, 32, 32)))
    per_epoch = -(-len(own.train.X) // batch)
    epochs = int(np.clip(STEPS.get(own.name, 800) / per_epoch, 8, 80))
    found: Table = {
        "optimizer": _optimizer(rng, epochs),
        "batch_size": batch,
        "epochs": epochs,
        "seed": int(rng.integers(1000)),
    }
    if rng.random() < 0.2:
        found["early_stopping"] = {"patience": max(5, epochs // 4)}
    if rng.random() < 0.15:
        found["regularizer"] = {"type": "l2", "strength": 1e-4}
    return found


def _optimizer(rng: Generator, epochs: int) -> Table:
    kind = pick(rng, ("adam", "adam", "adamw", "sgd", "rmsprop", "nadam"))
    if kind == "sgd":
        rate = float(pick(rng, (0.02, 0.05)))
        return {"type": "sgd", "learning_rate": rate, "momentum": 0.9}
    rate = float(pick(rng, (2e-3, 3e-3, 5e-3)))
    rate = 2e-3 if kind in ("rmsprop", "nadam") else rate
    if rng.random() < 0.25:
        rate = {"type": "cosine", "start": rate}
    return {"type": kind, "learning_rate": rate}


# -- merely unusual -------------------------------------------------------------------


def unusual(rng: Generator) -> Training:
    """A sound training with one to three settings that some would frown at."""
    made = base(rng)
    for _ in range(int(rng.integers(1, 4))):
        name = pick(rng, tuple(ODDITIES))
        if name not in made.unusual and ODDITIES[name](made, rng):
            made.unusual.append(name)
    return made


def _high_rate(t: Training, rng: Generator) -> bool:
    kind = pick(rng, ("sgd", "adam"))
    rate = {"sgd": (0.05, 0.1, 0.2), "adam": (0.01, 0.02)}[kind]
    t.settings["optimizer"] = {"type": kind, "learning_rate": float(pick(rng, rate))}
    return True


def _low_rate(t: Training, rng: Generator) -> bool:
    t.settings["optimizer"] = {"type": "adam", "learning_rate": 5e-4}
    t.settings["epochs"] *= 2
    return True


def _scaled_inputs(t: Training, rng: Generator) -> bool:
    """Harmless: a few units, a little off, or bytes of an image."""
    times, plus = float(pick(rng, (0.3, 3.0, 5.0))), float(pick(rng, (0.0, 1.0)))
    return _with_inputs(t, lambda X: X * np.float32(times) + np.float32(plus))


def _with_inputs(t: Training, change: Callable[[Any], Any]) -> bool:
    if t.task.name == "codes":
        return False
    t.train = Rows(change(t.train.X), t.train.y)
    t.test = Rows(change(t.test.X), t.test.y)
    if t.held_out is not None:
        t.held_out = Rows(change(t.held_out.X), t.held_out.y)
    return True


def _constant_column(t: Training, rng: Generator) -> bool:
    if len(t.task.shape) != 1 or t.task.shape[0] < 8:
        return False

    def change(X: Any) -> Any:
        X = X.copy()
        X[:, 0] = 1.0
        return X

    return _with_inputs(t, change)


def _is_joined(t: Training) -> bool:
    """Whether layers name what they read, so that none can take their place."""
    return "inputs" in t.layers[-1]


def _logistic_hidden(t: Training, rng: Generator) -> bool:
    names = ("digits", "wine", "iris", "cancer", "blobs")
    if t.task.name not in names or _is_joined(t):
        return False
    width = {"type": "dense", "units": 64, "activation": "logistic"}
    t.tables["layer"] = [t.layers[0], width, t.layers[-1]]
    t.settings["optimizer"] = {"type": "adam", "learning_rate": 1e-2}
    return True


def _wide_start(t: Training, rng: Generator) -> bool:
    """Weights that begin twice as large as usual."""
    places = [i for i in t.hidden() if t.layers[i]["type"] == "dense"]
    for i in places[:1]:
        t.layers[i]["initializer"] = {"type": "orthogonal", "gain": 2.0}
    return bool(places)


def _small_batch(t: Training, rng: Generator) -> bool:
    if any(layer["type"] == "batch_norm" for layer in t.layers):
        return False
    t.settings["batch_size"] = int(pick(rng, (2, 4)))
    t.settings["epochs"] = max(4, t.settings["epochs"] // 3)
    return True


def _large_batch(t: Training, rng: Generator) -> bool:
    t.settings["batch_size"] = 128
    t.settings["epochs"] = min(3 * t.settings["epochs"], 150)
    return True


def _much_dropout(t: Training, rng: Generator) -> bool:
    if t.task.name not in ("digits", "blobs", "cancer") or _is_joined(t):
        return False
    width = {"type": "dense", "units": 128, "activation": "relu"}
    t.tables["layer"] = [
        t.layers[0],
        width,
        {"type": "dropout", "rate": 0.5},
        t.layers[-1],
    ]
    return True


def _decay(t: Training, rng: Generator) -> bool:
    t.settings["regularizer"] = {"type": "l2", "strength": 1e-3}
    return True


def _clipped(t: Training, rng: Generator) -> bool:
    t.settings["optimizer"]["clip_norm"] = 1.0
    return True


def _smoothed(t: Training, rng: Generator) -> bool:
    if t.layers[-1].get("activation") != "softmax":
        return False
    t.settings["loss"] = {"type": "cross_entropy", "label_smoothing": 0.1}
    return True


def _huber(t: Training, rng: Generator) -> bool:
    if t.task.kind != "amounts":
        return False
    t.settings["loss"] = pick(rng, ("huber", "mae", "log_cosh"))
    return True


def _double(t: Training, rng: Generator) -> bool:
    t.tables["dtype"] = "float64"
    return True


def _a_little_noise(t: Training, rng: Generator) -> bool:
    if t.task.kind != "classes":
        return False
    y = t.train.y.copy()
    rows = rng.permutation(len(y))[: len(y) // 50]
    y[rows] = rng.integers(0, t.task.classes, len(rows))
    t.train = Rows(t.train.X, y)
    return True


def _some_imbalance(t: Training, rng: Generator) -> bool:
    """One class three times as frequent as the others."""
    if t.task.kind != "classes" or len(t.train.y) < 200:
        return False
    keep = (t.train.y == 0) | (rng.random(len(t.train.y)) < 0.35)
    t.train = Rows(t.train.X[keep], t.train.y[keep])
    return True


def _large_targets(t: Training, rng: Generator) -> bool:
    """Amounts of a few units, a little off."""
    if t.task.kind != "amounts" or t.task.name == "codes":
        return False
    times, plus = np.float32(3), np.float32(2)
    t.train = Rows(t.train.X, t.train.y * times + plus)
    t.test = Rows(t.test.X, t.test.y * times + plus)
    if t.held_out is not None:
        t.held_out = Rows(t.held_out.X, t.held_out.y * times + plus)
    return True


def _residual(t: Training, rng: Generator) -> bool:
    """Shortcuts around dense layers."""
    if len(t.task.shape) != 1 or t.task.name == "codes":
        return False
    first = {"type": "dense", "units": 48, "activation": "relu", "name": "first"}
    branch = {"type": "dense", "units": 48, "activation": "relu", "name": "branch"}
    join = {"type": "add", "name": "join", "inputs": ["first", "branch"]}
    t.tables["layer"] = [
        {**t.layers[0], "name": "x"},
        {**first, "inputs": ["x"]},
        {**branch, "inputs": ["first"]},
        join,
        {**t.layers[-1], "name": "y", "inputs": ["join"]},
    ]
    return True


def _lbfgs(t: Training, rng: Generator) -> bool:
    if t.task.name not in ("wine", "iris", "cancer", "diabetes"):
        return False
    if any(layer["type"] == "batch_norm" for layer in t.layers):
        return False
    t.settings["optimizer"] = {"type": "lbfgs"}
    t.settings["epochs"] = 15
    return True


def _lone(t: Training, rng: Generator) -> bool:
    """No rows held out."""
    t.held_out = None
    t.settings.pop("early_stopping", None)
    return True


def _patient(t: Training, rng: Generator) -> bool:
    """Far more epochs than wanted, ended by early stopping."""
    if t.held_out is None:
        return False
    t.settings["epochs"] *= 3
    t.settings["early_stopping"] = {"patience": 10}
    return True


ODDITIES: dict[str, Callable[[Training, Generator], bool]] = {
    "high rate": _high_rate,
    "low rate": _low_rate,
    "scaled inputs": _scaled_inputs,
    "constant column": _constant_column,
    "logistic hidden": _logistic_hidden,
    "wide start": _wide_start,
    "small batch": _small_batch,
    "large batch": _large_batch,
    "much dropout": _much_dropout,
    "decay": _decay,
    "clipped": _clipped,
    "smoothed": _smoothed,
    "other loss": _huber,
    "float64": _double,
    "a little noise": _a_little_noise,
    "some imbalance": _some_imbalance,
    "large targets": _large_targets,
    "residual": _residual,
    "lbfgs": _lbfgs,
    "no held-out rows": _lone,
    "patient": _patient,
}
