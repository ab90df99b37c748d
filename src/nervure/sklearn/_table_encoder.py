# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""TableEncoder: the columns of a data frame as the numbers that a network takes."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from nervure.data._encode import codes_of, encode_rows
from nervure.data._encode_table import Encoded
from nervure.data._fit_table import Notes, fit_table
from nervure.data.columns import Table, table_of
from nervure.data.encodings import MOST_ONE_HOT, Categories, Encodings, Method
from nervure.data.frames import column_of, is_frame, table_from_frame
from nervure.data.records import TableInput
from nervure.data.sparse import is_sparse
from nervure.layers import Layer
from nervure.layers.entrance import entrance
from nervure.sklearn._compat import (
    Interval,
    StrOptions,
    TableTagsMixin,
    check_columns,
    fit_context,
    validate_data,
)
from nervure.sklearn._sparse_tables import keeps_zeros, scaled, sparse_record

Array = npt.NDArray[Any]


class TableEncoder(TableTagsMixin, TransformerMixin, BaseEstimator):
    """Numbers, categories, booleans, dates and missing values to rows of floats.

    Numbers and dates are scaled; categories become one input each, or a code for an
    embedding where there are many; the words of free texts become codes; missing
    values are filled (by the median, or a category of their own) and flagged; columns
    that are constant, empty or look like an identifier are dropped. Codes come last
    and begin at 0, which stands for what is not known: categories that were not seen
    in `fit` (or once only), and the places of a text that hold no word.

    Of a sparse matrix every column is divided by the root mean square of what is not 0
    in it, so that the rows stay sparse.

    The estimators of this package encode data frames by it on their own. In front of
    others, which would take codes for numbers, use ``categories="one_hot"`` and drop
    columns of free text.

    Args:
        numbers: "standard", "robust", "quantile" or "piecewise".
        categories: "auto", "one_hot" or "embedding".
        columns: encodings of single columns by name: one of the words above, "text",
            "characters" or "drop". Integers may be categories too.
        most_one_hot: "auto" embeds columns of more categories than this.
        dtype: "float32" or "float64" of the rows.

    Attributes:
        record_: what was learnt of each column, as plain data (`TableInput`).
        description_: lines that say what was scaled, filled and dropped.
        codes_: number of codes of each of the last columns; of a text also of how many
            columns.
        n_features_in_, feature_names_in_

    Raises:
        DataError: nothing that varies, an infinite value, columns of another kind
            than in `fit`.

    Warns:
        UnknownCategoryWarning: rows with unknown categories, for each column.

    Source: for "robust" Holzmüller et al. (2024), section 3; for "piecewise"
    Gorishniy et al. (2022), eq. 1.

    >>> import pandas as pd
    >>> colours = ["red", "red", "blue"]
    >>> rows = pd.DataFrame({"size": [1.0, None, 3.0], "colour": colours})
    >>> encoder = TableEncoder().fit(rows)
    >>> encoder.get_feature_names_out().tolist()
    ['size', 'size missing', 'colour=blue', 'colour=red']
    >>> encoder.transform(rows)[1].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "numbers": [StrOptions(set(get_args(Method)))],
        "categories": [StrOptions(set(get_args(Categories)))],
        "columns": [Mapping, None],
        "most_one_hot": [Interval(Integral, 0, None, closed="left")],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    record_: TableInput

    def __init__(
        self,
        *,
        numbers: str = "standard",
        categories: str = "auto",
        columns: Mapping[str, str] | None = None,
        most_one_hot: int = MOST_ONE_HOT,
        dtype: str = "float32",
    ) -> None:
        self.numbers = numbers
        self.categories = categories
        self.columns = columns
        self.most_one_hot = most_one_hot
        self.dtype = dtype

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Any:
        """Learn what each column is from a data frame or an array of rows."""
        rows = checked(self, X, reset=True)
        if is_sparse(rows):
            return self._fit_sparse(rows)
        table = self._table(rows)
        encodings = Encodings(
            self.numbers,  # pyright: ignore[reportArgumentType]
            self.categories,  # pyright: ignore[reportArgumentType]
            self.columns or {},
            self.most_one_hot,
        )
        notes = Notes()
        self.record_ = fit_table(table, None, encodings, notes)
        self.description_ = notes.lines()
        self.codes_ = codes_of(self.record_)
        return self

    def _fit_sparse(self, X: Any) -> Any:
        if self.numbers not in ("standard", "robust") or self.columns:
            raise ValueError(
                "[TableEncoder] sparse rows, whose zeros stay what they are; expected "
                'numbers="standard" or "robust", and no columns=; or give dense rows'
            )
        self.record_ = sparse_record(X, self._names(X), clip=self.numbers == "robust")
        self.description_ = [f"numbers, by their mean square: {X.shape[1]:,} columns"]
        self.codes_ = ()
        return self

    def transform(self, X: Any) -> Any:
        """Rows ``(rows, inputs)`` of floats; of a sparse matrix a sparse one, if the
        columns were learnt from such."""
        check_is_fitted(self, "record_")
        if is_sparse(X) and keeps_zeros(self.record_):
            return scaled(checked(self, X, reset=False), self.record_, self.dtype)
        return self._encoded(X).warned("X", stacklevel=3)

    def unknown_categories(self, X: Any) -> dict[str, int]:
        """Rows with categories that `fit` has not seen, by column."""
        check_is_fitted(self, "record_")
        return self._encoded(X).counts()

    def _encoded(self, X: Any) -> Encoded:
        return self._encode(checked(self, X, reset=False))

    def _encode(self, rows: Any) -> Encoded:
        table = self._table(rows)
        return encode_rows(self.record_, table, np.dtype(self.dtype))

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the rows' numbers: ``colour=red``, ``size missing``, ..."""
        check_is_fitted(self, "record_")
        return np.array(self.record_.feature_names(), object)

    def entrance(self) -> list[Layer]:
        """The layers that a network for these rows begins with."""
        check_is_fitted(self, "record_")
        return entrance((self.record_.width,), self.codes_)

    def _table(self, rows: Any) -> Table:
        """The columns of a frame, or of an array: x0, x1, ..."""
        if is_frame(rows):
            return table_from_frame(rows, "X")
        rows = rows.toarray() if is_sparse(rows) else rows
        pairs = zip(self._names(rows), rows.T, strict=True)
        return table_of((column_of(name, column, "X") for name, column in pairs), "X")

    def _names(self, rows: Any) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        return [f"x{i}" for i in range(rows.shape[1])] if names is None else list(names)


# -- for the estimators ---------------------------------------------------------------


def wants_encoding(encoder: Any, X: Any) -> bool:
    """Whether an estimator is to encode X: a data frame, if the encoder is "auto" one
    that holds something else than numbers."""
    if encoder is None or not is_frame(X):
        return False
    return encoder != "auto" or not _holds_numbers(X)


def _holds_numbers(frame: Any) -> bool:
    import narwhals as nw

    native: Any = nw.from_native(frame, eager_only=True, allow_series=True)
    if isinstance(native, nw.Series):
        return True
    return all(
        (series.dtype.is_numeric() or series.dtype == nw.Boolean)
        and not series.is_null().any()
        and not (series.dtype.is_float() and series.is_nan().any())
        for series in native.iter_columns()
    )


def checked(estimator: Any, X: Any, *, reset: bool) -> Any:
    """A frame, or an array of rows, whose columns scikit-learn's checks let pass."""
    least = 2 if reset else 1
    if not is_frame(X):
        return validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse=["csr", "csc"],
            dtype=None,
            ensure_all_finite=False,
            ensure_min_samples=least,
        )
    if len(X.shape) != 2:
        raise ValueError(
            f"Expected a data frame, got a {type(X).__name__} of shape {X.shape}; make "
            "a frame of the single column"
        )
    check_columns(estimator, X, reset=reset, least=least)
    return X


def encoded(estimator: Any, X: Any, *, reset: bool = False) -> Array:
    """Rows of X by an estimator's encoder, checked in the estimator's own name."""
    rows = checked(estimator, X, reset=reset)
    return estimator.table_encoder_._encode(rows).warned("X", stacklevel=5)


def fitted_encoder(estimator: Any, X: Any) -> TableEncoder:
    """The encoder of an estimator, fitted to a data frame."""
    given = estimator.table_encoder
    if given != "auto":
        own: Any = clone(given)
        return own.fit(X)
    dtype = "float32" if estimator.dtype == "auto" else estimator.dtype
    return TableEncoder(dtype=dtype).fit(X)
