# SPDX-License-Identifier: BSD-3-Clause
"""Embedding: a learned vector for each category."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nervure.initializers import Fans, Floats, Initializer, Named, Uniform, initializer
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    Parameter,
    Pass,
    Shape,
    Symbol,
    at_least,
    wholes,
)
from nervure.layers._weights import read_initializers
from nervure.layers.merge import Concatenate
from nervure.layers.reshape import Flatten, Slice

MOST_CODES = 2**24
"""Whole numbers up to here are exact in float32, in which rows are held."""

LEAST_DIM = "use vectors of at least 1 number"

NO_DERIVATIVE = (
    "a code has no derivative, so that layers below an embedding cannot learn; "
    "expected codes as they are in the data; feed them from an nv.Input"
)
"""Why nothing below a layer of codes can learn."""


@dataclass(frozen=True)
class Embedding(Layer):
    """The vector of a category, by its code: ``y[..., :] = weight[x[...], :]``.

    Codes are whole numbers ``0, 1, ..., categories - 1``, held as floats like all
    rows; a network refuses others and names their row and column. With several
    ``categories`` the last axis has one code for each, and each column has a table of
    its own: the rows of ``weight`` from ``categories[0] + ... + categories[j - 1]`` on.

    The backward pass touches the rows of the batch's codes alone; all others have the
    gradient 0. Weight decay, penalties and an optimizer's momentum move them like any
    weight, whether their code was in the batch or not. Nothing can be learnt below:
    a code has no derivative. A code out of range inside of a network gives zeros.

    Shape:
        input ``(batch, ...)``, output ``(batch, ..., dim)``; with several categories
        input ``(batch, ..., k)``, output ``(batch, ..., k, dim)``;
        ``weight (sum of the categories, dim)``.

    Args:
        categories: number of codes; or one number for each column of the last axis.
        dim: length of the vectors, at least 1.
        unknown: whether code 0 stands for what is not known (or for padding): its
            vector begins at zero.
        initializer: how the vectors begin, by default uniform in
            ``[-1 / sqrt(dim), 1 / sqrt(dim))``.

    Raises:
        LayerError: no category, a dimension below 1, or inputs that are no codes.

    Source: Bengio, Ducharme, Vincent, Jauvin, *A neural probabilistic language model*,
    JMLR (2003), eq. 5 (the matrix C); Guo and Berkhahn, *Entity embeddings of
    categorical variables* (2016), eq. 4, for tables.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Embedding((3, 4), 2)], seed=0)
    >>> net.parameters["embedding.weight"].shape, net.forward([[2, 0]]).shape
    ((7, 2), (1, 2, 2))
    """

    kind: ClassVar[str] = "embedding"
    transposable: ClassVar[bool] = True

    categories: int | tuple[int, ...]
    dim: int = 8
    unknown: bool = False
    initializer: Named | None = None

    def __post_init__(self) -> None:
        sizes = sizes_of(self, self.categories)
        single = not hasattr(self.categories, "__iter__")
        object.__setattr__(self, "categories", sizes[0] if single else sizes)
        at_least(self, "dim", remedy=LEAST_DIM)
        read_initializers(self)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls((3, 1, 4), 3), ((3,),)),
            Example(cls(5, 2, unknown=True), ((2, 3),)),
            Example(cls((40, 30), 70), ((2,),)),
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each column; one where all share a table."""
        return sizes_of(self, self.categories)

    @property
    def untrainable(self) -> str | None:
        """Why nothing below it can learn."""
        return NO_DERIVATIVE

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        columns = shape[-1] if shape else 0
        if not isinstance(self.categories, int) and columns != len(self.sizes):
            raise self.fail(
                f"input of shape {shape}, expected (..., {len(self.sizes)}), a code "
                "for each of the categories",
                "select the columns with nv.Slice, or change categories",
            )
        return (*shape, self.dim)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        bound = 1 / math.sqrt(self.dim)
        begin = initializer(self.initializer or Uniform(-bound, bound))
        if self.unknown:
            begin = UnknownAtZero(begin, self._offsets)
        return (Parameter("weight", (sum(self.sizes), self.dim), begin),)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"categories": self.sizes, "dim": self.dim}

    @property
    def _offsets(self) -> tuple[int, ...]:
        """Where in ``weight`` the table of each column begins."""
        return tuple(itertools.accumulate(self.sizes[:-1], initial=0))

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        sizes, offsets = np.array(self.sizes), np.array(self._offsets)
        code = xp.rint(x)
        known = (code >= 0) & (code < sizes)
        rows = xp.where(known, code, 0).astype("int32") + offsets
        return parameters["weight"][rows] * known[..., None]


@dataclass(frozen=True)
class EmbedColumns(Layer):
    """The last columns of a row are codes; each becomes the vector of its category.

    ``y = [x_1, ..., x_n, weight_1[x_{n+1}], ..., weight_k[x_{n+k}]]``. Written in terms
    of `Slice`, `Embedding`, `Flatten` and `Concatenate`: the first layer of a network
    for tables, whose encoder puts columns of many categories last.

    Shape:
        input ``(batch, n + k)``, output ``(batch, n + k dim)``.

    Args:
        categories: number of codes of each of the last k columns; 0 is that of what
            is not known and begins as zeros.
        dim: length of the vectors, at least 1.
        initializer: how the other vectors begin; see `Embedding`.

    Raises:
        LayerError: rows that are no vectors, or have no other columns than codes.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(5), nv.EmbedColumns((30, 12), dim=4), nv.Dense(1)])
    >>> net.parameters["dense.weight"].shape
    (11, 1)
    """

    kind: ClassVar[str] = "embed_columns"
    composite: ClassVar[bool] = True

    categories: tuple[int, ...]
    dim: int = 8
    initializer: Named | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", sizes_of(self, self.categories))
        at_least(self, "dim", remedy=LEAST_DIM)
        read_initializers(self)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((3, 4), 2), ((4,),)), Example(cls((5,), 3), ((2,),)))

    @property
    def untrainable(self) -> str | None:
        """Why nothing below it can learn."""
        return Embedding(self.categories).untrainable

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        codes = len(self.categories)
        if len(shape) != 1 or shape[0] <= codes:
            raise self.fail(
                f"input of shape {shape}, expected more than {codes} columns, the last "
                f"{codes} of them codes",
                "use nv.Embedding where all columns are codes",
            )
        return (shape[0] + codes * (self.dim - 1),)

    def expand(self, *inputs: Symbol) -> Symbol | None:
        (x,) = inputs
        codes = len(self.categories)
        embedding = Embedding(
            self.categories, self.dim, True, self.initializer, name=self.name
        )
        vectors = Flatten()(embedding(Slice(-codes)(x)))
        return Concatenate()(Slice(0, -codes)(x), vectors)


@dataclass(frozen=True)
class UnknownAtZero(Initializer):
    """Another initializer, with zeros in some rows."""

    initializer: Initializer
    rows: tuple[int, ...]

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        values = self.initializer.sample(shape, fans, rng)
        values[list(self.rows)] = 0
        return values


def sizes_of(layer: Layer, categories: Any) -> tuple[int, ...]:
    """Numbers of codes, each of which some column may hold."""
    sizes = wholes(layer, "categories", categories)
    if not sizes or min(sizes) < 1 or max(sizes) > MOST_CODES:
        raise layer.fail(
            f"categories = {categories!r}",
            f"use one number or several, each 1 to {MOST_CODES:,} (2^24)",
        )
    return sizes
