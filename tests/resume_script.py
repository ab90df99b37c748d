# SPDX-License-Identifier: BSD-3-Clause
"""Training runs that test_resume.py kills, in a process of their own.

``python resume_script.py CASE FOLDER POINT COUNT`` trains and kills itself with
SIGKILL when POINT is passed for the COUNT-th time.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import numpy as np

import nervure as nv
from nervure.executors.native import NativeTrainer
from nervure.optimizers import schedules
from nervure.training import steps
from nervure.training.folder import RunFolder

RNG = np.random.default_rng(8)
X = RNG.normal(size=(70, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int64)


def net() -> nv.Network:
    layers = [nv.Input(6), nv.Dense(9, activation="relu"), nv.Dropout(0.25)]
    return nv.Network([*layers, nv.Dense(2, activation="softmax")], seed=3)


def maps() -> nv.Network:
    """Running statistics, and every layer that draws."""
    x = nv.Input((3, 2, 1), name="x")
    h = nv.Conv2D(4, 2, padding="same")(x)
    h = nv.Activation("relu")(nv.BatchNorm(momentum=0.7)(h))
    branch = nv.BatchNorm()(nv.SeparableConv2D(4, 2, padding="same")(h))
    h = nv.Add()(h, nv.StochasticDepth(0.3)(nv.SpatialDropout(0.2)(branch)))
    y = nv.Dense(2, activation="softmax")(nv.Dropout(0.1)(nv.Flatten()(h)))
    return nv.Network(inputs=x, outputs=y, seed=3)


PLATEAU = schedules.ReduceOnPlateau(0.2, factor=0.5, patience=1, min_delta=0.01)
CASES: dict[str, dict[str, Any]] = {
    "adam": {
        "optimizer": nv.Adam(schedules.Cosine(0.02)),
        "checkpoint_steps": 4,
        "validation": 0.2,
        "epochs": 4,
    },
    "nesterov": {
        "optimizer": nv.SGD(0.05, momentum=0.9, nesterov=True, clip_norm=0.5),
        "checkpoint_steps": 3,
        "regularizer": nv.MaxNorm(1.0),
        "class_weight": {0: 1.0, 1: 2.5},
        "epochs": 4,
    },
    "plateau": {
        "optimizer": nv.SGD(PLATEAU),
        "validation": 0.3,
        "callbacks": [nv.EarlyStopping(patience=2, min_delta=0.02)],
        "epochs": 40,
    },
    "lbfgs": {"optimizer": nv.LBFGS(), "epochs": 6, "metrics": ["accuracy", "auc"]},
    "limited": {"max_steps": 12, "checkpoint_steps": 6, "epochs": 9},
    "cut": {"max_steps": 13, "checkpoint_steps": 13, "epochs": 9},
    "maps": {
        "net": maps,
        "optimizer": nv.SGD(0.1, momentum=0.9),
        "checkpoint_steps": 4,
        "validation": 0.2,
        "epochs": 3,
    },
    "long": {"optimizer": nv.Adam(0.001), "checkpoint_steps": 1, "epochs": 12},
}


def train(case: str, folder: Any, **more: Any) -> nv.Run:
    given = {"batch_size": 12, "seed": 5, "progress": False, **CASES[case], **more}
    made = given.pop("net", net)()
    return nv.fit(made, X, Y, directory=folder, **given)


def kill_at(point: str, count: int) -> None:
    """Arrange that the process kills itself.

    ``step`` before a step, ``replace`` before a file takes its name, ``replaced`` after
    it, ``log`` after a line of the record.
    """
    left = [count]

    def passed() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(function: Any) -> Any:
        return lambda *args: (passed(), function(*args))[1]

    def after(function: Any) -> Any:
        return lambda *args: (function(*args), passed())[0]

    steps.STRETCH_SECONDS = 0.0
    if point == "step":
        NativeTrainer.run = before(NativeTrainer.run)
    elif point == "log":
        RunFolder.log = after(RunFolder.log)
    elif point == "replace":
        os.replace = before(os.replace)
    elif point == "replaced":
        os.replace = after(os.replace)


def main() -> None:
    case, folder, point, count = sys.argv[1:]
    if point == "interrupt":
        given = {"checkpoint_steps": None, "epochs": 10**6}
        run = train(case, folder, **given, callbacks=[lambda run: print(run.epoch)])
        assert run.network.forward(X).shape == (70, 2)
        print("stopped", run.stopped, run.epoch, run.step)
        return
    kill_at(point, int(count))
    train(case, folder, resume=True)


if __name__ == "__main__":
    main()
