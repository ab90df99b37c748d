# SPDX-License-Identifier: BSD-3-Clause
"""The zoo: published numbers of parameters, shapes, forms for small images."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.layers import BatchNorm, Conv2D, LayerError
from nervure.zoo import ARCHITECTURES

# Torchvision's documentation ("num_params" of the weights) unless something else stands
# beside; running statistics are not counted.
PARAMETERS = {
    "lenet1": 2_578,  # LeCun et al. 1989: "2578 independent parameters"
    "lenet4": 16_698,  # LeCun et al. 1995: "about 17,000"; see the class
    "lenet5": 60_000 + 850,  # LeCun et al. 1998: 60,000, and the output layer
    "alexnet_2012": 60_965_224,  # "60 million"; BVLC's AlexNet for Caffe
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "googlenet": 6_624_904,
    "inception_v1": 6_998_552,  # BVLC's GoogLeNet for Caffe
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}
MILLIONS = {  # He et al. 2016 (CVPR), table 6; (ECCV), table 4
    "resnet20": 0.27,
    "resnet32": 0.46,
    "resnet44": 0.66,
    "resnet56": 0.85,
    "resnet110": 1.7,
    "preact_resnet164": 1.7,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_numbers_of_parameters(name: str) -> None:
    assert ARCHITECTURES[name].graph().trainable == PARAMETERS[name]


@pytest.mark.parametrize("name", MILLIONS)
def test_published_millions_of_parameters(name: str) -> None:
    digits = 2 if MILLIONS[name] < 1 else 1
    found = ARCHITECTURES[name].graph().trainable / 1e6
    assert round(found, digits) == MILLIONS[name]


def test_parameters_with_auxiliary_classifiers() -> None:
    assert nv.zoo.googlenet.graph(aux=True).trainable == 13_004_888
    assert nv.zoo.inception_v1.graph(aux=True).trainable == 13_378_280


def filters(graph: nv.Graph) -> int:
    layers = [node.layer for node in graph.nodes]
    return sum(layer.filters for layer in layers if isinstance(layer, Conv2D))


def test_inception_bn_has_the_published_number_but_for_biases() -> None:
    """The published Caffe and PyTorch models have biases before BatchNorm: 11,295,240."""
    graph = nv.zoo.inception_bn.graph()
    assert graph.trainable + filters(graph) == 11_295_240


def test_preact_resnet50_has_keras_s_number_but_for_biases() -> None:
    """Keras' ResNet50V2 trains 25,568,360; with biases of some convolutions."""
    last = 3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048
    shortcuts = 256 + 512 + 1024 + 2048
    without = 25_568_360 - (64 + last + shortcuts)
    assert nv.zoo.preact_resnet50.graph().trainable == without


def test_every_architecture_has_a_published_number() -> None:
    others = {"inception_bn", *(n for n in ARCHITECTURES if n.startswith("preact"))}
    assert set(PARAMETERS) | set(MILLIONS) | others == set(ARCHITECTURES)


def test_lenet5_s_layers_have_the_numbers_of_the_paper() -> None:
    """LeCun et al. 1998, section II.B: 156, 12, 1,516, 32, 48,120 and 10,164."""
    graph = nv.zoo.lenet5.graph(input_shape=(32, 32, 1))
    counts: dict[str, int] = {}
    for node in graph.nodes:
        layer = node.group.split(".")[0]
        own = sum(math.prod(p.shape) for p in node.parameters)
        counts[layer] = counts.get(layer, 0) + own
    wanted = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}
    assert {k: v for k, v in counts.items() if v} == {**wanted, "head": 850}
    assert graph.nodes[graph.index["c3.joined"]].shape == (10, 10, 16)


def test_lenet5_s_table_of_connections() -> None:
    """Table I, column by column: which of the first maps each of the 16 sees."""
    table = ["012", "123", "234", "345", "045", "015"]
    table += ["0123", "1234", "2345", "0345", "0145", "0125"]
    table += ["0134", "1245", "0235", "012345"]
    net = nv.zoo.lenet5(input_shape=(32, 32, 1))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 32, 32, 1))
    before = net.trace(x)["c3.joined"].a
    for map_ in range(6):
        net.parameters["s2.weight"][..., map_] += 1
        changed = (net.trace(x)["c3.joined"].a != before).any(axis=(0, 1, 2))
        net.parameters["s2.weight"][..., map_] -= 1
        seen = [i for i, column in enumerate(table) if str(map_) in column]
        assert np.flatnonzero(changed).tolist() == seen


SMALL = [name for name in ARCHITECTURES if not name.startswith("alexnet")]


@pytest.mark.parametrize("name", SMALL)
def test_every_architecture_takes_small_images(name: str) -> None:
    graph = ARCHITECTURES[name].graph(classes=3, input_shape=(33, 32, 3))
    assert graph.output_shapes == ((3,),)
    first = next(n.layer for n in graph.nodes if isinstance(n.layer, Conv2D))
    assert first.stride == 1


def test_small_images_with_published_layers() -> None:
    graph = nv.zoo.resnet18.graph(input_shape=(32, 32, 3), published=True)
    assert graph.trainable == 11_689_512
    assert nv.zoo.vgg16.graph(input_shape=(32, 32, 3), published=True).trainable == (
        138_357_544
    )
    # For CIFAR the first convolution has 3x3: published with 10 classes as 11,173,962.
    assert nv.zoo.resnet18.graph(10, (32, 32, 3)).trainable == 11_173_962


def thin(name: str) -> Any:
    """An architecture that computes little."""
    found = ARCHITECTURES[name]
    less = {"hidden": 8, "width": 4, "depths": None}
    fields = {f.name for f in dataclasses.fields(found)}
    depths = getattr(found, "depths", ())
    less["depths"] = (1,) * len(depths)
    given = {key: value for key, value in less.items() if key in fields}
    return dataclasses.replace(found, **given)


TRAINED = [
    "alexnet_2012",
    "lenet1",
    "lenet4",
    "lenet5",
    "alexnet",
    "vgg11",
    "vgg11_bn",
    "resnet18",
]
TRAINED += ["resnet50", "resnet20", "preact_resnet18", "preact_resnet50"]
TRAINED += ["preact_resnet164"]


@pytest.mark.parametrize("name", TRAINED)
def test_loss_falls_on_one_batch(name: str) -> None:
    extent = {"alexnet": 63, "alexnet_2012": 63, "vgg11": 32, "vgg11_bn": 32}.get(
        name, 16
    )
    net = thin(name)(classes=2, input_shape=(extent, extent, 1), seed=3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, extent, extent, 1)).astype(np.float32)
    y = np.arange(8) % 2
    x[y == 1] += 0.5
    before = net.evaluate(x, y)["loss"]
    nv.fit(net, x, y, optimizer="adam", epochs=30, progress=False)
    assert net.evaluate(x, y)["loss"] < 0.95 * before


def test_the_auxiliary_classifiers_help_to_train() -> None:
    net = nv.zoo.googlenet(2, (32, 32, 1), aux=True, seed=1)
    x = np.random.default_rng(0).normal(size=(4, 32, 32, 1)).astype(np.float32)
    y = np.array([0, 1, 0, 1])
    weights = [1, 0.3, 0.3]
    run = nv.fit(net, x, [y, y, y], loss_weights=weights, epochs=1, progress=False)
    assert np.isfinite(run.history["loss"][0])
    alone = nv.zoo.without_auxiliary(net)
    assert alone.predict_classes(x).shape == (4,)
    np.testing.assert_array_equal(alone.forward(x), net.forward(x)[0])


def test_what_is_frozen_stays_so_without_auxiliary_classifiers() -> None:
    net = nv.zoo.googlenet(2, (32, 32, 1), aux=True, seed=1)
    net.freeze("stem.conv1")
    assert nv.zoo.without_auxiliary(net).frozen == net.frozen != frozenset()


def test_identity_shortcuts_of_cifar_s_resnet() -> None:
    """With blocks that give zeros, the network passes every second pixel on."""
    net = dataclasses.replace(nv.zoo.resnet20, depths=(1, 1), width=2)(2, (4, 4, 1))
    for node in net.graph.nodes:
        last = node.name.endswith("norm2")
        if isinstance(node.layer, BatchNorm) and last:
            net.parameters[f"{node.name}.gamma"] = np.zeros(node.shape[-1])
    t = net.trace(np.random.default_rng(0).normal(size=(1, 4, 4, 1)))
    stem, end = t["stem.relu"].a, t["block2.0.relu"].a
    np.testing.assert_array_equal(end[..., :2], stem[:, ::2, ::2])
    np.testing.assert_array_equal(end[..., 2:], 0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: nv.zoo.alexnet.graph(input_shape=(32, 32, 3)),
            "[alexnet] images of shape (32, 32, 3) are too small: [max_pool2d 'pool5'] "
            "window (3, 3) exceeds input (1, 1); use larger images",
        ),
        (
            lambda: nv.zoo.resnet18.graph(input_shape=(32, 32)),
            "[resnet18] input_shape (32, 32); expected (height, width, channels); give "
            "e.g. (32, 32, 3)",
        ),
        (
            lambda: nv.zoo.resnet18(aux=True),
            "[resnet18] has no auxiliary classifiers; expected aux only where the paper "
            "has them, as in googlenet; leave it out",
        ),
    ],
)
def test_errors_name_the_architecture(call: Any, text: str) -> None:
    with pytest.raises(LayerError) as caught:
        call()
    assert str(caught.value).startswith(text)


def test_classes_are_counted() -> None:
    with pytest.raises(
        ValueError, match=r"^\[resnet18\] classes = 0; expected a whole"
    ):
        nv.zoo.resnet18(classes=0)


def test_unknown_names_list_the_candidates() -> None:
    with pytest.raises(
        ValueError, match="unknown architecture 'resnet19'; did you mean"
    ):
        nv.zoo.architecture("resnet19")
    assert nv.zoo.names()[0] == "lenet1"
