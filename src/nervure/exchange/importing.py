# SPDX-License-Identifier: BSD-3-Clause
"""ONNX files to networks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from nervure.base.words import short, unknown
from nervure.exchange._constants import folded
from nervure.exchange._held import (
    Held,
    Known,
    NotCoveredError,
    in_order,
)
from nervure.exchange._made import network_of
from nervure.exchange._model_file import ONNX_DOMAINS, OnnxModel, open_model
from nervure.exchange._open_time import is_open
from nervure.exchange._read_numbers import WHOLE
from nervure.exchange._read_operators import FREE, MAPS, OPERATORS, TRUTHS
from nervure.exchange._read_rows import parted
from nervure.exchange._read_sequences import KINDS as RECURRENT
from nervure.exchange._read_terms import makes_codes
from nervure.exchange._read_time import begin as begin_open
from nervure.exchange._read_time import ending, read_open
from nervure.exchange._reader import Op, Reader, Value
from nervure.exchange.errors import ExchangeError, in_one_line
from nervure.layers import Input, Layer, LayerError, Shape, Symbol
from nervure.network.network import Network

MOST_FAULTS = 50


def import_onnx(
    path: str | os.PathLike[str] | bytes | Any,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    rows: bool = True,
    time_first: bool = False,
    channels_last: bool = True,
    external_data: str | os.PathLike[str] | None = None,
    dtype: str | None = None,
) -> Network:
    """The network of an ONNX file: to be used, trained further, given another head.

    Operators become layers, weights parameters, constants are worked out. Maps, which
    have their channels first in ONNX, have them last here: in the inputs that
    convolutions and their like read, in all layers between, and in the outputs.
    BatchNormalization stays a layer that learns.

    Recurrent operators take sequences of one length; where time comes before the rows
    in the file, as inside of models of PyTorch, the network has rows first. An axis
    behind the rows that is open and called ``time``, as `export` writes it, stays open:
    ``nv.Input((None, features))``; with ``shapes`` it has so many steps.

    Nothing in the file is executed: it holds numbers and names of known operators.

    Args:
        path: the file; or its bytes, or an ``onnx.ModelProto``.
        shapes: of one sample of an input, by its name, in ONNX's order and without the
            rows: for inputs whose extents the file leaves open.
        rows: whether the first axis of every input counts the rows. Else an input is
            one sample as a whole, and the network takes as many of them as there are.
        time_first: whether the first axis of every input is time and the second counts
            the rows, as PyTorch's recurrent layers have it; the network takes rows
            first, as ever.
        channels_last: whether maps at the ends have their channels last; else they are
            as in the file, and turned inside of the network.
        external_data: folder of the files that hold weights apart from the model.
        dtype: ``"float32"`` or ``"float64"``; by default double where the file has
            inputs of doubles.

    Raises:
        ExchangeError: no ONNX file, or a damaged one; an extent that is open; or
            everything that no layer stands for, with the names of the nodes.

    >>> import tempfile, nervure as nv
    >>> net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=7)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nv.export(net, f"{folder}/net.onnx")
    ...     same = nv.import_onnx(f"{folder}/net.onnx")
    >>> bool((same.forward([[1, 2, 3, 4]]) == net.forward([[1, 2, 3, 4]])).all())
    True
    """
    with np.errstate(all="ignore"):  # numbers that are not finite stay so
        model = open_model(path, external_data)
        begin = Begin(dict(shapes or {}), rows, time_first, channels_last)
        return _read_model(model, begin, dtype)


@dataclass(frozen=True)
class Begin:
    """How inputs are to be understood, in the words of `import_onnx`."""

    shapes: dict[str, Sequence[int]]
    rows: bool
    time_first: bool
    channels_last: bool

    @property
    def axis(self) -> int | None:
        """The one that counts the rows."""
        return int(self.time_first) if self.rows else None


def _read_model(model: OnnxModel, begin: Begin, dtype: str | None) -> Network:
    lead = 1 if begin.rows else 0
    uses = Counter(name for node in model.nodes for name in node.input)
    reader = Reader(model.opset, lead, uses, frozenset(model.outputs))
    reader.double = _dtype(model) == "float64"
    for name, array in model.constants.items():
        reader.values[name] = Known(array, learned=array.dtype.kind == "f")
    begins = _inputs(reader, model, begin)
    _read_nodes(reader, model)
    ends = [
        _end(reader, model, name, begin.channels_last and _gives_maps(model, name))
        for name in model.outputs
    ]
    symbols = [end.symbol for end in ends]
    return network_of(
        model.where, begins, symbols, reader.weights, dtype or _dtype(model)
    )


# -- inputs ----------------------------------------------------------------------------


def _inputs(reader: Reader, model: OnnxModel, begin: Begin) -> list[Layer]:
    names = [value.name for value in model.inputs]
    for name in begin.shapes:
        if name not in names:
            raise ExchangeError(unknown(model.where, "input", name, names))
    begins: list[Layer] = []
    for value in model.inputs:
        rest = None if value.name in begin.shapes else _open_time(value, begin)
        if rest is not None:
            clock = value.type.tensor_type.shape.dim[1].dim_param
            layer, reader.values[value.name] = begin_open(
                reader, value.name, rest, clock
            )
            if _whole(model, value):
                reader.whole.add(value.name)
            begins.append(layer)
            continue
        shape = _shape(model, value, begin.shapes.get(value.name), begin.axis)
        last = begin.channels_last and len(shape) > 1 and _reads_maps(model, value.name)
        axes = (*range(1, len(shape)), 0) if last else tuple(range(len(shape)))
        lies = tuple(shape[axis] for axis in axes) or (1,)
        layer = Input(lies, name=reader.named(value.name))
        if _whole(model, value):
            reader.whole.add(value.name)
        reader.values[value.name] = Held(layer, shape, axes, rows=begin.axis or 0)
        begins.append(layer)
    return begins


def _open_time(value: Any, begin: Begin) -> Shape | None:
    """The shape of a step, where the axis behind the rows is open and called time."""
    dims = list(value.type.tensor_type.shape.dim)
    if begin.axis != 0 or len(dims) < 2 or dims[1].HasField("dim_value"):
        return None
    named = dims[1].dim_param
    if named != "time" and not named.endswith("_time"):
        return None
    if any(not d.HasField("dim_value") or d.dim_value < 1 for d in dims[2:]):
        return None
    return tuple(d.dim_value for d in dims[2:])


def _shape(
    model: OnnxModel, value: Any, given: Sequence[int] | None, rows: int | None
) -> Shape:
    """The shape of a sample: without the axis that counts the rows."""
    if given is not None:
        return tuple(int(n) for n in given)
    tensor = value.type.tensor_type
    where, name = model.where, short(value.name)
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        raise ExchangeError(
            f"[{where}] input {name} is no array of a known shape; expected arrays of "
            "numbers; change the model"
        )
    dims = list(tensor.shape.dim)
    if rows is not None and len(dims) <= rows:
        word = "time_first=False" if rows else "rows=False"
        raise ExchangeError(
            f"[{where}] input {name} has {len(dims)} axes; expected rows on axis "
            f"{rows}; use {word}"
        )
    extents = [
        d.dim_value if d.HasField("dim_value") else None
        for axis, d in enumerate(dims)
        if axis != rows
    ]
    if any(n is None or n < 1 for n in extents):
        shown = ", ".join("?" if not n else str(n) for n in extents)
        raise ExchangeError(
            f"[{where}] input {name} has samples of shape ({shown}); expected extents "
            f"that are known; pass shapes={{{name}: (...)}}"
        )
    return tuple(cast(list[int], extents))


def _reads_maps(model: OnnxModel, name: str) -> bool:
    """Whether a value goes to operators over maps, through none that would turn it."""
    reached = {name}
    for node in model.nodes:
        if reached.isdisjoint(node.input):
            continue
        if node.op_type in MAPS and node.input[0] in reached:
            return True
        if node.op_type in FREE:
            reached.update(node.output)
    return False


def _gives_maps(model: OnnxModel, name: str) -> bool:
    """Whether a value comes from operators over maps, through none that would turn
    it."""
    wanted = {name}
    for node in reversed(model.nodes):
        if wanted.isdisjoint(node.output):
            continue
        if node.op_type in MAPS:
            return True
        if node.op_type in FREE:
            wanted.update(node.input)
    return False


def _whole(model: OnnxModel, value: Any) -> bool:
    """Whether an input holds whole numbers; raises where it holds none that layers
    compute with."""
    from onnx import TensorProto

    code = value.type.tensor_type.elem_type
    types = TensorProto.DataType
    kind = types.Name(code) if code in types.values() else str(code)
    if kind in ("FLOAT", "DOUBLE"):
        return False
    if kind in (*WHOLE, "BOOL"):
        return True
    raise ExchangeError(
        f"[{model.where}] input {short(value.name)} holds {kind}; expected numbers of "
        "32 or 64 bits, whole ones, or truth values; change the model's input"
    )


def _dtype(model: OnnxModel) -> str:
    from onnx import TensorProto

    double = any(
        x.type.tensor_type.elem_type == TensorProto.DOUBLE for x in model.inputs
    )
    return "float64" if double else "float32"


# -- nodes -----------------------------------------------------------------------------


def _read_nodes(reader: Reader, model: OnnxModel) -> None:
    """Every node in turn; what is not covered is told of all of them at once."""
    faults: list[str] = []
    for node in model.nodes:
        _check_order(reader, model, node)
        inputs = tuple(reader.values[n] if n else None for n in node.input)
        if any(n and reader.values[n] is None for n in node.input):
            found: list[Value | None] = [None] * len(node.output)  # told already
        else:
            found = _read(reader, node, inputs, faults)
        if Op(reader, node, inputs).gives_whole(TRUTHS):
            reader.whole.update(node.output)
        for name, value in zip(node.output, found, strict=False):
            if name:
                reader.values[name] = _as_end(reader, name, value)
    if faults:
        more = len(faults) - MOST_FAULTS
        rest = [f"... and {more} more"] if more > 0 else []
        raise ExchangeError(
            "\n".join(
                f"[{model.where}] {line}" for line in [*faults[:MOST_FAULTS], *rest]
            )
            + f"\n[{model.where}] expected operators that layers stand for; change or "
            "cut the model there"
        )


def _check_order(reader: Reader, model: OnnxModel, node: Any) -> None:
    for name in node.input:
        if name and name not in reader.values:
            raise ExchangeError(
                f"[{model.where}] node {short(node.name or node.op_type)} reads "
                f"{short(name)}, which no node before it gives; expected nodes in "
                "order and no circle; save the model again"
            )
    for name in node.output:
        if name and name in reader.values:
            raise ExchangeError(
                f"[{model.where}] two nodes give {short(name)}; expected one; save the "
                "model again"
            )


def _read(
    reader: Reader, node: Any, inputs: tuple[Value | None, ...], faults: list[str]
) -> list[Value | None]:
    try:
        some_open = any(map(is_open, inputs))
        given, axis = (inputs, 0) if some_open else parted(inputs)
        op = Op(reader, node, given, axis)
        if node.domain not in ONNX_DOMAINS:
            raise NotCoveredError(f"an operator of {short(node.domain)}")
        if node.op_type == "Round" and isinstance(given[0], Held):
            reader.rounded[node.output[0]] = given[0]
        if some_open or makes_codes(op):
            return list(read_open(op))
        constants = None if node.op_type in ("Shape", "Size") else folded(op)
        if constants is not None:
            return list(constants)
        if node.op_type not in OPERATORS:
            raise NotCoveredError("no layer stands for it")
        found = OPERATORS[node.op_type](op)
        return list(found) if isinstance(found, tuple) else [found]
    except (NotCoveredError, LayerError) as error:
        name = short(node.name or (node.output[0] if node.output else ""))
        faults.append(f"{name} ({short(node.op_type)[1:-1]}): {error}")
    except (
        ValueError,
        TypeError,
        IndexError,
        ArithmeticError,
        AttributeError,
    ) as error:
        name = short(node.name or (node.output[0] if node.output else ""))
        fact = in_one_line(error, 200)
        faults.append(f"{name} ({short(node.op_type)[1:-1]}): malformed ({fact})")
    return [None] * len(node.output)


def _as_end(reader: Reader, name: str, value: Value | None) -> Value | None:
    """An output's layer bears its name, where it has none yet."""
    if name not in reader.ends or not isinstance(value, Held):
        return value
    symbol = value.symbol
    if not isinstance(symbol, Symbol) or symbol.layer.name is not None:
        return value
    named = replace(symbol.layer, name=reader.named(name))
    return replace(value, symbol=Symbol(named, symbol.inputs))


# -- outputs ---------------------------------------------------------------------------


def _end(reader: Reader, model: OnnxModel, name: str, channels_last: bool) -> Held:
    """An output as the network gives it."""
    value, where = reader.values.get(name), model.where
    if value is None:
        raise ExchangeError(
            f"[{where}] output {short(name)} is given by no node; expected one; save "
            "the model again"
        )
    if is_open(value):
        found = ending(value)
        if found is None:
            raise ExchangeError(
                f"[{where}] output {short(name)} has an open axis of time and is given "
                "by no layer; expected (rows, time, ...); cut the model before it"
            )
        return found
    if isinstance(value, Known):
        if reader.lead or value.symbolic or value.array.size == 0:
            raise ExchangeError(
                f"[{where}] output {short(name)} is made of no number of the inputs; "
                "expected outputs that depend on them; leave it out of the model"
            )
        return reader.stored(value, name)
    if value.rows and not _has_recurrent(model):
        raise ExchangeError(
            f"[{where}] output {short(name)} has the rows on axis {value.rows}; "
            "expected them on the first; leave out what moves them"
        )
    last = (*range(1, len(value.shape)), 0)
    if channels_last and value.order is None and value.axes == last:
        return value
    return in_order(value)


def _has_recurrent(model: OnnxModel) -> bool:
    return any(node.op_type in RECURRENT for node in model.nodes)
