# SPDX-License-Identifier: BSD-3-Clause
"""The architecture of a network as SVG: a box for each layer, inputs at the top.

A layer stands one row below the lowest of those that it reads. Edges to the next row
are lines; longer ones pass on the right of the boxes between, each in a lane of its
own, and between rows where a box has others on its right, so that none hides another.
"""

from __future__ import annotations

import html
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nervure.base import plain
from nervure.base.files import write_atomically
from nervure.base.words import many
from nervure.graph.graph import Graph
from nervure.layers import Input, Layer

BOX, HIGH = 190, 48
"""Width and height of a box."""

GAP_ACROSS, GAP_DOWN = 24, 26
LANE, MARGIN = 12, 16

STYLE = """
svg.net{--text:#1c1e21;--soft:#5d646d;--back:#fff;--card:#f3f5f8;--line:#8a929c;
--weights:#1f6fb2;--ends:#2f8a4c}
@media (prefers-color-scheme:dark){svg.net{--text:#e6e8eb;--soft:#a2a9b3;--back:#15171a;
--card:#22262b;--line:#79818b;--weights:#6cb2f0;--ends:#6fd08c}}
.net .back{fill:var(--back)}
.net .box{fill:var(--card);stroke:var(--line)}
.net .weights{stroke:var(--weights);stroke-width:2}
.net .end{stroke:var(--ends);stroke-width:2}
.net path.edge{fill:none;stroke:var(--line);stroke-width:1.3}
.net path.tip{fill:var(--line)}
.net text{font:11px system-ui,sans-serif;fill:var(--soft);text-anchor:middle}
.net text.name{font-size:12px;font-weight:600;fill:var(--text)}
"""


@dataclass(frozen=True)
class Drawing:
    """A picture that notebooks show and files keep.

    Attributes:
        svg: its text.
    """

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as a file."""
        write_atomically(path, self.svg)
        return Path(path)

    def __repr__(self) -> str:
        return f"<Drawing of {len(self.svg):,} characters; save it as an .svg file>"


@dataclass(frozen=True)
class Box:
    """A layer: what is written into its box, and where that stands."""

    name: str
    kind: str
    shape: str
    role: str
    feeds: tuple[str, ...]
    row: int


def architecture(net: Any) -> Drawing:
    """Draw the layers of a network, and which reads which.

    Blue boxes have weights, green ones are inputs and outputs; a composite layer is
    one box. Needs no library.

    Args:
        net: a network or its graph.

    >>> import nervure as nv
    >>> x = nv.Input(4)
    >>> y = nv.Dense(1)(nv.Concatenate()(x, nv.Dense(8, "tanh")(x)))
    >>> drawing = nv.plot.architecture(nv.Network(inputs=x, outputs=y))
    >>> drawing.svg.count('class="edge"')
    4
    """
    graph: Graph = getattr(net, "graph", net)
    boxes = _boxes(graph)
    places = _places(boxes)
    lanes = _lanes(boxes)
    right = max(x for x, _ in places.values()) + BOX + LANE
    width = right + LANE * max(lanes.values(), default=-1) + MARGIN
    height = max(y for _, y in places.values()) + HIGH + MARGIN
    outermost: dict[int, int] = {}
    for x, y in places.values():
        outermost[y] = max(x, outermost.get(y, 0))
    edges: list[str] = []
    for box in boxes:
        for feed in box.feeds:
            ends, lane = (places[feed], places[box.name]), lanes.get((feed, box.name))
            if lane is None:
                edges.append(_straight(*ends))
            else:
                aside = (x == outermost[y] for x, y in ends)
                edges.append(_around(*ends, right + LANE * lane, *aside))
    drawn = [_drawn(box, *places[box.name]) for box in boxes]
    label = f"a network of {many(len(boxes), 'layer')}"
    return Drawing(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="net" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{label}"><style>{STYLE}</style>'
        f'<rect class="back" width="{width}" height="{height}"/>'
        f"{''.join(edges)}{''.join(drawn)}</svg>\n"
    )


def _boxes(graph: Graph) -> list[Box]:
    """The layers as they were asked for, behind what they read."""
    made: dict[str, Box] = {}
    ends = {*graph.output_names}
    layers = {entry.name: entry.layer for entry in graph.entries}
    for name, nodes in graph.groups.items():
        read = [
            graph.nodes[i].group for node in nodes for i in graph.nodes[node].inputs
        ]
        feeds = tuple(dict.fromkeys(feed for feed in read if feed != name))
        own = [graph.nodes[i] for i in nodes]
        count = sum(math.prod(p.shape) for node in own for p in node.parameters)
        shape = " × ".join(map(str, own[-1].shape)) or "1"
        shape = f"time × {shape}" if own[-1].clock is not None else shape
        weighs = f", {many(count, 'parameter')}" if count else ""
        is_end = name in ends or isinstance(layers[name], Input)
        role = "end" if is_end else "weights" if count else ""
        row = 1 + max((made[feed].row for feed in feeds), default=-1)
        words = _words(layers[name])
        made[name] = Box(name, words, f"{shape}{weighs}", role, feeds, row)
    return _lowered(list(made.values()))


def _lowered(boxes: list[Box]) -> list[Box]:
    """Layers that read nothing, as constants, right above the first that reads them."""
    first: dict[str, int] = {}
    for box in boxes:
        for feed in box.feeds:
            first[feed] = min(box.row, first.get(feed, box.row))
    return [
        box if box.feeds or box.role == "end" or box.name not in first
        else replace(box, row=first[box.name] - 1)
        for box in boxes
    ]  # fmt: skip


def _words(layer: Layer) -> str:
    """Kind and settings of a layer that are not at their defaults, briefly."""
    given = plain.write_fields(layer)
    said = [f"{value}" for name, value in given.items() if name in _SAID]
    text = " ".join([layer.kind, *said])
    return text if len(text) <= 32 else f"{text[:31]}…"


_SAID = ("units", "filters", "kernel", "size", "rate", "activation", "function")


def _places(boxes: Sequence[Box]) -> dict[str, tuple[int, int]]:
    """Left upper corners, rows from the top, boxes of a row side by side."""
    rows: dict[int, list[Box]] = {}
    for box in boxes:
        rows.setdefault(box.row, []).append(box)
    widest = max(map(len, rows.values()))
    middles: dict[str, float] = {}
    places: dict[str, tuple[int, int]] = {}
    for number in sorted(rows):
        # Below what they read, so that few edges cross.
        row = sorted(rows[number], key=lambda box: _middle(box.feeds, middles))
        left = MARGIN + (widest - len(row)) * (BOX + GAP_ACROSS) // 2
        for i, box in enumerate(row):
            x = left + i * (BOX + GAP_ACROSS)
            places[box.name] = x, MARGIN + number * (HIGH + GAP_DOWN)
            middles[box.name] = x
    return places


def _middle(feeds: Iterable[str], middles: Mapping[str, float]) -> float:
    known = [middles[feed] for feed in feeds]
    return sum(known) / len(known) if known else 0.0


def _lanes(boxes: Sequence[Box]) -> dict[tuple[str, str], int]:
    """A lane for each edge over more than one row; short ones next to the boxes.

    Edges that have no row in common share a lane.
    """
    rows = {box.name: box.row for box in boxes}
    long = [(f, b.name) for b in boxes for f in b.feeds if b.row - rows[f] > 1]
    found: dict[tuple[str, str], int] = {}
    taken: list[list[tuple[int, int]]] = []
    for edge in sorted(long, key=lambda e: (rows[e[1]] - rows[e[0]], rows[e[0]])):
        first, last = rows[edge[0]], rows[edge[1]]
        free = (
            i
            for i, spans in enumerate(taken)
            if all(last <= a or b <= first for a, b in spans)
        )
        lane = next(free, len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((first, last))
        found[edge] = lane
    return found


def _straight(source: tuple[int, int], target: tuple[int, int]) -> str:
    """From the bottom of a box to the top of one in the next row."""
    x1, y1 = source[0] + BOX // 2, source[1] + HIGH
    x2, y2 = target[0] + BOX // 2, target[1]
    middle = (y1 + y2) // 2
    path = f"M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2 - 5}"
    return f'<path class="edge" d="{path}"/>{_tip(x2, y2, 0)}'


def _around(
    source: tuple[int, int],
    target: tuple[int, int],
    at: int,
    leaves_aside: bool,
    enters_aside: bool,
) -> str:
    """By the lane at a place: by the sides of boxes, or between their rows."""
    x1, y1 = source[0] + BOX, source[1] + HIGH // 2
    begin = f"M{x1} {y1}"
    if not leaves_aside:
        x1, y1 = source[0] + BOX // 2 + 30, source[1] + HIGH
        begin = f"M{x1} {y1}V{y1 + 8}"
        y1 += 8
    x2, y2 = target[0] + BOX, target[1] + HIGH // 2
    end, tip = f"H{x2 + 5}", _tip(x2, y2, 90)
    if not enters_aside:
        x2, y2 = target[0] + BOX // 2 + 30, target[1] - GAP_DOWN + 14
        end, tip = f"H{x2}V{target[1] - 5}", _tip(x2, target[1], 0)
    path = (
        f"{begin}H{at - 8}Q{at} {y1} {at} {y1 + 8}V{y2 - 8}Q{at} {y2} {at - 8} {y2}"
        f"{end}"
    )
    return f'<path class="edge" d="{path}"/>{tip}'


def _tip(x: int, y: int, turn: int) -> str:
    return (
        f'<path class="tip" transform="translate({x} {y}) rotate({turn})" '
        'd="M0 0L-3.5 -7H3.5Z"/>'
    )


def _drawn(box: Box, x: int, y: int) -> str:
    middle = x + BOX // 2
    lines = (("name", box.name), ("", box.kind), ("", box.shape))
    text = "".join(
        f'<text class="{css}" x="{middle}" y="{y + 15 + 14 * i}">'
        f"{_escaped(line)}</text>"
        for i, (css, line) in enumerate(lines)
    )
    return (
        f'<rect class="box {box.role}" x="{x}" y="{y}" width="{BOX}" height="{HIGH}" '
        f'rx="7"/>{text}'
    )


def _escaped(text: str) -> str:
    return html.escape(text if len(text) <= 32 else f"{text[:31]}…")
