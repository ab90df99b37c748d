# SPDX-License-Identifier: BSD-3-Clause
"""ONNX files with parts changed at random: each gives a network or an `ExchangeError`.

``python tests/fuzz/onnx_files.py SEED COUNT`` reads so many of them, in an address space
of a few gigabytes, and ends with an error at the first that does anything else; its
bytes are then left in ``$NERVURE_FUZZ_FOUND``, if that names a folder.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import Message
from onnx import ModelProto, TensorProto, helper, numpy_helper

import nervure as nv
from nervure.exchange.errors import ExchangeError

SPACE = 6 * 2**30
"""Bytes of address space: what is mapped of libraries takes two of the six."""

INTEGERS = [
    0,
    1,
    5,
    12,
    18,
    -1,
    2,
    3,
    7,
    127,
    2**31 - 1,
    -(2**31),
    2**40,
    2**63 - 1,
    -(2**63),
]
NUMBERS = [0.0, -1.0, 1e-45, 1e38, float("inf"), float("-inf"), float("nan")]


def models() -> list[ModelProto]:
    """Small graphs of many operators."""
    rng = np.random.default_rng(0)

    def model(nodes: Any, shape: Any, **weights: Any) -> ModelProto:
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            nodes,
            "g",
            [value("x", TensorProto.FLOAT, ["n", *shape])],
            [value("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(a), k) for k, a in weights.items()],
        )
        ids = [helper.make_opsetid("", 21)]
        return helper.make_model(graph, opset_imports=ids, ir_version=10)

    def single(*shape: int) -> Any:
        return rng.normal(size=shape).astype(np.float32)

    node = helper.make_node
    maps = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", ["a", "c", "c", "c", "v"], ["b"], epsilon=1e-5),
        node("Relu", ["b"], ["d"]),
        node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2], strides=[1, 1], ceil_mode=1),
        node("Resize", ["e", "", "scales"], ["f"], mode="nearest"),
        node("ConvTranspose", ["f", "t"], ["g"], output_padding=[1, 1], strides=[2, 2]),
        node("Pad", ["g", "sides"], ["h"], mode="reflect"),
        node("Flatten", ["h"], ["i"]),
        node("Gemm", ["i", "m"], ["y"], transB=1, alpha=0.5),
    ]
    weights = {
        "w": single(4, 3, 3, 3),
        "c": single(4),
        "v": np.abs(single(4)),
        "scales": np.float32([1, 1, 2, 2]),
        "t": single(4, 2, 2, 2),
        "sides": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "m": single(3, 2 * 27 * 27),
    }
    shapes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 1]),
        node("Slice", ["b", "one", "three", "one"], ["c"]),
        node("Split", ["c"], ["d", "e"], axis=2, num_outputs=2),
        node("Mul", ["d", "e"], ["f"]),
        node("Tile", ["f", "twice"], ["g"]),
        node("Expand", ["g", "wide"], ["h"]),
        node("ReduceMean", ["h", "one"], ["i"], keepdims=0),
        node("MatMul", ["b", "a"], ["j"]),
        node("Softmax", ["j"], ["k"], axis=1),
        node("ReduceSum", ["k", "both"], ["l"], keepdims=0),
        node("Add", ["l", "half"], ["y"]),
    ]
    numbers = {
        "zero": np.array([0]),
        "rest": np.array([4, -1]),
        "one": np.array([1]),
        "three": np.array([3]),
        "twice": np.array([1, 2, 1]),
        "wide": np.array([1, 4, 2]),
        "both": np.array([1, 2]),
        "half": np.float32(0.5),
    }
    along = [
        node("Transpose", ["x"], ["a"], perm=[1, 0, 2]),
        node(
            "LSTM",
            ["a", "lw", "lr", "lb", "", "", "", "lp"],
            ["b", "h", "c"],
            hidden_size=4,
            direction="bidirectional",
        ),
        node("Transpose", ["b"], ["d"], perm=[0, 2, 1, 3]),
        node("Reshape", ["d", "flat"], ["e"]),
        node("GRU", ["e", "gw", "gr"], ["", "f"], hidden_size=3, linear_before_reset=1),
        node("Squeeze", ["f", "zero"], ["g"]),
        node("Gather", ["h", "one"], ["i"], axis=0),
        node("Concat", ["g", "i"], ["j"], axis=1),
        node("Unsqueeze", ["j", "zero"], ["k"]),
        node("RNN", ["k", "rw", "rr"], ["", "l"], hidden_size=2, direction="reverse"),
        node("PRelu", ["l", "half"], ["m"]),
        node("Squeeze", ["m", "zero"], ["y"]),
    ]
    recurrent = {
        "lw": single(2, 16, 3),
        "lr": single(2, 16, 4),
        "lb": single(2, 32),
        "lp": single(2, 12),
        "flat": np.array([0, 0, 8]),
        "gw": single(1, 9, 8),
        "gr": single(1, 9, 3),
        "zero": np.array([0]),
        "one": np.array(1),
        "rw": single(1, 2, 7),
        "rr": single(1, 2, 2),
        "half": np.float32([0.5]),
    }
    letters = [
        nv.Input((None,)),
        nv.Embedding(5, 4),
        nv.PositionEmbedding(6),
        nv.MultiHeadAttention(2, causal=True),
        nv.LSTM(3, return_sequences=True),
        nv.Dense(2),
    ]
    turned = [
        nv.Input((None, 4)),
        nv.RotaryPositions(),
        nv.Bidirectional(nv.GRU(3)),
    ]
    return [
        model(maps, (3, 14, 14), **weights),
        model(shapes, (12,), **numbers),
        model(along, (5, 3), **recurrent),
        *map(of_any_length, [nv.Network(letters), nv.Network(turned)]),
    ]


def of_any_length(net: nv.Network) -> ModelProto:
    """As nervure writes a network whose axis of time is open."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        nv.export(net, path)
        return ModelProto.FromString(path.read_bytes())


# -- changes ---------------------------------------------------------------------------


def messages(message: Message) -> Iterator[Message]:
    yield message
    for _, value in message.ListFields():
        parts = value if hasattr(value, "__len__") else [value]
        for part in parts:
            if isinstance(part, Message):
                yield from messages(part)


def change(model: ModelProto, rng: random.Random) -> bytes:
    """The bytes of a model with a few fields changed, or bytes themselves."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        change_field(rng.choice(list(messages(model))), rng)
    data = bytearray(model.SerializePartialToString())
    if rng.random() < 0.3 and data:
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.05 else data)


def change_field(message: Message, rng: random.Random) -> None:
    fields = message.ListFields()
    if not fields:
        return
    field, value = rng.choice(fields)
    if not hasattr(value, "__len__") or isinstance(value, str | bytes):
        if not isinstance(value, Message):
            put(lambda new: setattr(message, field.name, new), value, rng)
        return
    place = rng.randrange(len(value))
    if isinstance(value[place], Message):
        kept = [x for i, x in enumerate(value) if i != place or rng.random() < 0.5]
        rng.shuffle(kept) if rng.random() < 0.3 else None
        copies = [type(x).FromString(x.SerializePartialToString()) for x in kept]
        del value[:]
        value.extend(copies)
    elif rng.random() < 0.3:
        del value[place]
    else:
        put(lambda new: value.__setitem__(place, new), value[place], rng)


def put(store: Callable[[Any], None], value: Any, rng: random.Random) -> None:
    """Another value in the place of one; some fields hold 32 bits or known values."""
    with contextlib.suppress(ValueError):
        store(other(value, rng))


def other(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool | int):
        return rng.choice([*INTEGERS, value + 1])
    if isinstance(value, float):
        return rng.choice(NUMBERS)
    if isinstance(value, bytes):
        cut = value[: rng.randrange(len(value) + 1)]
        return rng.choice([cut, bytes(rng.choice([0, 255, b]) for b in value)])
    return rng.choice(["", "x", "y", "a", "b", "Conv", "Gather", value * 9])


def run(seed: int, count: int) -> dict[str, int]:
    """How many files gave a network, and how many were refused."""
    rng = random.Random(seed)
    begin = [model.SerializeToString() for model in models()]
    found = {"networks": 0, "refused": 0}
    for data in begin:
        nv.import_onnx(data)
    for _ in range(count):
        data = change(ModelProto.FromString(rng.choice(begin)), rng)
        try:
            nv.import_onnx(data, time_first=rng.random() < 0.1)
        except ExchangeError:
            found["refused"] += 1
        except BaseException:
            keep(data)
            raise
        else:
            found["networks"] += 1
    return found


def keep(data: bytes) -> None:
    folder = os.environ.get("NERVURE_FUZZ_FOUND")
    if folder:
        Path(folder, "found.onnx").write_bytes(data)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
    print(run(int(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
