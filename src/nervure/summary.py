# SPDX-License-Identifier: BSD-3-Clause
"""Summary: a network as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nervure.network import Network


def summary(net: Network) -> str:
    """A table of the layers: inputs, shape, parameters, FLOPs and bytes of each.

    FLOPs are of the forward pass of one sample; bytes are of the parameters and of one
    sample's output.

    >>> import nervure as nv
    >>> print(nv.Network([nv.Input(2), nv.Dense(3, activation="relu")]).summary())
    layer             type        inputs  shape  parameters  FLOPs  bytes
    input             input               (2,)            0      0      8
    dense             dense       input   (3,)            9     15     48
    dense.activation  activation  dense   (3,)            0      3     12
    <BLANKLINE>
    9 parameters (36 B), 18 FLOPs per sample
    """
    item = np.dtype(net.dtype).itemsize
    rows: list[tuple[str, ...]] = []
    learning = sum(
        math.prod(p.shape)
        for node in net.graph.nodes
        for p in node.parameters
        if p.trainable and node.group not in net.frozen
    )
    for node in net.graph.nodes:
        count = sum(math.prod(p.shape) for p in node.parameters)
        size = item * (count + math.prod(node.shape))
        feeds = ", ".join(net.graph.nodes[i].name for i in node.inputs)
        rows.append(
            (
                node.name,
                node.layer.kind,
                feeds,
                str(node.shape),
                f"{count:,}{'*' if count and node.group in net.frozen else ''}",
                f"{node.flops:,}",
                f"{size:,}",
            )
        )
    head = ("layer", "type", "inputs", "shape", "parameters", "FLOPs", "bytes")
    total = net.layout.count
    last = (
        f"{total:,} parameters ({readable_bytes(total * item)}), "
        f"{net.graph.flops:,} FLOPs per sample"
    )
    still = [f"* frozen; {learning:,} parameters learn"] if net.frozen else []
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
