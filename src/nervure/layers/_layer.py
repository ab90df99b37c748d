# SPDX-License-Identifier: BSD-3-Clause
"""The layer contract: what every layer declares about itself.

A layer is a frozen dataclass: a description, without any state. The graph asks it
for shapes and parameters, the JAX executor and the tests fold its ``formula``, and
the native executor looks its ``kind`` up in the engine's list of kernels.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np

from nervure.base.described import Described
from nervure.base.words import cut, short

if TYPE_CHECKING:
    from nervure.initializers import Initializer

Shape = tuple[int, ...]
"""Shape of one value: of a sample, without the batch axis, or of one of its steps."""

Array = Any
"""An array of the module `xp` at hand: NumPy or JAX."""

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...]

Kept = Literal["", "states", "steps", "place"]
"""Of earlier steps: nothing; states of its own; all it was given as further inputs; how
many there were."""


_MOST_FACT = 1_000
"""Characters of what is wrong: shapes from a file may be of any length."""


class LayerError(ValueError):
    """A layer that cannot be built or does not fit where it stands."""


@dataclass(frozen=True)
class Parameter:
    """One named array of a layer: its shape and how it begins.

    ``trainable=False`` marks stored state (a running mean) that no optimizer moves;
    ``decays=False`` exempts from weight decay and penalties (biases). ``fans`` are the
    connections into a unit and out of one, where they are not those that the shape of a
    matrix or of a kernel ``(..., in, out)`` says. ``of`` is the full name of the
    parameter that this one is, where weights are tied.
    """

    name: str
    shape: Shape
    initializer: Initializer
    trainable: bool = True
    decays: bool = True
    of: str = ""
    fans: tuple[int, int] | None = None


@dataclass(frozen=True)
class Pass:
    """What a forward pass knows besides its arrays.

    ``training`` switches dropout and its like on; ``seed``, ``step`` and ``node``
    key the counter-based random numbers (see `nervure.random`). ``lengths`` are those
    of each sequence among the inputs of a layer along time, ``(batch,)``, or None where
    every row is full; ``valid`` says which rows count, ``(batch,)``, where an executor
    had to fill a batch up, else None.
    """

    training: bool = False
    seed: int = 0
    step: Any = 0
    node: int = 0
    lengths: tuple[Array | None, ...] = ()
    valid: Array | None = None

    def __post_init__(self) -> None:
        """Lengths are those of three sequences, whatever is known of them."""
        object.__setattr__(self, "lengths", (*self.lengths, None, None, None)[:3])


INFERENCE = Pass()


@dataclass(frozen=True)
class Example:
    """A layer and the shapes of its inputs: a row of the contract test.

    Of a layer along time they are the shapes of a step.
    """

    layer: Layer
    inputs: tuple[Shape, ...]

    @property
    def shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """Those of the inputs as `Input` takes them: open where they are sequences."""
        along = self.layer.sequences
        return tuple(
            (None, *shape) if i < along else shape
            for i, shape in enumerate(self.inputs)
        )


@dataclass(frozen=True)
class Layer(Described):
    """What every layer declares. Subclass it as a frozen dataclass.

    Class attributes: ``kind`` is the name in specs and of the engine's kernel,
    ``examples`` feeds the contract test (a function, since layers of the class do
    not exist while its body runs), ``arity`` is the number of inputs (None: one or
    more; several: one of these), ``native`` the engine's kernel where several kinds
    share one. ``couples_rows`` says that in training a row's output depends on the
    others: such a batch is never taken in several passes. ``composite`` says that the
    layer is always written in terms of others (`expand`), without a kernel and a
    formula; ``moves`` that the output holds elements of the inputs as they are,
    ``random`` that in training it draws random numbers, ``activates`` that its name may
    stand for it as the activation of another layer. ``last_axis`` says that the
    kernel takes the leading axes of a sample for further rows, ``transposable`` that
    its ``weight`` is a matrix that `Tied` may pass the other way. ``sequences`` is the
    number of inputs, the first ones, along whose time axis the layer works: it is asked
    for shapes of one step, and its formula gets ``(batch, time, ...)`` (see `Pass`).
    The first has steps of its own, those behind it have theirs in common.
    """

    kind: ClassVar[str] = ""
    arity: ClassVar[int | tuple[int, ...] | None] = 1
    native: ClassVar[str] = ""
    couples_rows: ClassVar[bool] = False
    random: ClassVar[bool] = False
    composite: ClassVar[bool] = False
    moves: ClassVar[bool] = False
    activates: ClassVar[bool] = False
    last_axis: ClassVar[bool] = False
    transposable: ClassVar[bool] = False
    sequences: ClassVar[int] = 0

    name: str | None = field(default=None, kw_only=True)

    # -- to be declared by every layer ------------------------------------------

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Layers of this class with input shapes, for the contract test."""
        raise NotImplementedError(cls.__name__)

    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of one output sample; raises `LayerError` where inputs do not fit."""
        raise NotImplementedError(self.kind)

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Any:
        """The layer's equation over batches, in the array module ``xp``."""
        raise NotImplementedError(self.kind)

    # -- with defaults ----------------------------------------------------------

    @property
    def domain(self) -> tuple[float, float] | None:
        """Between which numbers the inputs must lie; None: they may be any."""
        return None

    @property
    def untrainable(self) -> str | None:
        """Why backpropagation cannot pass this layer, and what to do; or None."""
        return None

    @property
    def keeps_time(self) -> bool:
        """Whether a layer along time gives a value for each step, or one for a row."""
        return True

    @property
    def kept(self) -> Kept | None:
        """What it needs of earlier steps where it goes along one sequence step by step.

        None where the output for a step depends on those that come later (`advance`).
        """
        return None if self.sequences else ""

    @property
    def longest(self) -> int | None:
        """Steps of the longest sequence that it takes; None: any number."""
        return None

    @property
    def carries(self) -> tuple[str, ...]:
        """Stored parameters that are states, carried from one batch to the next."""
        return ()

    def ports(self, *inputs: Shape) -> dict[str, Shape]:
        """Further outputs by name, one value for each row; shapes of that value.

        The formula then gives a tuple: the output, and these in their order.
        """
        return {}

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        """Parameters for inputs of these shapes."""
        return ()

    def flops(self, *inputs: Shape) -> int:
        """Floating-point operations of the forward pass of one sample."""
        return 0

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        """What the kernel reads: by default every number, word and tuple field."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            key: value
            for key, value in fields.items()
            if key != "name" and isinstance(value, int | float | str | tuple)
        }

    def shown(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Mapping[str, Array]:
        """What a trace shows besides the output: gates, weights of attention."""
        return {}

    def state_updates(
        self,
        xp: Any,
        parameters: Mapping[str, Array],
        *inputs: Array,
        info: Pass = INFERENCE,
    ) -> Mapping[str, Array]:
        """Stored state after a training pass over these inputs (running statistics).

        In the engine the kernel's forward pass writes it; parameters that are not
        named keep their values.
        """
        return {}

    def advance(
        self, parameters: Mapping[str, Array], state: Any, *inputs: Array
    ) -> tuple[Any, Any]:
        """The output for the next step of one sequence, and the state behind it.

        ``inputs`` are ``(1, ...)``; ``state`` is None before the first step. What does
        not look along time takes a step for a row.

        Raises:
            LayerError: the output for a step depends on those that come later.
        """
        if self.kept is None:
            raise self.fail(
                "it sees whole sequences, expected a layer that goes step by step",
                "generate with recurrent layers forwards, or causal attention",
            )
        return self.formula(np, parameters, *inputs, info=INFERENCE), None

    def expand(self, *inputs: Symbol) -> Symbol | None:
        """The same layer in terms of other layers, or None if it has a kernel."""
        return None

    def __call__(self, *inputs: Symbol | Layer) -> Symbol:
        """Place the layer in a graph, fed by ``inputs``."""
        return Symbol(self, tuple(inputs))

    def fail(self, fact: str, remedy: str) -> LayerError:
        """The error ``[kind 'name'] fact; remedy``."""
        label = f"{self.kind} '{self.name}'" if self.name else self.kind
        return LayerError(f"[{label}] {cut(fact, _MOST_FACT)}; {remedy}")


def whole(layer: Layer, name: str, value: Any) -> int:
    """``value`` as an int if it is a whole number; raises `LayerError` if it is not."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise layer.fail(f"{name} = {short(value)}", f"use a whole number as {name}")
    return operator.index(value)


def wholes(layer: Layer, name: str, value: Any) -> tuple[int, ...]:
    """``value``, given as a whole number or several."""
    several: list[Any] = list(value) if hasattr(value, "__iter__") else [value]
    return tuple(whole(layer, name, each) for each in several)


def at_least(layer: Layer, name: str, least: int = 1, remedy: str = "") -> None:
    """Hold a field to whole numbers from ``least`` on."""
    value = whole(layer, name, getattr(layer, name))
    if value < least:
        use = remedy or f"use at least {least} as {name}"
        raise layer.fail(f"{name} = {short(value)}", use)
    object.__setattr__(layer, name, value)


@dataclass(frozen=True, eq=False)
class Symbol:
    """A place in a graph under construction: a layer and where its inputs come from.

    Identity counts: equal layers called once each are two nodes with their own
    parameters; one layer called twice has the parameters of its first call (`Tied`).
    A source layer (`Input`, `Constant`) stands for its own symbol. ``symbol["state"]``
    is a further output of the layer.
    """

    layer: Layer
    inputs: tuple[Symbol | Layer, ...] = ()

    def __getitem__(self, port: str) -> Port:
        if not isinstance(cast(object, port), str):
            raise TypeError(
                f"[{self.layer.kind}] output [{port!r}]; expected the name of a "
                'further output of the layer; write e.g. ["state"]'
            )
        return Port(self.layer, (self,), port)


@dataclass(frozen=True, eq=False)
class Fed(Symbol):
    """An input of a layer that is written in terms of others, and its values' shape."""

    shape: Shape = ()


def features_of(symbol: Symbol) -> int:
    """Length of the last axis of what feeds a layer that expands."""
    assert isinstance(symbol, Fed)
    return symbol.shape[-1]


@dataclass(frozen=True, eq=False)
class Port(Symbol):
    """A further output, by name, of the layer of its only input."""

    port: str = ""


@dataclass(frozen=True)
class Further(Layer):
    """Stands in a graph for a further output of the layer before it: no kernel.

    That layer's kernel writes its value and reads its gradient.
    """

    kind: ClassVar[str] = "port"

    number: int
    shape: Shape

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape
