# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent layers: SimpleRNN, LSTM, GRU, and both directions at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from nervure.base.formulas import logistic
from nervure.initializers import Constant, Fans, Floats, Initializer, Zeros
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    Parameter,
    Shape,
    Symbol,
)
from nervure.layers._recurrent import (
    Recurrent,
    States,
    Step,
    reversed_layer,
    split_gates,
)
from nervure.layers.merge import Add, Concatenate

EPSILON = 1e-5
"""Added to the variance by the normalized LSTM."""


@dataclass(frozen=True)
class SimpleRNN(Recurrent):
    """A state that each step moves: ``h = phi(x W + h₋₁ U + b)``.

    Shape:
        input ``(batch, time, features)``, perhaps a first state ``(batch, units)``;
        output ``(batch, units)``, or ``(batch, time, units)``;
        ``weight (features, units)``, ``recurrent_weight (units, units)``,
        ``bias (units,)``. Further output: ``"state"``, the final h.

    Args:
        units: numbers of the state, at least 1.
        return_sequences: whether it gives h after each step, or after the last.
        activation: phi, ``"tanh"`` or ``"relu"``.
        reverse: whether each sequence is gone through from its end.
        recurrent_dropout: fraction of h that is silenced where it is multiplied by U,
            the same for all steps of a sequence.
        stateful: number of sequences side by side whose states go on from batch to
            batch in training (see `nervure.data.chunks`).
        initializer, recurrent_initializer: how W and U begin, by default Glorot's
            uniform and orthogonal, gate by gate.

    Raises:
        LayerError: sizes that are not positive, steps that are no vectors.

    Source: Elman, *Finding structure in time* (1990); Gal and Ghahramani, *A
    theoretically grounded application of dropout in recurrent neural networks* (2016).

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((None, 3)), nv.SimpleRNN(4)], seed=0)
    >>> net.parameters["simple_rnn.recurrent_weight"].shape
    (4, 4)
    """

    kind: ClassVar[str] = "simple_rnn"
    arity: ClassVar[int | tuple[int, ...] | None] = (1, 2)

    activation: Literal["tanh", "relu"] = field(default="tanh", kw_only=True)

    def __post_init__(self) -> None:
        if self.activation not in ("tanh", "relu"):
            raise self.fail(f"activation = {self.activation!r}", 'use "tanh" or "relu"')
        super().__post_init__()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4), ((3,),)),
            Example(cls(3, True, activation="relu"), ((2,),)),
            Example(cls(2, True, reverse=True), ((3,), (2,))),
        )

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return super().attributes(*inputs) | {"relu": int(self.activation == "relu")}

    def step(
        self,
        xp: Any,
        parameters: Mapping[str, Array],
        states: States,
        z: Array,
        h: Array,
    ) -> Step:
        sums = z + h @ parameters["recurrent_weight"]
        tanh = self.activation == "tanh"
        new = xp.tanh(sums) if tanh else xp.where(sums <= 0, 0.0, sums)
        return (new,), {}


@dataclass(frozen=True)
class LSTM(Recurrent):
    """A cell that keeps what it is told to keep: long short-term memory.

    With the gates in the order i (write), f (keep), g (what), o (read)::

        i, f, o = logistic(x W + h₋₁ U + b),  g = tanh(x W + h₋₁ U + b)
        c = f c₋₁ + i g,  h = o tanh(c)

    Shape:
        input ``(batch, time, features)``, perhaps first states h and c
        ``(batch, units)``; output ``(batch, units)``, or ``(batch, time, units)``;
        ``weight (features, 4 units)``, ``recurrent_weight (units, 4 units)``,
        ``bias (4 units,)``; with peepholes ``peephole (3, units)`` of i, f and o;
        normalized ``input_gain`` and ``recurrent_gain (4 units,)``, ``cell_gain`` and
        ``cell_bias (units,)``. Further outputs: ``"state"`` and ``"cell"``, the final
        h and c.

    Args:
        units: cells, at least 1.
        return_sequences: whether it gives h after each step, or after the last.
        peepholes: whether i and f see c₋₁, and o sees c, through weights of their own.
        layer_norm: whether ``x W``, ``h₋₁ U`` and, on its way to h, c are normalized.
        forget_bias: what the bias of f begins with.
        reverse, recurrent_dropout, stateful, initializer, recurrent_initializer: as of
            `SimpleRNN`.

    Raises:
        LayerError: sizes that are not positive, steps that are no vectors.

    Source: Hochreiter and Schmidhuber, *Long short-term memory* (1997); Gers,
    Schmidhuber, Cummins (2000) (f); Gers and Schmidhuber, *Recurrent nets that time and
    count* (2000) (peepholes); Jozefowicz, Zaremba, Sutskever (2015) (forget bias 1);
    Ba, Kiros, Hinton, *Layer normalization* (2016), eq. 20-22.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((None, 3)), nv.LSTM(4), nv.Dense(2)], seed=0)
    >>> net.parameters["lstm.bias"][4:8].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    kind: ClassVar[str] = "lstm"
    arity: ClassVar[int | tuple[int, ...] | None] = (1, 3)
    gates: ClassVar[int] = 4
    states: ClassVar[tuple[str, ...]] = ("state", "cell")
    gate_names: ClassVar[tuple[str, ...]] = ("input", "forget", "candidate", "output")

    peepholes: bool = field(default=False, kw_only=True)
    layer_norm: bool = field(default=False, kw_only=True)
    forget_bias: float = field(default=1.0, kw_only=True)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4), ((3,),)),
            Example(cls(3, True, peepholes=True), ((2,),)),
            Example(cls(2, True, reverse=True), ((3,), (2,), (2,))),
            Example(cls(3, True, layer_norm=True), ((2,),)),
            Example(cls(18, reverse=True, peepholes=True, layer_norm=True), ((5,),)),
        )

    @property
    def native(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The engine's kernel."""
        return "normalized_lstm" if self.layer_norm else ""

    def beginning_of_bias(self) -> Initializer:
        return _ForgetBias(float(self.forget_bias))

    def weights(self, features: int) -> tuple[Parameter, ...]:
        units, found = self.units, list(super().weights(features))

        def vector(name: str, shape: Shape, begin: Initializer) -> Parameter:
            return Parameter(name, shape, begin, decays=False)

        if self.peepholes:
            found.append(vector("peephole", (3, units), Zeros()))
        if self.layer_norm:
            found += [
                vector("input_gain", (4 * units,), Constant(1.0)),
                vector("recurrent_gain", (4 * units,), Constant(1.0)),
                vector("cell_gain", (units,), Constant(1.0)),
                vector("cell_bias", (units,), Zeros()),
            ]
        return tuple(found)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return super().attributes(*inputs) | {
            "peepholes": int(self.peepholes),
            "layer_norm": int(self.layer_norm),
            "epsilon": EPSILON,
        }

    def sums(self, xp: Any, parameters: Mapping[str, Array], x: Array) -> Array:
        if not self.layer_norm:
            return super().sums(xp, parameters, x)
        z = _normal(xp, x @ parameters["weight"])
        return z * parameters["input_gain"] + parameters["bias"]

    def step(
        self,
        xp: Any,
        parameters: Mapping[str, Array],
        states: States,
        z: Array,
        h: Array,
    ) -> Step:
        cell = states[1]
        around = h @ parameters["recurrent_weight"]
        if self.layer_norm:
            around = _normal(xp, around) * parameters["recurrent_gain"]
        i, f, g, o = split_gates(xp, z + around, 4)
        peephole = parameters["peephole"] if self.peepholes else (0.0, 0.0, 0.0)
        i, f = (
            logistic(xp, i + peephole[0] * cell),
            logistic(xp, f + peephole[1] * cell),
        )
        g = xp.tanh(g)
        new = f * cell + i * g
        o = logistic(xp, o + peephole[2] * new)
        read = new
        if self.layer_norm:
            read = _normal(xp, new) * parameters["cell_gain"] + parameters["cell_bias"]
        gates = {"input": i, "forget": f, "candidate": g, "output": o, "cell": new}
        return (o * xp.tanh(read), new), gates


@dataclass(frozen=True)
class GRU(Recurrent):
    """A gated recurrent unit: a state that is partly kept, partly made anew.

    With the gates in the order r (reset), z (keep), n (new)::

        r, z = logistic(x W + h₋₁ U + b)
        n = tanh(x W + b + r (h₋₁ U + b'))    or    tanh(x W + b + (r h₋₁) U)
        h = (1 − z) n + z h₋₁

    Shape:
        input ``(batch, time, features)``, perhaps a first state ``(batch, units)``;
        output ``(batch, units)``, or ``(batch, time, units)``;
        ``weight (features, 3 units)``, ``recurrent_weight (units, 3 units)``,
        ``bias (3 units,)``; where r acts after the product ``recurrent_bias
        (3 units,)``, which r, z and n add to ``h₋₁ U``. Further output: ``"state"``.

    Args:
        units: numbers of the state, at least 1.
        return_sequences: whether it gives h after each step, or after the last.
        reset_after: whether r acts after the product with U (cuDNN, PyTorch) or
            before it, as in the paper.
        reverse, recurrent_dropout, stateful, initializer, recurrent_initializer: as of
            `SimpleRNN`.

    Raises:
        LayerError: sizes that are not positive, steps that are no vectors.

    Source: Cho et al., *Learning phrase representations using RNN encoder-decoder*
    (2014), eq. 5-8, with z and 1 − z exchanged.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((None, 3)), nv.GRU(4)], seed=0)
    >>> net.parameters["gru.recurrent_bias"].shape
    (12,)
    """

    kind: ClassVar[str] = "gru"
    arity: ClassVar[int | tuple[int, ...] | None] = (1, 2)
    gates: ClassVar[int] = 3
    gate_names: ClassVar[tuple[str, ...]] = ("reset", "keep", "new")

    reset_after: bool = field(default=True, kw_only=True)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4), ((3,),)),
            Example(cls(3, True, reset_after=False), ((2,),)),
            Example(cls(2, True, reverse=True), ((3,), (2,))),
            Example(cls(17, reset_after=False, reverse=True), ((5,),)),
        )

    def weights(self, features: int) -> tuple[Parameter, ...]:
        found = super().weights(features)
        if not self.reset_after:
            return found
        bias = Parameter("recurrent_bias", found[2].shape, Zeros(), decays=False)
        return (*found, bias)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return super().attributes(*inputs) | {"reset_after": int(self.reset_after)}

    def step(
        self,
        xp: Any,
        parameters: Mapping[str, Array],
        states: States,
        z: Array,
        h: Array,
    ) -> Step:
        weight, units = parameters["recurrent_weight"], self.units
        if self.reset_after:
            around = h @ weight + parameters["recurrent_bias"]
            around, last = around[:, : 2 * units], around[:, 2 * units :]
        else:
            around, last = h @ weight[:, : 2 * units], None
        r, keep = split_gates(xp, logistic(xp, z[:, : 2 * units] + around), 2)
        before = (r * h) @ weight[:, 2 * units :] if last is None else r * last
        new = xp.tanh(z[:, 2 * units :] + before)
        state = (1 - keep) * new + keep * states[0]
        return (state,), {"reset": r, "keep": keep, "new": new}


@dataclass(frozen=True)
class Bidirectional(Layer):
    """A recurrent layer in both directions, side by side.

    Written as the layer, the layer with ``reverse``, and what merges them. Without
    ``return_sequences`` it gives the final states: forward's after the last step,
    backward's after the first.

    Shape:
        input ``(batch, time, features)``, output that of the layer, ``units`` twice as
        many where they are concatenated; parameters those of the layer, named
        ``forward.`` and ``backward.`` before.

    Args:
        layer: a recurrent layer.
        merge: ``"concat"`` or ``"sum"``.

    Raises:
        LayerError: the layer is not recurrent.

    Source: Schuster and Paliwal, *Bidirectional recurrent neural networks* (1997).

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((None, 3)), nv.Bidirectional(nv.GRU(4))], seed=0)
    >>> net.parameters["bidirectional.backward.weight"].shape
    (3, 12)
    """

    kind: ClassVar[str] = "bidirectional"
    composite: ClassVar[bool] = True
    sequences: ClassVar[int] = 1

    layer: Layer
    merge: Literal["concat", "sum"] = "concat"

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Recurrent):
            raise self.fail(
                f"a layer {getattr(self.layer, 'kind', self.layer)!r}",
                "give an nv.LSTM, nv.GRU or nv.SimpleRNN",
            )
        if self.layer.stateful is not None:
            raise self.fail(
                "a stateful layer, which cannot come from the other end",
                "leave stateful out, or use the layer alone",
            )
        if self.merge not in ("concat", "sum"):
            raise self.fail(f"merge = {self.merge!r}", 'use "concat" or "sum"')

    @property
    def keeps_time(self) -> bool:
        """As the layer does."""
        return self.layer.keeps_time

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(LSTM(3, True)), ((2,),)),
            Example(cls(GRU(3), "sum"), ((2,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (units,) = self.layer.output_shape(*inputs)
        return (2 * units if self.merge == "concat" else units,)

    def expand(self, *inputs: Symbol) -> Symbol | None:
        layer = self.layer
        assert isinstance(layer, Recurrent)
        forward = replace(layer, name="forward")(*inputs)
        backward = replace(reversed_layer(layer), name="backward")(*inputs)
        merge = Concatenate() if self.merge == "concat" else Add()
        return merge(forward, backward)


@dataclass(frozen=True)
class _ForgetBias(Initializer):
    """Zeros, and a number for the second of four gates."""

    value: float

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        values = np.zeros(shape)
        values[shape[0] // 4 : shape[0] // 2] = self.value
        return values


def _normal(xp: Any, x: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / xp.sqrt(variance + EPSILON)
