# SPDX-License-Identifier: BSD-3-Clause
"""ONNX's recurrent operators as layers.

With ``layout=0`` an input is ``(time, rows, features)``, all steps are ``(time,
directions, rows, units)`` and final states ``(directions, rows, units)``; with
``layout=1`` the rows come first. Each direction becomes a layer of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nervure.exchange._gates import OPERATORS, in_order, inverse
from nervure.exchange._held import (
    Held,
    Known,
    NotCoveredError,
    check_shape,
    in_shape,
    plain,
    put,
)
from nervure.exchange._held import in_order as as_in_onnx
from nervure.exchange._read_shapes import part
from nervure.exchange._reader import Array, Op
from nervure.layers import Concatenate, Learned, Symbol
from nervure.layers._recurrent import Recurrent

KINDS: Mapping[str, tuple[type[Any], tuple[int, ...]]] = {
    operator: (kind, inverse(order)) for kind, (operator, order) in OPERATORS.items()
}
"""Of each operator the layer, and which of its gates stands at each of our places."""

DIRECTIONS = {
    "forward": (False,),
    "reverse": (True,),
    "bidirectional": (False, True),
}

ACTIVATIONS = {
    "RNN": (("tanh",), ("relu",)),
    "LSTM": (("sigmoid", "tanh", "tanh"),),
    "GRU": (("sigmoid", "tanh"),),
}
"""What our layers compute with; the first is what ONNX takes where nothing is said."""


@dataclass(frozen=True)
class Place:
    """One direction of an operator: which, and from which end it comes."""

    op: Op
    number: int
    layer: Recurrent

    @property
    def weights(self) -> dict[str, Array]:
        """The layer's numbers."""
        order = KINDS[self.op.kind][1]
        width = len(order) * self.layer.units
        into, around = (
            in_order(self._part(i, word, (width, None)).T, order)
            for i, word in ((1, "weights"), (2, "recurrent weights"))
        )
        bias = np.zeros(2 * width, into.dtype)
        if self.op.given(3) is not None:
            bias = self._part(3, "bias", (2 * width,))
        both = [in_order(half, order) for half in np.split(bias, 2)]
        return {"weight": into, "recurrent_weight": around} | self._biases(*both)

    def _biases(self, own: Array, again: Array) -> dict[str, Array]:
        """The second is apart where the reset gate acts behind the product."""
        if getattr(self.layer, "reset_after", False):
            return {"bias": own, "recurrent_bias": again}
        found = {"bias": own + again}
        if getattr(self.layer, "peepholes", False):
            i, o, f = np.split(self._part(7, "peepholes", (3 * own.size // 4,)), 3)
            found["peephole"] = np.stack([i, f, o])
        return found

    def _part(self, index: int, word: str, shape: tuple[int | None, ...]) -> Array:
        """This direction's numbers; None stands for any extent."""
        array = self.op.known(index, word)
        check_shape(word, array.shape, (len(_directions(self.op)), *shape))
        return array[self.number]

    def states(self, rank: int) -> list[Held]:
        """The first states, if there are some besides zeros."""
        given = [self._state(i) for i in range(5, 5 + rank)]
        if all(state is None for state in given):
            return []
        zeros = Known(np.zeros(self.layer.units, np.float32))
        named = self.op.name + ".zeros"
        return [self.op.reader.stored(zeros, named) if s is None else s for s in given]

    def _state(self, index: int) -> Held | None:
        value = self.op.given(index)
        if value is None or _zeros(self.op, value):
            return None
        if isinstance(value, Held):
            one = part(value, 0, self.number, self.number + 1, 1)
            return in_shape(one, (self.layer.units,))
        axis = 0 if self.op.attribute("layout", 0) else 1
        if value.array.ndim != 3 or value.array.shape[axis] != 1:
            raise NotCoveredError("a first state that is another for each row")
        own = np.take(value.array, 0, axis)[self.number]
        return self.op.reader.stored(Known(own, value.learned), self.op.name)


def _zeros(op: Op, value: Known | Held) -> bool:
    if isinstance(value, Known):
        return not value.symbolic and not value.array.any()
    if not isinstance(value.symbol, Learned):
        return False
    own = op.reader.weights.get(str(value.symbol.name), {})
    return "value" in own and not own["value"].any()


def recurrent(op: Op) -> tuple[Held | None, ...]:
    """The operator, and where the rows stand in what it gives."""
    steps, *states = _outputs(op)
    later = not op.attribute("layout", 0)
    return (
        None if steps is None else replace(steps, rows=2 if later else 0),
        *(s and replace(s, rows=1 if later else 0) for s in states),
    )


def _outputs(op: Op) -> tuple[Held | None, ...]:
    """All steps, and the final states, as if rows came first."""
    if not op.reader.lead:
        raise NotCoveredError("sequences without rows")
    first = 0 if op.attribute("layout", 0) else 1
    if op.rows != first:
        raise NotCoveredError(
            f"axis {first} is not that of the rows; see time_first=True"
        )
    x = as_in_onnx(op.held())
    if len(x.shape) != 2:
        raise NotCoveredError(f"sequences of shape {x.shape}")
    _check_lengths(op, x.shape[0])
    whole = _is_read(op, op.node.output[0])
    places = [
        Place(op, i, _layer(op, reverse, whole))
        for i, reverse in enumerate(_directions(op))
    ]
    made = [_placed(place, x) for place in places]
    steps = _side_by_side(made, x.shape[0]) if whole else None
    states = type(places[0].layer).states
    return (steps, *(final(op, made, i, whole) for i in range(len(states))))


def only_forward(op: Op) -> None:
    """Raise for an operator of both directions: two of one are as good."""
    if len(_directions(op)) > 1:
        raise NotCoveredError("both directions of an open axis of time")


def layer_of(op: Op) -> Place:
    """An operator of one direction."""
    (reverse,) = _directions(op)
    return Place(op, 0, _layer(op, reverse, _is_read(op, op.node.output[0])))


def _is_read(op: Op, name: str) -> bool:
    return name != "" and (op.reader.uses[name] > 0 or name in op.reader.ends)


def _directions(op: Op) -> tuple[bool, ...]:
    word = op.attribute("direction", "forward")
    if word not in DIRECTIONS:
        raise NotCoveredError(f"direction {word}")
    return DIRECTIONS[word]


def _check_lengths(op: Op, time: int) -> None:
    """Every sequence must be as long as its axis."""
    if op.given(4) is None:
        return
    lengths = op.known(4, "sequence_lens")
    if (lengths != time).any():
        raise NotCoveredError(
            f"sequence_lens {lengths.reshape(-1)[:8].tolist()} of {time} steps"
        )


def _layer(op: Op, reverse: bool, whole: bool) -> Recurrent:
    kind, _ = KINDS[op.kind]
    for name in ("clip", "input_forget"):
        if op.attribute(name):
            raise NotCoveredError(f"{name} = {op.attribute(name):g}")
    units = int(op.attribute("hidden_size") or op.known(2).shape[-1])
    own: dict[str, Any] = {"reverse": reverse}
    functions = _functions(op)
    if op.kind == "RNN":
        own["activation"] = functions[0]
    if op.kind == "GRU":
        own["reset_after"] = bool(op.attribute("linear_before_reset", 0))
    if op.kind == "LSTM":
        own["peepholes"] = op.given(7) is not None and bool(op.known(7).any())
    return kind(units, whole, **own)


def _functions(op: Op) -> tuple[str, ...]:
    """Activations, of all directions the same."""
    known = ACTIVATIONS[op.kind]
    given = op.attribute("activations")
    if not given:
        return known[0]
    words = [str(w.decode() if isinstance(w, bytes) else w).lower() for w in given]
    size = len(known[0])
    each = {tuple(words[i : i + size]) for i in range(0, len(words), size)}
    if len(each) != 1 or not each <= set(known):
        raise NotCoveredError(f"activations {', '.join(words)}")
    return each.pop()


def _placed(place: Place, x: Held) -> Symbol:
    op, layer = place.op, place.layer
    given = place.states(len(type(layer).states))
    return op.reader.weighted(layer, place.weights, op.name, x, *given)


def _side_by_side(made: Sequence[Symbol], time: int) -> Held:
    """All steps: directions are the second axis of ONNX's, before the rows or not."""
    units = _units(made)
    held = [plain(symbol, (time, units)) for symbol in made]
    if len(held) == 1:
        found = held[0]
    else:
        found = plain(put(Concatenate(), *held), (time, len(held) * units))
    return in_shape(found, (time, len(held), units))


def _units(made: Sequence[Symbol]) -> int:
    layer = made[0].layer
    assert isinstance(layer, Recurrent)
    return layer.units


def final(op: Op, made: Sequence[Symbol], number: int, whole: bool) -> Held | None:
    """A final state; where the layer gives no steps, the first is its output."""
    at = number + 1
    if at >= len(op.node.output) or not _is_read(op, op.node.output[at]):
        return None
    layer = made[0].layer
    assert isinstance(layer, Recurrent)
    name = type(layer).states[number]
    ends = [s if number == 0 and not whole else s[name] for s in made]
    held = [plain(end, (layer.units,)) for end in ends]
    if len(held) == 1:
        return in_shape(held[0], (1, layer.units))
    both = plain(put(Concatenate(), *held), (2 * layer.units,))
    return in_shape(both, (2, layer.units))
