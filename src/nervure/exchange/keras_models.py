# SPDX-License-Identifier: BSD-3-Clause
"""Keras models to networks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from nervure.base.words import unknown
from nervure.exchange._keras_file import KerasFile, open_keras
from nervure.exchange._keras_graph import MODELS, Walk, read_model
from nervure.exchange._keras_reader import KerasReader, class_of
from nervure.exchange._made import network_of
from nervure.exchange.errors import ExchangeError
from nervure.network.network import Network

MOST_FAULTS = 50


def import_keras(
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    dtype: str | None = None,
) -> Network:
    """The network of a model that Keras saved: ``.keras``, or the older ``.h5``.

    Layers become layers under their names, variables their parameters, models within
    models ``outer.inner``. It is read with h5py alone: neither Keras nor TensorFlow is
    needed, and nothing in the file is run. Sequential and functional models are read,
    not classes of one's own. Regularizers, initializers and what was compiled are left
    behind, and every layer learns.

    Args:
        path: the file.
        shapes: of one sample of an input, by its name, where the file leaves extents
            open; None as the first extent opens the time axis.
        dtype: ``"float32"`` or ``"float64"``; by default double where the file has
            nothing else.

    Raises:
        ExchangeError: no model, or a damaged one; an extent that is open; or everything
            that no layer stands for, with the names of the layers.

    >>> import json, tempfile, h5py, numpy as np, nervure as nv
    >>> dense = {"name": "fc", "units": 2, "batch_input_shape": [None, 3]}
    >>> layers = [{"class_name": "Dense", "config": dense}]
    >>> model = {"class_name": "Sequential", "config": {"layers": layers}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/theirs.h5", "w") as file:
    ...         file.attrs["model_config"] = json.dumps(model)
    ...         group = file.create_group("model_weights/fc")
    ...         group.attrs["weight_names"] = ["kernel", "bias"]
    ...         group["kernel"] = np.ones((3, 2), np.float32)
    ...         group["bias"] = np.zeros(2, np.float32)
    ...     net = nv.import_keras(f"{folder}/theirs.h5")
    >>> net.forward([[1, 2, 3]])
    array([[6., 6.]], dtype=float32)
    """
    with np.errstate(all="ignore"):  # numbers that are not finite stay so
        return _network(os.fspath(path), dict(shapes or {}), dtype)


def _network(
    where: str, shapes: dict[str, Sequence[int | None]], dtype: str | None
) -> Network:
    file = open_keras(where)
    try:
        return _read(file, shapes, dtype)
    finally:
        file.close()


def _read(
    file: KerasFile, shapes: dict[str, Sequence[int | None]], dtype: str | None
) -> Network:
    where = file.where
    if class_of(file.config) not in MODELS:
        kind = class_of(file.config) or "no model"
        raise ExchangeError(
            f"[{where}] holds {kind}; expected a Sequential or functional model of "
            "Keras's own layers; export it to ONNX and use nv.import_onnx"
        )
    walk = Walk(KerasReader(file), shapes)
    ends = read_model(walk, file.config, (), None)
    _check_shapes(walk)
    if walk.faults:
        raise _not_covered(walk)
    if any(end is None for end in ends):
        raise walk.damaged("an output that no layer gives")
    symbols = [end.symbol for end in ends if end is not None]
    double = walk.reader.doubles == {True}
    own = dtype or ("float64" if double else "float32")
    return network_of(where, walk.begins, symbols, walk.reader.weights, own)


def _check_shapes(walk: Walk) -> None:
    names = [str(layer.name) for layer in walk.begins]
    for name in walk.shapes:
        if name not in names:
            raise ExchangeError(unknown(walk.where, "input", name, names))


def _not_covered(walk: Walk) -> ExchangeError:
    lines = walk.faults[:MOST_FAULTS]
    more = len(walk.faults) - len(lines)
    if more > 0:
        lines.append(f"... and {more} more")
    lines.append("expected layers that nervure has; change or cut the model there")
    return ExchangeError("\n".join(f"[{walk.where}] {line}" for line in lines))
