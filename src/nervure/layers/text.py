# SPDX-License-Identifier: BSD-3-Clause
"""EmbeddingBag and EmbedText: the vectors of a text's words, added up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.base.words import unknown
from nervure.initializers import Named, Uniform, initializer
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    LayerError,
    Parameter,
    Pass,
    Shape,
    Symbol,
    at_least,
    features_of,
    whole,
    wholes,
)
from nervure.layers._weights import read_initializers
from nervure.layers.dropout import Dropout
from nervure.layers.embedding import (
    LEAST_DIM,
    NO_DERIVATIVE,
    Embedding,
    UnknownAtZero,
    sizes_of,
)
from nervure.layers.merge import Concatenate
from nervure.layers.reshape import Flatten, Slice

POOLINGS = ("mean", "root", "sum")


@dataclass(frozen=True)
class EmbeddingBag(Layer):
    """The vectors of several codes as one: ``y = sum_{i: x_i > 0} weight[x_i] / d``.

    With n the number of codes that are not 0, ``d`` is n ("mean"), the root of n
    ("root", which keeps the size of a sum of unlike vectors), or 1 ("sum"). Code 0 is
    no word: it fills a text up and has no part in sums and n. Of no word the vector is
    zero. Neither order nor, but for "sum", the length of a text counts. Codes are as
    for `Embedding`.

    While training each code is left out with probability ``dropout``, and the vectors
    of the others are divided by ``1 - dropout``: like `Dropout`, but of whole words.

    The vectors of the single words are never laid out: a batch needs memory for one of
    each text.

    Shape:
        input ``(batch, ..., length)``, output ``(batch, ..., dim)``; ``weight
        (categories, dim)``.

    Args:
        categories: number of codes, 0 among them.
        dim: length of the vectors, at least 1.
        pooling: "mean", "root" or "sum".
        dropout: fraction of the codes to leave out, in [0, 1).
        initializer: how the vectors begin, by default uniform in
            ``[-1 / sqrt(dim), 1 / sqrt(dim))``; that of code 0 is zero.

    Raises:
        LayerError: no category, a dimension below 1, an unknown pooling.

    Source: Joulin, Grave, Bojanowski, Mikolov, *Bag of tricks for efficient text
    classification* (EACL 2017), section 2; Iyyer, Manjunatha, Boyd-Graber, Daumé, *Deep
    unordered composition rivals syntactic methods* (ACL 2015), eq. 1.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(4), nv.EmbeddingBag(3, 1, "mean")])
    >>> net.parameters["embedding_bag.weight"] = [[0], [5], [8]]
    >>> net.forward([[0, 0, 1, 2], [0, 0, 0, 0]]).tolist()
    [[6.5], [0.0]]
    """

    kind: ClassVar[str] = "embedding_bag"
    random: ClassVar[bool] = True

    categories: int
    dim: int = 64
    pooling: str = "root"
    dropout: float = 0.0
    initializer: Named | None = None

    def __post_init__(self) -> None:
        count = whole(self, "categories", self.categories)
        _keep(self, "categories", sizes_of(self, count))
        _check_bag(self)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        every = tuple(Example(cls(6, 3, word), ((5,),)) for word in POOLINGS)
        return (*every, Example(cls(40, 70, "root", 0.4), ((2, 3),)))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes that each column may hold: one for all of them."""
        return (self.categories,)

    @property
    def untrainable(self) -> str | None:
        """Why nothing below it can learn."""
        return NO_DERIVATIVE

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if not shape:
            raise self.fail(
                "input of shape (), expected (..., length)", "give several codes a row"
            )
        return (*shape[:-1], self.dim)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        bound = 1 / math.sqrt(self.dim)
        begin = initializer(self.initializer or Uniform(-bound, bound))
        shape = (self.categories, self.dim)
        return (Parameter("weight", shape, UnknownAtZero(begin, (0,))),)

    def flops(self, *inputs: Shape) -> int:
        return math.prod(inputs[0]) * self.dim

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {
            "categories": self.sizes,
            "dim": self.dim,
            "pooling": self.pooling,
            "rate": float(self.dropout),
            "threshold": Dropout(self.dropout).threshold,
        }

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        code = xp.rint(x)
        known = (code > 0) & (code < self.categories)
        rows = xp.where(known, code, 0).astype("int32")
        words = known.astype(parameters["weight"].dtype)
        words = Dropout(self.dropout).formula(xp, {}, words, info=info)
        total = (parameters["weight"][rows] * words[..., None]).sum(axis=-2)
        count = xp.maximum(known.sum(axis=-1), 1)[..., None].astype(total.dtype)
        divisors = {"mean": count, "root": xp.sqrt(count), "sum": xp.ones_like(count)}
        return total / divisors[self.pooling]


@dataclass(frozen=True)
class EmbedText(Layer):
    """The last columns of a row are the words of texts, whose vectors they become.

    ``y = [x_1, ..., x_n, weight[x_{n+1}], ..., bag(x_{n+k+1}, ..., x_{n+k+length}),
    ...]``: numbers, which stay; k codes of categories (``columns``), each of which
    becomes a vector; the words of each text, which become one. Written in terms of
    `Slice`, `Embedding`, `EmbeddingBag` and `Concatenate`: the first layer of a network
    for tables with texts, as `EmbedColumns` is for those without.

    Shape:
        input ``(batch, n + k + sum of the lengths)``, output ``(batch, n + k
        columns_dim + texts dim)``; n and k may be 0.

    Args:
        categories: number of codes of a text's words, 0 being none; or of several
            texts, in the order of their columns.
        length: how many columns hold the words of each.
        dim, pooling, dropout, initializer: those of `EmbeddingBag`.
        columns: numbers of codes of the columns before the texts; 0 is what is not
            known.
        columns_dim: length of their vectors.

    Raises:
        LayerError: rows that are no vectors or have fewer columns; another number of
            texts than of lengths.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(5), nv.EmbedText(100, 4, dim=8), nv.Dense(1)])
    >>> net.parameters["dense.weight"].shape
    (9, 1)
    >>> nv.EmbedText((100, 50), (4, 3), columns=(9, 9)).output_shape((10,))
    (145,)
    """

    kind: ClassVar[str] = "embed_text"
    composite: ClassVar[bool] = True

    categories: int | tuple[int, ...]
    length: int | tuple[int, ...]
    dim: int = 64
    pooling: str = "root"
    dropout: float = 0.0
    initializer: Named | None = None
    columns: tuple[int, ...] = ()
    columns_dim: int = 8

    def __post_init__(self) -> None:
        lengths = wholes(self, "length", self.length)
        if not lengths or min(lengths) < 1:
            raise self.fail(f"length = {self.length}", "give a text at least 1 column")
        _keep(self, "length", lengths)
        _keep(self, "categories", sizes_of(self, self.categories))
        if len(self.texts) != len(lengths) or len(self.texts) != len(self._counts):
            raise self.fail(
                f"{len(self._counts)} categories for {len(lengths)} lengths",
                "give both for each text",
            )
        if self.columns:
            _keep(self, "columns", sizes_of(self, self.columns), always=True)
        at_least(self, "columns_dim", remedy=LEAST_DIM)
        _check_bag(self)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(6, 3, 2), ((5,),)),
            Example(cls(4, 2, 3, "sum"), ((2,),)),
            Example(cls((4, 5), (2, 1), 3, columns=(3, 2), columns_dim=2), ((6,),)),
        )

    @property
    def untrainable(self) -> str | None:
        """Why nothing below it can learn."""
        return EmbeddingBag(1).untrainable

    @property
    def _counts(self) -> tuple[int, ...]:
        return wholes(self, "categories", self.categories)

    @property
    def texts(self) -> tuple[tuple[int, int], ...]:
        """Number of codes and of columns of each text."""
        lengths = wholes(self, "length", self.length)
        return tuple(zip(self._counts, lengths, strict=False))

    @property
    def _coded(self) -> int:
        """Columns of codes, those of texts among them."""
        return len(self.columns) + sum(length for _, length in self.texts)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) != 1 or shape[0] < self._coded:
            raise self.fail(
                f"input of shape {shape}, expected at least {self._coded} columns, the "
                "last of them codes",
                "change length, or use nv.EmbeddingBag where rows have other shapes",
            )
        vectors = len(self.columns) * self.columns_dim + len(self.texts) * self.dim
        return (shape[0] - self._coded + vectors,)

    def expand(self, *inputs: Symbol) -> Symbol | None:
        (x,) = inputs
        place = features_of(x) - self._coded
        parts: list[Symbol] = [Slice(0, place)(x)] if place else []
        if self.columns:
            after = place + len(self.columns)
            codes = Slice(place, after)(x)
            own = Embedding(self.columns, self.columns_dim, True, self.initializer)
            parts.append(Flatten()(own(codes)))
            place = after
        for i, (count, length) in enumerate(self.texts):
            words = x if length == features_of(x) else Slice(place, place + length)(x)
            parts.append(self._bag(count, self.name if i == 0 else None)(words))
            place += length
        return parts[0] if len(parts) == 1 else Concatenate()(*parts)

    def _bag(self, count: int, name: str | None) -> EmbeddingBag:
        given = (self.dim, self.pooling, self.dropout, self.initializer)
        return EmbeddingBag(count, *given, name=name)


def _keep(
    layer: Layer, field: str, several: tuple[int, ...], always: bool = False
) -> None:
    """Set a field to numbers; to one where it was given so."""
    single = not always and not hasattr(getattr(layer, field), "__iter__")
    object.__setattr__(layer, field, several[0] if single else several)


def _check_bag(layer: EmbeddingBag | EmbedText) -> None:
    at_least(layer, "dim", remedy=LEAST_DIM)
    if layer.pooling not in POOLINGS:
        place = layer.kind if layer.name is None else f"{layer.kind} '{layer.name}'"
        raise LayerError(unknown(place, "pooling", layer.pooling, POOLINGS))
    if not hasattr(layer.dropout, "__float__") or not 0 <= layer.dropout < 1:
        raise layer.fail(f"dropout = {layer.dropout!r}", "use a fraction in [0, 1)")
    read_initializers(layer)
