# SPDX-License-Identifier: BSD-3-Clause
"""CTC: the loss against its definition and PyTorch's, decoding, strips that are read."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.data.labels import Labels
from nervure.losses import CTC, LossError
from nervure.metrics import METRICS, best_path, edit_distances, label_error_rate
from nervure.network.decoding import beam_search
from nervure.network.inputs import make_data

RNG = np.random.default_rng(11)
LENGTHS = (7, 4, 5, 1, 9)
LABELS = [[1, 2, 2], [], [4, 1], [3], [2, 2, 2, 1]]
FEATURES, CLASSES = 3, 5
ENDS = ["softmax", "log_softmax", None]


def rows(lengths: Sequence[int] = LENGTHS) -> list[Any]:
    return [RNG.normal(size=(n, FEATURES)) for n in lengths]


def network(
    activation: str | None = "softmax", time: int | None = None, **how: Any
) -> nv.Network:
    layers = [nv.Input((time, FEATURES)), nv.Dense(CLASSES, activation=activation)]
    return nv.Network(layers, seed=2, **{"dtype": "float64", **how})


def said(path: Sequence[int], blank: int) -> tuple[int, ...]:
    """What a path of classes says: equal ones are one, blanks are dropped."""
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


def paths(p: Any, blank: int = 0) -> dict[tuple[int, ...], float]:
    """Of every sequence of labels its probability: that of all paths which say it."""
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        share = float(np.prod([p[t, k] for t, k in enumerate(path)]))
        labels = said(path, blank)
        found[labels] = found.get(labels, 0.0) + share
    return found


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# -- the formula -----------------------------------------------------------------------


def test_by_hand() -> None:
    """Of the four paths of two steps 1-, -1 and 11 say "1", -- says nothing."""
    half = np.full((1, 2, 2), 0.5)
    assert CTC().formula(np, half, np.array([[1]]))[0] == pytest.approx(math.log(4 / 3))
    assert CTC().formula(np, half, np.array([[0]]))[0] == pytest.approx(math.log(4))
    twice = np.full((1, 3, 2), 0.5)  # 1-1 alone says "11"
    found = CTC().formula(np, twice, np.array([[1, 1]]))[0]
    assert found == pytest.approx(math.log(8))


@pytest.mark.parametrize("blank", [0, 2])
def test_costs_are_those_of_all_paths(blank: int) -> None:
    z = RNG.normal(size=(5, 3)) * 2
    known = paths(softmax(z), blank)
    assert sum(known.values()) == pytest.approx(1)
    assert len(known) > 20
    for labels, p in known.items():
        target = np.array([[*labels, blank, blank]])  # however far it is filled up
        for found in (
            CTC(blank).logits_formula(np, z[None], target),
            CTC(blank).formula(np, softmax(z)[None], target),
        ):
            assert found[0] == pytest.approx(-math.log(p), rel=1e-12)


@pytest.mark.parametrize("example", CTC.examples())
def test_steps_behind_a_row_do_not_count(example: Any) -> None:
    y, t = np.array(example.output), np.array(example.target)
    costs = example.loss.formula(np, y, t)
    longer = np.concatenate([y, RNG.uniform(size=(2, 3, 3))], axis=1)
    found = example.loss.formula(np, longer, t, steps=np.array([2, 2]))
    np.testing.assert_allclose(found, costs, rtol=1e-14)
    for i in range(2):
        assert example.loss.formula(np, y[[i]], t[[i]])[0] == pytest.approx(costs[i])


@pytest.mark.parametrize("example", CTC.examples())
def test_jax_differentiates_the_formula(example: Any) -> None:
    jax = pytest.importorskip("jax")
    z, t = np.log(np.array(example.output)), np.array(example.target)
    with jax.enable_x64(True):
        slope = jax.grad(lambda x: example.loss.logits_formula(jax.numpy, x, t).sum())
        found = np.asarray(jax.jit(slope)(z))
    h = 1e-3
    for at in np.ndindex(*z.shape):

        def moved(by: int, at: Any = at) -> float:
            x = z.copy()
            x[at] += by * h
            return float(example.loss.logits_formula(np, x, t).sum())

        near, far = moved(1) - moved(-1), moved(2) - moved(-2)
        assert found[at] == pytest.approx((8 * near - far) / (12 * h), abs=1e-9)


# -- the executors ---------------------------------------------------------------------


def gradient(net: nv.Network, X: Any, y: Any, executor: str, **how: Any) -> Any:
    """Mean cost, its gradient, and the cost of each row."""
    loss = how.pop("loss", "ctc")
    objective = net.objective(loss)
    data = make_data(net, X, y, objective, **how)
    run = net.executor(executor)
    cost = run.gradient(data, objective)
    return cost, net.gradients.copy(), run.row_costs(data, objective)[1]


@pytest.mark.parametrize("fixed", [False, True], ids=["any length", "one length"])
@pytest.mark.parametrize("activation", ENDS)
def test_costs_and_gradients_are_those_of_pytorch(
    activation: str | None, fixed: bool
) -> None:
    torch = pytest.importorskip("torch")
    lengths = (9,) * 5 if fixed else LENGTHS
    X = rows(lengths)
    net = network(activation, 9 if fixed else None)
    cost, slopes, costs = gradient(net, np.array(X) if fixed else X, LABELS, "native")

    w = torch.tensor(np.array(net.parameters["dense.weight"]), requires_grad=True)
    b = torch.tensor(np.array(net.parameters["dense.bias"]), requires_grad=True)
    z = torch.nn.utils.rnn.pad_sequence([torch.tensor(x) @ w + b for x in X])
    theirs = torch.nn.functional.ctc_loss(
        z.log_softmax(-1),
        torch.tensor([label for row in LABELS for label in row]),
        torch.tensor(lengths),
        torch.tensor([len(row) for row in LABELS]),
        reduction="none",
    )
    theirs.mean().backward()  # of the rows, whatever their number of labels
    np.testing.assert_allclose(costs, theirs.detach().numpy(), rtol=1e-9)
    assert cost == pytest.approx(theirs.mean().item(), rel=1e-9)
    expected = np.concatenate([w.grad.numpy().reshape(-1), b.grad.numpy()])
    found = [net.layout.segments[i].view(slopes).reshape(-1) for i in range(2)]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("activation", "time"), [("softmax", None), ("log_softmax", 9), (None, None)]
)
def test_jax_equals_the_engine(activation: str | None, time: int | None) -> None:
    pytest.importorskip("jax")
    X = rows(LENGTHS if time is None else (9,) * 5)
    X = X if time is None else np.array(X)
    weights = np.array([1.0, 0.0, 2.0, 0.5, 3.0])
    net = network(activation, time)
    native, jax = (
        gradient(net, X, LABELS, name, sample_weight=weights)
        for name in ("native", "jax")
    )
    for one, other in zip(native, jax, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14)
    assert native[0] == pytest.approx(native[2] @ weights / weights.sum(), rel=1e-12)


@pytest.mark.parametrize("activation", ENDS)
def test_gradients_are_central_differences(activation: str | None) -> None:
    found = nv.check_gradients(network(activation), rows(), LABELS, loss="ctc")
    assert found.passed, found


def test_a_softmax_that_two_outputs_read() -> None:
    """Where it cannot be fused, the loss takes the probabilities themselves."""
    x = nv.Input((None, FEATURES))
    z = nv.Dense(CLASSES)(x)
    both = [nv.Softmax()(z), nv.Softmax()(z)]
    net = nv.Network(inputs=x, outputs=both, dtype="float64", seed=2)
    objective = net.objective("ctc")
    assert [cost.fused for cost in objective.costs] == ["softmax", ""]
    X = rows()
    _, slopes, costs = gradient(net, X, [LABELS, LABELS], "native")
    alone = gradient(network(), X, LABELS, "native")
    np.testing.assert_allclose(slopes, 2 * alone[1], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(costs, 2 * alone[2], rtol=1e-12)


def test_float32_follows_float64() -> None:
    X = rows()
    exact = gradient(network(), X, LABELS, "native")
    single = gradient(network(dtype="float32"), X, LABELS, "native")
    np.testing.assert_allclose(single[2], exact[2], rtol=1e-5)
    np.testing.assert_allclose(single[1], exact[1], rtol=1e-4, atol=1e-5)


def test_a_row_costs_the_same_in_any_company() -> None:
    net, X = network(), rows()
    together = gradient(net, X * 150, LABELS * 150, "native")[2]  # several passes
    alone = [
        gradient(net, [x], [y], "native")[2] for x, y in zip(X, LABELS, strict=True)
    ]
    np.testing.assert_allclose(
        together, np.tile(np.concatenate(alone), 150), rtol=1e-12
    )


def test_the_trace_shows_the_share_of_each_class() -> None:
    """dC/dz of a row is softmax(z) less what the paths say at each step, over rows."""
    net, X = network(), rows((4,))
    trace = net.trace(X, [[1, 2]], loss="ctc")
    p = softmax(trace["dense"].z[0])
    shares, total = np.zeros_like(p), 0.0
    for path in itertools.product(range(CLASSES), repeat=4):
        if said(path, 0) == (1, 2):
            own = np.prod(p[np.arange(4), path])
            shares[np.arange(4), path] += own
            total += own
    np.testing.assert_allclose(trace["dense"].delta[0], p - shares / total, atol=1e-12)
    assert trace.loss == pytest.approx(-math.log(total), rel=1e-12)


# -- what is given as labels -----------------------------------------------------------


FORMS: dict[str, Any] = {
    "lists": [[1, 2], [], [3]],
    "arrays": [np.array([1, 2]), np.array([], int), np.array([3])],
    "filled up": (np.array([[1, 2], [-1, -1], [3, -1]]), -1),
    "filled up in front": (np.array([[1, 2], [-1, -1], [-1, 3]]), -1),
    "filled up with the blank": (np.array([[1, 2], [0, 0], [3, 0]]), 0),
    "reals": (np.array([[1.0, 2.0], [-1.0, -1.0], [3.0, -1.0]]), -1),
    "Ragged": (nv.Ragged([1, 2, -1, 3], [2, 1, 1]), -1),
    "objects": np.array([[1, 2], [], [3]], object),
}


@pytest.mark.parametrize("form", FORMS)
def test_labels_in_every_form(form: str) -> None:
    given, ignore = (
        FORMS[form] if isinstance(FORMS[form], tuple) else (FORMS[form], None)
    )
    X, net = rows((5, 4, 3)), network()
    expected = net.evaluate(X, FORMS["lists"], loss="ctc")
    assert net.evaluate(X, given, loss=CTC(ignore=ignore)) == expected


def test_labels_of_data_frames() -> None:
    pandas = pytest.importorskip("pandas")
    X, net = rows((5, 4, 3)), network()
    expected = net.evaluate(X, FORMS["lists"], loss="ctc")
    column = pandas.Series(FORMS["lists"])
    assert net.evaluate(X, column, loss="ctc") == expected
    table = pandas.DataFrame(FORMS["filled up"][0], columns=["first", "second"])
    assert net.evaluate(X, table, loss=CTC(ignore=-1)) == expected


def test_labels_end_with_a_mark() -> None:
    labels = Labels.of([[1, 2], [], [3]])
    assert labels[np.array([2, 0])].filled().tolist() == [[3, 0], [1, 2]]
    assert labels[np.array([1])].filled().tolist() == [[0]]
    assert labels.values.tolist() == [1, 2, 3]
    assert labels.rows.tolist() == [0, 0, 2]


TOO_FEW = (
    "[ctc] row 1 has 3 labels, 1 of them like the one before, but only 3 steps in "
    "'dense'; expected at least 4; give it more steps (less pooling, smaller strides), "
    "or leave the row out"
)
BAD: dict[str, tuple[Any, str]] = {
    "too many classes": (
        [[1], [2, 5], [3]],
        "[ctc] label 1 of row 1 is 5; expected one of the 5 classes of the output, 0 to "
        "4; recode the labels, give the last layer more units, or set ignore= where",
    ),
    "negative": (
        [[1], [2], [-1]],
        "[ctc] label 0 of row 2 is -1; expected one of the 5",
    ),
    "blank": (
        [[1], [], [3, 0]],
        "[ctc] label 1 of row 2 is 0, the blank; expected labels alone; leave blanks out "
        "of y, or set blank= to a class that is no label (rows that are filled up with "
        "0: ignore=0)",
    ),
    "too few steps": ([[1], [2, 1, 1], [3]], TOO_FEW),
    "other rows": ([[1], [2]], "[fit] 2 targets for 'dense', but 3 rows of inputs; "),
    "classes": (
        [1, 2, 3],
        "[y] row 0 is 1; expected a sequence of labels; give a list",
    ),
    "class array": (
        np.array([1, 2, 3]),
        "[y] shape (3,); expected a sequence of labels",
    ),
    "matrices": (np.zeros((3, 2, 2)), "[y] shape (3, 2, 2); expected a sequence of"),
    "nested": ([[[1], [2]], [1], [2]], "[y] row 0 is [[1], [2]]; expected a sequence"),
    "uneven": ([[[1], 2], [1], [2]], "[y] row 0 is [[1], 2]; expected a sequence of"),
    "vectors": (
        nv.Ragged(np.ones((3, 2)), [1, 1, 1]),
        "[y] steps of shape (2,); expec",
    ),
    "words": (
        [["a"], [1], [2]],
        "[y] row 0, label 0 is 'a'; expected whole numbers; encode labels as 0, 1, 2, ",
    ),
    "halves": (
        [[1], [2, 1.5], []],
        "[y] row 1, label 1 is 1.5; expected whole numbers",
    ),
    "none": (
        [[1], [2, None], []],
        "[y] row 1, label 1 is None; expected whole numbers",
    ),
    "not a number": ([[1.0, math.nan], [1], []], "[y] row 0, label 1 is nan; expected"),
    "nothing": ([], "[y] []; expected labels for each row; give a list"),
    "a word": ("abc", "[y] 'abc'; expected labels for each row; give a list"),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("time", [None, 3])
def test_labels_that_cannot_be_used(what: str, time: int | None) -> None:
    y, message = BAD[what]
    X = np.array(rows((3, 3, 3)))
    with pytest.raises(ValueError, match=re.escape(message)):
        nv.fit(network(time=time), X, y, loss="ctc", progress=False)


def test_validation_rows_are_checked_too() -> None:
    X = np.array(rows((3, 3, 3)))
    held = (X[:2], [[1], [2, 1, 1]])
    with pytest.raises(ValueError, match=re.escape(TOO_FEW)):
        nv.fit(network(), X, [[1]] * 3, loss="ctc", validation=held, progress=False)


def layers(*some: Any) -> nv.Network:
    return nv.Network([nv.Input((4, FEATURES)), *some])


UNFIT: dict[str, tuple[Any, Any, str]] = {
    "one answer": (
        lambda: layers(nv.GRU(4), nv.Dense(3, "softmax")),
        CTC(),
        "[ctc] output 'dense' gives (3,) for each row; expected (time, classes), or "
        "(classes,) at each step; keep the steps (return_sequences=True) and end with",
    ),
    "images": (
        lambda: nv.Network([nv.Input((None, 4, 3)), nv.Dense(3, "softmax")]),
        CTC(),
        "[ctc] output 'dense' gives (4, 3) for each step; expected (time, classes)",
    ),
    "activation": (
        lambda: layers(nv.Dense(3, "relu")),
        CTC(),
        "[ctc] output layer 'dense' gives relu, not probabilities of classes at each "
        'step; add activation="softmax" to the last layer',
    ),
    "too few classes": (
        lambda: layers(nv.Dense(3, "softmax")),
        CTC(blank=3),
        "[ctc] output layer 'dense' has 3 classes, with blank = 3; expected at least 4; "
        "give it one unit for each label and one for the blank, or change blank",
    ),
    "a single class": (
        lambda: layers(nv.Dense(1)),
        CTC(),
        "[ctc] output layer 'dense' has 1 classes, with blank = 0; expected at least 2",
    ),
}


@pytest.mark.parametrize("what", UNFIT)
def test_networks_that_it_does_not_fit(what: str) -> None:
    make, loss, message = UNFIT[what]
    with pytest.raises(LossError, match=re.escape(message)):
        make().objective(loss)


def test_members_of_one_layer_are_refused() -> None:
    some = [nv.EnsembleDense(3, 8, "softmax"), nv.EnsembleMean()]
    with pytest.raises(
        LossError, match=r"\[ctc\] output 'ensemble_dense' is the mean of"
    ):
        nv.Network([nv.Input((None, 2)), *some]).objective("ctc")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"class_weight": "balanced"}, "[class_weight] the target of a row is a seque"),
        ({"sample_weight": np.ones((3, 4))}, "[sample_weight] shape (3, 4), expected"),
        (
            {"metrics": "accuracy"},
            "[metrics] accuracy for 'dense', whose rows have seq",
        ),
        ({"metrics": "mse"}, "[metrics] mse for 'dense', whose rows have sequences of"),
    ],
)
def test_what_does_not_go_with_it(how: Any, message: str) -> None:
    X = np.array(rows((4, 4, 4)))
    with pytest.raises(ValueError, match=re.escape(message)):
        nv.fit(network(), X, [[1], [2], [3]], loss="ctc", progress=False, **how)


def test_data_sets_have_no_labels_for_it() -> None:
    net = layers(nv.Dense(11, "softmax"))
    digits = nv.data.load("digits")
    message = (
        "[ctc] the targets of a data set are one for each row; expected a sequence"
    )
    with pytest.raises(LossError, match=re.escape(message)):
        nv.fit(net, digits, loss="ctc", progress=False)
    with pytest.raises(LossError, match=re.escape(message)):
        net.evaluate(digits, loss="ctc")


def test_label_error_rate_wants_labels() -> None:
    net = nv.Network([nv.Input(2), nv.Dense(2, "softmax")])
    message = (
        "[metrics] label_error_rate for 'dense', whose loss is cross_entropy; expe"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        net.evaluate(np.zeros((2, 2)), [0, 1], metrics="label_error_rate")


@pytest.mark.parametrize("blank", [-1, 0.5, True, "a"])
def test_blanks_that_are_none(blank: Any) -> None:
    with pytest.raises(
        ValueError, match=r"\[ctc\] blank = .*; expected a whole number"
    ):
        CTC(blank)


def test_the_engine_refuses_what_would_read_elsewhere() -> None:
    """Python promises more; the engine looks again at what it is handed."""
    net = network()
    objective = net.objective("ctc")
    data = make_data(net, rows((4,)), [[1]], objective)
    for wrong in ([[7]], [[-2]]):
        bad = Labels.joined(np.array(wrong[0], np.int32), np.array([0]), 1)
        other = type(data)(data.inputs, (bad,))
        with pytest.raises(ValueError, match=r"\[engine\] targets: class"):
            net.executor().gradient(other, objective)
    with pytest.raises(ValueError, match=r"\[engine\] targets: not one for each row"):
        net.executor().gradient(
            type(data)(data.inputs, (np.zeros(1, np.int32),)), objective
        )


# -- reading ---------------------------------------------------------------------------


def test_best_path() -> None:
    assert best_path(np.eye(3)[[0, 1, 1, 0, 1, 2, 2]]).tolist() == [1, 1, 2]
    assert best_path(np.eye(3)[[0, 1, 1, 2]], blank=1).tolist() == [0, 2]
    assert best_path(np.eye(2)[[0, 0]]).tolist() == []


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_all_that_can_be_said(blank: int, seed: int) -> None:
    p = softmax(2 * np.random.default_rng(seed).normal(size=(5, 3)))
    known = paths(p, blank)
    found = {tuple(s.tolist()): q for s, q in beam_search(np.log(p), 1000, blank)}
    assert found.keys() == known.keys()
    for labels, share in known.items():
        assert found[labels] == pytest.approx(math.log(share), abs=1e-12)
    (read,) = nv.ctc_decode(p[None], blank=blank, beam=1000)
    assert tuple(read.tolist()) == max(known, key=lambda labels: known[labels])


def test_a_beam_says_what_the_best_path_does_not() -> None:
    p = np.array([[[0.6, 0.4], [0.6, 0.4]]])
    assert [s.tolist() for s in nv.ctc_decode(p)] == [[]]
    assert [s.tolist() for s in nv.ctc_decode(p, beam=2)] == [[1]]
    for logits in (np.log(p), np.log(p) + 3):
        assert [s.tolist() for s in nv.ctc_decode(logits, beam=2, logits=True)] == [[1]]


def test_certain_outputs_are_read_as_they_are() -> None:
    """Probabilities of 0, whose logarithms are none."""
    p = np.eye(3)[[0, 1, 1, 0, 1, 2, 2]]
    for beam in (None, 1, 5):
        assert nv.ctc_decode(p[None], beam=beam)[0].tolist() == [1, 1, 2]


def test_rows_of_any_length_are_read() -> None:
    p = [softmax(RNG.normal(size=(n, 4))) for n in (3, 6, 1)]
    ragged = nv.Ragged.of(p)
    filled = ragged.to_array(fill=9)
    for beam in (None, 3):
        expected = [nv.ctc_decode(row[None], beam=beam)[0].tolist() for row in p]
        for given in (p, ragged):
            assert [s.tolist() for s in nv.ctc_decode(given, beam=beam)] == expected
        found = nv.ctc_decode(filled, lengths=[3, 6, 1], beam=beam)
        assert [s.tolist() for s in found] == expected


@pytest.mark.parametrize(
    ("outputs", "how", "message"),
    [
        (
            np.ones((2, 3)),
            {},
            "[ctc_decode] outputs of (2, 3); expected (rows, time, cla",
        ),
        (np.ones((1, 2, 2), int), {}, "[ctc_decode] outputs of (1, 2, 2); expected"),
        (
            [],
            {},
            "[ctc_decode] outputs of 0 rows; expected (rows, time, classes); give",
        ),
        (
            np.ones((1, 2, 2)),
            {"beam": 2},
            "[ctc_decode] row 0, step 0 sums to 2; expected",
        ),
        (
            np.ones((1, 2, 2)),
            {"beam": 0},
            "[ctc_decode] beam = 0; expected a whole numbe",
        ),
        (
            np.ones((1, 2, 2)),
            {"blank": 2},
            "[ctc_decode] blank = 2; expected a whole num",
        ),
        (
            np.ones((1, 2, 2)),
            {"lengths": [3]},
            "[ctc_decode] lengths do not go with 1 ro",
        ),
        (
            np.ones((1, 2, 2)),
            {"lengths": 2},
            "[ctc_decode] lengths do not go with 1 row ",
        ),
    ],
)
def test_outputs_that_cannot_be_read(outputs: Any, how: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        nv.ctc_decode(outputs, **how)


def distance(one: Sequence[int], other: Sequence[int]) -> int:
    """The definition of Levenshtein's distance."""
    if not one or not other:
        return len(one) + len(other)
    changed = distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(changed, distance(one[1:], other) + 1, distance(one, other[1:]) + 1)


def test_edit_distances() -> None:
    rng = np.random.default_rng(0)
    pairs = [
        [rng.integers(3, size=rng.integers(6)).tolist() for _ in range(2)]
        for _ in range(600)  # more than are worked out side by side
    ]
    known, given = map(list, zip(*pairs, strict=True))
    expected = [distance(a, b) for a, b in pairs]
    assert edit_distances(known, given).tolist() == expected
    assert edit_distances([], []).tolist() == []


def test_label_error_rate() -> None:
    labels = [[1, 2], [2, 1, 1]]
    steps = [np.eye(3)[[1, 0, 2, 2]], np.eye(3)[[2, 0]]]  # 12, and 2 for 211
    assert label_error_rate(labels, steps) == pytest.approx(2 / 5)
    assert label_error_rate(labels, steps, np.array([1.0, 3.0])) == pytest.approx(
        6 / 11
    )
    assert label_error_rate(labels, [[1, 2], []]) == pytest.approx(3 / 5)
    assert label_error_rate([[0]], [np.eye(3)[[0, 2, 2]]], blank=2) == 0
    assert math.isnan(label_error_rate([[]], [[1]]))
    assert METRICS["label_error_rate"](labels, steps) == pytest.approx(2 / 5)
    assert METRICS["label_error_rate"].better(0.1, 0.2)
    with pytest.raises(ValueError, match="2 targets and 1 outputs; expected as many"):
        label_error_rate(labels, steps[:1])
    with pytest.raises(
        ValueError, match=re.escape("row 0 of the output has shape (2,)")
    ):
        label_error_rate([[1]], [[0.5, 0.5]])


# -- training --------------------------------------------------------------------------

BLANK = 10


def strips(count: int, seed: int, held_out: bool) -> tuple[nv.Ragged, list[Any]]:
    """Two to four of the bundled digits side by side, column by column."""
    rng = np.random.default_rng(seed)
    data = nv.data.load("digits")
    own = np.flatnonzero((np.arange(data.rows) % 5 == 4) == held_out)
    some = [own[rng.integers(len(own), size=rng.integers(2, 5))] for _ in range(count)]
    images = data.inputs.reshape(-1, 8, 8).transpose(0, 2, 1) / np.float32(16)
    rows = [images[chosen].reshape(-1, 8) for chosen in some]
    return nv.Ragged.of(rows), [data.targets[chosen] for chosen in some]


def reader(units: int, seed: int = 0) -> nv.Network:
    layers = [
        nv.Input((None, 8)),
        nv.Bidirectional(nv.GRU(units, return_sequences=True)),
        nv.Dense(BLANK + 1, activation="softmax"),
    ]
    return nv.Network(layers, seed=seed)


def fit(net: nv.Network, X: Any, y: Any, **how: Any) -> nv.Run:
    given = {"optimizer": nv.Adam(0.01, clip_norm=1.0), "batch_size": 16, "epochs": 2}
    return nv.fit(net, X, y, loss=CTC(BLANK), progress=False, **(given | how))


def test_strips_of_digits_are_read() -> None:
    """Strips of images that no strip of the training has."""
    X, y = strips(1200, 1, False)
    held, digits = strips(150, 2, True)
    net = reader(32)
    run = fit(net, X, y, epochs=8, validation=(held, digits))
    rates = run.history["validation_label_error_rate"]
    assert rates[-1] < 0.08
    read = nv.ctc_decode(net.predict(held), blank=BLANK, beam=4)
    assert label_error_rate(digits, read) < 0.08
    scores = net.evaluate(held, digits, loss=CTC(BLANK))
    assert scores["label_error_rate"] == pytest.approx(rates[-1])
    cost = run.history["validation_loss"][-1]
    assert scores["loss"] == pytest.approx(cost, rel=1e-5)
    assert not run.findings


@pytest.fixture(scope="module")
def some() -> tuple[nv.Ragged, list[Any]]:
    return strips(64, 3, False)


def test_the_bits_do_not_depend_on_threads(some: Any, everywhere: None) -> None:
    found = []
    for threads in (1, 2, 3):
        net = reader(8)
        fit(net, *some, threads=threads)
        found.append(net.values.copy())
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()


def test_a_run_goes_on_to_the_same_bits(some: Any, tmp_path: Path) -> None:
    whole, folder = reader(8), tmp_path / "a"
    fit(whole, *some, epochs=4, validation=0.25)
    fit(reader(8), *some, epochs=2, validation=0.25, directory=folder)
    run = nv.resume(folder, *some, epochs=4, progress=False)
    assert (run.network.values == whole.values).all()
    assert set(run.history) > {"label_error_rate", "validation_label_error_rate"}

    spec = nv.load_spec(folder / "spec.toml")
    assert spec.training.loss == CTC(BLANK)
    kept = nv.load(folder / "model.safetensors")
    X, y = some
    assert kept.evaluate(X, y, loss=CTC(BLANK))["loss"] > 0
    record = nv.Record.read(folder)
    assert len(record["loss"]) > 0
    assert not nv.diagnose(folder, X, y).findings


def test_other_labels_are_another_run(some: Any, tmp_path: Path) -> None:
    X, y = some
    fit(reader(8), X, y, directory=tmp_path / "a")
    with pytest.raises(ValueError, match="target 0"):
        nv.resume(tmp_path / "a", X, [*y[1:], y[0][:1]], epochs=4, progress=False)


def test_weights_of_rows(some: Any) -> None:
    X, y = some
    weights = np.zeros(64)
    weights[:32] = 2.0
    left, whole = reader(8), reader(8)
    options: dict[str, Any] = {"optimizer": nv.SGD(0.01), "batch_size": 64, "epochs": 1}
    fit(left, X, y, sample_weight=weights, **options)
    fit(whole, X[np.arange(32)], y[:32], **(options | {"batch_size": 32}))
    np.testing.assert_allclose(left.values, whole.values, rtol=1e-4, atol=1e-6)


def test_every_way_of_training(some: Any) -> None:
    X, y = some
    runs = [
        fit(reader(8), X, y, optimizer=nv.LBFGS()),
        fit(reader(8), X, y, callbacks=[
            nv.EarlyStopping(patience=1, monitor="validation_label_error_rate")
        ], validation=0.25),
    ]  # fmt: skip
    for run in runs:
        assert run.history["loss"][-1] < run.history["loss"][0]


def test_jax_trains_as_the_engine_does() -> None:
    pytest.importorskip("jax")
    X, y = rows() * 4, LABELS * 4
    nets = [network(), network()]
    for net, executor in zip(nets, ("native", "jax"), strict=True):
        nv.fit(net, X, y, loss="ctc", epochs=2, batch_size=10, executor=executor,
               optimizer=nv.SGD(0.1), progress=False)  # fmt: skip
    np.testing.assert_allclose(nets[0].values, nets[1].values, rtol=1e-9, atol=1e-12)


def test_an_ensemble_answers_by_its_mean() -> None:
    X, loss = rows(), CTC()
    both = nv.Ensemble([network(), network()])
    both.members[1].values[:] *= 1.5
    found = both.evaluate(X, LABELS, loss=loss)
    p = both.predict(X)
    costs = [
        loss.formula(np, q[None], np.array([t or [0]]))[0]
        for q, t in zip(p, LABELS, strict=True)
    ]
    assert found["loss"] == pytest.approx(np.mean(costs))


def test_own_metrics_are_given_rows() -> None:
    def exact(target: Any, output: Any) -> float:
        pairs = zip(target, output, strict=True)
        return float(np.mean([list(t) == best_path(p).tolist() for t, p in pairs]))

    X, net = rows(), network()
    found = net.evaluate(X, LABELS, loss="ctc", metrics=[exact, "label_error_rate"])
    read = nv.ctc_decode(net.predict(X))
    pairs = zip(read, LABELS, strict=True)
    assert found["exact"] == np.mean([own.tolist() == labels for own, labels in pairs])
    assert found["label_error_rate"] == label_error_rate(LABELS, read)


def test_beside_another_output(some: Any) -> None:
    """One output reads the strip, another says how many digits it has."""
    X, y = some
    x = nv.Input((None, 8))
    h = nv.GRU(8, return_sequences=True)(x)
    number = nv.Dense(1)(nv.GRU(4)(h))
    net = nv.Network(
        inputs=x, outputs=[nv.Dense(BLANK + 1, "softmax")(h), number], seed=0
    )
    counts = np.array([[len(labels)] for labels in y], np.float32)
    run = nv.fit(
        net, X, [y, counts], loss=[CTC(BLANK), "mse"], epochs=2, progress=False
    )
    assert {name.rpartition("_")[2] for name in run.history} >= {"rate", "r2"}
    assert run.history["loss"][1] < run.history["loss"][0]


def test_images_read_by_their_rows(tmp_path: Path) -> None:
    """Rows of one length, changed as they are gathered, from a layer of steps."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(20, 12, 8, 1)).astype(np.float32)
    y = [[1, 2]] * 10 + [[3]] * 10
    layers = [
        nv.Input((12, 8, 1)),
        nv.Conv2D(4, 3, padding="same", activation="relu"),
        nv.MaxPool2D((2, 1)),
        nv.Reshape((6, -1)),
        nv.Dense(5, activation="log_softmax"),
    ]
    how: dict[str, Any] = {"loss": "ctc", "progress": False, "epochs": 3}
    run = nv.fit(nv.Network(layers, seed=0), X, y, optimizer=nv.Adam(0.01),
                 augmentation=[nv.augmentation.Shift(1)], validation=0.2,
                 metrics=["label_error_rate"], directory=tmp_path / "a", **how)  # fmt: skip
    losses = run.history["validation_loss"]
    assert losses[-1] < losses[0]
    spec = nv.load_spec(tmp_path / "a" / "spec.toml")
    assert spec.training.metrics == ("label_error_rate",)
    mixing = [nv.augmentation.Mixup()]
    with pytest.raises(
        ValueError, match="mixup with the loss ctc, which takes no shar"
    ):
        nv.fit(nv.Network(layers, seed=0), X, y, augmentation=mixing, **how)


def test_behind_a_frozen_layer(some: Any) -> None:
    X, y = some
    net = reader(8)
    net.freeze("bidirectional")
    kept = {name: np.array(view) for name, view in net.parameters.items()}
    run = fit(net, X, y)
    assert run.history["loss"][-1] < run.history["loss"][0]
    moved = [
        name for name, view in net.parameters.items() if (view != kept[name]).any()
    ]
    assert moved == ["dense.weight", "dense.bias"]


def test_rows_whose_alignments_fill_the_memory() -> None:
    X, y = [np.zeros((400_000, 3), np.float32)], [[1, 2] * 100_000]
    message = (
        "[ctc] the alignments of the longest row take 1,280.0 GB; expected at most"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        nv.fit(network(), X, y, loss="ctc", progress=False)
