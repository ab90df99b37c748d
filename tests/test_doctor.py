# SPDX-License-Identifier: BSD-3-Clause
"""The doctor: asked from the command line, by `nv.diagnose`, while training, and of
what no diagnosis can be made of."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.cli.app import run as command
from nervure.diagnosis.fixing import fix
from nervure.diagnosis.page import page
from nervure.diagnosis.subject import DiagnosisError
from nervure.findings.rules import pages
from nervure.record import FORMAT
from nervure.spec.reading import load_spec

ROOT = Path(__file__).resolve().parents[1]

SPEC = """\
[data]
source = "rows.csv"
target = "kind"
validation = 0.25

[[layer]]
type = "dense"
units = 32
activation = "relu"

[[layer]]
type = "dense"
units = 2
activation = "softmax"

[training]
epochs = 30
batch_size = 16
seed = 1
optimizer = {type = "adam", learning_rate = 1e-6}
"""


def table() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two classes that no line tells apart."""
    X = np.random.default_rng(0).normal(size=(240, 3)).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def write(folder: Path, spec: str = SPEC) -> Path:
    """The rows and a spec of their training."""
    lines = [
        f"{a:.4f},{b:.4f},{c:.4f},{k}" for (a, b, c), k in zip(*table(), strict=True)
    ]
    (folder / "rows.csv").write_text("\n".join(["a,b,c,kind", *lines]))
    (folder / "net.toml").write_text(spec)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of a training whose learning rate is too low."""
    folder = write(tmp_path_factory.mktemp("slow"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert command(["train", "--quiet", "--spec", "net.toml", "--out", "run"]) == 0
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and the folder we are in."""
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = command(["doctor", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# -- from the command line ------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_run_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "run")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("1. warning: learning-rate-too-low: at 1e-06 weights")
    assert pages()["learning-rate-too-low"].cause in out
    assert "   more: nervure doctor learning-rate-too-low" in lines
    assert re.search(r"training.optimizer.learning_rate: 1e-06 -> 0\.\d+", out)


@pytest.mark.usefixtures("here")
def test_a_code_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "dead-units")
    assert code == 0
    assert out == pages()["dead-units"].markdown()
    assert "## What helps" in out
    code, _, err = told(capsys, "dead-unit")
    assert code == 2
    assert "[dead-unit] cannot be read" in err


@pytest.mark.usefixtures("here")
def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "run", "--json", "--html", "page.html")
    found = json.loads(out, parse_constant=lambda word: pytest.fail(word))
    assert code == 1
    assert found["missing"] == []
    first = found["findings"][0]
    assert first["code"] == "learning-rate-too-low"
    assert first["severity"] == "warning"
    assert first["evidence"]["rate"] == 1e-6
    assert first["patch"][0]["key"] == "training.optimizer.learning_rate"


def test_a_page_that_needs_nothing_else(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = told(capsys, "run", "--html", "page.html")
    assert "written: page.html" in out
    text = (here / "page.html").read_text()
    links = re.findall(r'(?:src|href|url)[=(]"?([^")> ]+)', text)
    assert links == []
    assert "<h4>Why it happens</h4><p>" in text
    assert "<ul><li>" in text
    assert text.count("<figure>") >= 4
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "nan" not in text


def test_a_patched_spec_stands_beside_the_old_one(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (here / "run" / "spec.toml").read_text()
    code, out, _ = told(capsys, "run", "--apply", "--experiments", "0")
    assert code == 1
    assert "written: run/spec-patched.toml" in out
    assert (here / "run" / "spec.toml").read_text() == before
    spec = load_spec(here / "run" / "spec-patched.toml")
    assert spec.training is not None
    assert spec.training.optimizer.learning_rate == 0.002  # pyright: ignore


def test_fix_trains_again_and_compares(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = told(capsys, "run", "--fix")
    assert code == 1
    row = re.search(r"skill on rows held out +(\S+) +(\S+)", out)
    assert row is not None
    assert float(row[1]) < 0.1
    assert float(row[2]) > 0.7
    assert "saved in run-fixed-1 (round 1)" in out
    assert nv.load(here / "run-fixed-1" / "model.safetensors") is not None
    again, out, _ = told(capsys, "run-fixed-1")
    assert (again, out) == (0, "nothing seems to be wrong\n")


def test_a_spec_that_nobody_has_trained(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "net.toml")[:2] == (0, "nothing seems to be wrong\n")
    twice = SPEC.replace("[training]", '[[layer]]\ntype = "softmax"\n\n[training]')
    (here / "net.toml").write_text(twice)
    code, out, _ = told(capsys, "net.toml")
    assert code == 1
    assert "1. warning: double-softmax: the softmax of softmax reads" in out
    assert "layer.2: remove type = softmax" in out


def test_other_data_than_those_of_the_spec(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (here / "rows.csv").read_text().splitlines()
    leaky = [f"{line},{line.split(',')[3]}.5" for line in lines[1:]]
    (here / "leaky.csv").write_text("\n".join([f"{lines[0]},told", *leaky]))
    code, out, _ = told(capsys, "net.toml", "leaky.csv")
    assert code == 1
    assert "leaky-target" in out.splitlines()[0]


# -- while training -------------------------------------------------------------------


def wild(**given: Any) -> nv.Run:
    """Two classes, and steps that leap over everything."""
    X, y = table()
    net = nv.Network(
        [nv.Input(3), nv.Dense(16, "relu"), nv.Dense(2, "softmax")], seed=0
    )
    given = {"epochs": 8, "optimizer": nv.Adam(3.0), "batch_size": 16, **given}
    return nv.fit(net, X, y, **given)


def test_a_finding_is_one_line_of_the_display_once() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for screen in (Terminal(), io.StringIO()):
        wild(progress=screen)
        lines = re.split(r"[\r\n]+", screen.getvalue())
        said = [line for line in lines if "learning-rate-too-high: " in line]
        assert len(said) == 1
        assert "weights change by" in said[0]


def test_a_finding_is_a_warning_where_nothing_is_shown() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run = wild(progress=False, telemetry=True)
    assert {one.category for one in seen} == {nv.FindingWarning}
    codes = [str(one.message).partition(":")[0] for one in seen]
    assert len(codes) == len(set(codes))
    assert run.findings[0].code == "learning-rate-too-high"
    assert run.findings[0].line in run._repr_html_()
    assert "learning-rate-too-high" in codes
    assert [e["code"] for e in run.record.of("finding")] == codes
    assert repr(run.findings[0]).startswith("<warning learning-rate-too-high: ")


def test_warnings_of_findings_can_be_silenced() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", nv.FindingWarning)
        assert wild(progress=False, telemetry=True).findings


def test_a_resumed_run_does_not_say_it_again(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nv.FindingWarning)
        wild(progress=False, directory=tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nv.FindingWarning)  # of other codes
        run = nv.resume(tmp_path / "run", *table(), epochs=16, progress=False)
    codes = [event["code"] for event in run.record.of("finding")]
    assert codes.count("learning-rate-too-high") == 1


# -- in Python ------------------------------------------------------------------------


def test_a_run_a_path_and_a_network_with_rows(trained: Path, here: Path) -> None:
    by_path = nv.diagnose("run")
    assert [f.code for f in nv.diagnose(here / "run" / "record.jsonl")] == [
        f.code for f in by_path
    ]
    assert by_path.findings[0].code == "learning-rate-too-low"
    assert len(by_path) == 1
    X, y = table()
    net = nv.Network([nv.Input(3), nv.Dense(8, "relu"), nv.Dense(2, "softmax")])
    assert [f.code for f in nv.diagnose((net, X * 1000, y), experiments=0)] == [
        f.code for f in nv.diagnose(net, X * 1000, y, experiments=0)
    ]
    twice = nv.Network([nv.Input(3), nv.Dense(2, "softmax"), nv.Softmax()])
    assert nv.diagnose((twice, X, y)).findings[0].code == "double-softmax"


def test_sparse_rows_are_looked_at_as_others() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    X = (rng.random((300, 50)) * (rng.random((300, 50)) < 0.1)).astype(np.float32)
    y = (X[:, :5].sum(axis=1) > 0.25).astype(np.int64)
    told = []
    for rows in (X, sparse.csr_matrix(X)):
        body = [nv.Input(50), nv.Dense(16, "relu"), nv.Dense(2, "softmax")]
        net = nv.Network(body, seed=0)
        given = {"epochs": 8, "progress": False, "telemetry": True, "validation": 0.2}
        run = nv.fit(net, rows, y, optimizer=nv.Adam(0.02), **given)
        found = nv.diagnose(run, experiments=3)
        assert found.findings == ()
        told.append((run.record.latest("data"), run.record.steps.tolist()))
    assert repr(told[0]) == repr(told[1])


def test_a_fix_needs_rows_and_something_to_change() -> None:
    X, y = table()
    net = nv.Network([nv.Input(3), nv.Dense(16, "tanh"), nv.Dense(2, "softmax")])
    run = nv.fit(net, X, y, optimizer=nv.Adam(0.02), epochs=30, progress=False)
    with pytest.raises(DiagnosisError, match=r"\[fix\] no finding proposes a change"):
        nv.diagnose(run).fix()
    spec = load_spec_of("""
        [[layer]]
        type = "input"
        shape = [3]
        [[layer]]
        type = "dense"
        units = 1
    """)
    with pytest.raises(DiagnosisError, match=r"\[fix\] there are no rows to train on"):
        fix(nv.diagnose(spec).subject)


def load_spec_of(text: str) -> Any:
    import tomllib

    from nervure.spec.reading import parse_spec

    return parse_spec(tomllib.loads(text))


def estimators() -> list[Any]:
    """Estimators of every kind, each with a fault that it has to have found."""
    from nervure import sklearn as ours

    wild, still = "learning-rate-too-high", "learning-rate-too-low"
    layers, rate = [nv.Dense(16, "relu")], nv.Adam(3.0)
    net = {"optimizer": rate, "epochs": 8}
    slow = {"solver": "sgd", "learning_rate_init": 1e-7, "max_iter": 8}
    scaled = "unscaled-inputs"
    return [
        (ours.NeuralNetClassifier, {"layers": layers, **net}, 1.0, wild),
        (ours.NeuralNetRegressor, {"layers": layers, **net}, 1.0, wild),
        (ours.AutoencoderTransformer, {**net, "optimizer": nv.Adam(1e-7)}, 1.0, still),
        (ours.MLPClassifier, slow, 1.0, still),
        (ours.MLPClassifier, {**slow, "early_stopping": True}, 1.0, still),
        (ours.MLPRegressor, slow, 1.0, still),
        (ours.MLPClassifier, {"solver": "lbfgs", "max_iter": 8}, 1e6, scaled),
        (ours.TabularClassifier, {"epochs": 2, "class_weight": {0: 1e6}}, 1.0, None),
        (ours.TabularRegressor, {"epochs": 2}, 1.0, None),
    ]


@pytest.mark.parametrize("number", range(9))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::nervure.findings.finding.FindingWarning")
def test_estimators_have_their_findings(number: int) -> None:
    pytest.importorskip("sklearn")
    kind, given, scale, code = estimators()[number]
    X, y = table()
    X = np.asarray(X) * scale
    model, quiet = (
        kind(**given, telemetry=seen, random_state=0).fit(X, y) for seen in (True, None)
    )
    assert quiet.findings_ == []
    codes = [found.code for found in model.findings_]
    assert code in codes if code else "unscaled-inputs" not in codes
    weights = [getattr(one, "network_", None) for one in (model, quiet)]
    if weights[0] is None:
        weights = [one._perceptron.net for one in (model, quiet)]
    assert (weights[0].values == weights[1].values).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_findings_of_an_mlp_stand_beside_its_iterations(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("sklearn")
    from nervure.sklearn import MLPClassifier

    X, y = table()
    rate = {"solver": "sgd", "learning_rate_init": 3e3, "max_iter": 8}
    with warnings.catch_warnings():
        warnings.simplefilter("error", nv.FindingWarning)
        model = MLPClassifier((8,), verbose=True, random_state=0, **rate)
        with pytest.raises(ValueError, match="non-finite"):
            model.fit(X, y)
    shown = capsys.readouterr().out.splitlines()
    told = [line for line in shown if line.startswith("learning-rate-too-high: ")]
    assert len(told) == 1, shown
    assert model.findings_[0].code == "learning-rate-too-high"


# -- bad input ------------------------------------------------------------------------


def edited(folder: Path, change: Any) -> None:
    path = folder / "run" / "record.jsonl"
    path.write_text(change(path.read_text()))


def test_a_record_that_was_cut_off(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited(here, lambda text: text[: len(text) // 2])
    code, out, err = told(capsys, "run")
    assert (code, err) == (1, "")
    assert "learning-rate-too-low" in out


def test_a_record_of_another_version(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = f'"format": {FORMAT + 1}'
    edited(here, lambda text: text.replace(f'"format": {FORMAT}', later, 1))
    code, out, err = told(capsys, "run")
    assert code in (0, 1)
    assert err == ""
    text = f"is of format {FORMAT + 1}; expected at most {FORMAT}; read it with the"
    assert f"not looked at: [run/record.jsonl] {text}" in out


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ('"delta": [', '"delta": ["x", ', "step: delta"),
        ('"rate": ', '"rate": [], "r": ', "step: rate"),
        ('"step": 3', '"step": "a3"', "step: step"),
        ('"shapes": [', '"shapes": [7, ', "layout: shapes"),
        ('"layers": [', '"layers": [{}, ', "layout: layers"),
        ('"counts": [', '"counts": ["b", ', "data: counts"),
        ('"epoch": 3, "loss": ', '"epoch": 3, "loss": [], "l": ', "epoch: loss"),
        ('"training": {', '"training": [], "t": {', "checkup: training"),
    ],
)
def test_a_record_with_things_out_of_place(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    before: str,
    after: str,
    text: str,
) -> None:
    assert before in (here / "run" / "record.jsonl").read_text()
    edited(here, lambda whole: whole.replace(before, after))
    code, out, err = told(capsys, "run")
    assert code in (0, 1)
    assert err == ""
    assert re.search(rf"not looked at: \[run/record.jsonl\] line \d+ of {text} is", out)


def test_a_run_without_telemetry(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--quiet", "--spec", "net.toml", "--out", "blind"]
    assert command([*words, "--set", "training.telemetry=false"]) == 0
    code, out, _ = told(capsys, "blind")
    assert code == 1
    assert "not looked at: the record has no sampled steps (telemetry=False" in out


def test_an_ensemble_is_asked_for_by_its_members(tmp_path: Path) -> None:
    X, y = table()
    body = [nv.Input(3), nv.Dense(8, "relu"), nv.Dense(2, "softmax")]
    both = nv.Ensemble([nv.Network(body, seed=i) for i in range(2)])
    given = {"epochs": 4, "progress": False, "directory": tmp_path / "run"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nv.FindingWarning)
        run = both.fit(X, y, optimizer=nv.Adam(30.0), batch_size=16, **given)
    codes = [finding.code for finding in run.findings]
    assert "learning-rate-too-high" in codes
    assert len(codes) == len(set(codes))
    with pytest.raises(DiagnosisError, match=r"pass one of run\.runs"):
        nv.diagnose(run)
    with pytest.raises(
        DiagnosisError, match=r"ask for one of its members: .*members/0"
    ):
        nv.diagnose(tmp_path / "run")
    assert nv.diagnose(tmp_path / "run" / "members" / "0").findings


@pytest.mark.usefixtures("here")
def test_a_foreign_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    code, _, err = told(capsys, "photos")
    assert code == 2
    assert err == (
        "error: [photos] holds no run: neither spec.toml nor record.jsonl; expected a "
        "folder that nv.fit(directory=...) or nervure train made; check the path\n"
    )
    code, _, err = told(capsys, "nowhere")
    assert code == 2
    assert "error: [nowhere] cannot be read: no such file" in err


def test_a_spec_whose_data_are_gone(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Static findings still come."""
    (here / "rows.csv").unlink()
    twice = SPEC.replace("[training]", '[[layer]]\ntype = "softmax"\n\n[training]')
    layers = '[[layer]]\ntype = "input"\nshape = [3]\n\n'
    (here / "net.toml").write_text(twice.replace("[[layer]]", f"{layers}[[layer]]", 1))
    code, out, err = told(capsys, "net.toml")
    assert (code, err) == (1, "")
    assert "double-softmax" in out
    assert "not looked at: the data cannot be read: [rows.csv]" in out
    code, out, err = told(capsys, "run")
    assert (code, err) == (1, "")
    assert "learning-rate-too-low" in out


def test_a_net_of_a_thousand_layers() -> None:
    X, y = table()
    layers = [nv.Dense(4, "logistic") for _ in range(1000)]
    net = nv.Network([nv.Input(3), *layers, nv.Dense(2, "softmax")], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nv.FindingWarning)
        run = nv.fit(net, X, y, epochs=3, progress=False, telemetry=True)
    found = nv.diagnose(run)
    assert found.findings[0].code == "vanishing-gradient"
    assert len(page("deep", found.findings, found.case, ())) < 2_000_000


def test_one_class() -> None:
    net = nv.Network([nv.Input(3), nv.Dense(2, "softmax")], seed=0)
    with pytest.raises(
        ValueError, match=r"all 240 rows have the target 0 .* two classes"
    ):
        nv.diagnose((net, table()[0], np.zeros(240, np.int64)))


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_few_rows(rows: int) -> None:
    X = table()[0][:rows]
    y = np.arange(rows) % 2
    net = nv.Network([nv.Input(3), nv.Dense(4, "relu"), nv.Dense(2, "softmax")], seed=0)
    run = nv.fit(net, X, y, epochs=4, progress=False, telemetry=True)
    found = nv.diagnose(run, experiments=2)
    assert page("few", found.findings, found.case, ())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((42,), r"\[diagnose\] 42; expected a run, the folder of one, a spec, or a"),
        (
            (nv.Network([nv.Input(2), nv.Dense(1)]),),
            r"\[diagnose\] a network without rows; expected what it is to learn from; "
            r"call nv.diagnose\(\(net, X, y\)\)",
        ),
        (("run", None, None), "cannot be read"),
    ],
)
def test_what_no_diagnosis_can_be_made_of(
    given: Any, text: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=text):
        nv.diagnose(*given)


def test_experiments_take_seconds(blobs: Any) -> None:
    net = nv.Network([nv.Input(2), nv.Dense(3, "softmax")])
    with pytest.raises(ValueError, match=r"\[diagnose\] experiments"):
        nv.diagnose((net, *blobs), experiments=-1)


def test_targets_are_worth_more_than_shuffled_ones(blobs: Any) -> None:
    X, y = blobs
    net = nv.Network([nv.Input(2), nv.Dense(8, "relu"), nv.Dense(3, "softmax")], seed=0)
    before = net.values.copy()
    found = nv.diagnose((net, X, y), experiments=20)
    assert (net.values == before).all()
    assert found.tried["shuffled"] > 0.5
    said = f"targets as they are give {found.tried['shuffled']:.2f} more skill"
    assert f"tried: {said} than shuffled ones" in found.report()
    assert found.document()["experiments"] == found.tried
    shuffled = np.random.default_rng(0).permutation(y)
    lost = nv.diagnose((net, X, shuffled), experiments=20)
    assert lost.tried["shuffled"] < 0.2
    assert lost.findings[0].code == "labels-shuffled"
    assert "the net loses" in lost.findings[0].seen
    assert "tried" not in nv.diagnose((net, X, y), experiments=0).report()


def test_what_the_net_itself_learns_is_no_shuffling(blobs: Any) -> None:
    """Where no simple model finds anything, and the net does."""
    from nervure.findings.rules import labels_shuffled

    X, y = blobs[0], np.random.default_rng(0).permutation(blobs[1])
    net = nv.Network([nv.Input(2), nv.Dense(8, "relu"), nv.Dense(3, "softmax")], seed=0)
    case = nv.diagnose((net, X, y), experiments=0).case
    assert labels_shuffled.check(case) is not None
    learned = dataclasses.replace(case, trials={"shuffled": 0.5})
    assert labels_shuffled.check(learned) is None


# -- pages ----------------------------------------------------------------------------


def test_pages_are_what_the_rules_say() -> None:
    import importlib.util

    place = ROOT / "tools" / "findings.py"
    found = importlib.util.spec_from_file_location("findings_tool", place)
    assert found is not None
    assert found.loader is not None
    tool = importlib.util.module_from_spec(found)
    found.loader.exec_module(tool)
    assert tool.check() == []


@pytest.mark.parametrize("one", pages().values(), ids=lambda one: one.code)
def test_a_page_is_whole(one: Any) -> None:
    assert one.cause.endswith(".")
    assert one.remedy.endswith(".")
    assert one.what
    assert one.why
    assert one.helps
    assert one.measured
    assert one.sources
    assert set(one.explains) <= set(pages())
