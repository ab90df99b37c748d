# SPDX-License-Identifier: BSD-3-Clause
"""Convolution: published and hand-computed values, other implementations, errors.

The contract of every layer is in test_layer_contract.py; here are the shapes that take
other ways through the engine: boxes, slices of channels, lines across images.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data
from nervure.layers import INFERENCE, Conv1D, Conv2D, Conv3D, LayerError


def run(layer: Any, x: Any, weight: Any, bias: Any = None) -> np.ndarray:
    """The layer in the engine, on given weights."""
    x = np.asarray(x, float)
    net = nv.Network([nv.Input(x.shape[1:]), layer], dtype="float64")
    net.parameters[f"{layer.kind}.weight"] = weight
    if bias is not None:
        net.parameters[f"{layer.kind}.bias"] = bias
    return net.forward(x)


# -- values ----------------------------------------------------------------------------


def test_the_example_of_the_book() -> None:
    """Goodfellow et al. (2016), figure 9.1, with numbers for its letters."""
    image = np.arange(1.0, 13).reshape(1, 3, 4, 1)  # a .. l
    kernel = np.array([[2.0, 3.0], [5.0, 7.0]]).reshape(2, 2, 1, 1)  # w x y z
    expected = [
        [1 * 2 + 2 * 3 + 5 * 5 + 6 * 7, 92, 109],
        [143, 160, 9 * 0 + 7 * 2 + 8 * 3 + 11 * 5 + 12 * 7],
    ]
    found = run(Conv2D(1, 2, bias=False), image, kernel)
    np.testing.assert_array_equal(found[0, :, :, 0], expected)


def test_same_padding_puts_the_odd_zero_after() -> None:
    found = run(
        Conv1D(1, 2, padding="same"), [[[1.0], [2], [3]]], [[[1.0]], [[10]]], [5]
    )
    np.testing.assert_array_equal(found[0, :, 0], [26, 37, 8])


def test_causal_places_see_nothing_later() -> None:
    layer = Conv1D(1, 2, padding="causal", dilation=2, bias=False)
    found = run(layer, [[[1.0], [2], [3], [4]]], [[[10.0]], [[1]]])
    np.testing.assert_array_equal(found[0, :, 0], [1, 2, 13, 24])


def test_groups_see_their_own_channels() -> None:
    found = run(Conv2D(2, 1, groups=2, bias=False), [[[[3.0, 5]]]], [[[[10, 100]]]])
    np.testing.assert_array_equal(found.ravel(), [30, 500])


@pytest.mark.parametrize(
    ("layer", "shape", "parameters", "flops"),
    [
        (Conv2D(4, 4, stride=2, padding="same"), (32, 32, 1), 68, 16 * 16 * (128 + 4)),
        (Conv2D(6, 5), (32, 32, 1), 156, 28 * 28 * (300 + 6)),  # C1 of LeNet-5
        (Conv2D(120, 5), (5, 5, 16), 48_120, 96_000 + 120),  # C5 of LeNet-5
        (Conv2D(8, 3, groups=8), (5, 5, 8), 80, 9 * (144 + 8)),
        (Conv3D(2, 3, bias=False), (3, 3, 3, 4), 216, 432),
    ],
)
def test_parameters_and_flops_are_the_published_ones(
    layer: Any, shape: Any, parameters: int, flops: int
) -> None:
    found = sum(np.prod(p.shape) for p in layer.parameters(shape))
    assert (found, layer.flops(shape)) == (parameters, flops)


# -- other ways through the engine -----------------------------------------------------

WAYS = [
    pytest.param(Conv2D(70, 3, padding="same"), (2, 3, 64), 40, id="across, slices"),
    pytest.param(Conv2D(24, 3, padding=1, stride=2), (9, 9, 130), 3, id="slices"),
    pytest.param(Conv2D(3, 3, padding="same"), (70, 90, 8), 2, id="blocks"),
    pytest.param(Conv2D(40, 3, padding="same"), (6, 6, 600), 2, id="many weights"),
    pytest.param(Conv2D(5, 1), (3, 9, 1100), 2, id="more channels than a panel"),
    pytest.param(Conv2D(4, 3, groups=2, padding=1), (9, 40, 32), 7, id="groups"),
    pytest.param(Conv2D(2, 3, padding=3), (2, 9, 3), 5, id="windows in the margin"),
    pytest.param(Conv1D(33, 9, padding="causal"), (3000, 5), 2, id="long"),
    pytest.param(Conv1D(2, 2, dilation=700, padding=1), (1600, 100), 2, id="wide box"),
    pytest.param(Conv2D(2, 260, padding=1), (259, 259, 3), 2, id="box too large"),
    pytest.param(Conv3D(6, 3, padding="same", stride=2), (7, 8, 9, 20), 3, id="volume"),
]


@pytest.mark.parametrize(("layer", "shape", "rows"), WAYS)
def test_the_engine_computes_the_formula(layer: Any, shape: Any, rows: int) -> None:
    """Forward, and both gradients as adjoints: <c, conv(x; w)> is linear in x and w."""
    net = nv.Network([nv.Input(shape), nv.Activation("linear"), layer], dtype="float64")
    rng = np.random.default_rng(0)
    weight = f"{layer.kind}.weight"
    net.parameters[f"{layer.kind}.bias"] = rng.normal(size=layer.filters)
    x = rng.normal(size=(rows, *shape))
    own = {k.split(".")[1]: v.copy() for k, v in net.parameters.items()}
    expected = layer.formula(np, own, x, info=INFERENCE)
    np.testing.assert_allclose(net.forward(x), expected, rtol=1e-9, atol=1e-9)

    c = rng.normal(size=expected.shape)
    targets = c.reshape(rows, -1)
    t = net.trace(
        x, targets, loss=lambda output, target: ((target * output).sum(), target)
    )
    dx, dw = t["activation"].delta, t[layer.kind].gradient["weight"]
    db = t[layer.kind].gradient["bias"]
    np.testing.assert_allclose(db, c.sum(axis=tuple(range(c.ndim - 1))), rtol=1e-9)
    v, u = rng.normal(size=x.shape), rng.normal(size=net.parameters[weight].shape)
    still = {**own, "bias": np.zeros_like(own["bias"])}
    along_x = (c * layer.formula(np, still, v, info=INFERENCE)).sum()
    moved = {**still, "weight": u}
    along_w = (c * layer.formula(np, moved, x, info=INFERENCE)).sum()
    np.testing.assert_allclose((dx.reshape(v.shape) * v).sum(), along_x, rtol=1e-9)
    np.testing.assert_allclose((dw * u).sum(), along_w, rtol=1e-9)


@pytest.mark.parametrize(
    ("stride", "dilation", "groups", "padding"),
    [(1, 1, 1, 0), (2, 1, 1, 1), (3, 2, 2, 2), (1, 3, 4, (2, 1)), (2, 1, 1, (0, 1))],
)
def test_torch_agrees(stride: int, dilation: int, groups: int, padding: Any) -> None:
    torch = pytest.importorskip("torch")
    layer = Conv2D(8, (3, 2), stride, dilation, groups, padding)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 11, 9, 4))
    w = rng.normal(size=(3, 2, 4 // groups, 8))
    b = rng.normal(size=8)
    found = run(layer, x, w, b)
    expected = torch.nn.functional.conv2d(
        torch.tensor(x).permute(0, 3, 1, 2),
        torch.tensor(w).permute(3, 2, 0, 1),
        torch.tensor(b),
        stride,
        padding,
        dilation,
        groups,
    )
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1).numpy(), rtol=1e-10)


def test_smaller_batches_fit_the_plan_of_larger_ones() -> None:
    net = nv.Network([nv.Input((2, 2, 64)), Conv2D(70, 3, padding=1)], seed=1)
    x = np.random.default_rng(0).normal(size=(70, 2, 2, 64)).astype(np.float32)
    whole = net.executor().outputs(Data((x,)), batch_size=70)[0]
    for size in (1, 3, 64, 69):  # 70 rows leave a smaller batch at the end
        found = net.executor().outputs(Data((x,)), batch_size=size)[0]
        np.testing.assert_array_equal(found, whole)


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Conv2D(4, 5, name="stem").output_shape((3, 3, 1)),
            "[conv2d 'stem'] window (5, 5) exceeds input (3, 3); "
            'use padding="same", a smaller window or a larger input',
        ),
        (
            lambda: Conv2D(4, 3, dilation=3, padding=1).output_shape((3, 9, 1)),
            "[conv2d] window (3, 3) spanning (7, 7) exceeds input (3, 9) padded to "
            '(5, 11); use padding="same", a smaller window or a larger input',
        ),
        (
            lambda: Conv2D(4, 3, groups=2).output_shape((9, 9, 3)),
            "[conv2d] 2 groups do not divide 3 channels; use a number of groups that "
            "divides the channels",
        ),
        (
            lambda: Conv2D(3, 3, groups=2),
            "[conv2d] 2 groups do not divide 3 filters; use a number of filters that "
            "the groups divide",
        ),
        (
            lambda: Conv2D(4, 3).output_shape((28, 28)),
            "[conv2d] input of shape (28, 28), expected (height, width, channels); "
            "add the channel axis, as nv.Reshape does",
        ),
        (
            lambda: Conv1D(4, 3).output_shape((28, 28, 1)),
            "[conv1d] input of shape (28, 28, 1), expected (width, channels); "
            "give samples with 1 spatial axes",
        ),
        (
            lambda: Conv2D(4, (3, 3, 3)),
            "[conv2d] kernel = (3, 3, 3) for 2 spatial axes; give one number, or 2",
        ),
        (lambda: Conv2D(4, 0), "[conv2d] kernel = 0; use at least 1"),
        (lambda: Conv2D(4, 3, stride=0), "[conv2d] stride = 0; use at least 1"),
        (lambda: Conv2D(0, 3), "[conv2d] filters = 0; use at least 1 as filters"),
        (
            lambda: Conv2D(4, 3, padding="causal"),
            "[conv2d] padding = 'causal'; use 'valid', 'same', a number or pairs",
        ),
        (
            lambda: Conv2D(4, 3, padding=((1, 1), 2)),
            "[conv2d] padding = ((1, 1), 2) for 2 spatial axes; give 2 pairs "
            "(before, after)",
        ),
        (lambda: Conv2D(4, 3, padding=-1), "[conv2d] padding = -1; use at least 0"),
    ],
)
def test_errors_name_place_fact_and_remedy(make: Any, text: str) -> None:
    with pytest.raises(LayerError, match=f"^{re.escape(text)}$"):
        make()


def test_exact_sums_do_not_know_what_they_never_see() -> None:
    """Winograd's filtering spreads the rounding of one huge pixel over its tiles."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 24, 24, 16)).astype(np.float32)
    x[0, 12, 12, 3] = 1e6
    weight = rng.standard_normal((3, 3, 16, 16)).astype(np.float32)
    found = {}
    for exact in (False, True):
        layer = nv.Conv2D(16, 3, padding="same", bias=False, exact=exact, name="c")
        net = nv.Network([nv.Input((24, 24, 16)), layer])
        net.parameters["c.weight"] = weight
        found[exact] = net.predict(x)
        again = net.exact(not exact).predict(x)
        found.setdefault(not exact, again)
        assert (found[not exact] == again).all()
    sides = ((0, 0), (1, 1), (1, 1), (0, 0))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x.astype(np.float64), sides), (3, 3), axis=(1, 2)
    )
    expected = np.einsum("nhwcij,ijco->nhwo", windows, weight)
    far = np.ones((24, 24), bool)
    far[11:14, 11:14] = False
    np.testing.assert_allclose(found[True][0][far], expected[0][far], atol=2e-4)
    assert np.abs(found[False][0][far] - expected[0][far]).max() > 2e-3


def test_exact_sums_in_specs_ensembles_and_files(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(
        '[data]\nsource = "digits"\n[[layer]]\ntype = "input"\nshape = [8, 8, 1]\n'
        '[[layer]]\ntype = "conv2d"\nfilters = 2\nkernel = 3\n[[layer]]\n'
        'type = "flatten"\n[[layer]]\ntype = "dense"\nunits = 10\nactivation = '
        '"softmax"\n[training]\nepochs = 1\nmax_steps = 1\nexact = true\n'
    )
    net = nv.fit_spec(nv.load_spec(spec), progress=False).network
    assert net.graph.entries[1].layer.exact
    pair = nv.Ensemble.of(net, 2)
    assert not any(one.graph.entries[1].layer.exact for one in pair.exact(False))
    net.save(tmp_path / "net.safetensors")
    assert nv.load(tmp_path / "net.safetensors").graph.entries[1].layer.exact
