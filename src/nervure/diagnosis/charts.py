# SPDX-License-Identifier: BSD-3-Clause
"""Charts: lines and tiles as SVG, without any library; colours come from the page."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 66, 12, 12, 34
COLOURS = 8
"""Classes ``c0`` to ``c7`` of a page's style."""

POINTS = 400
"""Of a line; of more, every so many-th is drawn."""


@dataclass(frozen=True)
class Line:
    """A line of a chart; points that are not finite break it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Axis:
    """From numbers to places of the picture."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        at = _scaled(value, self.log)
        span = (self.high - self.low) or 1.0
        return self.begin + (at - self.low) / span * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """About five round numbers."""
        if not self.log:
            return _evenly(self.low, self.high)
        first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
        step = max(1, -(-(last - first + 1) // 6))
        powers = [10.0**k for k in range(first, last + 1, step)]
        if len(powers) > 2:
            return powers
        several = (k * 10.0**p for p in range(first - 1, last + 1) for k in (1, 2, 5))
        found = [v for v in several if self.low <= math.log10(v) <= self.high]
        return found if len(found) > 2 else _evenly(10**self.low, 10**self.high)


def lines(
    series: Sequence[Line],
    *,
    title: str,
    x: str,
    y: str,
    log: bool = False,
) -> str:
    """Lines over a common axis, with a legend below where there are several.

    >>> svg = lines([Line("loss", [0, 1], [2.0, 1.0])], title="Loss", x="epoch", y="")
    >>> svg.startswith("<figure") and "polyline" in svg
    True
    """
    across, up = _axes(series, log)
    if across is None or up is None:
        return ""
    body = [_grid(across, up), _words(x, y)]
    body += [
        part
        for i, line in enumerate(series)
        for part in _polylines(line, across, up, i % COLOURS)
    ]
    legend = _legend([line.name for line in series]) if len(series) > 1 else ""
    return _figure(title, "".join(body), legend)


def tiles(
    values: Floats, names: Sequence[str], *, title: str, x: str, places: Sequence[str]
) -> str:
    """A row of tiles for each name, the darker the larger the value, in [0, 1]."""
    rows, columns = values.shape
    if not rows or not columns:
        return ""
    height = max(8.0, min(18.0, 400 / rows))
    longest = max(map(len, names))
    left = min(240.0, 8.5 * longest + 10)
    width = (WIDTH - left - RIGHT) / columns
    body: list[str] = []
    for i in range(rows):
        top = TOP + i * height
        label = html.escape(names[i])
        body.append(
            f'<text x="{left - 6:.0f}" y="{top + height * 0.75:.1f}" '
            f'text-anchor="end">{label}</text>'
        )
        for j in range(columns):
            value = float(values[i, j])
            if not math.isfinite(value) or value <= 0:
                continue
            body.append(
                f'<rect class="tile" x="{left + j * width:.1f}" y="{top:.1f}" '
                f'width="{max(width - 0.5, 0.5):.1f}" height="{height - 1:.1f}" '
                f'opacity="{min(value, 1):.2f}"/>'
            )
    bottom = TOP + rows * height
    for j in sorted({0, columns // 2, columns - 1}):
        at = left + (j + 0.5) * width
        body.append(
            f'<text x="{at:.0f}" y="{bottom + 14:.0f}" text-anchor="middle">'
            f"{html.escape(places[j])}</text>"
        )
    body.append(
        f'<text x="{(left + WIDTH) / 2:.0f}" y="{bottom + 28:.0f}" '
        f'text-anchor="middle">{html.escape(x)}</text>'
    )
    return _figure(title, "".join(body), "", bottom + 34)


def style() -> str:
    """The colours and lines of charts, light and dark, as CSS."""
    return files("nervure.diagnosis").joinpath("chart.css").read_text("utf-8")


def standalone(figure: str) -> str:
    """A figure as an SVG file, with its style and its legend in it."""
    found = re.search(r'<svg viewBox="0 0 (\d+) (\d+)"([^>]*)>(.*)</svg>', figure)
    if found is None:
        return ""
    width, height, words, body = found.groups()
    names = re.findall(r'<i class="(c\d)"></i>([^<]*)', figure)
    keys = [
        f'<g transform="translate({left} {top})"><polyline class="{colour}" '
        f'points="0,0 18,0"/><text x="24" y="4">{name}</text></g>'
        for i, (colour, name) in enumerate(names)
        for left, top in [(LEFT + 290 * (i % 2), int(height) + 16 + 18 * (i // 2))]
    ]
    whole = int(height) + 18 * -(-len(names) // 2) + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}"{words}>'
        f'<style>{style()}</style><rect class="back" width="{width}" height="{whole}"/>'
        f"{body}{''.join(keys)}</svg>\n"
    )


# -- pieces ---------------------------------------------------------------------------


def _scaled(value: float, log: bool) -> float:
    return math.log10(max(value, 1e-300)) if log else value


def _axes(series: Sequence[Line], log: bool) -> tuple[Axis | None, Axis | None]:
    xs = [float(v) for line in series for v in line.x]
    ys = [
        _scaled(float(v), log)
        for line in series
        for v in line.y
        if math.isfinite(v) and (v > 0 or not log)
    ]
    if not xs or not ys:
        return None, None
    low, high = min(ys), max(ys)
    pad = 0.05 * (high - low) or max(abs(high) * 0.1, 0.1)
    across = Axis(min(xs), max(max(xs), min(xs) + 1e-9), LEFT, WIDTH - RIGHT)
    return across, Axis(low - pad, high + pad, HEIGHT - BOTTOM, TOP, log)


def _evenly(low: float, high: float) -> list[float]:
    """About five round numbers between these two.

    >>> _evenly(0.93, 2.1)
    [1.0, 1.5, 2.0]
    """
    step = _round((high - low) / 5)
    first = math.ceil(low / step - 1e-9)
    count = int((high - first * step) / step + 1e-9) + 1
    return [float(f"{(first + i) * step:.12g}") for i in range(max(count, 0))]


def _round(step: float) -> float:
    """1, 2 or 5 times a power of ten, at least ``step``."""
    if not step > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= step * 0.999)


def _grid(across: Axis, up: Axis) -> str:
    parts: list[str] = []
    for value in up.ticks():
        at = up.place(value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" '
            f'y2="{at:.1f}"/><text x="{LEFT - 6}" y="{at + 4:.1f}" '
            f'text-anchor="end">{value:g}</text>'
        )
    for value in across.ticks():
        at = across.place(value)
        parts.append(
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
            f"{value:g}</text>"
        )
    return "".join(parts)


def _words(x: str, y: str) -> str:
    middle = (LEFT + WIDTH - RIGHT) / 2
    across = (
        f'<text x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">'
        f"{html.escape(x)}</text>"
    )
    if not y:
        return across
    at = (TOP + HEIGHT - BOTTOM) / 2
    return across + (
        f'<text transform="translate(12 {at:.0f}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y)}</text>"
    )


def _polylines(line: Line, across: Axis, up: Axis, colour: int) -> list[str]:
    """The runs of finite points; a lone point is a dot."""
    step = max(1, len(line.x) // POINTS)
    runs: list[list[str]] = [[]]
    for x, y in zip(line.x[::step], line.y[::step], strict=True):
        if math.isfinite(y) and (y > 0 or not up.log):
            runs[-1].append(f"{across.place(x):.1f},{up.place(y):.1f}")
        elif runs[-1]:
            runs.append([])
    found: list[str] = []
    for run in runs:
        if len(run) == 1:
            px, py = run[0].split(",")
            found.append(f'<circle class="c{colour}" cx="{px}" cy="{py}" r="2.5"/>')
        elif run:
            points = " ".join(run)
            found.append(f'<polyline class="c{colour}" points="{points}"/>')
    return found


def _legend(names: Sequence[str]) -> str:
    shown = names if len(names) <= 12 else [*names[:11], f"{len(names) - 11} more"]
    items = [
        f'<span class="key"><i class="c{i % COLOURS}"></i>{html.escape(name)}</span>'
        for i, name in enumerate(shown)
    ]
    return f'<div class="legend">{"".join(items)}</div>'


def _figure(title: str, body: str, legend: str, height: float = HEIGHT) -> str:
    words = html.escape(title)
    return (
        f"<figure><figcaption>{words}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{words}">'
        f"{body}</svg>{legend}</figure>"
    )
