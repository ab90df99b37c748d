# SPDX-License-Identifier: BSD-3-Clause
"""Kinds of fault, each put into a sound training with settings drawn by seed.

A fault says which code should be found first or second, which tasks and depths of net
it makes sense for, whether it hurts the score by itself (what does not hurt in a
training that was drawn is drawn again) and whether a change of the spec can undo it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bases import Generator, pick
from tasks import NAMES, Rows
from trainings import Training

Break = Callable[[Training, Generator], bool]
TABLES = ("iris", "wine", "cancer", "blobs", "friedman", "several", "digits")
PLAIN = ("digits", "wine", "cancer", "blobs", "friedman", "several", "spirals", "wave")
CLASSES = ("digits", "wine", "cancer", "blobs", "spirals", "moons", "rings")
CURVED = ("moons", "rings", "spirals", "wave", "friedman")


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        codes: any of them is right; where there are several, the fault is all of them.
        silent: wrong by itself, whether the score falls or not.
        fixable: a spec can undo it.
        minded: makes of the broken training the same one without its fault, by which
            what was lost is measured; None where that is the one it was made of.
    """

    name: str
    codes: tuple[str, ...]
    change: Break
    names: Sequence[str] = NAMES
    depth: int = 0
    silent: bool = False
    fixable: bool = True
    minded: Callable[[Training], None] | None = None


FAULTS: list[Fault] = []


def fault(
    name: str,
    *codes: str,
    names: Sequence[str] = NAMES,
    depth: int = 0,
    silent: bool = False,
    fixable: bool = True,
    minded: Callable[[Training], None] | None = None,
) -> Callable[[Break], Break]:
    """Put a function that breaks a training on the list."""

    def keep(change: Break) -> Break:
        FAULTS.append(Fault(name, codes, change, names, depth, silent, fixable, minded))
        return change

    return keep


# -- what the same training is without its fault --------------------------------------


def _usual_start(t: Training) -> None:
    for layer in t.layers:
        for name in ("initializer", "bias_initializer", "recurrent_initializer"):
            layer.pop(name, None)


def _all_learn(t: Training) -> None:
    t.settings.pop("freeze", None)
    t.settings.pop("learning_rates", None)


def _bent(t: Training) -> None:
    for place in t.hidden():
        t.layers[place]["activation"] = "relu"


def _no_dropout(t: Training) -> None:
    t.tables["layer"] = [one for one in t.layers if one["type"] != "dropout"]


def _no_penalty(t: Training) -> None:
    t.settings.pop("regularizer", None)
    t.settings["optimizer"].pop("weight_decay", None)


def _wide(t: Training) -> None:
    for place in t.hidden():
        t.layers[place]["units"] = 64


# -- gradients and units --------------------------------------------------------------


def _plain_dense(t: Training, count: int, units: int, activation: str) -> None:
    """A chain of equal dense layers in the place of the body."""
    layer = {"type": "dense", "units": units, "activation": activation}
    body = [dict(layer) for _ in range(count)]
    t.tables["layer"] = [t.layers[0], *body, t.layers[-1]]


@fault("deep logistic", "vanishing-gradient", names=PLAIN)
def deep_logistic(t: Training, rng: Generator) -> bool:
    _plain_dense(t, int(rng.integers(5, 10)), 32, "logistic")
    return True


@fault(
    "deep tanh of small weights",
    "vanishing-gradient",
    "start-too-small",
    names=PLAIN,
    minded=_usual_start,
)
def deep_tanh(t: Training, rng: Generator) -> bool:
    _plain_dense(t, int(rng.integers(6, 11)), 32, "tanh")
    for i in t.hidden():
        std = float(pick(rng, (0.02, 0.04)))
        t.layers[i]["initializer"] = {"type": "normal", "std": std}
    return True


@fault(
    "deep with growing weights",
    "exploding-gradient",
    "start-too-large",
    names=PLAIN,
    minded=_usual_start,
)
def exploding(t: Training, rng: Generator) -> bool:
    _plain_dense(t, int(rng.integers(6, 11)), 48, "relu")
    for i in t.hidden():
        std = float(pick(rng, (0.5, 0.7)))
        t.layers[i]["initializer"] = {"type": "normal", "std": std}
    rate = float(pick(rng, (0.01, 0.05)))
    t.settings["optimizer"] = {"type": "sgd", "learning_rate": rate}
    return True


@fault("biases that switch units off", "dead-units", names=PLAIN, minded=_usual_start)
def dead(t: Training, rng: Generator) -> bool:
    _plain_dense(t, int(rng.integers(1, 4)), 48, "relu")
    low = -float(rng.uniform(4, 12))
    for i in t.hidden():
        t.layers[i]["bias_initializer"] = {"type": "constant", "value": low}
    return True


@fault(
    "saturated start",
    "saturated-units",
    "start-too-large",
    names=PLAIN,
    minded=_usual_start,
)
def saturated(t: Training, rng: Generator) -> bool:
    activation = pick(rng, ("tanh", "logistic"))
    _plain_dense(t, int(rng.integers(2, 4)), 48, activation)
    for i in t.hidden():
        std = float(rng.uniform(2, 6))
        t.layers[i]["initializer"] = {"type": "normal", "std": std}
    return True


@fault("equal weights", "symmetric-start", names=PLAIN, minded=_usual_start)
def symmetric(t: Training, rng: Generator) -> bool:
    value = float(pick(rng, (0.0, 0.05, 0.1)))
    activation = pick(rng, ("relu", "tanh"))
    _plain_dense(t, int(rng.integers(1, 4)), 48, activation)
    for i in t.weighted():
        t.layers[i]["initializer"] = {"type": "constant", "value": value}
    return True


@fault("large start", "start-too-large", names=PLAIN, minded=_usual_start)
def large_start(t: Training, rng: Generator) -> bool:
    _plain_dense(t, int(rng.integers(2, 4)), 48, pick(rng, ("relu", "elu", "gelu")))
    for i in t.weighted():
        std = float(rng.uniform(1.5, 5))
        t.layers[i]["initializer"] = {"type": "normal", "std": std}
    return True


@fault("small start", "start-too-small", names=PLAIN, minded=_usual_start)
def small_start(t: Training, rng: Generator) -> bool:
    _plain_dense(t, int(rng.integers(3, 6)), 48, pick(rng, ("relu", "tanh", "gelu")))
    for i in t.weighted():
        std = float(pick(rng, (1e-4, 1e-3, 3e-3)))
        t.layers[i]["initializer"] = {"type": "normal", "std": std}
    t.settings["optimizer"] = {"type": "sgd", "learning_rate": 0.05}
    return True


# -- learning rate and time -----------------------------------------------------------


def _rate(t: Training, times: float) -> None:
    """The learning rate, or where its schedule begins, so many times as high."""
    rule = t.settings["optimizer"]
    rate = rule["learning_rate"]
    if isinstance(rate, dict):
        rule["learning_rate"] = {**rate, "start": rate["start"] * times}
    else:
        rule["learning_rate"] = rate * times


@fault("high rate", "learning-rate-too-high")
def high_rate(t: Training, rng: Generator) -> bool:
    _rate(t, float(pick(rng, (30, 100, 300))))
    return True


@fault("far too high rate", "learning-rate-too-high", "non-finite")
def far_too_high_rate(t: Training, rng: Generator) -> bool:
    _rate(t, float(pick(rng, (1e4, 1e5, 1e6))))
    return True


@fault("low rate", "learning-rate-too-low")
def low_rate(t: Training, rng: Generator) -> bool:
    _rate(t, 1 / float(pick(rng, (100, 300, 1000))))
    return True


@fault("schedule that ends early", "schedule-ends-too-early")
def schedule(t: Training, rng: Generator) -> bool:
    rate, epochs = 2e-3, t.settings["epochs"]
    early = max(1, epochs // 20)
    found = pick(
        rng,
        (
            {"type": "cosine", "start": rate, "epochs": early},
            {"type": "exponential", "start": rate, "factor": 0.3},
            {"type": "step", "start": rate, "factor": 0.1, "epochs": early},
        ),
    )
    t.settings["optimizer"] = {"type": "adam", "learning_rate": found}
    return True


@fault("too much momentum", "oscillation", "learning-rate-too-high")
def oscillation(t: Training, rng: Generator) -> bool:
    rule = {
        "type": "sgd",
        "learning_rate": float(pick(rng, (0.2, 0.5))),
        "momentum": 0.99,
    }
    t.settings["optimizer"] = rule
    return True


@fault("few epochs", "too-few-epochs")
def few_epochs(t: Training, rng: Generator) -> bool:
    t.settings["epochs"] = int(pick(rng, (1, 1, 2)))
    t.settings["optimizer"] = {"type": "adam", "learning_rate": 1e-3}
    t.settings["batch_size"] = 64
    t.settings.pop("early_stopping", None)
    return True


@fault("few large batches", "batch-too-large")
def large_batch(t: Training, rng: Generator) -> bool:
    t.settings["batch_size"] = len(t.train.X)
    t.settings["epochs"] = min(t.settings["epochs"], 25)
    return True


# -- the net --------------------------------------------------------------------------


@fault("no hidden layer", "underfitting", "missing-nonlinearity", names=CURVED)
def no_hidden(t: Training, rng: Generator) -> bool:
    t.tables["layer"] = [t.layers[0], t.layers[-1]]
    return True


@fault(
    "hidden layers without activation",
    "missing-nonlinearity",
    names=CURVED,
    minded=_bent,
)
def linear(t: Training, rng: Generator) -> bool:
    body = [{"type": "dense", "units": 64} for _ in range(int(rng.integers(1, 4)))]
    t.tables["layer"] = [t.layers[0], *body, t.layers[-1]]
    return True


@fault(
    "few units",
    "underfitting",
    names=("spirals", "rings", "wave", "friedman"),
    minded=_wide,
)
def few_units(t: Training, rng: Generator) -> bool:
    _plain_dense(t, 1, int(pick(rng, (1, 2))), pick(rng, ("tanh", "relu")))
    return True


@fault(
    "narrow place",
    "bottleneck",
    names=("digits", "blobs", "several", "spirals"),
    minded=_wide,
)
def narrow(t: Training, rng: Generator) -> bool:
    activation = pick(rng, ("relu", "tanh"))
    wide = {"type": "dense", "units": 64, "activation": activation}
    neck = {**wide, "units": 1}
    t.tables["layer"] = [t.layers[0], wide, neck, dict(wide), t.layers[-1]]
    return True


@fault("softmax twice", "double-softmax", names=CLASSES, silent=True)
def double_softmax(t: Training, rng: Generator) -> bool:
    if t.layers[-1].get("activation") != "softmax":
        return False
    t.layers.append({"type": "softmax"})
    return True


@fault("softmax with mse", "loss-mismatch", names=CLASSES, silent=True)
def softmax_mse(t: Training, rng: Generator) -> bool:
    if t.layers[-1].get("activation") != "softmax":
        return False
    return _one_hot(t, pick(rng, ("mse", "mae", "quadratic")))


@fault("linear output for classes", "loss-mismatch", names=CLASSES, silent=True)
def linear_classes(t: Training, rng: Generator) -> bool:
    if t.layers[-1].get("activation") != "softmax":
        return False
    t.layers[-1].pop("activation")
    return _one_hot(t, pick(rng, ("mse", "mae")))


@fault(
    "several yes-or-no answers for one class",
    "loss-mismatch",
    names=CLASSES,
    silent=True,
)
def logistic_classes(t: Training, rng: Generator) -> bool:
    if t.layers[-1].get("activation") != "softmax" or t.task.classes < 3:
        return False
    t.layers[-1]["activation"] = "logistic"
    t.settings["loss"] = "binary_cross_entropy"
    return True


def _one_hot(t: Training, loss: str) -> bool:
    eye = np.eye(t.task.classes, dtype=np.float32)
    t.train = Rows(t.train.X, eye[t.train.y])
    if t.held_out is not None:
        t.held_out = Rows(t.held_out.X, eye[t.held_out.y])
    t.settings["loss"] = loss
    return True


@fault("frozen layers", "layer-not-learning", names=PLAIN, minded=_all_learn)
def frozen(t: Training, rng: Generator) -> bool:
    """The first layers keep weights that nobody has trained."""
    _plain_dense(t, 3, int(pick(rng, (4, 6))), pick(rng, ("relu", "tanh")))
    for i, place in enumerate(t.hidden()):
        t.layers[place]["name"] = f"hidden{i}"
    t.layers[0]["name"], t.layers[-1]["name"] = "x", "y"
    t.settings["freeze"] = ["hidden0", "hidden1"]
    return True


@fault(
    "layer cut off",
    "layer-not-learning",
    names=PLAIN,
    silent=True,
    minded=_all_learn,
)
def cut_off(t: Training, rng: Generator) -> bool:
    """A layer whose learning rate was set to next to nothing."""
    _plain_dense(t, 2, int(pick(rng, (4, 6))), "relu")
    for i, place in enumerate(t.hidden()):
        t.layers[place]["name"] = f"hidden{i}"
    t.layers[0]["name"], t.layers[-1]["name"] = "x", "y"
    t.settings["learning_rates"] = {"hidden0": 1e-6}
    t.settings["optimizer"] = {"type": "sgd", "learning_rate": 0.05, "momentum": 0.9}
    return True


# -- noise and penalties --------------------------------------------------------------


@fault("strong dropout", "dropout-too-strong", names=PLAIN, minded=_no_dropout)
def strong_dropout(t: Training, rng: Generator) -> bool:
    rate = float(pick(rng, (0.8, 0.9, 0.95)))
    layer = {"type": "dense", "units": 48, "activation": "relu"}
    drop = {"type": "dropout", "rate": rate}
    t.tables["layer"] = [
        t.layers[0],
        layer,
        drop,
        dict(layer),
        dict(drop),
        t.layers[-1],
    ]
    return True


@fault("dropout behind the output", "dropout-at-output", names=PLAIN, silent=True)
def output_dropout(t: Training, rng: Generator) -> bool:
    drop = {"type": "dropout", "rate": float(pick(rng, (0.2, 0.3, 0.5)))}
    last = t.layers[-1]
    activation = last.pop("activation", None)
    t.layers.append(drop)
    if activation == "softmax":
        t.layers.append({"type": "softmax"})
    elif activation is not None:
        t.layers.append({"type": "activation", "function": activation})
    return True


@fault("strong penalty", "over-regularized", names=PLAIN, minded=_no_penalty)
def strong_penalty(t: Training, rng: Generator) -> bool:
    _plain_dense(t, 2, 48, pick(rng, ("relu", "tanh")))
    if rng.random() < 0.7:
        kind = pick(rng, ("l1", "l2"))
        strength = float(pick(rng, (0.1, 0.3, 1.0)))
        t.settings["regularizer"] = {"type": kind, "strength": strength}
    else:
        t.settings["optimizer"] = {
            "type": "adamw",
            "learning_rate": 3e-3,
            "weight_decay": float(pick(rng, (3.0, 10.0, 30.0))),
        }
    return True


def _stopped(t: Training) -> None:
    t.held_out = t.held_out or t.task.held_out
    t.settings["early_stopping"] = {"patience": 10}


@fault(
    "far too many epochs",
    "overfitting",
    names=("diabetes", "friedman"),
    minded=_stopped,
)
def overfitting(t: Training, rng: Generator) -> bool:
    """A wide net, few rows, hundreds of epochs."""
    few = int(pick(rng, (60, 90)))
    t.train = Rows(t.train.X[:few], t.train.y[:few])
    t.held_out = t.held_out or t.task.held_out
    _plain_dense(t, 2, 128, pick(rng, ("relu", "gelu")))
    t.settings["optimizer"] = {"type": "adam", "learning_rate": 2e-3}
    t.settings["epochs"], t.settings["batch_size"] = 300, 16
    t.settings.pop("early_stopping", None)
    return True


@fault(
    "batches of two with normalization", "batch-too-small-for-batch-norm", names=PLAIN
)
def small_batch_norm(t: Training, rng: Generator) -> bool:
    body: list[dict[str, Any]] = []
    for _ in range(int(rng.integers(2, 4))):
        body.append({"type": "dense", "units": 48, "bias": False})
        body += [{"type": "batch_norm"}, {"type": "activation", "function": "relu"}]
    t.tables["layer"] = [t.layers[0], *body, t.layers[-1]]
    t.settings["batch_size"] = 2
    t.settings["epochs"] = max(3, t.settings["epochs"] // 4)
    t.settings["optimizer"] = {"type": "adam", "learning_rate": 3e-3}
    return True


@fault("stopped by the training loss", "wrong-monitor", silent=True)
def wrong_monitor(t: Training, rng: Generator) -> bool:
    t.held_out = t.held_out or t.task.held_out
    monitor = pick(rng, ("loss", "accuracy" if t.task.kind == "classes" else "loss"))
    t.settings["early_stopping"] = {"patience": 10, "monitor": monitor}
    return True


@fault(
    "last layer starts large",
    "loss-not-at-chance",
    "start-too-large",
    names=PLAIN,
    silent=True,
    minded=_usual_start,
)
def off_chance(t: Training, rng: Generator) -> bool:
    _plain_dense(t, 2, 48, "relu")
    std = float(rng.uniform(8, 20))
    t.layers[-1]["initializer"] = {"type": "normal", "std": std}
    return True


# -- data -----------------------------------------------------------------------------


def _inputs(t: Training, change: Callable[[Any], Any]) -> None:
    t.train = Rows(change(t.train.X), t.train.y)
    t.test = Rows(change(t.test.X), t.test.y)
    if t.held_out is not None:
        t.held_out = Rows(change(t.held_out.X), t.held_out.y)


@fault(
    "inputs in the units they came in",
    "unscaled-inputs",
    names=("wine", "cancer", "diabetes"),
)
def raw_units(t: Training, rng: Generator) -> bool:
    assert t.task.raw is not None
    train, held, test = t.task.raw
    times = np.float32(pick(rng, (1.0, 1e3))) if t.task.name == "diabetes" else 1
    t.train = Rows(train * times, t.train.y)
    t.test = Rows(test * times, t.test.y)
    if t.held_out is not None:
        t.held_out = Rows(held * times, t.held_out.y)
    return True


@fault(
    "inputs far too large",
    "unscaled-inputs",
    names=("digits", "images", "friedman", "spirals", "wave", "several", "moons"),
)
def large_inputs(t: Training, rng: Generator) -> bool:
    times = np.float32(pick(rng, (255.0, 1e3, 1e4)))
    plus = np.float32(pick(rng, (0.0, 0.5)))
    _inputs(t, lambda X: (X + plus) * times)
    return True


@fault(
    "inputs far too small",
    "unscaled-inputs",
    names=("friedman", "spirals", "moons", "several", "blobs"),
)
def small_inputs(t: Training, rng: Generator) -> bool:
    times = np.float32(pick(rng, (1e-3, 1e-4)))
    _inputs(t, lambda X: X * times)
    return True


@fault(
    "columns that never change",
    "constant-inputs",
    names=("digits", "wine", "cancer", "friedman", "blobs", "several"),
    fixable=False,
)
def constant(t: Training, rng: Generator) -> bool:
    width = t.task.shape[0]
    lost = rng.permutation(width)[: int(width * rng.uniform(0.85, 0.97))]

    def change(X: Any) -> Any:
        X = X.copy()
        X[:, lost] = 0.5
        return X

    _inputs(t, change)
    return True


@fault(
    "targets in large units",
    "unscaled-targets",
    names=("friedman", "wave", "several", "diabetes"),
)
def large_targets(t: Training, rng: Generator) -> bool:
    times = np.float32(pick(rng, (100.0, 1e3, 1e5)))
    plus = np.float32(pick(rng, (0.0, 5.0)))

    def change(rows: Rows) -> Rows:
        return Rows(rows.X, (rows.y + plus) * times)

    t.train, t.test = change(t.train), change(t.test)
    t.held_out = None if t.held_out is None else change(t.held_out)
    return True


@fault("labels shuffled", "labels-shuffled", names=PLAIN, fixable=False)
def shuffled(t: Training, rng: Generator) -> bool:
    t.train = Rows(t.train.X, rng.permutation(t.train.y))
    if t.held_out is not None:
        t.held_out = Rows(t.held_out.X, rng.permutation(t.held_out.y))
    return True


@fault("labels shifted by a row", "labels-shifted", names=PLAIN, fixable=False)
def shifted(t: Training, rng: Generator) -> bool:
    by = int(pick(rng, (1, -1, 1, 2)))
    t.train = Rows(t.train.X, np.roll(t.train.y, by, axis=0))
    if t.held_out is not None:
        t.held_out = Rows(t.held_out.X, np.roll(t.held_out.y, by, axis=0))
    return True


@fault(
    "wrong labels",
    "label-noise",
    names=("digits", "wine", "blobs", "spirals", "moons", "rings", "images"),
    fixable=False,
)
def noise(t: Training, rng: Generator) -> bool:
    share = float(rng.uniform(0.25, 0.45))

    def change(rows: Rows) -> Rows:
        y = rows.y.copy()
        wrong = rng.random(len(y)) < share
        y[wrong] = (
            y[wrong] + rng.integers(1, t.task.classes, wrong.sum())
        ) % t.task.classes
        return Rows(rows.X, y)

    t.train = change(t.train)
    t.held_out = None if t.held_out is None else change(t.held_out)
    return True


def _weighed(t: Training) -> None:
    t.settings["class_weight"] = "balanced"
    t.balanced = True


@fault(
    "few rows of a class",
    "class-imbalance",
    names=("moons", "rings", "cancer", "spirals", "digits", "blobs"),
    minded=_weighed,
)
def imbalance(t: Training, rng: Generator) -> bool:
    """Some classes are rare among the rows to learn from, and count as much."""
    y = t.train.y
    kept = np.concatenate(
        [
            np.flatnonzero(y == c)[: (None if c == 0 else int(pick(rng, (4, 6, 8))))]
            for c in range(t.task.classes)
        ]
    )
    t.train = Rows(t.train.X[kept], y[kept])
    t.settings["batch_size"] = 16
    t.balanced = True
    return True


@fault(
    "the same rows held out", "duplicate-rows-across-split", silent=True, fixable=False
)
def repeated(t: Training, rng: Generator) -> bool:
    t.held_out = t.held_out or t.task.held_out
    share = float(rng.uniform(0.3, 1.0))
    count = int(share * len(t.held_out.X))
    rows = rng.permutation(len(t.train.X))[:count]
    X, y = t.held_out.X.copy(), t.held_out.y.copy()
    X[:count], y[:count] = t.train.X[rows[: len(X)]], t.train.y[rows[: len(X)]]
    t.held_out = Rows(X, y)
    return True


@fault(
    "other rows held out", "shifted-validation", names=PLAIN, silent=True, fixable=False
)
def other_rows(t: Training, rng: Generator) -> bool:
    held = t.held_out or t.task.held_out
    how = pick(rng, ("scale", "offset", "sorted"))
    if how == "scale":
        X = held.X * np.float32(pick(rng, (0.3, 3.0, 16.0)))
    elif how == "offset":
        X = held.X + np.float32(pick(rng, (1.0, 2.0)))
    else:
        if t.task.kind != "classes":
            return False
        few = held.y < max(1, t.task.classes // 3)
        t.held_out = Rows(held.X[few], held.y[few])
        return True
    t.held_out = Rows(X, held.y)
    return True


@fault(
    "a column that tells the target",
    "leaky-target",
    names=("digits", "wine", "cancer", "friedman", "several", "diabetes", "blobs"),
    silent=True,
    fixable=False,
)
def leak(t: Training, rng: Generator) -> bool:
    place = int(rng.integers(t.task.shape[0]))
    noise = float(pick(rng, (0.0, 0.02)))

    def change(rows: Rows) -> Rows:
        X = rows.X.copy()
        y = rows.y if rows.y.ndim == 1 else rows.y[:, 0]
        X[:, place] = y + noise * rng.normal(size=len(y))
        return Rows(X, rows.y)

    t.train = change(t.train)
    t.held_out = None if t.held_out is None else change(t.held_out)
    return True


# -- along time -----------------------------------------------------------------------


@fault(
    "large recurrent weights",
    "exploding-state",
    names=("series",),
    minded=_usual_start,
)
def large_recurrent(t: Training, rng: Generator) -> bool:
    kind, low, high = pick(
        rng, (("simple_rnn", 0.5, 1.0), ("simple_rnn", 0.5, 1.0), ("lstm", 0.9, 1.5))
    )
    std = float(rng.uniform(low, high))
    layer = {"type": kind, "units": int(pick(rng, (24, 32)))}
    layer["recurrent_initializer"] = {"type": "normal", "std": std}
    if kind == "simple_rnn" and rng.random() < 0.5:
        layer["activation"] = "relu"
    t.tables["layer"] = [t.layers[0], layer, t.layers[-1]]
    t.settings["optimizer"] = {"type": "adam", "learning_rate": 2e-3}
    t.settings["epochs"] = 60
    return True


def _calm(t: Training) -> None:
    _usual_start(t)
    t.settings["optimizer"] = {"type": "adam", "learning_rate": 0.01}


@fault(
    "heads that look at one step",
    "attention-collapse",
    names=("series",),
    minded=_calm,
)
def collapsed(t: Training, rng: Generator) -> bool:
    """Weights of attention that begin far too large, or steps that make them so."""
    heads = int(pick(rng, (1, 2, 4)))
    begin = [
        {"type": "dense", "units": 24},
        {"type": "position_embedding", "length": 32},
    ]
    if rng.random() < 0.5:
        wide = {"type": "normal", "std": float(rng.uniform(6, 12))}
        look = {"type": "multi_head_attention", "heads": heads, "initializer": wide}
        body = [look, {"type": "dense", "units": 24, "activation": "relu"}]
        rate = 0.01
    else:
        body = [{"type": "transformer_block", "heads": heads}]
        rate = float(pick(rng, (0.03, 0.05)))
    mean = {"type": "global_average_pool1d"}
    t.tables["layer"] = [t.layers[0], *begin, *body, mean, t.layers[-1]]
    t.settings["optimizer"] = {"type": "adam", "learning_rate": rate}
    t.settings["epochs"] = 60
    t.settings.pop("early_stopping", None)
    return True
