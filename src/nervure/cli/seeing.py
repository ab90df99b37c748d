# SPDX-License-Identifier: BSD-3-Clause
"""``nervure inspect MODEL --filters`` and the like: what the network sees, as a PNG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure import sight
from nervure.base.words import many
from nervure.cli.pictures import as_bytes, check_name, write_sheet
from nervure.data import prepare
from nervure.data.ragged import one_each
from nervure.executors import Data
from nervure.network.modelfile import ModelFileError
from nervure.network.network import Network
from nervure.network.predicting import ready
from nervure.runs.loading import load_network
from nervure.serving.answers import model_file, predictions

Array = npt.NDArray[Any]

MOST_FILTERS = 256
MOST_MAPS = 8
"""Maps shown of each layer: those of the largest variance over the image."""

MOST_LAYERS = 24

LARGE = 192
"""Pixels of the shorter side of an image at least, where three fill a sheet."""

STRONGEST = 99.5
"""Percentile of a map that is drawn in full: single pixels would pale the rest."""


@dataclass(frozen=True)
class Wish:
    """Which sheet is asked for, of which image, and where it goes."""

    filters: bool = False
    features: str | None = None
    saliency: str | None = None
    occlusion: str | None = None
    row: int = 0
    out: Path | None = None

    @property
    def kind(self) -> str:
        """The sheet's name; "" if none is asked for.

        Raises:
            ValueError: several are.
        """
        names = ("filters", "features", "saliency", "occlusion")
        found = [name for name in names if getattr(self, name) not in (False, None)]
        if len(found) > 1:
            raise ValueError(
                f"[--{found[1]}] beside --{found[0]}; expected one sheet at a time; "
                "leave one out"
            )
        return found[0] if found else ""


def see(model: Path, wish: Wish) -> str:
    """Write the sheet; says what is on it and where it lies."""
    file = model_file(model)
    name = (model if model.is_dir() else model.with_suffix("")).resolve().name
    out = wish.out or Path(f"{name}-{wish.kind}.png")
    check_name(out)
    net = load_network(file)
    if wish.filters:
        return f"{out}: {_filters(net, out)}"
    source = wish.features or wish.saliency or wish.occlusion or ""
    data = _one_row(net, source, wish.row, file)
    what = _features if wish.features is not None else _heat
    return f"{out}: {what(net, data, out, wish)}"


def _one_row(net: Network, source: str, row: int, file: Path) -> Data:
    """One row of a source as the network takes it."""
    record = net.preprocessing
    if record is None:
        raise ModelFileError(
            f"[{file}] has no record of its data's preprocessing; expected a network "
            "trained with nervure train or on a Dataset; use nv.sight in Python"
        )
    inputs, _ = prepare(source, record, dtype=net.dtype)
    if not 0 <= row < len(inputs):
        raise ValueError(
            f"[--row] {row} of {source}, which has {len(inputs):,} rows; expected a "
            f"number from 0 to {len(inputs) - 1:,}; change --row"
        )
    return ready(net, record, inputs[row : row + 1])


# -- sheets ---------------------------------------------------------------------------


def _filters(net: Network, out: Path) -> str:
    """All filters by one measure: grey is 0, or each colour at half."""
    found = sight.filters(net)
    several = found.shape[-1] not in (1, 3)
    shown = (found.mean(axis=-1, keepdims=True) if several else found)[:MOST_FILTERS]
    limit = float(np.abs(shown).max())
    pictures = [as_bytes(one, -limit, limit) for one in shown]
    legend = f"black {-limit:.3g}, grey 0, white {limit:.3g}"
    if shown.shape[-1] == 3:
        legend = f"each colour from {-limit:.3g} (dark) over 0 (half) to {limit:.3g}"
    titles = [str(i) for i in range(len(pictures))]
    write_sheet(out, pictures, titles, legend=legend)
    mean = f", mean of {found.shape[-1]} channels" if several else ""
    size = f"{found.shape[1]} x {found.shape[2]}"
    return f"{len(pictures)} of {len(found)} first filters, {size} pixels{mean}"


def _features(net: Network, data: Data, out: Path, wish: Wish) -> str:
    """A line per layer: the image, then its maps, each layer by its own measure."""
    image = _image(data)
    blank = np.full(image.shape[:2], 255, np.uint8)
    pictures: list[Array] = []
    titles: list[str] = []
    heads: list[str] = []
    maps = sight.feature_maps(net, data)
    names = _spread(list(maps))
    for name in names:
        (values,) = maps[name]
        order = np.argsort(-values.var(axis=(0, 1)), kind="stable")[:MOST_MAPS]
        low, high = float(values.min()), float(values.max())
        shown = [_enlarged(as_bytes(values[..., m], low, high), image) for m in order]
        rest = MOST_MAPS - len(shown)
        pictures += [image, *shown, *[blank] * rest]
        titles += ["image", *(f"map {m}" for m in order), *[""] * rest]
        tall, wide, count = values.shape
        size = f"{many(count, 'map')} of {tall} x {wide}"
        heads.append(f"{name}: {size}, black {low:.3g}, white {high:.3g}")
    legend = "Of each layer the maps that vary most over the image, by one measure."
    columns = 1 + MOST_MAPS
    write_sheet(out, pictures, titles, columns=columns, heads=heads, legend=legend)
    return f"{len(names)} of {len(maps)} layers, up to {MOST_MAPS} maps of each"


def _spread(names: list[str]) -> list[str]:
    """At most so many as a sheet can show, the first and the last among them."""
    if len(names) <= MOST_LAYERS:
        return names
    places = np.linspace(0, len(names) - 1, MOST_LAYERS).round().astype(int)
    return [names[i] for i in places.tolist()]


def _heat(net: Network, data: Data, out: Path, wish: Wish) -> str:
    """The image, the map, and the map over the image in red (and blue below 0)."""
    image = _image(data)
    if wish.saliency is not None:
        (values,) = sight.saliency(net, data)
        title = "gradient of the score"
    else:
        (values,) = sight.occlusion(net, data)
        title = "fall of the score when hidden"
    limit = float(np.percentile(np.abs(values), STRONGEST)) or 1.0
    signed = np.clip(values / limit, -1, 1)
    low = -1.0 if signed.min() < 0 else 0.0
    white, dark, blue = f"white and red {limit:.3g}", "black 0", ""
    if low < 0:
        dark, blue = f"black {-limit:.3g}, grey 0", ", blue below 0"
    legend = f"{title}: {dark}, {white}{blue}"
    said = _said(net, data)
    pictures = [image, as_bytes(signed, low, 1.0), _overlaid(image, signed)]
    factor = -(-LARGE // min(image.shape[:2]))
    pictures = [p.repeat(factor, axis=0).repeat(factor, axis=1) for p in pictures]
    titles = [said, title, "over the image"]
    write_sheet(out, pictures, titles, columns=3, legend=legend)
    return f"{wish.kind} of {said}, largest {np.abs(values).max():.3g}"


def _said(net: Network, data: Data) -> str:
    """What the network says of the image."""
    record = net.preprocessing
    assert record is not None
    y = one_each(net.executor().outputs(data)[0], "sight").reshape(1, -1)
    (label,) = predictions(record, y)["prediction"].tolist()
    share = f" {100 * y.max():.0f} %" if y.shape[1] > 1 and y.max() <= 1 else ""
    return f"{label}{share}"


def _image(data: Data) -> Array:
    """The image as bytes; floats by their own range."""
    x = data.inputs[0][0]
    if x.ndim not in (2, 3):
        raise ValueError(
            f"[sight] a row of shape {x.shape}; expected an image (height, width, "
            "channels); use a model of images"
        )
    image = as_bytes(x * data.scale_of(0), 0, 1) if x.dtype == np.uint8 else as_bytes(x)
    image = image if image.ndim == 3 else image[..., None]
    several = image.shape[-1] not in (1, 3)
    return as_bytes(image.mean(axis=-1, keepdims=True), 0, 255) if several else image


def _enlarged(picture: Array, image: Array) -> Array:
    """The map in the size of the image, every value a block."""
    tall, wide = (
        [i * have // wanted for i in range(wanted)]
        for have, wanted in zip(picture.shape, image.shape[:2], strict=True)
    )
    return picture[tall][:, wide]


def _overlaid(image: Array, signed: Array) -> Array:
    grey = 128 + 0.5 * (image.mean(axis=-1) - 128)
    strength = np.abs(signed)[..., None]
    colour = np.where(signed[..., None] >= 0, (230, 30, 30), (30, 60, 230))
    mixed = (1 - strength) * grey[..., None] + strength * colour
    return as_bytes(mixed, 0, 255)
