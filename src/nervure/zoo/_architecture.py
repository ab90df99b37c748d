# SPDX-License-Identifier: BSD-3-Clause
"""What every architecture of the zoo declares, and how a network is made of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from nervure.base.checks import count
from nervure.graph.graph import Graph
from nervure.graph.symbols import from_symbols
from nervure.layers import Dense, Input, Layer, LayerError, Shape, Symbol
from nervure.network.network import Network

SMALL = 64
"""Pixels; where images have fewer, networks begin without reducing them."""

Activation = str | Layer | None


@dataclass(frozen=True)
class Order:
    """What is wanted of an architecture.

    ``small`` asks for its form for small images, ``aux`` for its auxiliary classifiers.
    """

    input_shape: Shape
    classes: int
    activation: Activation
    small: bool
    aux: bool

    def head(self, x: Symbol, name: str = "head") -> Symbol:
        """The output layer."""
        return Dense(self.classes, activation=self.activation, name=name)(x)


@dataclass(frozen=True)
class Architecture:
    """A published network: call it for a `Network`.

    ``nv.zoo.resnet18(classes=10, input_shape=(32, 32, 3))``.

    Attributes:
        name: what it is called in specs, by estimators and on the command line.
        source: the paper.
        input_shape: ``(height, width, channels)`` of the published network.
        classes: as many as the published network tells apart.
    """

    name: str
    source: str
    input_shape: Shape = (224, 224, 3)
    classes: int = 1000

    auxiliary: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of auxiliary classifiers."""

    def __call__(
        self,
        classes: int | None = None,
        input_shape: Sequence[int] | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        activation: Activation = "softmax",
        aux: bool = False,
        seed: int = 0,
        dtype: str = "float32",
    ) -> Network:
        """The network, with weights as they begin or from a published checkpoint.

        Args:
            classes: outputs; by default those of the checkpoint or the paper. Where
                the checkpoint has another number, all but the output layer is taken
                from it, and the output layer begins anew.
            input_shape: ``(height, width, channels)``, by default as published. Images
                under 64 pixels are not reduced by the first layers, unless there are
                ``weights``: then every layer is as published.
            weights: a checkpoint of torchvision's, ``.pth`` or ``.safetensors``.
                Nothing in it is executed. Theirs were trained on images from 0 to 1,
                from which ``[0.485, 0.456, 0.406]`` was taken before they were divided
                by ``[0.229, 0.224, 0.225]`` (GoogLeNet: 0.5 and 0.5).
            activation: of the output layer; None gives the scores before the softmax.
            aux: whether to have the auxiliary classifiers, as further outputs; train
                with ``loss_weights=[1, 0.3, 0.3]`` and take `without_auxiliary` then.
            seed: begins the parameters.
            dtype: ``"float32"`` or ``"float64"``.

        Raises:
            CheckpointError: the file is none, holds code, is damaged, or does not fit:
                all missing, unknown and differing tensors are listed.
            LayerError: the images are too small.
        """
        if weights is not None:  # zip archives and pickles are read from here on
            from nervure.zoo._checkpoint import tensors_for

            tensors = tensors_for(self, weights)
            classes = tensors.classes if classes is None else classes
            graph = self.graph(
                classes, input_shape, activation=activation, aux=aux, published=True
            )
            return tensors.network(graph, aux, seed, dtype)
        graph = self.graph(classes, input_shape, activation=activation, aux=aux)
        return Network.from_graph(graph, seed=seed, dtype=dtype)

    def graph(
        self,
        classes: int | None = None,
        input_shape: Sequence[int] | None = None,
        *,
        activation: Activation = "softmax",
        aux: bool = False,
        published: bool = False,
    ) -> Graph:
        """Layers and shapes alone, without memory for the parameters.

        ``published`` keeps every layer as published, however small the images are.

        >>> import nervure as nv
        >>> nv.zoo.resnet18.graph().trainable
        11689512
        """
        shape = tuple(self.input_shape if input_shape is None else input_shape)
        number = self.classes if classes is None else classes
        count(self.name, "classes", number, least=1)
        self.check(shape, aux)
        small = not published and min(shape[:2]) < SMALL
        order = Order(shape, number, activation, small, aux)
        x = Input(shape, name="input")
        try:
            return Graph.of(*from_symbols(self.outputs(x, order), [x]))
        except LayerError as error:
            fact, _, _ = str(error).partition("; ")
            raise LayerError(
                f"[{self.name}] images of shape {shape} are too small: {fact}; use "
                "larger images"
            ) from None

    def check(self, input_shape: Sequence[int] | None, aux: bool) -> None:
        """Raises `LayerError` for what no network of this architecture can have."""
        shape = None if input_shape is None else tuple(input_shape)
        if shape is not None and (len(shape) != 3 or min(shape) < 1):
            raise LayerError(
                f"[{self.name}] input_shape {shape}; expected (height, width, channels)"
                "; give e.g. (32, 32, 3)"
            )
        if aux and not self.auxiliary:
            raise LayerError(
                f"[{self.name}] has no auxiliary classifiers; expected aux only where "
                "the paper has them, as in googlenet; leave it out"
            )

    # -- to be declared by every architecture -------------------------------------

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        """The layers after the input; the classifier first."""
        raise NotImplementedError(self.name)

    def torch_names(self) -> Mapping[str, str]:
        """Torchvision's name for each layer with parameters; none if it has none."""
        return {}
