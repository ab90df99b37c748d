# SPDX-License-Identifier: BSD-3-Clause
"""Searches: what they find, that they survive a kill, and what they refuse."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nervure as nv
from nervure.cli.app import run
from nervure.runs.training import fit_spec
from nervure.spec.reading import load_spec, parse_spec
from nervure.spec.tables import SpecError
from nervure.spec.written import write_spec
from nervure.tuning import Range, TuneError, TuneSpec
from nervure.tuning.search import default_space, with_values

optuna = pytest.importorskip("optuna")

SPEC = """
[data]
source = "iris"
validation = 0.2
[[layer]]
type = "dense"
units = 8
activation = "tanh"
[[layer]]
type = "dense"
units = 3
activation = "softmax"
[training]
loss = "cross_entropy"
epochs = 8
[tune]
trials = 6
[tune.space]
"training.optimizer.learning_rate" = {low = 1e-4, high = 1e-1, log = true}
"layer.0.units" = {choices = [4, 16]}
"""


@pytest.fixture
def spec() -> nv.Spec:
    return parse_spec(SPEC)


def outcomes(found: nv.Tuning) -> list[Any]:
    """What came of the trials that were not cut off, in order."""
    whole = [t for t in found.trials if t.state != "stopped"]
    return [(t.state, dict(t.values), t.value, t.epochs) for t in whole]


# -- the space ------------------------------------------------------------------------


def test_the_space_is_data(spec: nv.Spec) -> None:
    assert parse_spec(write_spec(spec)) == spec
    assert spec.tune.space["layer.0.units"] == Range(choices=(4, 16))
    rate = spec.tune.space["training.optimizer.learning_rate"]
    assert rate == Range(low=1e-4, high=1e-1, log=True)
    assert not rate.whole


class Asked:
    """Stands for an Optuna trial: gives the last choice and the upper end."""

    def suggest_categorical(self, key, choices):
        return choices[-1]

    def suggest_float(self, key, low, high, *, log, step):
        return ("float", low, high, log, step)

    def suggest_int(self, key, low, high, *, log, step):
        return ("int", low, high, log, step)


def test_ranges_ask_for_what_they_are() -> None:
    assert Range(low=1, high=9, step=2).ask(Asked(), "k") == ("int", 1, 9, False, 2)
    assert Range(low=1, high=9, log=True).ask(Asked(), "k") == ("int", 1, 9, True, 1)
    asked = Range(low=0, high=0.5).ask(Asked(), "k")
    assert asked == ("float", 0.0, 0.5, False, None)
    tables = ({"type": "sgd", "learning_rate": 0.1}, "adam")
    assert Range(choices=tables[::-1]).ask(Asked(), "k") == tables[0]
    words = '{"type": "sgd", "learning_rate": 0.1}'
    assert Range(choices=tables).of_word(words) == tables[0]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("{low = 1}", "neither choices nor two ends"),
        ("{low = 2, high = 1}", "high = 1; expected a finite number (> 2)"),
        ("{low = 0, high = 1, log = true}", "low = 0; expected a finite number (> 0)"),
        ("{low = 1, high = 9, step = 2, log = true}", "log with a step"),
        ("{choices = []}", "choices = []; expected at least one"),
        ("{choices = [1], low = 3}", "choices and other keys"),
        ("{lo = 1, high = 2}", "lo: unknown key; did you mean"),
        ("3", "found 3; expected a table"),
    ],
)
def test_ranges_that_are_none(table: str, told: str) -> None:
    text = SPEC.replace("{choices = [4, 16]}", table)
    with pytest.raises(SpecError, match=re.escape(told)) as raised:
        parse_spec(text, "a.toml")
    assert "[a.toml] tune.space.layer.0.units" in str(raised.value)


def test_keys_that_no_spec_has_are_told_before_anything_is_trained(
    spec: nv.Spec, tmp_path: Path
) -> None:
    for space, told in (
        ({"layer.7.units": {"choices": [3]}}, "layer.7: there is no such entry"),
        ({"training.epoch": {"low": 1, "high": 2}}, "training.epoch: unknown key"),
        ({"layer.0.units": {"choices": [3, "x"]}}, "layer[0].units"),
        ({"layer.0.units": {"choices": [3, -1]}}, "units = -1; use at least 1 unit"),
        ({"data.test": {"low": 0.0, "high": 0.5}}, "'data.test' cannot vary"),
    ):
        with pytest.raises(ValueError, match=re.escape(told)):
            nv.tune(spec, space=space, directory=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_the_default_space_is_around_the_spec() -> None:
    text = SPEC.replace(
        "epochs = 8",
        "batch_size = 16\noptimizer = {type = 'sgd', learning_rate = {type = 'cosine', start = 0.5}}",
    )
    found = default_space(parse_spec(text))
    assert found["layer.0.units"].choices == (4, 8, 16)
    rate = found["training.optimizer.learning_rate.start"]
    assert (rate.low, rate.high, rate.log) == (0.05, 5.0, True)
    assert found["training.batch_size"].choices == (8, 16, 32, 64)
    assert set(found) == {
        "layer.0.units",
        "training.optimizer.learning_rate.start",
        "training.batch_size",
    }


# -- searching ------------------------------------------------------------------------


def test_the_best_spec_trains_to_the_value_that_was_found(
    spec: nv.Spec, tmp_path: Path
) -> None:
    found = nv.tune(spec, directory=tmp_path / "a", progress=False)
    assert len(found.trials) == 6
    values = [t.value for t in found.trials if t.state == "complete"]
    assert found.best.value == min(values)
    assert found.stopped is None
    best = load_spec(tmp_path / "a" / "best.toml")
    assert best == found.spec == with_values(spec, found.best.values)
    again = fit_spec(best, progress=False)
    assert again.history["validation_loss"][again.best_epoch] == found.best.value
    report = json.loads((tmp_path / "a" / "report.json").read_text())
    assert report["best"] == found.best.number
    assert [t["value"] for t in report["trials"]] == [t.value for t in found.trials]
    text = (tmp_path / "a" / "report.md").read_text()
    assert f"Best: trial {found.best.number}, validation_loss" in text
    assert text.count("\n| ") == 1 + 6
    assert found.summary().startswith("6 trials: ")
    assert load_spec(tmp_path / "a" / "spec.toml") == spec


def test_the_same_seed_gives_the_same_trials(spec: nv.Spec) -> None:
    one, two = (nv.tune(spec, trials=4, progress=False) for _ in range(2))
    other = nv.tune(spec, trials=4, seed=1, progress=False)
    assert outcomes(one) == outcomes(two) != outcomes(other)


def test_larger_may_be_better(spec: nv.Spec) -> None:
    found = nv.tune(spec, trials=3, monitor="validation_accuracy", progress=False)
    values = [t.value for t in found.trials if t.state == "complete"]
    assert found.best.value == max(values)


def test_a_source_alone_and_arrays(tmp_path: Path) -> None:
    space = {
        "training.batch_size": {"choices": [16]},
        "training.epochs": {"choices": [3]},
    }
    found = nv.tune("iris", space=space, trials=1, progress=False)
    assert found.best.values == {"training.batch_size": 16, "training.epochs": 3}
    text = SPEC.replace('source = "iris"\n', "")
    found = nv.tune(parse_spec(text), nv.data.load("iris"), trials=1, progress=False)
    assert found.best is not None


def test_bad_trials_are_ended_early(spec: nv.Spec) -> None:
    """Rates of 1e-9 learn nothing: worse than the median from the sixth epoch on."""
    rates = Range(choices=(0.05, 0.04, 0.03, 1e-9))
    space = {"training.optimizer.learning_rate": rates}
    spec = with_values(dataclasses.replace(spec, tune=None), {"training.epochs": 20})
    found = nv.tune(spec, space=space, trials=16, sampler="random", progress=False)
    rate = "training.optimizer.learning_rate"
    late = [t for t in found.trials[8:] if t.values[rate] == 1e-9]
    assert late
    assert all(t.state == "pruned" and t.epochs < 20 for t in late)
    assert found.best.values["training.optimizer.learning_rate"] > 0.02
    every = nv.tune(spec, space=space, trials=8, pruner="none", progress=False)
    assert {t.state for t in every.trials} == {"complete"}


def test_trials_that_diverge_or_fail_are_told(spec: nv.Spec, capsys) -> None:
    space = {
        "training.optimizer": {
            "choices": [{"type": "sgd", "learning_rate": 1e30}, "adam"]
        }
    }
    found = nv.tune(spec, space=space, trials=6, sampler="random")
    states = {t.values["training.optimizer"] == "adam": t.state for t in found.trials}
    assert states == {True: "complete", False: "diverged"}
    assert "at learning rate 1e+30" in found.summary()
    told = capsys.readouterr().err
    assert len(re.findall(r"^trial \d: ", told, re.MULTILINE)) == 6
    assert found.best.values["training.optimizer"] == "adam"


def test_a_search_of_failures_gives_up(spec: nv.Spec) -> None:
    space = {"layer.1.units": {"choices": [4, 5]}}
    text = "class_weight = {setosa = 1.0, nobody = 2.0}\n[tune]"
    wrong = parse_spec(SPEC.replace("[tune]", text))
    with pytest.raises(TuneError, match=r"the first 5 trials failed; .*nobody"):
        nv.tune(wrong, space=space, progress=False)


def test_several_trials_at_once(spec: nv.Spec, tmp_path: Path) -> None:
    found = nv.tune(spec, jobs=3, directory=tmp_path / "a", progress=False)
    assert len(found.trials) == 6
    assert {t.state for t in found.trials} <= {"complete", "pruned"}


def test_a_limit_of_time_stops_what_is_under_way(spec: nv.Spec, tmp_path: Path) -> None:
    long = with_values(spec, {"training.epochs": 10_000_000})
    long = dataclasses.replace(long, tune=spec.tune)
    found = nv.tune(long, seconds=0.5, directory=tmp_path / "a", progress=False)
    assert found.stopped == "seconds = 0.5 reached"
    assert found.trials[-1].state == "stopped"
    assert found.best is None
    assert "no trial was completed" in found.summary()


# -- being killed ---------------------------------------------------------------------

KILLED = """
import os, signal, sys
from nervure.cli.app import run
from nervure.tuning.search import _Watch
reached = _Watch.on_epoch_end
def die_in_the_fourth_trial(self, run):
    reached(self, run)
    if self._trial.number == 3 and run.epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)
_Watch.on_epoch_end = die_in_the_fourth_trial
run(sys.argv[1:])
"""


def told_here(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert run(list(map(str, words))) == 0
    return capsys.readouterr().out


def test_a_killed_search_goes_on_as_if_it_had_not_been(
    spec: nv.Spec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text(SPEC)
    words = [
        "tune",
        "--spec",
        str(tmp_path / "a.toml"),
        "--out",
        str(tmp_path / "a"),
        "-q",
    ]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], timeout=300)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a" / "best.toml").exists()
    with open(tmp_path / "a" / "study.log", "ab") as file:  # in the middle of a line
        file.write(b'{"op_code": 8, "trial_id": 3, "intermediate_va')
    (tmp_path / "a" / "study.log.lock").symlink_to(tmp_path / "a" / "study.log")
    told = told_here(capsys, "tune", "--resume", "--out", tmp_path / "a")
    assert "7 trials: " in told
    assert "1 stopped" in told
    whole = nv.tune(spec, progress=False)
    again = nv.tune(directory=tmp_path / "a", resume=True, progress=False)
    assert outcomes(again) == outcomes(whole)
    assert again.spec == whole.spec
    assert [t.state for t in again.trials].count("stopped") == 1


class Killed(BaseException):
    """Stands for SIGKILL: from here on nothing is written any more."""


def killed_at(
    monkeypatch: pytest.MonkeyPatch, moment: int, after: bool
) -> list[list[dict[str, Any]]]:
    """Every line of a journal's that is written; the process dies at one of them."""
    journal = optuna.storages.journal.JournalFileBackend
    write, written = journal.append_logs, []

    def append(self: Any, logs: list[dict[str, Any]]) -> None:
        if len(written) >= moment + after:
            raise Killed
        written.append(logs)
        write(self, logs)
        if len(written) >= moment + after:
            raise Killed

    monkeypatch.setattr(journal, "append_logs", append)
    return written


def test_a_search_killed_at_any_line_ends_with_the_same_trials(
    spec: nv.Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a trial's end and the word of it a kill counted it twice; within its
    values it drew others.
    """
    training = dataclasses.replace(spec.training or nv.spec.TrainingSpec(), epochs=6)
    spec = dataclasses.replace(spec, training=training)
    given = {"trials": 13, "progress": False}
    with monkeypatch.context() as patch:
        written = killed_at(patch, 10**6, after=False)
        whole = nv.tune(spec, directory=tmp_path / "whole", **given)
    begins = [i for i, [line] in enumerate(written) if line.get("op_code") == 4]
    assert len(begins) == 13
    for moment in range(begins[-2], begins[-1] + 4):
        folder = tmp_path / f"killed-{moment}"
        with monkeypatch.context() as patch:
            killed_at(patch, moment, after=False)
            with pytest.raises(Killed):
                nv.tune(spec, directory=folder, **given)
        found = nv.tune(directory=folder, resume=True, **given)
        assert outcomes(found) == outcomes(whole), moment
        assert found.best is not None
        assert whole.best is not None
        assert found.best.values == whole.best.values


def test_ctrl_c_leaves_everything_usable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text(SPEC.replace("trials = 6", "trials = 100000"))
    words = ["-m", "nervure", "tune", "--spec", "a.toml", "--out", "a"]
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for _ in range(2):
            process.stderr.readline()
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert told.endswith("interrupted; go on with: nervure tune --resume --out a\n")
    count = len(json.loads((tmp_path / "a" / "report.json").read_text())["trials"])
    found = nv.tune(
        directory=tmp_path / "a", resume=True, trials=count + 2, progress=False
    )
    states = [t.state for t in found.trials]
    assert len(states) - states.count("stopped") == count + 2
    assert load_spec(tmp_path / "a" / "best.toml") == found.spec


# -- the command ----------------------------------------------------------------------


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    vary = ["--vary", "layer.2.units={choices=[4, 8]}"]
    few = ["--set", "training.epochs=3", "--trials", 2]
    told = told_here(capsys, "tune", "iris", *vary, *few)
    assert "2 trials: 2 complete" in told
    assert re.search(r"trial  validation_loss +units  epochs", told)
    assert "train the best with: nervure train --spec tunes/iris-1/best.toml" in told
    told = told_here(capsys, "tune", "iris", "--resume", "--trials", 3)
    assert "3 trials: 3 complete" in told
    told = told_here(capsys, "train", "--spec", "tunes/iris-1/best.toml", "-q")
    assert "for 3 epochs" in told
    assert Path("tunes/iris-1/report.md").exists()
    told = told_here(capsys, "inspect", "tunes/iris-1/spec.toml")
    assert 'space = {"layer.2.units" = {choices = [4, 8]}}' in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--vary", "layer.0.units=3"],
            "error: [--vary] found 'layer.0.units=3'; expected a key and its range",
        ),
        (["--resume"], "error: [--resume] found no run of iris in tunes/"),
        (
            ["--resume", "--out", "a", "--set", "tune.seed=3"],
            "error: [--resume] a search that has begun keeps its spec",
        ),
        (["--resume", "--out", "a"], "error: [a] holds no search"),
        (
            ["--set", "tune.trials=0"],
            "error: [--set] tune: trials = 0; expected a whole number (>= 1)",
        ),
        (
            ["--set", "tune.sampler=tpr"],
            "error: [--set] tune.sampler: unknown value 'tpr'; did you mean 'tpe'?",
        ),
        (
            [
                "--set",
                "tune.monitor=validation_los",
                "--trials",
                "1",
                "--set",
                "training.epochs=1",
            ],
            "error: [tune] unknown value to monitor 'validation_los'; did you mean 'validation_loss'",
        ),
        (
            ["--set", "data.validation=0"],
            "error: [tune] no validation rows; expected some",
        ),
        ([], "error: [neither]"),
    ],
)
def test_what_is_refused(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    source = ["iris"] if words else []
    if not words:
        told = "error: [train] neither a source nor --spec"
    assert run(["tune", *source, *words]) == 2
    assert capsys.readouterr().err.startswith(told)


def test_folders_in_use_are_left_alone(spec: nv.Spec, tmp_path: Path) -> None:
    nv.tune(spec, trials=1, directory=tmp_path / "a", progress=False)
    before = (tmp_path / "a" / "study.log").read_bytes()
    with pytest.raises(
        TuneError, match="holds a search already; expected a new folder"
    ):
        nv.tune(spec, trials=1, directory=tmp_path / "a", progress=False)
    space = {"layer.0.units": Range(low=1, high=3)}
    with pytest.raises(TuneError, match="was begun with another space"):
        nv.tune(directory=tmp_path / "a", resume=True, space=space)
    (tmp_path / "file").write_text("")
    with pytest.raises(TuneError, match="cannot be made: "):
        nv.tune(spec, directory=tmp_path / "file" / "a")
    assert (tmp_path / "a" / "study.log").read_bytes() == before


def test_unknown_options_are_told(spec: nv.Spec) -> None:
    with pytest.raises(
        TypeError, match="unknown option 'trails'; did you mean 'trials'"
    ):
        nv.tune(spec, trails=3)
    with pytest.raises(TuneError, match="nothing to vary; expected a spec"):
        nv.tune()
    assert TuneSpec().trials == 50


def test_without_optuna_the_extra_is_named(
    spec: nv.Spec, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.chdir(tmp_path)
    assert run(["tune", "iris"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: [tune] needs Optuna, which is not installed; ")
    assert 'pip install "nervure[tune]"' in told
    assert os.listdir(tmp_path) == []
