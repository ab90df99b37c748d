# SPDX-License-Identifier: BSD-3-Clause
"""Tied: a layer that has the parameters of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nervure.layers._layer import Example, Layer, Shape
from nervure.layers.activation import activation_layer


@dataclass(frozen=True)
class Tied(Layer):
    """The layer of another name once more: with its parameters, on other inputs.

    The two are one as far as training goes: gradients of both are added up, in a fixed
    order, and a file holds the parameters once. A layer that is called twice becomes
    this by itself.

    ``transposed`` passes the matrix of a `Dense` (or the one table of an `Embedding`)
    the other way, ``a = activation(x W^T + b)`` with biases of its own: the decoder of
    a tied autoencoder, or a language model whose outputs are scored by its embedding.

    Shape:
        those of the layer; transposed: input ``(batch, ..., units)``, output
        ``(batch, ..., features)`` for a ``weight (features, units)``.

    Args:
        layer: name of the layer whose parameters these are.
        transposed: whether its matrix is passed the other way.
        activation, bias: of a transposed layer, as of `Dense`.

    Raises:
        LayerError: there is no such layer, its inputs had another shape, or it has no
            matrix.

    Source: Hinton and Salakhutdinov, *Reducing the dimensionality of data with neural
    networks*, Science (2006) (unrolled autoencoders); Press and Wolf, *Using the output
    embedding to improve language models* (2017).

    >>> import nervure as nv
    >>> code = nv.Dense(2, activation="tanh", name="code")
    >>> net = nv.Network([nv.Input(5), code, nv.Tied("code", transposed=True)])
    >>> list(net.parameters)
    ['code.weight', 'code.bias', 'tied.bias']
    """

    kind: ClassVar[str] = "tied"
    arity: ClassVar[int | tuple[int, ...] | None] = None

    layer: str
    transposed: bool = False
    activation: str | Layer | None = None
    bias: bool = True

    def __post_init__(self) -> None:
        if self.activation is not None:
            activation_layer(self.activation)
        if not self.transposed and (self.activation is not None or not self.bias):
            raise self.fail(
                "an activation or bias of its own",
                "leave them out: they are the other layer's; or use transposed=True",
            )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return ()

    def output_shape(self, *inputs: Shape) -> Shape:
        raise self.fail("it stands alone", f"put it into a graph with {self.layer!r}")
