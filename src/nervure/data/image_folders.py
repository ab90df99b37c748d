# SPDX-License-Identifier: BSD-3-Clause
"""Folders of images, one sub-folder per class, and images without a class.

All images become bytes of one size, in as few channels as they need.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nervure.base.extras import needed
from nervure.data._errors import DataError, DataWarning, check_size, fail, listing
from nervure.data._raw import Parts
from nervure.data.columns import Column, texts
from nervure.data.image_files import (
    Header,
    ImageError,
    Size,
    is_image_name,
    read_header,
    read_pixels,
)
from nervure.data.records import ArrayInput, Inputs, TableInput

LARGEST_SIDE = 64
"""Pixels of the longer side that is chosen; ``image_size`` may ask for more."""

BYTE = 1 / 255
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation", "eval")
_MOST_SHOWN = 100
_MOST_WORKERS = 4  # each holds one decoded image
_LARGE = 8_000_000  # pixels, of which one is decoded at a time
_T = TypeVar("_T")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Folder:
    """Image files below a folder, those of each class apart, in order of their names.

    ``loose`` lie in no class; ``others`` are files that are no images.
    """

    path: Path
    classes: dict[str, tuple[Path, ...]]
    loose: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Its own name, also where it was given as ``.``."""
        return self.path.resolve().name or "images"

    @property
    def files(self) -> tuple[Path, ...]:
        """The images that are read: those in classes, if there are any."""
        if not self.classes:
            return self.loose
        return tuple(file for files in self.classes.values() for file in files)

    def only(self, files: Collection[Path]) -> Folder:
        """The folder with these files alone."""
        kept = set(files)
        classes = {
            n: tuple(f for f in of if f in kept) for n, of in self.classes.items()
        }
        loose = tuple(file for file in self.loose if file in kept)
        return replace(self, classes=classes, loose=loose)

    def labels(self) -> Column:
        """The class of each image that has one."""
        names = [name for name, files in self.classes.items() for _ in files]
        return texts("class", names)


def find_images(path: Path) -> Folder | None:
    """The images below a folder, or a single image file; None where there are none."""
    if path.is_file():
        return Folder(path.parent, {}, (path,)) if is_image_name(path) else None
    entries = _shown(path)
    if len(entries) == 1 and entries[0].is_dir() and _holds_classes(entries[0]):
        return find_images(entries[0])  # what archives wrap around their content
    within = {p.name: _below(p) for p in entries if p.is_dir()}
    beside = [p for p in entries if p.is_file()]
    classes = {name: tuple(filter(is_image_name, w)) for name, w in within.items()}
    loose = tuple(filter(is_image_name, beside))
    if not (loose or any(classes.values())):
        return None
    everything = [*beside, *(file for files in within.values() for file in files)]
    others = tuple(file for file in everything if not is_image_name(file))
    return Folder(path, classes, loose, others)


def _shown(folder: Path) -> list[Path]:
    """What lies in a folder, but for what systems add."""
    return sorted(p for p in folder.iterdir() if _is_shown(p.name))


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _holds_classes(folder: Path) -> bool:
    """Whether a folder holds folders of images, and no image beside them."""
    entries = _shown(folder)
    beside = any(is_image_name(p) for p in entries if p.is_file())
    folders = [p for p in entries if p.is_dir()]
    return bool(folders) and not beside


def _below(folder: Path) -> list[Path]:
    """All files below a folder, sorted; links to folders are not followed."""
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(filter(_is_shown, folders))
        shown = sorted(filter(_is_shown, names))
        found += [Path(root, name) for name in shown]
    return found


# -- data to train on -----------------------------------------------------------------


def image_parts(
    found: Folder,
    image_size: Size | None = None,
    *,
    skip_bad: bool = False,
    labelled: bool = True,
) -> Parts:
    """Images of a folder with their classes; a test part if it holds one.

    Args:
        found: a folder of class folders, or of two such folders, ``train`` and
            ``test``.
        image_size: height and width; by default the medians of the images, with the
            longer side no longer than `LARGEST_SIDE`.
        skip_bad: leave out images that cannot be read, with a warning.
        labelled: whether images need a class each.

    Raises:
        DataError: images without a class, classes without an image, files that are no
            images of 8 bits per channel: all are named.
    """
    where = found.name
    train, test = _train_and_test(found)
    for part in (train, test):
        if part is not None and labelled:
            _check_classes(part)
    files = [*train.files, *(test.files if test else ())]
    read = _read(files, found, image_size, skip_bad=skip_bad)
    train, test = train.only(read.files), test and test.only(read.files)
    if labelled:
        _check_classes(train)
    count = len(train.files)
    return Parts(
        where,
        read.pixels[:count],
        _classes_of(train),
        BYTE,
        None if test is None else (read.pixels[count:], _classes_of(test)),
        (read.note, *_skipped(found, train, test)),
        read.size,
    )


def _classes_of(part: Folder) -> tuple[Column, ...]:
    return (part.labels(),) if part.classes else ()


def _train_and_test(found: Folder) -> tuple[Folder, Folder | None]:
    """A folder of class folders is trained on; ``train`` and ``test`` are parted."""
    names = {name.lower(): name for name in found.classes}
    trains = [names[name] for name in TRAIN_NAMES if name in names]
    tests = [names[name] for name in TEST_NAMES if name in names]
    if len(trains) != 1 or not set(names) <= {*TRAIN_NAMES, *TEST_NAMES}:
        return found, None
    train = find_images(found.path / trains[0])
    if train is None:
        raise fail(found.name, f"no image in {trains[0]!r}; expected some", "add them")
    test = find_images(found.path / tests[0]) if tests else None
    return train, test


def _check_classes(found: Folder) -> None:
    where = found.name
    if not found.classes:
        raise fail(
            where,
            f"images that lie in no class ({len(found.loose):,}); expected one "
            "sub-folder for each class",
            "move each image into the folder of its class",
        )
    empty = [name for name, files in found.classes.items() if not files]
    if empty:
        raise fail(
            where,
            f"no image in {listing(empty)}; expected images in each class folder",
            "add some, or remove the folder",
        )


def _skipped(found: Folder, train: Folder, test: Folder | None) -> list[str]:
    """Notes about files that are not read."""
    notes: list[str] = []
    if found.others:
        names = [str(p.relative_to(found.path)) for p in found.others]
        notes.append(f"files that are no images, not read: {listing(names, 3)}")
    if found.classes and found.loose:
        names = [p.name for p in found.loose]
        notes.append(f"images that lie in no class, not read: {listing(names, 3)}")
    read = {part.path.name for part in (train, test) if part}
    unread = [name for name in found.classes if train is not found and name not in read]
    if unread:
        notes.append(f"folders not read beside train and test: {listing(unread, 3)}")
    return notes


# -- images for a network that is trained ---------------------------------------------


def images_for(
    found: Folder, record: Inputs, *, skip_bad: bool = False
) -> tuple[Pixels, Column | None]:
    """Images of the size that a network was trained on, and their classes if any.

    Raises:
        DataError: the network was not trained on images of bytes; a file is no image.
    """
    train, test = _train_and_test(found)
    part = test or train
    size, channels = image_shape(record, found.name)
    read = _read(part.files, found, size, channels, skip_bad=skip_bad)
    kept = part.only(read.files)
    return read.pixels, kept.labels() if kept.classes else None


def image_names(found: Folder, *, skip_bad: bool = False) -> list[str]:
    """The files that `images_for` reads, in order, as seen from the folder."""
    train, test = _train_and_test(found)
    files = (test or train).files
    if skip_bad:
        _, faults = _each(lambda file: read_pixels(file, (8, 8), 1), files)
        files = tuple(file for file in files if file not in faults)
    return [file.relative_to(found.path).as_posix() for file in files]


def image_for(file: bytes, record: Inputs) -> Pixels:
    """The one image of a file's bytes as a network was trained on them: a row.

    Raises:
        DataError: the network was not trained on images of bytes; it is no image.
    """
    size, channels = image_shape(record, "image")
    try:
        return read_pixels(file, size, channels)[None]
    except ImageError as error:
        raise fail("image", f"{error}", "send another") from None


def image_shape(record: Inputs, where: str) -> tuple[Size, int]:
    """Size and channels of the images that a network was trained on.

    Raises:
        DataError: it was not trained on images of bytes.
    """
    shape = (record.width,) if isinstance(record, TableInput) else record.shape
    array = isinstance(record, ArrayInput)
    bytes_ = array and abs(record.scale / BYTE - 1) < 1e-6
    if not bytes_ or len(shape) != 3 or shape[2] not in (1, 3):
        found = " x ".join(map(str, shape))
        raise fail(
            where,
            f"images for a network of {found} inputs that are not images of bytes; "
            "expected data as in training",
            "give such data, or train a network on images",
        )
    height, width, channels = shape
    return (height, width), channels


# -- reading --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Pictures:
    """Images that were read: their files, pixels, size, and what was done, in words."""

    files: tuple[Path, ...]
    pixels: Pixels
    size: Size
    note: str


def _read(
    files: Sequence[Path],
    folder: Folder,
    size: Size | None,
    channels: int | None = None,
    *,
    skip_bad: bool = False,
) -> _Pictures:
    """The pixels of all files; what cannot be read is an error, or left out."""
    pillow = needed("PIL.Image", folder.name)
    with warnings.catch_warnings():  # sizes are checked by read_header
        warnings.simplefilter("ignore", pillow.DecompressionBombWarning)
        headers, faults = _each(read_header, files)
        good = list(headers.values())
        size = size or (_median_size(good) if good else (1, 1))
        wanted = channels or (1 if all(header.grey for header in good) else 3)
        check_size(folder.name, len(good) * size[0] * size[1] * wanted)
        pixels = np.empty((len(good), *size, wanted), np.uint8)
        places = {header.path: i for i, header in enumerate(good)}
        one_large = threading.Lock()  # so that memory is bounded by that of one

        def fill(path: Path) -> None:
            i = places[path]
            large = math.prod(good[i].size) > _LARGE
            with one_large if large else contextlib.nullcontext():
                pixels[i] = read_pixels(path, size, wanted)

        faults |= _each(fill, list(places))[1]
    if faults:
        good, pixels = _without_bad(files, faults, folder, good, pixels, skip_bad)
    if channels is None and wanted == 3 and _all_grey(pixels):
        pixels = np.ascontiguousarray(pixels[..., :1])
    names = tuple(header.path for header in good)
    return _Pictures(names, pixels, size, _note(good, pixels))


def _without_bad(
    files: Sequence[Path],
    faults: dict[Path, str],
    folder: Folder,
    good: list[Header],
    pixels: Pixels,
    skip_bad: bool,
) -> tuple[list[Header], Pixels]:
    """What is left without images that cannot be read.

    Warns:
        DataWarning: which were left out.
    """
    left = [i for i, header in enumerate(good) if header.path not in faults]
    if not skip_bad or not left:
        raise _unusable(files, faults, folder)
    some = list(faults.items())[:3]
    shown = ", ".join(f"{p.relative_to(folder.path)}: {why}" for p, why in some)
    more = f" and {len(faults) - 3:,} more" if len(faults) > 3 else ""
    warnings.warn(
        DataWarning(
            f"[{folder.name}] {len(faults):,} of {len(files):,} images left out, which "
            f"cannot be read ({shown}{more})"
        ),
        stacklevel=2,
    )
    return [good[i] for i in left], pixels[left]


def _each(
    call: Callable[[Path], _T], files: Iterable[Path]
) -> tuple[dict[Path, _T], dict[Path, str]]:
    """What ``call`` gives for each file, in order, and the faults of the others."""
    from concurrent.futures import ThreadPoolExecutor

    def attempt(path: Path) -> _T | ImageError:
        try:
            return call(path)
        except ImageError as fault:
            return fault

    results: dict[Path, _T] = {}
    faults: dict[Path, str] = {}
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    names = list(files)
    with ThreadPoolExecutor(workers) as pool:
        for path, found in zip(names, pool.map(attempt, names), strict=True):
            if isinstance(found, ImageError):
                faults[path] = str(found)
            else:
                results[path] = found
    return results, faults


def _unusable(
    files: Sequence[Path], faults: dict[Path, str], folder: Folder
) -> DataError:
    lines = [
        f"  {path.relative_to(folder.path).as_posix()}: {faults[path]}"
        for path in files
        if path in faults
    ]
    more = len(lines) - _MOST_SHOWN
    rest = [f"  ... and {more:,} more"] if more > 0 else []
    head = (
        f"[{folder.name}] {len(lines):,} of {len(files):,} images cannot be used; "
        "expected whole pictures; repair or remove them, or leave them out by "
        "--skip-bad:"
    )
    return DataError("\n".join([head, *lines[:_MOST_SHOWN], *rest]))


def _median_size(headers: Sequence[Header]) -> Size:
    """The medians of height and width, shrunk until the longer fits."""
    height, width = np.median([header.size for header in headers], axis=0)
    factor = min(1.0, LARGEST_SIDE / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _all_grey(pixels: Pixels) -> bool:
    return all(bool((image == image[..., :1]).all()) for image in pixels)


def _note(headers: Sequence[Header], pixels: Pixels) -> str:
    sizes = sorted({h.size for h in headers}, key=lambda size: size[0] * size[1])
    shown = [f"{height} x {width}" for height, width in (sizes[0], sizes[-1])]
    of = shown[0] if len(sizes) == 1 else f"{shown[0]} to {shown[1]}"
    height, width, channels = pixels.shape[1:]
    colour = "grey" if channels == 1 else "in colour"
    if len(sizes) == 1 and sizes[0] == (height, width):
        return f"images: {of}, {colour}"
    return f"images: {of}, resized to {height} x {width}, {colour}"


def describe_images(found: Folder) -> str:
    """Size and colour of images that have no class, in a line.

    Raises:
        DataError: see `image_parts`.
    """
    read = _read(found.files, found, None)
    count, note = len(read.pixels), read.note
    name = found.name if count > 1 else found.files[0].name
    return f"{name}: {count:,} image{'s' if count > 1 else ''} without a class\n{note}"
