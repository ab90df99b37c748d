# SPDX-License-Identifier: BSD-3-Clause
"""An LSTM reads images row by row, as a sequence, and names the digit after the last.

It keeps what it has seen in 128 cells, whose gates decide what is forgotten, written
and told (Hochreiter and Schmidhuber, *Neural Computation* 9, 1997; Gers et al., 2000).
MNIST is read from FOLDER, $NERVURE_MNIST or ../shared/data/mnist: 98.9 % of its test
images after 5 epochs; else scikit-learn's digits are taken, five times as often.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import nervure as nv

UNITS, BATCH = 128, 64
RATES = ((3, 0.002), (1, 0.0005), (1, 0.0001))
"""Epochs and the learning rate of each stretch of the training."""

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"


def load(folder: str | None) -> tuple[Any, Any, str]:
    """Sequences of rows in [0, 1] and digits, for training and test; the source."""
    instead = BESIDE if BESIDE.is_dir() else "digits"
    source = folder or os.environ.get("NERVURE_MNIST") or instead
    data = nv.data.load(source)
    test = data.test
    if test is None:  # digits have no test part: every fifth
        last = np.arange(data.rows) % 5 == 4
        test = data.inputs[last], data.targets[last]
        train = data.inputs[~last], data.targets[~last]
    else:
        train = data.inputs, data.targets
    scale = np.float32(data.preprocessing.scale)

    def rows(part: tuple[Any, Any]) -> tuple[Any, Any]:
        images, digits = part
        return images.reshape(images.shape[:3]) * scale, digits

    return rows(train), rows(test), Path(source).name


def network(time_steps: int, features: int, seed: int = 0) -> nv.Network:
    layers = [
        nv.Input((time_steps, features)),
        nv.LSTM(UNITS),
        nv.Dense(10, activation="softmax"),
    ]
    return nv.Network(layers, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    given = parser.parse_args()
    (X, y), test, source = load(given.folder)
    net = network(*X.shape[1:])
    print(f"{source}: {len(X):,} images as {X.shape[1]} steps of {X.shape[2]} pixels")
    begin = time.perf_counter()
    for epochs, rate in RATES:
        often = epochs if len(X) > 10_000 else 5 * epochs
        how = {"optimizer": nv.Adam(rate), "epochs": often, "batch_size": BATCH}
        nv.fit(net, X, y, progress=False, **how)
        found = net.evaluate(*test)["accuracy"]
        seconds = time.perf_counter() - begin
        print(
            f"learning rate {rate:g}: {found:.2%} of the test images, {seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
