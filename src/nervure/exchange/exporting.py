# SPDX-License-Identifier: BSD-3-Clause
"""Networks and ensembles to ONNX files; networks to plan files of libnervure."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np

from nervure import __version__
from nervure.base.checks import count
from nervure.base.extras import needed
from nervure.base.files import write_atomically
from nervure.base.words import unknown
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Classes
from nervure.exchange._plan_file import plan_bytes
from nervure.exchange._site import Site
from nervure.exchange._write_answers import Answer, answer_names, answers, plain_answers
from nervure.exchange._write_layers import writer_of
from nervure.exchange._write_rows import RawInput, check_rows, raw_inputs, write_rows
from nervure.exchange._write_time import OPEN, Times
from nervure.exchange._writer import ML, ML_OPSET, Value, Writer
from nervure.exchange.errors import ExchangeError
from nervure.graph.graph import Graph
from nervure.layers import Input
from nervure.layers._layer import Further
from nervure.network.network import DTYPES, Network

OPSETS = range(17, 22)
"""Versions of ONNX's operators that can be asked for."""

MOST_BYTES = 2**31 - 2**20
"""Of weights: protobuf's limit, less what the graph takes."""


class Averaged(Protocol):
    """An ensemble: networks with equal inputs and outputs."""

    @property
    def members(self) -> tuple[Network, ...]: ...


def export(
    net: Network | Averaged,
    path: str | os.PathLike[str],
    *,
    preprocessing: bool = True,
    opset: int = 18,
    dtype: str | None = None,
    resize: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network or an ensemble to an ONNX file, which other runtimes run.

    A path that ends in ``.nervure`` asks for a plan file instead, which the engine runs
    from C and whatever binds to it (libnervure, ``engine/c/nervure.h``), with the bits
    of `Network.predict`: a network in float32 whose inputs have one shape, without its
    preprocessing and without options but ``dtype`` and ``metadata``. BatchNorms are
    folded, as predict folds them for many rows.

    With its preprocessing the model takes raw rows and answers in the user's terms. A
    table has one input for each column, ``(batch, 1)``, by its name: numbers and dates
    (seconds since 1970) as doubles whose NaN is missing, text as strings whose "" is
    missing; booleans and integers that are categories as they are, or as doubles if
    some were missing in training. Arrays are the input ``X``; where the network was
    trained on bytes, it takes uint8. Classes are answered by ``label (batch,)`` and
    ``probabilities (batch, classes)``, amounts by ``variable (batch, amounts)``, of
    several outputs each with its own name before it. Without preprocessing inputs and
    outputs are the network's own, by their names; images are channels-last.

    The batch is open, and so is the time axis of ``nv.Input((None, 28))``; sequences of
    one call are equally long. Maps are channels-first inside of the file, weights are
    turned when they are written. An ensemble is one graph.

    Args:
        path: the file, ending in ``.onnx`` or ``.nervure``.
        preprocessing: whether to write what training recorded of the raw rows.
        opset: version of ONNX's operators, 17 to 21.
        dtype: ``"float32"`` or ``"float64"``; by default the network's. ONNX Runtime
            has no convolution in double.
        resize: whether images may be of any height and width, to be brought to the
            network's as image files are (opset 18 or later).
        metadata: further words to be kept in the file, by their keys.

    Raises:
        ExchangeError: a layer or a record that ONNX cannot express, named before
            anything is written; more than 2 GB of weights.
        WriteError: the file cannot be written; an earlier one is untouched.

    >>> import tempfile, onnx, nervure as nv
    >>> net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=7)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nv.export(net, f"{folder}/net.onnx")
    ...     [node.op_type for node in onnx.load(f"{folder}/net.onnx").graph.node]
    ['Gemm', 'Softmax']
    """
    where = os.fspath(path)
    if where.endswith(".nervure"):
        if resize:
            raise ExchangeError(
                "[export] resize=True for a .nervure file; expected no resize: inputs "
                "are the network's own; leave it out, or write .onnx"
            )
        members = cast("tuple[Network, ...]", getattr(net, "members", (net,)))
        data = plan_bytes(members, dtype=dtype, metadata=metadata)
        return write_atomically(where, data)
    if not where.endswith(".onnx"):
        raise ExchangeError(
            f"[{where}] ends in {os.path.splitext(where)[1]!r}; expected .onnx or "
            ".nervure; rename the file"
        )
    model = onnx_model(
        net,
        preprocessing=preprocessing,
        opset=opset,
        dtype=dtype,
        resize=resize,
        metadata=metadata,
    )
    write_atomically(where, model.SerializeToString())


def onnx_model(
    net: Network | Averaged,
    *,
    preprocessing: bool = True,
    opset: int = 18,
    dtype: str | None = None,
    resize: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Any:
    """The ``onnx.ModelProto`` that `export` writes."""
    needed("onnx", "export")
    count("export", "opset", opset, least=OPSETS[0], most=OPSETS[-1])
    members = cast("tuple[Network, ...]", getattr(net, "members", (net,)))
    first = members[0]
    numbers = np.dtype(_dtype(first, dtype))
    record = first.preprocessing if preprocessing else None
    _check(members, record, numbers, resize)
    raw = _raw(first.graph, record, numbers, resize)
    writer = Writer(opset, numbers, rows=raw[0].name)
    writer.taken.update(x.name for x in raw)
    names = [writer.name(name) for name in answer_names(first.graph, record)]
    inputs = _read(writer, first.graph, record, raw, resize)
    ends = _averaged(writer, members, inputs)
    found = (
        plain_answers(
            writer, ends, [_shape_of(first.graph, i) for i in first.graph.outputs]
        )
        if record is None
        else answers(writer, first.graph, record, ends)
    )
    pairs = zip(found, names, strict=True)
    shown = [_shown(writer, answer, name) for answer, name in pairs]
    return _model(writer, raw, shown, _metadata(first, record, raw, metadata))


def _dtype(net: Network, dtype: str | None) -> str:
    if dtype is None:
        return net.dtype
    if dtype not in DTYPES:
        raise ExchangeError(unknown("export", "dtype", dtype, DTYPES))
    return dtype


def _check(
    members: Sequence[Network],
    record: Preprocessing | None,
    dtype: np.dtype[Any],
    resize: bool,
) -> None:
    """Raises for what cannot be expressed, before anything is begun."""
    nodes = {n.name: n for net in members for n in net.graph.nodes}
    bad = [
        f"{name!r} ({node.layer.kind})"
        for name, node in nodes.items()
        if writer_of(node.layer) is None and not isinstance(node.layer, Input | Further)
    ]
    if bad:
        raise ExchangeError(
            f"[export] ONNX operators for {', '.join(bad)} are not known; expected "
            "layers that ONNX can express; replace them"
        )
    if record is not None:
        check_rows(record)
        _check_steps(members[0].graph, record)
    elif resize:
        raise ExchangeError(
            "[export] resize=True without preprocessing; expected a network that was "
            "trained on images of bytes; leave resize out"
        )
    size = sum(net.layout.count for net in members) * dtype.itemsize
    if size > MOST_BYTES:
        raise ExchangeError(
            f"[export] {size:,} bytes of weights; expected at most {MOST_BYTES:,}, "
            "which is ONNX's limit for one file; use dtype='float32', or fewer members"
        )


def _check_steps(graph: Graph, record: Preprocessing) -> None:
    """Raises where a record of rows of one shape is that of sequences of any length."""
    inputs = [graph.nodes[i] for i in graph.inputs]
    fits = all(n.clock is None or record.shape[1:] == n.shape for n in inputs)
    each = [n.name for i in graph.outputs if (n := graph.nodes[i]).clock is not None]
    if not fits or each:
        what = f"a value for each step ({each[0]!r})" if each else "sequences"
        raise ExchangeError(
            f"[export] preprocessing of a network of {what}; expected one answer for "
            "each row of one shape; use preprocessing=False"
        )


# -- the graph -------------------------------------------------------------------------


def _raw(
    graph: Graph, record: Preprocessing | None, dtype: np.dtype[Any], resize: bool
) -> list[RawInput]:
    """The model's inputs."""
    if record is not None:
        return raw_inputs(record, dtype, resize)
    return [
        RawInput(graph.nodes[i].name, dtype, _shape_of(graph, i), "inputs")
        for i in graph.inputs
    ]


def _shape_of(graph: Graph, node: int) -> tuple[Any, ...]:
    """The shape of a sample: a word for the steps of sequences of any length."""
    own = graph.nodes[node]
    if own.clock is None:
        return own.shape
    alone = len(graph.clocks) == 1
    return ("time" if alone else f"{graph.nodes[own.clock].name}_time", *own.shape)


def _read(
    writer: Writer,
    graph: Graph,
    record: Preprocessing | None,
    raw: Sequence[RawInput],
    resize: bool,
) -> list[Value]:
    """What each input of the network reads."""
    pairs = zip(raw, graph.input_shapes, strict=False)
    if record is None:
        return [Value(x.name, shape) for x, shape in pairs]  # sequences: see _outputs
    x = write_rows(writer, record, resize)
    nodes = [graph.nodes[i] for i in graph.inputs]
    return [
        _shaped(writer, x, node.shape)
        if node.clock is None
        else Value(writer.as_last(x).name, node.shape)
        for node in nodes
    ]


def _shaped(writer: Writer, x: Value, shape: tuple[int, ...]) -> Value:
    """Rows in the shape of an input; flat ones are taken as images row by row."""
    if x.shape == shape:
        return x
    last = writer.as_last(x)
    return Value(writer.reshaped(last.name, shape, "raw.shaped"), shape)


def _averaged(
    writer: Writer, members: Sequence[Network], inputs: Sequence[Value]
) -> list[Value]:
    """Outputs of a network, or the mean of those of several."""
    if len(members) == 1:
        return _outputs(writer, members[0], inputs)
    each = [
        _outputs(writer.of_member(f"{i}/"), net, inputs)
        for i, net in enumerate(members)
    ]
    graph = members[0].graph
    return [
        _mean(writer, graph, i, [member[i] for member in each])
        for i in range(len(graph.outputs))
    ]


def _mean(writer: Writer, graph: Graph, output: int, ys: Sequence[Value]) -> Value:
    """Of probabilities, where the members give their logarithms."""
    last = [writer.as_last(y) for y in ys]
    names, word = [y.name for y in last], f"mean.{graph.output_names[output]}"
    logs = graph.nodes[graph.outputs[output]].layer.kind == "log_softmax"
    if logs:
        names = [writer.node("Exp", [name], f"{word}.exp") for name in names]
    mean = writer.node("Mean", names, word)
    if logs:
        mean = writer.node("Log", [mean], f"{word}.log")
    return Value(mean, last[0].shape)


def _outputs(writer: Writer, net: Network, inputs: Sequence[Value]) -> list[Value]:
    """The layers of a network, one after the other."""
    values: list[Value] = []
    further: dict[int, list[Value]] = {}
    graph = net.graph
    times = Times.of(writer, graph, [x.name for x in inputs])
    given = dict(zip(graph.inputs, inputs, strict=True))
    for i, node in enumerate(graph.nodes):
        if i in given:
            begin = () if node.clock is None else (OPEN,)
            x = replace(given[i], shape=(*begin, *given[i].shape))
            values.append(times.packed(writer, x))
            continue
        if isinstance(node.layer, Further):
            values.append(further[node.inputs[0]][node.layer.number])
            continue
        own = {s.parameter.name: s.view(net.values) for s in net.layout.of_node(i)}
        write = writer_of(node.layer)
        assert write is not None
        along = node.layer.sequences
        feeds = [
            times.apart(writer, values[feed], feed) if at < along else values[feed]
            for at, feed in enumerate(node.inputs)
        ]
        found = write(Site(writer, node, own), *feeds)
        several = cast("list[Value]", found) if isinstance(found, list) else [found]
        first, *others = (times.packed(writer, y) for y in several)
        further[i] = others
        values.append(first)
    return [times.apart(writer, values[i], i) for i in graph.outputs]


# -- the file --------------------------------------------------------------------------


def _model(
    writer: Writer,
    raw: Sequence[RawInput],
    found: Sequence[Answer],
    metadata: Mapping[str, str],
) -> Any:
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        writer.nodes,
        "nervure",
        [_info(x.name, x.dtype, x.shape) for x in raw],
        [_info(y.name, y.dtype, y.shape) for y in found],
        [numpy_helper.from_array(a, name) for name, a in _used(writer).items()],
    )
    opsets = [helper.make_opsetid("", writer.opset)]
    if any(node.domain == ML for node in writer.nodes):
        opsets.append(helper.make_opsetid(ML, ML_OPSET))
    model = helper.make_model(
        graph,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="nervure",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(metadata))
    return model


def _shown(writer: Writer, answer: Answer, name: str) -> Answer:
    """An output under the name that was kept for it.

    The node that gives it is renamed; a value that is an input or another output too is
    passed on.
    """
    made = any(answer.name in node.output for node in writer.nodes)
    if made and answer.name not in writer.shown:
        for node in writer.nodes:
            for names in (node.input, node.output):
                _rename(names, answer.name, name)
    else:
        writer.taken.discard(name)
        writer.node("Identity", [answer.name], name)
    writer.shown.add(name)
    return replace(answer, name=name)


def _rename(names: Any, old: str, new: str) -> None:
    for i, name in enumerate(names):
        if name == old:
            names[i] = new


def _used(writer: Writer) -> dict[str, Any]:
    """The constants that a node reads."""
    read = {name for node in writer.nodes for name in node.input}
    return {name: array for name, array in writer.constants.items() if name in read}


def _info(name: str, dtype: Any, shape: Sequence[int | str]) -> Any:
    from onnx import TensorProto, helper

    kind = np.dtype(dtype)
    text = kind.kind in "USO"
    number = TensorProto.STRING if text else helper.np_dtype_to_tensor_dtype(kind)
    return helper.make_tensor_value_info(name, number, ["batch", *shape])


def _metadata(
    net: Network,
    record: Preprocessing | None,
    raw: Sequence[RawInput],
    further: Mapping[str, str] | None,
) -> dict[str, str]:
    """What the file says of itself beside the graph."""
    found = {"nervure.version": __version__}
    if record is not None:
        found["nervure.task"] = record.task
        found["nervure.inputs"] = json.dumps({x.name: x.holds for x in raw})
        found["nervure.targets"] = json.dumps(record.target_names)
        if isinstance(record.target, Classes):
            found["nervure.labels"] = json.dumps(record.target.labels)
    return found | dict(further or {})
