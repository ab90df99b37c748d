# SPDX-License-Identifier: BSD-3-Clause
"""Strips of three to five digits are read column by column, by CTC.

Nobody says at which column a digit is: two GRUs, one from the left and one from the
right, say at each step one of ten digits or a blank, and the loss adds up all ways in
which they may say the digits of the strip in their order (Graves et al., ICML 2006).
Digits of MNIST, from FOLDER, $NERVURE_MNIST or ../shared/data/mnist, four columns at a
step; else scikit-learn's digits, column by column. Strips of the test are made of
images that no strip of the training has.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import nervure as nv

BLANK = 10
UNITS, BATCH = 64, 32
STRIPS, TEST_STRIPS = 16_000, 500
RATES = ((3, 0.004), (1, 0.001), (1, 0.0002))
"""Epochs and the learning rate of each stretch of the training."""

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"


def load(folder: str | None) -> tuple[Any, Any, str]:
    """Images in [0, 1] and their digits, for training and test; the source."""
    instead = BESIDE if BESIDE.is_dir() else "digits"
    source = folder or os.environ.get("NERVURE_MNIST") or instead
    data = nv.data.load(source)
    scale = np.float32(data.preprocessing.scale)

    def part(images: Any, digits: Any) -> tuple[Any, Any]:
        return images.reshape(images.shape[:3]) * scale, digits

    if data.test is not None:
        return part(data.inputs, data.targets), part(*data.test), Path(source).name
    last = np.arange(data.rows) % 5 == 4  # digits have no test part: every fifth
    train = part(data.inputs[~last], data.targets[~last])
    return train, part(data.inputs[last], data.targets[last]), Path(source).name


def strips(part: tuple[Any, Any], count: int, seed: int) -> tuple[Any, list[Any]]:
    """So many strips, their columns as steps, and the digits of each.

    Images are side by side with up to half of one's width between them.
    """
    rng = np.random.default_rng(seed)
    images, digits = part
    height, width = images.shape[1:]
    together = max(1, width // 7)  # columns of a step
    rows: list[Any] = []
    labels: list[Any] = []
    for _ in range(count):
        chosen = rng.integers(len(images), size=rng.integers(3, 6))
        pieces = [
            piece for i in chosen for piece in (images[i], gap(rng, height, width))
        ]
        strip = np.concatenate(pieces, axis=1)
        steps = strip.shape[1] // together
        rows.append(strip[:, : steps * together].T.reshape(steps, -1))
        labels.append(digits[chosen])
    return nv.Ragged.of(rows), labels


def gap(rng: np.random.Generator, height: int, width: int) -> Any:
    return np.zeros((height, rng.integers(width // 2 + 1)), np.float32)


def network(features: int, seed: int = 0) -> nv.Network:
    """At each step the probabilities of ten digits and a blank."""
    layers = [
        nv.Input((None, features)),
        nv.Bidirectional(nv.GRU(UNITS, return_sequences=True)),
        nv.Dense(BLANK + 1, activation="softmax"),
    ]
    return nv.Network(layers, seed=seed)


def train(net: nv.Network, X: Any, y: Any, epochs: int, rate: float) -> nv.Run:
    return nv.fit(
        net,
        X,
        y,
        loss=nv.losses.CTC(blank=BLANK),
        optimizer=nv.Adam(rate, clip_norm=1.0),
        epochs=epochs,
        batch_size=BATCH,
        progress=False,
    )


def error_rate(labels: Any, read: Any) -> float:
    """Wrong, missing and superfluous digits for each digit that is there."""
    return nv.metrics.label_error_rate(labels, read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    given = parser.parse_args()
    images, test, source = load(given.folder)
    X, y = strips(images, STRIPS, seed=1)
    held, digits = strips(test, TEST_STRIPS, seed=2)
    net = network(X.shape[2])
    print(f"{source}: {len(X):,} strips of {X.lengths.min()} to {X.longest} steps")
    begin = time.perf_counter()
    for epochs, rate in RATES:
        run = train(net, X, y, epochs, rate)
        read = nv.ctc_decode(net.predict(held), blank=BLANK)
        print(
            f"learning rate {rate:g}: loss {run.history['loss'][-1]:.4f}, label error "
            f"rate {error_rate(digits, read):.2%} of {sum(map(len, digits)):,} digits "
            f"held out, {time.perf_counter() - begin:.0f} s"
        )
    read = nv.ctc_decode(net.predict(held), blank=BLANK, beam=8)
    print(f"beam search of width 8: {error_rate(digits, read):.2%}")
    for right, own in list(zip(digits, read, strict=True))[:5]:
        print(f"{' '.join(map(str, right)):10}  read as  {' '.join(map(str, own))}")


if __name__ == "__main__":
    main()
