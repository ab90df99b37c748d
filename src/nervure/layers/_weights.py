# SPDX-License-Identifier: BSD-3-Clause
"""What layers with weights share: how weights begin, and the activation behind them."""

from __future__ import annotations

from dataclasses import fields, replace

from nervure.initializers import Initializer, Named, default_for, initializer
from nervure.layers._layer import Layer, Symbol
from nervure.layers.activation import activation_layer


def read_initializers(layer: Layer) -> None:
    """Make initializers of the names that a layer's fields of them were given."""
    for name in (f.name for f in fields(layer) if f.name.endswith("initializer")):
        given = getattr(layer, name)
        if given is not None:
            found = initializer(given, f"{layer.kind}.{name}")
            object.__setattr__(layer, name, found)


class Activated(Layer):
    """A linear layer, followed by an optional activation."""

    activation: str | Layer | None
    initializer: Named | None

    def __post_init__(self) -> None:
        if self.activation is not None:
            activation_layer(self.activation)
        read_initializers(self)

    def beginning(self, activation: Layer | None) -> Initializer:
        """How weights begin that no initializer is given for."""
        return default_for(activation)

    def apart(self) -> tuple[Layer, Layer | None]:
        """The linear layer alone, and the activation behind it."""
        if self.activation is None:
            return self, None
        return replace(self, activation=None), activation_layer(self.activation)

    def expand(self, *inputs: Symbol) -> Symbol | None:
        _, layer = self.apart()
        if layer is None:
            return None
        begin = initializer(self.initializer or self.beginning(layer))
        return layer(replace(self, activation=None, initializer=begin)(*inputs))
