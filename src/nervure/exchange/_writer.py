# SPDX-License-Identifier: BSD-3-Clause
"""An ONNX graph while it is written: values, their layout, constants, nodes.

nervure's maps are channels-last, ONNX's channels-first. A value is turned only where an
operator asks for the other layout, and stays as it is until another one does: so that
the weights of convolutions are turned once, when they are written, and nothing between
two convolutions is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.exchange._names import take_name
from nervure.layers import Shape

Array = npt.NDArray[Any]

ML = "ai.onnx.ml"
"""The domain of encoders, beside the operators of ONNX itself."""

ML_OPSET = 3


@dataclass(frozen=True, eq=False)
class Value:
    """A value of the graph: its name, and how a sample lies in it.

    Args:
        name: of the value in the ONNX graph.
        shape: of a sample as nervure has it: channels last.
        first: whether the channels come first in the ONNX graph.
        order: for samples of one axis, which feature stands at each place; None: each
            at its own. A map that was laid out flat with its channels first has another
            order than nervure's.
    """

    name: str
    shape: Shape
    first: bool = False
    order: Array | None = None

    @property
    def held(self) -> Shape:
        """The sample's shape in the ONNX graph."""
        return (self.shape[-1], *self.shape[:-1]) if self.first else self.shape

    def axis(self, axis: int) -> int:
        """Where an axis of nervure's samples is in the ONNX graph (the batch is 0)."""
        last = len(self.shape) - 1
        if not self.first:
            return axis + 1
        return 1 if axis == last else axis + 2


@dataclass
class Writer:
    """Collects nodes and constants; every name is given once.

    ``taken`` are the names that are given, ``shown`` those of the model's outputs;
    ``rows`` is a value that has as many rows as the batch; ``prefix`` begins the names
    of one member of an ensemble.
    """

    opset: int
    dtype: np.dtype[Any]
    prefix: str = ""
    rows: str = ""
    nodes: list[Any] = field(default_factory=list[Any])
    constants: dict[str, Array] = field(default_factory=dict[str, Array])
    taken: set[str] = field(default_factory=set[str])
    shown: set[str] = field(default_factory=set[str])
    turned: dict[tuple[str, bool], Value] = field(
        default_factory=dict[tuple[str, bool], Value]
    )

    def of_member(self, prefix: str) -> Writer:
        """The same graph, for a member whose names begin with ``prefix``."""
        return replace(self, prefix=prefix)

    # -- names, constants, nodes --------------------------------------------------

    def name(self, wanted: str) -> str:
        """A name that is not taken yet."""
        return take_name(self.prefix + wanted, self.taken)

    def constant(self, value: Any, name: str, dtype: Any = None) -> str:
        """A constant of the network's numbers, or of ``dtype``."""
        array = np.asarray(value)
        if array.dtype.kind not in "USO":
            array = np.ascontiguousarray(array, dtype or self.dtype).reshape(
                array.shape
            )
        found = self.name(name)
        self.constants[found] = array
        return found

    def integers(self, values: Sequence[int], name: str) -> str:
        """A constant of sizes, axes, indices."""
        return self.constant(np.array(values, np.int64), name, np.int64)

    def node(
        self, operator: str, inputs: Sequence[str], name: str, **attributes: Any
    ) -> str:
        """A node of one output; the output's name."""
        from onnx import helper

        domain = ML if operator in _ML_OPERATORS else ""
        output = self.name(name)
        made = helper.make_node(
            operator, inputs, [output], name=output, domain=domain, **attributes
        )
        self.nodes.append(made)
        return output

    def several(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        **attributes: Any,
    ) -> None:
        """A node of several outputs, whose names are given."""
        from onnx import helper

        name = outputs[0]
        self.nodes.append(
            helper.make_node(operator, inputs, outputs, name=name, **attributes)
        )

    def cast(self, x: str, dtype: Any, name: str) -> str:
        """The same numbers in another type."""
        return self.node("Cast", [x], name, to=onnx_type(dtype))

    def reduce(
        self, operator: str, x: str, axes: Sequence[int], name: str, keep: bool = False
    ) -> str:
        """A reduction; since opset 18 the axes are an input (of sums since 13)."""
        if self.opset >= 18 or operator == "ReduceSum":
            inputs = [x, self.integers(axes, f"{name}.axes")]
            return self.node(operator, inputs, name, keepdims=int(keep))
        return self.node(operator, [x], name, axes=list(axes), keepdims=int(keep))

    # -- layout -------------------------------------------------------------------

    def as_last(self, x: Value) -> Value:
        """The value as nervure has it."""
        if x.order is not None:
            back = np.argsort(x.order)
            places = self.integers(back.tolist(), f"{x.name}.order")
            name = self.node("Gather", [x.name, places], f"{x.name}.in_order", axis=1)
            return Value(name, x.shape)
        return self._turned(x, False) if x.first else x

    def as_first(self, x: Value) -> Value:
        """The value with its channels first."""
        return x if x.first or len(x.shape) < 2 else self._turned(x, True)

    def _turned(self, x: Value, first: bool) -> Value:
        key = (x.name, first)
        if key not in self.turned:
            other = replace(x, first=first)
            word = "channels_first" if first else "channels_last"
            name = self._moved(x, other, f"{x.name}.{word}")
            self.turned[key] = replace(other, name=name)
            self.turned[name, not first] = x
        return self.turned[key]

    def _moved(self, x: Value, other: Value, name: str) -> str:
        """Only the names of axes change where there is one channel, or one pixel."""
        if x.shape[-1] == 1 or math.prod(x.shape[:-1]) == 1:
            return self.reshaped(x.name, other.held, name)
        rank = len(x.shape)
        axes = [rank, *range(1, rank)] if other.first else [*range(2, rank + 1), 1]
        return self.node("Transpose", [x.name], name, perm=[0, *axes])

    def reshaped(self, x: str, shape: Shape, name: str) -> str:
        """The rows of x in another shape."""
        return self.node(
            "Reshape", [x, self.integers((0, *shape), f"{name}.shape")], name
        )

    def alike(self, values: Sequence[Value]) -> list[Value]:
        """Values of one layout: channels first where one of them has them so."""
        if len(values) == 1:
            return list(values)
        orders = [x.order for x in values]
        if any(order is not None for order in orders):
            first = orders[0]
            same = first is not None and all(
                o is not None and np.array_equal(o, first) for o in orders
            )
            return list(values) if same else [self.as_last(x) for x in values]
        if any(x.first for x in values):
            return [self.as_first(x) for x in values]
        return list(values)

    def per_channel(self, numbers: Array, x: Value) -> Array:
        """Numbers of the last axis, shaped and ordered to meet the value's."""
        if x.order is not None:
            return numbers[x.order]
        return numbers.reshape(-1, *(1 for _ in x.shape[1:])) if x.first else numbers


_ML_OPERATORS = {"LabelEncoder"}


def onnx_type(dtype: Any) -> int:
    """ONNX's number of a type of numbers."""
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
