# SPDX-License-Identifier: BSD-3-Clause
"""The Open Inference Protocol, version 2: tensors in JSON to rows, answers to tensors.

A table has one tensor for each column, of shape ``[rows]`` or ``[rows, 1]``, in which
null is a missing value; arrays have one tensor. Classes are answered by their labels,
with the probabilities of all of them in one tensor.

Source: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure import __version__
from nervure.base.words import found, many, short, unknown
from nervure.data.records import MOST_AXES, Category, TableColumn, TableInput, Text
from nervure.serving.answers import Columns, Wanted
from nervure.serving.bodies import (
    columns_by_name,
    is_flag,
    is_number,
    is_text,
    is_whole,
)
from nervure.serving.faults import RequestError, fault
from nervure.serving.model import Served, probe

Array = npt.NDArray[Any]

VERSION = "1"
"""Of the model: there is one at a time."""

FLOATS = {"FP32": np.float32, "FP64": np.float64}
INTEGERS = {
    f"{sign}INT{bits}": np.dtype(f"{sign.lower()}int{bits}").type
    for sign in ("", "U")
    for bits in (8, 16, 32, 64)
}
DATATYPES = ("BOOL", *INTEGERS, *FLOATS, "BYTES")

_GROUPS = {"probability_": "probabilities", "in_set_": "in_set"}
"""How columns of single classes begin, and the tensor that they become."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a request or an answer; ``values`` are flat, in row-major order."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "datatype": self.datatype,
            "shape": list(self.shape),
            "data": self.values,
        }


# -- metadata -------------------------------------------------------------------------


def server_metadata() -> dict[str, Any]:
    """What ``GET v2`` says."""
    return {"name": "nervure", "version": __version__, "extensions": []}


def model_metadata(served: Served) -> dict[str, Any]:
    """What ``GET v2/models/NAME`` says."""
    return {
        "name": served.name,
        "versions": [VERSION],
        "platform": "nervure",
        "inputs": _inputs(served),
        "outputs": _outputs(served),
    }


def _inputs(served: Served) -> list[dict[str, Any]]:
    table = served.record.inputs
    if isinstance(table, TableInput):
        return [
            {"name": column.name, "datatype": _datatype(column), "shape": [-1]}
            for column in table.columns
        ]
    shape = [-1, *served.record.shape]
    kind = "FP64" if served.network.dtype == "float64" else "FP32"
    return [{"name": input_name(served), "datatype": kind, "shape": shape}]


def input_name(served: Served) -> str:
    """What the only tensor of a network of arrays is called."""
    graph = served.network.graph
    return graph.nodes[graph.inputs[0]].name


def _datatype(column: TableColumn) -> str:
    if isinstance(column, Text):
        return "BYTES"
    if isinstance(column, Category):
        return {"text": "BYTES", "boolean": "BOOL", "integer": "INT64"}[column.source]
    return "BYTES" if column.date or column.written is not None else "FP64"


def _outputs(served: Served) -> list[dict[str, Any]]:
    wanted = Wanted(probabilities=bool(served.labels))
    columns = served.columns(served.outputs(probe(served, 1)), wanted)
    return [
        {"name": t.name, "datatype": t.datatype, "shape": [-1, *t.shape[1:]]}
        | ({"parameters": {"labels": served.labels}} if len(t.shape) > 1 else {})
        for t in tensors_of(served, columns)
    ]


# -- requests -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Inference:
    """A request: its id, its rows, the outputs it asks for (None: all) and how sure."""

    id: str | None
    rows: Any
    outputs: tuple[str, ...] | None
    interval: float | None


def inference_of(served: Served, value: Any) -> Inference:
    """A request of the protocol, every value checked.

    Raises:
        RequestError: it is none, or its tensors are not those of the model.
    """
    request = _table("request", value)
    tensors = [
        read_tensor(f"inputs[{i}]", one)
        for i, one in enumerate(_list("inputs", request.get("inputs")))
    ]
    own = request.get("id")
    if own is not None and not isinstance(own, str):
        raise fault("id", f"{found(own)}; expected text; leave it out")
    wanted = request.get("outputs")
    names = None if wanted is None else tuple(_wanted_names(wanted))
    parameters = _table("parameters", request.get("parameters", {}))
    return Inference(own, rows_of(served, tensors), names, parameters.get("interval"))


def _wanted_names(wanted: Any) -> Iterator[str]:
    for i, one in enumerate(_list("outputs", wanted)):
        yield _text(f"outputs[{i}].name", _table(f"outputs[{i}]", one).get("name"))


def read_tensor(where: str, value: Any) -> Tensor:
    """A tensor of a request.

    Raises:
        RequestError: its data are not of its type or shape.
    """
    table = _table(where, value)
    name = _text(f"{where}.name", table.get("name"))
    datatype = _text(f"{where}.datatype", table.get("datatype"))
    if datatype not in DATATYPES:
        raise RequestError(unknown(where, "datatype", datatype, DATATYPES))
    shape = _list(f"{where}.shape", table.get("shape"))
    if len(shape) > 1 + MOST_AXES or not all(type(n) is int and n > 0 for n in shape):
        fact = (
            f"shape {short(shape)}; expected 1 to {1 + MOST_AXES} whole numbers (> 0)"
        )
        raise fault(where, f"{fact}; correct it")
    values = _flat(where, _list(f"{where}.data", table.get("data")))
    if math.prod(shape) != len(values):
        fact = f"{many(len(values), 'value')} for shape {short(shape)}"
        raise fault(where, f"{fact}; expected as many as it holds; correct either")
    return Tensor(name, datatype, tuple(shape), _checked(where, datatype, values))


def _flat(where: str, values: list[Any]) -> list[Any]:
    """The numbers of lists in lists, in their order."""
    for _ in range(1 + MOST_AXES):
        if not any(isinstance(one, list) for one in values):
            return values
        if not all(isinstance(one, list) for one in values):
            raise fault(where, "lists beside values; expected one of both; correct it")
        values = list(itertools.chain.from_iterable(values))
    raise fault(where, "lists in lists without end; expected flat data; send it flat")


def _checked(where: str, datatype: str, values: list[Any]) -> list[Any]:
    """The values if they are of a datatype, those of single precision rounded to it."""
    fits, words = _CHECKS["INT" if datatype in INTEGERS else datatype]
    low = high = 0
    if datatype in INTEGERS:
        bounds = np.iinfo(INTEGERS[datatype])
        low, high = int(bounds.min), int(bounds.max)
    for i, value in enumerate(values):
        if value is None:
            continue
        if not fits(value) or (low < high and not low <= value <= high):
            raise fault(
                f"{where}.data",
                f"value {i} is {found(value)}; expected {words} ({datatype}); "
                "correct it, or the datatype",
            )
    if datatype == "FP32":
        return [None if v is None else _single(v) for v in values]
    return values


def _single(value: float) -> float:
    try:
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


_CHECKS: dict[str, Any] = {
    "BOOL": (is_flag, "true or false"),
    "INT": (is_whole, "a whole number within the type"),
    "FP32": (is_number, "a number"),
    "FP64": (is_number, "a number"),
    "BYTES": (is_text, "text"),
}


def rows_of(served: Served, tensors: Sequence[Tensor]) -> Any:
    """Rows of tensors as a `Preprocessing` encodes them.

    Raises:
        RequestError: they are not the tensors of the model.
    """
    record = served.record
    named = {tensor.name: tensor for tensor in tensors}
    if len(named) < len(tensors):
        raise fault("inputs", "a name twice; expected each once; leave one out")
    if not isinstance(record.inputs, TableInput):
        return _array(named, input_name(served))
    lengths = {tensor.shape[0] for tensor in tensors}
    if len(lengths) > 1:
        fact = f"tensors of {', '.join(map(str, sorted(lengths)))} rows"
        raise fault("inputs", f"{fact}; expected as many in all; correct them")
    for tensor in tensors:
        if math.prod(tensor.shape) != tensor.shape[0]:
            fact = f"shape {list(tensor.shape)}; expected [rows] or [rows, 1]"
            raise fault(f"input {tensor.name!r:.60}", f"{fact}; send one per column")
    values = {tensor.name: tensor.values for tensor in tensors}
    return columns_by_name(record.inputs, record.target_names, values)


def _array(named: dict[str, Tensor], name: str) -> Array:
    tensor = named.pop(name, None)
    if tensor is None or named:
        other = next(iter(named), None)
        if other is None:
            raise fault("inputs", f"none; expected {name!r}; send it")
        raise RequestError(unknown("inputs", "tensor", other, [name]))
    if tensor.datatype == "BYTES" or None in tensor.values:
        raise fault(f"input {name!r}", "text or nulls; expected numbers; correct it")
    dtype = {**INTEGERS, **FLOATS, "BOOL": np.bool_}[tensor.datatype]
    return np.array(tensor.values, dtype).reshape(tensor.shape)


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise fault(where, f"{found(value)}; expected an object; see the protocol")
    return cast("dict[str, Any]", value)


def _list(where: str, value: Any) -> list[Any]:
    if isinstance(value, list) and value:
        return cast("list[Any]", value)
    fact = "an empty list" if value == [] else found(cast(object, value))
    raise fault(where, f"{fact}; expected a list; see the protocol")


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise fault(where, f"{found(value)}; expected text; see the protocol")
    return value


# -- answers --------------------------------------------------------------------------


def response(
    served: Served, asked: Inference, columns: Columns, warned: Sequence[str]
) -> dict[str, Any]:
    """The answer of the protocol.

    Raises:
        RequestError: an output is asked for that there is not.
    """
    tensors = {tensor.name: tensor for tensor in tensors_of(served, columns)}
    for name in asked.outputs or ():
        if name not in tensors:
            raise RequestError(unknown("outputs", "output", name, tensors))
    names = tensors if asked.outputs is None else asked.outputs
    answer: dict[str, Any] = {"model_name": served.name, "model_version": VERSION}
    if asked.id is not None:
        answer["id"] = asked.id
    if warned:
        answer["parameters"] = {"warnings": "\n".join(warned)}
    return answer | {"outputs": [tensors[name].to_json() for name in names]}


def tensors_of(served: Served, columns: Columns) -> list[Tensor]:
    """Columns as tensors, those of all classes side by side in one."""
    names = served.network.graph.output_names
    groups = {
        f"{before}{start}{label}": f"{before}{group}"
        for before in ([f"{name}_" for name in names] if len(names) > 1 else [""])
        for start, group in _GROUPS.items()
        for label in served.labels
    }
    grouped: dict[str, list[Array]] = {}
    for name, column in columns.items():
        grouped.setdefault(groups.get(name, name), []).append(column)
    side_by_side = {*groups.values()}
    return [
        _tensor(name, np.stack(parts, axis=1) if name in side_by_side else parts[0])
        for name, parts in grouped.items()
    ]


def _tensor(name: str, array: Array) -> Tensor:
    flat = array.reshape(-1)
    return Tensor(name, _datatype_of(flat), array.shape, plain(flat))


def _datatype_of(array: Array) -> str:
    kinds = {"b": "BOOL", "i": "INT64", "u": "UINT64"}
    if array.dtype.kind == "f":
        return "FP32" if array.dtype.itemsize == 4 else "FP64"
    return kinds.get(array.dtype.kind, "BYTES")


def plain(column: Array) -> list[Any]:
    """Values as JSON has them: numbers as short as they can be, null for no number."""
    if column.dtype.kind != "f":
        return column.tolist()
    texts = column.astype(str) if column.dtype.itemsize == 4 else column
    return [x if math.isfinite(x) else None for x in map(float, texts.tolist())]
