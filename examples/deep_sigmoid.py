# SPDX-License-Identifier: BSD-3-Clause
"""The earlier layers of a deep logistic network learn more slowly.

The speed of a layer is the norm of its bias gradient, dC/db = sum of delta over the
rows: how fast gradient descent moves its biases. Every layer on the way down multiplies
delta by W^T and by the slope of the logistic, at most 1/4 (Nielsen, *Neural Networks
and Deep Learning*, chapter 5). MNIST is read from FOLDER, $NERVURE_MNIST or
../shared/data/mnist; else scikit-learn's digits are taken.
"""

from __future__ import annotations

import argparse
import os
from itertools import product
from pathlib import Path
from typing import Any

import learning_speed_plot
import numpy as np

import nervure as nv
from nervure.initializers import LeCunNormal, Normal

ROWS, EPOCHS = 1000, (0, 5, 30)  # training images, and when the table looks
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"


def load(folder: str | None) -> tuple[Any, Any, str]:
    """Images as rows in [0, 1], their digits one-hot, and where they are from."""
    instead = BESIDE if BESIDE.is_dir() else "digits"
    source = folder or os.environ.get("NERVURE_MNIST") or instead
    data = nv.data.load(source)
    images = data.inputs[:ROWS].reshape(ROWS, -1) * data.preprocessing.scale
    note = "" if source != "digits" else " (scikit-learn's; name a folder for MNIST)"
    return images, np.eye(10)[data.targets[:ROWS]], f"{Path(source).name}{note}"


def network(inputs: int, hidden: int, seed: int = 0) -> nv.Network:
    """Hidden layers of 30 logistic nodes; weights N(0, 1/inputs), biases N(0, 1)."""
    how = {"initializer": LeCunNormal(), "bias_initializer": Normal(1.0)}
    sizes = {f"hidden_{i + 1}": 30 for i in range(hidden)} | {"output": 10}
    layers = [nv.Dense(n, "logistic", name=name, **how) for name, n in sizes.items()]
    return nv.Network([nv.Input(inputs), *layers], seed=seed)


def speeds(net: nv.Network, images: Any, digits: Any) -> list[float]:
    """Norm of the bias gradient of every hidden layer, first to last."""
    trace = net.trace(images, digits, loss="quadratic")
    deltas = [trace[name].delta for name in trace if name.startswith("hidden")]
    return [float(np.linalg.norm(delta.sum(axis=0))) for delta in deltas]


def measure(images: Any, digits: Any, hidden: int, epochs: int) -> list[list[float]]:
    """Speeds before training and after each epoch."""
    net = network(images.shape[1], hidden)
    found = [speeds(net, images, digits)]
    look = [lambda run: found.append(speeds(net, images, digits))]
    how = {"loss": "quadratic", "optimizer": nv.SGD(1.0), "batch_size": 10}
    nv.fit(net, images, digits, epochs=epochs, callbacks=look, progress=False, **how)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", help="folder with MNIST's IDX files")
    parser.add_argument("--plot", metavar="FILE", help="draw it too (.svg or .png)")
    given = parser.parse_args()
    images, digits, name = load(given.folder)
    found = {n: measure(images, digits, n, max(EPOCHS)) for n in range(1, 5)}
    print(f"learning speed |dC/db| of each hidden layer; {ROWS} images of {name}")
    print("hidden layers  epochs   layer 1   layer 2   layer 3   layer 4   last/first")
    for epoch, (hidden, curve) in product(EPOCHS, found.items()):
        cells = "".join(f"{speed:10.5f}" for speed in curve[epoch]).ljust(40)
        print(f"{hidden:13}{epoch:8}{cells}{curve[epoch][-1] / curve[epoch][0]:13.1f}")
    if given.plot:
        learning_speed_plot.draw(found, given.plot)


if __name__ == "__main__":
    main()
