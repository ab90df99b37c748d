# SPDX-License-Identifier: BSD-3-Clause
"""Texts, letter by letter."""

from __future__ import annotations

from nervure.data._errors import fail
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Classes, LetterInput


def letters(text: str) -> Preprocessing:
    """The record for networks that read texts like this one and say what comes next.

    The letters that occur in it, in their order, are codes from 0 and classes alike.

    Raises:
        DataError: an empty text.

    >>> record = letters("hello")
    >>> record.encode("hole").values.astype(int).tolist()
    [1, 3, 2, 0]
    >>> record.decode_classes([1, 0]).tolist()
    ['h', 'e']
    """
    found = tuple(sorted(set(text)))
    if not found:
        raise fail("letters", "an empty text", "give one of some letters")
    return Preprocessing(LetterInput(found), Classes("next", found))
