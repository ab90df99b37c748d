# SPDX-License-Identifier: BSD-3-Clause
"""Objects from names and tables.

Losses, initializers, optimizers, schedules and regularizers are dataclasses with a
``kind``; `nervure.base.plain` makes them of plain data and plain data of them.
"""

from __future__ import annotations

from typing import TypeVar, cast

from nervure.base import plain

D = TypeVar("D")


def read(found: object, base: type[D], where: str) -> D:
    """The object that a name, a table or an object of class ``base`` stands for.

    Raises:
        ValueError: all that is wrong with it, one line each.
    """
    if isinstance(found, base):
        return found
    if isinstance(found, type) and issubclass(cast(type[object], found), base):
        name = cast(type[object], found).__name__
        raise ValueError(
            f"[{where}] the class {name}; expected an object of it; write {name}(...)"
        )
    faults = plain.Faults(where)
    made = plain.read(base, found, faults.at())
    faults.raise_as(ValueError)
    return cast(D, made)
