# SPDX-License-Identifier: BSD-3-Clause
"""Layers of Keras over maps, channels last as ours: convolution, pooling, frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nervure.base.words import is_list, short
from nervure.exchange._held import NotCoveredError
from nervure.exchange._keras_layers import (
    Read,
    kernel_and_bias,
    with_bias_and_activation,
)
from nervure.exchange._keras_reader import Place, Value, reshaped
from nervure.layers import (
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    Cropping1D,
    Cropping2D,
    Cropping3D,
    DepthwiseConv1D,
    DepthwiseConv2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalAveragePool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    Layer,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    SeparableConv1D,
    SeparableConv2D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)


def _map(at: Place) -> Value:
    at.expect(data_format="channels_last")
    return at.fixed()


def _padding(at: Place, causal: bool = False) -> str:
    known = ("valid", "same", *(["causal"] if causal else []))
    word = at.get("padding", "valid")
    if word not in known:
        raise NotCoveredError(f"padding = {short(word)}")
    return word


# -- convolution -----------------------------------------------------------------------


def convolution(kind: type[Any]) -> Read:
    rank: int = kind.rank

    def read(at: Place) -> Value:
        x, filters = _map(at), at.count("filters")
        groups = at.count("groups", 1)
        window = at.whole("kernel_size", rank)
        shape = (*window, x.shape[-1] // groups, filters)
        numbers = kernel_and_bias(at, shape, filters)
        own = (filters, window, *_steps(at, rank), groups, _padding(at, rank == 1))
        return with_bias_and_activation(at, kind, numbers, *own)

    return read


def _steps(at: Place, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return at.whole("strides", rank, 1), at.whole("dilation_rate", rank, 1)


def depthwise(kind: type[Any]) -> Read:
    """Maps of one channel stand together there as here."""
    rank: int = kind.rank

    def read(at: Place) -> Value:
        x, times = _map(at), at.count("depth_multiplier", 1)
        window, channels = at.whole("kernel_size", rank), x.shape[-1]
        numbers = kernel_and_bias(at, (*window, channels, times), channels * times)
        numbers["weight"] = numbers["weight"].reshape(*window, 1, channels * times)
        own = (window, *_steps(at, rank), times, _padding(at, rank == 1))
        return with_bias_and_activation(at, kind, numbers, *own)

    return read


def separable(kind: type[Any]) -> Read:
    rank: int = kind.rank

    def read(at: Place) -> Value:
        x, filters = _map(at), at.count("filters")
        times, window = at.count("depth_multiplier", 1), at.whole("kernel_size", rank)
        channels, bias = x.shape[-1], at.flag("use_bias", True)
        maps = channels * times
        shapes = [(*window, channels, times), (*[1] * rank, maps, filters)]
        first, second, *rest = at.arrays(*shapes, *([(filters,)] if bias else []))
        numbers = {
            "depthwise.weight": first.reshape(*window, 1, maps),
            "pointwise.weight": second,
        } | ({"pointwise.bias": rest[0]} if bias else {})
        own = (filters, window, *_steps(at, rank), times, _padding(at, rank == 1))
        return with_bias_and_activation(at, kind, numbers, *own)

    return read


def transposed(kind: type[Any]) -> Read:
    rank: int = kind.rank

    def read(at: Place) -> Value:
        x, filters = _map(at), at.count("filters")
        at.expect(output_padding=None)
        window = at.whole("kernel_size", rank)
        stride, dilation = _steps(at, rank)
        padding = _padding(at)
        reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
        if any(r < s for r, s in zip(reach, stride, strict=True)):
            raise NotCoveredError(f"strides {stride} beyond the windows {window}")
        numbers = kernel_and_bias(at, (*window, filters, x.shape[-1]), filters)
        own = (filters, window, stride, dilation, 1, padding)
        return with_bias_and_activation(at, kind, numbers, *own)

    return read


# -- pooling ---------------------------------------------------------------------------


def pool(kind: type[Any]) -> Read:
    rank: int = kind.rank

    def read(at: Place) -> Value:
        x, size = _map(at), at.whole("pool_size", rank, 2)
        stride = at.whole("strides", rank) if at.get("strides") is not None else size
        return at.put(kind(size, stride, _padding(at)), x)

    return read


def global_pool(kind: type[Any]) -> Read:
    def read(at: Place) -> Value:
        x = _map(at)
        found = at.put(kind(), x)
        if not at.flag("keepdims", False):
            return found
        return reshaped(at, found, (*[1] * kind.rank, x.shape[-1]))

    return read


# -- frames and larger maps ------------------------------------------------------------


def frame(kind: type[Any], key: str) -> Read:
    """Pixels around a map, or taken off it: one number, one per axis, or pairs."""

    def read(at: Place) -> Value:
        x, sides = _map(at), _sides(at.get(key, 1), kind.rank)
        if sides is None:
            raise NotCoveredError(f"{key} = {short(at.get(key))}")
        return at.put(kind(sides), x) if any(map(any, sides)) else x

    return read


def _sides(value: Any, rank: int) -> tuple[tuple[int, int], ...] | None:
    if rank == 1 and is_list(value) and len(value) == 2 and not is_list(value[0]):
        value = [value]
    each = list(value) if is_list(value) else [value] * rank
    pairs: list[Any] = [tuple(e) if is_list(e) else (e, e) for e in each]
    fits = len(pairs) == rank and all(
        len(p) == 2 and all(type(n) is int and n >= 0 for n in p) for p in pairs
    )
    return tuple((p[0], p[1]) for p in pairs) if fits else None


def up_sampling(kind: type[Any]) -> Read:
    def read(at: Place) -> Value:
        x, size = _map(at), at.whole("size", kind.rank, 2)
        way = at.get("interpolation", "nearest")
        if way not in ("nearest", kind.lines):
            raise NotCoveredError(f"interpolation = {short(way)}")
        return at.put(kind(size, way), x)

    return read


def _kinds(
    read: Callable[[type[Any]], Read], word: str, *kinds: type[Layer]
) -> dict[str, Read]:
    return {word.format(getattr(kind, "rank", 0)): read(kind) for kind in kinds}


LAYERS: dict[str, Read] = {
    **_kinds(convolution, "Conv{}D", Conv1D, Conv2D, Conv3D),
    **_kinds(depthwise, "DepthwiseConv{}D", DepthwiseConv1D, DepthwiseConv2D),
    **_kinds(separable, "SeparableConv{}D", SeparableConv1D, SeparableConv2D),
    **_kinds(
        transposed,
        "Conv{}DTranspose",
        *(Conv1DTranspose, Conv2DTranspose, Conv3DTranspose),
    ),
    **_kinds(pool, "MaxPooling{}D", MaxPool1D, MaxPool2D, MaxPool3D),
    **_kinds(pool, "AveragePooling{}D", AveragePool1D, AveragePool2D, AveragePool3D),
    **_kinds(
        global_pool,
        "GlobalAveragePooling{}D",
        *(GlobalAveragePool1D, GlobalAveragePool2D, GlobalAveragePool3D),
    ),
    **_kinds(
        global_pool,
        "GlobalMaxPooling{}D",
        *(GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D),
    ),
    **_kinds(
        lambda kind: frame(kind, "padding"),
        "ZeroPadding{}D",
        *(ZeroPadding1D, ZeroPadding2D, ZeroPadding3D),
    ),
    **_kinds(
        lambda kind: frame(kind, "cropping"),
        "Cropping{}D",
        *(Cropping1D, Cropping2D, Cropping3D),
    ),
    **_kinds(up_sampling, "UpSampling{}D", UpSampling1D, UpSampling2D, UpSampling3D),
}
