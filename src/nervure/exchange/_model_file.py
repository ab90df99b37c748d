# SPDX-License-Identifier: BSD-3-Clause
"""ONNX files, opened: bounded before anything of a declared size is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.extras import needed
from nervure.base.memory import physical_bytes
from nervure.base.words import short
from nervure.exchange.errors import ExchangeError, in_one_line

Array = npt.NDArray[Any]

MOST_NODES = 20_000
"""More than any published architecture has, local functions written out."""

MOST_DEPTH = 20
"""Of local functions that call each other."""

MOST_AXES = 16

ONNX_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """What a file holds: the graph, its constants, and the version of its operators."""

    where: str
    nodes: Sequence[Any]
    inputs: Sequence[Any]
    outputs: Sequence[str]
    constants: Mapping[str, Array]
    opset: int


def open_model(source: Any, external: str | os.PathLike[str] | None) -> OnnxModel:
    """The model of a path, of bytes, or a ``ModelProto``.

    Raises:
        ExchangeError: it is none, damaged, too large, of a later version, or its
            numbers are in other files.
    """
    needed("onnx", "onnx")
    where, model = _parsed(source)
    opset = _version(model, where)
    model = _written_out(model, where)
    graph = model.graph
    if len(graph.node) > MOST_NODES:
        raise _too_many(where, len(graph.node))
    if graph.sparse_initializer:
        raise ExchangeError(
            f"[{where}] holds sparse weights; expected dense ones; save it without"
        )
    folder = None if external is None else Path(external)
    constants = {t.name: read_tensor(t, where, folder) for t in graph.initializer}
    inputs = [x for x in graph.input if x.name not in constants]
    outputs = [y.name for y in graph.output]
    if not inputs or not outputs:
        raise _damaged(where, "no inputs or no outputs")
    return OnnxModel(where, graph.node, inputs, outputs, constants, opset)


def _parsed(source: Any) -> tuple[str, Any]:
    from onnx import ModelProto

    if isinstance(source, ModelProto):
        return "model", source
    where = "model" if isinstance(source, bytes) else cast("str", os.fspath(source))
    data = source if isinstance(source, bytes) else _bytes_of(where)
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf raises DecodeError, whose home has moved
        raise _damaged(
            where, f"it is no ONNX ({' '.join(str(error).split())})"
        ) from None
    if not model.ir_version or not model.HasField("graph"):
        raise _damaged(where, "it is no ONNX: it has no graph")
    return where, model


def _bytes_of(where: str) -> bytes:
    try:
        if os.path.exists(where) and not os.path.isfile(where):
            raise _damaged(where, "a folder or device")
        size = os.path.getsize(where)
        if size > min(2**31, physical_bytes() // 4):
            raise ExchangeError(
                f"[{where}] {size:,} bytes; expected at most 2 GB and a quarter of the "
                "memory; use a smaller model"
            )
        with open(where, "rb") as file:
            return file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ExchangeError(
            f"[{where}] cannot be read: {reason}; expected an ONNX file; check the path"
        ) from error


def _version(model: Any, where: str) -> int:
    """The version of ONNX's own operators."""
    import onnx

    versions = {o.domain: o.version for o in model.opset_import}
    opset = max((versions[d] for d in ONNX_DOMAINS if d in versions), default=0)
    newest = onnx.defs.onnx_opset_version()
    if opset > newest or model.ir_version > onnx.IR_VERSION:
        raise ExchangeError(
            f"[{where}] written in version {model.ir_version} with operators of opset "
            f"{opset}; expected at most {onnx.IR_VERSION} and {newest}; update onnx, "
            "or export the model with an earlier opset"
        )
    if opset < 1:
        raise ExchangeError(
            f"[{where}] operators of opset {opset}; expected 1 to {newest}; export the "
            "model again"
        )
    return opset


def _written_out(model: Any, where: str) -> Any:
    """The model without local functions, whose nodes stand where they are called."""
    if not model.functions:
        return model
    from onnx import inliner

    _check_calls(model, where)
    try:
        return inliner.inline_local_functions(model)
    except Exception as error:
        raise _damaged(
            where, f"its functions ({' '.join(str(error).split())[:200]})"
        ) from None


def _check_calls(model: Any, where: str) -> None:
    """How many nodes there are once all functions are written out."""
    functions = {(f.domain, f.name): f for f in model.functions}
    known: dict[Any, int] = {}

    def size(nodes: Any, depth: int) -> int:
        if depth > MOST_DEPTH:
            raise _damaged(
                where, f"functions call each other more than {MOST_DEPTH} deep"
            )
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in functions and key not in known:
                known[key] = size(functions[key].node, depth + 1)
            total += known.get(key, 1)
        return total

    total = size(model.graph.node, 0)
    if total > MOST_NODES:
        raise _too_many(where, total)


# -- numbers ---------------------------------------------------------------------------


def read_tensor(tensor: Any, where: str, folder: Path | None = None) -> Array:
    """A tensor's numbers, if there are as many as its shape says."""
    from onnx import TensorProto, numpy_helper

    shape, name = tuple(tensor.dims), short(tensor.name)
    if len(shape) > MOST_AXES or any(n < 0 for n in shape):
        raise _damaged(where, f"tensor {name} has shape {short(shape)}")
    external = tensor.data_location == TensorProto.EXTERNAL
    if external:
        return _external(tensor, shape, where, folder)
    try:
        known = tensor.data_type in _numbers()
        stored = len(tensor.raw_data) // _numbers()[tensor.data_type] if known else 0
        if tensor.HasField("raw_data") and known and stored < math.prod(shape):
            raise ValueError(f"{len(tensor.raw_data):,} bytes for shape {shape}")
        return numpy_helper.to_array(tensor)
    except Exception as error:  # as many as there are ways to be malformed
        fact = in_one_line(error, 200)
        raise _damaged(where, f"tensor {name}: {fact}") from None


def _numbers() -> dict[int, float]:
    """Bytes of one number of each type that is stored plainly."""
    from onnx import TensorProto, helper

    names = (
        "FLOAT UINT8 INT8 UINT16 INT16 INT32 INT64 BOOL FLOAT16 DOUBLE UINT32 UINT64"
    )
    types = [TensorProto.DataType.Value(name) for name in names.split()]
    return {t: np.dtype(helper.tensor_dtype_to_np_dtype(t)).itemsize for t in types}


def _external(
    tensor: Any, shape: tuple[int, ...], where: str, folder: Path | None
) -> Array:
    """Numbers in another file, of a folder that was named as theirs."""
    from onnx import helper

    name = short(tensor.name)
    told = {entry.key: entry.value for entry in tensor.external_data}
    location = told.get("location", "")
    if folder is None:
        raise ExchangeError(
            f"[{where}] tensor {name} is in another file, {short(location)}; expected "
            "the numbers in the model; name the folder with external_data=, if you "
            "trust it, or save the model as one file"
        )
    root = folder.resolve()
    path = (root / location).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise ExchangeError(
            f"[{where}] tensor {name} is in {short(location)}; expected a file inside "
            f"of {folder}; name the folder where the model was saved"
        )
    if tensor.data_type not in _numbers():
        raise _damaged(where, f"tensor {name} is of type {tensor.data_type}")
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    try:
        offset = int(told.get("offset", 0))
    except ValueError:
        raise _damaged(
            where, f"tensor {name} begins at {short(told['offset'])}"
        ) from None
    count = math.prod(shape)
    if offset < 0 or offset + count * dtype.itemsize > path.stat().st_size:
        raise _damaged(where, f"tensor {name} goes beyond the end of {short(location)}")
    return np.fromfile(path, dtype, count, offset=offset).reshape(shape)


def _damaged(where: str, fact: str) -> ExchangeError:
    return ExchangeError(
        f"[{where}] damaged: {fact}; expected an ONNX file as it was saved; get it "
        "again"
    )


def _too_many(where: str, count: int) -> ExchangeError:
    return ExchangeError(
        f"[{where}] {count:,} nodes; expected at most {MOST_NODES:,}; use a smaller "
        "model"
    )
