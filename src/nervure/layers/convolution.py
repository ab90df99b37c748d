# SPDX-License-Identifier: BSD-3-Clause
"""Convolution: the same small window of weights at every place of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nervure.layers._convolving import Grouped
from nervure.layers._layer import Attribute, Example, Shape


@dataclass(frozen=True)
class Convolution(Grouped):
    """Convolution over the spatial axes, followed by an optional activation.

    On two axes ``z[i, j, o] = sum over k, l, c of x[i s + k d - p, j s + l d - p, c]
    W[k, l, c, o] + b[o]`` with stride s, dilation d and p zeros before the edge; like
    everyone's it is a cross-correlation (the kernel is not flipped). An axis has
    ``(extent + pads - (kernel - 1) d - 1) // s + 1`` windows.

    Source: LeCun, Bottou, Bengio, Haffner, *Gradient-based learning applied to document
    recognition* (1998), section II; Goodfellow et al., *Deep Learning* (2016), eq. 9.6.
    """


@dataclass(frozen=True)
class Conv1D(Convolution):
    """Of sequences and signals; padding "causal" puts all zeros before the beginning,
    so that no place sees a later one.

    Shape:
        input ``(batch, width, channels)``, output ``(batch, places, filters)``;
        ``weight (kernel, channels / groups, filters)``, ``bias (filters,)``.

    Source: van den Oord et al., *WaveNet* (2016), section 2.1 (causal, dilated).

    >>> import nervure as nv
    >>> nv.Conv1D(8, 3, padding="causal", dilation=4).output_shape((100, 2))
    (100, 8)
    """

    kind: ClassVar[str] = "conv1d"
    rank: ClassVar[int] = 1
    modes: ClassVar[tuple[str, ...]] = ("valid", "same", "causal")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4, 3), ((7, 2),)),
            Example(cls(3, 2, padding="causal", dilation=2), ((6, 3),)),
            Example(cls(2, 3, stride=2, padding="same", bias=False), ((8, 1),)),
        )


@dataclass(frozen=True)
class Conv2D(Convolution):
    """Of images.

    Kernels of 3 x 3 and stride 1 over 16 channels or more go by Winograd's filtering
    where that is faster: four times fewer products, whose rounding errors are those of
    the largest pixel among 6 x 6, not among 9. ``exact`` takes the direct sum instead:
    for images of very uneven pixels, where one that is a million times as large as its
    neighbours spoils windows that never see it (`Network.exact` does so for a whole
    network). Nothing does by itself: in networks with ReLUs that were trained on MNIST
    half of all 6 x 6 tiles hold pixels that are thousandfold apart, background and
    strokes, so that no look at a tile tells an outlier.

    Shape:
        input ``(batch, height, width, channels)``, output ``(batch, rows, columns,
        filters)``; ``weight (height, width, channels / groups, filters)``,
        ``bias (filters,)``.

    Args:
        exact: whether products are always summed directly, in training and afterwards.

    Source: Lavin and Gray, *Fast algorithms for convolutional neural networks*, CVPR
    (2016).

    >>> import nervure as nv
    >>> nv.Conv2D(4, 4, stride=2, padding="same").output_shape((32, 32, 1))
    (16, 16, 4)
    """

    kind: ClassVar[str] = "conv2d"
    rank: ClassVar[int] = 2

    exact: bool = False

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {**super().attributes(*inputs), "exact": int(self.exact)}

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4, 3), ((5, 6, 2),)),
            Example(cls(3, (2, 3), stride=2, padding="same"), ((5, 4, 3),)),
            Example(cls(6, 2, groups=2, dilation=2, padding=1), ((4, 5, 4),)),
            Example(cls(3, 3, groups=3, padding="same", bias=False), ((4, 3, 3),)),
            Example(cls(35, 1, stride=(2, 1)), ((3, 2, 17),)),
            Example(cls(2, (3, 1), padding=((2, 0), (0, 1)), stride=3), ((5, 5, 1),)),
        )


@dataclass(frozen=True)
class Conv3D(Convolution):
    """Of volumes and films.

    Shape:
        input ``(batch, depth, height, width, channels)``, output ``(batch, planes,
        rows, columns, filters)``; ``weight (depth, height, width, channels / groups,
        filters)``, ``bias (filters,)``.

    Source: Tran et al., *Learning spatiotemporal features with 3D convolutional
    networks* (2015), section 3.

    >>> import nervure as nv
    >>> nv.Conv3D(8, 3, padding=1, stride=(1, 2, 2)).output_shape((16, 32, 32, 3))
    (16, 16, 16, 8)
    """

    kind: ClassVar[str] = "conv3d"
    rank: ClassVar[int] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(3, 2), ((3, 3, 2, 2),)),
            Example(
                cls(2, (1, 3, 2), stride=(2, 1, 2), padding="same"), ((3, 2, 4, 1),)
            ),
        )
