# SPDX-License-Identifier: BSD-3-Clause
"""Weights of PyTorch's modules in our layers: by name, by shape, by a mapping."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import nervure as nv

RNG = np.random.default_rng(6)


def theirs(torch: Any) -> Any:
    nn = torch.nn
    torch.manual_seed(5)
    parts = {
        "stem": nn.Conv2d(3, 6, 3, padding=1, bias=False),
        "norm": nn.BatchNorm2d(6),
        "relu": nn.ReLU(),
        "deep": nn.Conv2d(6, 6, 3, padding=1, groups=6),
        "pool": nn.MaxPool2d(2),
        "flat": nn.Flatten(),
        "fc": nn.Linear(6 * 9, 7),
        "act": nn.Tanh(),
        "head": nn.Linear(7, 4),
    }
    module = nn.Sequential()
    for name, part in parts.items():
        module.add_module(name, part)
    module.norm.running_mean.normal_()
    module.norm.running_var.uniform_(0.5, 2)
    return module.eval()


def ours(prefix: str = "", classes: int = 4) -> nv.Network:
    def named(name: str) -> str:
        return prefix + name

    layers = [
        nv.Input((6, 6, 3)),
        nv.Conv2D(6, 3, padding="same", bias=False, name=named("stem")),
        nv.BatchNorm(name=named("norm")),
        nv.Activation("relu"),
        nv.DepthwiseConv2D(3, padding="same", name=named("deep")),
        nv.MaxPool2D(2),
        nv.Flatten(),
        nv.Dense(7, name=named("fc")),
        nv.Activation("tanh"),
        nv.Dense(classes, name=named("head")),
    ]
    return nv.Network(layers, seed=1)


def saved(module: Any, path: Path) -> Path:
    torch = pytest.importorskip("torch")
    state = module.state_dict()
    if path.suffix == ".safetensors":
        save_file({k: v.numpy() for k, v in state.items()}, path)
    else:
        torch.save(state, path)
    return path


X = RNG.normal(size=(5, 6, 6, 3)).astype(np.float32)


def agree(net: nv.Network, module: Any) -> None:
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        wanted = module(torch.from_numpy(X.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(net.forward(X), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_by_name(name: str, tmp_path: Path) -> None:
    module, net = theirs(pytest.importorskip("torch")), ours()
    report = nv.load_weights(net, saved(module, tmp_path / name))
    assert report.missing == report.unused == report.misfits == ()
    assert report.taken["norm.running_variance"] == "norm.running_var"
    agree(net, module)


def test_by_shape_in_the_order_of_the_file(tmp_path: Path) -> None:
    module, net = theirs(pytest.importorskip("torch")), ours("other_")
    path = saved(module, tmp_path / "net.pth")
    report = nv.load_weights(net, path, match="shapes")
    assert report.missing == report.unused == ()
    agree(net, module)


def test_by_a_mapping(tmp_path: Path) -> None:
    module, net = theirs(pytest.importorskip("torch")), ours("my_")
    path = saved(module, tmp_path / "net.pth")
    names = {f"my_{n}": n for n in ("stem", "norm", "deep", "fc", "head")}
    assert nv.load_weights(net, path, match=names).missing == ()
    agree(net, module)
    with pytest.raises(ValueError, match="unknown layer 'my_hed'; did you mean 'my_he"):
        nv.load_weights(net, path, match={"my_hed": "head"})
    with pytest.raises(ValueError, match=r"match = 'size'; expected \"names\""):
        nv.load_weights(net, path, match="size")  # pyright: ignore


def test_what_does_not_fit_is_told_and_left(tmp_path: Path) -> None:
    module, net = theirs(pytest.importorskip("torch")), ours(classes=9)
    before = net.parameters["head.weight"].copy()
    path = saved(module, tmp_path / "net.pth")
    report = nv.load_weights(net, path)
    assert report.missing == ("head.weight", "head.bias")
    assert str(report) == (
        "9 of 11 taken\n"
        "missing: head.weight, head.bias\n"
        "misfits: head.weight of shape (4, 7) for (9, 7), head.bias of shape (4,) for "
        "(9,)"
    )
    np.testing.assert_array_equal(net.parameters["head.weight"], before)
    by_shape = nv.load_weights(net, path, match="shapes")
    assert by_shape.unused == ("head.weight", "head.bias")


def test_nothing_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a.weight": np.zeros((2, 2), np.float32)}, path)
    with pytest.raises(nv.CheckpointError) as error:
        nv.load_weights(ours(), path)
    assert str(error.value) == (
        f"[{path}] none of its 1 tensors fits the network (such as 'a.weight' for "
        "'stem.weight'); expected weights of its layers; use match=\"shapes\", or a "
        "mapping of names"
    )


def test_tables_of_embeddings_lie_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    table = RNG.normal(size=(5, 3)).astype(np.float32)
    save_file({"words.weight": table, "count.weight": np.arange(3)}, path)
    layers = [nv.Input(2), nv.Embedding(5, 3, name="words")]
    net = nv.Network(layers, seed=1)
    report = nv.load_weights(net, path)
    np.testing.assert_array_equal(net.parameters["words.weight"], table)
    assert report.unused == ("count.weight",)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    whole = {"fc.weight": np.ones((2, 3), np.int64), "fc.bias": np.ones(2, np.float16)}
    save_file(whole, path)
    net = nv.Network([nv.Input(3), nv.Dense(2, name="fc")], seed=1)
    report = nv.load_weights(net, path)
    assert report.misfits == ("fc.weight of type int64",)
    assert net.parameters["fc.bias"].tolist() == [1, 1]


# -- names of others -------------------------------------------------------------------

DEPTHS = (1, 2, 1, 1)


def residual(bottleneck: bool, classes: int = 5) -> tuple[Any, nv.Network]:
    """A ResNet as torch has it, and ours, which begins otherwise."""
    torch_like = importlib.util.spec_from_file_location(
        "torchvision_like", Path(__file__).parents[1] / "torchvision_like.py"
    )
    pytest.importorskip("torch")
    assert torch_like is not None
    assert torch_like.loader is not None
    tv = importlib.util.module_from_spec(torch_like)
    torch_like.loader.exec_module(tv)
    module = tv.randomize(tv.ResNet(DEPTHS, bottleneck, classes, 8))
    kind = nv.zoo.ARCHITECTURES["resnet50" if bottleneck else "resnet18"]
    own = dataclasses.replace(kind, depths=DEPTHS, width=8)
    return module, own(classes, (64, 64, 3), seed=2)


def hugging_face(name: str) -> str:
    """Torchvision's name as transformers has it, written down once more."""
    name = re.sub(
        r"layer(\d)\.(\d+)\.",
        lambda m: f"resnet.encoder.stages.{int(m[1]) - 1}.layers.{m[2]}.",
        name,
    )
    for theirs, long in (("conv", "convolution"), ("bn", "normalization")):
        name = re.sub(
            rf"(layers\.\d+)\.{theirs}(\d)\.",
            lambda m, long=long: f"{m[1]}.layer.{int(m[2]) - 1}.{long}.",
            name,
        )
        name = re.sub(rf"^{theirs}1\.", f"resnet.embedder.embedder.{long}.", name)
    name = name.replace("downsample.0", "shortcut.convolution")
    name = name.replace("downsample.1", "shortcut.normalization")
    return re.sub(r"^fc\.", "classifier.1.", name)


def agrees(net: nv.Network, module: Any) -> None:
    torch = pytest.importorskip("torch")
    x = RNG.normal(size=(2, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = module.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    softmax = torch.softmax(wanted, 1).numpy()
    np.testing.assert_allclose(net.forward(x), softmax, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("theirs", ["torchvision", "transformers", "trunk"])
def test_residual_networks_find_the_names_of_others(
    theirs: str, bottleneck: bool, tmp_path: Path
) -> None:
    module, net = residual(bottleneck)
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    if theirs != "torchvision":
        state = {hugging_face(name): array for name, array in state.items()}
    if theirs == "trunk":  # a model without its classifier has no name around it
        state = {
            name.removeprefix("resnet."): array
            for name, array in state.items()
            if not name.startswith("classifier")
        }
    save_file(state, tmp_path / "theirs.safetensors")
    report = nv.load_weights(net, tmp_path / "theirs.safetensors")
    assert report.unused == report.misfits == ()
    if theirs == "trunk":
        assert report.missing == ("head.weight", "head.bias")
    else:
        assert report.missing == ()
        agrees(net, module)


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("theirs", ["torchvision", "transformers"])
@pytest.mark.parametrize("end", ["pth", "safetensors"])
def test_shapes_fit_in_whatever_order_a_file_is(
    end: str, theirs: str, bottleneck: bool, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    module, net = residual(bottleneck)
    path = tmp_path / f"theirs.{end}"
    state = module.state_dict()
    if theirs == "transformers":
        state = {hugging_face(name): tensor for name, tensor in state.items()}
    if end == "pth":
        torch.save(dict(state), path)
    else:
        save_file({name: tensor.numpy() for name, tensor in state.items()}, path)
    report = nv.load_weights(net, path, match="shapes")
    assert report.missing == report.unused == ()
    agrees(net, module)


def test_numbers_in_names_are_numbers(tmp_path: Path) -> None:
    """The tenth layer comes behind the second, though its name sorts before."""
    weights = {f"layers.{i}.weight": np.full((3, 3), i, np.float32) for i in range(12)}
    save_file(weights, tmp_path / "net.safetensors")
    layers = [nv.Dense(3, bias=False, name=f"dense{i}") for i in range(12)]
    net = nv.Network([nv.Input(3), *layers])
    nv.load_weights(net, tmp_path / "net.safetensors", match="shapes")
    found = [net.parameters[f"dense{i}.weight"][0, 0] for i in range(12)]
    assert found == list(range(12))
