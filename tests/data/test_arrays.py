# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from nervure.data import DataError, as_inputs, as_targets


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ([[1, 2], [3, 4]], "float32"),
        (np.ones((2, 3), np.float16), "float32"),
        (np.ones((2, 3), np.float32), "float32"),
        (np.ones((2, 3)), "float64"),
        (np.ones((2, 3), ">f8"), "float64"),
        (np.ones((2, 3), np.uint8), "uint8"),
        (np.ones((2, 3), bool), "float32"),
        (np.ones((3, 2), order="F"), "float64"),
        (np.ma.array([[1.0, 2.0]], mask=[[0, 0]]), "float64"),
        (np.ones((2, 3), np.longdouble), "float64"),
    ],
)
def test_inputs_become_contiguous_floats_or_bytes(given, dtype):
    inputs = as_inputs(given)
    assert inputs.dtype == np.dtype(dtype)
    assert inputs.dtype.isnative
    assert inputs.flags.c_contiguous
    np.testing.assert_array_equal(inputs, np.asarray(given, np.float64))


def test_arrays_that_fit_are_not_copied(tmp_path: Path):
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert as_inputs(array) is array
    np.save(tmp_path / "x.npy", array)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(as_inputs(mapped), mapped)


def test_dtype_is_followed_but_for_bytes():
    assert as_inputs([[1.5]], dtype="float64").dtype == np.float64
    assert as_inputs(np.ones((1, 1), np.uint8), dtype="float64").dtype == np.uint8


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_frames_of_numbers(library):
    frame = library({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    assert as_inputs(frame).tolist() == [[1, 0.5, 1], [2, 1.5, 0]]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([1, 2], r"\[X\] shape \(2,\); expected rows first.*reshape\(-1, 1\)"),
        (np.ones((0, 3)), r"shape \(0, 3\) holds nothing"),
        (np.ones((3, 0)), r"shape \(3, 0\) holds nothing"),
        ([[1, 2], [3]], "rows of different lengths"),
        ([[1, "a"]], r"text; expected numbers; read tables"),
        (np.array([[1, "a"]], object), r"str 'a' at X\[0, 1\]; expected numbers"),
        (np.array([[1, None]], object), r"NoneType None at X\[0, 1\]"),
        (np.ones((1, 1), complex), "complex; expected numbers"),
        (np.zeros((1, 1), "M8[s]"), "dates; expected numbers"),
        (
            [[1.0, 2.0], [np.nan, 3.0]],
            r"nan at X\[1, 0\]; expected finite numbers; drop",
        ),
        ([[[1.0, -np.inf]]], r"-inf at X\[0, 0, 1\]"),
        (np.ma.array([[1.0]], mask=[[1]]), "masked array with masked values; fill"),
        (sparse.eye_array(3), r"a sparse matrix; .*\.toarray\(\)"),
        (
            pd.DataFrame({"s": ["x"]}),
            r"column 's' holds text \('x'\).*nervure.data.load",
        ),
        (pl.DataFrame({"a": [1, None]}), "column 'a' has a missing value in row 1"),
    ],
)
def test_wrong_inputs(given, text):
    with pytest.raises(DataError, match=text):
        as_inputs(given)


def test_overflow_of_float32_names_the_place():
    with pytest.raises(
        DataError, match=r"beyond the range of float32 at X\[1, 0\].*64"
    ):
        as_inputs([[1.0], [1e300]], dtype="float32")


def test_nan_far_down_is_found():
    array = np.zeros((600_000, 2), np.float32)
    array[599_999, 1] = np.nan
    with pytest.raises(DataError, match=r"X\[599999, 1\]"):
        as_inputs(array)


@pytest.mark.parametrize(
    ("given", "dtype", "shape"),
    [
        ([0, 1, 2], "int32", (3,)),
        (np.array([0, 1], np.uint8), "int32", (2,)),
        ([True, False], "int32", (2,)),
        ([0.5, 1.0], "float32", (2, 1)),
        (np.array([0.5, 1.0]), "float64", (2, 1)),
        ([[1, 0], [0, 1]], "float32", (2, 2)),
        (pd.Series([0, 1]), "int32", (2,)),
        (pl.Series([0.5, 1]), "float64", (2, 1)),
    ],
)
def test_targets(given, dtype, shape):
    targets = as_targets(given)
    expected = np.dtype(dtype)
    if isinstance(given, list) and expected.kind == "f" and shape[1] == 1:
        expected = np.dtype("float64")  # lists of Python floats are float64
    assert targets.dtype == expected
    assert targets.shape == shape
    np.testing.assert_array_equal(targets.ravel(), np.asarray(given).ravel())


def test_classes_may_be_asked_for_or_ruled_out():
    assert as_targets([0.0, 2.0], classes=True).dtype == np.int32
    assert as_targets([[1], [0]], classes=True).shape == (2,)
    assert as_targets([3, 4], classes=False).tolist() == [[3.0], [4.0]]


@pytest.mark.parametrize(
    ("given", "options", "text"),
    [
        ([0, 1], {"rows": 3}, r"\[y\] 2 rows, but the inputs have 3; give exactly one"),
        (["a", "b"], {}, "text; expected numbers; use class indices"),
        ([-1, 0], {}, "class index -1; expected 0, 1, 2"),
        ([2**40], {}, "class index 1099511627776"),
        ([0.5], {"classes": True}, r"0.5\)? at y\[0\]; expected class indices"),
        ([[1, 0]], {"classes": True}, r"shape \(1, 2\); expected class indices"),
        ([np.nan], {}, r"nan at y\[0\]"),
        ([], {}, "holds nothing"),
        (3, {}, r"shape \(\) holds nothing"),
    ],
)
def test_wrong_targets(given, options, text):
    with pytest.raises(DataError, match=text):
        as_targets(given, **options)
