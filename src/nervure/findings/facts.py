# SPDX-License-Identifier: BSD-3-Clause
"""Facts: what rows are like, in a few numbers that a record can keep.

They cost a few milliseconds, whatever the size of the data: of more rows than `SOME`
evenly spaced ones are looked at.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import one_each
from nervure.executors import Data
from nervure.graph.graph import Graph
from nervure.graph.objective import Cost, Objective

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]
Task = Literal["classes", "answers", "amounts"]

SOME = 1024
MANY = 4096
"""Training rows that held-out ones are looked for in."""

MOST_NUMBERS, FEWEST = 2**24, 16
"""Numbers of all rows that are looked at, and rows at least."""

MOST_COLUMNS = 4096
MOST_CLASSES = 1000


@dataclass(frozen=True)
class Facts:
    """What rows are like.

    Attributes:
        rows, held_out: how many are trained on, and held against them.
        columns: numbers of a row, categories left out.
        constant: share of the columns that never change.
        low, middle, high: root mean square of columns that change, at the 2nd, 50th
            and 98th of 100 of them.
        offset: how many deviations the middle column's mean is away from 0.
        task: classes (one of several), answers (several yes or no), or amounts.
        counts: rows of each class; empty for amounts.
        mean, spread: of the targets, the root mean square over their columns.
        skew: how far apart the spreads of target columns are, largest over smallest.
        chance: cost of the best constant answer, NaN where the loss has none.
        repeated: share of the held-out rows that training has too.
        common: share of the training rows that training has twice.
        bits: how much a row can tell, by the values that its columns take.
        shift: standardized difference of the means between training and held-out rows,
            the root mean square over columns; ``stretch`` of the logarithms of their
            deviations; ``noise`` what chance makes of both.
    """

    rows: int = 0
    held_out: int = 0
    columns: int = 0
    constant: float = 0.0
    low: float = math.nan
    middle: float = math.nan
    high: float = math.nan
    offset: float = math.nan
    task: Task = "amounts"
    counts: tuple[int, ...] = ()
    held_out_counts: tuple[int, ...] = ()
    mean: float = math.nan
    spread: float = math.nan
    skew: float = 1.0
    chance: float = math.nan
    repeated: float = 0.0
    common: float = 0.0
    bits: float = math.nan
    shift: float = 0.0
    stretch: float = 0.0
    noise: float = math.nan

    def event(self) -> dict[str, Any]:
        """As a record keeps it."""
        return {"event": "data", **dataclasses.asdict(self)}

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> Facts | None:
        """The facts that a record has kept, if it has."""
        names = {field.name: field for field in dataclasses.fields(cls)}
        known = {name: value for name, value in event.items() if name in names}
        if not known:
            return None
        for name, value in known.items():
            if isinstance(value, list):
                known[name] = tuple(cast(list[Any], value))
            elif isinstance(value, str) and name != "task":
                known[name] = float(value)
        return cls(**known)


def facts_of(
    graph: Graph, objective: Objective, data: Data, rows: Rows, held_out: Data | None
) -> Facts:
    """What the rows are like that are trained on, and those held against them."""
    own = looked_at(data, rows, SOME)
    codes = {(c.input, int(column)) for c in graph.codes for column in c.columns}
    x = _inputs(data, own, codes)
    known: dict[str, Any] = {"rows": len(rows), "columns": _width(data, codes)}
    known |= _of_inputs(x) | _of_targets(objective, data, rows)
    if held_out is None:
        return Facts(**known)
    theirs = looked_at(held_out, np.arange(held_out.rows), SOME)
    other = _inputs(held_out, theirs, codes)
    known |= {"held_out": held_out.rows} | _apart(x, other)
    many = _bytes(data, looked_at(data, rows, MANY), held_out)
    known |= _repeated(many, _bytes(held_out, theirs, data), len(rows))
    if known["task"] == "classes":
        known["held_out_counts"] = _counts(one_each(held_out.targets[0], "doctor"))
    return Facts(**known)


def looked_at(data: Data, rows: Rows, most: int) -> Rows:
    """At most so many of the rows, evenly spaced; fewer of those of many numbers."""
    width = _width(data, set())
    return evenly(rows, min(most, max(FEWEST, MOST_NUMBERS // max(width, 1))))


def evenly(rows: Rows, most: int) -> Rows:
    """At most so many of the rows, evenly spaced.

    >>> evenly(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    return rows[:: -(-len(rows) // most)] if len(rows) > most else rows


# -- inputs ---------------------------------------------------------------------------


def _width(data: Data, codes: set[tuple[int, int]]) -> int:
    columns = sum(math.prod(one_each(x, "doctor").shape[1:]) for x in data.inputs)
    return columns - len(codes)


def _inputs(data: Data, rows: Rows, codes: set[tuple[int, int]]) -> Array:
    """The numbers of some rows side by side, ``(rows, columns)``, without codes."""
    parts: list[Array] = []
    for i, x in enumerate(data.inputs):
        flat = np.asarray(x[rows]).reshape(len(rows), -1)
        coded = {column for which, column in codes if which == i}
        if coded:
            flat = np.delete(flat, sorted(coded), axis=1)
        flat = flat[:, :: -(-flat.shape[1] // MOST_COLUMNS)] if flat.size else flat
        part = flat.astype(np.float64)
        if data.scale_of(i) != 1:
            part *= data.scale_of(i)
        parts.append(part)
    return parts[0] if len(parts) == 1 else np.hstack(parts)


def _of_inputs(x: Array) -> dict[str, Any]:
    if not x.size:
        return {}
    mean, std = x.mean(axis=0), x.std(axis=0)
    changes = std > 1e-12 * np.maximum(np.abs(mean), 1e-300)
    known: dict[str, Any] = {"constant": float(1 - changes.mean()), "bits": _bits(x)}
    if not changes.any():
        return known
    mean, std = mean[changes], std[changes]
    size = np.sqrt(mean**2 + std**2)
    low, middle, high = np.quantile(size, (0.02, 0.5, 0.98)).tolist()
    offset = float(np.median(np.abs(mean) / std))
    return known | {"low": low, "middle": middle, "high": high, "offset": offset}


def _bits(x: Array) -> float:
    """Logarithm of the rows there could be: a sum over (at most 64) columns."""
    some = x[:256, :: -(-x.shape[1] // 64)]
    return float(sum(math.log2(len(np.unique(column))) for column in some.T))


def _apart(x: Array, other: Array) -> dict[str, float]:
    """How training and held-out rows differ, column by column."""
    std, theirs = x.std(axis=0), other.std(axis=0)
    known = (std > 0) & (theirs > 0)
    noise = math.sqrt(1 / len(x) + 1 / len(other))
    if not known.any() or min(len(x), len(other)) < 2:
        return {"noise": noise}
    shift = (other.mean(axis=0) - x.mean(axis=0))[known] / std[known]
    stretch = np.log(theirs[known] / std[known])
    return {"shift": _rms(shift), "stretch": _rms(stretch), "noise": noise}


def _bytes(data: Data, rows: Rows, other: Data) -> list[bytes]:
    """Rows as they lie, to be compared with those of other data."""
    parts: list[Array] = []
    for i, x in enumerate(data.inputs):
        flat = np.asarray(x[rows]).reshape(len(rows), -1)
        like = other.inputs[i].dtype, other.scale_of(i)
        if like != (flat.dtype, data.scale_of(i)):
            flat = flat.astype(np.float64) * data.scale_of(i)
        parts.append(np.ascontiguousarray(flat))
    return [b"".join(part[j].tobytes() for part in parts) for j in range(len(rows))]


def _repeated(own: list[bytes], other: list[bytes], rows: int) -> dict[str, float]:
    """Rows that occur again; those of a part that was looked at stand for all."""
    distinct = set(own)
    share = sum(row in distinct for row in other) / max(len(other), 1)
    return {
        "repeated": min(1.0, share * rows / max(len(own), 1)),
        "common": 1 - len(distinct) / max(len(own), 1),
    }


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


# -- targets --------------------------------------------------------------------------


def task_of(target: Array) -> Task:
    """What targets ask for.

    >>> task_of(np.array([0, 2, 1])), task_of(np.array([[0.5], [2.0]]))
    ('classes', 'amounts')
    >>> task_of(np.eye(3)), task_of(np.array([[0.0], [1.0]]))
    ('classes', 'classes')
    """
    if target.ndim == 1:
        return "classes" if target.dtype.kind in "iu" else "amounts"
    if not np.isin(target, (-1, 0, 1)).all():
        return "amounts"
    alone = target.shape[1] == 1 or bool(np.allclose((target > 0).sum(axis=1), 1))
    return "classes" if alone else "answers"


def classes_of(target: Array) -> npt.NDArray[np.int64]:
    """The class of each row, where targets name one."""
    if target.ndim == 1:
        return target.astype(np.int64)
    many = target.shape[1] > 1
    return target.argmax(axis=1) if many else (target[:, 0] > 0).astype(np.int64)


def _counts(target: Array) -> tuple[int, ...]:
    return tuple(np.bincount(classes_of(target))[:MOST_CLASSES].tolist())


def _of_targets(objective: Objective, data: Data, rows: Rows) -> dict[str, Any]:
    """Of the first output; chance is of all."""
    target = data.targets[0][rows]
    task = task_of(target[:SOME])
    some = evenly(rows, SOME)
    chance = _sum(
        cost.weight * chance_cost(cost, data.targets[cost.output][some])
        for cost in objective.costs
    )
    known: dict[str, Any] = {"task": task, "chance": chance}
    if task == "classes":
        return known | {"counts": _counts(target)}
    values = target[:: -(-len(target) // SOME)].reshape(-1, target[0].size)
    spreads = values.std(axis=0)
    found = spreads[spreads > 0]
    return known | {
        "mean": _rms(values.mean(axis=0)),
        "spread": _rms(spreads),
        "skew": float(found.max() / found.min()) if len(found) else 1.0,
    }


def _sum(costs: Iterable[float]) -> float:
    return float(sum(costs))


def chance_cost(cost: Cost, target: Array) -> float:
    """Mean cost of the best constant answer, or NaN where the loss takes no such one.

    Of classes these are their shares, of amounts the mean, or the median.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(4, "softmax")])
    >>> round(chance_cost(net.objective().costs[0], np.array([0, 1, 2, 3])), 4)
    1.3863
    """
    loss = cost.loss
    answers = _constants(target)
    found: list[float] = []
    for answer in answers:
        try:
            with np.errstate(all="ignore"):
                some = np.tile(answer, (len(target), 1))
                costs: Array = np.asarray(loss.formula(np, some, target))
        except (ValueError, TypeError, IndexError, NotImplementedError):
            continue
        found.append(float(np.mean(costs)))
    finite = [value for value in found if math.isfinite(value)]
    return min(finite, default=math.nan)


def _constants(target: Array) -> list[Array]:
    """Constant answers of which one is about the best, whatever the loss."""
    if target.ndim == 1 and target.dtype.kind in "iu":
        shares = np.bincount(target, minlength=2) / len(target)
        return [shares]
    rows = target.reshape(len(target), -1).astype(np.float64)
    return [rows.mean(axis=0), np.median(rows, axis=0)]
