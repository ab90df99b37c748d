# SPDX-License-Identifier: BSD-3-Clause
"""Summary: a graph as a table."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from nervure.base.html import html_lines, html_table
from nervure.base.words import many
from nervure.graph.graph import Graph
from nervure.graph.parameters import Layout

MOST_ROWS = 60
"""Layers that a notebook shows."""


HEAD = ("layer", "type", "inputs", "shape", "parameters", "FLOPs", "bytes")
_NUMBERS = 3  # columns of them, at the end


def summary(graph: Graph, dtype: str = "float32", frozen: Collection[str] = ()) -> str:
    """A table of the layers (see `Network.summary`); needs no parameters."""
    rows = _rows(graph, dtype, frozen)
    lines = [*table(HEAD, rows, _NUMBERS), "", *_totals(graph, dtype, frozen)]
    return "\n".join(lines)


def html_summary(
    graph: Graph, dtype: str = "float32", frozen: Collection[str] = ()
) -> str:
    """The same for notebooks; of very many layers the first and the last."""
    rows = _rows(graph, dtype, frozen)
    if len(rows) > MOST_ROWS:
        left_out = (f"... {len(rows) - MOST_ROWS} more", *[""] * (len(HEAD) - 1))
        rows = [*rows[: MOST_ROWS // 2], left_out, *rows[-MOST_ROWS // 2 :]]
    totals = html_lines(_totals(graph, dtype, frozen))
    return html_table(HEAD, rows, _NUMBERS) + totals


def _rows(graph: Graph, dtype: str, frozen: Collection[str]) -> list[tuple[str, ...]]:
    item = np.dtype(dtype).itemsize
    rows: list[tuple[str, ...]] = []
    for node in graph.nodes:
        count = sum(math.prod(p.shape) for p in node.owned)
        size = item * (count + math.prod(node.shape))
        feeds = ", ".join(graph.nodes[i].name for i in node.inputs)
        rows.append(
            (
                node.name,
                node.layer.kind,
                feeds,
                str(node.shape),
                f"{count:,}{'*' if count and node.group in frozen else ''}",
                f"{node.flops:,}",
                f"{size:,}",
            )
        )
    return rows


def _totals(graph: Graph, dtype: str, frozen: Collection[str]) -> list[str]:
    learning = sum(
        math.prod(p.shape)
        for node in graph.nodes
        for p in node.owned
        if p.trainable and node.group not in frozen
    )
    total, item = Layout.of(graph).count, np.dtype(dtype).itemsize
    stored = total - graph.trainable
    others = f" and {stored:,} stored statistics" if stored else ""
    last = (
        f"{many(graph.trainable, 'parameter')}{others} ({readable_bytes(total * item)})"
        f", {many(graph.flops, 'FLOP')} per sample"
    )
    return [last, *([f"* frozen; {learning:,} parameters learn"] if frozen else [])]


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int
) -> list[str]:
    """Aligned lines; the last ``numbers`` columns to the right."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    left = len(head) - numbers
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def readable_bytes(count: int) -> str:
    """A size as people say it.

    >>> readable_bytes(36), readable_bytes(2_500_000)
    ('36 B', '2.5 MB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
