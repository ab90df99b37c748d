# SPDX-License-Identifier: BSD-3-Clause
"""Families of what a spec or a model file may name, and what their dataclasses say.

Layers, losses, optimizers, schedules, initializers, regularizers and augmentations
are families: a base class that is `Described`, and the list of its kinds, which its
package gives to `family`.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from typing import Any, ClassVar, TypeVar


class Described:
    """Base of a family, whose members a table names by their ``kind``."""

    kind: ClassVar[str]
    kinds: ClassVar[tuple[type[Described], ...]] = ()
    """The members of the family that may be named."""


D = TypeVar("D", bound=Described)


def family(base: type[D], members: tuple[type[D], ...]) -> tuple[type[D], ...]:
    """The members of a family, which its base class knows from now on."""
    base.kinds = members
    return members


def is_described(hint: Any) -> bool:
    """Whether an annotation is a class of which a ``type`` in a table names one."""
    return bool(kinds_of(hint))


def kinds_of(base: Any) -> tuple[Any, ...]:
    """The classes that may be named where a ``base`` is wanted."""
    if not isinstance(base, type) or not issubclass(base, Described):
        return ()
    return tuple(kind for kind in base.kinds if issubclass(kind, base))


@functools.cache
def hints_of(cls: type) -> dict[str, Any]:
    """Annotations as objects."""
    return typing.get_type_hints(cls)


def default_of(field: dataclasses.Field[Any]) -> object:
    """The default of a field, or MISSING."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
