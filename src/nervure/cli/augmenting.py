# SPDX-License-Identifier: BSD-3-Clause
"""``nervure inspect DATA --augment``: what training would see, as a sheet of images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.words import many
from nervure.cli.pictures import as_bytes, check_name, write_sheet
from nervure.data import Dataset
from nervure.data.augmentation import Augmentation, augment, check_images
from nervure.data.records import Classes
from nervure.spec.defaults import default_spec
from nervure.spec.reading import load_spec
from nervure.spec.rows import load_data
from nervure.spec.tables import DataSpec, Spec, SpecError

IMAGES, STEPS = 8, 7
"""Lines of the sheet, and changed images beside each original."""

Array = npt.NDArray[Any]


def preview(path: str, spec: Path | None, out: Path | None) -> str:
    """Write some images of a source as they are and as they are changed; say where.

    Args:
        path: data, a spec that names data, or the folder of a run.
        spec: a spec whose augmentation is to be seen; by default that of ``path``, or
            the one that training would choose for the data.
        out: the PNG file; by default ``<name>-augmented.png``.

    Raises:
        SpecError, DataError: no augmentation, or data that are no images.
        WriteError: the file cannot be written.
    """
    file = out or Path(f"{_name(path)}-augmented.png")
    check_name(file)
    place = Path(path)
    if (place / "spec.toml").exists():
        place = place / "spec.toml"
    own = load_spec(place) if place.suffix == ".toml" else None
    data = own.data if own else DataSpec(path)
    given = load_spec(spec) if spec else own
    if own is None and given is not None:
        data = DataSpec(path, image_size=given.data.image_size)
    dataset = load_data(data, dtype="float32")
    changes = _changes(given, dataset, str(spec or place))
    pictures, titles = _sheet(dataset, changes, given.seed if given else 0)
    kinds = ", ".join(change.kind for change in changes)
    legend = f"First the image as it is, then what {STEPS} steps make of it by {kinds}."
    write_sheet(file, pictures, titles, columns=1 + STEPS, legend=legend)
    images = many(len(pictures) // (1 + STEPS), "image")
    return f"{file}: {images}, and {STEPS} of each by {kinds}"


def _name(path: str) -> str:
    return re.sub(r"[^\w-]+", "_", Path(path).resolve().name.split(".")[0]) or "data"


def _changes(
    spec: Spec | None, dataset: Dataset, where: str
) -> tuple[Augmentation, ...]:
    shape = dataset.inputs.shape[1:]
    chosen = spec or default_spec(dataset, DataSpec())
    if not chosen.augmentation:
        said = "has no [[augmentation]]" if spec else "is trained on as it is"
        raise SpecError(
            f"[{where}] {said}; expected at least one; name a spec that has some with "
            "--spec"
        )
    check_images(chosen.augmentation, shape)
    return chosen.augmentation


def _sheet(
    dataset: Dataset, changes: tuple[Augmentation, ...], seed: int
) -> tuple[list[Array], list[str]]:
    """Pictures line by line, each original before what became of it, and titles."""
    rows = _rows(dataset)
    scale = dataset.preprocessing.scale
    images = dataset.inputs[rows]
    versions = [images * np.float32(scale)]
    shares = [np.ones(len(rows))]
    for step in range(STEPS):
        made = augment(images, changes, seed=seed, step=step, scale=scale)
        versions.append(made[0])
        shares.append(made[1])
    low, high = (0.0, 1.0) if images.dtype == np.uint8 else (None, None)
    shown = as_bytes(np.stack(versions, axis=1), low, high)
    if shown.shape[-1] != 3:
        shown = shown[..., :1]
    names = _labels(dataset, rows)
    titles = [
        f"{share:.0%} {name}" if share < 1 else name * (i == 0)
        for name, own in zip(names, np.stack(shares, axis=1), strict=True)
        for i, share in enumerate(own)
    ]
    return list(shown.reshape(-1, *shown.shape[2:])), titles


def _rows(dataset: Dataset) -> Array:
    """One row of each class, as far as the sheet has room, else the first rows."""
    if dataset.task == "regression":
        return np.arange(min(IMAGES, dataset.rows))
    first = np.unique(dataset.targets, return_index=True)[1]
    others = np.setdiff1d(np.arange(min(dataset.rows, 2 * IMAGES)), first)
    return np.concatenate([first, others])[:IMAGES]


def _labels(dataset: Dataset, rows: Array) -> list[str]:
    if not isinstance(dataset.preprocessing.target, Classes):
        return [""] * len(rows)
    return [str(x) for x in dataset.preprocessing.decode_classes(dataset.targets[rows])]
