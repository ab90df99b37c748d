# SPDX-License-Identifier: BSD-3-Clause
"""Layers along time as ONNX operators, for sequences of one length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.exchange._gates import OPERATORS, in_order
from nervure.exchange._site import Site
from nervure.exchange._writer import Value
from nervure.layers import GRU, LSTM, Layer, SimpleRNN
from nervure.layers._recurrent import Recurrent

Array = npt.NDArray[Any]


def is_known(layer: Layer) -> bool:
    """Whether ONNX has a layer: it has no normalized LSTM."""
    return not (isinstance(layer, LSTM) and layer.layer_norm)


def recurrent(at: Site, x: Value, *given: Value) -> list[Value]:
    """The output, and the final states: ONNX has time before the rows."""
    layer: Recurrent = at.layer
    operator, order = OPERATORS[type(layer)]
    time = x.shape[0]
    swapped = at.step("Transpose", [at.writer.as_last(x).name], perm=[1, 0, 2])
    inputs = [swapped, *_weights(at, order), ""]
    for name, state in zip(layer.states, given, strict=False):
        inputs.append(_with_direction(at, state.name, f"first_{name}"))
    peepholes = isinstance(layer, LSTM) and layer.peepholes
    if peepholes:
        i, f, o = at.parameters["peephole"]
        missing = [""] * (7 - len(inputs))
        inputs += [*missing, at.parameter("peephole", np.concatenate([i, o, f])[None])]
    names = [
        at.writer.name(f"{at.node.name}.{word}") for word in ("all", *layer.states)
    ]
    at.writer.several(operator, _without_end(inputs), names, **_attributes(layer))
    ends = [
        Value(at.step("Squeeze", [end, at.integers([0], "axis")], name), (layer.units,))
        for end, name in zip(names[1:], layer.states, strict=True)
    ]
    if not layer.return_sequences:
        return [ends[0], *ends]
    steps = at.step("Squeeze", [names[0], at.integers([1], "way")], "steps")
    y = at.last("Transpose", [steps], perm=[1, 0, 2])
    return [Value(y, (time, layer.units)), *ends]


def _weights(at: Site, order: Sequence[int]) -> list[str]:
    """W, R and B as the operator has them: a gate below the other, in its order."""

    def gates(array: Array) -> Array:
        return in_order(array, order).T[None]

    own = at.parameters
    second = own.get("recurrent_bias", np.zeros_like(own["bias"]))
    biases = np.concatenate([gates(own["bias"]), gates(second)], axis=-1)
    return [
        at.parameter("weight", gates(own["weight"])),
        at.parameter("recurrent_weight", gates(own["recurrent_weight"])),
        at.parameter("bias", biases),
    ]


def _with_direction(at: Site, state: str, word: str) -> str:
    return at.step("Unsqueeze", [state, at.integers([0], f"{word}.axis")], word)


def _without_end(inputs: Sequence[str]) -> list[str]:
    """Inputs up to the last one that there is."""
    last = max(i for i, name in enumerate(inputs) if name)
    return list(inputs[: last + 1])


def _attributes(layer: Recurrent) -> dict[str, Any]:
    found: dict[str, Any] = {"hidden_size": layer.units}
    if layer.reverse:
        found["direction"] = "reverse"
    if isinstance(layer, GRU):
        found["linear_before_reset"] = int(layer.reset_after)
    if isinstance(layer, SimpleRNN):
        found["activations"] = ["Relu" if layer.activation == "relu" else "Tanh"]
    return found


# -- attention and positions -----------------------------------------------------------


def attention(at: Site, q: Value, k: Value, v: Value) -> Value:
    """Products, a mask, a softmax."""
    heads: int = at.layer.heads
    width = q.shape[1] // heads
    queries, keys = q.shape[0], k.shape[0]
    score = at.step(
        "MatMul", [_by_head(at, q, "q"), _by_head(at, k, "k", turned=True)], "products"
    )
    score = at.step("Mul", [score, at.number(1 / math.sqrt(width), "factor")], "scores")
    seen = np.ones((queries, keys), bool)
    if at.layer.causal:
        seen = np.tri(queries, keys, keys - queries, dtype=bool)
        hidden = at.writer.constant(np.where(seen, 0.0, -1e9), f"{at.node.name}.hidden")
        score = at.step("Add", [score, hidden], "seen")
    weights = at.step("Softmax", [score], "weights", axis=-1)
    if not seen.any(axis=1).all():  # who sees nothing gives zeros
        some = seen.any(axis=1, keepdims=True).astype(np.float64)
        kept = at.writer.constant(some, f"{at.node.name}.some")
        weights = at.step("Mul", [weights, kept], "kept")
    found = at.step("MatMul", [weights, _by_head(at, v, "v")], "found")
    rows = at.step("Transpose", [found], "rows", perm=[0, 2, 1, 3])
    shape = at.integers((0, *at.node.shape), "shape")
    return Value(at.last("Reshape", [rows, shape]), at.node.shape)


def _by_head(at: Site, x: Value, word: str, turned: bool = False) -> str:
    """``(rows, heads, time, features)``, turned with the last two the other way."""
    time, size = x.shape
    heads: int = at.layer.heads
    shape = at.integers((0, time, heads, size // heads), f"{word}.shape")
    apart = at.step("Reshape", [at.writer.as_last(x).name, shape], f"{word}.apart")
    perm = [0, 2, 3, 1] if turned else [0, 2, 1, 3]
    return at.step("Transpose", [apart], f"{word}.heads", perm=perm)


def position_embedding(at: Site, x: Value) -> Value:
    places = at.parameter("weight", at.parameters["weight"][: x.shape[0]])
    return Value(at.last("Add", [at.writer.as_last(x).name, places]), x.shape)


def rotary_positions(at: Site, x: Value) -> Value:
    """``x cos + swapped sin``, neighbours being swapped by a product."""
    time, size = x.shape
    turns = np.arange(time)[:, None] * at.layer.turns(size)
    angle = np.tile(np.repeat(turns, 2, axis=1), at.layer.heads)
    swap = np.zeros((size, size))
    even = np.arange(0, size, 2)
    swap[even + 1, even], swap[even, even + 1] = -1, 1
    name, own = at.writer.as_last(x).name, at.node.name

    def constant(array: Array, word: str) -> str:
        return at.writer.constant(array, f"{own}.{word}")

    kept = at.step("Mul", [name, constant(np.cos(angle), "cosines")], "kept")
    other = at.step("MatMul", [name, constant(swap, "swap")], "swapped")
    moved = at.step("Mul", [other, constant(np.sin(angle), "sines")], "moved")
    return Value(at.last("Add", [kept, moved]), x.shape)
