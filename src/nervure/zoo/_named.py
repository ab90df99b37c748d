# SPDX-License-Identifier: BSD-3-Clause
"""Networks of the zoo by name, as a spec, an estimator or a command asks for them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nervure.base.checks import count
from nervure.base.words import unknown
from nervure.layers import Layer, Shape
from nervure.network.network import Network
from nervure.zoo._architecture import Architecture
from nervure.zoo._list import ARCHITECTURES

AUXILIARY_WEIGHT = 0.3
"""Of the loss of each auxiliary classifier (Szegedy et al. 2015, section 5)."""


def architecture(name: str, where: str = "zoo") -> Architecture:
    """The architecture of this name.

    Raises:
        ValueError: there is none; the names are listed.

    >>> architecture("lenet5").classes
    10
    """
    if name not in ARCHITECTURES:
        raise ValueError(unknown(where, "architecture", name, ARCHITECTURES))
    return ARCHITECTURES[name]


def image_shape(shape: Shape, where: str) -> Shape:
    """Rows of numbers as the images that they are: square ones, gray or of 3 colours.

    Raises:
        ValueError: they are no square images.

    >>> image_shape((64,), "x"), image_shape((3072,), "x"), image_shape((9, 8), "x")
    ((8, 8, 1), (32, 32, 3), (9, 8, 1))
    """
    if len(shape) == 3:
        return shape
    if len(shape) == 2:
        return (*shape, 1)
    for channels in (1, 3):
        side = math.isqrt(math.prod(shape) // channels)
        if side * side * channels == math.prod(shape):
            return side, side, channels
    raise ValueError(
        f"[{where}] rows of shape {shape}; expected images; reshape them to (height, "
        "width, channels), or say which input_shape"
    )


@dataclass(frozen=True)
class ZooNetwork:
    """A network of the zoo: the table ``[network]`` of a spec, in place of layers.

    Args:
        zoo: name of the architecture.
        classes: outputs; by default as the data have, else as `Architecture`.
        input_shape: ``(height, width, channels)``; by default that of the data.
        weights: path of a checkpoint of torchvision's.
        aux: whether to train auxiliary classifiers as well, whose losses weigh 0.3.

    Raises:
        ValueError: an unknown name or an impossible number.

    >>> ZooNetwork("resnet20", classes=5).build((8, 8, 1)).graph.output_shapes
    ((5,),)
    """

    zoo: str
    classes: int | None = None
    input_shape: tuple[int, ...] | None = None
    weights: str | None = None
    aux: bool = False

    def __post_init__(self) -> None:
        found = architecture(self.zoo, "network")
        if self.classes is not None:
            count("network", "classes", self.classes, least=1)
        found.check(self.input_shape, self.aux)

    @property
    def loss_weights(self) -> tuple[float, ...] | None:
        """Of the losses of all outputs, where there are several."""
        if not self.aux:
            return None
        found = architecture(self.zoo)
        return (1.0, *(AUXILIARY_WEIGHT for _ in found.auxiliary))

    def build(
        self,
        input_shape: Shape | None = None,
        outputs: int | None = None,
        activation: str | Layer | None = "softmax",
        seed: int = 0,
        dtype: str = "float32",
    ) -> Network:
        """The network, for data of this shape and with these outputs if not said."""
        shape = self.input_shape
        if shape is None and input_shape is not None:
            shape = image_shape(input_shape, self.zoo)
        return architecture(self.zoo)(
            outputs if self.classes is None else self.classes,
            shape,
            weights=self.weights,
            activation=activation,
            aux=self.aux,
            seed=seed,
            dtype=dtype,
        )
