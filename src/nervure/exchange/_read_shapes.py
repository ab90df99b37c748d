# SPDX-License-Identifier: BSD-3-Clause
"""ONNX operators that move elements as layers: shapes, slices, padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nervure.exchange._held import (
    ROWS,
    Held,
    Known,
    NotCoveredError,
    channels_last,
    in_order,
    in_shape,
    like,
    plain,
    put,
    transposed,
    turned,
)
from nervure.exchange._order import joined
from nervure.exchange._read_maps import map_like, taken
from nervure.exchange._read_numbers import shifted
from nervure.exchange._reader import Op, Value, bounded
from nervure.layers import (
    Broadcast,
    Concatenate,
    Embedding,
    Multiply,
    Shape,
    Slice,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)

# -- shapes ----------------------------------------------------------------------------


def reshape(op: Op) -> Held:
    """The first extent is that of the rows, however it is written."""
    x = op.held()
    whole = op.shape_of(x)
    wanted = asked(op, whole)
    size = math.prod(x.shape)
    if not op.reader.lead:
        return in_shape(x, filled(wanted, size))
    if not wanted:
        raise NotCoveredError("it works across the rows")
    first, rest = wanted[0], wanted[1:]
    if any(n is ROWS for n in rest):
        raise NotCoveredError("it works across the rows")
    if -1 in rest and not (first is ROWS or _is(first, 1)):
        raise NotCoveredError("it works across the rows")
    shape = filled(rest, size)
    if math.prod(shape) != size:
        raise NotCoveredError(f"{whole} to {wanted}")
    return in_shape(x, shape)


def asked(op: Op, whole: Sequence[Any]) -> list[Any]:
    """The shape that a Reshape asks for; 0 stands for the extent that there was."""
    wanted: list[Any] = op.attribute("shape") or op.known(1, "shape").tolist()
    if op.attribute("allowzero", 0):
        return wanted
    return [
        whole[i] if _is(n, 0) and i < len(whole) else n for i, n in enumerate(wanted)
    ]


def _is(extent: Any, number: int) -> bool:
    return extent is not ROWS and extent == number


def filled(wanted: Sequence[Any], size: int) -> Shape:
    """A shape with the one extent worked out that is -1."""
    if any(n is ROWS for n in wanted) or list(wanted).count(-1) > 1:
        raise NotCoveredError(f"shape {list(wanted)}")
    known = math.prod(int(n) for n in wanted if n != -1)
    if -1 in wanted and (known == 0 or size % known):
        raise NotCoveredError(f"{size} elements to {list(wanted)}")
    shape = tuple(size // known if n == -1 else int(n) for n in wanted)
    if math.prod(shape) != size or min(shape, default=1) < 1:
        raise NotCoveredError(f"{size} elements to {list(wanted)}")
    return shape


def flatten(op: Op) -> Held:
    x = op.held()
    rank = len(x.shape) + op.reader.lead
    axis = op.attribute("axis", 1)
    axis = axis % rank if axis < 0 else axis
    if op.reader.lead:
        if axis == 1:
            return in_shape(x, (math.prod(x.shape),))
        raise NotCoveredError("it works across the rows")
    return in_shape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def squeeze(op: Op) -> Held:
    x = op.held()
    gone = squeezed(op, x)
    if any(x.shape[axis] != 1 for axis in gone):
        raise NotCoveredError(f"axes {op.constant(1, 'axes')} of {x.shape}")
    return in_shape(x, tuple(n for i, n in enumerate(x.shape) if i not in gone))


def squeezed(op: Op, x: Held) -> set[int]:
    """The axes that a Squeeze takes away."""
    axes = op.constant(1, "axes")
    if axes is None:
        return {i for i, n in enumerate(x.shape) if n == 1}
    return set(op.axes(axes, len(x.shape)))


def unsqueeze(op: Op) -> Held:
    x = op.held()
    axes: list[int] = op.constant(1, "axes") or []
    rank = len(x.shape) + len(axes)
    new = set(op.axes(axes, rank))
    left = iter(x.shape)
    return in_shape(x, tuple(1 if i in new else next(left) for i in range(rank)))


def expand(op: Op) -> Held:
    """The number of rows is left as it is."""
    wanted = op.known(1, "shape").tolist()
    lead = op.reader.lead
    given = op.value(0)
    if isinstance(given, Known):
        array = op.reader.of_sample(given, len(wanted) - lead)
        x = op.reader.stored(Known(array, given.learned), op.name)
    else:
        x = given
    if lead and len(wanted) > len(x.shape):
        own = wanted[0] is ROWS or wanted[0] == 1
        known = isinstance(given, Known)
        if not own or (len(wanted) > len(x.shape) + 1 and not known):
            raise NotCoveredError("it works across the rows")
        wanted = wanted[1:]
    try:
        shape = np.broadcast_shapes(x.shape, tuple(int(n) for n in wanted))
    except (ValueError, TypeError):
        raise NotCoveredError(f"{x.shape} to {wanted}") from None
    bounded(shape)
    return _repeated(x, shape)


def _repeated(x: Held, shape: Shape) -> Held:
    if x.shape == shape:
        return x
    x = in_order(x)
    return plain(put(Broadcast(shape or (1,)), x), shape)


def tile(op: Op) -> Held:
    x = op.held()
    repeats = op.known(1, "repeats").tolist()
    if op.reader.lead:
        if repeats[0] != 1:
            raise NotCoveredError("it works across the rows")
        repeats = repeats[1:]
    bounded([n * r for n, r in zip(x.shape, repeats, strict=True)])
    for axis, count in enumerate(repeats):
        x = taken(x, axis, list(range(x.shape[axis])) * int(count))
    return x


# -- parts -----------------------------------------------------------------------------


def cut(op: Op) -> Held:
    """The operator Slice."""
    x = op.held()
    rank = len(x.shape)
    starts, ends = op.constant(1, "starts"), op.constant(2, "ends")
    axes = op.constant(3, "axes") or list(range(len(starts)))
    steps = (
        op.known(4, "steps").tolist() if op.given(4) is not None else [1] * len(starts)
    )
    for axis, begin, end, step in zip(axes, starts, ends, steps, strict=True):
        whole = rank + op.reader.lead
        if op.reader.lead and axis % whole == op.rows:
            if (begin, step) == (0, 1) and end >= 2**31 - 1:
                continue
            raise NotCoveredError("it works across the rows")
        x = part(x, op.axis(axis, rank), begin, end, step)
    return x


def part(x: Held, axis: int, begin: int, end: int, step: int) -> Held:
    """Some elements of one of ONNX's axes, as Python slices."""
    if x.order is not None:
        x = in_order(x)
    indices = range(x.shape[axis])[slice(begin, end, step)]
    if len(indices) == 0:
        raise NotCoveredError(f"an empty slice of {x.shape}")
    if len(indices) == x.shape[axis] and step == 1:
        return x
    if indices.step < 0:
        return taken(x, axis, list(indices))
    place = x.axes.index(axis) + 1
    layer = Slice(indices[0], indices[-1] + 1, place, indices.step)
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    return Held(put(layer, x), shape, x.axes)


def split(op: Op) -> tuple[Value, ...]:
    x = op.held()
    axis = op.axis(op.attribute("axis", 0), len(x.shape))
    count, extent = len(op.node.output), x.shape[axis]
    sizes = op.constant(1, "split")
    if not sizes:
        size = -(-extent // int(op.attribute("num_outputs", count)))
        sizes = [min(size, extent - i * size) for i in range(count)]
    if sum(sizes) != extent or min(sizes) < 1:
        raise NotCoveredError(f"parts {sizes} of {extent}")
    begins = np.cumsum([0, *sizes]).tolist()
    return tuple(part(x, axis, begin, end, 1) for begin, end in pairwise(begins))


def concatenate(op: Op) -> Held:
    values = [op.value(i) for i in range(len(op.inputs))]
    held = [x if isinstance(x, Held) else _of_rows(op, x) for x in values]
    rank = len(held[0].shape)
    axis = op.axis(op.attribute("axis", 1), rank)
    if any(len(x.shape) != rank for x in held):
        raise NotCoveredError("values of other numbers of axes")
    shape = list(held[0].shape)
    shape[axis] = sum(x.shape[axis] for x in held)
    if rank == 1 and any(x.order is not None for x in held):
        return _features(held, tuple(shape))
    axes = next((x.axes for x in held if not x.plain), held[0].axes)
    alike = [turned(x, axes) for x in held]
    if len(alike) == 1:
        return alike[0]
    place = axes.index(axis) + 1
    return Held(put(Concatenate(place), *alike), tuple(shape), axes)


def _of_rows(op: Op, known: Known) -> Held:
    """A constant beside values that have rows: it must not have any itself."""
    array = known.array
    if op.reader.lead:
        if not array.ndim or array.shape[0] != 1:
            raise NotCoveredError(f"a constant of shape {array.shape} meets the rows")
        array = array[0]
    return op.reader.stored(Known(array, known.learned), op.name)


def _features(held: Sequence[Held], shape: Shape) -> Held:
    order = joined((x.shape[0], x.order) for x in held)
    return Held(put(Concatenate(), *held), shape, (0,), order)


def gather(op: Op) -> Held:
    x, indices = op.value(0), op.value(1)
    axis = op.attribute("axis", 0)
    if isinstance(x, Known) and isinstance(indices, Held):
        return _looked_up(op, x, indices, axis)
    if isinstance(indices, Held) or isinstance(x, Known):
        raise NotCoveredError("indices that are no constant")
    rank = len(x.shape)
    place, array = op.axis(axis, rank), indices.array.astype(np.int64)
    extent = x.shape[place]
    if array.size == 0 or array.min() < -extent or array.max() >= extent:
        raise NotCoveredError(f"indices outside of {extent}")
    found = taken(x, place, (array.reshape(-1) % extent).tolist())
    shape = (*x.shape[:place], *array.shape, *x.shape[place + 1 :])
    return in_shape(found, shape)


def _looked_up(op: Op, table: Known, codes: Held, axis: int) -> Held:
    """Rows of a table by codes in the data: an embedding."""
    if table.array.ndim != 2 or axis % 2 != 0:
        raise NotCoveredError(f"a table of shape {table.array.shape} by axis {axis}")
    codes = in_order(op.reader.codes.get(op.node.input[1], codes))
    categories, width = table.array.shape
    layer = Embedding(categories, width)
    name = op.weight_name(0)
    symbol = op.reader.weighted(layer, {"weight": table.array}, name, codes)
    lies = codes.shape or (1,)
    found = plain(symbol, (*lies, width))
    return in_shape(found, (*codes.shape, width))


def triangle(op: Op) -> Held:
    """Trilu: what is above or below a diagonal, times 1 or 0."""
    x = op.held()
    if len(x.shape) < 2:
        raise NotCoveredError("it works across the rows")
    k = int(op.number(1, "k", 0.0) or 0)
    ones = np.ones(x.shape[-2:], np.float32)
    mask = np.triu(ones, k) if op.attribute("upper", 1) else np.tril(ones, k)
    both = op.reader.alike([x, Known(mask)], op.name)
    return like(both[0], put(Multiply(), *both))


# -- padding ---------------------------------------------------------------------------


def pad(op: Op) -> Held:
    """Zeros by a frame; another constant is taken off before and put back behind;
    pixels of the map itself are taken from it."""
    x = op.held()
    sides = _sides(op, x)
    bounded([n + b + a for n, (b, a) in zip(x.shape, sides, strict=True)])
    mode = op.attribute("mode", "constant")
    for axis, (before, after) in enumerate(sides):
        x = part(x, axis, max(0, -before), x.shape[axis] - max(0, -after), 1)
    sides = [(max(0, b), max(0, a)) for b, a in sides]
    if not any(map(any, sides)):
        return x
    if mode != "constant":
        for axis, (before, after) in enumerate(sides):
            if before or after:
                x = taken(x, axis, _reflected(x.shape[axis], before, after, mode))
        return x
    value = op.number(2, "value", 0.0) or 0.0
    if not math.isfinite(value):
        raise NotCoveredError(f"padding with {value}")
    return shifted(_framed(op, shifted(x, value, 1.0), sides), -value, 1.0)


def _sides(op: Op, x: Held) -> list[tuple[int, int]]:
    rank = len(x.shape)
    given = op.constant(1, "pads")
    if op.given(3) is not None:
        axes = list(op.axes(op.known(3, "axes").reshape(-1).tolist(), rank))
        half = len(axes)
        found = dict(
            zip(axes, zip(given[:half], given[half:], strict=True), strict=True)
        )
        return [found.get(axis, (0, 0)) for axis in range(rank)]
    half = rank + op.reader.lead
    pairs = list(zip(given[:half], given[half:], strict=True))
    if op.reader.lead and pairs[0] != (0, 0):
        raise NotCoveredError("it works across the rows")
    return pairs[op.reader.lead :]


def _reflected(extent: int, before: int, after: int, mode: str) -> list[int]:
    ways = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    if mode not in ways or (mode == "reflect" and extent == 1):
        raise NotCoveredError(f"mode {mode}")
    return np.pad(np.arange(extent), (before, after), mode=ways[mode]).tolist()  # pyright: ignore


def _framed(op: Op, x: Held, sides: Sequence[tuple[int, int]]) -> Held:
    """Maps whose channels have no padding are framed; else one axis after another."""
    rank = len(x.shape)
    if op.reader.lead and 2 <= rank <= 4 and sides[0] == (0, 0):
        x = channels_last(x)
        layer = (ZeroPadding1D, ZeroPadding2D, ZeroPadding3D)[rank - 2](
            tuple(sides[1:])
        )
        *extents, channels = layer.output_shape(x.lies)
        return map_like(put(layer, x), extents, channels)
    x = in_order(x)
    for axis, side in enumerate(sides):
        if not any(side):
            continue
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        laid = in_shape(x, (outer, x.shape[axis], inner))
        layer = ZeroPadding2D(((0, 0), side))
        shape = (*x.shape[:axis], x.shape[axis] + sum(side), *x.shape[axis + 1 :])
        framed = plain(put(layer, laid), (outer, shape[axis], inner))
        x = in_shape(framed, shape)
    return x


# -- space and depth -------------------------------------------------------------------


def depth_to_space(op: Op) -> Held:
    x = in_order(op.held())
    if not op.reader.lead or len(x.shape) != 3:
        raise NotCoveredError(f"samples of shape {x.shape}")
    c, h, w = x.shape
    b = int(op.attribute("blocksize"))
    depth_first = op.attribute("mode", "DCR") == "DCR"
    shape = (b, b, c // b**2, h, w) if depth_first else (c // b**2, b, b, h, w)
    axes = (2, 3, 0, 4, 1) if depth_first else (0, 3, 1, 4, 2)
    parted = transposed(in_shape(x, shape), axes)
    return in_shape(in_order(parted), (c // b**2, h * b, w * b))


def space_to_depth(op: Op) -> Held:
    x = in_order(op.held())
    if not op.reader.lead or len(x.shape) != 3:
        raise NotCoveredError(f"samples of shape {x.shape}")
    c, h, w = x.shape
    b = int(op.attribute("blocksize"))
    depth_first = op.attribute("mode", "DCR") == "DCR"
    parted = in_shape(x, (c, h // b, b, w // b, b))
    axes = (2, 4, 0, 1, 3) if depth_first else (0, 2, 4, 1, 3)
    return in_shape(in_order(transposed(parted, axes)), (c * b**2, h // b, w // b))
