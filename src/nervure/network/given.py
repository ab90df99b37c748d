# SPDX-License-Identifier: BSD-3-Clause
"""What the user gives for each input and output, as arrays that fit the graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.data.apart import check_apart
from nervure.data.arrays import as_inputs, target_numbers
from nervure.data.labels import label_targets
from nervure.data.ragged import Ragged, as_sequences, step_targets
from nervure.data.sparse import Sparse, is_sparse
from nervure.executors import Rows
from nervure.graph.codes import check_codes
from nervure.graph.graph import Graph
from nervure.graph.node import Node
from nervure.graph.objective import Objective
from nervure.losses import CTC, Loss

Array = npt.NDArray[Any]


def input_arrays(graph: Graph, dtype: np.dtype[Any], X: Any) -> tuple[Rows, ...]:
    """One array or `Ragged` per input of the graph, shapes, codes and lengths checked.

    Raises:
        ValueError: they do not fit the graph or each other.
    """
    ends = [graph.nodes[i] for i in graph.inputs]
    names = [end.group for end in ends]
    given = _by_name(X, names, "input")
    places = names if len(names) > 1 else ["X"]
    arrays = tuple(
        _input(x, place, node)
        for x, place, node in zip(given, places, ends, strict=True)
    )
    for array, place in zip(arrays, places, strict=True):
        _check_range(_values(array), dtype, place)
        if not isinstance(array, Sparse):
            check_apart(_values(array), dtype, place)
        if len(array) != len(arrays[0]):
            raise ValueError(
                f"[network] inputs have {len(arrays[0])} and {len(array)} rows; "
                "expected as many; give the same rows to each input"
            )
    _check_clocks(ends, graph.inputs, arrays)
    _check_lengths(graph, arrays)
    check_codes(graph.codes, arrays, places)
    return arrays


def target_arrays(
    graph: Graph, dtype: np.dtype[Any], y: Any, objective: Objective | None = None
) -> list[Rows]:
    """One array per output; `Ragged` where each step has a target.

    `Labels` where the loss of the objective aligns a sequence of them.
    """
    names = graph.output_names
    given = _by_name(y, names, "output")
    places = names if len(names) > 1 else ("y",)
    ends = [graph.nodes[i] for i in graph.outputs]
    losses = (
        [cost.loss for cost in objective.costs] if objective else [None] * len(ends)
    )
    return [
        _target(t, dtype, place, node, loss)
        for t, place, node, loss in zip(given, places, ends, losses, strict=True)
    ]


def _target(
    y: Any, dtype: np.dtype[Any], place: str, node: Node, loss: Loss | None
) -> Any:
    if isinstance(loss, CTC):
        return label_targets(y, place, loss.blank, loss.ignore)
    array = target_numbers(y, place) if node.clock is None else step_targets(y, place)
    _check_range(_values(array), dtype, place)
    return array


def _input(x: Any, place: str, node: Node) -> Rows:
    if node.clock is None:
        _check_equal(x, node)
        return _fit(_rows(x, place), node.shape, node.name)
    rows = as_sequences(x, where=place)
    inner = rows.values.shape[1:]
    if inner == node.shape:
        return rows
    if math.prod(inner) == math.prod(node.shape):
        return rows.with_values(rows.values.reshape(-1, *node.shape))
    wanted = ", ".join(["rows", "time", *map(str, node.shape)])
    raise ValueError(
        f"[{node.name}] sequences with steps of shape {inner}; expected ({wanted}); "
        "reshape them, or change nv.Input(...)"
    )


def _check_equal(x: Any, node: Node) -> None:
    """Raise for sequences of different lengths where rows have one shape."""
    if not isinstance(x, Ragged) or x.longest == x.lengths.min():
        return
    open_shape = (None, *x.values.shape[1:])
    raise ValueError(
        f"[{node.name}] sequences of {x.lengths.min():,} to {x.longest:,} steps; "
        f"expected rows of shape {node.shape}; begin with nv.Input({open_shape}), "
        "whose axis of time is open"
    )


def _rows(given: Any, where: str) -> Any:
    if is_sparse(given):
        return Sparse.of(given, where)
    return as_inputs(given, where=where)


def _values(rows: Rows) -> Array:
    return rows.values if isinstance(rows, Ragged) else rows


def _check_clocks(
    ends: Sequence[Node], places: Sequence[int], arrays: Sequence[Rows]
) -> None:
    """Raise for sequences of different lengths that are taken step by step together."""
    for node, array in zip(ends, arrays, strict=True):
        if node.clock is None:
            continue
        k = places.index(node.clock)
        first: Any = arrays[k]
        wrong = np.flatnonzero(first.lengths != cast(Ragged, array).lengths)
        if len(wrong):
            row = wrong[0]
            raise ValueError(
                f"[network] row {row} has {first.lengths[row]} steps in "
                f"{ends[k].group!r} and {cast(Ragged, array).lengths[row]} in "
                f"{node.group!r}, which are taken step by step together; expected as "
                "many; give sequences of the same lengths"
            )


def _check_lengths(graph: Graph, arrays: Sequence[Rows]) -> None:
    """Raise for a sequence that is longer than a layer takes."""
    for node in graph.nodes:
        most, clock = node.layer.longest, node.clock
        if most is None or clock is None:
            continue
        rows = cast(Ragged, arrays[graph.inputs.index(clock)])
        if rows.longest > most:
            row = int(rows.lengths.argmax())
            raise ValueError(
                f"[network] row {row} has {rows.longest:,} steps, of which "
                f"{node.name!r} takes at most {most:,}; cut it (nervure.data.chunks), "
                "or make the layer longer"
            )


def _by_name(given: Any, names: Sequence[str], what: str) -> list[Any]:
    """What is given for each input or output: one thing, a sequence, or a mapping."""
    if len(names) == 1 and is_sparse(given):  # of SciPy's, one is a mapping too
        return [given]
    if isinstance(given, Mapping):
        table = cast(Mapping[str, Any], given)
        for name in names:
            if name not in table:
                things = "data" if what == "input" else "targets"
                raise ValueError(
                    f"[network] no {things} for {what} {name!r}; expected "
                    f"{', '.join(names)}; add it"
                )
        return [table[name] for name in names]
    if len(names) == 1:
        return [given]
    several: list[Any] = list(given) if hasattr(given, "__len__") else [given]
    if len(several) != len(names):
        raise ValueError(
            f"[network] {len(several)} {'inputs' if what == 'input' else 'targets'}; "
            f"expected {len(names)} ({', '.join(names)}); give one array for each"
        )
    return several


def _check_range(x: Array, dtype: np.dtype[Any], where: str) -> None:
    """Doubles that a network of singles would read as infinite."""
    if x.dtype != np.float64 or dtype == np.float64:
        return
    largest = max(float(x.max()), -float(x.min()))
    if largest > float(np.finfo(np.float32).max):
        raise ValueError(
            f"[{where}] a value of size {largest:.3g}; expected at most 3.4e38 for a "
            'float32 network; scale the column, or use nv.Network(..., dtype="float64")'
        )


def _fit(x: Any, shape: tuple[int, ...], name: str) -> Any:
    """The array in the shape of an input; flat rows are taken as images row by row."""
    if x.shape[1:] == shape:
        return x
    if x.ndim == 1 and shape == (1,):
        return x.reshape(-1, 1)
    if x.ndim > 1 and math.prod(x.shape[1:]) == math.prod(shape):
        return x.reshape(len(x), *shape)
    raise ValueError(
        f"[{name}] data of shape {x.shape}; expected (rows, "
        f"{', '.join(map(str, shape))}); reshape it, or change nv.Input(...)"
    )
