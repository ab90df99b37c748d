# SPDX-License-Identifier: BSD-3-Clause
"""Forecasts: better than the naive ones, sure as said, by nothing that came later."""

from __future__ import annotations

import csv
import dataclasses
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.cli.app import run
from nervure.data import DataError, Series
from nervure.data.preprocessing import Preprocessing
from nervure.findings.rules import labels_shifted
from nervure.forecasting.ahead import forecasts_of
from nervure.forecasting.forecaster import scores_of
from nervure.forecasting.scoring import scores_of_source, sizes_of, with_intervals
from nervure.runs.training import fit_spec
from nervure.spec.defaults import default_spec
from nervure.spec.reading import parse_spec
from nervure.spec.rows import dataset_of, default_for, load_data
from nervure.spec.tables import DataSpec
from nervure.spec.written import write_spec

AIR = Path(__file__).resolve().parents[1] / "examples" / "air_passengers.csv"
Nervure = Callable[..., str]
NAMES = ("prediction", "low", "high")
SHORT = ("--set", "training.epochs=30", "-q")


def noisy(count: int = 120, first: int = 0) -> dict[str, Any]:
    """A season of 4 that rises, with noise of deviation 0.1."""
    t = np.arange(first, first + count)
    noise = np.random.default_rng(5).normal(0, 0.1, first + count)[first:]
    return {"t": t, "y": 0.1 * t + np.sin(np.pi * t / 2) + noise}


def fitted(columns: Any = None, **how: Any) -> nv.Forecaster:
    given = {"season": 4, "epochs": 30, "refit": False, **how}
    model = nv.Forecaster(3, **given)
    return model.fit(noisy() if columns is None else columns, "y", time="t")


@pytest.fixture
def nervure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Nervure:
    """Runs the command in an empty folder; what it prints."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object, code: int = 0) -> str:
        assert run([*map(str, words)]) == code
        return capfd.readouterr().out

    return call


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def failing(capfd: pytest.CaptureFixture[str], *words: object) -> str:
    assert run([*map(str, words)]) == 2
    return capfd.readouterr().err


# -- in Python -------------------------------------------------------------------------


def test_forecasts_of_a_trend_with_a_season() -> None:
    model = fitted(refit=True)
    found, truth = model.predict(noisy()), noisy(3, 120)
    assert list(found) == ["t", "prediction", "low", "high"]
    assert found["t"].tolist() == [120, 121, 122]
    assert np.abs(found["prediction"] - truth["y"]).max() < 0.5
    assert (found["low"] < found["prediction"]).all()
    assert model.score_ is not None
    assert model.score_.mae.mean() < 0.6 * model.score_.naive_mae.mean()


def test_the_file_holds_all_that_a_forecast_needs(tmp_path: Path) -> None:
    model = fitted()
    model.network_.save(tmp_path / "a.safetensors")
    again: Any = nv.load(tmp_path / "a.safetensors")
    wanted, found = model.predict(noisy()), nv.forecast(again, noisy())
    assert {k: v.tolist() for k, v in wanted.items()} == {
        k: v.tolist() for k, v in found.items()
    }
    record = again.preprocessing
    assert Preprocessing.from_json(record.to_json()) == record


def test_levels_widen_intervals() -> None:
    model = fitted()
    widths = [
        (found["high"] - found["low"]).mean()
        for level in (0.5, 0.8, 0.9)
        for found in [model.predict(noisy(), level=level)]
    ]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    assert list(model.predict(noisy(), level=None)) == ["t", "prediction"]
    with pytest.raises(ValueError, match="level = 1"):
        model.predict(noisy(), level=1)


def test_intervals_hold_the_share_that_is_asked_for() -> None:
    score = fitted(noisy(400), validation=0.2, test=0.3).score_
    assert score is not None
    assert score.coverage == pytest.approx(0.9, abs=0.06)
    assert f"90 % intervals hold {100 * (score.coverage or 0):.1f} %" in str(score)


def test_an_interval_is_wider_where_the_series_is_larger() -> None:
    model = fitted()
    one, large = noisy(), noisy()
    large["y"] = 50 * large["y"]
    found, larger = model.predict(one), model.predict(large)
    np.testing.assert_allclose(larger["high"], 50 * found["high"], rtol=1e-4)


def test_without_rows_held_out_there_are_no_intervals() -> None:
    model = fitted(validation=0, test=0)
    assert model.score_ is None
    assert list(model.predict(noisy())) == ["t", "prediction"]


def test_what_comes_later_changes_no_bit_of_the_network() -> None:
    """The rows after those of validation are the test part, which nothing sees."""
    one, other = noisy(), noisy()
    other["y"] = np.where(other["t"] >= 102, 1e5, other["y"])
    first, second = fitted(one), fitted(other)
    for name, value in first.network_.parameters.items():
        np.testing.assert_array_equal(value, second.network_.parameters[name])
    assert first.network_.preprocessing == second.network_.preprocessing
    scores = [model.network_.conformal for model in (first, second)]
    assert scores[0] is not None
    assert scores[1] is not None
    np.testing.assert_array_equal(scores[0].scores, scores[1].scores)


def test_groups_and_what_is_known() -> None:
    t = np.tile(np.arange(80), 2)
    promo = (t % 5 == 0).astype(float)
    y = np.repeat([10.0, 200.0], 80) * (1 + 0.5 * promo) + t
    columns = {"t": t, "y": y, "promo": promo, "g": ["a"] * 80 + ["b"] * 80}
    model = nv.Forecaster(2, known=("promo",), epochs=40, season=1)
    model.fit(columns, "y", time="t", group="g")
    future = {
        "t": np.r_[t, 80, 81, 80, 81],
        "y": np.r_[y, [np.nan] * 4],
        "promo": np.r_[promo, 1, 0, 1, 0],
        "g": [*columns["g"], "a", "a", "b", "b"],
    }
    found = model.predict(future)
    assert found["g"].tolist() == ["a", "a", "b", "b"]
    assert found["t"].tolist() == [80, 81, 80, 81]
    wanted = np.array([15.0, 10, 300, 200]) + found["t"]
    np.testing.assert_allclose(found["prediction"], wanted, rtol=0.15)
    with pytest.raises(DataError) as caught:
        model.predict(columns)
    assert str(caught.value) == (
        "[data] known column 'promo' has 0 values after the last 'y' of 'a'; expected "
        "2, one for each step to be forecast; add rows with 'promo' and an empty 'y'"
    )


def test_series_too_short_for_a_window_are_told_and_left_out() -> None:
    columns = noisy()
    two = {
        "t": np.r_[columns["t"], [1, 2]],
        "y": np.r_[columns["y"], [1.0, 2.0]],
        "g": ["long"] * 120 + ["new"] * 2,
    }
    model = nv.Forecaster(3, season=4, epochs=2, refit=False)
    model.fit({**columns, "g": ["long"] * 120}, "y", time="t", group="g")
    with pytest.warns(UserWarning, match=r"1 of 2 series left out: .* \('new'\)"):
        assert set(model.predict(two)["g"].tolist()) == {"long"}
    with pytest.raises(DataError) as caught:
        model.predict({"t": [1, 2], "y": [1.0, 2.0], "g": ["new"] * 2})
    assert str(caught.value) == (
        "[data] the longest series has 2 steps; expected at least the window of 8 that "
        "the network was trained with; give the rows before it too"
    )


def test_a_model_of_something_else() -> None:
    net = nv.Network([nv.Input(2), nv.Dense(1)])
    with pytest.raises(DataError, match="was not trained on a series; expected one"):
        nv.forecast(net, noisy())


def test_times_of_another_kind() -> None:
    model = fitted()
    dated = {"t": ["2020-01-01", "2020-01-02"], "y": [1.0, 2.0]}
    with pytest.raises(DataError, match="time 't' holds text"):
        model.predict(dated)
    moments = np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")
    with pytest.raises(
        DataError, match="holds dates; expected numbers, as in training"
    ):
        model.predict({"t": moments, "y": [1.0, 2.0]})


def test_a_value_that_is_called_as_a_column_of_forecasts() -> None:
    columns = noisy()
    model = nv.Forecaster(2, season=4, epochs=1, refit=False)
    model.fit({"low": columns["t"], "y": columns["y"]}, "y", time="low")
    found = model.predict({"low": columns["t"], "y": columns["y"]})
    assert list(found) == ["low_", "prediction", "low", "high"]


def test_data_frames() -> None:
    pandas = pytest.importorskip("pandas")
    times = pandas.date_range("2020-01-31", periods=60, freq="ME")
    frame = pandas.DataFrame({"t": times, "y": noisy(60)["y"]})
    found = fitted(frame).predict(frame)
    assert found["t"].tolist() == ["2025-01-31", "2025-02-28", "2025-03-31"]


# -- errors, by hand -------------------------------------------------------------------


def test_scores_by_hand() -> None:
    said = Series("t", 2, season=1, window=2)
    data = DataSpec(target="y", validation=0.0, test=0.2, numbers="robust", series=said)
    y = np.r_[np.arange(20.0) ** 2, 300 + 3 * np.arange(10)]
    raw = nv.data.read({"t": np.arange(30), "y": y}, target="y", series=said)
    dataset = dataset_of(raw, data)
    # Training ends with the target 23; windows of 2 before a horizon of 2.
    assert dataset.origins is not None
    assert dataset.test_origins is not None
    assert dataset.origins.places.tolist() == list(range(1, 22))
    assert dataset.test_origins.places.tolist() == [23, 24, 25, 26, 27]
    sizes = sizes_of(dataset)
    assert sizes[0, 0] == pytest.approx(np.abs(np.diff(y))[1:22].mean(), rel=1e-5)
    network = nv.Network([nv.Input(dataset.inputs.shape[1]), nv.Dense(2)], seed=0)
    network.preprocessing = dataset.preprocessing
    (found,) = scores_of(network, dataset)
    np.testing.assert_allclose(found.naive_mae, [3, 6], rtol=1e-4)
    assert found.naive_mase == pytest.approx(4.5 / sizes[0, 0], rel=1e-4)
    assert found.coverage is None


# -- specs and the command line --------------------------------------------------------


def test_the_spec_says_what_the_series_is() -> None:
    said = Series("month", 12, window=12)
    data = DataSpec(str(AIR), target="passengers", validation=0.1, series=said)
    dataset = load_data(data)
    spec = default_spec(dataset, data)
    assert parse_spec(write_spec(spec)) == spec
    assert 'series = {time = "month", horizon = 12, window = 12}' in write_spec(spec)


def test_one_network_is_trained_on_numbers_without_waves() -> None:
    spec, dataset = default_for(DataSpec(str(AIR), series=Series("month", 12)))
    kinds = [entry.layer.kind for entry in spec.layers]
    assert "periodic_embedding" not in kinds
    assert dataset.targets.shape[1] == 12


def test_a_csv_file_from_training_to_a_forecast(nervure: Nervure) -> None:
    words = ("train", AIR, "--time", "month", "--horizon", "12", "--out", "run")
    out = nervure(*words, *SHORT)
    assert "time: 144 steps of a month, 1949-01-01 to 1960-12-01" in out
    assert "held-out, 11 origins x 12 steps ahead: MAE" in out
    assert "(seasonal naive 51.93)" in out
    assert "intervals by the errors of 10 origins held out" in out
    assert "steps ahead         1      4      7     10     12" in out
    rows = rows_of(nervure("predict", "run", AIR))
    assert [row["month"] for row in rows] == [f"1961-{i:02d}-01" for i in range(1, 13)]
    found = np.array([float(row["prediction"]) for row in rows])
    assert found.argmax() in (6, 7)  # July, August
    assert 400 < found.min() < found.max() < 850
    half = rows_of(nervure("predict", "run", AIR, "--interval", "0.5"))
    assert float(half[0]["low"]) > float(rows[0]["low"])
    own = nervure("evaluate", "run", AIR).replace("\n  ", " ")
    assert "air_passengers.csv held out, 11 origins x 12 steps ahead: MAE" in own
    every = nervure("evaluate", "run", AIR, "--all")
    assert "those of training among them, 109 origins" in every.replace("\n  ", " ")
    told = nervure("inspect", "run")
    assert "naive mae 51.93" in told.replace("\n ", "")


def test_refit_trains_on_all_steps_in_a_folder_of_its_own(
    nervure: Nervure, tmp_path: Path
) -> None:
    words = ("train", AIR, "--time", "month", "--horizon", "6", "--out", "run")
    out = nervure(*words, "--refit", *SHORT)
    assert "on all steps\nsaved in run/whole; forecast with: nervure predict" in out
    one: Any = nv.load(tmp_path / "run/model.safetensors")
    whole: Any = nv.load(tmp_path / "run/whole/model.safetensors")
    np.testing.assert_array_equal(one.conformal.scores, whole.conformal.scores)
    assert len(rows_of(nervure("predict", "run/whole", AIR))) == 6
    assert "every time" in nervure("evaluate", "run/whole", AIR)


def test_a_training_of_a_series_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    class Crash(nv.Callback):
        def on_epoch_end(self, run: nv.Run) -> None:
            if run.epoch == 12:
                raise KeyError

    said = Series("month", 12)
    data = DataSpec(str(AIR), validation=0.1, test=0.15, series=said, numbers="robust")
    text = write_spec(default_for(data)[0]).replace("epochs = 200", "epochs = 20")
    spec = parse_spec(text.replace("checkpoint_seconds = 30.0", "checkpoint_steps = 7"))
    with pytest.raises(KeyError):
        fit_spec(spec, directory=tmp_path / "a", progress=False, callbacks=[Crash()])
    assert not (tmp_path / "a/model.safetensors").exists()
    nv.resume(tmp_path / "a", progress=False, callbacks=[])
    fit_spec(spec, directory=tmp_path / "b", progress=False)
    found = [(tmp_path / f"{name}/model.safetensors").read_bytes() for name in "ab"]
    assert found[0] == found[1]


def test_stores_with_numbers_for_names(nervure: Nervure, tmp_path: Path) -> None:
    lines = ["week,store,sales"]
    for store in ("001", "002"):
        for i in range(130):
            day = np.datetime64("2020-01-06") + 7 * i
            lines.append(f"{day},{store},{int(store) * 100 + i % 4}")
    (tmp_path / "s.csv").write_text("\n".join(lines))
    series = ("--time", "week", "--horizon", "2", "--group", "store", "--season", "4")
    nervure("train", "s.csv", *series, "--out", "run", *SHORT)
    rows = rows_of(nervure("predict", "run", "s.csv"))
    assert [row["week"] for row in rows] == ["2022-07-04", "2022-07-11"] * 2
    assert float(rows[2]["prediction"]) == pytest.approx(202, abs=3)


def test_an_ensemble_of_a_series() -> None:
    data = DataSpec(str(AIR), series=Series("month", 3))
    spec, dataset = default_for(data)
    text = write_spec(spec) + "\n[ensemble]\nmembers = 2\n"
    made = parse_spec(text.replace("epochs = 200", "epochs = 3"))
    run: Any = fit_spec(_without_folder(made), dataset, progress=False)
    sure = with_intervals(run.ensemble, dataset)
    assert sure is not None
    assert len(nv.forecast(sure, str(AIR))["prediction"]) == 3
    assert scores_of_source(sure, str(AIR))[0].rows > 100


def _without_folder(spec: Any) -> Any:
    training = dataclasses.replace(spec.training, checkpoint_seconds=None)
    return dataclasses.replace(spec, training=training)


SAID = [
    (("--horizon", "3"), "[--time] --horizon without --time; expected of a series the"),
    (("--time", "month"), "[--horizon] --time without --horizon; expected of a series"),
    (("--refit",), "[--refit] the source is taken as rows, not as a series; expected"),
    (
        ("--time", "mont", "--horizon", "3"),
        "unknown time column 'mont'; did you mean 'month'",
    ),
    (
        ("--time", "month", "--horizon", "0"),
        "horizon = 0; expected a whole number (>= 1)",
    ),
    (
        ("--time", "month", "--horizon", "100"),
        "[air_passengers.csv] 144 steps are too few for windows of 14",
    ),
    (
        ("--time", "month", "--horizon", "150"),
        "[air_passengers.csv] the longest series has 144 steps; expected at least 151",
    ),
]


@pytest.mark.parametrize(("words", "said"), SAID)
def test_options_that_do_not_fit(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert said in failing(capfd, "train", AIR, *words, "--out", tmp_path / "run", "-q")
    assert not (tmp_path / "run").exists()


def test_what_a_forecast_cannot_give(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = fitted(validation=0, test=0)
    file = tmp_path / "a.safetensors"
    model.network_.save(file)
    table = tmp_path / "t.csv"
    table.write_text("t,y\n1,2\n")
    for option in (("--probabilities",), ("--keep", "y")):
        said = failing(capfd, "predict", file, table, *option)
        assert f"[{option[0]}] the model forecasts a series" in said
    said = failing(capfd, "predict", file, table, "--interval", "0.9")
    assert "[--interval] the model holds no errors of origins held out" in said
    assert "no table; expected the columns of a series" in failing(
        capfd, "predict", file, "digits"
    )
    pytest.importorskip("onnx")
    said = failing(capfd, "export", file, "--out", tmp_path / "a.onnx")
    assert "ONNX cannot hold the preprocessing of windows over a series" in said


def test_damaged_records() -> None:
    record: Any = fitted(epochs=1).network_.preprocessing
    tables = record.to_json()
    for key, value in (("window", 0), ("horizon", 10**9), ("season", -1)):
        broken = {**tables, "series": {**tables["series"], key: value}}
        with pytest.raises(DataError, match=f"{key} {value}"):
            Preprocessing.from_json(broken)
    broken = {**tables, "series": {**tables["series"], "horizon": 4}}
    with pytest.raises(DataError, match="3 targets for a horizon of 4"):
        Preprocessing.from_json(broken)
    clock = {**tables["series"]["clock"], "count": 0.0}
    broken = {**tables, "series": {**tables["series"], "clock": clock}}
    with pytest.raises(DataError, match=r"a step of 0\.0"):
        Preprocessing.from_json(broken)


def test_what_the_naive_forecast_lacks_is_not_taken_for_shuffled_targets(
    tmp_path: Path,
) -> None:
    """It may well be noise, which is no fault of the rows."""
    said = Series("month", 12)
    data = DataSpec(str(AIR), validation=0.1, test=0.15, series=said, numbers="robust")
    text = write_spec(default_for(data)[0]).replace("epochs = 200", "epochs = 5")
    fit_spec(parse_spec(text), directory=tmp_path / "run", progress=False)
    found = nv.diagnose(tmp_path / "run", experiments=0)
    assert "labels-shuffled" not in [finding.code for finding in found]


# -- quantiles -------------------------------------------------------------------------


def test_quantiles_are_in_order_and_moved_by_errors_held_out() -> None:
    model = fitted(noisy(400), intervals="pinball", validation=0.2, test=0.3)
    score, record = model.score_, model.network_.preprocessing
    assert record is not None
    assert record.quantiles == (0.05, 0.5, 0.95)
    assert model.network_.graph.output_shapes == ((9,),)
    scores = model.network_.conformal
    assert scores is not None
    assert (scores.method, scores.scores.shape[1]) == ("cqr", 3)
    assert score is not None
    assert score.coverage == pytest.approx(0.9, abs=0.06)
    assert f"quantiles as learnt {100 * (score.learnt or 0):.1f} %" in str(score)
    assert score.mae.mean() < 0.7 * score.naive_mae.mean()
    found = model.predict(noisy(400))
    assert list(found) == ["t", "prediction", "low", "high"]
    assert (found["low"] < found["prediction"]).all()
    assert (found["prediction"] < found["high"]).all()
    narrow = model.predict(noisy(400), level=0.3)
    assert (narrow["low"] <= narrow["prediction"]).all()
    assert (narrow["prediction"] <= narrow["high"]).all()
    assert (narrow["high"] - narrow["low"]).sum() < (found["high"] - found["low"]).sum()


def test_quantiles_travel_in_the_file(tmp_path: Path) -> None:
    model = fitted(intervals="pinball")
    model.network_.save(tmp_path / "a.safetensors")
    again: Any = nv.load(tmp_path / "a.safetensors")
    wanted, found = model.predict(noisy()), nv.forecast(again, noisy())
    for name, column in wanted.items():
        np.testing.assert_array_equal(found[name], column)


def crossing(quantiles: tuple[float, ...]) -> tuple[nv.Network, Any]:
    """A network that always says 1, 3, 2 of each of two steps, and the rows."""
    said = Series("t", 2, season=1, window=2)
    data = DataSpec(target="y", validation=0.0, test=0.2, series=said)
    dataset = dataset_of(nv.data.read(noisy(), target="y", series=said), data)
    network = nv.Network([nv.Input(dataset.inputs.shape[1]), nv.Dense(6)], seed=0)
    network.parameters["dense.weight"][:] = 0
    network.parameters["dense.bias"][:] = [1, 3, 2] * 2
    record = dataset.preprocessing
    target: Any = record.target
    changed = {"quantiles": quantiles, "mean": (0.0,) * 2, "scale": (1.0,) * 2}
    target = dataclasses.replace(target, **changed)
    network.preprocessing = dataclasses.replace(record, target=target)
    return network, dataset


def test_quantiles_that_cross_are_put_in_order_and_told() -> None:
    network, dataset = crossing((0.1, 0.5, 0.9))
    found = forecasts_of(network, network.preprocessing, dataset.inputs)
    assert found.quantiles[0].tolist() == [[1, 2, 3]] * 2
    assert found.crossed == 1.0
    (score,) = scores_of(network, dataset)
    assert score.level == pytest.approx(0.8)
    assert "quantiles crossed in 100.0 % of the steps and were put in order" in str(
        score
    )
    network, dataset = crossing((0.1, 0.9, 0.5))  # as a loss may name them
    found = forecasts_of(network, network.preprocessing, dataset.inputs)
    assert (found.levels, found.crossed) == ((0.1, 0.5, 0.9), 0.0)


def test_quantiles_without_errors_held_out_have_one_level() -> None:
    model = fitted(intervals="pinball", validation=0, test=0)
    found = model.predict(noisy())
    assert list(found) == ["t", "prediction", "low", "high"]
    with pytest.raises(DataError) as caught:
        model.predict(noisy(), level=0.5)
    assert str(caught.value) == (
        "[forecast] level 0.5 of a network that gives the quantiles 0.05 and 0.95, and "
        "holds no errors of origins held out; expected 0.9; ask for 0.9 (level=, "
        "--interval), or train with data.validation or data.calibration"
    )
    wrong: Any = "quantile"
    with pytest.raises(ValueError, match="unknown kind 'quantile'; Known: conformal"):
        fitted(intervals=wrong)


def test_intervals_of_quantiles_on_the_command_line(
    nervure: Nervure, tmp_path: Path
) -> None:
    words = ("train", AIR, "--time", "month", "--horizon", "6", "--out", "run")
    out = nervure(*words, "--intervals", "pinball", "--refit", *SHORT)
    assert "--refit trains both networks for all epochs" in out
    assert (
        "intervals by the errors of 10 origins held out, around the quantiles 0.05 and "
        "0.95"
    ) in out
    assert "quantiles as learnt" in out.replace("\n  ", " ")
    spec = (tmp_path / "run/spec.toml").read_text()
    assert 'loss = {type = "pinball", quantile = [0.05, 0.5, 0.95]}' in spec
    own = nervure("evaluate", "run", AIR).replace("\n  ", " ")
    assert "air_passengers.csv held out, 17 origins" in own
    one: Any = nv.load(tmp_path / "run/model.safetensors")
    whole: Any = nv.load(tmp_path / "run/whole/model.safetensors")
    assert (one.conformal.method, whole.conformal.method) == ("cqr", "cqr")
    rows = rows_of(nervure("predict", "run/whole", AIR))
    ends = [(float(r["low"]), float(r["prediction"]), float(r["high"])) for r in rows]
    assert all(low < middle < high for low, middle, high in ends)


def test_errors_of_a_network_that_stopped_early_are_not_those_of_another(
    nervure: Nervure, tmp_path: Path
) -> None:
    words = ("train", AIR, "--time", "month", "--horizon", "6")
    nervure(*words, "--intervals", "pinball", "--out", "a", *SHORT)
    spec = ("--spec", "a/spec.toml", "--refit", "-q")
    out = nervure("train", *spec, "--out", "b").replace("\n  ", " ")
    assert "intervals are the quantiles 0.05 and 0.95 as learnt" in out
    whole: Any = nv.load(tmp_path / "b/whole/model.safetensors")
    assert whole.conformal is None
    assert "low" in rows_of(nervure("predict", "b/whole", AIR))[0]


# -- several targets -------------------------------------------------------------------


def both(count: int = 160) -> dict[str, Any]:
    """A noisy series, and another that follows it a step later, 50 times as large."""
    first = noisy(count)
    late = np.r_[first["y"][0], first["y"][:-1]]
    return {**first, "late": 50 * late}


def test_two_targets_are_forecast_together() -> None:
    model = nv.Forecaster(3, season=4, epochs=40, refit=False)
    model.fit(both(), ["y", "late"], time="t")
    record = model.network_.preprocessing
    assert record is not None
    assert record.target_names[2:4] == ("y ahead 3", "late ahead 1")
    assert Preprocessing.from_json(record.to_json()) == record
    found, truth = model.predict(both()), both(163)
    names = [f"{what}_{of}" for of in ("y", "late") for what in NAMES]
    assert list(found) == ["t", *names]
    assert found["t"].tolist() == [160, 161, 162]
    # The next of late is known: it is the last y.
    late = found["prediction_late"]
    assert late[0] == pytest.approx(50 * both()["y"][-1], rel=0.03)
    assert np.abs(found["prediction_y"] - truth["y"][-3:]).max() < 0.5
    assert (found["low_late"] < late).all()
    assert list(model.scores_) == ["y", "late"]
    for score in model.scores_.values():
        assert score.mae.mean() < 0.7 * score.naive_mae.mean()
    assert model.scores_["late"].mae.mean() > 10 * model.scores_["y"].mae.mean()
    assert model.score_ is model.scores_["y"]
    assert "target 'y', 'late', 3 steps ahead" in model.summary_


def test_targets_alone_have_the_windows_that_they_have_together() -> None:
    """Levels, scales and naive forecasts of each are its own."""
    said = Series("t", 3, season=4)
    together = nv.data.read(both(), target=["y", "late"], series=said).origins
    assert together is not None
    for i, name in enumerate(("y", "late")):
        table = {key: both()[key] for key in ("t", name)}
        alone = nv.data.read(table, target=name, series=said).origins
        assert alone is not None
        own = slice(3 * i, 3 * i + 3)
        np.testing.assert_array_equal(together.naive[:, own], alone.naive)
        np.testing.assert_array_equal(together.scale[:, [i]], alone.scale)


def test_targets_in_groups_that_begin_and_end_apart() -> None:
    t = np.tile(np.arange(60.0), 2)
    y, z = t + np.repeat([0, 500], 60), np.sin(t)
    y[:5], z[55:60], z[70] = np.nan, np.nan, np.nan
    columns = {"t": t, "y": y, "z": z, "g": ["a"] * 60 + ["b"] * 60}
    said = Series("t", 2, group="g", season=1, window=4)
    raw = nv.data.read(columns, target=["y", "z"], series=said)
    assert raw.origins is not None
    places = [raw.origins.places[raw.origins.series == i] for i in (0, 1)]
    assert (places[0].min(), places[0].max()) == (8, 52)
    gap = {8, 9, 10}  # the origins that would have it, or its step, as a target
    assert gap.isdisjoint(places[1].tolist())
    assert (
        "target 'z' of 'a' ends 5 steps before another one: forecasts begin after the "
        "last step that has all"
    ) in raw.notes
    assert any(
        note.startswith("target 'z': gaps: 1 of 115 steps") for note in raw.notes
    )
    model = nv.Forecaster(2, season=1, window=4, epochs=2, refit=False)
    model.fit(columns, ["y", "z"], time="t", group="g")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = model.predict(columns)
    assert found["t"].tolist() == [55, 56, 60, 61]
    assert any("'a' ends 5 steps before another" in str(one.message) for one in told)


def test_a_target_that_is_constant_is_told() -> None:
    columns = {**noisy(), "flat": np.full(120, 5.0)}
    model = nv.Forecaster(3, season=4, epochs=30, refit=False, intervals="pinball")
    model.fit(columns, ["y", "flat"], time="t")
    assert (
        "target 'flat' is 5 in every step: so will be its forecasts" in model.summary_
    )
    np.testing.assert_allclose(model.predict(columns)["prediction_flat"], 5, rtol=1e-2)
    assert "MASE" not in str(model.scores_["flat"])


BAD_TARGETS: list[tuple[list[str], str]] = [
    (["y", "y"], "column 'y' is target and target (2.) at once; expected different"),
    (["y", "t"], "column 't' is time and target (2.) at once; expected different"),
    (["y", "z"], "unknown target (2.) column 'z'"),
    (["y", "none"], "target 'none' holds nothing but missing values; expected numbers"),
    (["y", "words"], "target 'words' holds text ('a'); expected numbers to forecast"),
    (
        ["early", "y later"],
        "no series has steps with values of all targets ('early', 'y later'); forecast",
    ),
]


@pytest.mark.parametrize(("targets", "said"), BAD_TARGETS)
def test_targets_that_do_not_go_together(targets: list[str], said: str) -> None:
    columns = noisy()
    t, y = columns["t"], columns["y"]
    columns |= {
        "none": np.full(120, np.nan),
        "words": ["a"] * 120,
        "early": np.where(t < 60, y, np.nan),
        "y later": np.where(t < 60, np.nan, y),
    }
    with pytest.raises(DataError) as caught:
        nv.Forecaster(3).fit(columns, targets, time="t")
    assert said in str(caught.value)


def test_two_targets_on_the_command_line(nervure: Nervure, tmp_path: Path) -> None:
    columns = both()
    rows = zip(columns["t"], columns["y"], columns["late"], strict=True)
    lines = ["t;y;late", *(f"{t};{y:.3f};{1000 * late:,.1f}" for t, y, late in rows)]
    (tmp_path / "two.csv").write_text("\n".join(lines))
    words = ("--time", "t", "--horizon", "3", "--season", "4", "--target", "late")
    out = nervure("train", "two.csv", *words, "--target", "y", "--out", "run", *SHORT)
    assert "held-out, 'late', " in out
    assert "held-out, 'y', " in out
    assert 'target = ["late", "y"]' in (tmp_path / "run/spec.toml").read_text()
    found = rows_of(nervure("predict", "run", "two.csv"))
    assert list(found[0])[:3] == ["t", "prediction_late", "low_late"]
    late = 50_000 * columns["y"][-1]
    assert float(found[0]["prediction_late"]) == pytest.approx(late, rel=0.1)
    own = nervure("evaluate", "run", "two.csv")
    assert "two.csv held out, 'y', " in own
    told = nervure("inspect", "run")
    assert told.count("naive mae") == 2
    assert "late" in told


def test_damaged_records_of_several_targets() -> None:
    model = nv.Forecaster(3, season=4, epochs=1, refit=False)
    record: Any = model.fit(both(), ["y", "late"], time="t").network_.preprocessing
    tables = record.to_json()
    for others, forms, said in (
        ([], [], "6 targets for a horizon of 3"),
        (["late", "more"], [], "6 targets for a horizon of 3 of each of 3"),
        (["y"], [], "a target twice"),
        (["late"], [None, None], "forms of other targets than there are"),
    ):
        changed = {"others": others, "others_written": forms}
        broken = {**tables, "series": {**tables["series"], **changed}}
        with pytest.raises(DataError, match=said):
            Preprocessing.from_json(broken)


def test_windows_that_hold_what_others_forecast_are_no_shift() -> None:
    def found(series: Series | None) -> Any:
        spec = SimpleNamespace(data=DataSpec(series=series))
        deep = {"shifted": 0.54, "shift_by": -3}
        case: Any = SimpleNamespace(spec=spec, deep=deep, best=0.26)
        return labels_shifted.check(case)

    assert found(None).code == "labels-shifted"
    assert found(Series("t", 7)) is None
