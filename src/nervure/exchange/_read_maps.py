# SPDX-License-Identifier: BSD-3-Clause
"""ONNX operators over maps as layers: convolution, pooling, norms, larger maps.

ONNX's maps are ``(channels, ...)``; they are held channels-last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nervure.exchange._held import (
    Held,
    Known,
    NotCoveredError,
    channels_last,
    in_order,
    in_shape,
    like,
    plain,
    put,
    with_last,
)
from nervure.exchange._read_numbers import ReadOne, scaled
from nervure.exchange._reader import Array, Op, bounded
from nervure.layers import (
    Add,
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    BatchNorm,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalAveragePool3D,
    GlobalL2Pool1D,
    GlobalL2Pool2D,
    GlobalL2Pool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GroupNorm,
    L2Pool1D,
    L2Pool2D,
    L2Pool3D,
    Layer,
    LayerNorm,
    LocalResponseNorm,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    RMSNorm,
    Shape,
    Symbol,
    Take,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)

Sides = tuple[tuple[int, int], ...]
Kinds = tuple[type[Any], type[Any], type[Any]]

CONVOLUTIONS: Kinds = (Conv1D, Conv2D, Conv3D)
TRANSPOSED: Kinds = (Conv1DTranspose, Conv2DTranspose, Conv3DTranspose)
MAX_POOLS: Kinds = (MaxPool1D, MaxPool2D, MaxPool3D)
AVERAGE_POOLS: Kinds = (AveragePool1D, AveragePool2D, AveragePool3D)
L2_POOLS: Kinds = (L2Pool1D, L2Pool2D, L2Pool3D)
GLOBAL_MAX: Kinds = (GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D)
GLOBAL_AVERAGE: Kinds = (GlobalAveragePool1D, GlobalAveragePool2D, GlobalAveragePool3D)
GLOBAL_L2: Kinds = (GlobalL2Pool1D, GlobalL2Pool2D, GlobalL2Pool3D)
PADDINGS: Kinds = (ZeroPadding1D, ZeroPadding2D, ZeroPadding3D)
LARGER: Kinds = (UpSampling1D, UpSampling2D, UpSampling3D)


def map_of(op: Op, index: int = 0) -> tuple[Held, int]:
    """A map, channels last, and the number of its spatial axes."""
    if not op.reader.lead:
        raise NotCoveredError("a map without rows")
    x = op.held(index)
    rank = len(x.shape) - 1
    if not 1 <= rank <= 3:
        raise NotCoveredError(f"maps of {rank} spatial axes")
    return channels_last(x), rank


def map_like(symbol: Any, extents: Sequence[int], channels: int) -> Held:
    """A map that lies channels-last."""
    rank = len(extents)
    return Held(symbol, (channels, *extents), (*range(1, rank + 1), 0))


class Windows:
    """What operators say of windows: size, distance, padding."""

    def __init__(self, op: Op, kernel: Sequence[int], extents: Shape) -> None:
        rank = len(extents)
        self.kernel = tuple(int(k) for k in kernel)
        self.stride = tuple(op.attribute("strides") or (1,) * rank)
        self.dilation = tuple(op.attribute("dilations") or (1,) * rank)
        self.extents = extents
        self.mode = op.attribute("auto_pad", "NOTSET")
        pads = op.attribute("pads") or (0,) * (2 * rank)
        sizes = {len(self.kernel), len(self.stride), len(self.dilation), len(pads) // 2}
        if sizes != {rank}:
            raise NotCoveredError(f"windows of other axes than the map's {rank}")
        self.sides = self._sides(pads)

    @property
    def reach(self) -> tuple[int, ...]:
        pairs = zip(self.kernel, self.dilation, strict=True)
        return tuple((k - 1) * d + 1 for k, d in pairs)

    def _sides(self, pads: Sequence[int]) -> Sides:
        rank = len(self.extents)
        if self.mode == "VALID":
            return ((0, 0),) * rank
        if self.mode in ("SAME_UPPER", "SAME_LOWER"):
            return tuple(
                self._same(n, r, s)
                for n, r, s in zip(self.extents, self.reach, self.stride, strict=True)
            )
        if min(pads, default=0) < 0:
            raise NotCoveredError(f"padding {tuple(pads)}")
        return tuple(zip(pads[:rank], pads[rank:], strict=True))

    def _same(self, extent: int, reach: int, stride: int) -> tuple[int, int]:
        total = max(0, (-(-extent // stride) - 1) * stride + reach - extent)
        small, large = total // 2, total - total // 2
        return (small, large) if self.mode == "SAME_UPPER" else (large, small)

    def rounded_up(self) -> Sides:
        """With as much behind as the last window lacks, which begins inside."""
        found: list[tuple[int, int]] = []
        axes = zip(self.extents, self.reach, self.stride, self.sides, strict=True)
        for extent, reach, stride, (before, after) in axes:
            last = -(-(extent + before + after - reach) // stride) * stride
            if last >= extent + before:
                last -= stride
            found.append((before, max(0, last + reach - extent - before)))
        return tuple(found)


# -- convolution -----------------------------------------------------------------------


def convolution(op: Op) -> Held:
    x, rank = map_of(op)
    weight, bias = op.known(1, "weight"), _optional(op, 2)
    if weight.ndim != rank + 2:
        raise NotCoveredError(f"weights of shape {weight.shape} for {rank} axes")
    at = Windows(op, op.attribute("kernel_shape") or weight.shape[2:], x.shape[1:])
    groups, channels = int(op.attribute("group", 1)), x.shape[0]
    numbers = {"weight": np.moveaxis(weight, (0, 1), (-1, -2))} | bias
    layer = _convolving(at, weight, groups, channels, bool(bias), rank)
    symbol = op.reader.weighted(layer, numbers, op.weight_name(1), x)
    *extents, filters = layer.output_shape((*x.shape[1:], channels))
    return map_like(symbol, extents, filters)


def _convolving(
    at: Windows, weight: Array, groups: int, channels: int, bias: bool, rank: int
) -> Any:
    """A depthwise layer where each channel has a group of its own."""
    filters = weight.shape[0]
    own = (at.kernel, at.stride, at.dilation)
    if groups == channels > 1 and rank < 3 and filters % channels == 0:
        kind: Any = (DepthwiseConv1D, DepthwiseConv2D)[rank - 1]
        return kind(*own, filters // channels, at.sides, bias=bias)
    kind = CONVOLUTIONS[rank - 1]
    return kind(filters, *own, groups, at.sides, bias=bias)


def _optional(op: Op, index: int) -> dict[str, Array]:
    return {} if op.given(index) is None else {"bias": op.known(index, "bias")}


def transposed_convolution(op: Op) -> Held:
    """What ``output_padding`` adds beyond the windows' reach are zeros and the bias."""
    x, rank = map_of(op)
    weight, bias = op.known(1, "weight"), _optional(op, 2)
    if weight.ndim != rank + 2:
        raise NotCoveredError(f"weights of shape {weight.shape} for {rank} axes")
    groups, channels = int(op.attribute("group", 1)), x.shape[0]
    at = Windows(op, op.attribute("kernel_shape") or weight.shape[2:], x.shape[1:])
    sides, more = _given_off(op, at)
    layer = TRANSPOSED[rank - 1](
        weight.shape[1] * groups,
        at.kernel,
        at.stride,
        at.dilation,
        groups,
        sides,
        bias=bool(bias) and not any(more),
    )
    own = {"weight": np.moveaxis(weight, (0, 1), (-1, -2))}
    numbers = own | ({} if any(more) else bias)
    symbol = op.reader.weighted(layer, numbers, op.weight_name(1), x)
    *extents, filters = layer.output_shape((*x.shape[1:], channels))
    if any(more):
        symbol = Symbol(PADDINGS[rank - 1](tuple((0, n) for n in more)), (symbol,))
        extents = [n + m for n, m in zip(extents, more, strict=True)]
    found = map_like(symbol, extents, filters)
    if not (bias and any(more)):
        return found
    shaped = bias["bias"].reshape(-1, *(1,) * rank)
    both = op.reader.alike([found, Known(shaped, True)], op.name)
    return like(both[0], put(Add(), *both))


def _given_off(op: Op, at: Windows) -> tuple[Sides, list[int]]:
    """Pixels taken off the edges, and such as there are beyond what windows reach."""
    rank = len(at.extents)
    extra = tuple(op.attribute("output_padding") or (0,) * rank)
    axes = list(zip(at.extents, at.stride, at.reach, strict=True))
    whole = [(n - 1) * s + r for n, s, r in axes]
    wanted = op.attribute("output_shape")
    if wanted or at.mode.startswith("SAME"):
        sizes = wanted or [n * s for n, s, _ in axes]
        totals = [w + e - n for w, e, n in zip(whole, extra, sizes, strict=True)]
        lower = at.mode == "SAME_LOWER"
        halves = [
            (t - t // 2, t // 2) if lower else (t // 2, t - t // 2) for t in totals
        ]
    else:
        halves = list(at.sides)
    ends = [after - e for (_, after), e in zip(halves, extra, strict=True)]
    if any(before < 0 for before, _ in halves):
        raise NotCoveredError("an output larger than the windows reach")
    befores = [before for before, _ in halves]
    sides = tuple((b, max(0, end)) for b, end in zip(befores, ends, strict=True))
    return sides, [max(0, -end) for end in ends]


# -- pooling ---------------------------------------------------------------------------


def max_pool(op: Op) -> Held:
    op.only_output("indices")
    x, rank = map_of(op)
    at = _pooling(op, x)
    return _pooled(MAX_POOLS[rank - 1], x, at, _pool_sides(op, at))


def _pooling(op: Op, x: Held) -> Windows:
    at = Windows(op, op.attribute("kernel_shape") or (), x.shape[1:])
    if set(at.dilation) != {1}:
        raise NotCoveredError(f"dilations {at.dilation}")
    return at


def _pool_sides(op: Op, at: Windows) -> Sides:
    return at.rounded_up() if op.attribute("ceil_mode", 0) else at.sides


def _pooled(kind: type[Layer], x: Held, at: Windows, sides: Sides) -> Held:
    layer: Any = kind(at.kernel, at.stride, sides)  # pyright: ignore
    *extents, channels = layer.output_shape(x.lies)
    return map_like(put(layer, x), extents, channels)


def average_pool(op: Op) -> Held:
    """Padding that counts is put around the map first."""
    x, rank = map_of(op)
    at = _pooling(op, x)
    kind, sides = AVERAGE_POOLS[rank - 1], _pool_sides(op, at)
    if not op.attribute("count_include_pad", 0) or not any(map(any, at.sides)):
        return _pooled(kind, x, at, sides)
    if sides != at.sides and any(
        a > b for (_, a), (_, b) in zip(sides, at.sides, strict=True)
    ):
        raise NotCoveredError("ceil_mode with padding that counts")
    layer = PADDINGS[rank - 1](at.sides)
    *extents, channels = layer.output_shape(x.lies)
    return _pooled(
        kind, map_like(put(layer, x), extents, channels), at, ((0, 0),) * rank
    )


def lp_pool(op: Op) -> Held:
    """The root of a sum of squares: that of their mean times that of their number."""
    x, rank = map_of(op)
    at = _pooling(op, x)
    sides = _pool_sides(op, at)
    if op.attribute("p", 2) != 2:
        raise NotCoveredError(f"p = {op.attribute('p', 2)}")
    if any(map(any, sides)):
        layer = PADDINGS[rank - 1](sides)
        *extents, channels = layer.output_shape(x.lies)
        x = map_like(put(layer, x), extents, channels)
    found = _pooled(L2_POOLS[rank - 1], x, at, ((0, 0),) * rank)
    return scaled(found, math.sqrt(math.prod(at.kernel)))


def global_pool(kinds: Kinds) -> ReadOne:
    """One number for each channel; its axes stay, with an extent of 1."""

    def read(op: Op) -> Held:
        x, rank = map_of(op)
        channels = x.shape[0]
        found = plain(put(kinds[rank - 1](), x), (channels,))
        return in_shape(found, (channels, *(1,) * rank))

    return read


def global_lp_pool(op: Op) -> Held:
    if op.attribute("p", 2) != 2:
        raise NotCoveredError(f"p = {op.attribute('p', 2)}")
    x = op.held()
    return scaled(global_pool(GLOBAL_L2)(op), math.sqrt(math.prod(x.shape[1:])))


# -- norms -----------------------------------------------------------------------------


def batch_norm(op: Op) -> Held:
    if op.attribute("training_mode", 0):
        raise NotCoveredError("statistics of the batch in prediction")
    op.only_output("statistics")
    words = ("gamma", "beta", "running_mean", "running_variance")
    numbers = {word: op.known(i + 1, word) for i, word in enumerate(words)}
    if not op.reader.lead:
        raise NotCoveredError("a map without rows")
    x = op.held()
    if len(x.shape) > 1:
        x = channels_last(x)
    elif x.order is not None:
        numbers = {word: array[x.order] for word, array in numbers.items()}
    momentum = float(op.attribute("momentum", 0.9))
    layer = BatchNorm(float(op.attribute("epsilon", 1e-5)), min(momentum, 1 - 1e-7))
    return like(x, op.reader.weighted(layer, numbers, op.weight_name(1), x))


def instance_norm(op: Op) -> Held:
    x, _ = map_of(op)
    layer = GroupNorm(x.shape[0], float(op.attribute("epsilon", 1e-5)))
    numbers = {"gamma": op.known(1, "scale"), "beta": op.known(2, "bias")}
    return like(x, op.reader.weighted(layer, numbers, op.weight_name(1), x))


def group_norm(op: Op) -> Held:
    """Until opset 21 there is one scale for each group."""
    x, _ = map_of(op)
    groups, channels = int(op.attribute("num_groups")), x.shape[0]
    numbers = {"gamma": op.known(1, "scale"), "beta": op.known(2, "bias")}
    if op.reader.opset < 21 and numbers["gamma"].size == groups != channels:
        numbers = {k: np.repeat(a, channels // groups) for k, a in numbers.items()}
    layer = GroupNorm(groups, float(op.attribute("epsilon", 1e-5)))
    return like(x, op.reader.weighted(layer, numbers, op.weight_name(1), x))


def layer_norm(op: Op) -> Held:
    op.only_output("statistics")
    numbers = {"gamma": op.value(1), "beta": op.given(2)}
    return _over_last(op, LayerNorm(float(op.attribute("epsilon", 1e-5))), numbers)


def rms_norm(op: Op) -> Held:
    layer = RMSNorm(float(op.attribute("epsilon", 1e-5)))
    return _over_last(op, layer, {"gamma": op.value(1)})


def _over_last(op: Op, layer: Layer, given: dict[str, Any]) -> Held:
    """Over one axis or several: these are laid out as one."""
    x = op.held()
    rank = len(x.shape)
    axis = op.axis(op.attribute("axis", -1), rank)
    if any(isinstance(value, Held) for value in given.values()):
        raise NotCoveredError("a scale that is no constant")
    whole = x.shape[axis:]
    size = math.prod(whole)
    numbers = {
        word: np.broadcast_to(known.array, whole).reshape(-1)
        if known is not None
        else np.zeros(size)
        for word, known in given.items()
    }
    last = (
        with_last(x, axis)
        if axis == rank - 1
        else in_order(in_shape(x, (*x.shape[:axis], size)))
    )
    found = like(last, op.reader.weighted(layer, numbers, op.weight_name(1), last))
    return found if axis == rank - 1 else in_shape(found, x.shape)


def local_response_norm(op: Op) -> Held:
    """Of an even number of neighbours more lie to the right there, to the left here."""
    x, _ = map_of(op)
    size = int(op.attribute("size"))
    layer = LocalResponseNorm(
        size,
        alpha=float(op.attribute("alpha", 1e-4)),
        beta=float(op.attribute("beta", 0.75)),
        k=float(op.attribute("bias", 1.0)),
    )
    if size % 2:
        return like(x, put(layer, x))
    back = Take(tuple(reversed(range(x.shape[0]))))
    turned = like(x, put(back, x))
    return like(x, put(back, like(x, put(layer, turned))))


def mean_variance(op: Op) -> Held:
    """Each channel of a sample by itself; with the rows among the axes it cannot be."""
    x, rank = map_of(op)
    axes = tuple(op.attribute("axes") or (0, 2, 3))
    if sorted(axes) != list(range(2, rank + 2)):
        raise NotCoveredError("it works across the rows")
    channels = x.shape[0]
    numbers = {"gamma": np.ones(channels), "beta": np.zeros(channels)}
    layer = GroupNorm(channels, 1e-9)
    return like(x, op.reader.weighted(layer, numbers, op.name, x))


# -- larger maps -----------------------------------------------------------------------


def resize(op: Op) -> Held:
    """Whole factors by `UpSampling`; nearest pixels of any other by `Take`."""
    x = op.held()
    rank = len(x.shape)
    sizes, scales = _sizes(op, x)
    bounded(sizes)
    mode = op.attribute("mode", "nearest")
    if all(n == m for n, m in zip(x.shape, sizes, strict=True)):
        return x
    way = op.attribute("coordinate_transformation_mode", _transformation(op))
    if mode == "nearest":
        return _nearest(op, x, sizes, scales, way)
    factors = [m // n for n, m in zip(x.shape, sizes, strict=True)]
    whole = all(n * f == m for n, f, m in zip(x.shape, factors, sizes, strict=True))
    linear = mode == "linear" and way in ("half_pixel", "pytorch_half_pixel")
    maps = op.reader.lead and 2 <= rank <= 4 and sizes[0] == x.shape[0]
    if not (linear and whole and maps) or op.attribute("antialias", 0):
        raise NotCoveredError(f"{mode} {way} by {', '.join(f'{s:g}' for s in scales)}")
    x = channels_last(x)
    layer = LARGER[rank - 2](tuple(factors[1:]), LARGER[rank - 2].lines)
    return map_like(put(layer, x), sizes[1:], x.shape[0])


def _transformation(op: Op) -> str:
    return "asymmetric" if op.reader.opset < 11 else "half_pixel"


def _sizes(op: Op, x: Held) -> tuple[list[int], list[float]]:
    """Extents of the output and factors, of the axes of a sample."""
    rank = len(x.shape)
    early = op.reader.opset < 11
    sizes = None if early else op.given(3)
    scales = op.attribute("scales") or op.given(1 if early else 2)
    listed = op.attribute("axes")
    axes = list(range(rank)) if listed is None else list(op.axes(listed, rank))
    lead = op.reader.lead if listed is None else 0
    if op.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise NotCoveredError("a kept aspect ratio")
    if isinstance(sizes, Known) and sizes.array.size:
        given = sizes.array.tolist()[lead:]
        found = dict(zip(axes, given, strict=True))
        wanted = [int(found.get(i, n)) for i, n in enumerate(x.shape)]
        return wanted, [m / n for n, m in zip(x.shape, wanted, strict=True)]
    array = scales.array if isinstance(scales, Known) else scales
    if array is None or isinstance(array, Held):
        raise NotCoveredError("sizes that are no constants")
    given = [float(s) for s in array]
    if lead and given[0] != 1:
        raise NotCoveredError("it works across the rows")
    factors = [1.0] * rank
    for axis, factor in zip(axes, given[lead:], strict=True):
        factors[axis] = factor
    return [math.floor(n * f) for n, f in zip(x.shape, factors, strict=True)], factors


def _nearest(op: Op, x: Held, sizes: list[int], scales: list[float], way: str) -> Held:
    rounding = op.attribute(
        "nearest_mode", "floor" if op.reader.opset < 11 else "round_prefer_floor"
    )
    for axis, (before, after, scale) in enumerate(
        zip(x.shape, sizes, scales, strict=True)
    ):
        if before == after and scale == 1:
            continue
        places = _places(before, after, scale, way)
        indices = np.clip(ROUNDINGS[rounding](places), 0, before - 1).astype(int)
        x = taken(x, axis, indices.tolist())
    return x


def _places(before: int, after: int, scale: float, way: str) -> Array:
    """Where the pixels of the larger axis lie on the smaller one."""
    i = np.arange(after, dtype=np.float64)
    if way == "asymmetric":
        return i / scale
    if way == "align_corners":
        return i * (before - 1) / (after - 1) if after > 1 else np.zeros(1)
    if way == "pytorch_half_pixel" and after == 1:
        return np.zeros(1)
    if way == "half_pixel_symmetric":
        off = before / 2 * (1 - after / (scale * before))
        return off + (i + 0.5) / scale - 0.5
    if way in ("half_pixel", "pytorch_half_pixel"):
        return (i + 0.5) / scale - 0.5
    raise NotCoveredError(f"coordinates {way}")


ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}


def taken(x: Held, axis: int, indices: Sequence[int]) -> Held:
    """Elements of one of ONNX's axes."""
    if x.order is not None:
        x = in_order(x)
    if list(indices) == list(range(x.shape[axis])):
        return x
    place = x.axes.index(axis) + 1
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    return Held(put(Take(tuple(indices), place), x), shape, x.axes)
