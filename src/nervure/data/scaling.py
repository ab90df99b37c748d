# SPDX-License-Identifier: BSD-3-Clause
"""How one column of numbers becomes inputs: what was learnt of it, and how it is used.

Every scaling is a record of plain numbers with ``apply``; `fit_scaling` makes it of the
values of training rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nervure.base.formulas import normal_quantile
from nervure.data._errors import DataError, fail
from nervure.data.encodings import Method

Array = NDArray[Any]
Values = NDArray[np.float64]

DAMAGED = "the record is damaged: train again"

SMOOTH_CLIP = 3.0
QUANTILES = 256
BINS = 16
MOST_POINTS = 10_000
_TAIL = 1e-7  # probabilities nearer to 0 and 1 than this are cut off


@dataclass(frozen=True)
class Affine:
    """``z = (x - mean) / scale``; with ``clip`` then ``z / sqrt(1 + (z / clip)^2)``.

    Source: the smooth clip of Holzmüller, Grinsztajn, Steinwart, *Better by default*,
    NeurIPS (2024), section 3 (there with ``clip`` 3).
    """

    mean: float = 0.0
    scale: float = 1.0
    clip: float | None = None
    kind: Literal["affine"] = "affine"

    def __post_init__(self) -> None:
        positive = [self.scale] if self.clip is None else [self.scale, self.clip]
        good = all(math.isfinite(x) and x > 0 for x in positive)
        if not (good and math.isfinite(self.mean)):
            raise fail(
                "scaling",
                f"mean {self.mean}, scale {self.scale}, clip {self.clip}; expected a "
                "finite mean and a positive scale and clip",
                DAMAGED,
            )

    @property
    def width(self) -> int:
        """Number of inputs."""
        return 1

    def features(self, name: str) -> list[str]:
        """Names of the inputs."""
        return [name]

    def apply(self, values: Values, out: Array) -> None:
        """Write the inputs ``(rows, 1)`` of values without NaN to ``out``."""
        z = (values - self.mean) / self.scale
        if self.clip is not None:
            z = z / np.hypot(1.0, z / self.clip)
        out[:, 0] = z


@dataclass(frozen=True)
class Quantiles:
    """The normal score of a value's rank: ``z = ndtri(F(x))``.

    ``F`` is the distribution function of the training rows, linear between ``points``,
    its quantiles at equal distances; where points coincide, the middle of the step.

    Source: `sklearn.preprocessing.QuantileTransformer` with a normal output, but that
    the smallest and largest value, where they come often, are steps like others.
    """

    points: tuple[float, ...]
    kind: Literal["quantiles"] = "quantiles"

    def __post_init__(self) -> None:
        _check_points("quantiles", self.points, strictly=False)

    @property
    def width(self) -> int:
        """Number of inputs."""
        return 1

    def features(self, name: str) -> list[str]:
        """Names of the inputs."""
        return [name]

    def apply(self, values: Values, out: Array) -> None:
        """Write the inputs ``(rows, 1)`` of values without NaN to ``out``."""
        points = np.array(self.points)
        shares = np.linspace(0, 1, len(points))
        below = np.interp(values, points, shares)
        above = -np.interp(-values, -points[::-1], -shares[::-1])
        out[:, 0] = normal_quantile(np.clip((below + above) / 2, _TAIL, 1 - _TAIL))


@dataclass(frozen=True)
class Bins:
    """Piecewise-linear encoding: how far a value has come through each bin.

    For edges ``b_0 < ... < b_T``: ``e_t = (x - b_{t-1}) / (b_t - b_{t-1})``, not below
    0 but in the first bin, and not above 1 but in the last.

    Source: Gorishniy, Rubachev, Babenko, *On embeddings for numerical features in
    tabular deep learning*, NeurIPS (2022), eq. 1.

    >>> out = np.empty((2, 3))
    >>> Bins((0.0, 1.0, 3.0, 4.0)).apply(np.array([2.0, 5.0]), out)
    >>> out.tolist()
    [[1.0, 0.5, 0.0], [1.0, 1.0, 2.0]]
    """

    edges: tuple[float, ...]
    kind: Literal["bins"] = "bins"

    def __post_init__(self) -> None:
        _check_points("bins", self.edges, strictly=True)

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.edges) - 1

    def features(self, name: str) -> list[str]:
        """Names of the inputs."""
        return [f"{name} {low:g}..{high:g}" for low, high in pairwise(self.edges)]

    def apply(self, values: Values, out: Array) -> None:
        """Write the inputs ``(rows, bins)`` of values without NaN to ``out``."""
        last = self.width - 1
        for t, (low, high) in enumerate(pairwise(self.edges)):
            share = (values - low) / (high - low)
            least = -np.inf if t == 0 else 0.0
            out[:, t] = np.clip(share, least, np.inf if t == last else 1.0)


Scaling = Affine | Quantiles | Bins


def _check_points(where: str, points: tuple[float, ...], *, strictly: bool) -> None:
    steps = [after - before for before, after in pairwise(points)]
    rising = all(step > 0 if strictly else step >= 0 for step in steps)
    finite = all(map(math.isfinite, [*points, *steps]))
    if not (2 <= len(points) <= MOST_POINTS and finite and rising):
        raise fail(
            where,
            f"{len(points)} points; expected 2 to {MOST_POINTS:,} finite ones, rising",
            DAMAGED,
        )


# -- from the values of training rows -------------------------------------------------


def fit_scaling(method: Method, values: Values) -> Scaling:
    """What ``method`` learns of finite values, not all of them equal.

    "standard": mean and standard deviation. "robust": median and distance of the
    quartiles, then a smooth clip at 3; where the quartiles coincide, half of the range
    (Holzmüller et al. 2024, section 3). "quantile": normal scores of ranks.
    "piecewise": bins between quantiles at equal distances (Gorishniy et al. 2022,
    section 3.2.1).

    >>> fit_scaling("standard", np.array([1.0, 3.0])).mean
    2.0
    """
    if method == "standard":
        mean, scale = moments(values)
        return Affine(mean, scale or 1.0)
    if method == "robust":
        return _robust(values)
    if method == "quantile":
        count = min(QUANTILES, len(values))
        return Quantiles(_quantiles(values, max(2, count)))
    edges = tuple(dict.fromkeys(_quantiles(values, BINS + 1)))
    if len(edges) < 2 or not math.isfinite(edges[-1] - edges[0]):
        raise DataError("values that are all equal, or too far apart for bins")
    return Bins(edges)


def moments(values: Values) -> tuple[float, float]:
    """Mean and standard deviation (0 for a constant), safe from overflow."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, 0.0
    size = max(abs(low), abs(high))
    scaled = values / size
    return float(scaled.mean()) * size, float(scaled.std()) * size


def _robust(values: Values) -> Affine:
    low, first, median, third, high = np.quantile(
        values, [0, 0.25, 0.5, 0.75, 1]
    ).tolist()
    spread = third - first if third > first else (high / 2 - low / 2)
    return Affine(median, spread if 0 < spread < math.inf else 1.0, SMOOTH_CLIP)


def _quantiles(values: Values, count: int) -> tuple[float, ...]:
    points = np.quantile(values, np.linspace(0, 1, count))
    # Rounding between equal values may bring two of them out of order.
    return tuple(np.maximum.accumulate(points).tolist())
