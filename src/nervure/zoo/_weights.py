# SPDX-License-Identifier: BSD-3-Clause
"""Tensors by name from files of others: PyTorch's two formats, and safetensors.

Nothing in a file is executed. Tensors are views of the file's bytes; none is read, and
nothing of its size allocated, before it is put into a network whose shape it has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.zoo._errors import CheckpointError, damaged
from nervure.zoo._torch_file import read_torch

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
    from safetensors import SafetensorError
    from safetensors import safe_open as untyped

    safe_open = cast(Any, untyped)
    try:
        with safe_open(where, framework="np") as file:
            return {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, ValueError, TypeError) as error:
        raise damaged(where, str(error).lower()[:200]) from error


def as_floats(array: Array) -> Array:
    """Numbers of a file as NumPy computes with them; bfloat16 comes as its bits."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array
