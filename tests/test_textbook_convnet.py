# SPDX-License-Identifier: BSD-3-Clause
"""The network of the textbook, layer by layer and one backward pass, by hand.

A 32 x 32 image; a convolution with 4 maps of 16 x 16 (fields of 4 x 4, stride 2); max
pooling of 4 x 4 blocks to 4 x 4 x 4; a dense softmax over 10 classes. What the engine
finds is compared with loops that follow the equations, one node after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nervure as nv

FIELD, STRIDE, MAPS, CLASSES = 4, 2, 4, 10


@pytest.fixture
def net() -> nv.Network:
    layers = [
        nv.Input((32, 32, 1)),
        nv.Conv2D(MAPS, FIELD, stride=STRIDE, padding="same", activation="tanh"),
        nv.MaxPool2D(4),
        nv.Flatten(),
        nv.Dense(CLASSES, activation="softmax"),
    ]
    return nv.Network(layers, seed=5, dtype="float64")


def window(image: np.ndarray, i: int, j: int) -> np.ndarray:
    """What node (i, j) of a map sees: one row and column of zeros lie around."""
    framed = np.zeros((34, 34))
    framed[1:33, 1:33] = image
    return framed[2 * i : 2 * i + FIELD, 2 * j : 2 * j + FIELD]


def forward(p: dict[str, np.ndarray], image: np.ndarray) -> dict[str, Any]:
    a = np.zeros((16, 16, MAPS))
    for i in range(16):
        for j in range(16):
            for m in range(MAPS):
                kernel = p["conv2d.weight"][:, :, 0, m]
                z = (window(image, i, j) * kernel).sum() + p["conv2d.bias"][m]
                a[i, j, m] = np.tanh(z)
    pooled, winner = np.zeros((4, 4, MAPS)), {}
    for i in range(4):
        for j in range(4):
            for m in range(MAPS):
                block = a[4 * i : 4 * i + 4, 4 * j : 4 * j + 4, m]
                k, l = divmod(int(block.argmax()), 4)  # noqa: E741
                winner[i, j, m] = (4 * i + k, 4 * j + l, m)
                pooled[i, j, m] = block[k, l]
    z = pooled.reshape(-1) @ p["dense.weight"] + p["dense.bias"]
    e = np.exp(z - z.max())
    return {"a": a, "pooled": pooled, "winner": winner, "y": e / e.sum()}


def backward(
    p: dict[str, np.ndarray], image: np.ndarray, label: int, f: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Of the cost -log y[label]."""
    delta = f["y"].copy()  # a - y at the softmax
    delta[label] -= 1
    found = {
        "dense.weight": np.outer(f["pooled"].reshape(-1), delta),
        "dense.bias": delta,
        "conv2d.weight": np.zeros((FIELD, FIELD, 1, MAPS)),
        "conv2d.bias": np.zeros(MAPS),
    }
    at_pooled = (p["dense.weight"] @ delta).reshape(4, 4, MAPS)
    for (i, j, m), (row, column, _) in f["winner"].items():
        # Only the largest of a block hears of the cost; tanh' = 1 - a^2.
        node = at_pooled[i, j, m] * (1 - f["a"][row, column, m] ** 2)
        found["conv2d.weight"][:, :, 0, m] += node * window(image, row, column)
        found["conv2d.bias"][m] += node
    return found


def test_shapes_and_parameters(net: nv.Network) -> None:
    shapes = {node.name: node.shape for node in net.graph.nodes}
    assert shapes["conv2d"] == (16, 16, 4)
    assert shapes["max_pool2d"] == (4, 4, 4)
    assert shapes["flatten"] == (64,)
    sizes = {name: value.size for name, value in net.parameters.items()}
    assert sizes == {
        "conv2d.weight": 4 * 4 * 4,
        "conv2d.bias": 4,
        "dense.weight": 64 * 10,
        "dense.bias": 10,
    }
    assert net.layout.count == 718


def test_one_pass_forward_and_backward(net: nv.Network) -> None:
    images = np.random.default_rng(2).uniform(size=(3, 32, 32))
    labels = np.array([7, 0, 4])
    own = {name: np.array(value) for name, value in net.parameters.items()}
    t = net.trace(images[..., None], labels, loss="cross_entropy")
    each = [forward(own, image) for image in images]
    for name, key in (("conv2d", "a"), ("max_pool2d", "pooled"), ("dense", "y")):
        expected = [f[key] for f in each]
        np.testing.assert_allclose(t[name].a, expected, rtol=1e-12, atol=1e-14)
    costs = [-np.log(f["y"][c]) for f, c in zip(each, labels, strict=True)]
    np.testing.assert_allclose(t.loss, np.mean(costs), rtol=1e-12)
    triples = zip(images, labels, each, strict=True)
    gradients = [backward(own, image, c, f) for image, c, f in triples]
    for name in own:
        layer, parameter = name.split(".")
        expected = np.mean([g[name] for g in gradients], axis=0)
        found = t[layer].gradient[parameter]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)
