# SPDX-License-Identifier: BSD-3-Clause
"""Networks run by libnervure, from C and through ctypes: the bits of the engine.

``NERVURE_TEST_C`` names a folder in which CMake has built it (-DNERVURE_C=ON); without
it these tests are skipped, and say so. ``.ci/run`` builds one.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.exchange.errors import ExchangeError
from nervure.network.network import Network

ROOT = Path(__file__).parents[2]
EXAMPLES, FUZZ = ROOT / "examples" / "c", ROOT / "tests" / "fuzz"
BUILD = os.environ.get("NERVURE_TEST_C")
ROWS = 5
TIME = 6

sys.path[:0] = [str(EXAMPLES), str(FUZZ)]

import plan_files  # noqa: E402

built = pytest.mark.skipif(BUILD is None, reason="NERVURE_TEST_C names no folder")


@pytest.fixture(scope="module")
def library() -> Any:
    from predict import library

    return library(str(Path(BUILD or "") / "libnervure.so"))


@pytest.fixture
def loaded(library: Any, tmp_path: Path) -> Callable[..., Any]:
    """The model of a network, exported and loaded."""
    from predict import Model

    def load(net: Any, **options: Any) -> Any:
        path = tmp_path / "net.nervure"
        nv.export(net, path, **options)
        return Model(library, str(path))

    return load


def rows_of(net: Network, rows: int = ROWS) -> list[Any]:
    rng = np.random.default_rng(1)
    found = [
        rng.normal(size=(rows, *shape)).astype(np.float32)
        for shape in net.graph.input_shapes
    ]
    domain = next((n.layer.domain for n in net.graph.nodes if n.layer.domain), None)
    if domain is not None:
        low, high = domain[0], min(domain[1], domain[0] + 3)
        found = [low + (high - low) / (1 + np.exp(-x)) for x in found]
    for codes in net.graph.codes:
        flat = found[codes.input].reshape(rows, -1)
        flat[:, codes.columns] = rng.integers(
            0, codes.sizes, (rows, codes.columns.size)
        )
    return found


def outputs_of(net: Network, rows: list[Any]) -> list[Any]:
    names = [net.graph.nodes[i].name for i in net.graph.inputs]
    given = rows[0] if len(rows) == 1 else dict(zip(names, rows, strict=True))
    found = net.forward(given)
    return found if isinstance(found, list) else [found]


def equal_bits(found: list[Any], wanted: list[Any]) -> None:
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_array_equal(
            np.ascontiguousarray(ours).view(np.int32),
            np.ascontiguousarray(theirs).view(np.int32),
        )


@built
@pytest.mark.parametrize("layer", plan_files.LAYERS_ALONE)
def test_every_layer_gives_the_same_bits(layer: str, loaded: Any) -> None:
    net = plan_files.layer_alone(layer)
    rows = rows_of(net)
    equal_bits(loaded(net).predict(*rows), outputs_of(net, rows))


# -- whole networks ---------------------------------------------------------------------


def random_statistics(net: Network) -> Network:
    rng = np.random.default_rng(2)
    for name, view in net.parameters.items():
        if name.endswith(("running_mean", "running_variance", "gamma", "beta")):
            view[...] = rng.uniform(0.5, 1.5, size=view.shape)
    return net


def two_ways() -> Network:
    """Two inputs, two outputs, further outputs of a recurrent layer, tied weights."""
    image, steps = nv.Input((8, 8, 16), name="image"), nv.Input((TIME, 4), name="steps")
    maps = nv.Conv2D(16, 3, padding="same", activation="relu")(image)
    pooled = nv.GlobalAveragePool2D()(nv.BatchNorm()(maps))
    lstm = nv.LSTM(16, name="lstm")(steps)
    both = nv.Concatenate()(pooled, lstm["state"], lstm["cell"])
    hidden = nv.Dense(12, activation="tanh", name="hidden")(both)
    classes = nv.Dense(5, activation="softmax", name="classes")(hidden)
    back = nv.Dense(4, name="back")(nv.Add()(hidden, nv.Tied("hidden")(both)))
    return nv.Network(inputs=[image, steps], outputs=[classes, back], seed=4)


NETWORKS: dict[str, Callable[[], Network]] = {
    "dense": lambda: nv.Network(
        [nv.Input(64), nv.Dense(30, activation="relu"), nv.Dense(10)], seed=1
    ),
    "lenet": lambda: nv.zoo.lenet5(seed=2),
    "resnet": lambda: random_statistics(nv.zoo.resnet20(classes=10, seed=3)),
    "two ways": two_ways,
    "transformer": lambda: nv.Network(
        [
            nv.Input((TIME, 16)),
            nv.PositionEmbedding(TIME),
            nv.TransformerBlock(4),
            nv.Flatten(),
            nv.Dense(3),
        ],
        seed=6,
    ),
    "gru": lambda: nv.Network(
        [
            nv.Input((TIME, 8)),
            nv.Bidirectional(nv.GRU(16, True, recurrent_dropout=0.5)),
            nv.Dropout(0.5),
            nv.GRU(8, stateful=4),
            nv.Dense(2),
        ],
        seed=7,
    ),
}


@built
@pytest.mark.parametrize("rows", [1, 33, 700])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_give_the_same_bits(name: str, rows: int, loaded: Any) -> None:
    net = NETWORKS[name]()
    x = rows_of(net, rows)
    native: Any = net.executor()
    folded = native._folding  # worth it only for many rows
    wanted = outputs_of(net, x)
    model = loaded(net)
    found = model.predict(*x)
    if folded is None or rows >= folded.least_rows:
        equal_bits(found, wanted)
    else:
        for ours, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)
    equal_bits(model.predict(*x, threads=3), found)


@built
def test_the_ends_of_a_network(loaded: Any) -> None:
    model = loaded(two_ways())
    assert model.inputs == {"image": (8, 8, 16), "steps": (TIME, 4)}
    assert list(model.outputs.values()) == [(5,), (4,)]
    empty = [np.empty((0, *shape), np.float32) for shape in model.inputs.values()]
    assert [y.shape for y in model.predict(*empty)] == [(0, 5), (0, 4)]


@built
def test_an_output_that_is_not_wanted(library: Any, loaded: Any) -> None:
    from predict import Floats

    model, net = loaded(two_ways()), two_ways()
    x = [np.ascontiguousarray(a, np.float32) for a in rows_of(net)]
    back = np.empty((ROWS, 4), np.float32)
    given = (Floats * 2)(*(a.ctypes.data_as(Floats) for a in x))
    outputs = (Floats * 2)(None, back.ctypes.data_as(Floats))
    assert library.nervure_predict(model._model, ROWS, given, outputs) == 0
    equal_bits([back], [outputs_of(net, x)[1]])


@built
def test_float64_in_singles(loaded: Any) -> None:
    net = nv.Network([nv.Input(6), nv.Dense(3)], seed=1, dtype="float64")
    x = rows_of(net)
    (found,) = loaded(net, dtype="float32").predict(*x)
    np.testing.assert_allclose(found, net.forward(x[0]), rtol=1e-5, atol=1e-5)


@built
def test_threads_predict_at_once(loaded: Any, library: Any, tmp_path: Path) -> None:
    """Each with a model of its own, and all with one."""
    from predict import Model

    net = NETWORKS["lenet"]()
    (x,) = rows_of(net, 100)
    shared, wanted = loaded(net), outputs_of(net, [x])
    found: list[Any] = []

    def work(own: bool) -> None:
        model = Model(library, str(tmp_path / "net.nervure")) if own else shared
        for _ in range(5):
            found.append(model.predict(x, threads=2))

    threads = [threading.Thread(target=work, args=(i % 2 == 0,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 30
    for each in found:
        equal_bits(each, wanted)


# -- what goes wrong --------------------------------------------------------------------


def told(library: Any, path: Path | str, most: int = 0) -> str:
    """Why a file cannot be loaded."""
    from predict import Model

    with pytest.raises(ValueError, match=r"^\[") as error:
        Model(library, str(path), most)
    return str(error.value)


@built
def test_files_that_are_none(library: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.nervure"
    assert told(library, path) == (
        f'[{path}] no such file; expected a file that nv.export(net, "model.nervure") '
        "wrote; export it again"
    )
    assert "] a folder or device" in told(library, tmp_path)
    assert "] a folder or device" in told(library, "/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    assert "] a folder or device" in told(library, tmp_path / "pipe")
    nv.export(NETWORKS["dense"](), path)
    whole = path.read_bytes()
    for data, words in (
        (b"", "a file of a few bytes"),
        (b"x" * 200, "does not begin as plan files do"),
        (struct.pack("<Q", 2**24 + 1) + b" " * 2**25, "more than 16 MiB"),
        (whole[:300], "does not begin as plan files do"),
        (whole[:-4], "another number of parameters"),
        (whole[:-1], "end within a number"),
        (whole + b"\0\0\0\0", "another number of parameters"),
    ):
        path.write_bytes(data)
        assert words in told(library, path)
    path.write_bytes(whole)
    assert "MiB of memory that it may" in told(library, path, 1000)


@built
def test_null_pointers(library: Any, loaded: Any) -> None:
    import ctypes

    model = loaded(NETWORKS["dense"]())._model
    assert library.nervure_load(None, ctypes.byref(ctypes.c_void_p())) != 0
    assert library.nervure_error() == b"[nervure_load] no path"
    assert library.nervure_load(b"x", None) != 0
    assert library.nervure_predict(None, 1, None, None) != 0
    assert library.nervure_predict(model, 1, None, None) != 0
    assert library.nervure_predict(model, -1, None, None) != 0
    assert library.nervure_set_threads(model, -1) != 0
    assert (
        library.nervure_error() == b"[nervure_set_threads] expected 0 to 1024 threads"
    )
    assert library.nervure_input_size(model, 1) == -1
    assert library.nervure_output_name(model, 1) is None
    assert library.nervure_inputs(None) == 0
    library.nervure_free(None)
    assert library.nervure_version().decode() == nv.__version__


@built
def test_each_thread_has_its_own_error(library: Any) -> None:
    assert library.nervure_set_threads(None, 1) != 0
    said: list[bytes] = []
    thread = threading.Thread(target=lambda: said.append(library.nervure_error()))
    thread.start()
    thread.join()
    assert said == [b""]


class Doubled(nv.layers.Formula):
    """y = 2 x, which only Python knows."""

    kind = "doubled"

    def output_shape(self, *inputs: Any) -> Any:
        return inputs[0]

    def formula(self, xp: Any, parameters: Any, *inputs: Any, info: Any) -> Any:
        return 2 * inputs[0]


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.nervure"

    def said(net: Any, **options: Any) -> str:
        with pytest.raises(ExchangeError) as error:
            nv.export(net, path, **options)
        assert not path.exists()
        return str(error.value)

    net = nv.Network([nv.Input(4), nv.Dense(2)], seed=0, dtype="float64")
    assert said(net) == (
        "[export] numbers of float64; expected float32, which libnervure computes in; "
        'use dtype="float32"'
    )
    assert "'doubled' are formulas" in said(nv.Network([nv.Input(4), Doubled()]))
    open_ended = nv.Network([nv.Input((None, 4)), nv.GRU(2)], seed=0)
    assert "'input' takes sequences of any length" in said(open_ended)
    members = [nv.Network([nv.Input(4), nv.Dense(2)], seed=i) for i in range(2)]
    assert "an ensemble of 2" in said(nv.Ensemble(members))
    assert "resize" in said(members[0], resize=True)


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    """A header of JSON, then the parameters on a cache line; no arena, no training."""
    path = tmp_path / "net.nervure"
    net = NETWORKS["dense"]()
    nv.export(net, path, metadata={"made": "by me"})
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    assert (8 + length) % 64 == 0
    assert header["format"] == "nervure plan"
    assert header["metadata"] == {"made": "by me"}
    assert header["rows"] == 512
    kernels = [node["kernel"] for node in header["nodes"]]
    assert kernels == ["", "dense", "activation", "dense"]
    values = np.frombuffer(data, "<f4", offset=8 + length)
    np.testing.assert_array_equal(values, net.values)


def test_it_is_no_model_file(tmp_path: Path) -> None:
    path = tmp_path / "net.nervure"
    nv.export(NETWORKS["dense"](), path)
    with pytest.raises(
        ValueError, match="a plan file, which libnervure runs; expected"
    ):
        nv.load(path)


def test_the_command_says_what_is_not_in_the_file(tmp_path: Path) -> None:
    data = nv.data.load("iris")
    net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")])
    nv.fit(net, data, epochs=1, progress=False)
    net.save(tmp_path / "iris.safetensors")
    words = [sys.executable, "-c", "from nervure.cli import main; main()", "export"]
    out = tmp_path / "iris.nervure"
    said = output_of(*words, tmp_path / "iris.safetensors", "--out", out).splitlines()
    assert said[2] == "inputs are the network's own: preprocessing is not in the file"


# -- programs ---------------------------------------------------------------------------


def output_of(*command: Any) -> str:
    words = [str(part) for part in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@built
def test_digits_from_the_command_line_to_c(tmp_path: Path) -> None:
    """The example in C and the one by ctypes print what net.predict says."""
    net = nv.zoo.lenet5(seed=1)
    net.save(tmp_path / "digits.safetensors")
    command = [sys.executable, "-c", "from nervure.cli import main; main()", "export"]
    model, rows = tmp_path / "digits.nervure", tmp_path / "rows.bin"
    said = output_of(*command, tmp_path / "digits.safetensors", "--out", model)
    shape = ", ".join(map(str, net.graph.input_shapes[0]))
    assert said.splitlines()[0] == f"input   input: float (batch, {shape})"
    (x,) = rows_of(net, 300)
    rows.write_bytes(x.tobytes())
    y = net.forward(x)
    wanted = [f"{row.argmax()} {row.max():.4f}" for row in y]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    program = tmp_path / "predict"
    header = ["-I", ROOT / "engine" / "c", EXAMPLES / "predict.c"]
    library = ["-L", BUILD, "-lnervure", f"-Wl,-rpath,{BUILD}"]
    output_of(os.environ.get("CC", "cc"), *flags, *header, *library, "-o", program)
    assert output_of(program, model, rows).splitlines() == wanted
    by_ctypes = [EXAMPLES / "predict.py", Path(str(BUILD)) / "libnervure.so"]
    assert output_of(sys.executable, *by_ctypes, model, rows).splitlines() == wanted
    missing = subprocess.run([program, "none", rows], capture_output=True, text=True)
    assert missing.returncode == 1
    assert missing.stderr.startswith("[none] no such file;")


def test_the_header_is_c99_and_cpp(tmp_path: Path) -> None:
    include = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    header = ROOT / "engine" / "c" / "nervure.h"
    output_of("cc", "-std=c99", *include, "-x", "c", header)
    output_of("c++", "-std=c++11", *include, "-x", "c++", header)


@built
@pytest.mark.skipif(sys.platform != "linux", reason="bounds memory as Linux does")
def test_damaged_files_give_an_answer_or_say_what_is_wrong() -> None:
    assert "c: 400 files, sound" in output_of(
        sys.executable, FUZZ / "fuzz.py", "c", "--files", "400"
    )
