# SPDX-License-Identifier: BSD-3-Clause
"""Rows of which only what is not 0 is kept, as SciPy's CSR has them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nervure.base.memory import check_memory
from nervure.data._errors import fail
from nervure.data.arrays import as_floats

Array = NDArray[Any]


def is_sparse(values: object) -> bool:
    """Whether these are rows of a sparse matrix or array of SciPy, or `Sparse` ones."""
    return isinstance(values, Sparse) or hasattr(values, "tocsr")


@dataclass(frozen=True, eq=False)
class Sparse:
    """Rows ``(rows, columns)`` that stand in for an array where they are read in order.

    Row i has ``values[starts[i]:starts[i + 1]]`` in the ``columns`` of the same places,
    which ascend; the rest is 0. The engine reads them as they lie; where NumPy asks for
    an array, all of it is made.

    >>> rows = Sparse(np.array([5.0]), np.array([1]), np.array([0, 1, 1]), (2, 3))
    >>> np.asarray(rows).tolist(), len(rows[:1])
    ([[0.0, 5.0, 0.0], [0.0, 0.0, 0.0]], 1)
    """

    values: Array
    columns: NDArray[np.int32]
    starts: NDArray[np.int64]
    shape: tuple[int, int]

    @classmethod
    def of(cls, given: Any, where: str = "X") -> Sparse:
        """The rows of a sparse matrix of SciPy, of any format; none is changed.

        Raises:
            DataError: no rows, not numbers, NaN or infinite.
        """
        if isinstance(given, Sparse):
            return given
        if len(given.shape) != 2 or 0 in given.shape:
            raise fail(
                where,
                f"a sparse array of shape {given.shape}; expected (rows, features)",
                "give at least 1 row and 1 feature",
            )
        csr = given.tocsr()
        if not csr.has_canonical_format:
            csr = csr.copy()
            csr.sum_duplicates()
        if csr.dtype.kind not in "biuf":
            raise fail(
                where,
                f"a sparse matrix of dtype {csr.dtype}; expected real numbers",
                "convert it: .astype(float)",
            )
        values = csr.data
        if values.dtype != np.uint8:
            double = values.dtype == np.float64
            values = as_floats(values, where, np.float64 if double else np.float32)
        starts = csr.indptr.astype(np.int64, copy=False)
        columns = csr.indices.astype(np.int32, copy=False)
        return cls(values, columns, starts, cast(Any, tuple(map(int, csr.shape))))

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Sparse:
        """Some rows, by a slice, a mask or indices."""
        index = np.arange(len(self))[rows]
        starts, ends = self.starts[index], self.starts[index + 1]
        now = np.zeros(len(index) + 1, np.int64)
        np.cumsum(ends - starts, out=now[1:])
        # of each element the place in its row, and before it where its row begins
        moved: NDArray[np.int64] = np.repeat(starts - now[:-1], ends - starts)
        places = moved + np.arange(len(moved))
        shape = (len(index), self.shape[1])
        return Sparse(self.values[places], self.columns[places], now, shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        number = self.dtype if dtype is None else np.dtype(dtype)
        size = math.prod(self.shape) * number.itemsize
        check_memory(size, "X", "sparse rows as an array", "take fewer rows at a time")
        dense = np.zeros(self.shape, number)
        rows = np.repeat(np.arange(len(self)), np.diff(self.starts))
        dense[rows, self.columns] = self.values
        return dense

    def reshape(self, *shape: int) -> Array:
        """An array with these rows in another shape."""
        return np.asarray(self).reshape(*shape)

    def max(self) -> float:
        return float(self.values.max(initial=0))

    def min(self) -> float:
        return float(self.values.min(initial=0))
