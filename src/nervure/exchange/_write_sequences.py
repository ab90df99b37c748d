# SPDX-License-Identifier: BSD-3-Clause
"""Layers along time as ONNX operators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.exchange._gates import OPERATORS, in_order
from nervure.exchange._site import Site
from nervure.exchange._write_time import OPEN, counted, steps
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
    some = ""
    if at.layer.causal and OPEN in (queries, keys):
        score, some = _seen(at, score)
    elif at.layer.causal:
        seen = np.tri(queries, keys, keys - queries, dtype=bool)
        hidden = at.writer.constant(np.where(seen, 0.0, -1e9), f"{at.node.name}.hidden")
        score = at.step("Add", [score, hidden], "seen")
    weights = at.step("Softmax", [score], "weights", axis=-1)
    if not seen.any(axis=1).all():  # who sees nothing gives zeros
        mask = seen.any(axis=1, keepdims=True).astype(np.float64)
        some = at.writer.constant(mask, f"{at.node.name}.some")
    if some:
        weights = at.step("Mul", [weights, some], "kept")
    found = at.step("MatMul", [weights, _by_head(at, v, "v")], "found")
    rows = at.step("Transpose", [found], "rows", perm=[0, 2, 1, 3])
    own = (queries, at.node.shape[-1])
    return Value(at.last("Reshape", [rows, at.integers((0, *own), "shape")]), own)


def _seen(at: Site, score: str) -> tuple[str, str]:
    """Scores without those of later keys, and 1 for queries that see one, else 0.

    The last query stands at the last key, however many there are of either.
    """
    writer, own = at.writer, at.node.name
    query_count, key_count = (
        at.step("Shape", [score], f"{word}.count", start=axis, end=axis + 1)
        for axis, word in ((2, "queries"), (3, "keys"))
    )
    lead = at.step("Sub", [key_count, query_count], "lead")
    place = counted(writer, query_count, f"{own}.queries")
    last = at.step("Add", [place, lead], "last")
    column = at.step("Unsqueeze", [last, at.integers([1], "column.axis")], "column")
    keys = counted(writer, key_count, f"{own}.keys")
    ahead = at.step("Greater", [keys, column], "ahead")
    hidden = at.step(
        "Where", [ahead, at.number(-1e9, "least"), at.number(0.0, "zero")], "hidden"
    )
    none = at.integers([0], "none")
    sees = at.step("GreaterOrEqual", [column, none], "sees")
    some = writer.cast(sees, writer.dtype, f"{own}.some")
    return at.step("Add", [score, hidden], "seen"), some


def _by_head(at: Site, x: Value, word: str, turned: bool = False) -> str:
    """``(rows, heads, time, features)``, turned with the last two the other way."""
    time, size = x.shape
    heads: int = at.layer.heads
    shape = at.integers((0, time, heads, size // heads), f"{word}.shape")
    apart = at.step("Reshape", [at.writer.as_last(x).name, shape], f"{word}.apart")
    perm = [0, 2, 3, 1] if turned else [0, 2, 1, 3]
    return at.step("Transpose", [apart], f"{word}.heads", perm=perm)


def position_embedding(at: Site, x: Value) -> Value:
    if x.shape[0] == OPEN:
        zero = at.integers([0], "first")
        inputs = [at.parameter("weight"), zero, steps(at.writer, x.name), zero]
        places = at.step("Slice", inputs, "places")
        return Value(at.last("Add", [x.name, places]), x.shape)
    places = at.parameter("weight", at.parameters["weight"][: x.shape[0]])
    return Value(at.last("Add", [at.writer.as_last(x).name, places]), x.shape)


def rotary_positions(at: Site, x: Value) -> Value:
    """``x cos + swapped sin``, neighbours being swapped by a product."""
    size = x.shape[1]
    turns = np.tile(np.repeat(at.layer.turns(size), 2), at.layer.heads)
    swap = np.zeros((size, size))
    even = np.arange(0, size, 2)
    swap[even + 1, even], swap[even, even + 1] = -1, 1
    name, own = at.writer.as_last(x).name, at.node.name

    def constant(array: Array, word: str) -> str:
        return at.writer.constant(array, f"{own}.{word}")

    if x.shape[0] == OPEN:
        cosines, sines = _waves(at, x, turns)
    else:
        angle = np.arange(x.shape[0])[:, None] * turns
        cosines = constant(np.cos(angle), "cosines")
        sines = constant(np.sin(angle), "sines")
    kept = at.step("Mul", [name, cosines], "kept")
    other = at.step("MatMul", [name, constant(swap, "swap")], "swapped")
    moved = at.step("Mul", [other, sines], "moved")
    return Value(at.last("Add", [kept, moved]), x.shape)


def _waves(at: Site, x: Value, turns: Array) -> tuple[str, str]:
    """Cosines and sines of the angles of as many places as there are steps."""
    places = counted(at.writer, steps(at.writer, x.name), f"{at.node.name}.places")
    numbers = at.writer.cast(places, at.writer.dtype, f"{at.node.name}.numbers")
    column = at.step("Unsqueeze", [numbers, at.integers([1], "axis")], "column")
    row = at.writer.constant(turns[None], f"{at.node.name}.turns")
    angle = at.step("Mul", [column, row], "angle")
    return at.step("Cos", [angle], "cosines"), at.step("Sin", [angle], "sines")
