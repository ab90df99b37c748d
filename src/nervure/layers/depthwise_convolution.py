# SPDX-License-Identifier: BSD-3-Clause
"""Depthwise and separable convolution: channels filtered apart, then mixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nervure.initializers import Initializer, LeCunNormal, Named, default_for
from nervure.layers._convolving import Convolving
from nervure.layers._layer import Example, Layer, Symbol, at_least
from nervure.layers._window import Padding, PerAxis
from nervure.layers.convolution import Conv1D, Conv2D, Convolution


@dataclass(frozen=True)
class DepthwiseConvolution(Convolving):
    """Convolution that keeps channels apart: a convolution with a group for each.

    Of channel c come the maps ``c m .. c m + m - 1``, where m is the depth multiplier.
    Weights begin as LeCun's by default, since a map sees ``kernel`` pixels of one
    channel and no more.

    Shape:
        input ``(batch, ..., channels)``, output ``(batch, ..., channels m)``;
        ``weight (*kernel, 1, channels m)``, ``bias (channels m,)``.

    Args:
        depth_multiplier: maps of each channel, at least 1.

    Raises:
        LayerError: the input has no channel axis, or the window exceeds the padded
            input.

    Source: Sifre, *Rigid-motion scattering for image classification* (2014), section
    6.2; Howard et al., *MobileNets* (2017), eq. 3.
    """

    native: ClassVar[str] = "depthwise_convolution"

    kernel: PerAxis
    stride: PerAxis = 1
    dilation: PerAxis = 1
    depth_multiplier: int = 1
    padding: Padding = "valid"
    activation: str | Layer | None = None
    bias: bool = True
    initializer: Named | None = None
    bias_initializer: Named | None = None

    def __post_init__(self) -> None:
        at_least(self, "depth_multiplier")
        super().__post_init__()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(3), ((4, 5, 3)[2 - cls.rank :],)),
            Example(cls(2, 2, 1, 3, "same", bias=False), ((3, 5, 2)[2 - cls.rank :],)),
        )

    def filters_of(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def groups_of(self, channels: int) -> int:
        return channels

    def beginning(self, activation: Layer | None) -> Initializer:
        return LeCunNormal() if activation is None else default_for(activation)


@dataclass(frozen=True)
class DepthwiseConv1D(DepthwiseConvolution):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.DepthwiseConv1D(3, depth_multiplier=2).output_shape((100, 8))
    (98, 16)
    """

    kind: ClassVar[str] = "depthwise_conv1d"
    rank: ClassVar[int] = 1
    modes: ClassVar[tuple[str, ...]] = Conv1D.modes


@dataclass(frozen=True)
class DepthwiseConv2D(DepthwiseConvolution):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> nv.DepthwiseConv2D(3, stride=2, padding="same").output_shape((32, 32, 8))
    (16, 16, 8)
    """

    kind: ClassVar[str] = "depthwise_conv2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class SeparableConvolution(Convolving):
    """A depthwise convolution, then a convolution of extent 1 that mixes its maps.

    ``z = P (D x) + b``: for c channels and f filters on n x n windows it takes
    ``c m (n^2 + f)`` products a place where a convolution takes ``c f n^2``. Its nodes
    are ``<name>.depthwise`` (without bias) and ``<name>.pointwise``.

    Shape:
        input ``(batch, ..., channels)``, output ``(batch, ..., filters)``;
        ``depthwise.weight (*kernel, 1, channels m)``, ``pointwise.weight (1, ...,
        channels m, filters)``, ``pointwise.bias (filters,)``.

    Args:
        filters: number of maps, at least 1.
        depth_multiplier: maps m between the two for each channel, at least 1.
        depthwise_initializer, pointwise_initializer: in the place of `initializer`.

    Raises:
        LayerError: the input has no channel axis, or the window exceeds the padded
            input.

    Source: Chollet, *Xception* (2017), section 1.1; Howard et al., *MobileNets* (2017),
    section 3.1.
    """

    composite: ClassVar[bool] = True
    depthwise: ClassVar[type[DepthwiseConvolution]]
    pointwise: ClassVar[type[Convolution]]

    filters: int
    kernel: PerAxis
    stride: PerAxis = 1
    dilation: PerAxis = 1
    depth_multiplier: int = 1
    padding: Padding = "valid"
    activation: str | Layer | None = None
    bias: bool = True
    depthwise_initializer: Named | None = None
    pointwise_initializer: Named | None = None
    bias_initializer: Named | None = None

    def __post_init__(self) -> None:
        at_least(self, "filters")
        at_least(self, "depth_multiplier")
        super().__post_init__()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4, 2), ((3, 4, 3)[2 - cls.rank :],)),
            Example(cls(3, 3, 2, 1, 2, "same", "tanh"), ((3, 4, 2)[2 - cls.rank :],)),
        )

    @property
    def stages(self) -> tuple[DepthwiseConvolution, Convolution]:
        """The two convolutions."""
        between = self.depthwise(
            self.kernel,
            self.stride,
            self.dilation,
            self.depth_multiplier,
            self.padding,
            bias=False,
            initializer=self.depthwise_initializer,
            name="depthwise",
        )
        mixing = self.pointwise(
            self.filters,
            1,
            activation=self.activation,
            bias=self.bias,
            initializer=self.pointwise_initializer,
            bias_initializer=self.bias_initializer,
            name="pointwise",
        )
        return between, mixing

    def expand(self, *inputs: Symbol) -> Symbol:
        between, mixing = self.stages
        return mixing(between(*inputs))

    def filters_of(self, channels: int) -> int:
        return self.filters


@dataclass(frozen=True)
class SeparableConv1D(SeparableConvolution):
    """Of sequences ``(batch, width, channels)``.

    >>> import nervure as nv
    >>> nv.SeparableConv1D(32, 5, padding="causal").output_shape((100, 8))
    (100, 32)
    """

    kind: ClassVar[str] = "separable_conv1d"
    rank: ClassVar[int] = 1
    depthwise: ClassVar[type[DepthwiseConvolution]] = DepthwiseConv1D
    pointwise: ClassVar[type[Convolution]] = Conv1D
    modes: ClassVar[tuple[str, ...]] = Conv1D.modes


@dataclass(frozen=True)
class SeparableConv2D(SeparableConvolution):
    """Of images ``(batch, height, width, channels)``.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((32, 32, 8)), nv.SeparableConv2D(16, 3)])
    >>> [(name, array.shape) for name, array in net.parameters.items()][0]
    ('separable_conv2d.depthwise.weight', (3, 3, 1, 8))
    >>> net.layout.count
    216
    """

    kind: ClassVar[str] = "separable_conv2d"
    rank: ClassVar[int] = 2
    depthwise: ClassVar[type[DepthwiseConvolution]] = DepthwiseConv2D
    pointwise: ClassVar[type[Convolution]] = Conv2D
