# SPDX-License-Identifier: BSD-3-Clause
"""Windows, strides and groups that do not fit what comes in: said by the layer, with
its name, in one, two and three dimensions, when the network is built."""

from __future__ import annotations

import re
from typing import Any

import pytest

import nervure as nv
from nervure.layers import LayerError

AXES = {1: "width", 2: "height, width", 3: "depth, height, width"}


def of_rank(name: str, rank: int) -> Any:
    return getattr(nv, f"{name}{rank}D" if "Conv" not in name else conv(name, rank))


def conv(name: str, rank: int) -> str:
    before, after = name.split("Conv")
    return f"{before}Conv{rank}D{after}"


def kind(name: str, rank: int) -> str:
    return of_rank(name, rank).kind


def build(layer: Any, rank: int, extent: int = 3, channels: int = 2) -> nv.Network:
    return nv.Network([nv.Input((*(extent,) * rank, channels)), layer])


def check(text: str, call: Any) -> None:
    with pytest.raises(LayerError, match=f"^{re.escape(text)}$"):
        call()


def several(number: int, rank: int) -> str:
    return str((number,) * rank)


# -- windows larger than what they slide over ------------------------------------------

SMALLER = 'use padding="same", a smaller window or a larger input'
CONVOLUTIONS = [("Conv", 1), ("Conv", 2), ("Conv", 3)]
CONVOLUTIONS += [(n, r) for n in ("DepthwiseConv", "SeparableConv") for r in (1, 2)]


@pytest.mark.parametrize(("name", "rank"), CONVOLUTIONS)
def test_a_kernel_larger_than_the_input(name: str, rank: int) -> None:
    filters = () if name.startswith("Depthwise") else (4,)
    layer = of_rank(name, rank)(*filters, 5, name="stem")
    text = f"window {several(5, rank)} exceeds input {several(3, rank)}"
    check(f"[{layer.kind} 'stem'] {text}; {SMALLER}", lambda: build(layer, rank))
    build(of_rank(name, rank)(*filters, 5, padding="same"), rank)  # the remedy
    build(layer, rank, extent=5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_dilated_kernel_that_spans_more_than_the_padded_input(rank: int) -> None:
    layer = of_rank("Conv", rank)(4, 3, dilation=3, padding=1)
    text = (
        f"window {several(3, rank)} spanning {several(7, rank)} exceeds input "
        f"{several(3, rank)} padded to {several(5, rank)}"
    )
    where = f"[{layer.kind} '{layer.kind}']"
    check(f"{where} {text}; {SMALLER}", lambda: build(layer, rank))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["MaxPool", "AveragePool", "L2Pool"])
def test_a_pool_larger_than_the_input(name: str, rank: int) -> None:
    layer = of_rank(name, rank)(4, name="p")
    text = f"window {several(4, rank)} exceeds input {several(3, rank)}"
    check(f"[{layer.kind} 'p'] {text}; {SMALLER}", lambda: build(layer, rank))
    build(of_rank(name, rank)(4, padding="same"), rank)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_poolings_that_leave_nothing_for_the_next(rank: int) -> None:
    """Strides shrink 8 to 4, 2, 1; the fourth is named, with what has reached it."""
    pool = of_rank("MaxPool", rank)
    layers = [nv.Input((*(8,) * rank, 1)), *(pool(2) for _ in range(4))]
    text = f"window {several(2, rank)} exceeds input {several(1, rank)}"
    where = f"[{pool.kind} '{pool.kind}_3']"
    check(f"{where} {text}; {SMALLER}", lambda: nv.Network(layers))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["MaxPool", "AveragePool", "L2Pool"])
def test_padding_that_leaves_windows_empty(name: str, rank: int) -> None:
    layer = of_rank(name, rank)(2, padding=2, name="p")
    text = f"padding = 2 leaves windows {several(2, rank)} with nothing inside"
    remedy = "use less padding than the size of a window"
    check(f"[{layer.kind} 'p'] {text}; {remedy}", lambda: build(layer, rank))


# -- strides, sizes and padding that are none ------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("field", ["kernel", "stride", "dilation"])
def test_no_extent_of_a_convolution_is_0(name: str, rank: int, field: str) -> None:
    fields = {"filters": 4, "kernel": 3, field: 0}
    text = f"[{kind(name, rank)}] {field} = 0; use at least 1"
    check(text, lambda: of_rank(name, rank)(**fields))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["MaxPool", "AveragePool", "L2Pool"])
@pytest.mark.parametrize("field", ["size", "stride"])
def test_no_extent_of_a_pool_is_0(name: str, rank: int, field: str) -> None:
    text = f"[{kind(name, rank)}] {field} = 0; use at least 1"
    check(text, lambda: of_rank(name, rank)(**{"size": 2, field: 0}))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["Conv", "ConvTranspose", "MaxPool", "UpSampling"])
def test_as_many_numbers_as_axes(name: str, rank: int) -> None:
    field = "kernel" if "Conv" in name else "size"
    fields: dict[str, Any] = {"filters": 4} if "Conv" in name else {}
    given = (2,) * (rank + 1)
    text = f"{field} = {given} for {rank} spatial axes; give one number, or {rank}"
    check(
        f"[{kind(name, rank)}] {text}",
        lambda: of_rank(name, rank)(**fields, **{field: given}),
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_transposed_convolution_whose_padding_leaves_nothing(rank: int) -> None:
    layer = of_rank("ConvTranspose", rank)(4, 2, padding=2, name="up")
    text = f"padding = 2 leaves nothing of input {several(3, rank)}"
    remedy = "use less padding or a larger kernel"
    check(f"[{layer.kind} 'up'] {text}; {remedy}", lambda: build(layer, rank))


# -- groups and axes -------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
def test_groups_divide_channels_and_filters(name: str, rank: int) -> None:
    layer = of_rank(name, rank)(4, 2, groups=2, name="g")
    text = "2 groups do not divide 3 channels"
    remedy = "use a number of groups that divides the channels"
    check(
        f"[{layer.kind} 'g'] {text}; {remedy}", lambda: build(layer, rank, channels=3)
    )
    text = "2 groups do not divide 3 filters"
    remedy = "use a number of filters that the groups divide"
    make = of_rank(name, rank)
    check(f"[{layer.kind}] {text}; {remedy}", lambda: make(3, 2, groups=2))
    text = "groups = 0; use at least 1 as groups"
    check(f"[{layer.kind}] {text}", lambda: make(4, 2, groups=0))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "name",
    ["Conv", "ConvTranspose", "MaxPool", "GlobalL2Pool", "AdaptiveMaxPool",
     "ZeroPadding", "Cropping", "UpSampling"],
)  # fmt: skip
def test_a_missing_channel_axis(name: str, rank: int) -> None:
    needs = {"Conv": (4, 2), "ConvTranspose": (4, 2), "MaxPool": (2,)}
    needs["AdaptiveMaxPool"] = (2,)
    layer = of_rank(name, rank)(*needs.get(name, ()), name="l")
    shape = (9,) * rank
    text = f"input of shape {shape}, expected ({AXES[rank]}, channels)"
    remedy = "add the channel axis, as nv.Reshape does"
    check(
        f"[{layer.kind} 'l'] {text}; {remedy}",
        lambda: nv.Network([nv.Input(shape), layer]),
    )


@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
def test_unknown_activations_are_said_when_the_layer_is_made(name: str) -> None:
    with pytest.raises(LayerError, match=r"^\[activation\] unknown activation 'rellu'"):
        of_rank(name, 2)(4, 3, activation="rellu")
