# SPDX-License-Identifier: BSD-3-Clause
"""Tensors by name from files of others: PyTorch's two formats, and safetensors.

Nothing in a file is executed. Tensors are views of the file's bytes; none is read, and
nothing of its size allocated, before it is put into a network whose shape it has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.words import short
from nervure.exchange._names import natural
from nervure.exchange._torch_file import read_torch
from nervure.exchange._types import OF_SAFETENSORS
from nervure.exchange.errors import CheckpointError, damaged
from nervure.network.modelfile import MOST_HEADER

Array = npt.NDArray[Any]

Tensors = Mapping[str, Array]
"""Arrays by name, in the layout of the file."""


def read_tensors(path: str | os.PathLike[str]) -> Tensors:
    """The tensors of a ``.pth`` or ``.safetensors`` file.

    Raises:
        CheckpointError: it cannot be read, is damaged, or holds code.
    """
    where = os.fspath(path)
    try:
        if not os.path.isfile(path):
            os.stat(path)
            raise CheckpointError(
                f"[{where}] is a folder or device; expected a checkpoint (.pth or "
                ".safetensors); name the file"
            )
        if where.endswith(".safetensors"):
            return _read_safetensors(where)
        return read_torch(where)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CheckpointError(
            f"[{where}] cannot be read: {reason}; expected a checkpoint (.pth or "
            ".safetensors); check the path"
        ) from error


def _read_safetensors(where: str) -> Tensors:
    """Views of the file, whose header the library has compared with its size."""
    from safetensors import SafetensorError
    from safetensors import safe_open as untyped

    safe_open = cast(Any, untyped)
    try:
        with safe_open(where, framework="np"):
            pass
        header, begin = _header(where)
        raw = np.memmap(where, np.uint8, "r")[begin:]
        names = sorted(header, key=natural)
        return {name: _view(raw, header[name], where) for name in names}
    except CheckpointError:
        raise
    except (SafetensorError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged(where, str(error).lower()[:200]) from error


def _header(where: str) -> tuple[dict[str, Any], int]:
    """What the header says of each tensor, and where their bytes begin."""
    with open(where, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MOST_HEADER:
            raise ValueError(f"a header of {length:,} bytes")
        header = cast(dict[str, Any], json.loads(file.read(length)))
    header.pop("__metadata__", None)
    return header, 8 + length


def _view(raw: Array, tensor: Mapping[str, Any], where: str) -> Array:
    kind, (begin, end) = tensor["dtype"], tensor["data_offsets"]
    if kind not in OF_SAFETENSORS:
        raise CheckpointError(
            f"[{where}] holds numbers of type {short(kind)}; expected one of "
            f"{', '.join(OF_SAFETENSORS)}; convert them where it was saved"
        )
    return raw[begin:end].view(OF_SAFETENSORS[kind]).reshape(tensor["shape"])
