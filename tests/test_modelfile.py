# SPDX-License-Identifier: BSD-3-Clause
"""Model files: round trips, equal bytes, and files from strangers."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervure.base.files import WriteError
from nervure.graph.node import Entry
from nervure.initializers import HeNormal
from nervure.layers import LAYERS, Activation, Dense, Input
from nervure.network import modelfile
from nervure.network.modelfile import (
    ModelFileError,
    NetworkEntries,
    check_parameters,
    model_bytes,
    network_document,
    network_from_document,
    read_model,
    read_model_bytes,
    write_model,
)

TENSORS = {
    "dense.weight": np.arange(6, dtype=np.float32).reshape(3, 2),
    "dense.bias": np.array([0.5, -0.0]),
    "count": np.array(7, dtype=np.int64),
}
DOCUMENT: dict[str, Any] = {
    "network": {"nodes": [{"name": "dense", "layer": {"type": "dense", "units": 2}}]},
    "labels": ["yes", 'a "quoted" Ä'],
    "threshold": 0.1,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def model(path: Path) -> Path:
    write_model(path, TENSORS, DOCUMENT)
    return path


def message(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_model(path)
    text = str(caught.value)
    assert text.startswith(f"[{path}] ")
    return text.removeprefix(f"[{path}] ")


def test_round_trip(model: Path) -> None:
    tensors, document = read_model(model)
    assert document == {**DOCUMENT, "format": modelfile.FORMAT}
    assert list(tensors) == sorted(TENSORS)
    for name, array in TENSORS.items():
        assert tensors[name].dtype == array.dtype
        assert tensors[name].tobytes() == array.tobytes()
        assert tensors[name].shape == array.shape
        assert tensors[name].flags.writeable


def test_bytes_are_those_of_the_file(model: Path) -> None:
    data = model_bytes(TENSORS, DOCUMENT)
    assert data == model.read_bytes()
    tensors, document = read_model_bytes(data)
    assert document == read_model(model)[1]
    assert {k: v.tobytes() for k, v in tensors.items()} == {
        k: v.tobytes() for k, v in read_model(model)[0].items()
    }


def test_every_truncation_of_the_bytes_is_an_error() -> None:
    data = model_bytes(TENSORS, DOCUMENT)
    for size in range(len(data)):
        with pytest.raises(ModelFileError, match=r"^\[model\] "):
            read_model_bytes(data[:size])
    with pytest.raises(ModelFileError, match="not one of F32"):
        read_model_bytes(data.replace(b'"F64"', b'"F16"'))


def test_arrays_that_do_not_lie_in_order(path: Path) -> None:
    grid = np.arange(12.0).reshape(3, 4)
    views = {"t": grid.T, "step": grid[:, ::2], "back": grid[::-1], "part": grid[1:, 1]}
    write_model(path, views, {})
    found, _ = read_model(path)
    for name, view in views.items():
        np.testing.assert_array_equal(found[name], view)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write_model(one, TENSORS, DOCUMENT)
    write_model(two, dict(reversed(TENSORS.items())), dict(reversed(DOCUMENT.items())))
    assert one.read_bytes() == two.read_bytes()


def test_other_programs_read_it(model: Path) -> None:
    """The plain library, and the JSON by hand: no format of our own."""
    from safetensors.numpy import load_file

    np.testing.assert_array_equal(
        load_file(model)["dense.weight"], TENSORS["dense.weight"]
    )
    raw = model.read_bytes()
    header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    assert json.loads(header["__metadata__"]["nervure"])["threshold"] == 0.1


def test_numbers_of_numpy_in_the_document(path: Path) -> None:
    write_model(path, {}, {"mean": np.array([1.5, 2.0]), "n": np.int32(3)})
    assert read_model(path) == ({}, {"mean": [1.5, 2.0], "n": 3, "format": 1})


# -- what is not written --------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "fact"),
    [
        ({"a": float("nan")}, "Out of range float values are not JSON compliant"),
        ({"a": {1, 2}}, "a is set {1, 2}; expected data"),
        ({"a": print}, "a is builtin_function_or_method <built-in function print>"),
        ({"a": "\ud800"}, "'utf-8' codec can't encode character"),
    ],
)
def test_documents_that_are_not_data(path: Path, document: Any, fact: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        write_model(path, {}, document)
    assert str(caught.value).startswith(f"[{path}] cannot be written: {fact}")
    assert not path.exists()


def test_a_document_that_could_not_be_read_back(path: Path) -> None:
    with pytest.raises(ModelFileError, match="keep fewer labels or categories"):
        write_model(path, {}, {"labels": ["x" * 1000] * 13_000})


def test_the_largest_document_can_be_read_back(path: Path) -> None:
    quotes = '"' * ((modelfile.MOST_DOCUMENT - 100) // 2)
    write_model(path, TENSORS, {"labels": [quotes]})
    assert read_model(path)[1]["labels"] == [quotes]


def test_a_full_disk_leaves_the_earlier_file(model: Path) -> None:
    before = model.read_bytes()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, old[1]))
    try:
        with pytest.raises(WriteError, match=r"cannot be written: .*; raise the limit"):
            write_model(model, {"w": np.zeros(100_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="there is no such folder"):
        write_model(tmp_path / "no" / "model.safetensors", TENSORS, DOCUMENT)


# -- files from strangers -------------------------------------------------------------


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def holding(document: object) -> bytes:
    return safetensors({"__metadata__": {"nervure": document}})


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
FOREIGN = (
    "expected a model file saved by nervure; use one that net.save or nervure "
    "train wrote"
)
WHOLE = "expected the whole file as it was saved; copy it again"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", f"found a file of 0 bytes; {FOREIGN}"),
        (
            b"PK\x03\x04" * 9,
            f"found a file that does not begin as safetensors do; {FOREIGN}",
        ),
        (
            safetensors(b"{}", length=1 << 40),
            f"found a header of 1,099,511,627,776 bytes (at most 32 MiB); {FOREIGN}",
        ),
        (
            safetensors(b"{}", length=900),
            f"damaged: the header ends at 908, the file at 10; {WHOLE}",
        ),
        (
            safetensors({"w": F32}, bytes(8)),
            f"found safetensors without the metadata key 'nervure'; {FOREIGN}",
        ),
        (
            safetensors({"w": F32}, bytes(7)),
            f"damaged: the header declares 8 bytes of weights, found 7; {WHOLE}",
        ),
        (
            safetensors({"w": {**F32, "dtype": "BF16"}}, bytes(8)),
            "found weight 'w' of type 'BF16' (not one of F32, F64, I32, I64, U8); "
            f"{FOREIGN}",
        ),
        (
            safetensors({"w": {"dtype": "F32"}}),
            f"damaged: the header's entry 'w' is malformed; {WHOLE}",
        ),
        (
            safetensors(b'{"a": '),
            "damaged: the header is not JSON (Expecting value: line 1 column 7 (char "
            f"6)); {WHOLE}",
        ),
        (
            safetensors(b'{"a":' * 9000),
            f"damaged: the header is nested too deeply; {WHOLE}",
        ),
        (
            holding("[" * 100_000),
            f"damaged: the document is nested too deeply; {WHOLE}",
        ),
        (
            holding('{"a": ' + "[" * 60 + "]" * 60 + "}"),
            f"damaged: the document is no table, or nested too deeply; {WHOLE}",
        ),
        (
            holding('{"a": NaN}'),
            f"damaged: the document is not JSON (NaN is no JSON number); {WHOLE}",
        ),
        (
            holding("3"),
            f"damaged: the document is no table, or nested too deeply; {WHOLE}",
        ),
        (holding("{}"), f"damaged: the document's format is None; {WHOLE}"),
        (
            holding('{"format": true}'),
            f"damaged: the document's format is True; {WHOLE}",
        ),
        (
            holding('{"format": 99}'),
            "written in format 99; expected at most 1; update nervure",
        ),
    ],
)
def test_foreign_and_damaged_files(path: Path, raw: bytes, expected: str) -> None:
    path.write_bytes(raw)
    assert message(path) == expected


def test_files_that_are_none(tmp_path: Path) -> None:
    assert message(tmp_path / "no").startswith(
        "cannot be read: no such file or directory; expected a model file"
    )
    assert message(tmp_path).startswith("found a folder or device; ")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert message(fifo).startswith("found a folder or device; ")


def test_tensors_that_overlap(path: Path) -> None:
    other = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = {"__metadata__": {"nervure": '{"format": 1}'}, "a": F32, "b": other}
    path.write_bytes(safetensors(header, bytes(8)))
    assert message(path).startswith("damaged: ")


def test_every_truncation_is_an_error(model: Path) -> None:
    raw = model.read_bytes()
    for size in range(len(raw)):
        model.write_bytes(raw[:size])
        message(model)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4)
)
def test_flipped_bytes_give_a_model_or_an_error(
    model: Path, flips: list[tuple[int, int]]
) -> None:
    """Header and document are checked; a flipped weight is still a weight."""
    write_model(model, TENSORS, DOCUMENT)
    raw = bytearray(model.read_bytes())
    for place, byte in flips:
        raw[place % len(raw)] = byte
    model.write_bytes(raw)
    try:
        _, document = read_model(model)
        network_from_document(document.get("network"), "model")
    except ModelFileError:
        pass


# -- weights against the network ------------------------------------------------------


def test_weights_are_compared_all_at_once() -> None:
    expected = {
        "dense.weight": ((2, 3), "float32"),
        "dense.bias": ((2,), "float32"),
        "dense_1.bias": ((1,), "float32"),
    }
    with pytest.raises(ModelFileError) as caught:
        check_parameters("model", TENSORS, expected)
    assert str(caught.value).splitlines() == [
        "[model] dense.weight: found float32 (3, 2); expected float32 (2, 3)",
        "[model] dense.bias: found float64 (2,); expected float32 (2,)",
        "[model] dense_1.bias: missing; expected float32 (1,)",
        "[model] count: no such parameter in the network",
        "[model] weights and network differ; use the file as it was saved",
    ]


def test_weights_that_fit() -> None:
    expected = {name: (a.shape, str(a.dtype)) for name, a in TENSORS.items()}
    check_parameters("model", TENSORS, expected)


# -- the network ----------------------------------------------------------------------


@pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.__name__)
def test_every_layer_survives_the_file(path: Path, cls: Any) -> None:
    for example in cls.examples():
        feeds = tuple(f"in{i}" for i in range(len(example.inputs)))
        sources = tuple(
            Entry(Input(shape), name, ())
            for shape, name in zip(example.inputs, feeds, strict=True)
        )
        entries = (*sources, Entry(example.layer, "node", feeds))
        write_model(path, {}, {"network": network_document(entries, ("node",))})
        found = network_from_document(read_model(path)[1]["network"])
        assert found == NetworkEntries(entries, ("node",))


def test_nested_layers_survive() -> None:
    layer = Dense(3, activation=Activation("elu", alpha=0.5), initializer=HeNormal())
    entries = (Entry(Input(2), "x", ()), Entry(layer, "y", ("x",)))
    document = json.loads(json.dumps(network_document(entries, ("y",), "float64")))
    assert network_from_document(document) == NetworkEntries(entries, ("y",), "float64")


def test_faults_of_a_network_all_at_once() -> None:
    nodes = [
        {"name": "x", "inputs": [], "layer": {"type": "input", "shape": "big"}},
        {"name": 3, "inputs": "x", "layer": {"type": "os.system", "units": 2}},
        {"name": "z", "layer": ["dense"]},
        7,
    ]
    with pytest.raises(ModelFileError) as caught:
        network_from_document({"nodes": nodes, "dtype": "float16"}, "m")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "[m] network.nodes[0].layer.shape",
        "[m] network.nodes[1].name",
        "[m] network.nodes[1].inputs",
        "[m] network.nodes[1].layer.type",
        "[m] network.nodes[2].layer",
        "[m] network.nodes[3].name",
        "[m] network.nodes[3].layer",
        "[m] network.dtype",
    ]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, "network.nodes: found nothing; expected a list"),
        ({"nodes": [1] * 10_001}, "network.nodes: found 10001; expected at most 10000"),
        (
            network_document([Entry(Dense(1), "y", ("x",))]),
            "network.nodes[0].inputs[0]: unknown layer 'x'; Known: input, y",
        ),
    ],
)
def test_each_fault_of_a_network(data: Any, text: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        network_from_document(data, "m")
    assert str(caught.value) == f"[m] {text}"
