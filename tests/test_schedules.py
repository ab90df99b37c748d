# SPDX-License-Identifier: BSD-3-Clause
"""Schedules: values by hand and against PyTorch, composition, data, the plateau."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from nervure.base.plain import write
from nervure.optimizers.schedules import (
    SCHEDULES,
    Chain,
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    OneCycle,
    PlateauState,
    Polynomial,
    Product,
    ReduceOnPlateau,
    Step,
    WarmUp,
    learning_rates,
    rate,
    schedule,
)

EXAMPLES = {
    Constant: Constant(0.2),
    Step: Step(0.2, factor=0.5, epochs=3),
    Exponential: Exponential(0.2, factor=0.9),
    InverseTime: InverseTime(0.2, decay=0.5),
    Polynomial: Polynomial(0.2, end=0.01, power=2.0),
    Cosine: Cosine(0.2, end=0.01, epochs=2, growth=2.0),
    OneCycle: OneCycle(0.2),
    WarmUp: WarmUp(Cosine(0.2), epochs=1.5, start=0.1),
    Chain: Chain(((0.1, 2), (Cosine(0.2), 3))),
    Product: Product((0.5, Step(0.2), Exponential(1.0))),
    ReduceOnPlateau: ReduceOnPlateau(Exponential(0.2), patience=2),
}
PER_EPOCH, EPOCHS = 7, 10
TOTAL = PER_EPOCH * EPOCHS


def values(found, steps=None, per_epoch=PER_EPOCH, total=TOTAL):
    steps = np.arange(total) if steps is None else np.asarray(steps)
    return learning_rates(found, steps, per_epoch, total)


def test_every_schedule_has_an_example():
    assert set(EXAMPLES) == set(SCHEDULES)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_values_are_positive_rates(kind):
    rates = values(EXAMPLES[kind])
    assert rates.shape == (TOTAL,)
    assert rates.dtype == np.float64
    assert np.all(np.isfinite(rates))
    assert np.all(rates >= 0)
    assert rates.max() <= 0.2


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_stretch_of_steps_gives_the_same_bits_as_single_steps(kind):
    whole = values(EXAMPLES[kind])
    single = [values(EXAMPLES[kind], [step])[0] for step in range(TOTAL)]
    assert np.array_equal(whole, single)
    assert np.array_equal(whole[13:41], values(EXAMPLES[kind], np.arange(13, 41)))


@pytest.mark.parametrize("kind", SCHEDULES)
def test_data_and_back(kind):
    data = json.loads(json.dumps(write(EXAMPLES[kind])))
    assert schedule(data) == EXAMPLES[kind]


@pytest.mark.parametrize("kind", SCHEDULES)
def test_schedules_are_hashable(kind):
    assert hash(EXAMPLES[kind]) == hash(dataclasses.replace(EXAMPLES[kind]))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (0.1, [0.1, 0.1, 0.1, 0.1]),
        (Constant(0.3), [0.3, 0.3, 0.3, 0.3]),
        (Step(1.0, factor=0.5, epochs=1), [1, 1, 0.5, 0.5]),
        (Exponential(1.0, factor=0.25), [1, 0.5, 0.25, 0.125]),
        (InverseTime(1.0, decay=2.0), [1, 1 / 2, 1 / 3, 1 / 4]),
        (Polynomial(1.0, end=0.2), [1, 0.8, 0.6, 0.4]),
        (Polynomial(1.0, power=2.0, epochs=1), [1, 0.25, 0, 0]),
        (Cosine(1.0), [1, (2 + math.sqrt(2)) / 4, 0.5, (2 - math.sqrt(2)) / 4]),
        (Cosine(1.0, end=0.5, epochs=1), [1, 0.75, 1, 0.75]),
        (WarmUp(1.0, steps=2), [0.5, 1, 1, 1]),
        (WarmUp(1.0, epochs=1, start=0.5), [0.75, 1, 1, 1]),
        (WarmUp(Polynomial(1.0), steps=2), [0.5, 1, 1, 0.5]),
        (Chain(((1.0, 1), (Polynomial(0.5), 1))), [1, 1, 0.5, 0.25]),
        (Product((0.5, Polynomial(1.0))), [0.5, 0.375, 0.25, 0.125]),
    ],
)
def test_values_by_hand_over_two_epochs_of_two_steps(found, expected):
    assert values(found, per_epoch=2, total=4) == pytest.approx(expected)


def test_cosine_restarts_grow():
    rates = values(Cosine(1.0, epochs=1, growth=2.0), per_epoch=4, total=29)
    starts = np.flatnonzero(rates == 1.0)
    assert starts.tolist() == [0, 4, 12, 28]  # periods of 4, 8, 16
    assert rates[8] == pytest.approx(0.5)
    assert rates[20] == pytest.approx(0.5)


def test_step_edges_lie_on_whole_steps():
    rates = values(Step(1.0, factor=0.1, epochs=3), per_epoch=7)
    assert np.flatnonzero(np.diff(rates)).tolist() == [20, 41, 62]


def test_last_part_of_a_chain_goes_on():
    chain = Chain(((0.1, 1), (0.2, 1)))
    assert values(chain, [0, 7, 14, 69]).tolist() == [0.1, 0.2, 0.2, 0.2]


def test_single_step_and_empty_stretch():
    for found in EXAMPLES.values():
        assert values(found, per_epoch=1, total=1).shape == (1,)
        assert values(found, np.arange(0)).shape == (0,)


# -- against PyTorch ------------------------------------------------------------


def torch_rates(make, steps, start):
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.zeros(1))
    descent = torch.optim.SGD([parameter], lr=start)
    peer = make(torch.optim.lr_scheduler, descent)
    rates = []
    for _ in range(steps):
        rates.append(descent.param_groups[0]["lr"])
        descent.step()
        peer.step()
    return rates


@pytest.mark.parametrize("curve", ["linear", "cosine"])
def test_one_cycle_equals_torch(curve):
    anneal = {"linear": "linear", "cosine": "cos"}[curve]
    expected = torch_rates(
        lambda peers, descent: peers.OneCycleLR(
            descent, max_lr=0.2, total_steps=TOTAL, anneal_strategy=anneal
        ),
        TOTAL,
        0.1,
    )
    assert values(OneCycle(0.2, curve=curve)) == pytest.approx(expected, rel=1e-9)


def test_warm_restarts_equal_torch():
    expected = torch_rates(
        lambda peers, descent: peers.CosineAnnealingWarmRestarts(
            descent, T_0=PER_EPOCH, T_mult=2, eta_min=0.01
        ),
        TOTAL,
        0.2,
    )
    found = values(Cosine(0.2, end=0.01, epochs=1, growth=2.0))
    assert found == pytest.approx(expected, rel=1e-9)


def test_polynomial_equals_torch():
    expected = torch_rates(
        lambda peers, descent: peers.PolynomialLR(descent, TOTAL, power=2.0),
        TOTAL,
        0.2,
    )
    found = values(Polynomial(0.2, power=2.0))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)


# -- the plateau ----------------------------------------------------------------


def run_plateau(plateau, metrics):
    state, scales = PlateauState(), []
    for metric in metrics:
        state = plateau.update(state, metric)
        scales.append(state.scale)
    return state, scales


def test_plateau_reduces_after_patience_epochs():
    plateau = ReduceOnPlateau(0.1, factor=0.5, patience=2)
    _, scales = run_plateau(plateau, [3, 2, 2, 2, 2, 2, 1, 1])
    assert scales == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_plateau_rests_after_a_reduction():
    plateau = ReduceOnPlateau(0.1, factor=0.5, patience=1, cooldown=2)
    _, scales = run_plateau(plateau, [1] * 6)
    assert scales == [1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_plateau_of_a_score_that_rises():
    plateau = ReduceOnPlateau(0.1, factor=0.5, patience=1, mode="max")
    _, scales = run_plateau(plateau, [0.5, 0.6, 0.6])
    assert scales == [1, 1, 0.5]


def test_small_changes_and_nan_are_no_improvement():
    plateau = ReduceOnPlateau(0.1, factor=0.5, patience=1, min_delta=0.1)
    state, scales = run_plateau(plateau, [1.0, 0.95, float("nan")])
    assert scales == [1, 0.5, 0.25]
    assert state.best == 1.0


def test_plateau_state_survives_json():
    plateau = ReduceOnPlateau(0.1, patience=3)
    metrics = [3, 2, 2.5, 2.5, 2.5, 2.2, 1]
    middle, _ = run_plateau(plateau, metrics[:3])
    again = PlateauState(**json.loads(json.dumps(dataclasses.asdict(middle))))
    assert again == middle
    for metric in metrics[3:]:
        again = plateau.update(again, metric)
    assert again == run_plateau(plateau, metrics)[0]
    json.dumps(dataclasses.asdict(PlateauState()), allow_nan=False)


def test_plateau_scales_down_to_the_lowest():
    plateau = ReduceOnPlateau(Step(0.1, factor=0.1, epochs=1), lowest=0.02)
    rates = plateau.scaled(values(plateau, [0, 7], per_epoch=7), PlateauState(0.1))
    assert rates == pytest.approx([0.02, 0.01])  # never raised above the schedule


# -- names, data, errors --------------------------------------------------------


def test_nested_tables():
    data = {"type": "warm_up", "epochs": 2, "then": {"type": "cosine", "start": 0.1}}
    assert schedule(data) == WarmUp(Cosine(0.1), epochs=2)
    assert rate(data, "sgd", "learning_rate") == schedule(data)
    assert rate(np.float32(0.5), "sgd", "learning_rate") == 0.5
    given = {"type": "warm_up", "then": Cosine(0.1), "epochs": np.float32(2)}
    assert schedule(given) == schedule(data)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("cosin", "[sgd.rate] unknown schedule 'cosin'; did you mean 'cosine'"),
        ({"type": "cosine"}, "[sgd.rate] start: missing; expected a number; add start"),
        (0, "[sgd] rate = 0; expected a finite number (> 0); change rate"),
        (True, "[sgd] rate = True; expected a finite number (> 0); change rate"),
        (None, "[sgd] rate = None; expected a finite number (> 0); change rate"),
        (
            {"type": "one_cycle", "peak": 1, "curve": "cos"},
            "[sgd.rate] curve = 'cos'; expected 'cosine' or 'linear'; change curve",
        ),
        (
            {"type": "chain", "parts": []},
            "[sgd.rate] parts = (); expected a list of one or more; add an entry",
        ),
        (
            {"type": "chain", "parts": [0.1, 0.2]},
            "[sgd.rate] parts[0]: found 0.1; expected a list of 2 (a number or a sched",
        ),
        (
            {"type": "product", "factors": 0.5},
            "[sgd.rate] factors: found 0.5; expected a list (each: a number or a sched",
        ),
        (
            {
                "type": "warm_up",
                "then": {"type": "reduce_on_plateau", "start": 0.1},
            },
            "[sgd.rate] reduce_on_plateau inside of another schedule; expected it "
            "outermost, since it has a state; write",
        ),
        (
            {"type": "warm_up", "then": {"type": "chain", "parts": [["cosin", 1]]}},
            "[sgd.rate] then.parts[0][0]: unknown schedule 'cosin'; did you mean",
        ),
        (
            {"type": "product", "factors": [1, {"type": "step", "strat": 1}]},
            "[sgd.rate] factors[1].strat: unknown key; did you mean 'start'? Known: "
            "start, epochs, factor\n[sgd.rate] factors[1].start: missing; expected a ",
        ),
        (
            {"type": "reduce_on_plateau", "start": 0.1, "factor": 1.0},
            "[sgd.rate] factor = 1.0; expected a finite number (> 0) and "
            "(< 1); change factor",
        ),
        (
            {"type": "reduce_on_plateau", "start": 0.1, "patience": 2.5},
            "[sgd.rate] patience: found 2.5; expected an integer",
        ),
    ],
)
def test_errors_name_place_and_remedy(found, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        rate(found, "sgd", "rate")


def test_parts_of_a_chain_are_pairs():
    message = r"^\[chain\] parts holds 0.1; expected pairs of a rate and its epochs; wr"
    with pytest.raises(ValueError, match=message):
        Chain((0.1, 0.2))  # pyright: ignore
