# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""What differs between the versions of scikit-learn from 1.5 on.

Everything that is private there and used here is imported in this file, so that a new
version has one place to be looked at.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sklearn.base
import sklearn.utils.validation
from sklearn.base import BaseEstimator
from sklearn.utils import _param_validation as _parameters
from sklearn.utils.validation import (
    _check_sample_weight,  # pyright: ignore[reportPrivateUsage]
)

__all__ = [
    "Interval",
    "Options",
    "StrOptions",
    "TableTagsMixin",
    "TagsMixin",
    "check_columns",
    "check_sample_weight",
    "fit_context",
    "is_plain",
    "validate_data",
]

Interval: Any = _parameters.Interval
Options: Any = _parameters.Options
StrOptions: Any = _parameters.StrOptions
fit_context: Any = sklearn.base._fit_context  # pyright: ignore
check_sample_weight: Any = _check_sample_weight

_validate: Any = getattr(sklearn.utils.validation, "validate_data", None)
_OLD_TAGS = not hasattr(BaseEstimator, "__sklearn_tags__")  # before 1.6


def validate_data(estimator: Any, *args: Any, **options: Any) -> Any:
    """`sklearn.utils.validation.validate_data`, which before 1.6 was a method."""
    if _validate is not None:
        return _validate(estimator, *args, **options)
    if "ensure_all_finite" in options:
        options["force_all_finite"] = options.pop("ensure_all_finite")
    return estimator._validate_data(*args, **options)


def check_columns(estimator: Any, X: Any, *, reset: bool, least: int = 1) -> None:
    """Names and number of a frame's columns, checked as scikit-learn does; its rows."""
    option = {"skip_check_array": True} if _validate else {"cast_to_ndarray": False}
    validate_data(estimator, X, "no_validation", reset=reset, **option)
    if X.shape[0] < least:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) (shape={tuple(X.shape)}) while a "
            f"minimum of {least} is required by {type(estimator).__name__}."
        )


class TagsMixin:
    """Sparse input is taken, and what else a class says of itself in `_own_tags`."""

    _own_tags: frozenset[str] = frozenset({"sparse"})

    if _OLD_TAGS:

        def _more_tags(self) -> dict[str, Any]:
            names = {"multi_label": "multilabel", "multi_output": "multioutput"}
            return {names[tag]: True for tag in self._own_tags if tag in names}

    else:

        def __sklearn_tags__(self) -> Any:
            tags = super().__sklearn_tags__()  # pyright: ignore
            tags.input_tags.sparse = "sparse" in self._own_tags
            tags.target_tags.multi_output = "multi_output" in self._own_tags
            if tags.classifier_tags is not None:
                tags.classifier_tags.multi_label = "multi_label" in self._own_tags
            return tags


class TableTagsMixin:
    """Columns of any kind are taken, with missing values; rows come out as floats."""

    if _OLD_TAGS:

        def _more_tags(self) -> dict[str, Any]:
            types = ["2darray", "string", "categorical", "sparse"]
            rows = {"preserves_dtype": []} if hasattr(self, "transform") else {}
            return {"allow_nan": True, "X_types": types, **rows}

    else:

        def __sklearn_tags__(self) -> Any:
            tags = super().__sklearn_tags__()  # pyright: ignore
            tags.input_tags.allow_nan = True
            tags.input_tags.string = True
            tags.input_tags.categorical = True
            tags.input_tags.sparse = True
            if tags.transformer_tags is not None:
                tags.transformer_tags.preserves_dtype = []
            return tags


def is_plain(estimator: BaseEstimator, X: Any) -> bool:
    """Whether `validate_data` would find nothing in ``X``: it takes 50 us."""
    known = estimator.__dict__
    if type(X) is not np.ndarray or "feature_names_in_" in known:
        return False
    if X.ndim != 2 or X.dtype.char not in "fd" or not len(X):
        return False
    if X.shape[1] != known.get("n_features_in_"):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(X.sum())
