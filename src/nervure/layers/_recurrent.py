# SPDX-License-Identifier: BSD-3-Clause
"""What recurrent layers share: parameters, states, and the way along time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nervure import random
from nervure.base.formulas import along_time
from nervure.initializers import (
    Fans,
    Floats,
    GlorotUniform,
    Initializer,
    Named,
    Orthogonal,
    Zeros,
    initializer,
)
from nervure.layers._layer import (
    INFERENCE,
    Array,
    Attribute,
    Kept,
    Layer,
    Parameter,
    Pass,
    Shape,
    at_least,
    whole,
)
from nervure.layers._weights import read_initializers

States = tuple[Array, ...]
"""States of all rows, each ``(rows, units)``; the first is the output h."""

Step = tuple[States, dict[str, Array]]
"""States after a step, and its gates by name."""


@dataclass(frozen=True)
class Recurrent(Layer):
    """A layer that goes along time with a state.

    Class attributes: ``gates`` is the number of weighted sums of each unit, ``states``
    are the names of its states, the first of which is what it gives; ``gate_names``
    are those of what is multiplied by, as `shown` has it.
    """

    sequences: ClassVar[int] = 1
    gates: ClassVar[int] = 1
    states: ClassVar[tuple[str, ...]] = ("state",)
    gate_names: ClassVar[tuple[str, ...]] = ()

    units: int
    return_sequences: bool = False
    reverse: bool = field(default=False, kw_only=True)
    recurrent_dropout: float = field(default=0.0, kw_only=True)
    stateful: int | None = field(default=None, kw_only=True)
    initializer: Named | None = field(default=None, kw_only=True)
    recurrent_initializer: Named | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        at_least(self, "units", remedy="use at least 1 unit")
        rate = self.recurrent_dropout
        if not hasattr(rate, "__float__") or not 0 <= rate < 1:
            raise self.fail(f"recurrent_dropout = {rate!r}", "use a fraction in [0, 1)")
        if self.stateful is not None and whole(self, "stateful", self.stateful) < 1:
            raise self.fail(
                f"stateful = {self.stateful}",
                "use the number of sequences side by side, at least 1, or None",
            )
        read_initializers(self)

    # -- shapes -------------------------------------------------------------------

    @property
    def random(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether training draws random numbers."""
        return self.recurrent_dropout > 0

    @property
    def keeps_time(self) -> bool:
        """Whether it gives its state after each step, or the final one."""
        return self.return_sequences

    @property
    def carries(self) -> tuple[str, ...]:
        """The states, where it is stateful."""
        return self.states if self.stateful is not None else ()

    def output_shape(self, *inputs: Shape) -> Shape:
        x, *given = inputs
        if len(x) != 1:
            raise self.fail(
                f"steps of shape {x}, expected (features,)",
                "put nv.Flatten() before it" if x else "put nv.Embedding before it",
            )
        if len(inputs) not in (1, 1 + len(self.states)):
            wanted = ", ".join(self.states)
            raise self.fail(
                f"{len(given)} initial states, expected {len(self.states)} ({wanted})",
                f"call it on a sequence and {wanted}, or on a sequence alone",
            )
        for name, shape in zip(self.states, given, strict=False):
            if shape != (self.units,):
                raise self.fail(
                    f"an initial {name} of shape {shape}, expected ({self.units},)",
                    "give one number for each unit",
                )
        return (self.units,)

    def ports(self, *inputs: Shape) -> dict[str, Shape]:
        """The final states."""
        return dict.fromkeys(self.states, (self.units,))

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        (features,), *given = inputs
        return (
            *self.weights(features),
            *(self._stored(name) for name in self.states if self._carries(len(given))),
        )

    def weights(self, features: int) -> tuple[Parameter, ...]:
        """Parameters that learn."""
        into, around = self.initializer, self.recurrent_initializer
        begin = PerGate(initializer(into or GlorotUniform()), self.gates)
        again = PerGate(initializer(around or Orthogonal()), self.gates)
        width = self.gates * self.units
        return (
            Parameter("weight", (features, width), begin),
            Parameter("recurrent_weight", (self.units, width), again),
            Parameter("bias", (width,), self.beginning_of_bias(), decays=False),
        )

    def beginning_of_bias(self) -> Initializer:
        """How biases begin."""
        return Zeros()

    def _stored(self, name: str) -> Parameter:
        assert self.stateful is not None
        shape = (self.stateful, self.units)
        return Parameter(name, shape, Zeros(), trainable=False, decays=False)

    def _carries(self, given: int) -> bool:
        if self.stateful is not None and given:
            raise self.fail(
                "stateful, and initial states besides", "leave out one of the two"
            )
        return self.stateful is not None

    def flops(self, *inputs: Shape) -> int:
        ((features,), *_) = inputs
        products = 2 * self.gates * self.units * (features + self.units)
        return products + 10 * self.gates * self.units

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {
            "units": self.units,
            "features": inputs[0][0],
            "return_sequences": int(self.return_sequences),
            "reverse": int(self.reverse),
            "rate": float(self.recurrent_dropout),
            "threshold": round(self.recurrent_dropout * 2**24),
            "stateful": self.stateful or 0,
            "states": len(self.states),
        }

    # -- the formula --------------------------------------------------------------

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> tuple[Array, ...]:
        """The output, and the final states."""
        final, (outputs, _) = self._run(xp, parameters, inputs, info)
        return (outputs if self.return_sequences else final[0], *final)

    @property
    def kept(self) -> Kept | None:
        return None if self.reverse else "states"

    def advance(
        self, parameters: Mapping[str, Array], state: Any, *inputs: Array
    ) -> tuple[Any, Any]:
        """The output after one more step, and the states."""
        if self.reverse:
            return super().advance(parameters, state, *inputs)
        x, *given = inputs
        zeros = np.zeros((len(x), self.units), x.dtype)
        states: States = state or tuple(given) or tuple(zeros for _ in self.states)
        z = self.sums(np, parameters, x[:, None])[:, 0]
        new, _ = self.step(np, parameters, states, z, states[0])
        return (new[0], *new), new

    def shown(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Mapping[str, Array]:
        """Every gate and the state of every step, ``(rows, time, units)``."""
        states, gates = self._run(xp, parameters, inputs, info)[1]
        return {"state": states, **gates}

    def state_updates(
        self,
        xp: Any,
        parameters: Mapping[str, Array],
        *inputs: Array,
        info: Pass = INFERENCE,
    ) -> Mapping[str, Array]:
        """The final states of a batch are the first ones of the next."""
        if self.stateful is None:
            return {}
        final, _ = self._run(xp, parameters, inputs, info)
        return dict(zip(self.states, final, strict=True))

    def _run(
        self,
        xp: Any,
        parameters: Mapping[str, Array],
        inputs: tuple[Array, ...],
        info: Pass,
    ) -> tuple[States, tuple[Array, dict[str, Array]]]:
        x, *given = inputs
        rows = x.shape[0]
        zeros = xp.zeros((rows, self.units), x.dtype)
        states = tuple(given) or tuple(zeros for _ in self.states)
        if self.stateful is not None and info.training:
            states = tuple(parameters[name] for name in self.states)
        factor = self._factor(xp, rows, x.dtype, info)

        def step(states: States, z: Array) -> tuple[States, tuple[Array, Any]]:
            new, gates = self.step(xp, parameters, states, z, states[0] * factor)
            return new, (new[0], gates)

        sums = self.sums(xp, parameters, x)
        return along_time(xp, step, states, sums, info.lengths[0], self.reverse)

    def _factor(self, xp: Any, rows: int, dtype: Any, info: Pass) -> Array:
        """What recurrent dropout multiplies h by: one mask for all steps of a row."""
        if not info.training or not self.recurrent_dropout:
            return 1
        size = rows * self.units
        u = random.uniform(xp, info.seed, info.step, info.node, size)
        keep = (
            u.reshape(rows, self.units) >= round(self.recurrent_dropout * 2**24) / 2**24
        )
        return keep.astype(dtype) * (1 / (1 - self.recurrent_dropout))

    def sums(self, xp: Any, parameters: Mapping[str, Array], x: Array) -> Array:
        """What the inputs of all steps add to the weighted sums."""
        return x @ parameters["weight"] + parameters["bias"]

    def step(
        self,
        xp: Any,
        parameters: Mapping[str, Array],
        states: States,
        z: Array,
        h: Array,
    ) -> Step:
        """One step: ``z`` is what the inputs add, ``h`` the state as weights see it."""
        raise NotImplementedError(self.kind)


def split_gates(xp: Any, z: Array, count: int) -> list[Array]:
    """The weighted sums of each gate."""
    return xp.split(z, count, axis=-1)


@dataclass(frozen=True)
class PerGate(Initializer):
    """Another initializer, for each of the gates that stand side by side."""

    initializer: Initializer
    count: int

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        inputs, units = shape[0], shape[1] // self.count
        own = Fans(inputs, units)
        gates = [
            self.initializer.sample((inputs, units), own, rng)
            for _ in range(self.count)
        ]
        return np.concatenate(gates, axis=1)


def reversed_layer(layer: Recurrent) -> Recurrent:
    """The layer that goes the other way along time."""
    return dataclasses.replace(layer, reverse=not layer.reverse)
