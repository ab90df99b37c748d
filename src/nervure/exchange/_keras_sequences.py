# SPDX-License-Identifier: BSD-3-Clause
"""Layers of Keras along time: recurrent ones, both directions, attention.

Keras has the gates of an LSTM in our order, those of a GRU as z, r, h.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nervure.base.words import is_table, short
from nervure.exchange._gates import in_order
from nervure.exchange._held import NotCoveredError
from nervure.exchange._keras_file import Config
from nervure.exchange._keras_layers import Read
from nervure.exchange._keras_reader import Array, Place, Value, class_of
from nervure.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dropout,
    MultiHeadAttention,
    Normalize,
    SimpleRNN,
    SpatialDropout,
    Symbol,
    Take,
)
from nervure.layers._recurrent import Recurrent

KINDS: Mapping[str, tuple[type[Any], tuple[int, ...]]] = {
    "SimpleRNN": (SimpleRNN, (0,)),
    "LSTM": (LSTM, (0, 1, 2, 3)),
    "GRU": (GRU, (1, 0, 2)),
}
"""The layer, and which of Keras's gates stands at each of our places."""


def recurrent(at: Place) -> Value | tuple[Value, ...]:
    """The output, and final states where they are asked for."""
    at.expect(stateful=False)
    x, *given = at.inputs
    layer = _layer(at)
    numbers = _numbers(at, layer, x.shape[-1])
    found = at.weighted(layer, numbers, _dropped(at, x), *given)
    states = _states(found, layer) if at.flag("return_state", False) else ()
    if layer.reverse and layer.return_sequences:
        found = _turned(at, found)
    return (found, *states) if states else found


def _layer(at: Place) -> Recurrent:
    kind, _ = KINDS[at.kind]
    own: dict[str, Any] = {
        "reverse": at.flag("go_backwards", False),
        "recurrent_dropout": at.number("recurrent_dropout", 0.0),
    }
    if at.kind == "SimpleRNN":
        own["activation"] = at.get("activation", "tanh")
    else:
        at.expect(activation="tanh", recurrent_activation="sigmoid")
    if at.kind == "GRU":
        own["reset_after"] = at.flag("reset_after", not at.early)
    units = at.count("units")
    return kind(units, at.flag("return_sequences", False), **own)


def _numbers(at: Place, layer: Recurrent, features: int) -> dict[str, Array]:
    """Kernel, recurrent kernel and bias, of which a GRU may have two."""
    shapes = _shapes(at, layer, features)
    return _weights(layer, at.arrays(*shapes, parts=["cell"]))


def _shapes(at: Place, layer: Recurrent, features: int) -> list[tuple[int, ...]]:
    width = layer.units * type(layer).gates
    two = getattr(layer, "reset_after", False)
    bias = [(2, width) if two else (width,)] if at.flag("use_bias", True) else []
    return [(features, width), (layer.units, width), *bias]


def _weights(layer: Recurrent, found: Sequence[Array]) -> dict[str, Array]:
    order = KINDS[type(layer).__name__][1]
    width = layer.units * type(layer).gates
    two = getattr(layer, "reset_after", False)
    bias = found[2] if len(found) > 2 else np.zeros((2, width) if two else width)
    numbers = {
        "weight": in_order(found[0], order),
        "recurrent_weight": in_order(found[1], order),
        "bias": in_order(bias[0] if two else bias, order),
    }
    return numbers | ({"recurrent_bias": in_order(bias[1], order)} if two else {})


def _dropped(at: Place, x: Value) -> Value:
    """Dropout of the inputs, the same for all steps where their number is known."""
    rate = at.number("dropout", 0.0)
    if not rate:
        return x
    return at.put(Dropout(rate) if x.clock else SpatialDropout(rate), x)


def _states(found: Value, layer: Recurrent) -> list[Value]:
    symbol = found.symbol
    assert isinstance(symbol, Symbol)
    return [Value(symbol[name], (layer.units,)) for name in type(layer).states]


def _turned(at: Place, x: Value) -> Value:
    """Keras gives the steps in the order in which it takes them."""
    time = at.fixed(x).shape[0]
    return at.put(Take(tuple(range(time - 1, -1, -1)), 1), x)


# -- both directions -------------------------------------------------------------------


def bidirectional(at: Place) -> Value:
    mode = at.config.get("merge_mode", "concat")
    if mode not in ("concat", "sum", "ave"):
        raise NotCoveredError(f"merge_mode = {short(mode)}")
    forward = _inside(at, "layer", "forward_layer")
    layer = _layer(forward)
    forward.expect(stateful=False, return_state=False)
    _check_backward(at, forward.config)
    if layer.reverse:
        raise NotCoveredError("a layer that goes backwards already")
    numbers = _both(at, forward, layer, at.x.shape[-1])
    both = Bidirectional(layer, "concat" if mode == "concat" else "sum")
    found = at.weighted(both, numbers, _dropped(forward, at.x))
    return at.put(Normalize(0.0, 2.0), found) if mode == "ave" else found


def _both(
    at: Place, forward: Place, layer: Recurrent, features: int
) -> dict[str, Array]:
    shapes = _shapes(forward, layer, features)
    parts = ["forward_layer/cell", "backward_layer/cell"]
    found = at.arrays(*shapes, *shapes, parts=parts)
    half = len(shapes)
    ways = {"forward": found[:half], "backward": found[half:]}
    return {
        f"{way}.{word}": array
        for way, arrays in ways.items()
        for word, array in _weights(layer, arrays).items()
    }


def _inside(at: Place, key: str, part: str) -> Place:
    inner = at.config.get(key)
    kind = class_of(inner)
    if kind not in KINDS or not is_table(inner):
        raise NotCoveredError(f"of {short(kind)}")
    return at.inner(kind, inner.get("config") or {}, part)


def _check_backward(at: Place, forward: Config) -> None:
    """The other direction must be the same layer."""
    inner = at.config.get("backward_layer")
    if not is_table(inner):
        return
    backward: Any = inner.get("config") or {}
    words = (
        "units activation recurrent_activation use_bias reset_after return_sequences "
        "recurrent_dropout dropout"
    )
    differ = [w for w in words.split() if backward.get(w) != forward.get(w)]
    if differ or class_of(inner) != class_of(at.config.get("layer")):
        raise NotCoveredError(
            f"directions that differ in {', '.join(differ) or 'kind'}"
        )


# -- attention -------------------------------------------------------------------------


def attention(at: Place) -> Value:
    """Keras's order is query, value, key; dropout of the weights is left out."""
    query, value, *rest = at.inputs
    key = rest[0] if rest else value
    heads, width = at.count("num_heads"), at.count("key_dim")
    at.expect(output_shape=None, value_dim=width)
    if at.get("attention_axes", [1]) != [1]:
        raise NotCoveredError(f"attention_axes = {short(at.get('attention_axes'))}")
    features = query.shape[-1]
    numbers = _attention_numbers(at, heads, width, [query, key, value])
    layer = MultiHeadAttention(
        heads,
        width,
        causal=bool(at.options.get("use_causal_mask", False)),
        bias=at.flag("use_bias", True),
    )
    given = [query, key, value]
    if key.symbol is value.symbol:
        given = [query] if key.symbol is query.symbol else [query, key]
    found = at.weighted(layer, numbers, *given)
    return replace(found, shape=(*found.shape[:-1], features))


def _attention_numbers(
    at: Place, heads: int, width: int, inputs: Sequence[Value]
) -> dict[str, Array]:
    """Keras has heads as an axis of their own."""
    bias, features = at.flag("use_bias", True), inputs[0].shape[-1]
    words = ("query", "key", "value", "output")
    shapes: list[tuple[int, ...]] = []
    for x in inputs:
        shapes += [(x.shape[-1], heads, width), *([(heads, width)] if bias else [])]
    shapes += [(heads, width, features), *([(features,)] if bias else [])]
    found = iter(at.arrays(*shapes, parts=[f"{word}_dense" for word in words]))
    numbers: dict[str, Array] = {}
    for word in words:
        weight = next(found)
        flat = (-1, features) if word == "output" else (weight.shape[0], -1)
        numbers[f"{word}.weight"] = weight.reshape(flat)
        if bias:
            numbers[f"{word}.bias"] = next(found).reshape(-1)
    return numbers


LAYERS: dict[str, Read] = {
    "Bidirectional": bidirectional,
    "GRU": recurrent,
    "LSTM": recurrent,
    "MultiHeadAttention": attention,
    "SimpleRNN": recurrent,
}
