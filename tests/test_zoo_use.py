# SPDX-License-Identifier: BSD-3-Clause
"""The zoo by name: in specs, from the command line, in estimators."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.cli.app import run
from nervure.graph.written import graph_of
from nervure.runs.building import network_of
from nervure.runs.training import fit_spec
from nervure.sklearn import NeuralNetClassifier, NeuralNetRegressor
from nervure.spec.reading import load_spec, parse_spec
from nervure.spec.tables import SpecError
from nervure.spec.written import described, described_graph, write_spec
from nervure.zoo import ARCHITECTURES, ZooNetwork, image_shape

# -- specs -----------------------------------------------------------------------------


def test_a_spec_names_a_network_of_the_zoo() -> None:
    text = '[network]\nzoo = "resnet20"\nclasses = 4\ninput_shape = [9, 8, 1]\n'
    spec = parse_spec(text)
    assert spec.network == ZooNetwork("resnet20", 4, (9, 8, 1))
    assert parse_spec(write_spec(spec)) == spec
    net = network_of(spec)
    assert net.graph.input_shapes == ((9, 8, 1),)
    assert net.graph.output_shapes == ((4,),)


def test_images_and_classes_are_those_of_the_data() -> None:
    spec = parse_spec(
        '[data]\nsource = "digits"\n[network]\nzoo = "lenet1"\n'
        "[training]\nmax_steps = 2\n"
    )
    net = fit_spec(spec, progress=False).network
    assert net.graph.input_shapes == ((8, 8, 1),)
    assert net.graph.output_shapes == ((10,),)


def test_a_regression_has_linear_outputs() -> None:
    images = np.random.default_rng(0).normal(size=(6, 784))
    table = {f"x{i}": column for i, column in enumerate(images.T)}
    dataset = nv.data.load({**table, "y": np.linspace(0, 1, 6)}, target="y")
    spec = parse_spec('[network]\nzoo = "lenet1"\n[training]\nmax_steps = 1\n')
    net = fit_spec(spec, dataset, progress=False).network
    assert net.graph.output_shapes == ((1,),)
    assert net.graph.nodes[-1].layer.kind == "dense"


def test_auxiliary_losses_weigh_a_third(tmp_path: Path) -> None:
    spec = parse_spec(
        '[data]\nsource = "digits"\n[network]\nzoo = "googlenet"\naux = true\n'
        "[training]\nmax_steps = 1\n"
    )
    fit_spec(spec, directory=tmp_path / "run", progress=False)
    kept = load_spec(tmp_path / "run" / "spec.toml")
    assert kept.training is not None
    assert kept.training.loss_weights == (1.0, 0.3, 0.3)
    assert kept.network is None  # its layers are written out


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[network]\nzoo = "resnet19"\n', "unknown architecture 'resnet19'; did you"),
        ("[network]\nclasses = 3\n", "zoo: missing"),
        ('[network]\nzoo = "lenet5"\nclasses = 0\n', "classes = 0; expected a whole"),
        ('[network]\nzoo = "lenet5"\naux = true\n', "has no auxiliary classifiers"),
        (
            '[network]\nzoo = "lenet5"\ninput_shape = [3]\n',
            "input_shape (3,); expected (height, width, channels)",
        ),
        (
            '[network]\nzoo = "lenet5"\n[[layer]]\ntype = "flatten"\n',
            "layer: found beside [network]; expected one of the two",
        ),
    ],
)
def test_faults_of_the_table(text: str, fault: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert fault in str(caught.value)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_a_spec_one_can_read_and_change(name: str) -> None:
    graph = ARCHITECTURES[name].graph(classes=3, aux=name == "googlenet")
    text = write_spec(described_graph(graph))
    spec = parse_spec(text)
    again = graph_of(spec.layers, spec.outputs)
    assert [(n.name, n.inputs, n.shape) for n in again.nodes] == [
        (n.name, n.inputs, n.shape) for n in graph.nodes
    ]
    assert again.output_names == graph.output_names
    assert again.trainable == graph.trainable


def test_save_spec(tmp_path: Path) -> None:
    net = nv.zoo.lenet5()
    net.save_spec(tmp_path / "lenet5.toml")
    assert load_spec(tmp_path / "lenet5.toml") == described(net)


def test_a_layer_with_dots_in_its_name_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    nv.zoo.resnet20(input_shape=(8, 8, 1)).save_spec(path)
    spec = load_spec(path, ["layer.block1.0.conv1.kernel=1"])
    layers = {entry.name: entry.layer for entry in spec.layers}
    assert layers["block1.0.conv1"].kernel == 1
    assert layers["block1.0.conv2"].kernel == 3


# -- the command line ------------------------------------------------------------------


def command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = run(words)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_zoo_lists_all(capsys: Any) -> None:
    code, text = command(capsys, "zoo")
    lines = text.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[1:]] == list(ARCHITECTURES)
    wanted = ["resnet18", "224x224x3", "He", "et", "al.", "2016,", "CVPR", "11,689,512"]
    assert wanted in [line.split() for line in lines]


def test_zoo_writes_a_spec(capsys: Any, tmp_path: Path) -> None:
    out = tmp_path / "lenet1.toml"
    asked = ("zoo", "lenet1", "--classes", "3", "--image", "16x16x1")
    code, text = command(capsys, *asked, "--out", str(out))
    assert (code, text) == (
        0,
        f"written to {out}; train with: nervure train SOURCE --spec {out}\n",
    )
    assert command(capsys, *asked)[1] == out.read_text()
    net = network_of(load_spec(out))
    assert net.graph.output_shapes == ((3,),)


def test_zoo_writes_the_weights_of_auxiliary_losses(capsys: Any) -> None:
    _, text = command(capsys, "zoo", "googlenet", "--aux", "--image", "64x64x3")
    spec = parse_spec(text)
    assert spec.training is not None
    assert spec.training.loss_weights == (1.0, 0.3, 0.3)


def test_zoo_names_what_is_wrong(capsys: Any) -> None:
    code, text = command(capsys, "zoo", "lenet6")
    assert code == 2
    assert text.startswith("error: [network] unknown architecture 'lenet6'; did you")
    code, text = command(capsys, "zoo", "lenet5", "--image", "32")
    assert text == (
        "error: [--image] found '32'; expected height x width x channels; write e.g. "
        "--image 32x32x3\n"
    )


def test_inspect_shows_the_layers_of_an_architecture(capsys: Any) -> None:
    code, text = command(capsys, "inspect", "vgg16")  # without memory for its weights
    assert code == 0
    assert text.splitlines()[-1].startswith("138,357,544 parameters (553.4 MB), ")
    _, text = command(capsys, "inspect", "resnet18")
    last = "11,689,512 parameters and 9,600 stored statistics (46.8 MB), "
    assert text.splitlines()[-1].startswith(last)


def test_train_takes_a_name_as_spec(capsys: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", "digits", "--spec", "lenet1", "--out", str(out), "--quiet"]
    code, text = command(capsys, *words, "--set", "training.max_steps=1")
    assert code == 0, text
    assert nv.load(out / "model.safetensors").graph.trainable == 2_578


# -- estimators ------------------------------------------------------------------------


def test_a_classifier_by_name() -> None:
    rng = np.random.default_rng(0)
    y = np.array(["cat", "dog", "owl"])[np.arange(30) % 3]
    X = rng.normal(size=(30, 64)) + (np.arange(30) % 3)[:, None]
    model = NeuralNetClassifier("lenet1", epochs=3, random_state=0).fit(X, y)
    assert model.network_.graph.input_shapes == ((8, 8, 1),)
    assert model.network_.graph.trainable == 2_578 - 7 * 193
    assert model.predict_proba(X).shape == (30, 3)
    two = NeuralNetClassifier("lenet1", epochs=1, random_state=0).fit(X, y == "cat")
    assert two.network_.graph.output_shapes == ((1,),)


def test_a_regressor_by_name() -> None:
    X = np.random.default_rng(0).normal(size=(12, 3 * 64))
    model = NeuralNetRegressor("lenet5", epochs=1, random_state=0).fit(X, X[:, 0])
    assert model.network_.graph.input_shapes == ((8, 8, 3),)
    assert model.predict(X).shape == (12,)


def test_an_estimator_with_a_spec_that_names_a_network(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text('[network]\nzoo = "lenet1"\n')
    X = np.random.default_rng(0).normal(size=(12, 64))
    model = NeuralNetClassifier(str(path), epochs=1).fit(X, np.arange(12) % 4)
    assert model.network_.graph.output_shapes == ((4,),)


@pytest.mark.parametrize(
    ("layers", "columns", "text"),
    [
        ("lenet6", 64, "[layers] unknown architecture 'lenet6'; did you mean 'lenet5'"),
        (
            "lenet5",
            65,
            "[lenet5] rows of shape (65,); expected images; reshape them to (height, "
            "width, channels), or say which input_shape",
        ),
    ],
)
def test_estimators_name_what_is_wrong(layers: str, columns: int, text: str) -> None:
    X = np.zeros((4, columns))
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        NeuralNetClassifier(layers).fit(X, [0, 1, 0, 1])


def test_images_of_one_row() -> None:
    assert image_shape((784,), "x") == (28, 28, 1)
    assert image_shape((28, 28), "x") == (28, 28, 1)
    assert image_shape((32, 30, 3), "x") == (32, 30, 3)
