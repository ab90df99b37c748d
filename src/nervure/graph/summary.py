# SPDX-License-Identifier: BSD-3-Clause
"""Summary: a graph as a table."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from nervure.graph.graph import Graph
from nervure.graph.parameters import Layout


def summary(graph: Graph, dtype: str = "float32", frozen: Collection[str] = ()) -> str:
    """A table of the layers (see `Network.summary`); needs no parameters."""
    item = np.dtype(dtype).itemsize
    rows: list[tuple[str, ...]] = []
    learning = sum(
        math.prod(p.shape)
        for node in graph.nodes
        for p in node.parameters
        if p.trainable and node.group not in frozen
    )
    for node in graph.nodes:
        count = sum(math.prod(p.shape) for p in node.parameters)
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
    head = ("layer", "type", "inputs", "shape", "parameters", "FLOPs", "bytes")
    total = Layout.of(graph).count
    stored = total - graph.trainable
    others = f" and {stored:,} stored statistics" if stored else ""
    last = (
        f"{graph.trainable:,} parameters{others} ({readable_bytes(total * item)}), "
        f"{graph.flops:,} FLOPs per sample"
    )
    still = [f"* frozen; {learning:,} parameters learn"] if frozen else []
    return "\n".join([*table(head, rows, numbers=3), "", last, *still])


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
