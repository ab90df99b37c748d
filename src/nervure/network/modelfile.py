# SPDX-License-Identifier: BSD-3-Clause
"""Model files: one safetensors file with the weights and a JSON document.

The file is data only: reading it runs no code, imports nothing by name, and takes no
more memory than the file is large. The document stands in the header's metadata under
the key ``nervure``; equal networks give equal bytes.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import numpy.typing as npt

from nervure.base import plain
from nervure.base.files import replacing
from nervure.base.plain import BAD, Faults, Place
from nervure.base.words import found, is_list, is_table, short
from nervure.graph.entries import (
    MOST_LAYERS,
    check_edges,
    check_entries,
    layer_from_dict,
    read_inputs,
)
from nervure.graph.node import Entry, layer_to_dict

Array = npt.NDArray[Any]

KEY = "nervure"
FORMAT = 1
"""Version of the document; a reader takes its own and every earlier one."""

MOST_DOCUMENT = 12 << 20
"""Bytes of the document; labels of half a million classes fit."""

MOST_HEADER = 32 << 20
"""Bytes of the header: the document, its quotes escaped, and the weights' names."""

MOST_PARTS = 1_000_000
"""Lists and tables of a document or header: each takes 64 bytes of memory or more."""

IN_MEMORY = "model"
"""What stands in errors for the path of a model that is no file."""

_DTYPES = ("F32", "F64", "I32", "I64", "U8")
_Dtype = Literal["float32", "float64"]


class ModelFileError(ValueError):
    """A file that is no model file, is damaged, or does not fit its network."""


@dataclass(frozen=True)
class NetworkEntries:
    """A network as a model file holds it; every entry has a name and inputs."""

    entries: tuple[Entry, ...]
    outputs: tuple[str, ...] = ()
    dtype: _Dtype = "float32"


# -- the file -------------------------------------------------------------------------


def write_model(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Array],
    document: Mapping[str, Any],
) -> None:
    """Write weights and document as one file, atomically.

    Raises:
        ModelFileError: the document is not JSON data, or too large.
        WriteError: the file cannot be written; an earlier one is untouched.
    """
    import safetensors.numpy
    from safetensors import SafetensorError

    save_file = cast(Any, safetensors.numpy).save_file
    whole, metadata = _packed(tensors, document, os.fspath(path))
    with replacing(path) as temporary:
        try:
            save_file(whole, temporary, metadata)
        except SafetensorError as error:
            raise _as_os_error(error) from error


def model_bytes(tensors: Mapping[str, Array], document: Mapping[str, Any]) -> bytes:
    """Weights and document as the bytes of a model file.

    Raises:
        ModelFileError: the document is not JSON data, or too large.
    """
    import safetensors.numpy

    return cast(Any, safetensors.numpy).save(*_packed(tensors, document, IN_MEMORY))


def _packed(
    tensors: Mapping[str, Array], document: Mapping[str, Any], where: str
) -> tuple[dict[str, Array], dict[str, str]]:
    metadata = {KEY: _to_json({**document, "format": FORMAT}, where)}
    # The library takes the arrays' memory as it lies, so it must lie in order.
    return {name: _in_order(tensors[name]) for name in sorted(tensors)}, metadata


def read_model(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The weights by name and the document of a model file.

    Raises:
        ModelFileError: the file is missing, foreign, damaged, or of a later version.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_model(f"{folder}/a.safetensors", {"w": np.ones(2)}, {"note": "hi"})
    ...     read_model(f"{folder}/a.safetensors")
    ({'w': array([1., 1.])}, {'format': 1, 'note': 'hi'})
    """
    from safetensors import SafetensorError
    from safetensors import safe_open as untyped

    safe_open = cast(Any, untyped)
    where = os.fspath(path)
    document = _document(_metadata(path, where), where)
    try:
        with safe_open(path, framework="np") as file:
            names = sorted(file.keys())
            return {name: file.get_tensor(name) for name in names}, document
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise _damaged(where, str(error).lower()) from error


def read_model_bytes(data: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    """The weights and the document that `model_bytes` wrote; see `read_model`."""
    import safetensors.numpy
    from safetensors import SafetensorError

    header = _header(io.BytesIO(data), IN_MEMORY)
    document = _document(_metadata_of(header, IN_MEMORY), IN_MEMORY)
    try:
        return cast(Any, safetensors.numpy).load(data), document
    except (SafetensorError, ValueError, TypeError) as error:
        raise _damaged(IN_MEMORY, str(error).lower()) from error


def check_parameters(
    where: str,
    tensors: Mapping[str, Array],
    expected: Mapping[str, tuple[tuple[int, ...], str]],
) -> None:
    """Compare weights with the shapes and dtypes that the network has.

    Call it before anything of the network's size is allocated: shapes in a file from
    a stranger may be of any size, its weights may not.

    Raises:
        ModelFileError: every missing, unexpected or differing weight, one line each.
    """
    at = Faults(where).at()
    for name, (shape, dtype) in expected.items():
        wanted = f"expected {dtype} {shape}"
        if name not in tensors:
            at.key(name).bad(f"missing; {wanted}")
        elif (array := tensors[name]).shape != shape or array.dtype != dtype:
            at.key(name).bad(f"found {array.dtype} {array.shape}; {wanted}")
    for name in sorted(set(tensors) - set(expected)):
        at.key(name).bad("no such parameter in the network")
    if at.faults.lines:
        at.bad("weights and network differ; use the file as it was saved")
    at.faults.raise_as(ModelFileError)


def _in_order(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(np.shape(array))


def _as_os_error(error: Exception) -> OSError:
    """The library words the system's errors as text: ``... (os error 28)``."""
    found = re.search(r"os error (\d+)", str(error))
    number = int(found[1]) if found else errno.EIO
    return OSError(number, os.strerror(number) if found else str(error))


# -- the header -----------------------------------------------------------------------


def _metadata(path: str | os.PathLike[str], where: str) -> Mapping[str, Any]:
    """The metadata of a safetensors header whose sizes agree with the file's."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise _foreign(where, "a folder or device")
        with open(path, "rb") as file:
            header = _header(file, where)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelFileError(
            f"[{where}] cannot be read: {reason}; expected a model file "
            f"(.safetensors); check the path"
        ) from error
    return _metadata_of(header, where)


def _metadata_of(header: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    metadata = header.get("__metadata__")
    if not is_table(metadata) or KEY not in metadata:
        raise _foreign(where, f"safetensors without the metadata key '{KEY}'")
    return metadata


def _header(file: BinaryIO, where: str) -> dict[str, Any]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(8)
    if len(start) < 8:
        raise _foreign(where, f"a file of {size} bytes")
    (length,) = struct.unpack("<Q", start)
    brace = file.read(1)
    if brace != b"{" or length < 2:
        raise _foreign(where, "a file that does not begin as safetensors do")
    if length > MOST_HEADER:
        most = MOST_HEADER >> 20
        raise _foreign(where, f"a header of {length:,} bytes (at most {most} MiB)")
    if 8 + length > size:
        raise _damaged(
            where, f"the header ends at {8 + length:,}, the file at {size:,}"
        )
    header = _from_json(brace + file.read(length - 1), where, "header")
    if header.get("format") == "nervure plan":
        raise _foreign(where, "a plan file, which libnervure runs")
    _check_tensors(header, size - 8 - length, where)
    return header


def _check_tensors(header: Mapping[str, Any], size: int, where: str) -> None:
    """Whether the tensors are numbers of ours and fill the rest of the file."""
    end = 0
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, offsets = tensor["dtype"], tensor["data_offsets"]
            end = max(end, int(offsets[1]))
        except (TypeError, KeyError, IndexError, ValueError, OverflowError):
            fact = f"the header's entry {short(name)} is malformed"
            raise _damaged(where, fact) from None
        if dtype not in _DTYPES:
            fact = f"weight {short(name)} of type {short(dtype)}"
            raise _foreign(where, f"{fact} (not one of {', '.join(_DTYPES)})")
    if end != size:
        raise _damaged(
            where, f"the header declares {end:,} bytes of weights, found {size:,}"
        )


def _document(metadata: Mapping[str, Any], where: str) -> dict[str, Any]:
    text = metadata[KEY]
    if not isinstance(text, str):
        raise _damaged(where, f"the metadata key '{KEY}' is no text")
    document = _from_json(text, where, "document")
    version = document.get("format")
    if type(version) is not int or version < 1:
        raise _damaged(where, f"the document's format is {short(version)}")
    if version > FORMAT:
        raise ModelFileError(
            f"[{where}] written in format {version}; expected at most {FORMAT}; "
            f"update nervure"
        )
    return document


def _from_json(raw: bytes | str, where: str, part: str) -> dict[str, Any]:
    text = raw if isinstance(raw, str) else raw.decode(errors="replace")
    if text.count("[") + text.count("{") > MOST_PARTS:
        raise _damaged(where, f"the {part} has over {MOST_PARTS:,} lists and tables")
    try:
        value = json.loads(raw, parse_constant=_refuse)
    except RecursionError:
        raise _damaged(where, f"the {part} is nested too deeply") from None
    except ValueError as error:
        raise _damaged(where, f"the {part} is not JSON ({error})") from None
    if not is_table(value) or not plain.check_depth(value, Faults(where).at()):
        raise _damaged(where, f"the {part} is no table, or nested too deeply")
    if not _can_be_written(value, text):
        raise _damaged(where, f"the {part} holds halves of characters")
    return dict(value)


def _can_be_written(value: object, text: str) -> bool:
    """Whether all words are whole: JSON may escape surrogates that stand alone."""
    if "\\ud" not in text.lower():
        return True
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return False


def _to_json(document: Mapping[str, Any], where: str) -> str:
    try:
        text = json.dumps(
            plain.write(document), sort_keys=True, ensure_ascii=False, allow_nan=False
        )
        size = len(text.encode())
    except (ValueError, TypeError) as error:
        raise ModelFileError(
            f"[{where}] cannot be written: {error}; expected finite numbers, text, "
            f"lists and tables"
        ) from error
    if size > MOST_DOCUMENT:
        raise ModelFileError(
            f"[{where}] the network's description has {size:,} bytes; expected at most "
            f"{MOST_DOCUMENT:,}; keep fewer labels or categories"
        )
    return text


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON number")


def _foreign(where: str, fact: str) -> ModelFileError:
    return ModelFileError(
        f"[{where}] found {fact}; expected a model file saved by nervure; use one that "
        f"net.save or nervure train wrote"
    )


def _damaged(where: str, fact: str) -> ModelFileError:
    return ModelFileError(
        f"[{where}] damaged: {fact}; expected the whole file as it was saved; copy it "
        f"again"
    )


# -- the network ----------------------------------------------------------------------


def network_document(
    entries: Iterable[Entry], outputs: Sequence[str] = (), dtype: str = "float32"
) -> dict[str, Any]:
    """Plain data of a network: its nodes, its outputs and its dtype.

    Raises:
        ValueError: a layer holds something that is not data.

    >>> from nervure.layers import Dense
    >>> network_document([Entry(Dense(2), "y", ("input",))])["nodes"]
    [{'name': 'y', 'inputs': ['input'], 'layer': {'type': 'dense', 'units': 2}}]
    """
    nodes = [
        {
            "name": entry.name,
            "inputs": list(entry.inputs or ()),
            "layer": layer_to_dict(entry.layer),
        }
        for entry in entries
    ]
    return {"dtype": dtype, "nodes": nodes, "outputs": list(outputs)}


def network_from_document(data: object, where: str = "model") -> NetworkEntries:
    """The network that `network_document` described.

    Raises:
        ModelFileError: every fault, one line each.
    """
    faults = Faults(where)
    network = _network(data, faults.at("network"))
    faults.raise_as(ModelFileError)
    return cast(NetworkEntries, network)


def _network(data: object, at: Place) -> Any:
    table: Mapping[str, Any] = data if is_table(data) else {}
    nodes = table.get("nodes")
    if not is_list(nodes) or not nodes:
        return at.key("nodes").bad(f"found {found(nodes)}; expected a list")
    if len(nodes) > MOST_LAYERS:
        most = f"expected at most {MOST_LAYERS}"
        return at.key("nodes").bad(f"found {len(nodes)}; {most}")
    inputs = (node.get("inputs") for node in nodes if is_table(node))
    if not check_edges(inputs, at.key("nodes")):
        return BAD
    entries = [_node(node, at.key("nodes").item(i)) for i, node in enumerate(nodes)]
    outputs_at, ends = at.key("outputs"), table.get("outputs", [])
    if is_list(ends) and len(ends) > len(nodes):
        return outputs_at.bad(f"found {len(ends):,}; expected at most one for a node")
    outputs = plain.read(tuple[str, ...], ends, outputs_at)
    dtype = plain.read(_Dtype, table.get("dtype", "float32"), at.key("dtype"))
    if at.faults.lines:
        return BAD
    check_entries(entries, outputs, at.key("nodes"), outputs_at)
    return NetworkEntries(tuple(entries), outputs, dtype)


def _node(data: object, at: Place) -> Any:
    table: Mapping[str, Any] = data if is_table(data) else {}
    name = plain.read(str, table.get("name"), at.key("name"))
    inputs = read_inputs(table.get("inputs", []), at.key("inputs"))
    layer = layer_from_dict(table.get("layer"), at.key("layer"))
    return BAD if BAD in (name, inputs, layer) else Entry(layer, name, inputs)
