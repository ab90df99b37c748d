# SPDX-License-Identifier: BSD-3-Clause
"""Numbers, dates and labels as people write them: read, said, kept in the model."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import nervure as nv
from nervure.data import DataError, Preprocessing, load, prepare
from nervure.data._errors import DataWarning
from nervure.data.arrays import as_inputs
from nervure.data.meaning.dates import parse_dates
from nervure.data.meaning.forms import DateForm, NumberForm
from nervure.data.meaning.understanding import understood
from nervure.data.tables import read_table

RANDOM = np.random.default_rng(7)


def column_of(tmp_path: Path, cells: list[str], **options):
    """The column of a CSV file that holds these cells."""
    path = tmp_path / "t.csv"
    quoted = (f'"{cell}"' if "," in cell else cell for cell in cells)
    path.write_text("a,b\n" + "".join(f"{cell},x\n" for cell in quoted), "utf-8")
    return understood(read_table(path, **options))["a"]


def seconds(*moments: str) -> list[float]:
    return np.array(moments, "M8[s]").astype(float).tolist()


# -- numbers ------------------------------------------------------------------------

NUMBERS = {
    "thousands": (["1,234", "5", "1,234,567.5"], [1234, 5, 1234567.5]),
    "decimal commas": (["1.234,5", "7", "0,25"], [1234.5, 7, 0.25]),
    "dollars": (["$5", "$1,200.50", "-$3", "($4)"], [5, 1200.5, -3, -4]),
    "euros": (["5 €", "1.200,50 €"], [5, 1200.5]),
    "words of currencies": (["USD 5", "7.5 USD"], [5, 7.5]),
    "percent": (["5 %", "7.5%"], [5, 7.5]),
    "plus": (["+1.5", "-2"], [1.5, -2]),
    "bounds": (["<100", "5+", "~3", ">= 7"], [100, 5, 3, 7]),
    "units": (["5 kg", "6.5 kg", "7"], [5, 6.5, 7]),
    "factors": (["1.2k", "3M", "10"], [1200, 3e6, 10]),
    "blanks": (["1 234,5", "2 000"], [1234.5, 2000]),
    "swiss": (["1'234.5", "2"], [1234.5, 2]),
    "minus signs": (["−5", "3"], [-5, 3]),
    "after it": (["5-", "3"], [-5, 3]),
    "markers": (["1", "-", "--", ".", "missing", "3"], [1, *[np.nan] * 4, 3]),
    "words": (["1", "n/a", "na", "#N/A", "\\N", "NaT", " ", "3"], [1, *[np.nan] * 6, 3]),
    "large": (["9007199254740993", "9007199254740992"], None),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "values"), NUMBERS.values(), ids=NUMBERS)
def test_numbers(tmp_path: Path, cells: list[str], values) -> None:
    column = column_of(tmp_path, cells)
    if values is None:
        assert column.values.tolist() == list(map(int, cells))
    else:
        assert column.kind in ("integer", "real")
        np.testing.assert_array_equal(column.floats(), values)


@pytest.mark.parametrize("cells", [["<=50K", ">50K"], ["< 30", ">= 30", "<60"]])
def test_bounds_from_both_sides_are_classes(tmp_path: Path, cells: list[str]) -> None:
    """As numbers the two were the same."""
    column = column_of(tmp_path, cells)
    assert (column.kind, set(column.labels())) == ("text", set(cells))


def test_what_is_lost_is_one_warning(tmp_path: Path) -> None:
    """Column, count, first line, and the key that keeps the text."""
    cells = [str(i) for i in range(50)]
    cells[10] = cells[20] = "abc"
    said = (
        r"\[t.csv\] column 'a': 2 values are no numbers as the others are \(first 'abc', "
        r'line 12\); they count as missing; data.columns.a = "one_hot" keeps the text'
    )
    with pytest.warns(DataWarning, match=said) as caught:
        column = column_of(tmp_path, cells)
    assert len(caught) == 1
    assert np.flatnonzero(column.missing).tolist() == [10, 20]


def test_many_numbers_among_texts_are_said(tmp_path: Path) -> None:
    cells = [str(i) if i % 3 else f"w{i}" for i in range(60)]
    said = 'the column is taken as text; data.columns.a = "standard" takes the others'
    with pytest.warns(DataWarning, match=said):
        assert column_of(tmp_path, cells).kind == "text"


def test_the_keys_do_what_they_say(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    cells = [f"{i % 5}" if i % 3 else "w" for i in range(60)]
    path.write_text("a,y\n" + "".join(f"{c},{i % 7}.5\n" for i, c in enumerate(cells)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = load(path, columns={"a": "one_hot"})
        assert "a=w" in text.preprocessing.feature_names()
    with pytest.warns(DataWarning, match="20 values are no numbers"):
        number = load(path, columns={"a": "standard"})
    assert number.preprocessing.feature_names() == ["a", "a missing"]


def test_dropped_before_its_type_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(
        f"{'w' if i % 3 else 1},{i},{'inf' if i else 1},{i}.5\n" for i in range(60)
    )
    path.write_text("a,b,c,y\n" + rows)
    data = load(path, columns={"a": "drop", "c": "drop"})
    assert data.preprocessing.feature_names() == ["b"]


@pytest.mark.parametrize("row", [0, 30])
def test_infinite_values_are_refused_wherever_they_stand(
    tmp_path: Path, row: int
) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(f"{'inf' if i == row else i},{i}.5\n" for i in range(40))
    path.write_text("a,y\n" + rows)
    with pytest.raises(
        DataError, match=rf"'a' is inf in row {row} .*leave the value empty"
    ):
        load(path)
    path.write_text("a,b,y\n" + "".join(f"inf,{i},{i}.5\n" for i in range(40)))
    with pytest.raises(DataError, match="'a' is inf in row 0"):
        load(path)


def test_plain_text_stays_text_in_silence(tmp_path: Path) -> None:
    assert column_of(tmp_path, ["red", "green", "A-12", "x1"]).kind == "text"


def train_and_use(tmp_path: Path, cells: list[str], other: list[str]):
    """What a model trained on some cells makes of others."""
    rng = np.random.default_rng(0)

    def write(name: str, values: list[str]) -> Path:
        path = tmp_path / name
        body = "".join(f'"{v}",{rng.normal():.3f}\n' for v in values)
        path.write_text("a,y\n" + body)
        return path

    data = load(write("train.csv", cells))
    record = Preprocessing.from_json(data.preprocessing.to_json())
    inputs, _ = prepare(str(write("new.csv", other)), record)
    (spec,) = record.inputs.columns
    return spec, inputs[:, 0] * spec.scaling.scale + spec.scaling.mean


def test_a_model_reads_numbers_as_its_training_file_wrote_them(tmp_path: Path) -> None:
    """1.234 alone is a decimal point; beside decimal commas it is a thousand."""
    spec, values = train_and_use(
        tmp_path, ["1,5", "2,25", "1.234,5"] * 9, ["1.234"] * 5
    )
    assert spec.written == NumberForm(",", ".")
    np.testing.assert_allclose(values, 1234, rtol=1e-5)


# -- dates --------------------------------------------------------------------------

DATES = {
    "iso": (["2020-01-05", "2020-02-06"], ["2020-01-05", "2020-02-06"]),
    "with times": (["2020-01-05 10:00", "2020-02-06T11:30:15"], ["2020-01-05T10:00", "2020-02-06T11:30:15"]),
    "day first": (["05/01/2020", "13/02/2020"], ["2020-01-05", "2020-02-13"]),
    "month first": (["01/05/2020", "02/13/2020"], ["2020-01-05", "2020-02-13"]),
    "points": (["5.1.2020", "6.2.2020"], ["2020-01-05", "2020-02-06"]),
    "names": (["05 Jan 2020", "6 Feb 2020"], ["2020-01-05", "2020-02-06"]),
    "american": (["Jan 5, 2020", "Feb 6, 2020"], ["2020-01-05", "2020-02-06"]),
    "weekdays": (["Mon, 05 Jan 2020", "Tue, 6 Feb 2020"], ["2020-01-05", "2020-02-06"]),
    "short years": (["5-Jan-20", "12-Mar-99"], ["2020-01-05", "1999-03-12"]),
    "quarters": (["2020Q1", "2020Q3"], ["2020-01-01", "2020-07-01"]),
    "months": (["Jan 2020", "Mar 2020"], ["2020-01-01", "2020-03-01"]),
    "year and month": (["2020-01", "2020-03"], ["2020-01-01", "2020-03-01"]),
    "weeks": (["2020-W05", "2020-W06"], ["2020-01-27", "2020-02-03"]),
    "mixed": (["2020-01-05", "06 Feb 2020"], ["2020-01-05", "2020-02-06"]),
    "gaps": (["2020-01-05", "-"], ["2020-01-05", "NaT"]),
    "am and pm": (["1/15/2020 3:04 PM"], ["2020-01-15T15:04"]),
    "zones": (["2020-01-05T10:00:00+02:00"], ["2020-01-05T08:00"]),
    "german": (["5. Mai 2020", "6. Dezember 2020"], ["2020-05-05", "2020-12-06"]),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "moments"), DATES.values(), ids=DATES)
def test_dates(tmp_path: Path, cells: list[str], moments: list[str]) -> None:
    column = column_of(tmp_path, cells)
    assert column.kind == "date"
    wanted = np.array(moments, "M8[s]")
    values = column.floats()
    np.testing.assert_array_equal(np.isnan(values), np.isnat(wanted))
    assert (
        values[~np.isnan(values)].tolist()
        == wanted[~np.isnat(wanted)].astype(float).tolist()
    )


def test_the_order_of_days_and_months_is_that_of_all_rows(tmp_path: Path) -> None:
    """The one day beyond 12 comes last."""
    cells = [f"0{1 + i % 9}/0{1 + i % 7}/2020" for i in range(3000)] + ["25/01/2020"]
    column = column_of(tmp_path, cells)
    assert column.written == DateForm(("%d/%m/%Y",))
    assert column.values[-1] == seconds("2020-01-25")[0]


def test_a_model_reads_dates_as_its_training_file_wrote_them(tmp_path: Path) -> None:
    """A file whose days are all at most 12 tells no order."""
    spec, values = train_and_use(
        tmp_path, [f"{d}/03/2020" for d in range(10, 30)], ["05/03/2020"] * 3
    )
    assert spec.written == DateForm(("%d/%m/%Y",))
    np.testing.assert_allclose(values, seconds("2020-03-05")[0], rtol=1e-6)


def test_doubt_is_said_with_the_key(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "when,y\n"
        + "".join(f"0{1 + i % 9}-0{1 + i % 5}-2020,{i}.5\n" for i in range(40))
    )
    text = load(path).summary()
    assert "though %" in text
    assert 'data.dates.when = "%' in text
    asked = load(path, dates={"when": "%d-%m-%Y"})
    (spec,) = asked.preprocessing.inputs.columns
    assert spec.written == DateForm(("%d-%m-%Y",))
    with pytest.raises(DataError, match="expected a pattern of %Y, %y, %m"):
        load(path, dates={"when": "dd-mm"})


def test_dates_in_frames_and_single_rows() -> None:
    data = load(
        {
            "when": [f"{1 + i % 28:02}.02.2020" for i in range(40)],
            "y": RANDOM.normal(size=40),
        }
    )
    assert data.preprocessing.feature_names() == ["when"]
    row = data.preprocessing.encode({"when": "05.02.2020"})
    assert np.isfinite(row).all()


def test_two_digits_and_leap_days() -> None:
    form = DateForm(("%d.%m.%y",))
    assert (
        parse_dates(["29.02.20", "29.02.21"], form).tolist()[0]
        == seconds("2020-02-29")[0]
    )
    assert np.isnan(parse_dates(["29.02.21"], form)).all()


# -- labels -------------------------------------------------------------------------

SPELLED = ["Yes", "no", "YES", "No ", "Yes", "no", "yes", "no"] * 10


def labelled(tmp_path: Path, labels: list[str]) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(
        "a,y\n" + "".join(f"{RANDOM.normal():.3f},{label}\n" for label in labels)
    )
    return path


def test_labels_that_differ_in_case_alone(tmp_path: Path) -> None:
    path = labelled(tmp_path, SPELLED)
    said = (
        r"labels that differ in case or blanks alone .*; data.labels = \"merged\" takes"
    )
    with pytest.warns(DataWarning, match=said):
        assert len(load(path).preprocessing.target.labels) == 5
    data = load(path, labels="merged")
    assert data.preprocessing.target.labels == ("Yes", "no")
    assert data.targets.tolist() == [0, 1] * 40
    again = Preprocessing.from_json(data.preprocessing.to_json())
    assert again.encode_targets(["yEs", " NO"]).tolist() == [0, 1]


# -- whole numbers beyond float32 ---------------------------------------------------


def test_neighbours_beyond_float32_are_said() -> None:
    days = 20_180_101 + np.arange(40) % 28
    columns = {"day": days * 1000, "y": RANDOM.normal(size=40)}
    data = load(columns)
    assert len(np.unique(data.inputs[:, 0])) == 28  # standardized in float64 before


def test_values_that_float32_cannot_hold_apart_are_said() -> None:
    """Beside a far value the others become one."""
    values = [*range(40), 10**12]
    columns = {"n": values, "y": RANDOM.normal(size=41)}
    said = "column 'n': float32 cannot hold all of its values apart; .*dtype float64"
    with pytest.warns(DataWarning, match=said):
        load(columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(columns, dtype="float64")
    assert len(np.unique(data.inputs[:, 0])) == 41


def test_integers_keep_what_float32_would_round() -> None:
    """In arrays too: a float64 net, and a column standardized in float64."""
    dates = np.array([[20180131], [20180132]])
    assert as_inputs(dates).dtype == np.float64
    assert as_inputs(dates % 100).dtype == np.float32
    net = nv.Network([nv.Input(1), nv.Dense(1)], dtype="float64")
    assert net.arrays(dates)[0].ravel().tolist() == [20180131, 20180132]
    stamps = (1_700_000_000 + np.arange(64))[:, None]
    data = load((stamps, np.arange(64) * 0.5))
    assert len(np.unique(data.inputs)) == 64
    small = nv.Network([nv.Input(1), nv.Dense(1)])
    with pytest.warns(DataWarning, match=r"column 'X\[:, 0\]': float32 cannot hold"):
        small.arrays(stamps)
