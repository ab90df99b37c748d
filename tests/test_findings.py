# SPDX-License-Identifier: BSD-3-Clause
"""Each rule speaks of a training that has its fault, and of no sound one.

The trainings are those that benchmarks/doctor measures, which trains more of them.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.findings import examining
from nervure.findings.case import Case
from nervure.findings.changes import RATE
from nervure.findings.examining import examine, in_order
from nervure.findings.finding import Finding
from nervure.findings.patch import apply
from nervure.findings.rules import NAMES, Rule, pages, rules
from nervure.initializers import Constant
from nervure.training.divergence import DivergenceError

pytest.importorskip("sklearn")
DOCTOR = Path(__file__).parents[1] / "benchmarks" / "doctor"
sys.path.insert(0, str(DOCTOR))

import faults  # noqa: E402
import further  # noqa: E402
import instances  # noqa: E402

BY_CODE = {rule.page.code: rule for rule in rules()}

ELSEWHERE = {"plateau", "cannot-fit-one-batch", "non-finite"}
"""Codes that no fault of the benchmark is first of all; tested by themselves."""


FURTHER = (
    *("one hidden layer", "lenet1 by Adam", "resnet32", "autoencoder", "GRU twice"),
    "transformer of rows, norm pre",
    *("LSTM both ways", "GRU of rows of all lengths", "SimpleRNN forecasts"),
)


@pytest.mark.parametrize("kind", faults.FAULTS, ids=lambda kind: kind.name)
def test_a_fault_is_found(kind: Any) -> None:
    """First or second, with evidence that can be written, and a patch that fits."""
    drawn = (instances.draw(0, kind, index) for index in range(3))
    instance = next(one for one in drawn if one is not None)
    diagnosis = nv.diagnose(instance.outcome.run)
    named = [finding.code for finding in diagnosis][:2]
    assert set(named) & set(kind.codes), named
    own = [finding for finding in diagnosis if finding.code in kind.codes]
    for finding in own:
        assert json.loads(json.dumps(finding.document()))["code"] == finding.code
        assert finding.evidence
        assert finding.seen
        if finding.patch is not None:
            rates = [c.after for c in finding.patch.changes if c.key.startswith(RATE)]
            said = [rate for rate in rates if isinstance(rate, float)]
            assert all(f"{rate:g}" in finding.remedy for rate in said), finding.remedy
            changed = apply(diagnosis.subject.spec, [finding.patch])
            assert changed != diagnosis.subject.spec


def test_sound_trainings_are_left_alone() -> None:
    """Sensible settings, and merely unusual ones."""
    alarms = [
        (one.index, one.training.task.name, one.training.unusual, finding)
        for one in instances.sound(0, 24)
        for finding in nv.diagnose(one.outcome.run)
        if finding.severity != "note"
    ]
    assert not alarms


@pytest.mark.parametrize("name", FURTHER)
def test_nets_that_nobody_draws_are_left_alone(name: str) -> None:
    """The zoo's small nets, sequences, autoencoders."""
    assert not list(further.alarms(further.TRAININGS[name]))


def test_every_rule_is_tested() -> None:
    assert {code for kind in faults.FAULTS for code in kind.codes} | ELSEWHERE == set(
        BY_CODE
    )


def test_a_rule_stands_in_the_file_of_its_code() -> None:
    assert [rule.page.code.replace("-", "_") for rule in rules()] == list(NAMES)


# -- the rules that no fault of the benchmark is first of all of --------------------------


def net_of(*hidden: Any, end: int = 3) -> nv.Network:
    last = nv.Dense(end, activation="softmax")
    return nv.Network([nv.Input(2), *hidden, last], seed=0)


def found(run: Any, code: str) -> Finding | None:
    by_code = {finding.code: finding for finding in nv.diagnose(run, experiments=0)}
    return by_code.get(code)


def test_a_plateau(blobs: Any) -> None:
    """Steps that change next to nothing, told as what it looks like from outside."""
    given = {"epochs": 20, "progress": False, "telemetry": True}
    net = net_of(nv.Dense(4, "relu"))
    warnings.simplefilter("ignore", nv.FindingWarning)
    run = nv.fit(net, *blobs, optimizer=nv.SGD(1e-9), **given)
    case = nv.diagnose(run, experiments=0).case
    finding = BY_CODE["plateau"].check(case)
    assert finding is not None
    assert finding.evidence["span"] < 0.02
    assert finding.epoch == 8
    assert nv.diagnose(run, experiments=0).findings[0].code == "learning-rate-too-low"
    learned = nv.fit(net, *blobs, optimizer=nv.Adam(0.05), **given)
    assert not nv.diagnose(learned).findings


def test_numbers_that_stop_being_finite(blobs: Any) -> None:
    net = net_of(nv.Dense(4, "relu"))
    warnings.simplefilter("ignore", nv.FindingWarning)
    given = {"optimizer": nv.SGD(1e30), "progress": False, "telemetry": True}
    with pytest.raises(DivergenceError) as raised:
        nv.fit(net, *blobs, **given)
    finding = found(raised.value.run, "non-finite")
    assert finding is not None
    assert finding.severity == "error"
    assert finding.step is not None


def test_a_net_that_cannot_fit_a_batch(blobs: Any) -> None:
    """One unit between two layers tells three classes apart; one that is off does not."""
    dead = nv.Dense(1, "relu", bias_initializer=Constant(-50.0))
    net = nv.Network([nv.Input(2), dead, nv.Dense(3, "softmax")], seed=0)
    diagnosis = nv.diagnose((net, *blobs), experiments=10)
    rule = BY_CODE["cannot-fit-one-batch"]
    finding = rule.check(diagnosis.case)
    assert finding is not None
    assert finding.evidence["skill"] < 0.5
    able = nv.diagnose((net_of(nv.Dense(16, "tanh")), *blobs), experiments=10)
    assert able.case.trials["one batch"] > 0.95
    assert rule.check(able.case) is None


@pytest.mark.parametrize("experiments", [0, 10])
def test_a_remedy_says_the_rate_that_its_patch_sets(
    experiments: int, blobs: Any
) -> None:
    """Whether it is a tenth or what a range test found; and it goes the right way."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 2)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    warnings.simplefilter("ignore", nv.FindingWarning)
    for rate, code in (
        (3.0, "learning-rate-too-high"),
        (1e-6, "learning-rate-too-low"),
    ):
        net = nv.Network([nv.Input(2), nv.Dense(16, "relu"), nv.Dense(2, "softmax")])
        given = {"epochs": 8, "batch_size": 16, "progress": False, "telemetry": True}
        run = nv.fit(net, X, y, optimizer=nv.Adam(rate), **given)
        finding = next(
            f for f in nv.diagnose(run, experiments=experiments) if f.code == code
        )
        assert finding.patch is not None
        (change,) = finding.patch.changes
        assert (change.after < rate) == (code == "learning-rate-too-high")
        word = "Lower" if change.after < rate else "Raise"
        steps = f"{word} the learning rate from {rate:g} to {change.after:g}"
        how = ", as a range test" if experiments else ""
        assert finding.remedy.startswith(f"{steps}{how}")


# -- all rules at once ------------------------------------------------------------------


def cases() -> Iterator[Case]:
    """Cases of which little or nothing is known."""
    yield Case()
    yield Case(record=nv.Record([{"event": "begin"}, {"event": "end"}]))
    yield Case(record=nv.Record([{"event": "epoch", "epoch": 0, "loss": None}]))
    layout = {"event": "layout", "layers": ["a"], "parameters": ["a.weight"]}
    layout |= {"shapes": [[2, 3]], "learns": [True], "sizes": [3], "units": [3]}
    yield Case(
        record=nv.Record([layout, {"event": "step", "step": 0, "delta": [None]}])
    )


@pytest.mark.parametrize("case", list(cases()))
@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.page.code)
def test_what_is_not_known_is_no_fault(rule: Rule, case: Case) -> None:
    with np.errstate(all="ignore"):
        assert rule.check(case) is None


def test_a_rule_that_fails_is_told_once_and_left_out(
    monkeypatch: pytest.MonkeyPatch, blobs: Any
) -> None:
    def fails(case: Case) -> Finding | None:
        raise ZeroDivisionError("by nothing")

    page = pages()["plateau"]
    monkeypatch.setattr(examining, "rules", lambda: (Rule(page, True, fails),))
    monkeypatch.setattr(examining, "_failed", set())
    text = (
        r"\[plateau\] the rule failed \(ZeroDivisionError: by nothing\); it is left out"
    )
    with pytest.warns(UserWarning, match=text):
        assert examine(Case()) == []
    assert examine(Case()) == []
    monkeypatch.setattr(examining, "_failed", set())
    with pytest.warns(UserWarning, match=text):
        run = nv.fit(net_of(), *blobs, epochs=4, telemetry=True, progress=False)
    assert run.epoch == 4


def test_causes_go_before_what_they_bring_about() -> None:
    def finding(code: str, severity: Any, strength: float) -> Finding:
        return Finding(pages()[code], severity, "seen", strength=strength)

    some = [
        finding("plateau", "warning", 0.3),  # a last resort, explained
        finding("loss-mismatch", "note", 0.9),
        finding("learning-rate-too-high", "warning", 0.6),
        finding("dead-units", "error", 0.9),
    ]
    codes = [one.code for one in in_order(some)]
    assert codes == ["learning-rate-too-high", "dead-units", "loss-mismatch"]
    assert [one.code for one in in_order(some[:1])] == ["plateau"]
