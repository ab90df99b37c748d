# SPDX-License-Identifier: BSD-3-Clause
"""The kinds of files that nervure reads from strangers, and what reads each.

A kind makes a few sound files and says how they are read: to the end, as a user would.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plan_files

import nervure as nv
from nervure.data.records import TableInput


@dataclass(frozen=True)
class Kind:
    """Sound files by name, written into a folder, their reader, and own ways to harm."""

    seeds: Callable[[Path], Mapping[str, bytes]]
    read: Callable[[Path], object]
    mutated: Callable[[bytes, random.Random], bytes] | None = None


RNG = np.random.default_rng(0)


def _net() -> nv.Network:
    layers = [
        nv.Input((8, 8, 1)),
        nv.Conv2D(3, 3),
        nv.BatchNorm(),
        nv.MaxPool2D(2),
        nv.Flatten(),
        nv.Dense(3, activation="softmax"),
    ]
    return nv.Network(layers, seed=1)


# -- arrays ---------------------------------------------------------------------------


def _npy(_: Path) -> Mapping[str, bytes]:
    def saved(array: np.ndarray) -> bytes:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    return {
        "doubles.npy": saved(RNG.normal(size=(9, 3))),
        "wholes.npy": saved(np.arange(27, dtype=np.uint16).reshape(9, 3)),
        "order.npy": saved(np.asfortranarray(RNG.normal(size=(9, 3)).astype(">f4"))),
    }


def _read_npy(path: Path) -> object:
    """In an archive whose check sum is right."""
    whole = path.with_suffix(".npz")
    y = io.BytesIO()
    np.save(y, np.arange(9) % 2)
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("X.npy", path.read_bytes())
        archive.writestr("y.npy", y.getvalue())
    return nv.data.load(whole)


def _npz(_: Path) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for name, save in (("a.npz", np.savez), ("b.npz", np.savez_compressed)):
        file = io.BytesIO()
        save(file, X=RNG.normal(size=(20, 3)), y=np.arange(20) % 2)
        found[name] = file.getvalue()
    return found


def _idx(_: Path) -> Mapping[str, bytes]:
    images = bytes([0, 0, 8, 3, 0, 0, 0, 12, 0, 0, 0, 4, 0, 0, 0, 4])
    images += RNG.integers(0, 256, 192).astype(np.uint8).tobytes()
    return {"plain.idx": images, "packed.idx.gz": gzip.compress(images)}


def _read_idx(path: Path) -> object:
    from nervure.data.idx import read_idx

    return read_idx(path)


# -- tables ---------------------------------------------------------------------------

_ROWS = "".join(
    f"{i},{i % 7}.5,{'xyz'[i % 3]},{'no' if i % 2 else 'yes'}\n" for i in range(40)
)


def _csv(_: Path) -> Mapping[str, bytes]:
    text = "n,amount,kind,answer\n" + _ROWS
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("t.csv", text)
    return {
        "t.csv": text.encode(),
        "semicolons.csv": text.replace(",", ";").replace(".", ",").encode(),
        "wide.csv": text.encode("utf-16"),
        "t.csv.gz": gzip.compress(text.encode()),
        "t.csv.zip": packed.getvalue(),
    }


def _json(_: Path) -> Mapping[str, bytes]:
    rows = [{"a": i, "b": f"w{i % 3}", "y": i % 2} for i in range(30)]
    lines = "\n".join(map(json.dumps, rows))
    return {"t.json": json.dumps(rows).encode(), "t.jsonl": lines.encode()}


def _parquet(folder: Path) -> Mapping[str, bytes]:
    import pandas as pd

    path = folder / "made.parquet"
    rows = {"a": range(40), "b": ["x", "y"] * 20, "y": [i % 2 for i in range(40)]}
    pd.DataFrame(rows).to_parquet(path)
    return {"t.parquet": path.read_bytes()}


def _read_table(path: Path) -> object:
    return nv.data.load(path)


# -- images ---------------------------------------------------------------------------


def _images(_: Path) -> Mapping[str, bytes]:
    from PIL import Image

    found: dict[str, bytes] = {}
    pixels = RNG.integers(0, 256, (12, 12, 3)).astype(np.uint8)
    for form in ("png", "jpeg", "bmp", "gif", "webp", "tiff"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, form)
        found[f"i.{form}"] = file.getvalue()
    return found


def _read_image(path: Path) -> object:
    """One image of two classes: the other's is sound."""
    from PIL import Image

    photos = path.parent / "photos"
    for name in "ab":
        (photos / name).mkdir(parents=True, exist_ok=True)
    for old in (photos / "a").iterdir():
        old.unlink()
    (photos / "a" / path.name).write_bytes(path.read_bytes())
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(photos / "b" / "sound.png")
    return nv.data.load(photos)


# -- networks -------------------------------------------------------------------------


def _models(folder: Path) -> Mapping[str, bytes]:
    net, path = _net(), folder / "made.safetensors"
    net.save(path)
    data = nv.data.load("iris")
    layers = [nv.Input(4), nv.Dense(3, activation="softmax")]
    own = nv.Network(layers)
    nv.fit(own, data, epochs=1, progress=False)
    table = folder / "table.safetensors"
    own.save(table)
    said = [f"the {'good' if i % 2 else 'bad'} room {i}" for i in range(40)]
    texts = nv.data.load({"t": said, "y": ["yes", "no"] * 20})
    words = nv.Network([*texts.entrance(), nv.Dense(2, activation="softmax")])
    nv.fit(words, texts, epochs=1, progress=False)
    text = folder / "text.safetensors"
    words.save(text)
    return {
        "net.safetensors": path.read_bytes(),
        "iris.safetensors": table.read_bytes(),
        "text.safetensors": text.read_bytes(),
    }


def _read_model(path: Path) -> object:
    net = nv.load(path)
    record, shape = net.preprocessing, net.graph.input_shapes[0]
    if record is not None and isinstance(record.inputs, TableInput):
        shape = (len(record.inputs.names),)
    return net.predict(np.zeros((2, *shape)))


_SPEC = """
[data]
source = "digits"
validation = 0.1
[[layer]]
type = "input"
shape = [8, 8, 1]
[[layer]]
type = "conv2d"
filters = 4
kernel = [3, 3]
padding = "same"
activation = "relu"
name = "first"
[[layer]]
type = "max_pool2d"
size = 2
[[layer]]
type = "flatten"
[[layer]]
type = "dense"
units = 10
activation = "softmax"
[training]
loss = {type = "cross_entropy", label_smoothing = 0.1}
optimizer = {type = "adam", learning_rate = {type = "cosine", start = 0.002}}
epochs = 3
seed = 3
"""


def _specs(_: Path) -> Mapping[str, bytes]:
    return {"spec.toml": _SPEC.encode()}


def _read_spec(path: Path) -> object:
    from nervure.runs.building import network_of
    from nervure.spec import load_spec

    return network_of(load_spec(path))


def _checkpoints(folder: Path) -> Mapping[str, bytes]:
    run = folder / "made"
    data = nv.data.load("iris")
    net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")])
    nv.fit(net, data, epochs=2, directory=run, checkpoint_steps=1, progress=False)
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


def _read_run(path: Path) -> object:
    """A run folder, of which this file is another."""
    import shutil

    run = path.parent / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(path.parent / "made", run)
    (run / path.name).write_bytes(path.read_bytes())
    return nv.resume(run, nv.data.load("iris"), epochs=3, progress=False)


# -- models of others -----------------------------------------------------------------

_MADE = Path(__file__).parents[1] / "exchange" / "files"


def _keras(_: Path) -> Mapping[str, bytes]:
    """Archives as they are packed, and with their files as they lie."""
    found: dict[str, bytes] = {}
    for name in ("shared", "both", "convolution"):
        data = (_MADE / f"{name}.keras").read_bytes()
        found[f"{name}.keras"] = data
        held = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(data)) as old,
            zipfile.ZipFile(held, "w") as new,
        ):
            for member in old.namelist():
                new.writestr(member, old.read(member))
        found[f"{name}-stored.keras"] = held.getvalue()
    return found


def _h5(_: Path) -> Mapping[str, bytes]:
    names = ("dense.h5", "both.h5", "shared.h5")
    return {name: (_MADE / name).read_bytes() for name in names}


def _read_keras(path: Path) -> object:
    net = nv.import_keras(path)
    shapes = net.graph.input_shapes
    if sum(map(math.prod, shapes)) > 10**6:  # as large as a stranger wants it
        return None
    rows = [np.zeros((2, *shape)) for shape in shapes]
    return net.forward(rows if len(rows) > 1 else rows[0])


def _configurations(_: Path) -> Mapping[str, bytes]:
    """The texts of archives, each to be put back into its own."""
    names = ("shared", "attention", "residual", "gru", "sequence_convolution")
    found: dict[str, bytes] = {}
    for name in names:
        with zipfile.ZipFile(_MADE / f"{name}.keras") as archive:
            found[f"{name}.json"] = archive.read("config.json")
    return found


def _read_configuration(path: Path) -> object:
    made = path.with_suffix(".keras")
    with (
        zipfile.ZipFile(_MADE / made.name) as old,
        zipfile.ZipFile(made, "w") as new,
    ):
        for name in old.namelist():
            own = name == "config.json"
            new.writestr(name, path.read_bytes() if own else old.read(name))
    return _read_keras(made)


KINDS = {
    "npy": Kind(_npy, _read_npy),
    "npz": Kind(_npz, _read_table),
    "idx": Kind(_idx, _read_idx),
    "csv": Kind(_csv, _read_table),
    "json": Kind(_json, _read_table),
    "parquet": Kind(_parquet, _read_table),
    "image": Kind(_images, _read_image),
    "model": Kind(_models, _read_model),
    "spec": Kind(_specs, _read_spec),
    "run": Kind(_checkpoints, _read_run),
    "keras": Kind(_keras, _read_keras),
    "h5": Kind(_h5, _read_keras),
    "keras-config": Kind(_configurations, _read_configuration),
}
if os.environ.get("NERVURE_TEST_C"):  # a folder in which libnervure was built
    KINDS["c"] = Kind(plan_files.seeds, plan_files.read, plan_files.mutated)
