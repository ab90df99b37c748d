# SPDX-License-Identifier: BSD-3-Clause
"""Series: steps found, gaps and twins told, windows of the past alone, parts in time."""

from __future__ import annotations

import datetime
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nervure.data import DataError, Dataset, Series, load
from nervure.data.series.clock import (
    DAY,
    HOUR,
    find_clock,
    places_of,
    season_of,
    step_name,
    times_of,
    written_times,
)
from nervure.data.series.parts import parts_in_time
from nervure.data.sources import read

Columns = dict[str, Any]

BEFORE_1970 = 21 * 12
"""Months from the first of `months` to the place 0."""


def months(count: int, first: int = 1949) -> list[str]:
    return [f"{first + i // 12}-{i % 12 + 1:02d}-01" for i in range(count)]


def trend(count: int, season: int = 12) -> Any:
    """A rising series with a season that grows with it, and some noise."""
    t, noise = np.arange(count), np.random.default_rng(0).normal(size=count)
    return (100 + t) * (1 + 0.2 * np.sin(2 * np.pi * t / season)) + noise


def series(count: int = 120, **changes: Any) -> Columns:
    return {"t": months(count), "y": trend(count), **changes}


def loaded(columns: Columns, horizon: int = 6, **how: Any) -> Dataset:
    named = {k: how.pop(k) for k in ("group", "window", "season", "known") if k in how}
    said = Series("t", horizon, **named)
    return load(columns, target="y", series=said, numbers="robust", **how)


def told(columns: Columns, **how: Any) -> str:
    with pytest.raises(DataError) as caught:
        loaded(columns, **how)
    return str(caught.value)


def seconds(*dates: str) -> Any:
    return np.array(dates, "datetime64[s]").astype(np.float64)


# -- the step --------------------------------------------------------------------------

STEPS = {
    "month": (seconds("2023-01-31", "2023-02-28", "2023-03-31", "2023-05-31"), 12),
    "quarter": (seconds("2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01"), 4),
    "year": (seconds("2019-01-01", "2020-01-01", "2021-01-01", "2022-01-01"), 1),
    "week": (seconds("2023-01-02", "2023-01-09", "2023-01-16"), 52),
    "day": (seconds("2023-01-06", "2023-01-07", "2023-01-08", "2023-01-10"), 7),
    "business day": (
        seconds("2023-01-05", "2023-01-06", "2023-01-09", "2023-01-10", "2023-01-11"),
        5,
    ),
    "hour": (seconds("2023-01-01T05", "2023-01-01T06", "2023-01-01T08"), 24),
    "15 minutes": (seconds("2023-01-01T05:00", "2023-01-01T05:15"), 96),
    "4 weeks": (1e9 + np.arange(8) * 28 * DAY, 1),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_step_and_its_season_are_found(name: str) -> None:
    times, season = STEPS[name]
    clock = find_clock(times, np.zeros(len(times)), date=True)
    assert clock is not None
    assert (step_name(clock), season_of(clock)) == (name, season)
    places = places_of(clock, times)
    np.testing.assert_allclose(times_of(clock, places, times[-1]), times)


def test_places_go_on_after_the_end() -> None:
    clock = find_clock(STEPS["month"][0], np.zeros(4), date=True)
    assert clock is not None
    assert clock.ends
    last = places_of(clock, seconds("2023-12-31"))
    after = times_of(clock, last + np.array([1, 2]))
    assert written_times(clock, after).tolist() == ["2024-01-31", "2024-02-29"]
    clock = find_clock(STEPS["business day"][0], np.zeros(5), date=True)
    assert clock is not None
    friday = places_of(clock, seconds("2023-01-13"))
    assert written_times(clock, times_of(clock, friday + 1)).tolist() == ["2023-01-16"]


def test_decimal_years_have_the_season_of_their_step() -> None:
    times = np.round(1949 + np.arange(30) / 12, 3)
    clock = find_clock(times, np.zeros(30), date=False)
    assert clock is not None
    assert season_of(clock) == 12
    assert places_of(clock, times).tolist() == list(range(30))


def test_numbers_have_no_season() -> None:
    clock = find_clock(np.array([3.0, 5, 7, 11]), np.zeros(4), date=False)
    assert clock is not None
    assert (clock.count, season_of(clock)) == (2.0, 1)


# -- windows ---------------------------------------------------------------------------


def test_a_window_is_its_past_in_units_of_its_own() -> None:
    y = np.array([1.0, 2, 4, 3, 5, 8, 6])
    columns = {"t": np.arange(7), "y": y}
    raw = read(columns, target="y", series=Series("t", 2, window=3, season=2))
    origins = raw.origins
    assert origins is not None
    assert origins.places.tolist() == [2, 3, 4]
    scale = math.hypot(np.std([1, 2, 4]), 1e-3 * 7 / 3)
    assert origins.scale[0] == pytest.approx(scale)
    assert origins.naive[0].tolist() == [2, 4]  # a season, two steps, before
    inputs: Any = raw.inputs
    lags = [inputs[f"y lag {i}"].values[0] for i in range(3)]
    np.testing.assert_allclose(lags, (np.array([4, 2, 1]) - 3) / scale)
    assert inputs["y level"].values[0] == pytest.approx(3 / scale)
    ahead = np.array([column.values for column in raw.targets]).T
    np.testing.assert_allclose(
        origins.values(ahead), [y[o + 1 : o + 3] for o in (2, 3, 4)]
    )


def test_the_season_before_that_is_repeated_where_the_horizon_is_longer() -> None:
    raw = read(series(40), target="y", series=Series("t", 15, window=13))
    assert raw.origins is not None
    y = trend(40)
    wanted = [y[12 + k - 12 * (1 if k <= 12 else 2)] for k in range(1, 16)]
    np.testing.assert_allclose(raw.origins.naive[0], wanted)


def test_a_larger_series_has_the_same_inputs() -> None:
    one, other = loaded(series()), loaded(series(y=1000 * trend(120)))
    np.testing.assert_allclose(one.inputs, other.inputs, atol=1e-5)
    np.testing.assert_allclose(one.targets, other.targets, atol=1e-4)


def test_the_summary_says_what_was_chosen_and_how_to_change_it() -> None:
    lines = loaded(series()).description
    assert lines[1] == "time: 120 steps of a month, 1949-01-01 to 1958-12-01"
    assert lines[2] == (
        "a season of 12 steps, windows of 24, forecasts of 6 (chosen; --season, "
        "data.series.season and --window, data.series.window change it)"
    )


def test_calendar_known_and_other_columns() -> None:
    promo = np.arange(120) % 5
    found = loaded(
        series(promo=promo, weather=["sun", "rain"] * 60), known=("promo",), window=12
    )
    names = found.preprocessing.feature_names()
    assert "t month sin 1" in names
    assert [n for n in names if n.startswith("promo")] == [
        f"promo ahead {k}" for k in range(1, 7)
    ]
    assert "weather=sun" in names
    raw = read(
        series(promo=promo),
        target="y",
        series=Series("t", 6, known=("promo",), window=12),
    )
    table: Any = raw.inputs
    assert table["promo ahead 2"].values[0] == promo[11 + 2]


def test_groups_have_windows_of_their_own_and_are_an_input() -> None:
    y = np.concatenate([trend(60), -trend(60)])
    columns = {"t": months(60) * 2, "y": y, "store": [7] * 60 + [9] * 60}
    found = loaded(columns, group="store", window=12)
    assert {"store=7", "store=9"} <= set(found.preprocessing.feature_names())
    assert found.origins is not None
    assert found.origins.names == ("7", "9")
    assert found.rows == 2 * (60 - 12 - 6 + 1)
    assert "2 series, in all 120 steps of a month" in found.description[1]


# -- what may be wrong with times ------------------------------------------------------


def test_rows_in_any_order_are_sorted() -> None:
    columns = series()
    order = np.random.default_rng(1).permutation(120)
    mixed = {"t": [columns["t"][i] for i in order], "y": columns["y"][order]}
    one, other = loaded(columns), loaded(mixed)
    np.testing.assert_array_equal(one.inputs, other.inputs)
    assert "rows out of order in time: sorted" in other.description
    assert "rows out of order in time: sorted" not in one.description


def test_the_same_row_twice_is_told() -> None:
    columns = series()
    twice = {
        "t": columns["t"] + columns["t"][:2],
        "y": np.r_[trend(120), trend(120)[:2]],
    }
    found = loaded(twice)
    assert "2 rows of a time that came already left out" in found.description
    np.testing.assert_array_equal(found.inputs, loaded(columns).inputs)


def test_a_time_twice_with_other_values_is_an_error() -> None:
    columns = series()
    twice = {"t": [*columns["t"], "1949-03-01"], "y": [*columns["y"], 5.0]}
    assert told(twice).startswith(
        "[data] time 1949-03-01 comes twice with other values (row 2, row 120); "
        "expected each time once; name the column that tells series apart (--group), or "
        'add up: --query "SELECT'
    )
    grouped = told({**twice, "g": ["a"] * 121}, group="g")
    assert "time 1949-03-01 of 'a' comes twice with other values" in grouped
    assert "once; add up or choose: --query" in grouped


def test_gaps_are_filled_by_the_season_before_and_never_a_target() -> None:
    columns = series()
    kept = [i for i in range(120) if i not in (50, 51)]
    y = trend(120)
    y[70] = np.nan
    found = read(
        {"t": [columns["t"][i] for i in kept], "y": y[kept]},
        target="y",
        series=Series("t", 6, window=12),
    )
    assert (
        "gaps: 3 of 120 steps without a value; as inputs they have the value a season "
        "before (without a season the last one); they are never a target"
    ) in found.notes
    assert found.origins is not None
    places = (found.origins.places + BEFORE_1970).tolist()
    assert 43 in places  # whose last target is 49
    assert not {44, 50, 51, 64, 70} & set(places)
    at = places.index(55)
    window: Any = found.inputs
    scale, level = found.origins.scale[at], window["y level"].values[at]
    was = (window["y lag 5"].values[at] + level) * scale
    assert was == pytest.approx(y[50 - 12])


def test_rows_without_a_value_at_either_end_are_no_part_of_the_series() -> None:
    y = trend(120)
    y[:3] = y[-5:] = np.nan
    found = loaded(series(y=y))
    assert found.description[1].endswith(
        "112 steps of a month, 1949-04-01 to 1958-07-01"
    )


def test_too_many_gaps_leave_no_window() -> None:
    y = trend(120)
    y[::5] = np.nan
    assert told(series(y=y)) == (
        "[data] no 18 steps in a row end with 6 values: the series have too many gaps; "
        "expected some; fill the gaps, or forecast fewer steps (--horizon)"
    )


def test_mixed_steps() -> None:
    days = [datetime.date(2023, 1, 1) + datetime.timedelta(i) for i in range(60)]
    times: list[Any] = [datetime.datetime(d.year, d.month, d.day) for d in days]
    times[30] = times[30].replace(hour=6)
    assert told({"t": times, "y": trend(60)}).startswith(
        "[data] time 't' is 2023-01-31T06:00 in row 30, between two steps: most rows are "
        "a day apart; expected equal steps; give one row for each step, e.g. --query"
    )


def test_a_step_that_is_not_that_of_the_rows_is_refused_before_memory_is_taken() -> (
    None
):
    t = np.r_[np.arange(100), 10**10 + np.arange(100)]
    assert told({"t": t, "y": trend(200)}).startswith(
        "[data] 200 rows over 10,000,000,100 steps; expected at most 10 steps for each "
        "row; give one row for each step"
    )


def test_times_that_cannot_be_read() -> None:
    assert told(series(t=[f"once {i}" for i in range(120)])) == (
        "[data] time 't' holds text ('once 0'); expected dates or numbers; say how "
        'dates are written, data.dates.t = "%d/%m/%Y", or choose another column'
    )
    times: list[Any] = [*months(119), None]
    assert told(series(t=times)) == (
        "[data] no time 't' in row 119 (1 row in all); expected one in each row; "
        "correct the rows, or drop them (--query)"
    )


@pytest.mark.parametrize(("digits", "step"), [(6, "a month"), (8, "a day")])
def test_whole_numbers_that_are_dates(digits: int, step: str) -> None:
    if digits == 6:
        times = [int(text[:7].replace("-", "")) for text in months(120)]
    else:
        first = datetime.date(2022, 11, 7)
        days = [first + datetime.timedelta(i) for i in range(120)]
        times = [int(day.strftime("%Y%m%d")) for day in days]
    found = loaded({"t": times, "y": trend(120)})
    assert f"time: 120 steps of {step}," in found.description[1]
    series = found.preprocessing.series
    assert series is not None
    assert series.time_written is not None


def test_years_are_numbers() -> None:
    found = loaded({"t": np.arange(1900, 2000), "y": trend(100)}, horizon=3)
    assert found.description[1] == "time: 100 steps of 1, 1900 to 1999"


def test_series_too_short() -> None:
    assert told(series(10), horizon=12) == (
        "[data] the longest series has 10 steps; expected at least 13: a window of 1 "
        "and a horizon of 12; forecast fewer steps (--horizon), or use a shorter window "
        "(--window)"
    )
    columns = {
        "t": months(60) + months(8),
        "y": np.r_[trend(60), trend(8)],
        "g": ["long"] * 60 + ["short"] * 8,
    }
    found = loaded(columns, group="g", window=12)
    assert (
        "1 of 2 series left out: fewer than 18 steps, a window and a horizon ('short')"
    ) in found.description


def test_a_single_row_is_no_series() -> None:
    assert told(series(1)) == (
        "[data] 1 row, each time once in its group; expected series of several times; "
        "check the time and group columns"
    )


def test_targets_and_groups_that_are_none() -> None:
    y = trend(120)
    y[4] = np.inf
    assert "target 'y' is infinite in row 4; expected finite numbers" in told(
        series(y=y)
    )
    assert "target 'y' holds text ('a'); expected numbers to forecast" in told(
        series(y=["a", "b"] * 60)
    )
    groups: list[Any] = ["a"] * 119
    assert "no group 'g' in row 119; expected the name of a series" in told(
        series(g=[*groups, None]), group="g"
    )
    assert "group 'g' holds numbers; expected text or whole numbers" in told(
        series(g=np.arange(120) + 0.5), group="g"
    )
    assert "known column 'k' holds text ('x'); expected numbers" in told(
        series(k=["x"] * 120), known=("k",)
    )
    assert "holds nothing but missing values; expected numbers to forecast" in told(
        series(y=[None] * 120)
    )
    assert "unknown time column 't'" in told({"y": trend(9)})
    assert "column 't' is time and group at once" in told(series(), group="t")


@pytest.mark.parametrize(
    ("how", "fact"),
    [
        ({"task": "classification"}, "task 'classification' of a series"),
        ({"weights": "y"}, "weights 'y' of a series; expected none"),
    ],
)
def test_what_a_series_has_not(how: dict[str, Any], fact: str) -> None:
    assert fact in told(series(), **how)


def test_numbers_out_of_bounds() -> None:
    with pytest.raises(ValueError, match="horizon = 0; expected"):
        Series("t", 0)
    with pytest.raises(ValueError, match=r"season = 1\.5; expected"):
        Series("t", 3, season=1.5)  # pyright: ignore


def test_a_source_without_a_table_is_no_series() -> None:
    with pytest.raises(DataError, match="for a source without a table"):
        load("digits", series=Series("t", 3))


# -- parts in time ---------------------------------------------------------------------


def test_no_value_is_a_target_in_two_parts() -> None:
    raw = read(series(), target="y", series=Series("t", 6, window=12))
    assert raw.origins is not None
    assert raw.series is not None
    shares = {"validation": 0.1, "calibration": 0.1, "test": 0.15}
    parts = parts_in_time("data", raw.origins, raw.series, **shares)
    places = raw.origins.places + BEFORE_1970
    spans = [
        (int(places[rows].min()) + 1, int(places[rows].max()) + 6)
        for rows in (parts.train, parts.validation, parts.calibration, parts.test)
    ]
    assert all(end < begin for (_, end), (begin, _) in pairwise(spans))
    assert spans[-1][1] == 119
    assert spans[1][0] == spans[0][1] + 1  # nothing between them is given away
    assert len(parts.test) == round(0.15 * 120) - 5


def test_a_part_has_origins_enough_for_intervals() -> None:
    raw = read(series(), target="y", series=Series("t", 6, window=12))
    assert raw.origins is not None
    assert raw.series is not None
    parts = parts_in_time("data", raw.origins, raw.series, validation=0.01)
    assert len(parts.validation) == 10


def test_gaps_leave_origins_enough() -> None:
    y = trend(150)
    y[[135, 142]] = np.nan
    raw = read(series(150, y=y), target="y", series=Series("t", 3, window=12))
    assert raw.origins is not None
    assert raw.series is not None
    parts = parts_in_time("data", raw.origins, raw.series, validation=0.05)
    assert len(parts.validation) == 10
    cut = int(raw.origins.places[parts.validation].min())
    assert int(raw.origins.places[parts.train].max()) + 3 == cut


def test_nothing_left_to_train_on() -> None:
    assert told(series(30), held_out=0.9, window=12) == (
        "[data] 30 steps are too few for windows of 12 and forecasts of 6 with the "
        "latest held out (validation); expected two windows or more to train on; "
        "forecast fewer steps (--horizon), use a shorter window (--window), or hold out "
        "nothing: --set data.validation=0"
    )


def test_what_comes_later_changes_nothing_that_was_learned() -> None:
    one = loaded(series(promo=np.arange(120.0) % 7), held_out=0.3)
    assert one.train_rows is not None
    assert one.origins is not None
    last = int(one.origins.places[one.train_rows].max()) + 6 + BEFORE_1970
    later = np.arange(120) > last
    y = np.where(later, 1e4 * np.random.default_rng(3).normal(size=120), trend(120))
    promo = np.where(later, -500.0, np.arange(120.0) % 7)
    other = loaded(series(y=y, promo=promo), held_out=0.3)
    assert one.preprocessing == other.preprocessing
    assert other.train_rows is not None
    np.testing.assert_array_equal(one.train_rows, other.train_rows)
    for name in ("inputs", "targets"):
        before, after = (getattr(d, name)[one.train_rows] for d in (one, other))
        np.testing.assert_array_equal(before, after)
    assert later.sum() > 30


def test_groups_that_come_later_are_unknown() -> None:
    columns = {
        "t": months(60) + months(30, 1952),
        "y": np.r_[trend(60), trend(30)],
        "g": ["old"] * 60 + ["new"] * 30,
    }
    found = loaded(columns, group="g", window=6, horizon=2, held_out=0.4)
    assert found.train_rows is not None
    assert not [n for n in found.preprocessing.feature_names() if n.startswith("g=new")]


def test_hours_have_cycles_of_the_day_the_week_and_the_year() -> None:
    first = datetime.datetime(2024, 1, 1)
    times = [first + datetime.timedelta(hours=i) for i in range(400)]
    names = loaded({"t": times, "y": trend(400, 24)}).preprocessing.feature_names()
    found = {name.split()[1] for name in names if name.startswith("t ")}
    assert found == {"day", "week", "year"}
    assert HOUR * 24 == DAY
