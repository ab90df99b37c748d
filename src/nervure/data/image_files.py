# SPDX-License-Identifier: BSD-3-Clause
"""One image, in a file or in memory: what may be in it, and its pixels as bytes.

Nothing is decoded before its header was looked at, and only by the decoders of the
formats named here: a file from a stranger takes no more memory than `MOST_PIXELS`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.base.extras import needed
from nervure.data._errors import DataError, oneline

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")

MOST_PIXELS = 64_000_000
MOST_BYTES = 256 << 20

_DEEP = ("I;16", "I;16B", "I;16L", "I")
"""Modes of 16 bits, which become 8: the values over 256."""

_GREY = ("1", "L", "LA", *_DEEP)
_KNOWN = (*_GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_ORIENTATION = 0x0112  # of EXIF

Size = tuple[int, int]
"""Height and width in pixels."""


class ImageError(Exception):
    """Why one file is no image to learn from; its text needs no file name."""


@dataclass(frozen=True)
class Header:
    """What an image file says of itself: the size as it is to be seen, and colour."""

    path: Path
    size: Size
    grey: bool


def is_image_name(path: Path) -> bool:
    """Whether a file's name ends like that of an image."""
    return path.suffix.lower() in SUFFIXES


def read_header(path: Path) -> Header:
    """The header of an image file; nothing is decoded.

    Raises:
        ImageError: not an image, or one of numbers that are no colours.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = _orientation(image) >= 5
        size = (width, height) if turned else (height, width)
        return Header(path, size, _is_grey(image))


def read_pixels(file: Path | bytes, size: Size, channels: int) -> NDArray[np.uint8]:
    """An image as uint8 ``(height, width, channels)``, resized to ``size``.

    Turned as its EXIF orientation says; what is transparent becomes white; resized by
    linear interpolation over all the pixels that fall into one (Pillow's BILINEAR).

    Raises:
        ImageError: see `read_header`; truncated or damaged.
    """
    pillow = needed("PIL.Image", _name(file))
    with _opened(file) as image:
        turn = _orientation(image)
        height, width = size[::-1] if turn >= 5 else size
        image.draft(None, (2 * width, 2 * height))  # JPEG: decode no more than needed
        plain = _flattened(image, "L" if channels == 1 else "RGB")
        if plain.size != (width, height):
            plain = plain.resize((width, height), pillow.Resampling.BILINEAR)
        turns: dict[int, Any] = {
            2: pillow.Transpose.FLIP_LEFT_RIGHT,
            3: pillow.Transpose.ROTATE_180,
            4: pillow.Transpose.FLIP_TOP_BOTTOM,
            5: pillow.Transpose.TRANSPOSE,
            6: pillow.Transpose.ROTATE_270,
            7: pillow.Transpose.TRANSVERSE,
            8: pillow.Transpose.ROTATE_90,
        }
        if turn in turns:
            plain = plain.transpose(turns[turn])
        return np.asarray(plain).reshape(*size, channels)


def _name(file: Path | bytes) -> str:
    return "image" if isinstance(file, bytes) else file.name


@contextmanager
def _opened(file: Path | bytes) -> Generator[Any]:
    """The image of a file whose header passed; whatever a decoder raises is a fault."""
    pillow = needed("PIL.Image", _name(file))
    inside = isinstance(file, bytes)
    try:
        stored = len(file) if inside else file.stat().st_size
        if stored > MOST_BYTES:
            raise ImageError(f"{stored:,} bytes; expected at most {MOST_BYTES:,}")
        source = io.BytesIO(file) if inside else file
        with pillow.open(source, formats=FORMATS) as image:
            _check(image)
            yield image
    except (ImageError, DataError):
        raise
    except pillow.UnidentifiedImageError:
        kinds = ", ".join(FORMATS)
        raise ImageError(f"not an image that can be read ({kinds})") from None
    except pillow.DecompressionBombError:
        raise _too_large("more") from None
    except OSError as error:
        reason = error.strerror or oneline(error)
        raise ImageError(f"truncated, damaged or unreadable ({reason})") from None
    except Exception as error:  # decoders raise all kinds of errors at damaged files
        raise ImageError(f"damaged ({oneline(error)})") from None


def _check(image: Any) -> None:
    pixels = math.prod(image.size)
    if pixels > MOST_PIXELS:
        raise _too_large(f"{image.width:,} x {image.height:,}")
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise ImageError("animated; keep one of its pictures")
    if image.mode not in _KNOWN:
        raise ImageError(f"values of mode {image.mode}; convert it to 8 or 16 bits")


def _too_large(found: str) -> ImageError:
    return ImageError(f"{found} pixels; expected at most {MOST_PIXELS:,}; shrink it")


def _is_grey(image: Any) -> bool:
    if image.mode not in ("P", "PA"):
        return image.mode in _GREY
    colours = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _orientation(image: Any) -> int:
    """1 to 8; 1 where the file says nothing, or nonsense."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF beside a whole image
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _flattened(image: Any, mode: str) -> Any:
    """Decoded, in this mode, on white paper; 16 bits as 8."""
    pillow = needed("PIL.Image", "images")
    if image.mode in _DEEP:
        values = np.asarray(image).astype(np.int64).clip(0, 65535) >> 8
        return pillow.fromarray(values.astype(np.uint8)).convert(mode)
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return image.convert("RGB").convert(mode)
    if not image.has_transparency_data:
        return image.convert(mode)
    paper = pillow.new("RGBA", image.size, "white")
    return pillow.alpha_composite(paper, image.convert("RGBA")).convert(mode)
