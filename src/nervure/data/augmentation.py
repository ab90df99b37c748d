# SPDX-License-Identifier: BSD-3-Clause
"""Augmentation: images changed at random, anew in each step of training.

The engine changes the images of a batch while it gathers them, in the order of the
list. Random numbers are keyed by the seed, the step and the row, so that neither the
number of threads nor a resumed run changes a bit. Validation, evaluation and prediction
see images as they are.

Changes of place that stand next to each other (shift, flip, rotate, scale, shear, crop,
and one elastic distortion after them) are one map: the image is interpolated once,
bilinearly. What comes from outside of the image is ``fill``: a number, in the
network's units (0 to 1 for images of bytes); "edge", the nearest pixel; or "reflect",
the image in a mirror on its border pixels. Bytes stay within 0 to 1; other numbers may
become what they will.

Legend: u a uniform number of its own for each image and change; H, W, C height, width
and channels of an image.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count, flag, number
from nervure.base.described import Described, family, hints_of
from nervure.base.named import read
from nervure.base.words import unknown
from nervure.data._errors import fail
from nervure.data.arrays import as_inputs

Attribute = int | float | str
Shape = tuple[int, ...]
Border = Literal["edge", "reflect"]

MOST_CHANGES = 64
_MOST_PIXELS = 4096
_MOST_SIGMA = 64.0
_MOST_ALPHA = 1000.0


@dataclass(frozen=True)
class Augmentation(Described):
    """What every change of images declares.

    Class attributes: ``kind`` is the name in specs, ``change`` the engine's change (by
    default of that name), ``mixes`` whether it mixes images and their targets.

    Args:
        probability: share in [0, 1] of the images (or pairs) that are changed at all.
    """

    kind: ClassVar[str] = ""
    change: ClassVar[str] = ""
    mixes: ClassVar[bool] = False

    probability: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        number(self.kind, "probability", self.probability, least=0, most=1)

    def attributes(self) -> dict[str, Attribute]:
        """What the engine's change reads: by default every field, as what it is."""
        return self._read({"probability"})

    def _read(self, others: Set[str]) -> dict[str, Attribute]:
        """The fields but for some, each as the type that it is declared to be."""
        hints = hints_of(type(self))
        own = [f.name for f in fields(self) if f.name not in others]
        return {name: hints[name](getattr(self, name)) for name in own}

    def check(self, shape: Shape) -> None:
        """Raises `DataError` for images ``(H, W, C)`` that it cannot change."""


@dataclass(frozen=True)
class _Moving(Augmentation):
    fill: float | Border = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.fill, str):
            number(self.kind, "fill", self.fill)
        elif self.fill not in get_args(Border):
            known = ["a number", *get_args(Border)]
            raise ValueError(unknown(self.kind, "fill", self.fill, known))

    def attributes(self) -> dict[str, Attribute]:
        return {**self._outside(), **self._read({"probability", "fill"})}

    def _outside(self) -> dict[str, Attribute]:
        """What the engine finds outside of the image."""
        if isinstance(self.fill, str):
            return {"fill": 0.0, "border": self.fill}
        return {"fill": float(self.fill)}


@dataclass(frozen=True)
class Shift(_Moving):
    """Move the image by whole pixels, down and across, each ``-pixels`` to ``pixels``.

    Args:
        pixels: the most, in both directions or ``(down, across)``.

    >>> Shift(2).attributes()
    {'down': 2, 'across': 2, 'fill': 0.0}
    """

    kind: ClassVar[str] = "shift"

    pixels: int | tuple[int, int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for most in self._most():
            count(self.kind, "pixels", most, least=0, most=_MOST_PIXELS)

    def _most(self) -> tuple[int, int]:
        return _pair(self.pixels)

    def attributes(self) -> dict[str, Attribute]:
        down, across = self._most()
        return {"down": down, "across": across, **self._outside()}

    def check(self, shape: Shape) -> None:
        for most, side in zip(self._most(), shape[:2], strict=True):
            if most >= side:
                raise fail(
                    self.kind,
                    f"up to {most} pixels for images of {shape[0]} x {shape[1]}; "
                    "expected fewer than a side",
                    "shift by less",
                )


@dataclass(frozen=True)
class Crop(Shift):
    """Pad the image by ``pixels`` of ``fill`` all around and cut its size out anywhere.

    That is a `Shift`; the name is the one under which papers on CIFAR know it, with 4
    pixels (He et al., *Deep Residual Learning*, CVPR 2016, section 4.2).
    """

    kind: ClassVar[str] = "crop"
    change: ClassVar[str] = "shift"

    pixels: int | tuple[int, int] = 4


@dataclass(frozen=True)
class Flip(_Moving):
    """Mirror the image, in each chosen direction with a probability of one half.

    Not for what has a direction, as digits and letters have.
    """

    kind: ClassVar[str] = "flip"

    horizontal: bool = True
    vertical: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        flag(self.kind, "horizontal", self.horizontal)
        flag(self.kind, "vertical", self.vertical)


@dataclass(frozen=True)
class Rotate(_Moving):
    """Turn the image about its middle by an angle of ``-degrees`` to ``degrees``."""

    kind: ClassVar[str] = "rotate"

    degrees: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.kind, "degrees", self.degrees, least=0, most=180)


@dataclass(frozen=True)
class Scale(_Moving):
    """Enlarge the image about its middle by a factor of ``smallest`` to ``largest``.

    Its size stays: what grows is cut, what shrinks has ``fill`` around it.
    """

    kind: ClassVar[str] = "scale"

    smallest: float = 0.9
    largest: float = 1.1

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.kind, "smallest", self.smallest, least=0.01, most=100)
        number(self.kind, "largest", self.largest, least=self.smallest, most=100)


@dataclass(frozen=True)
class Shear(_Moving):
    """Slant the image by an angle of ``-degrees`` to ``degrees``, as italics are."""

    kind: ClassVar[str] = "shear"

    degrees: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.kind, "degrees", self.degrees, least=0, most=80)


@dataclass(frozen=True)
class Elastic(_Moving):
    """Move every pixel by smoothed noise.

        d = alpha (G_sigma * n),   n uniform in [-1, 1) for each pixel and direction

    The pixel at p shows what was at p + d(p). G is a Gaussian cut at 3 sigma whose
    weights sum to 1; far from the border d has a deviation of about
    ``0.163 alpha / sigma`` pixels. Noise outside of the image is 0.

    Args:
        alpha: strength, in pixels times sigma.
        sigma: reach of the smoothing in pixels, in (0, 64].

    Source: Simard, Steinkraus, Platt, *Best Practices for Convolutional Neural Networks
    Applied to Visual Document Analysis* (ICDAR 2003), section 2; there 34 and 4.
    """

    kind: ClassVar[str] = "elastic"

    alpha: float = 34.0
    sigma: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.kind, "alpha", self.alpha, least=0, most=_MOST_ALPHA)
        number(self.kind, "sigma", self.sigma, above=0, most=_MOST_SIGMA)


@dataclass(frozen=True)
class ColorJitter(Augmentation):
    """Change brightness, contrast, saturation and hue, each by a random amount.

        x <- b x;   x <- m + c (x - m), m the mean brightness;   x <- S R x

    with factors b, c and s uniform in ``1 - strength`` to ``1 + strength``, S the
    matrix of saturation s, and R that of a turn of the hues.

    Args:
        brightness, contrast, saturation: strengths in [0, 1].
        hue: largest turn of the hues in degrees, in [0, 180].

    Source of S and R: W3C, *Filter Effects Module Level 1*, feColorMatrix.
    """

    kind: ClassVar[str] = "color_jitter"
    change: ClassVar[str] = "jitter"

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("brightness", "contrast", "saturation"):
            number(self.kind, name, getattr(self, name), least=0, most=1)
        number(self.kind, "hue", self.hue, least=0, most=180)

    def check(self, shape: Shape) -> None:
        if (self.saturation or self.hue) and shape[2] != 3:
            raise fail(
                self.kind,
                f"saturation or hue of images with {shape[2]} channels; expected 3 "
                "(red, green, blue)",
                "set saturation = 0 and hue = 0, or use brightness and contrast",
            )


@dataclass(frozen=True)
class Brightness(Augmentation):
    """Multiply the image by a factor of ``1 - strength`` to ``1 + strength``."""

    kind: ClassVar[str] = "brightness"
    change: ClassVar[str] = "jitter"

    strength: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.kind, "strength", self.strength, least=0, most=1)

    def attributes(self) -> dict[str, Attribute]:
        return ColorJitter(self.strength, 0, 0).attributes()


@dataclass(frozen=True)
class Contrast(Augmentation):
    """Draw values towards the image's mean, or away from it: ``m + c (x - m)``.

    The factor c is uniform in ``1 - strength`` to ``1 + strength``.
    """

    kind: ClassVar[str] = "contrast"
    change: ClassVar[str] = "jitter"

    strength: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.kind, "strength", self.strength, least=0, most=1)

    def attributes(self) -> dict[str, Attribute]:
        return ColorJitter(0, self.strength, 0).attributes()


@dataclass(frozen=True)
class Cutout(Augmentation):
    """Cover a square of ``size`` pixels about any pixel of the image with ``fill``.

    Source: DeVries, Taylor, *Improved Regularization of Convolutional Neural Networks
    with Cutout* (2017), section 3.2.
    """

    kind: ClassVar[str] = "cutout"

    size: int = 8
    fill: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        count(self.kind, "size", self.size, least=1, most=_MOST_PIXELS)
        number(self.kind, "fill", self.fill)


@dataclass(frozen=True)
class _Mixing(Augmentation):
    mixes: ClassVar[bool] = True

    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self.kind, "alpha", self.alpha, above=0, most=_MOST_ALPHA)


@dataclass(frozen=True)
class Mixup(_Mixing):
    """Mix each image with its neighbour in the batch, and their targets alike.

        x_i <- s x_i + (1 - s) x_j,   t_i <- s t_i + (1 - s) t_j

    s is a number of Beta(alpha, alpha). Rows 0 and 1 of a batch are neighbours, 2 and
    3, and so on; classes become rows of shares. Metrics of training compare with the
    image's own target.

    Source: Zhang et al., *mixup: Beyond Empirical Risk Minimization* (ICLR 2018),
    equation 1.
    """

    kind: ClassVar[str] = "mixup"

    alpha: float = 0.2


@dataclass(frozen=True)
class CutMix(_Mixing):
    """Exchange a rectangle with the neighbour in the batch; targets mix by area.

    The rectangle has a share ``1 - s`` of the area, s of Beta(alpha, alpha), about any
    pixel; what lies outside of the image is not exchanged. See `Mixup` for the rest.

    Source: Yun et al., *CutMix* (ICCV 2019), equations 1 and 2.
    """

    kind: ClassVar[str] = "cutmix"


AUGMENTATIONS: tuple[type[Augmentation], ...] = family(
    Augmentation,
    (
        Shift,
        Crop,
        Flip,
        Rotate,
        Scale,
        Shear,
        Elastic,
        Brightness,
        Contrast,
        ColorJitter,
        Cutout,
        Mixup,
        CutMix,
    ),
)


def _pair(found: int | tuple[int, int]) -> tuple[int, int]:
    if isinstance(found, int):
        return found, found
    if len(found) != 2:
        raise fail(
            "shift",
            f"pixels = {found}; expected a number or (down, across)",
            "change pixels",
        )
    return found[0], found[1]


# -- lists of changes -----------------------------------------------------------------


def augmentations(found: object) -> tuple[Augmentation, ...]:
    """The changes that a list of objects, names and tables stands for; None for none.

    Raises:
        ValueError: unknown names (the candidates are listed), keys or values; a change
            behind one that mixes.

    >>> [one.kind for one in augmentations(["flip", {"type": "shift", "pixels": 3}])]
    ['flip', 'shift']
    """
    if found is None:
        return ()
    several = isinstance(found, Sequence) and not isinstance(found, str)
    items: list[Any] = list(cast("Sequence[Any]", found)) if several else [found]
    changes = tuple(
        read(one, Augmentation, f"augmentation[{i}]") for i, one in enumerate(items)
    )
    _check_order(changes)
    return changes


def _check_order(changes: Sequence[Augmentation]) -> None:
    if len(changes) > MOST_CHANGES:
        raise fail(
            "augmentation",
            f"{len(changes)} changes; expected at most {MOST_CHANGES}",
            "use fewer",
        )
    mixing = [change.kind for change in changes if change.mixes]
    last = changes[len(changes) - len(mixing) :]
    if not all(change.mixes for change in last):
        raise fail(
            "augmentation",
            f"{mixing[0]} before a change of single images; expected it behind them",
            "put mixup and cutmix last",
        )


def check_images(changes: Sequence[Augmentation], shape: Shape) -> None:
    """Raises `DataError` unless rows of ``shape`` are images that can be changed so."""
    if not changes:
        return
    if len(shape) != 3:
        raise fail(
            "augmentation",
            f"{changes[0].kind} for rows of shape {shape}; expected images (height, "
            "width, channels)",
            "leave augmentation out, or reshape the rows (grey images have 1 channel)",
        )
    for change in changes:
        change.check(shape)


def engine_changes(changes: Sequence[Augmentation]) -> list[dict[str, Attribute]]:
    """The changes as the engine reads them, with the keys of their random numbers."""
    return [
        {
            **change.attributes(),
            "type": change.change or change.kind,
            "probability": float(change.probability),
            "key": _key(i, "row"),
            "field_key": _key(i, "field"),
        }
        for i, change in enumerate(changes)
    ]


def _key(index: int, what: str) -> int:
    """Apart from the keys of nodes, which are those of their names."""
    return zlib.crc32(f"[augmentation {index}] {what}".encode())


def augment(
    images: npt.ArrayLike,
    changes: Sequence[Augmentation | str | Mapping[str, Any]],
    *,
    seed: int = 0,
    step: int = 0,
    scale: float | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """A batch of images as training would see it at a step, for a look at them.

    Args:
        images: ``(batch, height, width, channels)``.
        changes: as for `nervure.fit`.
        seed: that of training.
        step: number of the training step.
        scale: what images are multiplied with; by default 1/255 for bytes.

    Returns:
        float32 images, and the share of its own target that each row keeps.

    Raises:
        DataError: no images, or changes that do not fit them.

    >>> image = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    >>> augment(image, [Shift((0, 1), fill=9)], seed=2)[0].ravel().tolist()
    [9.0, 0.0, 1.0, 2.0]
    """
    from nervure.base.engine import engine, in_memory

    pixels = as_inputs(images, where="images")
    found = augmentations(changes)
    check_images(found or [Flip()], pixels.shape[1:])
    if scale is None:
        scale = 1 / 255 if pixels.dtype == np.uint8 else 1.0
    rows = len(pixels)
    out, shares = np.empty(pixels.size, np.float32), np.empty(rows)
    engine.augmented(
        engine.Data32([(in_memory(pixels), scale)], [], None),
        np.arange(rows),
        list(pixels.shape[1:]),
        engine_changes(found),
        seed,
        step,
        out,
        shares,
    )
    return out.reshape(pixels.shape), shares
