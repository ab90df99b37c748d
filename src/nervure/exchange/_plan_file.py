# SPDX-License-Identifier: BSD-3-Clause
"""Networks as plan files, which libnervure runs without Python (engine/c/nervure.h).

Eight bytes say how long the header is; the header is JSON of tables, lists, text and
whole numbers; then come all parameters as float32. The header lists the nodes in the
order in which they run: each with its kernel, what the kernel reads, what feeds it and
where its parameters lie. A number with a fraction is ``{"float64": "<16 digits>"}``:
the hexadecimal digits of its bits, so that nothing is rounded.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nervure import __version__
from nervure.base.words import many
from nervure.exchange.errors import ExchangeError
from nervure.executors import Model
from nervure.executors.native import NativeExecutor
from nervure.graph.node import Node
from nervure.layers.formula import Formula
from nervure.network.network import Network

FORMAT = 1
"""Version of the format; a library takes its own and every earlier one."""

_ALIGNMENT = 64
"""Bytes: parameters begin on a cache line of the file."""

_IDLE = {"rate": 0.0, "threshold": 0, "stateful": 0}
"""What layers read that is for training alone, as it is without."""

_MOST_HEADER, _MOST_NODES = 16 << 20, 20_000
"""What libnervure reads."""


def plan_bytes(
    members: Sequence[Network],
    *,
    dtype: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a plan file.

    Raises:
        ExchangeError: what libnervure cannot run, by name.
    """
    net = _checked(members, dtype)
    values = np.ascontiguousarray(net.values, np.float32)
    model = Model(net.graph, net.layout, values, values)
    model, plan = NativeExecutor(model).inference()
    header = _header(model, plan, dict(metadata or {}))
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    if len(text) > _MOST_HEADER or len(plan["nodes"]) > _MOST_NODES:
        raise ExchangeError(
            f"[export] {many(len(plan['nodes']), 'node')} take {len(text):,} bytes; "
            f"expected at most {_MOST_NODES:,} nodes in {_MOST_HEADER:,} bytes; export "
            "parts of the network"
        )
    return struct.pack("<Q", len(text)) + text + model.values.astype("<f4").tobytes()


def _checked(members: Sequence[Network], dtype: str | None) -> Network:
    """The only network, where it is one that libnervure runs."""
    if len(members) > 1:
        raise ExchangeError(
            f"[export] an ensemble of {len(members)}; expected one network; export "
            "each of .members and take the mean, or write .onnx"
        )
    (net,) = members
    nodes = net.graph.nodes
    formulas = [repr(n.name) for n in nodes if isinstance(n.layer, Formula)]
    if formulas:
        raise ExchangeError(
            f"[export] {', '.join(formulas)} are formulas in Python; expected layers "
            "that the engine has; replace them"
        )
    open_ones = [repr(node.name) for node in nodes if node.clock is not None]
    if open_ones:
        raise ExchangeError(
            f"[export] {open_ones[0]} takes sequences of any length; expected inputs "
            "of one shape; give nv.Input the number of steps instead of None"
        )
    if (dtype or net.dtype) != "float32":
        raise ExchangeError(
            f"[export] numbers of {dtype or net.dtype}; expected float32, which "
            'libnervure computes in; use dtype="float32"'
        )
    return net


def _header(model: Model, plan: Any, metadata: dict[str, str]) -> dict[str, Any]:
    graph = model.graph
    pairs = zip(graph.nodes, plan["nodes"], strict=True)
    inputs = [(i, graph.nodes[i].name) for i in graph.inputs]
    outputs = zip(graph.outputs, graph.output_names, strict=True)
    return {
        "format": "nervure plan",
        "version": FORMAT,
        "writer": __version__,
        "metadata": metadata,
        "rows": plan["rows"],
        "work": graph.flops,
        "parameters": len(model.values),
        "inputs": [{"node": i, "name": name} for i, name in inputs],
        "outputs": [{"node": i, "name": name} for i, name in outputs],
        "nodes": [_node(node, fields) for node, fields in pairs],
    }


def _node(node: Node, fields: Any) -> dict[str, Any]:
    """A node of the engine's plan, without what training and the arena need."""
    found = {
        "name": node.name,
        "kernel": fields["kernel"],
        "values": _axes(fields["values"]),
        "inputs": [feed for feed, *_ in fields["inputs"]],
    }
    if not fields["kernel"]:
        return found
    carried = [p.name not in node.layer.carries for p in node.parameters]
    parameters = zip(carried, fields["parameters"], strict=True)
    return found | {
        "attributes": {k: _plain(k, v) for k, v in fields["attributes"].items()},
        "input_shapes": [_axes(shape) for shape in fields["input_shapes"]],
        "shape": _axes(fields["shape"]),
        "spread": fields["spread"],
        "times": fields["times"],
        "ports": fields["ports"],
        "parameters": [place[:2] for kept, place in parameters if kept],
    }


def _axes(shape: Sequence[int]) -> list[int]:
    """A single number has one axis."""
    return list(shape) or [1]


def _plain(key: str, value: Any) -> Any:
    return _value(_IDLE.get(key, value))


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return {"float64": _digits(value)}
    if all(isinstance(each, int) for each in value):
        return [int(each) for each in value]
    return {"float64": [_digits(float(each)) for each in value]}


def _digits(value: float) -> str:
    return struct.pack(">d", value).hex()


def described(data: bytes) -> str:
    """Inputs and outputs of a plan file, one line each."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    lines: list[str] = []
    for word, ends in (("input", header["inputs"]), ("output", header["outputs"])):
        for end in ends:
            axes = ["batch", *header["nodes"][end["node"]]["values"]]
            shape = ", ".join(map(str, axes))
            lines.append(f"{word:6}  {end['name']}: float ({shape})")
    return "\n".join(lines)
