# SPDX-License-Identifier: BSD-3-Clause
"""Calls that are right: a type checker finds no fault in them, however strict it is."""

from __future__ import annotations

import numpy as np

import nervure as nv

X, y = np.zeros((8, 4), np.float32), np.zeros(8, np.int64)

net = nv.Network(
    [
        nv.Input(4),
        nv.Dense(8, activation="relu", initializer="he_normal"),
        nv.Dropout(0.2),
        nv.Dense(3, activation=nv.Softmax()),
    ],
    seed=7,
)
images = nv.Network(
    [
        nv.Input((8, 8, 1)),
        nv.Conv2D(4, 3, padding="same"),
        nv.MaxPool2D(2),
        nv.Flatten(),
    ]
)
run = nv.fit(
    net,
    X,
    y,
    loss="cross_entropy",
    optimizer=nv.Adam(nv.schedules.Cosine(1e-3)),
    epochs=2,
    validation=0.1,
    metrics=["accuracy", "f1"],
    callbacks=[nv.EarlyStopping(patience=3)],
    regularizer=nv.L2(1e-4),
    augmentation=[nv.augmentation.Shift(2), nv.augmentation.Flip()],
)
best: int = run.best_epoch
series: list[float] = run.history["loss"]
scores: dict[str, float] = net.evaluate(X, y)
net.save("net.safetensors")
same = nv.load("net.safetensors")
same.predict(X)

h = nv.Dense(8, activation="tanh")(nv.Input(4))
graph = nv.Network(inputs=nv.Input(4), outputs=nv.Dense(1)(h))
trace = graph.trace(X[:1], [1.0], loss=nv.Huber(0.5))
delta = trace["dense"].delta

spec: nv.Spec = nv.load_spec("net.toml")
data: nv.Dataset = nv.data.load("digits")
resnet: nv.Network = nv.zoo.resnet18(classes=10, input_shape=(32, 32, 3))
resnet.freeze("stem", until="block3")
error = nv.uncertainty.expected_calibration_error(y, net.predict(X))
members = nv.Ensemble.of(net, 3)
