# SPDX-License-Identifier: BSD-3-Clause
"""Families of layers: what is said once for the classes of every rank."""

from __future__ import annotations

import inspect
from typing import ClassVar

from nervure.layers._layer import Layer


class Ranked(Layer):
    """A layer over maps of ``rank`` spatial axes.

    A family (`MaxPool`) has no rank of its own; its members (`MaxPool1D`) have, and
    ``help`` of a member begins with what the families above it say.
    """

    rank: ClassVar[int]

    def __init_subclass__(cls) -> None:
        if "rank" in vars(cls) and cls.__doc__:
            above = cls.__mro__[1 : cls.__mro__.index(Ranked)]
            public = [each for each in above if not each.__name__.startswith("_")]
            texts = (inspect.getdoc(each) or "" for each in (*public, cls))
            cls.__doc__ = "\n\n".join(texts)
