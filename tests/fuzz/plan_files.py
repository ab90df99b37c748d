# SPDX-License-Identifier: BSD-3-Clause
"""Plan files of libnervure with parts of their header changed: each gives an answer or
an error.

    python tests/fuzz/plan_files.py FOLDER --files 2000 --seed 1

writes so many of them, for ``try_plans``, which CMake builds beside a libnervure with
sanitizers.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import os
import random
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import nervure as nv
from nervure.base.engine import engine
from nervure.layers import LAYERS, Formula, Input
from nervure.network.network import Network

_TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(_TESTS / "exchange"), str(_TESTS.parent / "examples" / "c")]

import layers_alone  # noqa: E402

WHOLE = [0, 1, -1, 2, 3, 4, 7, 16, 63, 64, 65, 127, 1000, 4096, 2**16, 2**24]
WHOLE += [2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1, -(2**63)]
WORDS = ["", "x", "relu", "tanh", "mean", "max", "7ff0000000000000", "formula"]
WORDS += [str(name) for name in engine.kernels()]


def networks() -> dict[str, nv.Network]:
    """A few that have most kernels among them."""
    maps, rows = nv.Input((6, 6, 4)), nv.Input(6)
    x = nv.Conv2D(4, 3, padding="same", groups=2)(maps)
    x = nv.LocalResponseNorm(3)(nv.PReLU()(x))
    x = nv.Add()(nv.MaxPool2D(2)(x), nv.AveragePool2D(2)(x), nv.L2Pool2D(2)(x))
    x = nv.GroupNorm(2)(nv.UpSampling2D(2)(nv.ZeroPadding2D(1)(x)))
    x = nv.DepthwiseConv2D(3)(nv.Conv2DTranspose(4, 3, stride=2)(x))
    x = nv.Dropout(0.5)(nv.Cropping2D(1)(nv.SpatialDropout(0.2)(x)))
    x = nv.Flatten()(nv.Slice(0, 6, axis=1, step=2)(nv.BatchNorm()(x)))
    y = nv.Dense(6, activation="silu")(rows)
    y = nv.Maximum()(y, nv.Subtract()(rows, nv.Clip(0.0, 1.0)(y)))
    z = nv.Reduce("mean", 1)(nv.Permute((2, 1))(nv.Reshape((2, 3))(y)))
    ends = nv.Concatenate()(nv.Dense(3)(x), nv.Softmax()(nv.Normalize()(y)), z)
    steps = nv.Input((5, 4), name="steps")
    lstm = nv.LSTM(3, True, peepholes=True, layer_norm=True, name="lstm")(steps)
    both = nv.MultiHeadAttention(2, 4)(
        nv.GRU(4, True)(lstm), nv.RotaryPositions(2)(steps)
    )
    last = nv.SimpleRNN(3)(nv.PositionEmbedding(7)(both))
    codes = nv.Input(3, name="codes")
    vectors = nv.Embedding((4, 5, 6), 2)(codes)
    bag = nv.EmbeddingBag(4, 2)(codes)
    pairs = nv.MatMul()(vectors, nv.Permute((2, 1))(vectors))
    table = nv.EnsembleMean()(
        nv.EnsembleDense(3, members=2)(nv.Flatten()(nv.PeriodicEmbedding(3, 4)(codes)))
    )
    return {
        "maps": nv.Network(inputs=[maps, rows], outputs=[ends], seed=1),
        "time": nv.Network(
            inputs=[steps], outputs=[last, nv.Dense(2)(lstm["cell"])], seed=2
        ),
        "table": nv.Network(inputs=[codes], outputs=[table, pairs, bag], seed=3),
        "winograd": nv.Network(
            [nv.Input((12, 12, 16)), nv.Conv2D(16, 3), nv.GlobalMaxPool2D()], seed=4
        ),
    }


# -- every layer alone ------------------------------------------------------------------

LAYERS_ALONE = {
    f"{kind.kind}-{i}": example
    for kind in LAYERS
    if not issubclass(kind, Formula)
    for i, example in enumerate(kind.examples())
    if not (isinstance(example.layer, Input) and example.layer.time)
}
"""Examples of all layers, but for those of open length."""


def layer_alone(name: str) -> Network:
    """A layer in float32, its sequences of one length, far from its beginnings."""
    return layers_alone.network(LAYERS_ALONE[name])


# -- the files --------------------------------------------------------------------------


def seeds(folder: Path) -> Mapping[str, bytes]:
    """Sound files."""
    found: dict[str, bytes] = {}
    alone = {name: layer_alone(name) for name in LAYERS_ALONE}
    for name, net in (networks() | alone).items():
        nv.export(net, folder / "made.nervure")
        found[f"{name}.nervure"] = (folder / "made.nervure").read_bytes()
    return found


@functools.cache
def _library() -> Any:
    from predict import library

    return library(str(Path(os.environ["NERVURE_TEST_C"]) / "libnervure.so"))


def read(path: Path) -> object:
    """Answers for three rows, some numbers of which are far from special."""
    from predict import Model

    model = Model(_library(), str(path))
    shapes = model.inputs.values()
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(3, *s)).astype(np.float32) * 4 for s in shapes]
    return model.predict(*rows, threads=2)


# -- changes ----------------------------------------------------------------------------


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The file with one to three changes of what its header says."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _change(header, rng)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _change(header: Any, rng: random.Random) -> None:
    places = _places(header)
    holder, key = rng.choice(places)
    if rng.random() < 0.3:
        own = [holder[key] for holder, key in places if key == "attributes"]
        places = [p for t in own if isinstance(t, dict) for p in _places(t)] or places
        holder, key = rng.choice(places)
    match rng.randrange(10):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case 2:
            other, name = rng.choice(places)
            holder[key] = copy.deepcopy(other[name])
        case 3 | 4 if isinstance(holder[key], int):  # a size, wherever it stands
            old, new = holder[key], _other(holder[key], rng)
            for other, name in places:
                if other[name] == old:
                    other[name] = new
        case _:
            holder[key] = _other(holder[key], rng)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every value within, as what holds it and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found: list[tuple[Any, Any]] = []
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


def _other(value: Any, rng: random.Random) -> Any:
    if isinstance(value, int):
        near = value + rng.choice((-2, -1, 1, 2))
        return rng.choice((near, near, 2 * value, rng.choice(WHOLE)))
    if isinstance(value, str):
        return rng.choice(WORDS)
    if isinstance(value, list):
        return value[:: rng.choice((-1, 2))] if value else [rng.choice(WHOLE)]
    return rng.choice(({}, [], 1, "x"))


def main() -> None:
    """Write damaged files into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    sound = sorted(seeds(given.folder).items())
    rng = random.Random(given.seed)
    for i in range(given.files):
        name, data = rng.choice(sound)
        (given.folder / f"{i}-{name}").write_bytes(mutated(data, rng))


if __name__ == "__main__":
    main()
