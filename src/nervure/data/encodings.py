# SPDX-License-Identifier: BSD-3-Clause
"""How the columns of a table are to become inputs, as a user asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from nervure.base.words import unknown
from nervure.data._errors import DataError

Method = Literal["standard", "robust", "quantile", "piecewise"]
Categories = Literal["auto", "one_hot", "embedding"]
Texts = Literal["text", "characters"]
Use = Literal[
    "standard",
    "robust",
    "quantile",
    "piecewise",
    "one_hot",
    "embedding",
    "text",
    "characters",
    "drop",
]
AS_TEXT = ("one_hot", "embedding", *get_args(Texts))
"""Words of `Use` for columns that stay text in a text file, whatever they look like."""

MOST_ONE_HOT = 20


@dataclass(frozen=True)
class Encodings:
    """How the columns of a table become inputs.

    Args:
        numbers: numbers and dates are "standard"-ized, "robust"-ly scaled with a
            smooth clip, turned into normal scores of "quantile"s, or given a
            "piecewise"-linear encoding.
        categories: "one_hot" inputs, codes for an "embedding", or "auto": an embedding
            where there are more than ``most_one_hot`` levels.
        columns: the same, or "drop", for single columns by name; integers too may be
            categories. "text" takes a column as free text, whose words are embedded
            (by default where most texts are different and of several words),
            "characters" the same character by character. What is named here is never
            dropped as an identifier.
        most_one_hot: largest number of levels that "auto" turns into one input each.
        embeds: whether "auto" may give codes; else it drops columns of more levels.

    Raises:
        DataError: a word that is none of these.
    """

    numbers: Method = "standard"
    categories: Categories = "auto"
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    most_one_hot: int = MOST_ONE_HOT
    embeds: bool = True

    def __post_init__(self) -> None:
        for what, word, words in (
            ("encoding of numbers", self.numbers, get_args(Method)),
            ("encoding of categories", self.categories, get_args(Categories)),
            *(
                (f"encoding of column {name!r}:", word, get_args(Use))
                for name, word in self.columns.items()
            ),
        ):
            if word not in words:
                raise DataError(unknown("columns", what, word, words))
