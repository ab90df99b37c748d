# SPDX-License-Identifier: BSD-3-Clause
"""Data sets with a name: digits and iris, scikit-learn's small ones, both MNISTs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nervure.base.extras import needed
from nervure.data._raw import Parts
from nervure.data.columns import Table, integers, reals, table_of, texts
from nervure.data.download import downloaded
from nervure.data.frames import column_of
from nervure.data.idx import (
    idx_files,
    idx_images_of,
    read_idx,
    read_idx_folder,
)

TABLES = ("iris", "wine", "breast_cancer", "diabetes")
DOWNLOADS = ("mnist", "fashion_mnist")
BUILTIN = ("digits", *TABLES, *DOWNLOADS)

IRIS = (
    "sepal length (cm)",
    "sepal width (cm)",
    "petal length (cm)",
    "petal width (cm)",
)
SPECIES = ("setosa", "versicolor", "virginica")

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def read_builtin(name: str) -> Parts:
    """The data set called ``name``, one of `BUILTIN`."""
    if name == "digits":
        return _digits()
    if name in TABLES:
        return _table(name)
    labels = FASHION if name == "fashion_mnist" else ()
    return idx_parts(downloaded(name), name, labels)


def idx_images(file: Any) -> Any:
    """The images of one IDX file."""
    return _channels(read_idx(file))


def idx_parts(
    folder: Any, where: str, labels: tuple[str, ...] = (), *, labelled: bool = True
) -> Parts:
    """Images of an IDX folder with their classes, named by ``labels`` if given.

    Images without classes are taken where they need not be ``labelled``.
    """
    if not labelled:
        return _unlabelled(folder, where)
    (images, classes), test = read_idx_folder(folder)

    def target(values: Any) -> Any:
        if labels and values.min() >= 0 and values.max() < len(labels):
            return texts("class", np.array(labels, object)[values])
        return integers("class", values)

    return Parts(
        where,
        _channels(images),
        (target(classes),),
        scale=1 / 255 if images.dtype == np.uint8 else None,
        test=None if test is None else (_channels(test[0]), (target(test[1]),)),
    )


def _unlabelled(folder: Any, where: str) -> Parts:
    train, test = idx_images_of(folder)
    scale = 1 / 255 if train.dtype == np.uint8 else None
    other = None if test is None else (_channels(test), ())
    labels = any(key.endswith("labels") for key in idx_files(folder))
    notes = ("left out: the labels",) if labels else ()
    rows = _channels(train)
    return Parts(where, rows, (), scale=scale, test=other, notes=notes)


def _channels(images: Any) -> Any:
    """Grey images with the channel axis that convolutions want."""
    return images[..., None] if images.ndim == 3 else images


def _digits() -> Parts:
    """8 x 8 images of 17 grey levels, kept as bytes."""
    images, digits = _kept("digits")
    return Parts(
        "digits", images[..., None], (integers("digit", digits),), scale=1 / 16
    )


def _table(name: str) -> Parts:
    if name == "iris":
        tenths, classes = _kept(name)
        return _classes(name, IRIS, tenths / 10, SPECIES, classes)
    options: dict[str, Any] = {"scaled": False} if name == "diabetes" else {}
    sets = needed("sklearn.datasets", name)
    loaded = getattr(sets, f"load_{name}")(**options)
    names, values = loaded["feature_names"], loaded["data"]
    if name == "diabetes":
        target = reals("progression", loaded["target"])
        return Parts(name, _columns(name, names, values), (target,))
    return _classes(name, names, values, loaded["target_names"], loaded["target"])


def _classes(
    name: str, names: Iterable[Any], values: Any, labels: Iterable[Any], classes: Any
) -> Parts:
    words = np.array([str(label) for label in labels], object)
    return Parts(name, _columns(name, names, values), (texts("class", words[classes]),))


def _columns(name: str, names: Iterable[Any], values: Any) -> Table:
    columns = [column_of(str(n), values[:, i]) for i, n in enumerate(names)]
    return table_of(columns, name)


def _kept(name: str) -> tuple[Any, Any]:
    """Inputs and classes of a set that comes with the package (see sets/SOURCES.md)."""
    file = Path(__file__).with_name("sets") / f"{name}.npz"
    with np.load(file) as arrays:
        return arrays["X"], arrays["y"].astype(np.int64)
