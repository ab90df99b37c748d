# SPDX-License-Identifier: BSD-3-Clause
"""Checks of the numbers that dataclasses hold."""

from __future__ import annotations

import math
from typing import cast


def number(
    where: str,
    name: str,
    value: object,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """``value`` as a float if it is a finite number within the bounds.

    Raises:
        ValueError: it is not; the message names the place and the range.
    """
    real = isinstance(value, int | float) or hasattr(value, "__float__")
    if real and not isinstance(value, bool | str):
        found = float(cast(float, value))
        inside = above < found < below and least <= found <= most
        if math.isfinite(found) and inside:
            return found
    low = f"(> {above:g})" if least == -math.inf else f"(>= {least:g})"
    high = f"(< {below:g})" if most == math.inf else f"(<= {most:g})"
    bounds = [text for text in (low, high) if "inf" not in text]
    raise ValueError(
        f"[{where}] {name} = {value!r}; expected a finite number"
        f"{' ' + ' and '.join(bounds) if bounds else ''}; change {name}"
    )


def count(
    where: str, name: str, value: object, *, least: int, most: int | None = None
) -> None:
    """Raises `ValueError` unless ``value`` is a whole number within the bounds."""
    bounds = f"(>= {least})"
    if hasattr(value, "__index__") and not isinstance(value, bool):
        found = cast(int, value)
        if found >= least and (most is None or found <= most):
            return
        bounds += f" and (<= {most})" if found >= least else ""
    raise ValueError(
        f"[{where}] {name} = {value!r}; expected a whole number {bounds}; change {name}"
    )


def flag(where: str, name: str, value: object) -> None:
    """Raises `ValueError` unless ``value`` is true or false."""
    if not isinstance(value, bool):
        raise ValueError(
            f"[{where}] {name} = {value!r}; expected true or false; change {name}"
        )
