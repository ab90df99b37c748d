# SPDX-License-Identifier: BSD-3-Clause
"""Filters, feature maps, saliency and occlusion: against formulas and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure import sight
from nervure.cli.app import run as cli

RNG = np.random.default_rng(3)
X = RNG.normal(size=(20, 8, 8, 2))


def convnet(dtype: str = "float64", *, last: str | None = "softmax") -> nv.Network:
    layers = [
        nv.Input((8, 8, 2)),
        nv.Conv2D(3, 3, activation="tanh"),
        nv.AveragePool2D(2),
        nv.Dropout(0.2),
        nv.Flatten(),
        nv.Dense(4, activation=last),
    ]
    return nv.Network(layers, seed=2, dtype=dtype)


# -- filters and maps ------------------------------------------------------------------


def test_filters_of_a_convolution() -> None:
    net = convnet()
    found = sight.filters(net)
    assert found.shape == (3, 3, 3, 2)
    np.testing.assert_array_equal(found[1], net.parameters["conv2d.weight"][..., 1])


def test_filters_of_a_dense_layer_are_images() -> None:
    net = nv.Network([nv.Input((4, 5)), nv.Flatten(), nv.Dense(3)])
    found = sight.filters(net)
    assert found.shape == (3, 4, 5, 1)
    weight = net.parameters["dense.weight"]
    np.testing.assert_array_equal(found[2, 1, 3], weight[[8], 2])


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ([nv.Input(3), nv.Dense(2)], "'dense' comes first, on inputs of shape (3,)"),
        ([nv.Input((3, 3)), nv.Flatten()], "no layer has weights, on inputs"),
        ([nv.Input((9, 2)), nv.Conv1D(2, 3)], "'conv1d' comes first"),
    ],
)
def test_networks_without_filters(layers: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"^\[filters\]") as error:
        sight.filters(nv.Network(layers))
    assert text in str(error.value)


def test_feature_maps_are_those_of_a_trace() -> None:
    net = convnet()
    maps = sight.feature_maps(net, X)
    assert list(maps) == ["conv2d", "average_pool2d"]  # dropout shows nothing new
    t = net.trace(X)
    for name, found in maps.items():
        np.testing.assert_allclose(found, t[name].a, rtol=1e-12)
    assert maps["conv2d"].shape == (20, 6, 6, 3)
    with pytest.raises(ValueError, match="no layer gives maps"):
        sight.feature_maps(nv.Network([nv.Input(3), nv.Dense(2)]), np.ones((1, 3)))


# -- gradients -------------------------------------------------------------------------


@pytest.mark.parametrize("last", ["softmax", "log_softmax", None])
def test_gradients_of_scores_by_finite_differences(last: str | None) -> None:
    net, scores = convnet(last=last), convnet(last=None)
    classes = RNG.integers(0, 4, len(X))
    found = sight.input_gradients(net, X, classes)
    for row, i, j, c in [(0, 1, 2, 0), (7, 4, 4, 1), (19, 7, 7, 0)]:
        both = []
        for h in (1e-5, -1e-5):
            moved = X[row : row + 1].copy()
            moved[0, i, j, c] += h
            both.append(scores.forward(moved)[0, classes[row]])
        numeric = (both[0] - both[1]) / 2e-5
        assert found[row, i, j, c] == pytest.approx(numeric, rel=1e-6, abs=1e-10)


def test_the_predicted_class_is_the_default() -> None:
    net = convnet()
    predicted = net.predict_classes(X)
    default = sight.input_gradients(net, X)
    np.testing.assert_array_equal(default, sight.input_gradients(net, X, predicted))
    alone = sight.input_gradients(net, X[5:6])
    np.testing.assert_allclose(default[5:6], alone, rtol=1e-12)


def test_saliency_is_the_largest_of_the_channels() -> None:
    net = convnet()
    gradients = sight.input_gradients(net, X, 1)
    found = sight.saliency(net, X, 1)
    np.testing.assert_array_equal(found, np.abs(gradients).max(axis=-1))
    assert sight.saliency(net, X[:1], 1).shape == (1, 8, 8)


def test_one_logistic_output() -> None:
    net = nv.Network([nv.Input(2), nv.Dense(1, activation="logistic")])
    net.parameters["dense.weight"] = [[3.0], [-2.0]]
    assert sight.input_gradients(net, [[50.0, 1.0]]).tolist() == [[3.0, -2.0]]


# -- occlusion -------------------------------------------------------------------------


def test_occlusion_of_a_sum_worked_out_by_hand() -> None:
    """The output is the sum of all pixels: hidden ones are missing from it."""
    net = nv.Network([nv.Input((4, 4)), nv.Flatten(), nv.Dense(1)], dtype="float64")
    net.parameters["dense.weight"][:] = 1
    image = np.zeros((1, 4, 4))
    image[0, 0, 0] = 8.0
    found = sight.occlusion(net, image, size=2, stride=2, fill=0.0)[0]
    wanted = np.zeros((4, 4))
    wanted[:2, :2] = 8.0
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    # Squares at every second pixel, ends included; each hides 9 pixels under 0.5.
    found = sight.occlusion(net, image, size=3, stride=2)[0]
    corner, other = 8 - 9 * 0.5, -9 * 0.5
    assert found[0, 0] == pytest.approx(corner)
    assert found[3, 3] == pytest.approx(other)
    assert found[0, 1] == pytest.approx((corner + other) / 2)


def test_occlusion_in_batches_and_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    net = convnet()
    whole = sight.occlusion(net, X[:3], [0, 1, 2])
    monkeypatch.setattr(sight, "BATCH", 5)
    np.testing.assert_allclose(
        sight.occlusion(net, X[:3], [0, 1, 2]), whole, atol=1e-12
    )
    alone = sight.occlusion(net, X[1:2], 1)[0]
    np.testing.assert_allclose(alone, whole[1], atol=1e-12)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"size": 9},
            "[occlusion] size = 9; expected a whole number (>= 1) and (<= 8)",
        ),
        ({"size": 2, "stride": 3}, "[occlusion] stride = 3; expected a whole number"),
        ({"fill": "grey"}, "[occlusion] fill = 'grey'; expected a finite number"),
        ({"target": 4}, "[sight] target = 4; expected a whole number from 0 to 3"),
        ({"target": [0, 1]}, "one for all or one for each of 20 rows"),
        ({"target": 0.5}, "[sight] target = 0.5; expected a whole number"),
    ],
)
def test_arguments_that_do_not_fit(given: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"^\[(occlusion|sight)\]") as error:
        sight.occlusion(convnet(), X, **given)
    assert text in str(error.value)


def test_networks_that_see_no_images() -> None:
    table = nv.Network([nv.Input(3), nv.Dense(2)])
    for function in (sight.saliency, sight.occlusion):
        with pytest.raises(
            ValueError, match=r"inputs of shape \(3,\); expected images"
        ):
            function(table, np.ones((1, 3)))
    x = nv.Input(2)
    two = nv.Network(inputs=x, outputs=[nv.Dense(1, name="a")(x), nv.Dense(1)(x)])
    with pytest.raises(ValueError, match="a network of 2 outputs; expected one"):
        sight.input_gradients(two, np.ones((1, 2)))


# -- sheets ----------------------------------------------------------------------------

CONV = """
[[layer]]
type = "conv2d"
filters = 4
kernel = 3
activation = "relu"
[[layer]]
type = "flatten"
[[layer]]
type = "dense"
units = 10
activation = "softmax"
[training]
epochs = 1
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sight")
    (folder / "net.toml").write_text(CONV)
    words = ["train", "digits", "--spec", folder / "net.toml", "--out", folder / "run"]
    assert cli([*map(str, words), "-q"]) == 0
    return folder / "run"


@pytest.mark.parametrize(
    ("words", "text", "height"),
    [
        (["--filters"], "4 of 4 first filters, 3 x 3 pixels", 100),
        (["--features", "digits"], "1 of 1 layers, up to 8 maps of each", 60),
        (["--saliency", "digits", "--row", "3"], "saliency of ", 192),
        (["--occlusion", "digits"], "occlusion of ", 192),
    ],
)
def test_sheets(
    model: Path,
    words: list[str],
    text: str,
    height: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    assert cli(["inspect", str(model), *words]) == 0
    told = capsys.readouterr().out
    file = f"run-{words[0].lstrip('-')}.png"
    assert told.startswith(f"{file}: ")
    assert text in told
    with Image.open(file) as image:
        assert image.height >= height
        assert np.asarray(image).std() > 10
    assert cli(["inspect", str(model), *words, "--out", "other.png"]) == 0
    assert (tmp_path / "other.png").read_bytes() == (tmp_path / file).read_bytes()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["--filters", "--saliency", "digits"],
            "[--saliency] beside --filters; expected",
        ),
        (
            ["--saliency", "digits", "--row", "5000"],
            "which has 1,797 rows; expected a num",
        ),
        (["--saliency", "digits", "--row", "-1"], "[--row] -1 of digits, which has"),
        (["--saliency", "iris"], "error: [iris]"),
        (["--filters", "--out", "a.jpg"], "[a.jpg] ends in '.jpg'; expected .png"),
        (["--out", "a.png"], "[--out] without a sheet to write; expected --augment"),
    ],
)
def test_wishes_that_cannot_be_met(
    model: Path,
    words: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli(["inspect", str(model), *words]) == 2
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_model_without_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convnet("float32").save(tmp_path / "m.safetensors")
    words = ["inspect", str(tmp_path / "m.safetensors")]
    assert cli([*words, "--features", "digits"]) == 2
    assert "no record of its data's preprocessing" in capsys.readouterr().err
    assert cli([*words, "--filters", "--out", str(tmp_path / "f.png")]) == 0
    assert "mean of 2 channels" in capsys.readouterr().out
