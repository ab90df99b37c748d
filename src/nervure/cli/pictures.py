# SPDX-License-Identifier: BSD-3-Clause
"""Sheets of pictures: arrays in a grid, each with a title, as one PNG file."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.extras import needed
from nervure.base.files import replacing

Array = npt.NDArray[Any]

SMALLEST = 64
"""Pixels of the longer side at least: smaller pictures are enlarged."""

MOST_PIXELS = 64_000_000
_GAP, _LINE, _LETTER = 6, 14, 6  # pixels: between pictures, of a title, of a letter
_PAPER, _INK = 255, (40, 40, 40)


def as_bytes(
    values: npt.ArrayLike, low: float | None = None, high: float | None = None
) -> Array:
    """Values between ``low`` and ``high`` (by default their own) as uint8, 0 to 255.

    Whatever lies outside is cut; values that are all equal become grey.

    >>> as_bytes([[-1.0, 0.0, 3.0]], low=-1, high=1).tolist()
    [[0, 128, 255]]
    """
    x = np.asarray(values, np.float64)
    low = float(x.min()) if low is None else low
    high = float(x.max()) if high is None else high
    if not high > low:
        return np.full(x.shape, 128, np.uint8)
    return np.rint(np.clip((x - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def make_sheet(
    pictures: Sequence[npt.ArrayLike],
    titles: Sequence[str] = (),
    *,
    columns: int | None = None,
    heads: Sequence[str] = (),
    legend: str = "",
) -> Array:
    """Pictures in a grid on white paper, uint8 ``(height, width, 3)``.

    Args:
        pictures: uint8 ``(height, width)`` or ``(height, width, 1 or 3)``, of any
            sizes; small ones are enlarged by a whole number, without smoothing. For
            other numbers see `as_bytes`.
        titles: lines above the pictures, none or one for each; "" for none.
        columns: pictures in a row; by default about as many as rows.
        heads: lines above the rows, none or one for each.
        legend: what the pictures mean, below them all.

    Raises:
        ValueError: no pictures, arrays that are none, or a sheet of too many pixels.

    >>> make_sheet([np.zeros((32, 32), np.uint8)] * 4, columns=2).shape
    (146, 146, 3)
    """
    factor = _factor([np.shape(picture) for picture in pictures])
    tiles = [_tile(picture, factor, i) for i, picture in enumerate(pictures)]
    if titles and len(titles) != len(tiles):
        raise ValueError(
            f"[sheet] {len(titles)} titles for {len(tiles)} pictures; expected one "
            "for each; give as many, or none"
        )
    across = columns or math.ceil(math.sqrt(len(tiles)))
    head = _LINE if heads else 0
    top = head + (_LINE if any(titles) else 0)
    height = _GAP + top + max(len(tile) for tile in tiles)
    width = _GAP + max(tile.shape[1] for tile in tiles)
    down = math.ceil(len(tiles) / across)
    across = min(across, len(tiles))
    below = textwrap.wrap(_plain(legend), max(1, across * width // _LETTER))
    shape = (down * height + _GAP + len(below) * _LINE, across * width + _GAP, 3)
    if shape[0] * shape[1] > MOST_PIXELS:
        raise ValueError(
            f"[sheet] {len(tiles)} pictures make {shape[0]:,} x {shape[1]:,} pixels; "
            f"expected at most {MOST_PIXELS:,}; show fewer"
        )
    paper = np.full(shape, _PAPER, np.uint8)
    places = [divmod(i, across) for i in range(len(tiles))]
    corners = [(_GAP + i * height + top, _GAP + j * width) for i, j in places]
    for tile, (y, x) in zip(tiles, corners, strict=True):
        paper[y : y + len(tile), x : x + tile.shape[1]] = tile
    letters = (width - _GAP) // _LETTER
    named = zip(corners, titles or [""] * len(tiles), strict=True)
    lines = [(y - _LINE, x, _short(title, letters)) for (y, x), title in named]
    whole = across * width // _LETTER
    lines += [(_GAP + i * height, _GAP, _short(h, whole)) for i, h in enumerate(heads)]
    lines += [(down * height + i * _LINE, _GAP, line) for i, line in enumerate(below)]
    lines = [line for line in lines if line[2]]
    return _with_text(paper, lines) if lines else paper


def write_sheet(
    path: str | os.PathLike[str],
    pictures: Sequence[npt.ArrayLike],
    titles: Sequence[str] = (),
    *,
    columns: int | None = None,
    heads: Sequence[str] = (),
    legend: str = "",
) -> Path:
    """Write `make_sheet` of these pictures to a PNG file, atomically.

    Raises:
        ValueError: see `make_sheet`; a name that does not end in ``.png``.
        WriteError: the file cannot be written; an earlier one is untouched.
    """
    check_name(path)
    pillow = needed("PIL.Image", os.fspath(path))
    made = make_sheet(pictures, titles, columns=columns, heads=heads, legend=legend)
    sheet = pillow.fromarray(made)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        sheet.save(file, format="PNG", optimize=True)
    return Path(path)


def check_name(path: str | os.PathLike[str]) -> None:
    """Raises `ValueError` for a file name that does not end in ``.png``."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(
            f"[{os.fspath(path)}] ends in {Path(path).suffix!r}; expected .png; rename "
            "the file"
        )


def _factor(shapes: Sequence[tuple[int, ...]]) -> int:
    """How many times pictures are enlarged, all by the same number."""
    longest = max((max(s[:2], default=0) for s in shapes if len(s) > 1), default=0)
    if longest == 0:
        raise ValueError(
            "[sheet] no pictures; expected at least one; give arrays (height, width)"
        )
    return max(1, math.ceil(SMALLEST / longest))


def _tile(picture: npt.ArrayLike, factor: int, index: int) -> Array:
    found = np.asarray(picture)
    pixels = found[..., None] if found.ndim == 2 else found
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8:
        raise ValueError(
            f"[sheet] picture {index} has shape {found.shape} of {found.dtype}; "
            "expected uint8 (height, width) or (height, width, 1 or 3); see as_bytes"
        )
    large = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    return np.broadcast_to(large, (*large.shape[:2], 3))


def _plain(text: str) -> str:
    """The text in one line, in the letters that every font has."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")


def _short(title: str, letters: int) -> str:
    """The title, cut to fit."""
    plain = _plain(title)
    return plain if len(plain) <= letters else plain[: max(1, letters - 2)] + ".."


def _with_text(paper: Array, lines: Sequence[tuple[int, int, str]]) -> Array:
    image = needed("PIL.Image", "sheet").fromarray(paper)
    draw = needed("PIL.ImageDraw", "sheet").Draw(image)
    font = needed("PIL.ImageFont", "sheet").load_default()
    for y, x, text in lines:
        draw.text((x, y + 1), text, fill=_INK, font=font)
    return np.asarray(image)
