# SPDX-License-Identifier: BSD-3-Clause
"""What a `Preprocessing` holds: a description of each column, checked when it is made.

Everything here is plain data that may come from a stranger's file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from nervure.data._errors import fail
from nervure.data.meaning.forms import Form
from nervure.data.meaning.tokens import LONGEST_TOKEN, Unit
from nervure.data.scaling import DAMAGED, Scaling

MOST_COLUMNS = 100_000
MOST_FEATURES = 1_000_000  # after encoding
MOST_LABELS = 1_000_000
MOST_AXES = 8
LONGEST_NAME = 10_000  # characters
LONGEST_TEXT = 10_000  # words or characters


@dataclass(frozen=True)
class Numeric:
    """A column of numbers (or dates, in seconds since 1970), scaled.

    Missing values become ``fill``; ``flag`` adds an input that is 1 where x is missing.
    ``written`` is how the numbers or dates stood in a text file, if not plainly.
    """

    name: str
    scaling: Scaling
    fill: float = 0.0
    flag: bool = False
    date: bool = False
    written: Form | None = None
    kind: Literal["numeric"] = "numeric"

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not math.isfinite(self.fill):
            raise fail(f"column {self.name!r}", f"fill {self.fill}", DAMAGED)

    @property
    def width(self) -> int:
        """Number of inputs that the column becomes."""
        return self.scaling.width + self.flag

    def features(self) -> list[str]:
        """Names of the inputs that the column becomes."""
        missing = [f"{self.name} missing"] if self.flag else []
        return self.scaling.features(self.name) + missing


@dataclass(frozen=True)
class Category:
    """A column of text, booleans or integers, whose values are categories.

    One-hot, it becomes one input per level, and what was not seen in training becomes
    zeros. ``embedded`` it becomes one input, a code: 0 for what is not known, i + 1 for
    ``levels[i]``. ``missing`` gives missing values a level, or a last code, of their
    own; without it they are as what is not known.
    """

    name: str
    levels: tuple[str, ...]
    missing: bool = False
    source: Literal["text", "boolean", "integer"] = "text"
    embedded: bool = False
    kind: Literal["category"] = "category"

    def __post_init__(self) -> None:
        _check_name(self.name)
        place = f"column {self.name!r}"
        _check_count(place, "levels", len(self.levels) + self.missing, MOST_LABELS)
        if len(set(self.levels)) < len(self.levels):
            raise fail(place, "a level twice; expected each once", DAMAGED)
        if self.source == "boolean" and not set(self.levels) <= {"False", "True"}:
            raise fail(place, "other levels than False and True", DAMAGED)

    @property
    def width(self) -> int:
        """Number of inputs that the column becomes."""
        return 1 if self.embedded else len(self.levels) + self.missing

    @property
    def codes(self) -> int:
        """Number of codes that it has where it is embedded."""
        return 1 + len(self.levels) + self.missing

    def features(self) -> list[str]:
        """Names of the inputs that the column becomes."""
        if self.embedded:
            return [self.name]
        named = [f"{self.name}={level}" for level in self.levels]
        return named + ([f"{self.name} missing"] if self.missing else [])


@dataclass(frozen=True)
class Text:
    """A column of free text, whose words (or characters) become codes.

    ``vocabulary[i]`` has the code i + 2, what is not in it the code 1. The first
    ``length`` words of a text are its last inputs; the inputs before them, of a short
    text or of none, are 0.
    """

    name: str
    vocabulary: tuple[str, ...]
    length: int
    unit: Unit = "words"
    kind: Literal["text"] = "text"

    def __post_init__(self) -> None:
        _check_name(self.name)
        place = f"column {self.name!r}"
        _check_count(place, self.unit, len(self.vocabulary), MOST_LABELS)
        _check_count(place, f"{self.unit} of a text", self.length, LONGEST_TEXT)
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise fail(place, f"one of its {self.unit} twice", DAMAGED)
        if not all(1 <= len(token) <= LONGEST_TOKEN for token in self.vocabulary):
            fact = f"{self.unit} of no or over {LONGEST_TOKEN} characters"
            raise fail(place, fact, DAMAGED)

    @property
    def width(self) -> int:
        """Number of inputs that the column becomes."""
        return self.length

    @property
    def codes(self) -> int:
        """Number of codes that each of its inputs may hold."""
        return 2 + len(self.vocabulary)

    def features(self) -> list[str]:
        """Names of the inputs that the column becomes."""
        return [f"{self.name}[{i}]" for i in range(self.length)]


TableColumn = Numeric | Category | Text
"""What a column of a table becomes."""


@dataclass(frozen=True)
class TableInput:
    """Columns by name. ``names`` are those of the raw table, dropped ones too.

    The inputs follow each other as ``columns`` do; codes for an embedding come last,
    those of texts behind those of categories.
    """

    names: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    kind: Literal["table"] = "table"

    def __post_init__(self) -> None:
        _check_count("columns", "columns", len(self.names), MOST_COLUMNS)
        for name in self.names:
            _check_name(name)
        _check_count("columns", "inputs", self.width, MOST_FEATURES)
        encoded = [column.name for column in self.columns]
        if len(set(encoded)) < len(encoded) or not set(encoded) <= set(self.names):
            raise fail(
                "columns", "a column twice or unnamed; expected each once", DAMAGED
            )
        places = [order_of(column) for column in self.columns]
        if places != sorted(places):
            raise fail("columns", "codes before other columns", DAMAGED)

    @property
    def width(self) -> int:
        """Number of the network's inputs."""
        return sum(column.width for column in self.columns)

    @property
    def embedded(self) -> tuple[Category | Text, ...]:
        """The columns that become codes: the last inputs."""
        some = (c for c in self.columns if not isinstance(c, Numeric))
        return tuple(column for column in some if order_of(column) > 0)

    def feature_names(self) -> list[str]:
        """Names of the network's inputs."""
        return [name for column in self.columns for name in column.features()]


def order_of(column: TableColumn) -> int:
    """Where a column stands: 0 numbers, 1 codes of categories, 2 those of texts."""
    if isinstance(column, Text):
        return 2
    return int(isinstance(column, Category) and column.embedded)


@dataclass(frozen=True)
class ArrayInput:
    """Arrays of one shape: ``x * scale``, or ``(x - mean) / deviation`` per feature.

    uint8 values stay as they are: the engine multiplies them by ``scale``.
    """

    shape: tuple[int, ...]
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    kind: Literal["array"] = "array"

    def __post_init__(self) -> None:
        place = "array inputs"
        _check_count(place, "axes", len(self.shape), MOST_AXES)
        if min(self.shape) < 1 or math.prod(self.shape) > 2**31:
            raise fail(place, f"shape {self.shape}; expected 1 to 2^31 values", DAMAGED)
        lengths = (len(self.mean), len(self.deviation))
        if lengths != (0, 0) and (len(self.shape) > 1 or {*lengths} != {*self.shape}):
            raise fail(
                place,
                f"{len(self.mean)} means and {len(self.deviation)} deviations for "
                f"shape {self.shape}; expected one each per feature",
                DAMAGED,
            )
        if not (_finite(*self.mean) and _positive(self.scale, *self.deviation)):
            raise fail(
                place,
                "a mean or scale that is not finite, or a scale that is not positive",
                DAMAGED,
            )

    @property
    def width(self) -> int:
        """Number of the network's inputs."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class LetterInput:
    """Texts as sequences of codes: the places of their letters in ``letters``."""

    letters: tuple[str, ...]
    kind: Literal["letters"] = "letters"

    def __post_init__(self) -> None:
        _check_count("letters", "letters", len(self.letters), MOST_LABELS)
        if any(len(each) != 1 for each in self.letters):
            raise fail("letters", "one that is none", DAMAGED)
        if len(set(self.letters)) < len(self.letters):
            raise fail("letters", "a letter twice", DAMAGED)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a step: one code."""
        return ()


@dataclass(frozen=True)
class SequenceInput:
    """A column of lists as sequences, each step ``(x - mean) / deviation``.

    Without means the steps stay as they are: whole numbers, which may be codes.
    """

    name: str
    features: int
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    kind: Literal["sequences"] = "sequences"

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_count("sequences", "numbers of a step", self.features, MOST_FEATURES)
        lengths = {len(self.mean), len(self.deviation)}
        if lengths not in ({0}, {self.features}):
            raise fail("sequences", "expected a mean for each number", DAMAGED)
        if not (_finite(*self.mean) and _positive(*self.deviation)):
            raise fail("sequences", "a mean or deviation that is none", DAMAGED)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a step: its numbers."""
        return (self.features,)


Inputs = TableInput | ArrayInput | LetterInput | SequenceInput
"""How raw rows become what a network reads."""


@dataclass(frozen=True)
class Classes:
    """A target of classes: ``labels[i]`` is what class index i stands for.

    ``merged``: labels that differ in case or blanks alone are one.
    """

    name: str
    labels: tuple[str, ...] | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...]
    merged: bool = False
    kind: Literal["classes"] = "classes"

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_count(f"target {self.name!r}", "classes", len(self.labels), MOST_LABELS)
        if len(set(self.labels)) < len(self.labels):
            raise fail(f"target {self.name!r}", "a class twice", DAMAGED)


@dataclass(frozen=True)
class Amounts:
    """A target of one or more numbers, learned as ``(y - mean) / scale``.

    ``quantiles``, if any, are what the network gives of a single number, or of each
    step of a series, in order;
    ``written`` is how the numbers stood in a text file, if not plainly.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    quantiles: tuple[float, ...] = ()
    written: Form | None = None
    kind: Literal["amounts"] = "amounts"

    def __post_init__(self) -> None:
        _check_count("targets", "targets", len(self.names), MOST_COLUMNS)
        for name in self.names:
            _check_name(name)
        if {len(self.mean), len(self.scale)} != {len(self.names)} or not (
            _finite(*self.mean) and _positive(*self.scale)
        ):
            raise fail(
                "targets",
                "expected one finite mean and one positive scale per target",
                DAMAGED,
            )
        if not all(0 < q < 1 for q in self.quantiles):
            raise fail(
                "targets",
                f"quantiles {self.quantiles}; expected them in (0, 1)",
                DAMAGED,
            )


@dataclass(frozen=True)
class Reconstruction:
    """No target of its own: a network gives its inputs again, through a code.

    ``code`` names the layer of the code. Rows that come out with a mean squared error
    above ``threshold`` are anomalies: the ``quantile`` of the errors of the ``rows``
    that were trained on, or held out for validation.
    """

    code: str
    threshold: float | None = None
    quantile: float = 0.99
    rows: Literal["training", "validation"] = "training"
    kind: Literal["reconstruction"] = "reconstruction"

    def __post_init__(self) -> None:
        _check_name(self.code)
        found = 0.0 if self.threshold is None else self.threshold
        if not (_finite(found) and found >= 0 and 0 <= self.quantile <= 1):
            raise fail(
                "reconstruction",
                f"threshold {self.threshold} at quantile {self.quantile}; expected "
                "one of at least 0, at a quantile in [0, 1]",
                DAMAGED,
            )


Target = Classes | Amounts | Reconstruction
"""What a network's outputs stand for."""


def _check_name(name: str) -> None:
    if len(name) > LONGEST_NAME:
        raise fail("columns", f"a name of {len(name):,} characters", "shorten it")


def _check_count(where: str, what: str, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise fail(
            where, f"{count:,} {what}; expected 1 to {most:,}", "use fewer, and some"
        )


def _finite(*numbers: float) -> bool:
    return all(map(math.isfinite, numbers))


def _positive(*numbers: float) -> bool:
    return all(math.isfinite(number) and number > 0 for number in numbers)
