# SPDX-License-Identifier: BSD-3-Clause
"""What training shows while it goes on, and what its results look like."""

from __future__ import annotations

import io
import re
import sys
import types
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import nervure as nv
from nervure.training import progress as shown
from nervure.training.progress import Calm, Live, make_progress
from nervure.training.table import Columns, Rows

X = np.linspace(-1, 1, 8).reshape(-1, 1)
Y = 2 * X[:, 0] + 1


def fit(**given: Any) -> nv.Run:
    net = nv.Network([nv.Input(1), nv.Dense(1)], seed=0)
    settings = {"optimizer": nv.SGD(0.1), "progress": False, **given}
    return nv.fit(net, X, Y, **settings)


class Screen(io.StringIO):
    """A terminal of 80 columns; ``lines`` are what one sees on it."""

    letters = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def encoding(self) -> str:
        return self.letters

    @property
    def lines(self) -> list[str]:
        found = [line.split("\x1b[2K")[-1] for line in self.getvalue().split("\n")]
        return found[:-1] if found[-1] == "" else found


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "_columns", lambda: 80)


class Time:
    """A clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(shown.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


# -- a terminal --------------------------------------------------------------------


@pytest.mark.usefixtures("narrow")
def test_epochs_stay_as_lines_under_the_names_of_their_values() -> None:
    screen = Screen()
    run = fit(epochs=3, validation=0.25, progress=screen)
    head, names, *rows = screen.lines
    assert head == "       training            held out"
    assert names == "epoch      loss        r2      loss        r2        time"
    assert [row.split()[0] for row in rows] == ["1/3", "2/3", "3/3"]
    values = [run.history[name] for name in ("loss", "r2")]
    values += [run.history[f"validation_{name}"] for name in ("loss", "r2")]
    for row, expected in zip(rows, zip(*values, strict=True), strict=True):
        found = [float(word) for word in row.split()[1:5]]
        assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.usefixtures("narrow")
def test_without_rows_held_out_there_is_one_line_of_names() -> None:
    screen = Screen()
    fit(epochs=2, metrics=[], progress=screen)
    assert screen.lines[0] == "epoch      loss        time"
    assert len(screen.lines) == 3


@pytest.mark.usefixtures("narrow")
def test_of_many_epochs_some_stay_and_the_last() -> None:
    screen = Screen()
    fit(epochs=103, progress=screen)
    epochs = [int(line.split("/")[0]) for line in screen.lines[1:]]
    assert epochs[0] == 1
    assert epochs[-1] == 103
    assert epochs[1:-1] == list(range(6, 103, 6))


@pytest.mark.usefixtures("narrow")
def test_slow_epochs_all_stay(clock: Time) -> None:
    screen = Screen()
    live = Live(screen)
    for epoch in range(50):
        clock.now += 2.5
        live.epoch(epoch, 100, {"loss": 0.5})
    assert len(screen.lines) == 51


@pytest.mark.usefixtures("narrow")
def test_within_an_epoch_a_bar_grows_and_everything_has_its_name(clock: Time) -> None:
    screen = Screen()
    live = Live(screen)
    for share in (0.25, 0.5, 0.75):
        clock.now += 10
        live.step(2, 12, share, 0.21344)
    assert screen.lines[-1] == (
        "epoch  3/12  ━━━━━━━━━━━━━━━━━━╌╌╌╌╌╌  75 %  loss 0.2134  9 min 15 s left"
    )
    live.step(2, 12, 1.0, 0.2)  # at once after the one before: nothing is drawn
    assert "100 %" not in screen.getvalue()
    live.epoch(2, 12, {"loss": 0.2})
    live.close()
    assert screen.lines == [
        "epoch      loss        time",
        " 3/12    0.2000        30 s",
    ]


@pytest.mark.usefixtures("narrow")
def test_a_terminal_without_the_letters_gets_others(clock: Time) -> None:
    screen = Screen()
    screen.letters = "ascii"
    live = Live(screen)
    clock.now += 1
    live.step(0, 2, 0.5, 0.1)
    assert "############------------  50 %" in screen.getvalue()
    screen.getvalue().encode("ascii")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_as_many_measures_are_shown_as_fit(count: int) -> None:
    measures = ["loss", *(f"balanced_accuracy_{i}" for i in range(count))]
    names = [*measures, *(f"validation_{name}" for name in measures)]
    columns = Columns.of(names, 1000, 79)
    lines = [*columns.head(), columns.line(row(1.23456e-9, names))]
    assert max(map(len, lines)) <= 79
    assert columns.names[0] == "loss"
    assert {n.removeprefix("validation_") for n in columns.names} < {*measures, "loss"}
    own = [name for name in columns.names if not name.startswith("validation_")]
    assert columns.names == (*own, *(f"validation_{name}" for name in own))


def row(value: float, names: list[str]) -> Any:
    rows = Rows()
    rows.add(998, 1000, dict.fromkeys(names, value), 4000)
    rows.last()
    return rows.kept[-1]


# -- a log -------------------------------------------------------------------------


def test_progress_in_a_log_is_a_few_lines() -> None:
    log = io.StringIO()
    fit(epochs=500, progress=log)
    lines = log.getvalue().splitlines()
    assert lines[0].startswith("epoch 1/500  loss ")
    assert lines[-1].startswith("epoch 500/500  loss ")
    assert len(lines) < 100
    assert "\x1b" not in log.getvalue()


def test_a_long_epoch_is_told_of_while_it_lasts(clock: Time) -> None:
    log = io.StringIO()
    calm = Calm(log)
    for share in (0.1, 0.2, 0.3, 0.4):
        clock.now += 6
        calm.step(0, 5, share, 0.5)
    clock.now += 6
    calm.epoch(0, 5, {"loss": 0.4, "validation_loss": 0.3})
    assert log.getvalue().splitlines() == [
        "epoch 1/5  20 %  loss 0.5000",
        "epoch 1/5  40 %  loss 0.5000",
        "epoch 1/5  loss 0.4000  validation_loss 0.3000",
    ]


# -- a notebook --------------------------------------------------------------------


class Notebook:
    """Stands for IPython in a kernel; ``shown`` are the states of each output."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
        self.shown: list[list[str]] = []
        ipython = types.ModuleType("IPython")
        ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
        display = types.ModuleType("IPython.display")
        display.HTML = str  # type: ignore[attr-defined]
        display.display = self.display  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def display(self, text: str, display_id: bool) -> Any:
        assert display_id
        states = [text]
        self.shown.append(states)
        return types.SimpleNamespace(update=states.append)


def test_a_notebook_has_one_output_that_changes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    notebook = Notebook(monkeypatch, types.SimpleNamespace(kernel=1))
    monkeypatch.setattr("nervure.training.notebook.LIVE_SECONDS", 0)
    fit(epochs=3, validation=0.25, progress=True)
    assert capfd.readouterr() == ("", "")
    (states,) = notebook.shown
    assert any(re.search(r'<progress value="0.3333" max="1"', one) for one in states)
    assert any("epoch 2/3, 100 %, loss " in one for one in states)
    assert "<progress" not in states[-1]
    rows = re.findall(r"<td[^>]*>(\d/3)</td>", states[-1])
    assert rows == ["1/3", "2/3", "3/3"]
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", states[-1])
    expected = ["epoch", "loss", "r2", "held out: loss", "held out: r2", "time"]
    assert heads == expected


def test_names_cannot_write_html(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch, types.SimpleNamespace(kernel=1))
    fit(epochs=1, progress=True, metrics=[nv.metrics.Metric("<b>", lambda t, o, w: 1)])
    assert "&lt;b&gt;" in notebook.shown[0][-1]
    assert "<b>" not in notebook.shown[0][-1]


def test_a_notebook_shows_what_seems_to_be_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notebook = Notebook(monkeypatch, types.SimpleNamespace(kernel=1))
    display = make_progress(True)
    display.epoch(0, 2, {"loss": 1.0})
    assert display.note("dead-units: <all>")
    display.epoch(1, 2, {"loss": 1.0})
    display.close()
    assert notebook.shown[0][-1].count("dead-units: &lt;all&gt;") == 1


def test_ipython_on_a_terminal_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch, types.SimpleNamespace())
    monkeypatch.setattr(sys, "stderr", Screen())
    assert isinstance(make_progress(True), Live)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(make_progress(True), Calm)
    assert isinstance(make_progress(True, Screen()), Live)
    assert notebook.shown == []


# -- what is shown of results ------------------------------------------------------


def test_short_words_for_what_training_gives_back() -> None:
    run = fit(epochs=3, validation=0.25)
    assert re.fullmatch(
        r"<Run of 3 epochs, 3 steps, [\d.]+ s, best: validation_loss [\d.e-]+ after "
        r"3 epochs>",
        repr(run),
    )
    assert repr(run.history).startswith("<History of 3 epochs: loss ")
    assert repr(nv.History()) == "<History of 0 epochs>"
    assert len(repr(nv.data.load("digits", held_out=0.2))) < 120
    assert repr(nv.data.load("iris")) == (
        "<Dataset iris: 150 rows, 4 columns -> 4 inputs; classification>"
    )


def test_networks_of_many_layers_are_short_too() -> None:
    assert repr(nv.zoo.resnet20()) == (
        "<Network input(32, 32, 3) -> ... -> head.softmax(10,), 76 layers, 271,098 "
        "parameters>"
    )


def test_notebooks_show_tables() -> None:
    run = fit(epochs=30, validation=0.25, directory=None)
    net = run.network
    for thing, text in (
        (run, "best: validation_loss"),
        (run.history, "validation_loss"),
        (net, "2 parameters (8 B), 3 FLOPs per sample"),
        (nv.Ensemble.of(net, 3), "3 members"),
        (nv.data.load("iris"), "iris: 150 rows, 4 columns"),
    ):
        assert text in thing._repr_html_()
    assert run.history._repr_html_().count("<tr>") == 21
    long = nv.Network([nv.Input(1), *(nv.Activation("tanh") for _ in range(99))])
    assert long._repr_html_().count("<tr>") == 62
    assert "... 40 more" in long._repr_html_()


def test_a_history_is_a_frame_of_its_series() -> None:
    run = fit(epochs=4, validation=0.25)
    for frame in (pd.DataFrame(run.history), pl.DataFrame(run.history)):
        assert list(frame.columns) == list(run.history)
        assert len(frame) == 4
        assert frame["loss"].to_list() == run.history["loss"]


def test_the_learning_rate_is_kept_beside_the_losses() -> None:
    run = fit(epochs=4, optimizer=nv.SGD(nv.schedules.Cosine(0.1)))
    rates = run.history["learning_rate"]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1] >= 0
    assert fit(epochs=2).history["learning_rate"] == [0.1, 0.1]
    newton = nv.fit(
        nv.Network([nv.Input(1), nv.Dense(1)]), X, Y, optimizer="lbfgs", progress=False
    )
    assert "learning_rate" not in newton.history


def test_a_run_is_drawn() -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    import matplotlib

    matplotlib.use("svg")
    run = fit(epochs=5, validation=0.25)
    panels = run.plot()
    assert [panel.get_ylabel() for panel in panels] == ["loss", "r2", "learning rate"]
    loss = panels[0]
    legend = [text.get_text() for text in loss.get_legend().get_texts()]
    assert legend == ["training", "held out", f"best, after {run.best_epoch + 1}"]
    drawn = loss.get_lines()[1]
    assert drawn.get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert list(drawn.get_ydata()) == run.history["validation_loss"]
    assert all(panel.get_legend() for panel in panels)
    with pytest.raises(
        ValueError, match=r"\[run.plot\] 1 axes for 3 measures \(loss, "
    ):
        run.plot([loss])
    matplotlib.pyplot.close("all")
