# SPDX-License-Identifier: BSD-3-Clause
"""Depthwise and separable convolution: published and computed values, errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.layers import LayerError


def test_one_channel_at_a_time_by_hand() -> None:
    """Channel 0 once and ten times, channel 1 a hundred and a thousand times."""
    layers = [nv.Input((1, 2)), nv.DepthwiseConv1D(1, depth_multiplier=2, bias=False)]
    net = nv.Network(layers, dtype="float64")
    net.parameters["depthwise_conv1d.weight"] = [[[1.0, 10, 100, 1000]]]
    assert net.forward([[[3.0, 5.0]]]).ravel().tolist() == [3, 30, 500, 5000]


def test_depthwise_is_a_convolution_with_a_group_for_each_channel() -> None:
    depthwise = nv.DepthwiseConv2D(3, 2, 1, 2, "same", "relu", name="c")
    grouped = nv.Conv2D(8, 3, 2, 1, 4, "same", "relu", name="c")
    nets = [nv.Network([nv.Input((6, 5, 4)), c], seed=2) for c in (depthwise, grouped)]
    x = np.random.default_rng(0).normal(size=(3, 6, 5, 4)).astype(np.float32)
    assert nets[0].values.tobytes() == nets[1].values.tobytes()
    np.testing.assert_allclose(nets[0].forward(x), nets[1].forward(x), atol=1e-6)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "dilation", "padding"),
    [
        ((9, 40, 70), 3, 1, 1, "same"),
        ((30, 11, 5), (5, 2), (2, 3), 1, ((3, 0), (1, 4))),
        ((9, 9, 16), 3, 2, 3, 2),
        ((2, 3, 130), 3, 1, 1, 1),
        ((200, 7), 4, 2, 5, "causal"),
    ],
)
def test_gradients_are_those_of_the_grouped_convolution(
    shape: Any, kernel: Any, stride: Any, dilation: int, padding: Any, multiplier: int
) -> None:
    channels, rank = shape[-1], len(shape) - 1
    one = (nv.DepthwiseConv1D, nv.DepthwiseConv2D)[rank - 1]
    two = (nv.Conv1D, nv.Conv2D)[rank - 1]
    same = {"name": "c", "padding": padding, "initializer": "he_normal"}
    layers = (
        one(kernel, stride, dilation, multiplier, **same),
        two(channels * multiplier, kernel, stride, dilation, channels, **same),
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(13, *shape))
    found = []
    for layer in layers:
        inputs = [nv.Input(shape), nv.Activation("linear")]
        net = nv.Network([*inputs, layer], seed=3, dtype="float64")
        size = np.prod(net.graph.output_shapes[0])
        c = np.random.default_rng(1).normal(size=(13, size))
        t = net.trace(
            x, c, loss=lambda output, target: ((target * output).sum(), target)
        )
        found.append([t["c"].z, t["activation"].delta, *t["c"].gradient.values()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_weights_begin_by_what_a_map_sees() -> None:
    """LeCun: variance 1 / 9 for 3 x 3 pixels of one channel, however many there are."""
    net = nv.Network([nv.Input((3, 3, 4000)), nv.DepthwiseConv2D(3)])
    weight = net.parameters["depthwise_conv2d.weight"]
    assert weight.std() == pytest.approx(1 / 3, rel=0.02)


@pytest.mark.parametrize(
    ("filters", "channels", "count"),
    [(728, 728, 536_536), (128, 64, 8_768), (2048, 1536, 3_159_552)],
)
def test_parameters_are_those_of_xception(
    filters: int, channels: int, count: int
) -> None:
    """Chollet (2017), figure 5, as counted by Keras' published model."""
    x = nv.Input((3, 3, channels))
    layer = nv.SeparableConv2D(filters, 3, padding="same", bias=False)
    assert nv.Network([x, layer]).layout.count == count


def test_its_nodes_and_parameters_have_names() -> None:
    layer = nv.SeparableConv1D(6, 3, depth_multiplier=2, activation="relu", name="s")
    net = nv.Network([nv.Input((9, 4)), layer])
    names = [node.name for node in net.graph.nodes]
    assert names == ["input", "s.depthwise", "s.pointwise", "s.activation"]
    assert {k: v.shape for k, v in net.parameters.items()} == {
        "s.depthwise.weight": (3, 1, 8),
        "s.pointwise.weight": (1, 8, 6),
        "s.pointwise.bias": (6,),
    }


@pytest.mark.parametrize("multiplier", [1, 3])
def test_torch_agrees(multiplier: int) -> None:
    torch = pytest.importorskip("torch")
    layer = nv.SeparableConv2D(5, (3, 2), 2, 1, multiplier, 1, name="s")
    net = nv.Network([nv.Input((7, 6, 4)), layer], seed=1, dtype="float64")
    net.parameters["s.pointwise.bias"] = np.arange(5.0)
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 4))
    weights = {
        name: torch.tensor(net.parameters[f"s.{name}.weight"]).permute(3, 2, 0, 1)
        for name in ("depthwise", "pointwise")
    }
    conv = torch.nn.functional.conv2d
    t = torch.tensor(x).permute(0, 3, 1, 2)
    h = conv(t, weights["depthwise"], stride=2, padding=1, groups=4)
    y = conv(h, weights["pointwise"], torch.arange(5.0, dtype=torch.float64))
    found = net.forward(x)
    np.testing.assert_allclose(found, y.permute(0, 2, 3, 1).numpy(), rtol=1e-10)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: nv.SeparableConv2D(0, 3, name="s"),
            "[separable_conv2d 's'] filters = 0; use at least 1 as filters",
        ),
        (
            lambda: nv.SeparableConv2D(4, 0),
            "[separable_conv2d] kernel = 0; use at least 1",
        ),
        (
            lambda: nv.DepthwiseConv2D(3, depth_multiplier=0),
            "[depthwise_conv2d] depth_multiplier = 0; use at least 1 as "
            "depth_multiplier",
        ),
        (
            lambda: nv.SeparableConv2D(4, 3, padding="causal"),
            "[separable_conv2d] padding = 'causal'; use 'valid', 'same', a number or "
            "pairs",
        ),
        (
            lambda: nv.Network([nv.Input((3, 3, 2)), nv.SeparableConv2D(4, 5)]),
            "[separable_conv2d 'separable_conv2d'] window (5, 5) exceeds "
            'input (3, 3); use padding="same", a smaller window or a larger input',
        ),
        (
            lambda: nv.DepthwiseConv1D(3).output_shape((3,)),
            "[depthwise_conv1d] input of shape (3,), expected (width, channels); add "
            "the channel axis, as nv.Reshape does",
        ),
    ],
)
def test_errors_name_place_fact_and_remedy(make: Any, text: str) -> None:
    with pytest.raises(LayerError, match=f"^{re.escape(text)}$"):
        make()
