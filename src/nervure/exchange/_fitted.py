# SPDX-License-Identifier: BSD-3-Clause
"""Fitted scalers and encoders of scikit-learn as records of preprocessing.

Legend: a transformer turns raw rows into features. Ours are the columns of a record,
encoded; theirs are ``ours @ matrix + offset``: an identity for numbers that are scaled,
levels left out or put in order for categories. The first dense layer takes the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from nervure.data.records import Category, Numeric
from nervure.data.scaling import Affine
from nervure.exchange.errors import ExchangeError

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Features:
    """Encoded columns, and what a transformer makes of them."""

    columns: tuple[Numeric | Category, ...]
    matrix: Doubles
    offset: Doubles

    @property
    def plain(self) -> bool:
        """Whether they are numbers that are scaled, and nothing else."""
        square = self.matrix.shape[0] == self.matrix.shape[1]
        own = square and bool((self.matrix == np.eye(len(self.matrix))).all())
        scaled = all(isinstance(column, Numeric) for column in self.columns)
        return own and scaled and not self.offset.any()


def numbers(names: Sequence[str]) -> Features:
    """Columns of numbers as they are."""
    columns = tuple(Numeric(name, Affine()) for name in names)
    return Features(columns, np.eye(len(columns)), np.zeros(len(columns)))


def is_of(model: Any, *names: str) -> bool:
    """Whether a model is one of scikit-learn's, by the name of its class."""
    return any(
        kind.__name__ in names and kind.__module__.partition(".")[0] == "sklearn"
        for kind in type(model).__mro__
    )


def transformed(features: Features, step: Any) -> Features:
    """The features behind a fitted transformer.

    Raises:
        ExchangeError: a transformer that no record holds.
    """
    nothing = is_of(step, "FunctionTransformer") and step.func is None
    if step is None or nothing or (isinstance(step, str) and step == "passthrough"):
        return features
    if is_of(step, "Pipeline"):
        for inner in steps_of(step):
            features = transformed(features, inner)
        return features
    for kind, read in _TRANSFORMERS.items():
        if is_of(step, kind):
            return read(features, step)
    known = ", ".join([*_TRANSFORMERS, "Pipeline", "ColumnTransformer"])
    raise _not_covered(
        step, f"expected one of {known}; put it before the model's input"
    )


def steps_of(pipeline: Any) -> list[Any]:
    """The transformers of a Pipeline, in order."""
    return [step for _, step in pipeline.steps]


def _not_covered(step: Any, remedy: str) -> ExchangeError:
    return ExchangeError(f"[sklearn] {type(step).__name__} cannot be read; {remedy}")


def _fitted(step: Any, name: str) -> Any:
    try:
        return getattr(step, name)
    except AttributeError:
        raise ExchangeError(
            f"[sklearn] {type(step).__name__} has no {name}: it was not fitted; "
            "expected a fitted one; call fit first"
        ) from None


# -- scalers ---------------------------------------------------------------------------


def _scaled(features: Features, mean: Any, scale: Any) -> Features:
    """``(x - mean) / scale``; either may be None."""
    width = len(features.offset)
    mean = np.zeros(width) if mean is None else np.asarray(mean, np.float64)
    scale = np.ones(width) if scale is None else np.asarray(scale, np.float64)
    if not (features.plain and (scale > 0).all()):
        matrix, offset = features.matrix / scale, (features.offset - mean) / scale
        return replace(features, matrix=matrix, offset=offset)
    columns = tuple(
        replace(column, scaling=_behind(cast(Affine, column.scaling), m, s))
        for column, m, s in zip(_numeric(features), mean, scale, strict=True)
    )
    return replace(features, columns=columns)


def _numeric(features: Features) -> tuple[Numeric, ...]:
    return cast("tuple[Numeric, ...]", features.columns)


def _behind(first: Affine, mean: float, scale: float) -> Affine:
    """The scaling that two in a row are."""
    return Affine(float(first.mean + mean * first.scale), float(first.scale * scale))


def _standard(features: Features, step: Any) -> Features:
    mean = _fitted(step, "mean_")  # also there where it is not subtracted
    return _scaled(features, mean if step.with_mean else None, step.scale_)


def _robust(features: Features, step: Any) -> Features:
    return _scaled(features, _fitted(step, "center_"), step.scale_)


def _largest(features: Features, step: Any) -> Features:
    return _scaled(features, None, _fitted(step, "scale_"))


def _between(features: Features, step: Any) -> Features:
    """``x * scale + min``, in scikit-learn's words."""
    if step.clip:
        raise _not_covered(step, "expected clip=False; fit it without")
    factor = _fitted(step, "scale_")
    return _scaled(features, -step.min_ / factor, 1 / factor)


def _imputed(features: Features, step: Any) -> Features:
    """What is missing among raw numbers; behind a scaler it would be another number."""
    fills = np.asarray(_fitted(step, "statistics_"))
    raw = features.plain and all(c.scaling == Affine() for c in _numeric(features))
    known = fills.dtype.kind == "f" and bool(np.isfinite(fills).all())
    if not raw or step.add_indicator or not known:
        raise _not_covered(
            step, "expected it before scalers, without add_indicator, of numbers"
        )
    columns = tuple(
        replace(column, fill=float(fill))
        for column, fill in zip(_numeric(features), fills, strict=True)
    )
    return replace(features, columns=columns)


# -- encoders --------------------------------------------------------------------------


def _raw_names(features: Features, step: Any) -> list[str]:
    plain = features.plain and all(
        isinstance(c, Numeric) and c.scaling == Affine() and not c.fill
        for c in features.columns
    )
    if not plain:
        raise _not_covered(step, "expected an encoder as the first step of a column")
    return [column.name for column in features.columns]


def _one_hot(features: Features, step: Any) -> Features:
    names = _raw_names(features, step)
    if getattr(step, "_infrequent_enabled", False):
        raise _not_covered(step, "expected no infrequent levels; fit it without")
    levels = _fitted(step, "categories_")
    dropped = step.drop_idx_
    dropped = [None] * len(levels) if dropped is None else dropped
    blocks = [
        np.delete(np.eye(len(own)), [] if out is None else [int(out)], axis=1)
        for own, out in zip(levels, dropped, strict=True)
    ]
    columns = [_category(n, own, step) for n, own in zip(names, levels, strict=True)]
    return _beside(
        _one(c, b, np.zeros(b.shape[1])) for c, b in zip(columns, blocks, strict=True)
    )


def _ordinal(features: Features, step: Any) -> Features:
    """Codes 0, 1, ...: what is not known is the offset."""
    names = _raw_names(features, step)
    levels = _fitted(step, "categories_")
    told = step.handle_unknown == "use_encoded_value"
    unknown = float(step.unknown_value) if told else 0.0
    if not np.isfinite(unknown) or getattr(step, "_infrequent_enabled", False):
        raise _not_covered(step, "expected finite codes and no infrequent levels")
    parts: list[Features] = []
    for name, own in zip(names, levels, strict=True):
        codes = np.arange(float(len(own)))
        column = _category(name, own, step)
        if column.missing and own[-1] is not None:  # None has a code like any other
            codes[-1] = step.encoded_missing_value
        if not np.isfinite(codes).all():
            raise _not_covered(step, "expected a number as encoded_missing_value")
        parts.append(_one(column, (codes - unknown)[:, None], np.array([unknown])))
    return _beside(parts)


def _one(column: Category, matrix: Doubles, offset: Doubles) -> Features:
    return Features((column,), matrix, offset)


def _category(name: str, levels: Any, step: Any) -> Category:
    """A column of categories; a missing value stands last among its levels."""
    values = list(np.asarray(levels, object))
    missing = bool(values) and (values[-1] is None or values[-1] != values[-1])
    known = values[:-1] if missing else values
    kinds: dict[Literal["text", "boolean", "integer"], tuple[type, ...]] = {
        "text": (str,),
        "boolean": (bool, np.bool_),
        "integer": (int, np.integer),
    }
    for source, types in kinds.items():
        fits = all(isinstance(v, types) for v in known)
        if fits and not (source == "integer" and any(v is True for v in known)):
            return Category(name, tuple(map(str, known)), missing, source)
    raise _not_covered(
        step, f"expected levels of column {name!r} that are text, whole numbers or bool"
    )


def _beside(parts: Any) -> Features:
    """Features of several columns, side by side."""
    found: list[Features] = list(parts)
    rows = sum(len(part.matrix) for part in found)
    width = sum(len(part.offset) for part in found)
    matrix, row, column = np.zeros((rows, width)), 0, 0
    for part in found:
        height, wide = part.matrix.shape
        matrix[row : row + height, column : column + wide] = part.matrix
        row, column = row + height, column + wide
    return Features(
        tuple(column for part in found for column in part.columns),
        matrix,
        np.concatenate([part.offset for part in found]),
    )


def of_columns(names: Sequence[str], step: Any) -> Features:
    """The features that a fitted ColumnTransformer makes of named columns."""
    parts: list[Features] = []
    for _, inner, chosen in _fitted(step, "transformers_"):
        own = _chosen(names, chosen)
        if not own or (isinstance(inner, str) and inner == "drop"):
            continue
        parts.append(transformed(numbers(own), inner))
    if not parts:
        raise _not_covered(step, "expected a column that is not dropped")
    found = _beside(parts)
    used = [column.name for column in found.columns]
    if len(set(used)) < len(used):
        raise _not_covered(step, "expected each column in one transformer only")
    return found


def _chosen(names: Sequence[str], chosen: Any) -> list[str]:
    """Names of columns that are given by name, number, mask or slice."""
    if isinstance(chosen, str):
        return [chosen]
    if isinstance(chosen, slice):
        return _between_names(names, cast("slice[Any, Any, Any]", chosen))
    which = list(np.atleast_1d(np.asarray(chosen, object)))
    if which and all(isinstance(one, bool | np.bool_) for one in which):
        return [name for name, one in zip(names, which, strict=True) if one]
    return [one if isinstance(one, str) else names[int(one)] for one in which]


def _between_names(names: Sequence[str], chosen: slice[Any, Any, Any]) -> list[str]:
    """Of a slice by names the end belongs to it, as in pandas."""
    begin, end = chosen.start, chosen.stop
    if isinstance(begin, str):
        begin = names.index(begin)
    if isinstance(end, str):
        end = names.index(end) + 1
    return list(names[begin : end : chosen.step])


_TRANSFORMERS = {
    "StandardScaler": _standard,
    "MinMaxScaler": _between,
    "MaxAbsScaler": _largest,
    "RobustScaler": _robust,
    "SimpleImputer": _imputed,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
}
