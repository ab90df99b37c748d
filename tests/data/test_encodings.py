# SPDX-License-Identifier: BSD-3-Clause
"""Encodings of columns: values by hand and by scikit-learn, categories as codes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.preprocessing import QuantileTransformer

import nervure as nv
from nervure.data import DataError, Encodings, Preprocessing, load, prepare
from nervure.data.encodings import MOST_ONE_HOT
from nervure.data.records import Category, Classes, Numeric, TableInput
from nervure.data.scaling import Affine, Bins, Quantiles, fit_scaling

RANDOM = np.random.default_rng(0)


def scaled(scaling: Any, values: Any) -> np.ndarray:
    out = np.empty((len(values), scaling.width))
    scaling.apply(np.array(values, np.float64), out)
    return out


# -- scalings by hand -----------------------------------------------------------------


def test_the_smooth_clip() -> None:
    """z / sqrt(1 + (z / 3)^2): 3 sqrt(1/2) at z = 3, 3 at infinity."""
    found = scaled(Affine(1.0, 2.0, clip=3.0), [1.0, 7.0, -5.0, 1e200])
    np.testing.assert_allclose(found[:, 0], [0, 3 / 2**0.5, -3 / 2**0.5, 3], rtol=1e-12)


def test_robust_scaling_takes_the_quartiles() -> None:
    assert fit_scaling("robust", np.array([0.0, 1, 2, 3, 1000])) == Affine(2, 2, 3.0)
    few = np.array([0.0] * 9 + [4.0])  # the quartiles coincide: half of the range
    assert fit_scaling("robust", few) == Affine(0, 2, 3.0)


def test_piecewise_linear_encoding() -> None:
    """Figure 1 and eq. 1 of Gorishniy et al. by hand, beyond the ends too."""
    found = scaled(Bins((0.0, 1.0, 3.0, 4.0)), [-1, 0.25, 1, 2, 3.5, 6])
    assert found.tolist() == [
        [-1, 0, 0],
        [0.25, 0, 0],
        [1, 0, 0],
        [1, 0.5, 0],
        [1, 1, 0.5],
        [1, 1, 3],
    ]
    assert scaled(Bins((2.0, 4.0)), [1, 5]).tolist() == [[-0.5], [1.5]]


def test_bins_lie_between_quantiles() -> None:
    scaling = fit_scaling("piecewise", np.arange(161.0))
    assert isinstance(scaling, Bins)
    np.testing.assert_allclose(scaling.edges, np.arange(0, 161, 10), atol=1e-12)
    twins = fit_scaling("piecewise", np.array([0.0] * 50 + [1.0] * 50))
    assert twins.width == 2 or twins == Bins((0.0, 1.0))


@pytest.mark.parametrize("ties", [False, True])
def test_normal_scores_are_those_of_scikit_learn(ties: bool) -> None:
    x = RANDOM.exponential(size=3000)
    x = np.round(x, 1) if ties else x
    peer = QuantileTransformer(
        n_quantiles=256, output_distribution="normal", subsample=None
    ).fit(x[:, None])
    new = np.concatenate([x[:500], RANDOM.uniform(-1, 9, 500)])
    # Where the smallest value comes often, scikit-learn takes it for the rank 0.
    new = new[new != x.min()]
    found = scaled(fit_scaling("quantile", x), new)
    np.testing.assert_allclose(found, peer.transform(new[:, None]), atol=2e-6)


@pytest.mark.parametrize("method", ["standard", "robust", "quantile", "piecewise"])
@pytest.mark.parametrize(
    "values",
    [
        [0.0, 1.0],
        [1.0] * 99 + [2.0],
        [1e-300, 2e-300, 3e-300],
        [-1e300, 0.0, 1e300],
        [1e15, 1e15 + 1, 1e15 + 2],
    ],
)
def test_whatever_varies_is_scaled_to_finite_numbers(method: Any, values: Any) -> None:
    found = scaled(fit_scaling(method, np.array(values)), values)
    assert np.isfinite(found).all()
    assert np.ptp(found, axis=0).max() > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Affine(0.0, 0.0),
        lambda: Affine(np.nan),
        lambda: Affine(0.0, 1.0, clip=-1.0),
        lambda: Quantiles((1.0,)),
        lambda: Quantiles((1.0, 0.0)),
        lambda: Bins((1.0, 1.0)),
        lambda: Bins((0.0, np.inf)),
        lambda: Bins((-1e308, 1e308)),
        lambda: Bins(tuple(map(float, range(10_002)))),
    ],
)
def test_scalings_from_strangers(make: Any) -> None:
    with pytest.raises(DataError, match="the record is damaged"):
        make()


# -- columns --------------------------------------------------------------------------


def people(rows: int = 200) -> dict[str, Any]:
    """Towns t0..t29 (more than are one-hot), and t0 alone in rows divisible by 40."""
    towns = [f"t{0 if i % 40 == 0 else i % 30}" for i in range(rows)]
    return {
        "town": towns,
        "size": np.arange(rows) ** 1.5,
        "zip": np.arange(rows) % 25 + 1000,
        "rare": ["once" if i == 7 else f"r{i % 3}" for i in range(rows)],
        "y": np.arange(rows) / rows,
    }


def test_codes_come_last_in_their_order() -> None:
    data = load(people(), columns={"zip": "embedding", "rare": "embedding"})
    record = data.preprocessing
    assert record.feature_names() == ["size", "town", "zip", "rare"]
    assert record.categories == (31, 26, 4)
    zips = data.inputs[:, 2]
    assert zips.tolist() == [1 + i % 25 for i in range(200)]
    assert data.inputs[7, 3] == 0  # came once: as what is unknown
    assert data.inputs[:3, 3].tolist() == [1, 2, 3]
    assert Preprocessing.from_json(record.to_json()) == record


def test_the_words_for_columns() -> None:
    data = load(
        people(),
        numbers="robust",
        columns={"zip": "one_hot", "town": "drop", "size": "piecewise"},
    )
    record = data.preprocessing.inputs
    assert isinstance(record, TableInput)
    found = {c.name: c for c in record.columns}
    assert isinstance(found["zip"], Category)
    assert found["zip"].source == "integer"
    assert found["zip"].width == 25
    assert isinstance(found["size"], Numeric)
    assert found["size"].scaling.kind == "bins"
    assert "town" not in found
    lines = data.summary().splitlines()
    assert lines[2:] == [
        "numbers, piecewise linear: size",
        "categories, one-hot: zip (25), rare (4)",
        "dropped: town (as asked for)",
    ]


def test_identifiers_are_dropped_unless_they_are_asked_for() -> None:
    columns = {"id": [f"i{i // 2}" for i in range(100)], **people(100)}
    columns["id"][50:] = [f"i{i}" for i in range(50, 100)]
    assert "id (75 different texts" in load(columns).summary()
    data = load(columns, columns={"id": "embedding"})
    assert "id (25 of 75, the rarer ones as one)" in data.summary()


def test_a_great_many_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them twice: an identifier; some of them twice: the most frequent."""
    names = np.array([f"n{i}" for i in range(200_000)])
    frame = pl.DataFrame({"name": names, "x": np.arange(2e5), "y": np.arange(2e5)})
    assert "name (200,000 different texts" in load(frame).summary()
    few = frame.head(1000)
    asked = load(few, columns={"name": "embedding"})
    assert "name (1,000 different texts, none of them twice)" in asked.summary()
    monkeypatch.setattr("nervure.data._fit_table.MOST_LEVELS", 10)
    twice = {"name": list(names[:50]) * 2 + ["n7", "n9"], "y": np.arange(102.0)}
    data = load({**twice, "x": np.arange(102.0)}, target="y")
    assert data.preprocessing.categories == (11,)
    levels = data.preprocessing.inputs.columns[-1].levels  # type: ignore[union-attr]
    assert {"n7", "n9"} <= set(levels)


def test_a_record_that_no_model_file_holds_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nervure.data.fitting.MOST_RECORD", 500)
    text = (
        r"\[data\] the record of columns and labels takes [\d,]+ bytes, [\d,]+ of them "
        r"for 'town'; expected at most 500; leave columns out: columns=\{'town': 'drop'"
    )
    with pytest.raises(DataError, match=text):
        load(people())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"numbers": "robst"}, "unknown encoding of numbers 'robst'; did you mean"),
        ({"categories": "hash"}, "unknown encoding of categories 'hash'"),
        ({"columns": {"town": "sparse"}}, "unknown encoding of column 'town': 'spar"),
        ({"columns": {"twon": "drop"}}, "unknown column 'twon'; did you mean 'town'"),
        ({"columns": {"town": "robust"}}, "'town' holds text .*asked for as 'robust'"),
        ({"columns": {"size": "one_hot"}}, "'size' holds numbers; expected text, bool"),
        (
            {"columns": dict.fromkeys(["town", "size", "zip", "rare"], "drop")},
            r"no column is left to learn from \(dropped: town \(as asked for\)",
        ),
    ],
)
def test_encodings_that_cannot_be(options: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        load(people(), **options)


def test_the_defaults_are_documented_words() -> None:
    assert Encodings() == Encodings("standard", "auto", {}, MOST_ONE_HOT)


# -- rows to predict for --------------------------------------------------------------


RECORD = Preprocessing(
    TableInput(
        ("size", "zip", "ok", "town"),
        (
            Numeric("size", Affine(10.0, 2.0), 11.0, flag=True),
            Category("zip", ("1000", "1001"), source="integer"),
            Category("ok", ("False", "True"), source="boolean"),
            Category("town", ("bern", "wil"), missing=True, embedded=True),
        ),
    ),
    Classes("class", ("no", "yes")),
)
ROWS: dict[str, Any] = {
    "size": [12.0, None],
    "zip": [1001, 1000],
    "ok": [True, False],
    "town": ["wil", None],
}
ENCODED = [[1, 0, 0, 1, 0, 1, 2], [0.5, 1, 1, 0, 1, 0, 3]]


def frame(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame({**ROWS, **changes})


GOOD = {
    "as in training": frame(),
    "reordered, with one more": frame(extra=["?", 1])[
        ["town", "extra", "ok", "zip", "size"]
    ],
    "whole numbers as floats": frame(zip=[1001.0, 1000.0]),
    "categories of pandas": frame(town=pd.Categorical(["wil", None])),
    "strings of Arrow": frame(town=pd.array(["wil", None], "string[pyarrow]")),
    "polars": pl.DataFrame(ROWS),
    "polars, categorical": pl.DataFrame(ROWS).with_columns(
        pl.col("town").cast(pl.Categorical)
    ),
    "objects": frame().astype(object),
    "an array in the order of training": np.array(
        [[12.0, 1001, True, "wil"], [None, 1000, False, None]], object
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_rows_that_fit(name: str) -> None:
    assert RECORD.encode(GOOD[name]).tolist() == ENCODED
    assert RECORD.unknown_categories(GOOD[name]) == {}


def test_one_row_of_pandas_values() -> None:
    day = Preprocessing(
        TableInput(("day",), (Numeric("day", Affine(86400.0, 2.0), date=True),)),
        RECORD.target,
    )
    row = pd.DataFrame({"day": pd.to_datetime(["1970-01-02"])}).iloc[0].to_dict()
    assert day.encode(row).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": [None, None]}, [[0.5, 1], [0.5, 1]]),
        ({"zip": [None, None]}, [[0, 0], [0, 0]]),
        ({"zip": [1001, None]}, [[0, 1], [0, 0]]),
        ({"town": [None, None]}, [[3], [3]]),
    ],
)
def test_columns_of_missing_values(changes: Any, expected: Any) -> None:
    start = {"size": 0, "zip": 2, "town": 6}[next(iter(changes))]
    found = RECORD.encode(frame(**changes))[:, start:][:, : len(expected[0])]
    assert found.tolist() == expected


def test_unknown_categories_are_counted() -> None:
    rows = frame(town=["ulm", "ulm"], zip=[7, 1000])
    assert RECORD.unknown_categories(rows) == {"zip": 1, "town": 2}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoded = RECORD.encode(rows)
    assert encoded[:, 6].tolist() == [0, 0]
    assert encoded[:, 2:4].tolist() == [[0, 0], [1, 0]]
    found = [w.message for w in caught]
    assert [(f.column, f.rows) for f in found] == [("zip", 1), ("town", 2)]  # type: ignore[union-attr]
    assert [str(f).split("; ")[-1] for f in found] == [
        "they become zeros",
        "they become the code of what is unknown",
    ]
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (frame().drop(columns="zip"), "no column 'zip' .*expected the columns of the"),
        (frame(size=["a", "b"]), r"'size' holds text \('a'\); expected numbers, as in"),
        (frame(zip=["1001", "x"]), r"'zip' holds text \('1001'\); expected integers"),
        (frame(zip=[1000.5, 1]), "'zip' holds numbers; expected integers, as in"),
        (frame(zip=[True, False]), "'zip' holds booleans; expected integers"),
        (frame(town=[1, 2]), "'town' holds integers; expected text"),
        (frame(town=["a", 2]), "'town' holds int and str; expected numbers, text"),
        (frame(ok=[1, 0]), "'ok' holds integers; expected booleans"),
        (frame(size=[1.0, np.inf]), r"'size' is inf in row 1 \(counted from 0\)"),
        (frame(size=[1e39, 1]), "'size' is 1e\\+39 in row 0 .*at most 3.4e\\+38 once"),
        (
            frame(size=pd.to_datetime(["2020-01-01"] * 2)),
            "'size' holds dates; expected numbers",
        ),
        (frame(size=[1j, 2j]), "column 'size' holds complex; expected numbers"),
        (np.zeros((2, 3)), r"an array of shape \(2, 3\); expected \(rows, 4\) with"),
        (
            pd.DataFrame([[1, 2]], columns=["size", "size"]),
            "Expected unique|two columns are named|unique column names",
        ),
        ({"1": [1, 2], 1: [1, 2]}, "no column 'size'|two columns are named '1'"),
    ],
)
def test_rows_that_do_not_fit(rows: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        RECORD.encode(rows)


# -- in a network ---------------------------------------------------------------------


def test_a_network_reads_frames_and_remembers_how(tmp_path: Any) -> None:
    towns = RANDOM.integers(40, size=2000)
    worth = RANDOM.normal(size=40)
    table = pd.DataFrame({"town": [f"t{i}" for i in towns], "x": RANDOM.random(2000)})
    table["y"] = worth[towns] + table["x"]
    data = load(table, target="y")
    net = nv.Network([*data.entrance(), nv.Dense(1)], seed=1)
    nv.fit(net, data, epochs=30, optimizer=nv.Adam(0.02), progress=False)
    net.save(tmp_path / "m.safetensors")
    again = nv.load(tmp_path / "m.safetensors")
    rows = table.drop(columns="y")
    np.testing.assert_array_equal(again.predict(rows), net.predict(rows))
    assert np.corrcoef(net.predict(rows)[:, 0], table["y"])[0, 1] > 0.99
    inputs, targets = prepare(table, net.preprocessing, labelled=True)
    np.testing.assert_array_equal(inputs, data.inputs)
    assert targets is not None
    with pytest.warns(nv.data.UnknownCategoryWarning, match="1 rows .*'nowhere'"):
        net.predict({"town": ["nowhere"], "x": [0.5]})


def test_codes_are_not_read_as_numbers() -> None:
    data = load(people())
    plain = nv.Network([nv.Input(data.inputs.shape[1:]), nv.Dense(1)])
    text = (
        r"\[fit\] column 'town' holds codes from 0 to 30; expected an embedding of 31 "
        r"categories that reads it; begin the network with dataset.entrance\(\), or "
        r"load the data with columns=\{'town': 'one_hot'\}"
    )
    with pytest.raises(ValueError, match=text):
        nv.fit(plain, data, progress=False)
    small = nv.Network([nv.Input(7), nv.EmbedColumns((30,)), nv.Dense(1)])
    with pytest.raises(ValueError, match="an embedding of 31 categories"):
        nv.fit(small, data, progress=False)
