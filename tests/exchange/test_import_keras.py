# SPDX-License-Identifier: BSD-3-Clause
"""Keras files as networks: such as real Keras wrote, and such as it would not."""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nervure as nv
from nervure.exchange.errors import ExchangeError

sys.path.insert(0, str(Path(__file__).parent))

from keras_examples import FILES, WRITTEN

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def told(name: str) -> tuple[list[Any], list[Any]]:
    """Rows, and what Keras answered."""
    with np.load(FILES / f"{name}.npz") as arrays:
        names = sorted(arrays.files)
        return [arrays[n] for n in names if n[0] == "x"], [
            arrays[n] for n in names if n[0] == "y"
        ]


def answers(net: Any, rows: list[Any]) -> list[Any]:
    found = net.forward(rows if len(rows) > 1 else rows[0])
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("file", WRITTEN)
def test_files_of_keras_answer_as_keras_did(file: str) -> None:
    rows, wanted = told(file.partition(".")[0])
    found = answers(nv.import_keras(FILES / file), rows)
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, **TOLERANCE)


# -- files of one's own ----------------------------------------------------------------


def saved(
    path: Path,
    layers: Any,
    numbers: Any = (),
    version: str = "3.15.0",
    model: Any = None,
) -> Path:
    """An archive of a list of layers; ``numbers`` are ``(group, array)``."""
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        file.create_group("layers")
        for group, array in numbers:
            file.create_dataset(f"layers/{group}", data=np.asarray(array))
    model = model or {"class_name": "Sequential", "config": {"layers": layers}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("model.weights.h5", held.getvalue())
    return path


def layer(kind: str, name: str = "it", **config: Any) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": None,
    }


def begin(*shape: int | None, name: str = "x") -> dict[str, Any]:
    return layer("InputLayer", name, batch_shape=[None, *shape])


DENSE = [
    ("dense/vars/0", np.ones((3, 2), np.float32)),
    ("dense/vars/1", np.zeros(2, np.float32)),
]


def message(path: Path, **options: Any) -> str:
    with pytest.raises(ExchangeError) as caught:
        nv.import_keras(path, **options)
    text = str(caught.value)
    assert text.startswith(f"[{path}] ")
    return text.replace(f"[{path}] ", "")


def test_a_dense_layer(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.keras", [begin(3), layer("Dense", units=2)], DENSE)
    net = nv.import_keras(path)
    assert list(net.parameters) == ["it.weight", "it.bias"]
    np.testing.assert_array_equal(net.forward([[1, 2, 3]]), [[6, 6]])


def test_noise_is_there_when_one_trains_on(tmp_path: Path) -> None:
    layers = [begin(3), layer("GaussianNoise", stddev=0.25)]
    net = nv.import_keras(saved(tmp_path / "m.keras", layers))
    noise = net.graph.entries[-1].layer
    assert isinstance(noise, nv.GaussianNoise)
    assert noise.deviation == 0.25
    np.testing.assert_array_equal(net.forward([[1, 2, 3]]), [[1, 2, 3]])


@pytest.mark.parametrize(
    "called",
    [
        layer("RepeatVector", n=2),
        layer("MultiHeadAttention", num_heads=1, key_dim=2),
    ],
    ids=lambda one: one["class_name"],
)
def test_a_layer_on_values_that_it_does_not_take_is_told(
    called: Any, tmp_path: Path
) -> None:
    path = saved(tmp_path / "m.keras", [begin(3, 4), called])
    assert message(path).startswith(f"'it' ({called['class_name']}): malformed (")


def test_words_of_a_later_version_do_no_harm(tmp_path: Path) -> None:
    later = layer("Dense", units=2, sparkle={"much": True}) | {"new_key": [1, 2]}
    path = saved(tmp_path / "m.keras", [begin(3), later], DENSE, version="9.1.0")
    np.testing.assert_array_equal(nv.import_keras(path).forward([[1, 2, 3]]), [[6, 6]])


def test_what_is_not_covered_is_told_at_once(tmp_path: Path) -> None:
    layers = [
        begin(3),
        layer("Dense", "a", units=2, activation="glu"),
        layer("Hashing", "b"),
        layer("Lambda", "c", function="cHl0aG9u"),
        layer("LSTM", "d", units=2, activation="relu"),
    ]
    assert message(saved(tmp_path / "m.keras", layers, DENSE)) == (
        "'a' (Dense): activation 'glu'\n"
        "'b' (Hashing): no layer stands for it\n"
        "'c' (Lambda): it holds code, and nothing of a file is run\n"
        "expected layers that nervure has; change or cut the model there"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"module": "their.package"},
        {"registered_name": "Custom>Dense"},
        {"class_name": "Custom>Dense"},
        {"module": "keras_hub.layers"},
    ],
)
def test_classes_of_others_are_refused(change: Any, tmp_path: Path) -> None:
    layers = [begin(3), layer("Dense", units=2) | change]
    text = message(saved(tmp_path / "m.keras", layers, DENSE))
    assert "a class of its author, whose code is not run" in text


FACTS = [
    (layer("Dense", units=4), "numbers of shape (3, 2), not (3, 4)"),
    (layer("Dense", units=2, use_bias=False), "2 arrays of numbers, not 1"),
    (layer("Dense", units="two"), "units = 'two'"),
    (layer("Dense", units=-2), "units = -2"),
    (layer("Dense", units=10**12), "units = 1,000,000,000,000"),
    (layer("Reshape", target_shape=[2, -1]), "(3,) to [2, -1]"),
    (layer("Reshape", target_shape=[10**30]), "(3,) to"),
    (layer("RepeatVector", n=2**27), "n = 134,217,728"),
    (layer("Embedding", mask_zero=True), "mask_zero: rows that are masked"),
    (layer("Masking"), "rows that are masked"),
    (layer("Conv2D", filters=2, kernel_size=3), "0 arrays of numbers, not 2"),
    (layer("Concatenate", axis=0), "axis = 0"),
    (layer("Softmax", axis=[1, 2]), "axis = [1, 2], not the last one"),
    (layer("BatchNormalization", axis=0), "axis = 0, not the last one"),
    (layer("GRU", units=2, stateful=True), "stateful = True"),
    (layer("Bidirectional", layer=layer("Dense")), "of 'Dense'"),
    (layer("Rescaling", scale=0.0), "scale = 0.0"),
    (layer("Dropout", rate=0.5, noise_shape=[None, 3]), "noise_shape = [None, 3]"),
    (layer("Activation", activation={"class_name": "X"}), "activation 'X'"),
    (layer("Normalization"), "0 arrays of numbers, not 2"),
]


@pytest.mark.parametrize(("wrong", "fact"), FACTS)
def test_a_layer_that_cannot_be_is_named(wrong: Any, fact: str, tmp_path: Path) -> None:
    text = message(saved(tmp_path / "m.keras", [begin(3), wrong], DENSE))
    assert text.startswith(f"'it' ({wrong['class_name']}): ")
    assert fact in text


def test_an_open_extent_is_asked_for(tmp_path: Path) -> None:
    layers = [begin(None, None, 3), layer("GlobalAveragePooling2D")]
    path = saved(tmp_path / "m.keras", layers)
    assert message(path) == (
        "input 'x' has samples of shape (?, ?, 3); expected extents that are known; "
        "pass shapes={'x': (...)}"
    )
    assert (
        nv.import_keras(path, shapes={"x": (4, 4, 3)})
        .forward(np.ones((1, 4, 4, 3)))
        .shape
    )
    assert "unknown input 'y'" in message(path, shapes={"x": (4, 4, 3), "y": (3,)})


def test_sequences_of_any_length(tmp_path: Path) -> None:
    numbers = [
        ("lstm/cell/vars/0", np.ones((3, 8), np.float32)),
        ("lstm/cell/vars/1", np.ones((2, 8), np.float32)),
        ("lstm/cell/vars/2", np.ones(8, np.float32)),
    ]
    layers = [begin(None, 3), layer("LSTM", units=2, return_sequences=True)]
    net = nv.import_keras(saved(tmp_path / "m.keras", layers, numbers))
    rows = [np.ones((4, 3)), np.ones((2, 3))]
    assert [len(row) for row in net.predict(rows)] == [4, 2]


def test_doubles_stay_doubles(tmp_path: Path) -> None:
    numbers = [(name, array.astype(np.float64)) for name, array in DENSE]
    layers = [begin(3), layer("Dense", units=2)]
    path = saved(tmp_path / "m.keras", layers, numbers)
    assert nv.import_keras(path).dtype == "float64"
    assert nv.import_keras(path, dtype="float32").dtype == "float32"


def test_halves_are_read(tmp_path: Path) -> None:
    numbers = [(name, array.astype(np.float16)) for name, array in DENSE]
    layers = [begin(3), layer("Dense", units=2)]
    net = nv.import_keras(saved(tmp_path / "m.keras", layers, numbers))
    np.testing.assert_array_equal(net.forward([[1, 2, 3]]), [[6, 6]])


def test_bfloat16_is_read(tmp_path: Path) -> None:
    """As Keras stores it: bytes of a kind that NumPy does not know."""
    bits = np.array([[0x3F80, 0x4000]] * 3, "<u2").view("V2")  # 1 and 2
    layers = [begin(3), layer("Dense", units=2, use_bias=False)]
    path = saved(tmp_path / "m.keras", layers, [("dense/vars/0", bits)])
    np.testing.assert_array_equal(nv.import_keras(path).forward([[1, 2, 3]]), [[6, 12]])


def test_the_hard_sigmoid_of_keras_2_was_another(tmp_path: Path) -> None:
    layers = [begin(1), layer("Activation", activation="hard_sigmoid")]
    early = nv.import_keras(saved(tmp_path / "a.keras", layers, version="2.15.0"))
    later = nv.import_keras(saved(tmp_path / "b.keras", layers))
    np.testing.assert_allclose(early.forward([[1.0], [4.0]]), [[0.7], [1]], rtol=1e-6)
    np.testing.assert_allclose(later.forward([[1.0], [4.0]]), [[2 / 3], [1]], rtol=1e-6)


def test_graphs_as_keras_2_wrote_them(tmp_path: Path) -> None:
    def own(kind: str, name: str, nodes: Any, **config: Any) -> Any:
        return {
            "class_name": kind,
            "name": name,
            "config": {"name": name, **config},
            "inbound_nodes": nodes,
        }

    layers = [
        own("InputLayer", "x", [], batch_input_shape=[None, 3]),
        own("Dense", "a", [[["x", 0, 0, {}]]], units=2),
        own("Add", "sum", [[["a", 0, 0, {}], ["a", 0, 0, {}]]]),
    ]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["sum", 0, 0]]}
    model = {"class_name": "Functional", "config": {"layers": layers, **ends}}
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = "2.15.0"
        group = file.create_group("model_weights/a/a")
        group["kernel:0"] = DENSE[0][1]
        group["bias:0"] = DENSE[1][1]
        names = np.array([b"a/kernel:0", b"a/bias:0"])
        file["model_weights/a"].attrs["weight_names"] = names
    np.testing.assert_array_equal(
        nv.import_keras(path).forward([[1, 2, 3]]), [[12, 12]]
    )


# -- files of strangers ----------------------------------------------------------------


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "no.keras"
    assert "cannot be read: no such file" in message(path)
    assert "is a folder or device" in message(tmp_path)
    path.write_bytes(b"hello")
    assert "is no HDF5 file" in message(path)
    path.write_bytes(b"PK" + bytes(90))
    assert "no sound archive" in message(path)
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros(3)
    assert "holds no model_config" in message(path)


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert "expected config.json and model.weights.h5" in message(path)


def test_a_class_of_ones_own_is_no_model(tmp_path: Path) -> None:
    model = {"class_name": "MyModel", "config": {}}
    text = message(saved(tmp_path / "m.keras", [], model=model))
    assert text.startswith("holds MyModel; expected a Sequential or functional model")


def damaged_hdf5(tmp_path: Path, change: Any) -> str:
    """What is said of a Dense layer whose kernel was made by ``change``."""
    layers = [begin(3), layer("Dense", units=2, use_bias=False)]
    path = saved(tmp_path / "m.keras", layers, DENSE[1:])
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        change(file.create_group("layers/dense/vars"))
    with zipfile.ZipFile(path, "w") as archive:
        model = {"class_name": "Sequential", "config": {"layers": layers}}
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", held.getvalue())
    return message(path)


def test_links_are_not_followed(tmp_path: Path) -> None:
    def outside(group: Any) -> None:
        group["0"] = h5py.ExternalLink("/etc/other.h5", "/secret")

    def inside(group: Any) -> None:
        group["0"] = h5py.SoftLink("/layers")

    assert "is a link to another place" in damaged_hdf5(tmp_path, outside)
    assert "is a link to another place" in damaged_hdf5(tmp_path, inside)


def test_numbers_of_other_files_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(24))

    def external(group: Any) -> None:
        group.create_dataset("0", (3, 2), "f4", external=[(str(secret), 0, 24)])

    def virtual(group: Any) -> None:
        layout = h5py.VirtualLayout((3, 2), "f4")
        layout[:] = h5py.VirtualSource(str(secret), "x", (3, 2))
        group.create_virtual_dataset("0", layout)

    assert "are in another file" in damaged_hdf5(tmp_path, external)
    assert "are in another file" in damaged_hdf5(tmp_path, virtual)


def test_bombs_are_not_unpacked(tmp_path: Path) -> None:
    def many(group: Any) -> None:
        group.create_dataset("0", (2**34, 2), "f4", compression="gzip", chunks=(64, 2))

    layers = [begin(2**24), layer("Dense", units=2**10, use_bias=False)]
    model = {"class_name": "Sequential", "config": {"layers": layers}}
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", (2**24, 2**10), "f4", chunks=(64, 64))
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", held.getvalue())
    assert "declares 68,719,476,736 bytes, too many for a file" in message(path)
    assert "numbers of shape" in damaged_hdf5(tmp_path, many)

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", held.getvalue())
        archive.writestr("metadata.json", bytes(2**26))
    assert "metadata.json would be 67,108,864 bytes" in message(path)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    def texts(group: Any) -> None:
        group["0"] = np.full((3, 2), b"text")

    def nothing(group: Any) -> None:
        group.create_dataset("0", (3, 2), "f4", chunks=(3, 2))

    assert "expected floating-point numbers" in damaged_hdf5(tmp_path, texts)
    assert "has a shape and no numbers" in damaged_hdf5(tmp_path, nothing)


def test_texts_of_attributes_that_do_not_end_are_refused(tmp_path: Path) -> None:
    """HDF5 itself would go on for ever."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
    data = bytearray(path.read_bytes())
    struct.pack_into("<HH4xQ", data, data.find(b"GCOL") + 16, 0, 0, 0)
    path.write_bytes(data)
    assert "is no HDF5 file (a list without an end)" in message(path)


def test_a_heap_whose_list_goes_in_a_circle_is_refused(tmp_path: Path) -> None:
    """HDF5 itself would follow it until the memory is full."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layer")
    data = bytearray(path.read_bytes())
    heap = data.find(b"HEAP")
    free, begin = struct.unpack_from("<QQ", data, heap + 16)
    struct.pack_into("<Q", data, begin + free, free)
    path.write_bytes(data)
    assert "is no HDF5 file (a list without an end)" in message(path)


def functional(layers: Any, last: str) -> Any:
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [[last, 0, 0]]}
    return {"class_name": "Functional", "config": {"layers": layers, **ends}}


def test_circles_and_depths(tmp_path: Path) -> None:
    def reads(name: str) -> Any:
        return {"inbound_nodes": [[[name, 0, 0, {}]]]}

    x = begin(3)
    circle = [x, layer("ReLU", "a") | reads("b"), layer("ReLU", "b") | reads("a")]
    path = saved(tmp_path / "m.keras", [], model=functional(circle, "a"))
    assert "'a' is called in a circle, or nowhere" in message(path)

    nowhere = functional([x, layer("ReLU", "a") | reads("z")], "a")
    path = saved(tmp_path / "m.keras", [], model=nowhere)
    assert "'z' is called in a circle, or nowhere" in message(path)

    beyond = functional([x, layer("ReLU", "a") | reads("x")], "a")
    beyond["config"]["output_layers"] = [["a", 0, 7]]
    path = saved(tmp_path / "m.keras", [], model=beyond)
    assert "an output that no layer gives" in message(path)

    model: Any = {"class_name": "Sequential", "config": {"layers": [x]}}
    for i in range(40):
        inner = model | {"name": f"m{i}"}
        model = {"class_name": "Sequential", "config": {"layers": [x, inner]}}
    path = saved(tmp_path / "m.keras", [], model=model)
    assert "models within models more than 20 deep" in message(path)


def test_models_within_models_do_not_multiply(tmp_path: Path) -> None:
    x = begin(3)
    model: Any = functional([x], "x")
    for _ in range(18):
        inner = model | {"name": "inner", "class_name": "Functional"}
        nodes = [[["x", 0, 0, {}]], [["inner", 0, 0, {}]]]
        outer = [x, inner | {"inbound_nodes": nodes}]
        model = functional(outer, "inner")
        model["config"]["output_layers"] = [["inner", 1, 0]]
    path = saved(tmp_path / "m.keras", [], model=model)
    assert "more than 20,000 calls of layers" in message(path)
