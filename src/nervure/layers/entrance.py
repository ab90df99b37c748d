# SPDX-License-Identifier: BSD-3-Clause
"""The first layers of a network, by what the columns of its rows hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nervure.layers._layer import Layer
from nervure.layers.embedding import EmbedColumns, Embedding
from nervure.layers.reshape import Flatten
from nervure.layers.source import Input
from nervure.layers.text import EmbeddingBag, EmbedText

WORD_DROPOUT = 0.5
"""Of the words of texts, which a network of this size else learns by heart:
`examples/text_columns.py` reaches 81.5 % with it, 76.5 % without."""


class TextCodes(NamedTuple):
    """A text in a row: number of its codes, and of the columns that it takes."""

    codes: int
    length: int


Codes = int | TextCodes
"""What some of the last columns hold: so many categories, or a text."""


def width_of(codes: Iterable[Codes]) -> int:
    """Number of columns that codes take."""
    return sum(1 if isinstance(each, int) else each.length for each in codes)


def entrance(
    shape: tuple[int | None, ...],
    categories: Sequence[Codes] = (),
    following: Iterable[Layer] = (),
) -> list[Layer]:
    """The first layers for rows of this shape, the last columns of which are codes.

    Texts come behind the codes of categories. They are embedded unless one of the
    ``following`` layers embeds.

    >>> [layer.kind for layer in entrance((5,), (30, 12))]
    ['input', 'embed_columns']
    >>> [layer.kind for layer in entrance((29,), (30, TextCodes(1000, 25)))]
    ['input', 'embed_text']
    """
    after = list(following)
    if after and isinstance(after[0], Embedding) and shape == (None, 1):
        shape = (None,)  # codes of words need no axis of their own
    if not categories or any(map(_embeds, after)):
        return [Input(shape)]
    texts = [each for each in categories if not isinstance(each, int)]
    sizes = tuple(each for each in categories if isinstance(each, int))
    if texts:
        return [Input(shape), _text_layer(texts, sizes)]
    if shape == (len(sizes),):
        return [Input(shape), Embedding(sizes, unknown=True), Flatten()]
    return [Input(shape), EmbedColumns(sizes)]


def _text_layer(texts: Sequence[TextCodes], sizes: tuple[int, ...]) -> EmbedText:
    if len(texts) == 1:
        return EmbedText(*texts[0], dropout=WORD_DROPOUT, columns=sizes)
    counts, lengths = zip(*texts, strict=True)
    return EmbedText(counts, lengths, dropout=WORD_DROPOUT, columns=sizes)


def _embeds(layer: Layer) -> bool:
    return isinstance(layer, Embedding | EmbedColumns | EmbeddingBag | EmbedText)
