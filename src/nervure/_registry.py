# SPDX-License-Identifier: BSD-3-Clause
"""What a spec or a model file may name, and what its dataclasses say of themselves."""

from __future__ import annotations

import dataclasses
import functools
import typing
from typing import Any


@functools.cache
def registered() -> tuple[Any, ...]:
    """Every class that a spec or a model file may name."""
    from nervure.data.augmentation import AUGMENTATIONS
    from nervure.initializers import INITIALIZERS
    from nervure.layers import LAYERS
    from nervure.losses import LOSSES
    from nervure.optimizers import OPTIMIZERS, SCHEDULES
    from nervure.regularizers import REGULARIZERS

    return (
        *LAYERS,
        *LOSSES,
        *OPTIMIZERS,
        *SCHEDULES,
        *INITIALIZERS,
        *REGULARIZERS,
        *AUGMENTATIONS,
    )


def is_described(hint: Any) -> bool:
    """Whether an annotation is a class of which a ``type`` in a table names one."""
    return hasattr(hint, "kind") and any(issubclass(c, hint) for c in registered())


@functools.cache
def hints_of(cls: type) -> dict[str, Any]:
    """Annotations as objects; base classes need not be imported where they stand."""
    bases = {b.__name__: b for c in registered() for b in c.__mro__[1:-1]}
    return typing.get_type_hints(cls, localns=bases)


def default_of(field: dataclasses.Field[Any]) -> object:
    """The default of a field, or MISSING."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
