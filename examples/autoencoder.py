# SPDX-License-Identifier: BSD-3-Clause
"""Convolutional autoencoders of handwritten digits, which are not told the digit.

One has a code of two numbers, drawn as a picture; one of 32, by which a linear
classifier then tells the digits. The second sees images that are moved, turned and
bent at random and is to give them as they were, so that its code holds what such
changes leave alone (a denoising autoencoder: Vincent et al., JMLR 11, 2010).
MNIST is read from FOLDER, $NERVURE_MNIST or ../shared/data/mnist; else scikit-learn's
digits are taken.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import nervure as nv

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"


def load(folder: str | None) -> tuple[Any, Any, str]:
    """Images in [0, 1] and digits, for training and test; the source."""
    instead = BESIDE if BESIDE.is_dir() else "digits"
    source = folder or os.environ.get("NERVURE_MNIST") or instead
    data = nv.data.load(source)
    images, digits = np.asarray(data.inputs), data.targets
    if data.test is None:  # digits have no test part: every fifth
        last = np.arange(data.rows) % 5 == 4
        parts = (images[~last], digits[~last]), (images[last], digits[last])
    else:
        parts = (images, digits), data.test
    scale = np.float32(data.preprocessing.scale)
    train, test = ((x.reshape(len(x), *x.shape[1:3], 1) * scale, y) for x, y in parts)
    return train, test, Path(source).name


def autoencoder(size: int, code: int, seed: int = 0) -> nv.Autoencoder:
    """For images of ``size`` by ``size`` pixels: 28, or any other multiple of 4."""
    halving = {"stride": 2, "padding": "same", "activation": "relu"}
    small = size // 4
    encoder = [
        nv.Input((size, size, 1)),
        nv.Conv2D(16, 3, **halving),
        nv.Conv2D(32, 3, **halving),
        nv.Flatten(),
        nv.Dense(256, activation="relu"),
        nv.Dense(code),
    ]
    decoder = [
        nv.Dense(256, activation="relu"),
        nv.Dense(32 * small**2, activation="relu"),
        nv.Reshape((small, small, 32)),
        nv.Conv2DTranspose(16, 3, **halving),
        nv.Conv2DTranspose(1, 3, stride=2, padding="same", activation="logistic"),
    ]
    return nv.Autoencoder(encoder, decoder, seed=seed)


def bent(size: int) -> list[nv.augmentation.Augmentation]:
    """How images of that size are changed, anew in each step."""
    return [
        nv.augmentation.Rotate(15),
        nv.augmentation.Shift(max(1, size // 14)),
        nv.augmentation.Scale(0.85, 1.15),
        nv.augmentation.Elastic(size * 8 / 28, size * 3 / 28),
    ]


def train(
    images: Any, code: int, epochs: int, augmentation: Any = None
) -> nv.Autoencoder:
    """An autoencoder of these images, and a line of how it went."""
    begin = time.perf_counter()
    made = autoencoder(images.shape[1], code)
    run = made.fit(
        images,
        epochs=epochs,
        batch_size=128,
        optimizer=nv.Adam(nv.schedules.Cosine(2e-3)),
        augmentation=augmentation,
        progress=False,
    )
    seconds = time.perf_counter() - begin
    print(f"code of {code}: loss {run.history['loss'][-1]:.4f} after {seconds:.0f} s")
    return made


def linear_accuracy(
    made: nv.Autoencoder, train: tuple[Any, Any], test: tuple[Any, Any]
) -> float:
    """Share of test digits that a linear classifier of the codes tells right."""
    codes = made.encode(train[0])
    mean, spread = codes.mean(axis=0), codes.std(axis=0) + 1e-6
    net = nv.Network([nv.Input(codes.shape[1]), nv.Dense(10, activation="softmax")])
    nv.fit(
        net,
        (codes - mean) / spread,
        train[1],
        epochs=30,
        batch_size=128,
        optimizer=nv.Adam(nv.schedules.Cosine(5e-3)),
        progress=False,
    )
    rows = (made.encode(test[0]) - mean) / spread
    return float(net.evaluate(rows, test[1])["accuracy"])


def draw(codes: Any, digits: Any, path: Path) -> None:
    """Codes of two numbers as points, coloured by the digit."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
    points = axes.scatter(*codes.T, c=digits, s=3, cmap="tab10", vmin=-0.5, vmax=9.5)
    figure.colorbar(points, ticks=range(10), label="digit")
    axes.set(xlabel="first number of the code", ylabel="second number of the code")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--picture", type=Path, default=Path("codes.png"))
    given = parser.parse_args()
    (images, digits), test, source = load(given.folder)
    print(f"{source}: {len(images):,} images of {images.shape[1]} x {images.shape[2]}")
    flat = train(images, 2, max(1, given.epochs // 3))
    draw(flat.encode(test[0]), test[1], given.picture)
    print(f"codes of the test images: {given.picture}")
    wide = train(images, 32, given.epochs, bent(images.shape[1]))
    found = linear_accuracy(wide, (images, digits), test)
    print(f"a linear classifier of the codes tells {found:.2%} of the test images")


if __name__ == "__main__":
    main()
