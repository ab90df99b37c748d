# SPDX-License-Identifier: BSD-3-Clause
"""Data sets with a name: scikit-learn's small ones, MNIST and Fashion-MNIST."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from nervure.data._raw import Parts
from nervure.data.columns import integers, reals, table_of, texts
from nervure.data.download import downloaded
from nervure.data.frames import column_of
from nervure.data.idx import read_idx_folder

TABLES = ("iris", "wine", "breast_cancer", "diabetes")
DOWNLOADS = ("mnist", "fashion_mnist")
BUILTIN = ("digits", *TABLES, *DOWNLOADS)

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


def idx_parts(folder: Any, where: str, labels: tuple[str, ...] = ()) -> Parts:
    """Images of an IDX folder with their classes, named by ``labels`` if given."""
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


def _channels(images: Any) -> Any:
    """Grey images with the channel axis that convolutions want."""
    return images[..., None] if images.ndim == 3 else images


def _digits() -> Parts:
    """8 x 8 images of 17 grey levels, kept as bytes."""
    rows = _digit_rows()
    images = rows[:, :-1].astype(np.uint8).reshape(-1, 8, 8, 1)
    digit = integers("digit", rows[:, -1])
    return Parts("digits", images, (digit,), scale=1 / 16)


def _digit_rows() -> Any:
    """64 grey levels and the digit of each row, from the file in scikit-learn.

    Read here where it lies in its folder: importing scikit-learn takes ten times as
    long as the rest of a small training.
    """
    package = importlib.util.find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder, "datasets", "data", "digits.csv.gz")
        if path.exists():
            return np.loadtxt(path, np.int64, delimiter=",")
    loaded = _sklearn("digits")
    return np.column_stack([loaded["data"], loaded["target"]]).astype(np.int64)


def _table(name: str) -> Parts:
    options: dict[str, Any] = {"scaled": False} if name == "diabetes" else {}
    loaded = _sklearn(name, **options)
    names: list[str] = [str(feature) for feature in loaded["feature_names"]]
    values = loaded["data"]
    columns = [column_of(n, values[:, i]) for i, n in enumerate(names)]
    table = table_of(columns, name)
    if name == "diabetes":
        return Parts(name, table, (reals("progression", loaded["target"]),))
    labels = np.array([str(label) for label in loaded["target_names"]], object)
    target = texts("class", labels[loaded["target"]])
    return Parts(name, table, (target,))


def _sklearn(name: str, **options: Any) -> Any:
    datasets: Any = importlib.import_module("sklearn.datasets")
    return getattr(datasets, f"load_{name}")(**options)
