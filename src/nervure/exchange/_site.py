# SPDX-License-Identifier: BSD-3-Clause
"""The place of one layer in an ONNX graph that is being written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.exchange._writer import Value, Writer
from nervure.graph.node import Node

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Site:
    """A node of a network, its parameters by their short names, and the writer."""

    writer: Writer
    node: Node
    parameters: Mapping[str, Array]

    @property
    def layer(self) -> Any:
        return self.node.layer

    def last(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The layer's last operator, whose output bears the layer's name."""
        return self.writer.node(operator, inputs, self.node.name, **attributes)

    def step(
        self, operator: str, inputs: Sequence[str], word: str = "", **attributes: Any
    ) -> str:
        """An operator on the way."""
        name = f"{self.node.name}.{word or operator.lower()}"
        return self.writer.node(operator, inputs, name, **attributes)

    def parameter(self, name: str, array: Array | None = None) -> str:
        """A parameter as a constant, perhaps with its axes in another order."""
        own = self.parameters[name] if array is None else array
        return self.writer.constant(own, f"{self.node.name}.{name}")

    def number(self, value: float, word: str) -> str:
        """One number as a constant."""
        return self.writer.constant(np.array(value), f"{self.node.name}.{word}")

    def integers(self, values: Sequence[int], word: str) -> str:
        return self.writer.integers(values, f"{self.node.name}.{word}")

    def like(self, x: Value, name: str) -> Value:
        """A value of this name that lies as ``x`` does."""
        return replace(x, name=name)
