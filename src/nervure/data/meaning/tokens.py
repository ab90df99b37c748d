# SPDX-License-Identifier: BSD-3-Clause
"""Texts as words or characters, and which columns of texts hold sentences.

A word is a run of letters and digits, with the marks on and the apostrophes between
them, in small letters; scikit-learn's `CountVectorizer` and Keras' `TextVectorization`
cut texts much alike. Where a script puts no spaces between words (Chinese, Japanese,
Thai and others) each character is one. Emoji are words; other signs are left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["words", "characters"]

LONGEST = {"words": 256, "characters": 512}
"""Tokens of a text that are looked at, at most."""

MOST_TOKENS = 10_000
"""Of a vocabulary."""

MOST_TEXTS = 200_000
"""Texts that a vocabulary is learnt from, evenly spaced among more."""

LONGEST_TOKEN = 50
"""Characters of a token of a vocabulary; longer ones are hardly words."""

SENTENCE = 3.0
"""Words of a text on average, from which a column is of sentences."""

SHORTER = 0.95
"""Share of the texts that are not cut."""

# Blocks of Unicode. Their letters stand apart without spaces between words.
_ALONE = (
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ec0-\u0ec6"
    "\u1000-\u102a\u103f\u1780-\u17b3\u3005-\u3007\u3041-\u3096\u309d-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
    "\U00020000-\U0003ffff"
)
# Marks on letters, which Python's \w leaves out.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f"
    "\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0900-\u0903\u093a-\u094f"
    "\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03\u0a3c-\u0a4d"
    "\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bcd"
    "\u0c00-\u0c04\u0c3e-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6\u0d00-\u0d03\u0d3b-\u0d4d"
    "\u0d81-\u0d83\u0dca-\u0ddf\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc"
    "\u0ec8-\u0ece\u102b-\u103e\u17b6-\u17d3\u200c\u200d\u20d0-\u20ff\u3099\u309a"
    "\ufe00-\ufe0f"
)
_EMOJI = "\u2600-\u27bf\u2b50\u2b55\U0001f300-\U0001faff"
_RUN = rf"[^\W{_ALONE}](?:[^\W{_ALONE}]+|[{_MARKS}]+)*"
_WORD = re.compile(rf"{_RUN}(?:['\u2019]{_RUN})*|[{_ALONE}][{_MARKS}]*|[{_EMOJI}]")
_CHARACTER = re.compile(rf"\S[{_MARKS}]*|(?<=\S)\s+(?=\S)")
_PIECE = re.compile(rf"[{_ALONE}]|[^\s{_ALONE}]+")
_OF_ALONE = re.compile(rf"[{_ALONE}][{_MARKS}]*")
_PIECES = 2_000
"""Characters of a text that its words are counted in, for a guess."""


def tokens(text: str, unit: Unit, most: int) -> list[str]:
    """The first words or characters of a text.

    Only so much of the text is looked at as these take.

    >>> tokens("Don't PANIC: 42 towels \u2764", "words", 9)
    ["don't", 'panic', '42', 'towels', '\u2764']
    >>> tokens("日本 2024", "words", 9)
    ['日', '本', '2024']
    >>> tokens("No  way", "characters", 9)
    ['n', 'o', ' ', 'w', 'a', 'y']
    """
    return list(islice(_tokens(text, unit), most))


def _tokens(text: str, unit: Unit) -> Iterator[str]:
    pattern = _WORD if unit == "words" else _CHARACTER
    for found in pattern.finditer(text):
        token = found.group()
        if token.isascii():
            yield " " if token.isspace() else token.lower()
        else:
            yield _plain(token)


def _plain(token: str) -> str:
    """Without differences of case, of form, and of apostrophes and blanks."""
    if token.isspace():
        return " "
    folded = unicodedata.normalize("NFKC", token[: 2 * LONGEST_TOKEN]).casefold()
    return folded.replace("\u2019", "'")


def learnt(
    texts: Sequence[str], counts: NDArray[np.int64], unit: Unit
) -> tuple[tuple[str, ...], int, float]:
    """The vocabulary of texts that stand in so many rows each, the tokens of a text
    that are kept, and the share of the rows' tokens that are in the vocabulary.

    A token is one that stands in at least two rows: those of most rows first, of as
    many in alphabetical order, at most `MOST_TOKENS`.
    """
    step = max(1, -(-len(texts) // MOST_TEXTS))
    rows: Counter[str] = Counter()
    lengths: list[int] = []
    some = zip(texts[::step], counts[::step].tolist(), strict=True)
    for text, count in some:
        found = tokens(text, unit, LONGEST[unit])
        lengths.append(len(found))
        rows.update(dict.fromkeys(found, count))
    common = sorted((-n, token) for token, n in rows.items() if _is_kept(token, n))
    kept = tuple(token for _, token in common[:MOST_TOKENS])
    length = int(np.ceil(_quantile(np.array(lengths), counts[::step], SHORTER)))
    covered = sum(rows[token] for token in kept) / max(1, rows.total())
    return kept, max(1, length), covered


def _is_kept(token: str, rows: int) -> bool:
    return rows > 1 and len(token) <= LONGEST_TOKEN


def _quantile(values: NDArray[np.int64], weights: NDArray[np.int64], q: float) -> float:
    """The least value that so much of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order[np.argmax(reached >= q * reached[-1])]])


def mean_words(texts: Sequence[str], most: int = 1_000) -> float:
    """Words of a text on average over some of them, as a reader would count them.

    What holds no letter is none; a code with dashes is one; two characters of a script
    without spaces are.

    >>> mean_words(["a red house", "550e8400-e29b-41d4-a716-446655440000"])
    2.0
    """
    some = texts[:: max(1, len(texts) // most)]
    return sum(map(_words, some)) / max(1, len(some))


def stands_alone(token: str) -> bool:
    """Whether a word is a character of a script without spaces between words."""
    return _OF_ALONE.fullmatch(token) is not None


def _words(text: str) -> float:
    pieces = _PIECE.findall(text[:_PIECES])
    alone = sum(map(stands_alone, pieces))
    return sum(any(map(str.isalpha, piece)) for piece in pieces) - alone / 2
