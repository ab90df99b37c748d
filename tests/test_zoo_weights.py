# SPDX-License-Identifier: BSD-3-Clause
"""Torchvision's checkpoints in the zoo: the same logits, and what does not fit."""

from __future__ import annotations

import collections
import dataclasses
import importlib.util
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.runs.building import network_of
from nervure.spec.reading import parse_spec
from nervure.zoo import CheckpointError
from nervure.zoo._checkpoint import match

torch = pytest.importorskip("torch", reason="builds the checkpoints")

CLASSES, HIDDEN, SHORT = 7, 24, (1, 1, 1, 1)


def _load(name: str) -> Any:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tv = _load("torchvision_like")


def short(name: str, **changes: Any) -> Any:
    """An architecture with fewer layers or nodes, so that the test is quick."""
    return dataclasses.replace(nv.zoo.ARCHITECTURES[name], **changes)


Case = tuple[Any, Callable[[], Any], tuple[int, int]]

CASES: dict[str, Case] = {
    "resnet18": (
        nv.zoo.resnet18,
        lambda: tv.ResNet((2, 2, 2, 2), False, CLASSES),
        (64, 72),
    ),
    "resnet50": (
        short("resnet50", depths=SHORT, width=16),
        lambda: tv.ResNet(SHORT, True, CLASSES, 16),
        (32, 32),
    ),
    "vgg11": (
        short("vgg11", hidden=HIDDEN),
        lambda: tv.vgg((1, 1, 2, 2, 2), False, HIDDEN, CLASSES),
        (64, 64),
    ),
    "vgg13_bn": (
        short("vgg13_bn", hidden=HIDDEN),
        lambda: tv.vgg((2, 2, 2, 2, 2), True, HIDDEN, CLASSES),
        (32, 48),
    ),
    "alexnet": (
        short("alexnet", hidden=HIDDEN),
        lambda: tv.alexnet(HIDDEN, CLASSES),
        (67, 83),
    ),
    "googlenet": (nv.zoo.googlenet, lambda: tv.GoogLeNet(CLASSES), (64, 70)),
}


@pytest.fixture(scope="module")
def model() -> Any:
    """A short ResNet as torch has it."""
    return tv.randomize(tv.ResNet(SHORT, False, CLASSES, 8))


RESNET = short("resnet18", depths=SHORT, width=8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.pth"


def images(extents: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.normal(size=(2, *extents, 3)).astype(np.float32)


def expected(model: Any, x: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        found = model(torch.tensor(x).permute(0, 3, 1, 2))
    return [y.numpy() for y in (found if isinstance(found, tuple) else (found,))]


def assert_logits(found: Any, wanted: np.ndarray) -> None:
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_logits_are_torch_s(case: str, path: Path) -> None:
    architecture, build, extents = CASES[case]
    model = tv.randomize(build())
    torch.save(model.state_dict(), path)
    net = architecture(input_shape=(*extents, 3), weights=path, activation=None)
    assert net.graph.output_shapes == ((CLASSES,),)  # those of the checkpoint
    x = images(extents)
    assert_logits(net.forward(x), expected(model, x)[0])


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg11_bn", "alexnet"])
def test_logits_are_those_of_torchvision_itself(name: str, path: Path) -> None:
    """Random weights, saved by it under its names; `CASES` are like it by our word."""
    models = pytest.importorskip("torchvision.models", reason="the real one")
    model = tv.randomize(models.get_model(name, weights=None, num_classes=CLASSES))
    torch.save(model.state_dict(), path)
    size = (224, 224) if name in ("alexnet", "vgg11_bn") else (64, 72)
    architecture = nv.zoo.ARCHITECTURES[name]
    net = architecture(input_shape=(*size, 3), weights=path, activation=None)
    x = images(size)
    wanted = expected(model, x)[0]
    close = {"atol": 1e-5 * np.abs(wanted).max(), "rtol": 0}
    np.testing.assert_allclose(net.forward(x), wanted, **close)


def test_auxiliary_classifiers_are_torch_s_too(path: Path) -> None:
    model = tv.randomize(tv.GoogLeNet(CLASSES))
    torch.save(model.state_dict(), path)
    shape = (96, 64, 3)
    net = nv.zoo.googlenet(input_shape=shape, weights=path, aux=True, activation=None)
    x = images(shape[:2])
    wanted = expected(model, x)
    for found, logits in zip(net.forward(x), wanted, strict=True):
        assert_logits(found, logits)
    alone = nv.zoo.without_auxiliary(net)
    assert_logits(alone.forward(x), wanted[0])


def torch_shapes(name: str) -> dict[str, Any]:
    """Names and shapes of torchvision's state dict, without memory."""
    architecture = nv.zoo.ARCHITECTURES[name]
    with torch.device("meta"):
        if name.startswith("resnet"):
            bottleneck = architecture.bottleneck
            model = tv.ResNet(architecture.depths, bottleneck, 1000)
        elif name.startswith("vgg"):
            batch_norm = architecture.batch_norm
            model = tv.vgg(architecture.depths, batch_norm, 4096, 1000)
        else:
            model = tv.alexnet(4096, 1000) if name == "alexnet" else tv.GoogLeNet(1000)
    state = model.state_dict()
    one = np.zeros((), np.float32)
    return {name: np.broadcast_to(one, tuple(t.shape)) for name, t in state.items()}


PUBLISHED = [name for name, one in nv.zoo.ARCHITECTURES.items() if one.torch_names()]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_tensor_of_torchvision_has_its_place(name: str) -> None:
    architecture = nv.zoo.ARCHITECTURES[name]
    aux = bool(architecture.auxiliary)
    graph = architecture.graph(aux=aux, published=True)
    tensors = torch_shapes(name)
    found = match(graph, architecture.torch_names(), tensors, "file")
    assert all(one.tensor is not None for one in found)
    counters = sum(key.endswith("num_batches_tracked") for key in tensors)
    assert len(found) == len(tensors) - counters


def test_torchvision_s_fifteen_are_known() -> None:
    vggs = {f"vgg{depth}{bn}" for depth in (11, 13, 16, 19) for bn in ("", "_bn")}
    resnets = {f"resnet{depth}" for depth in (18, 34, 50, 101, 152)}
    assert set(PUBLISHED) == {"alexnet", "googlenet"} | vggs | resnets


# -- files -----------------------------------------------------------------------------


def halves(state: dict[str, Any], dtype: Any) -> dict[str, Any]:
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}


FORMS: dict[str, Callable[[dict[str, Any], Path], object]] = {
    "zip": lambda state, path: torch.save(state, path),
    "legacy": lambda state, path: torch.save(
        state, path, _use_new_zipfile_serialization=False
    ),
    "protocol 4": lambda state, path: torch.save(state, path, pickle_protocol=4),
    "training checkpoint": lambda state, path: torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path
    ),
    "parameters": lambda state, path: torch.save(
        {k: torch.nn.Parameter(v, v.is_floating_point()) for k, v in state.items()},
        path,
    ),
    "transposed storages": lambda state, path: torch.save(
        {k: v.T.contiguous().T if v.ndim == 2 else v for k, v in state.items()}, path
    ),
    "channels last": lambda state, path: torch.save(
        {
            k: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v
            for k, v in state.items()
        },
        path,
    ),
    "double": lambda state, path: torch.save(halves(state, torch.float64), path),
}


class Code:
    """What a pickle of code holds: a function and what it is called with."""

    def __init__(self, function: object, *given: object) -> None:
        self.call = (function, given)

    def __reduce__(self) -> Any:
        return self.call


def typed(tensor: Any) -> Any:
    """A tensor's storage with the type of its numbers, as files name it."""
    storage = torch.storage.TypedStorage
    raw = tensor.untyped_storage()
    return storage(wrap_storage=raw, dtype=tensor.dtype, _internal=True)


def of_2017(state: dict[str, Any], path: Path) -> None:
    """As PyTorch 0.1 and Python 2 wrote it: pairs in a list, an older function."""
    tensors = [
        [
            key,
            Code(torch._utils._rebuild_tensor, typed(t), 0, tuple(t.shape), t.stride()),
        ]
        for key, t in state.items()
        if t.is_floating_point()
    ]
    whole = Code(collections.OrderedDict, tensors)
    torch.save(whole, path, _use_new_zipfile_serialization=False)


FORMS["2017"] = of_2017


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file(form: str, model: Any, path: Path) -> None:
    FORMS[form](model.state_dict(), path)
    net = RESNET(input_shape=(32, 32, 3), weights=path, activation=None)
    x = images((32, 32))
    assert_logits(net.forward(x), expected(model, x)[0])


@pytest.mark.parametrize(("dtype", "error"), [("float16", 1e-3), ("bfloat16", 8e-3)])
def test_short_floats(dtype: str, error: float, model: Any, path: Path) -> None:
    torch.save(halves(model.state_dict(), getattr(torch, dtype)), path)
    net = RESNET(input_shape=(32, 32, 3), weights=path)
    wanted = model.state_dict()["fc.weight"].numpy().T
    np.testing.assert_allclose(net.parameters["head.weight"], wanted, rtol=error)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_both_forms_of_file_give_the_same_bits(
    dtype: str, model: Any, tmp_path: Path
) -> None:
    """bfloat16 ended in a bare error of the library's."""
    from safetensors.torch import save_file

    state = halves(model.state_dict(), getattr(torch, dtype))
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    one, other = (
        RESNET(input_shape=(32, 32, 3), weights=tmp_path / f"a.{end}")
        for end in ("pth", "safetensors")
    )
    assert np.array_equal(one.values, other.values)


@pytest.mark.parametrize("end", ["pth", "safetensors"])
@pytest.mark.parametrize("dtype", ["int16", "uint8", "bool", "int64"])
def test_both_forms_of_file_name_a_type_alike(
    dtype: str, end: str, model: Any, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    path = tmp_path / f"a.{end}"
    state = dict(model.state_dict())
    state["bn1.weight"] = torch.zeros(8, dtype=getattr(torch, dtype))
    save_file(state, path) if end == "safetensors" else torch.save(state, path)
    assert failure(path).splitlines()[0] == (
        f"bn1.weight: found numbers of type {dtype}; expected float16, bfloat16, "
        "float32 or float64"
    )


def test_a_type_that_nobody_knows_is_named(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(2, dtype=torch.float8_e4m3fn)}, path)
    assert failure(path) == (
        "holds numbers of type 'F8_E4M3'; expected one of F16, BF16, F32, F64, I8, I16, "
        "I32, I64, U8, BOOL; convert them where it was saved"
    )


def test_safetensors(model: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    net = RESNET(input_shape=(32, 32, 3), weights=path, activation=None)
    x = images((32, 32))
    assert_logits(net.forward(x), expected(model, x)[0])


# -- other numbers of classes ----------------------------------------------------------


def test_another_number_of_classes_replaces_the_output_layer(
    model: Any, path: Path
) -> None:
    torch.save(model.state_dict(), path)
    net = RESNET(classes=3, input_shape=(32, 32, 3), weights=path, seed=5)
    fresh = RESNET(classes=3, input_shape=(64, 64, 3), seed=5)
    whole = RESNET(input_shape=(32, 32, 3), weights=path)
    assert net.graph.output_shapes == ((3,),)
    for name, view in net.parameters.items():
        same = fresh if name.startswith("head.") else whole
        np.testing.assert_array_equal(view, same.parameters[name])


def test_the_auxiliary_classifiers_are_replaced_with_it(path: Path) -> None:
    torch.save(tv.GoogLeNet(CLASSES).state_dict(), path)
    net = nv.zoo.googlenet(2, (32, 32, 3), weights=path, aux=True)
    assert net.graph.output_shapes == ((2,), (2,), (2,))


def test_a_spec_names_the_checkpoint(path: Path) -> None:
    model = tv.randomize(tv.ResNet((2, 2, 2, 2), False, CLASSES))
    torch.save(model.state_dict(), path)
    text = f'[network]\nzoo = "resnet18"\nweights = "{path}"\ninput_shape = [32, 32, 3]'
    net = network_of(parse_spec(text))
    wanted = model.state_dict()["fc.bias"].numpy()
    np.testing.assert_array_equal(net.parameters["head.bias"], wanted)


# -- what does not fit -----------------------------------------------------------------


def failure(path: Path, architecture: Any = RESNET) -> str:
    with pytest.raises(CheckpointError) as caught:
        architecture(input_shape=(32, 32, 3), weights=path)
    text = str(caught.value)
    lines = text.splitlines()
    assert all(line.startswith((f"[{path}] ", "... and more")) for line in lines)
    return text.replace(f"[{path}] ", "")


def test_missing_left_over_and_differing_tensors_are_listed_at_once(
    model: Any, path: Path
) -> None:
    state = dict(model.state_dict())
    del state["layer1.0.bn1.weight"]
    state["layer5.0.conv1.weight"] = torch.zeros(3)
    state["conv1.weight"] = torch.zeros(8, 3, 3, 3)
    state["layer2.0.bn1.bias"] = torch.zeros(16, dtype=torch.int64)
    torch.save(state, path)
    assert failure(path).splitlines() == [
        "conv1.weight: found shape (8, 3, 3, 3); expected (8, 3, 7, 7)",
        "layer1.0.bn1.weight: missing; expected shape (8,)",
        "layer2.0.bn1.bias: found numbers of type int64; expected float16, bfloat16, float32 or float64",
        "layer5.0.conv1.weight: no such tensor in the network",
        "checkpoint and network differ; use the checkpoint of this architecture",
    ]


def test_the_checkpoint_of_another_architecture(path: Path) -> None:
    torch.save(tv.alexnet(1, 3).state_dict(), path)
    assert failure(path) == (
        "holds tensors such as 'features.0.weight', 'features.0.bias'; expected tensors "
        "such as 'conv1.weight', 'bn1.weight'; use the checkpoint of this architecture"
    )
    torch.save({}, path)
    assert failure(path).startswith("holds no tensors; expected tensors such as ")


def test_an_architecture_without_published_weights(model: Any, path: Path) -> None:
    torch.save(model.state_dict(), path)
    assert failure(path, nv.zoo.resnet20) == (
        "weights for 'resnet20'; expected an architecture that torchvision publishes; "
        "leave weights= out, or use nv.load for a file that net.save wrote"
    )


# -- files that are none ---------------------------------------------------------------


def evil(path: Path) -> object:
    return Code(exec, f"open({str(path.with_name('ran'))!r}, 'w')")


EXEC = "__builtin__.exec"  # its name in Python 2, which protocol 2 writes
DAMAGED = "; expected a checkpoint as it was saved; get it again"
REFUSED = (
    "asks for the code {}, which was not run; expected tensors by name alone; save "
    "model.state_dict() rather than the model, and do not open the file with torch.load "
    "unless you trust its source"
)


@pytest.mark.parametrize("new", [True, False])
def test_code_is_refused_and_named(new: bool, path: Path) -> None:
    torch.save(evil(path), path, _use_new_zipfile_serialization=new)
    assert failure(path) == REFUSED.format(EXEC)
    assert not path.with_name("ran").exists()


def test_code_among_tensors_is_refused(model: Any, path: Path) -> None:
    torch.save({**model.state_dict(), "extra": evil(path)}, path)
    assert failure(path) == REFUSED.format(EXEC)
    assert not path.with_name("ran").exists()


def test_a_whole_model_is_refused_and_its_class_named(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3), path)
    assert failure(path) == REFUSED.format("torch.nn.modules.linear.Linear")


def test_a_plain_pickle_of_code_is_refused(path: Path) -> None:
    path.write_bytes(pickle.dumps(evil(path), 2))
    assert failure(path) == REFUSED.format(EXEC)
    assert not path.with_name("ran").exists()


def tensor_of(storage: object, *rest: object) -> Any:
    return Code(torch._utils._rebuild_tensor_v2, storage, *rest)


@pytest.mark.parametrize(
    ("given", "fact"),
    [
        ((2**40, (3,), (1,), False, {}), "'a' goes beyond its storage"),
        ((0, (2**40,), (0,), False, {}), "'a' goes beyond its storage"),
        ((0, (2**20, 2**20), (1, 1), False, {}), "'a' goes beyond its storage"),
        (
            (0, (-3,), (1,), False, {}),
            "a call of torch._utils._rebuild_tensor_v2 with other arguments than "
            "torch.save's",
        ),
        (
            (0, (3,), (1, 1), False, {}),
            "a call of torch._utils._rebuild_tensor_v2 with other arguments than "
            "torch.save's",
        ),
    ],
)
def test_lying_shapes(given: Any, fact: str, path: Path) -> None:
    torch.save({"a": tensor_of(typed(torch.zeros(6)), *given)}, path)
    assert failure(path) == f"damaged: {fact}{DAMAGED}"


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        ([1, 2], "holds a list, no tensors by name"),
        ({"a": 3}, "'a' is no tensor"),
        ({(1, 2): 3}, "a key that is a tuple"),
        ({"a": {"b": [None, True, 2.5]}}, "'a' is no tensor"),
    ],
)
def test_other_data(value: Any, fact: str, path: Path) -> None:
    torch.save(value, path)
    assert failure(path) == f"damaged: {fact}{DAMAGED}"


def archive(
    path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED
) -> None:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in files.items():
            out.writestr(name, data)


def test_archives_of_other_things(model: Any, path: Path) -> None:
    archive(path, {"a.txt": b"hello"})
    assert failure(path) == f"damaged: the archive has no data.pkl{DAMAGED}"
    archive(path, {"x/data.pkl": b"\x80\x02}."}, zipfile.ZIP_DEFLATED)
    fact = "'x/data.pkl' is compressed or encrypted"
    assert failure(path) == f"damaged: {fact}{DAMAGED}"
    torch.save(model.state_dict(), path)
    with zipfile.ZipFile(path) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    last = next(name for name in files if name.endswith("/data/0"))
    archive(path, {name: data for name, data in files.items() if name != last})
    fact = f"the archive has no {last!r}"
    assert failure(path) == f"damaged: {fact}{DAMAGED}"
    archive(path, {**files, last: files[last][:-1]})
    assert failure(path) == f"damaged: 'conv1.weight' has no whole storage{DAMAGED}"


@pytest.mark.parametrize(
    ("pickled", "fact"),
    [
        (b"\x80\x02" + b"N" * 1_000_001 + b".", "a pickle of over 1,000,000 steps"),
        (b"\x80\x02N" + b"\x85" * 900_000 + b".", "values nested more than 100 deep"),
        (b"\x80\x02N" + b"\x85" * 90 + b".", "holds a tuple, no tensors by name"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "a damaged pickle (valueerror: expected "),
        (b"\x80\x02}(K\x01", "a damaged pickle (valueerror: pickle exhausted before "),
        (b"\x80\x02h\x05.", "a damaged pickle (keyerror: 5)"),
        (b"\x80\x02Nb.", "a damaged pickle (indexerror: "),
        (b"\x80\x02]Nb.", "attributes set on an object"),
        (b"\x80\x02NR.", "a damaged pickle (indexerror: "),
        (b"\x80\x02N)R.", "a call of what is no function"),
        (b"\x80\x02N)\x81.", "the instruction NEWOBJ, which only code needs"),
        (b"\x80\x02(i__builtin__\nexec\n.", "the instruction INST, which only code"),
    ],
)
def test_damaged_pickles(pickled: bytes, fact: str, path: Path) -> None:
    archive(path, {"x/data.pkl": pickled})
    assert failure(path).startswith(f"damaged: {fact}")


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    assert failure(path) == (
        "cannot be read: no such file or directory; expected a checkpoint (.pth or "
        ".safetensors); check the path"
    )
    path.write_bytes(b"")
    assert failure(path).startswith("is no checkpoint: it begins with b''; expected ")
    path.write_bytes(b"hello")
    assert failure(path).startswith("is no checkpoint: it begins with b'he'; expected ")
    path.write_bytes(pickle.dumps(3))
    assert failure(path).startswith("is a pickle, but no checkpoint; expected ")
    assert "is a folder or device" in failure(tmp_path)
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"\xff" * 64)
    assert failure(path).startswith("damaged: ")


@pytest.mark.parametrize("new", [True, False])
def test_no_damage_does_anything_else(new: bool, model: Any, path: Path) -> None:
    state = {key: value for key, value in model.state_dict().items() if "conv1" in key}
    torch.save(state, path, _use_new_zipfile_serialization=new)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(100):
        part = bytearray(whole)
        for place in rng.integers(len(whole), size=3):
            near = int(place) % 2000 * int(rng.choice([1, -1]))
            part[near] = int(rng.integers(256))
        cut = len(part) if rng.random() < 0.7 else int(rng.integers(len(part)))
        path.write_bytes(part[:cut])
        with pytest.raises(CheckpointError):
            RESNET(input_shape=(32, 32, 3), weights=path)
