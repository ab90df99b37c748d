# SPDX-License-Identifier: BSD-3-Clause
"""LeNet-1, LeNet-4 and LeNet-5: the convolutional networks of the first papers.

All three take averages over blocks of 2x2, times a trainable coefficient and plus a
bias for each map ("sub-sampling"), and have the activation ``1.7159 tanh(2 z / 3)``.
Weights begin as LeCun et al., *Efficient BackProp* (1998), eq. 16 have it for that
activation, coefficients at 1. The output layer is a softmax, where LeNet-5 had fixed
prototypes, which are not among its 60,000 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from nervure.initializers import Constant, LeCunUniform
from nervure.layers import (
    AveragePool2D,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    Slice,
    Symbol,
    ZeroPadding2D,
)
from nervure.zoo._architecture import Architecture, Order
from nervure.zoo._blocks import Place

ACTIVATION, BEGIN = "scaled_tanh", LeCunUniform()


def _convolution(
    x: Place, name: str, maps: int, groups: int = 1, activation: str | None = ACTIVATION
) -> Symbol:
    layer = Conv2D(
        maps, 5, groups=groups, activation=activation, initializer=BEGIN, name=name
    )
    return layer(x)


def _subsampled(x: Place, name: str, maps: int) -> Symbol:
    """Means of 2x2 blocks, times a coefficient and plus a bias for each map."""
    mean = AveragePool2D(2, name=f"{name}.mean")(x)
    scale = Conv2D(
        maps,
        1,
        groups=maps,
        activation=ACTIVATION,
        initializer=Constant(1.0),
        name=name,
    )
    return scale(mean)


def _dense(x: Symbol, name: str, units: int) -> Symbol:
    return Dense(units, activation=ACTIVATION, initializer=BEGIN, name=name)(x)


def _framed(x: Layer, order: Order, extent: int) -> Place:
    """Images that are smaller, with zeros around them, as the papers center digits."""
    missing = [max(0, extent - n) for n in order.input_shape[:2]]
    if not any(missing):
        return x
    pairs = tuple((m // 2, m - m // 2) for m in missing)
    return ZeroPadding2D(pairs, name="frame")(x)


@dataclass(frozen=True)
class LeNet1(Architecture):
    """Two convolutions with sub-sampling, and the output layer: 2,578 parameters.

    Of the 12 maps of the second convolution four see one map, eight see two.

    Source: LeCun et al., *Handwritten digit recognition with a back-propagation
    network* (NIPS 1989), section 4.2 and table 1.

    >>> import nervure as nv
    >>> nv.zoo.lenet1.graph().trainable
    2578
    """

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        h = _convolution(_framed(x, order, 28), "c1", 4)
        h = _subsampled(h, "s2", 4)
        single = _convolution(h, "c3.single", 4, groups=4)
        double = _convolution(h, "c3.double", 8, groups=2)
        h = _subsampled(Concatenate(name="c3.joined")(single, double), "s4", 12)
        return [order.head(Flatten(name="flatten")(h))]


@dataclass(frozen=True)
class LeNet4(Architecture):
    """LeNet-1 with more maps and a hidden layer of 120 nodes.

    The first maps are sub-sampled twice each. The papers give the maps and that about
    17,000 parameters are free, but not which node sees which map; here the maps of the
    second convolution see all eight, and each quarter of the hidden layer four of the
    sixteen, which makes 16,698.

    Source: LeCun et al., *Comparison of learning algorithms for handwritten digit
    recognition* (ICANN 1995); LeCun, Bottou, Bengio, Haffner, *Gradient-based learning
    applied to document recognition* (1998), section III.C.

    >>> import nervure as nv
    >>> nv.zoo.lenet4.graph().trainable
    16698
    """

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        h = _convolution(_framed(x, order, 32), "c1", 4)
        h = _subsampled(Concatenate(name="pairs")(h, h), "s2", 8)
        h = _subsampled(_convolution(h, "c3", 16), "s4", 16)
        h = Flatten(name="flatten")(_convolution(h, "c5", 120, groups=4))
        return [order.head(h)]


@dataclass(frozen=True)
class LeNet5(Architecture):
    """Three convolutions, two sub-samplings, a dense layer: 60,000 parameters.

    The output layer comes on top of them. The maps of the second convolution see three,
    four or all six of the first (table I); images under 32x32 have zeros put around.

    Source: LeCun, Bottou, Bengio, Haffner, *Gradient-based learning applied to document
    recognition* (Proceedings of the IEEE 86, 1998), section II.B, figure 2, table I.

    >>> import nervure as nv
    >>> nv.zoo.lenet5.graph().trainable - (84 * 10 + 10)
    60000
    """

    def outputs(self, x: Layer, order: Order) -> list[Symbol]:
        h = _convolution(_framed(x, order, 32), "c1", 6)
        h = _subsampled(h, "s2", 6)
        h = _subsampled(_third_layer(h), "s4", 16)
        h = Flatten(name="flatten")(_convolution(h, "c5", 120))
        return [order.head(_dense(h, "f6", 84))]


def _third_layer(x: Symbol) -> Symbol:
    """Table I: 6 maps see 3 neighbours (cyclically), 6 see 4, 3 two pairs, 1 all."""
    ring = Concatenate(name="c3.ring")(x, x)

    def run(begin: int, maps: int) -> Symbol:
        name = f"c3.maps{begin}_{(begin + maps - 1) % 6}"
        return Slice(begin, begin + maps, name=name)(ring)

    parts = {
        "three": [run(i, 3) for i in range(6)],
        "four": [run(i, 4) for i in range(6)],
        "pairs": [run(i + j, 2) for i in range(3) for j in (0, 3)],
    }
    found: list[Symbol] = []
    for name, seen in parts.items():
        maps = 3 if name == "pairs" else 6
        inputs = Concatenate(name=f"c3.{name}.inputs")(*seen)
        found.append(_convolution(inputs, f"c3.{name}", maps, groups=maps))
    return Concatenate(name="c3.joined")(*found, _convolution(x, "c3.all", 1))
