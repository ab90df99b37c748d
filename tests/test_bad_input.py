# SPDX-License-Identifier: BSD-3-Clause
"""What a user of the Python API may get wrong, and what each error says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import nervure as nv
from nervure.layers import activation_names

ROWS = 60
rng = np.random.default_rng(0)
X = rng.normal(size=(ROWS, 4))
LABELS = rng.integers(0, 3, ROWS)
VALUES = rng.normal(size=ROWS)


def classifier(units: int = 3, **given: Any) -> nv.Network:
    hidden = nv.Dense(8, activation="relu")
    last = nv.Dense(units, activation="softmax" if units > 1 else "logistic")
    return nv.Network([nv.Input(4), hidden, last], **given)


def regressor(**given: Any) -> nv.Network:
    return nv.Network(
        [nv.Input(4), nv.Dense(8, activation="tanh"), nv.Dense(1)], **given
    )


def two_ends() -> nv.Network:
    a, b = nv.Input(2, name="a"), nv.Input(2, name="b")
    kinds = nv.Dense(3, activation="softmax", name="kind")(nv.Add()(a, b))
    return nv.Network(inputs=[a, b], outputs=[kinds, nv.Dense(1, name="size")(a)])


A, B = X[:, :2], X[:, 2:]
BOTH = {"kind": LABELS, "size": VALUES}


def fit(net: Any, data: Any = X, y: Any = LABELS, **given: Any) -> nv.Run:
    return nv.fit(net, data, y, **{"progress": False, "epochs": 1, **given})


def says(call: Callable[[], Any], message: str, kind: Any = ValueError) -> None:
    """The error is exactly this one, and worded as errors are."""
    with pytest.raises(kind) as caught:
        call()
    found = caught.value.args[0] if kind is KeyError else str(caught.value)
    assert found == message
    assert message.startswith("[")
    assert ";" in message


# -- inputs ----------------------------------------------------------------------------

NOT_ARRAYS = "expected rows of numbers; give an array, a list of rows or a data frame"
TEXT = "expected numbers; read tables with text through nervure.data.load"
FILL = (
    "expected finite numbers; drop the row or fill the value (nervure.data.load fills "
    "and flags missing values of a table)"
)
FRAME = "read the frame through nervure.data.load(frame, target=...), which encodes it"


def spoiled(value: Any) -> np.ndarray:
    data = X.astype(object) if value is None else X.copy()
    data[7, 2] = value
    return data


INPUTS: dict[str, tuple[Any, str]] = {
    "width": (
        X[:, :3],
        "[input] data of shape (60, 3); expected (rows, 4); reshape it, or change "
        "nv.Input(...)",
    ),
    "one axis": (
        X[:, 0],
        "[X] shape (60,); expected rows first, (rows, features); use reshape(-1, 1) "
        "for one feature or reshape(1, -1) for one row",
    ),
    "no rows": (
        X[:0],
        "[X] shape (0, 4) holds nothing; give at least 1 row and 1 feature",
    ),
    "nan": (spoiled(np.nan), f"[X] nan at X[7, 2]; {FILL}"),
    "infinite": (spoiled(-np.inf), f"[X] -inf at X[7, 2]; {FILL}"),
    "None among numbers": (spoiled(None), f"[X] NoneType None at X[7, 2]; {TEXT}"),
    "text": (X.astype(str), f"[X] text; {TEXT}"),
    "a path": ("people.csv", f"[X] text; {TEXT}"),
    "complex": (X + 1j, f"[X] complex; {TEXT}"),
    "None": (None, f"[X] NoneType; {NOT_ARRAYS}"),
    "generator": ((row for row in X), f"[X] generator; {NOT_ARRAYS}"),
    "ragged": (
        [[1.0, 2.0], [3.0]],
        None,
    ),
    "too large for float32": (
        X / np.abs(X).max() * 1e300,
        "[X] a value of size 1e+300; expected at most 3.4e38 for a float32 network; "
        'scale the column, or use nv.Network(..., dtype="float64")',
    ),
    "a mapping without the input": (
        {"inptu": X},
        "[network] no data for input 'input'; expected input; add it",
    ),
    "a frame with text": (
        pd.DataFrame(X, columns=list("abcd")).assign(b="x"),
        f"[X] column 'b' holds text ('x'); expected numbers; {FRAME}",
    ),
    "a frame with dates": (
        pd.DataFrame(X, columns=list("abcd")).assign(b=pd.Timestamp("2020-01-01")),
        f"[X] column 'b' holds dates; expected numbers; {FRAME}",
    ),
    "a frame with gaps": (
        pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [1, 2]}),
        "[X] column 'a' has a missing value in row 1; drop the row, fill the value, or "
        "use nervure.data.load, which fills and flags",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_do_not_fit(name: str) -> None:
    data, message = INPUTS[name]
    if message is None:
        with pytest.raises(ValueError, match=r"^\[X\] rows of different lengths or k"):
            fit(classifier(), data)
        return
    says(lambda: fit(classifier(), data), message)


@pytest.mark.parametrize("name", ["width", "nan", "None", "text"])
def test_every_method_checks_its_inputs(name: str) -> None:
    data, message = INPUTS[name]
    net = classifier()
    calls = (net.forward, net.predict, net.predict_classes, net.trace)
    for call in calls:
        says(lambda call=call: call(data), message)
    says(lambda: net.evaluate(data, LABELS), message)
    says(lambda: nv.find_learning_rate(net, data, LABELS), message)
    says(lambda: net.forward(data, executor="jax"), message)


# -- targets ---------------------------------------------------------------------------

ENCODE = (
    "use class indices (np.unique(y, return_inverse=True)), nervure.data.load, or an "
    "estimator"
)
TARGETS: dict[str, tuple[Any, Any, str]] = {
    "none": (
        classifier(),
        None,
        "[fit] no targets; expected y, or a Dataset from nervure.data.load; pass them "
        "as the third argument",
    ),
    "text": (
        classifier(),
        np.array(["a", "b", "c"])[LABELS],
        f"[y] text; expected numbers; {ENCODE}",
    ),
    "a series of text": (
        classifier(),
        pd.Series(["x", "y"] * 30),
        f"[y] the series holds text ('x'); expected numbers; {FRAME}",
    ),
    "nan": (regressor(), [0.5, np.nan] * 30, f"[y] nan at y[1]; {FILL}"),
    "a number": (
        classifier(),
        3,
        "[y] shape () holds nothing; give 1 target per row",
    ),
    "fewer": (
        classifier(),
        LABELS[:50],
        "[fit] 50 targets for 'dense_1', but 60 rows of inputs; expected as many; give "
        "exactly one target per row",
    ),
    "from 1": (
        classifier(),
        np.r_[1, 2, 3, LABELS[3:]],
        "[cross_entropy] target row 2 is class 3, but the network has 3 outputs "
        "(classes 0 to 2); recode the classes or give the last layer one unit per "
        "class",
    ),
    "negative": (
        classifier(),
        LABELS - 1,
        "[cross_entropy] target row 7 is class -1, but the network has 3 outputs "
        "(classes 0 to 2); recode the classes or give the last layer one unit per "
        "class",
    ),
    "values for classes": (
        classifier(),
        np.r_[0.5, LABELS[1:]],
        "[cross_entropy] target row 0 is 0.5, expected a class index; use whole "
        "numbers from 0, or a loss for regression such as mse",
    ),
    "columns": (
        classifier(),
        np.c_[LABELS, LABELS],
        "[cross_entropy] target of shape (60, 2) has 2 columns, but the network has 3 "
        "outputs; give one target column per output or change units of the last layer",
    ),
    "three classes, one output": (
        classifier(1),
        np.r_[0, 1, 2, LABELS[3:]],
        "[binary_cross_entropy] target row 2, column 0 is 2, expected a number in "
        "[0, 1]; recode the two answers as 0 and 1",
    ),
    "one class": (
        classifier(),
        np.ones(60, int),
        "[fit] all 60 rows have the target 1 for 'dense_1'; expected at least two "
        "classes; check y and how its rows were chosen",
    ),
    "one class of a yes-or-no": (
        classifier(1),
        np.zeros(60),
        "[fit] all 60 rows have the target [0.0] for 'dense_1'; expected at least two "
        "classes; check y and how its rows were chosen",
    ),
    "one class, one-hot": (
        classifier(),
        np.eye(3)[np.zeros(60, int)],
        "[fit] all 60 rows have the target [1.0, 0.0, 0.0] for 'dense_1'; expected at "
        "least two classes; check y and how its rows were chosen",
    ),
    "too large for float32": (
        regressor(),
        np.full(60, 1e300),
        "[y] a value of size 1e+300; expected at most 3.4e38 for a float32 network; "
        'scale the column, or use nv.Network(..., dtype="float64")',
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_do_not_fit(name: str) -> None:
    net, y, message = TARGETS[name]
    before = net.values.copy()
    says(lambda: fit(net, X, y), message)
    np.testing.assert_array_equal(net.values, before)


def test_one_class_among_the_rows_trained_on() -> None:
    y = np.zeros(60, int)
    train = np.setdiff1d(np.arange(60), [5])
    iris = nv.data.load("iris")
    given: Any = (X[[5]], [1])
    says(
        lambda: fit(classifier(), X[train], y[train], validation=given),
        "[fit] all 59 rows have the target 0 for 'dense_1'; expected at least two "
        "classes; check y and how its rows were chosen",
    )
    fit(classifier(), X[:1], [2])  # one row by itself may be learnt by heart
    assert classifier().evaluate(X, y)["accuracy"] <= 1  # and one class be measured
    says(
        lambda: fit(classifier(), iris, LABELS),
        "[fit] y beside a Dataset; expected its own targets; leave y out, or pass "
        "dataset.inputs and y",
    )


# -- what is accepted ------------------------------------------------------------------


def same(data: Any, y: Any, **given: Any) -> None:
    """Training on these is training on plain float32 arrays."""
    net, plain = classifier(), classifier()
    fit(net, data, y, **given)
    fit(plain, X.astype(np.float32), LABELS)
    np.testing.assert_allclose(net.values, plain.values, rtol=1e-6, atol=1e-7)


FRAME_OF_X = pd.DataFrame(X, columns=list("abcd"))
ACCEPTED: dict[str, tuple[Any, Any]] = {
    "lists": (X.tolist(), LABELS.tolist()),
    "float32": (X.astype(np.float32), LABELS),
    "float64": (X, LABELS.astype(np.int8)),
    "Fortran order": (np.asfortranarray(X), LABELS),
    "every second row": (np.repeat(X, 2, 0)[::2], np.repeat(LABELS, 2)[::2]),
    "other byte order": (X.astype(">f8"), LABELS.astype(">i4")),
    "objects": (X.astype(object), LABELS.astype(object)),
    "classes as floats": (X, LABELS.astype(float)),
    "a column of classes": (X, LABELS[:, None]),
    "one-hot": (X, np.eye(3, dtype=int)[LABELS]),
    "a mapping": ({"input": X}, {"dense_1": LABELS}),
    "images": (X.reshape(60, 2, 2), LABELS),
    "pandas": (FRAME_OF_X, pd.Series(LABELS)),
    "pandas, other index": (FRAME_OF_X, pd.Series(LABELS, index=range(100, 160))),
    "pandas frames": (FRAME_OF_X, pd.DataFrame({"y": LABELS})),
    "polars": (pl.DataFrame(X, schema=list("abcd")), pl.Series(LABELS)),
    "arrow": (pa.table(dict(zip("abcd", X.T, strict=True))), pa.array(LABELS)),
    "arrow, chunked": (
        pa.table(dict(zip("abcd", X.T, strict=True))),
        pa.chunked_array([LABELS[:9], LABELS[9:]]),
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_data_as_people_have_them(name: str) -> None:
    same(*ACCEPTED[name])


def test_memory_maps_are_not_copied(tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    (held,) = classifier().arrays(mapped)
    assert np.shares_memory(held, mapped)
    same(mapped, LABELS)


def test_bytes_stay_bytes() -> None:
    images = (np.abs(X) * 50).astype(np.uint8)
    (held,) = classifier().arrays(images)
    assert held is images
    fit(classifier(), images)


def test_weights_as_frames() -> None:
    ones = np.ones(60)
    for weights in (ones.tolist(), pd.Series(ones), pl.Series(ones), ones.astype(int)):
        same(X, LABELS, sample_weight=weights)


def test_single_metrics_and_callbacks_need_no_list() -> None:
    seen: list[int] = []
    run = fit(
        classifier(), metrics="f1", epochs=3, callbacks=lambda r: seen.append(r.epoch)
    )
    assert list(run.history) == ["loss", "f1", "learning_rate", "seconds"]
    assert seen == [1, 2, 3]
    stopping = nv.EarlyStopping(monitor="loss", min_delta=1e9, patience=1)
    assert fit(classifier(), epochs=9, callbacks=stopping).epoch == 2


def test_metrics_by_output() -> None:
    metrics = {"kind": ["accuracy", "f1"], "size": "mae"}
    run = fit(two_ends(), [A, B], BOTH, metrics=metrics)
    names = ["loss", "kind_accuracy", "kind_f1", "size_mae", "learning_rate", "seconds"]
    assert list(run.history) == names
    assert list(two_ends().evaluate([A, B], BOTH, metrics={"size": "mae"})) == [
        "loss",
        "size_mae",
    ]


def test_numbers_of_numpy_are_numbers() -> None:
    fit(
        classifier(),
        epochs=np.int64(1),
        batch_size=np.int32(8),
        validation=np.float32(0.25),
        seed=np.uint64(2**63),
    )
    net = nv.Network([nv.Input(np.int64(3)), nv.Dense(np.int32(2))], dtype=np.float64)
    assert (net.dtype, net.graph.output_shapes) == ("float64", ((2,),))
    assert type(net.graph.entries[1].layer.units) is int


def test_initializers_by_name() -> None:
    by_name = nv.Dense(3, initializer="he_normal", bias_initializer="zeros")
    assert by_name.initializer == nv.initializers.HeNormal()
    assert by_name == nv.Dense(
        3,
        initializer=nv.initializers.HeNormal(),
        bias_initializer=nv.initializers.Zeros(),
    )


# -- names that there are not, and things that are no such thing -----------------------

UNFIT: dict[str, tuple[Callable[[], Any], str]] = {
    "loss": (
        lambda: fit(classifier(), loss="cros_entropy"),
        "[loss] unknown loss 'cros_entropy'; did you mean 'cross_entropy' or "
        "'binary_cross_entropy'? Known: cross_entropy, binary_cross_entropy, cosine, "
        "ctc, focal, hinge, huber, kl, log_cosh, mae, mse, pinball, poisson, quadratic",
    ),
    "loss, a number": (
        lambda: fit(classifier(), loss=3),
        "[loss] found 3; expected a loss (a name or a table with 'type')",
    ),
    "loss, another class": (
        lambda: fit(classifier(), loss=dict),
        "[loss] found type <class 'dict'>; expected a loss (a name or a table with "
        "'type')",
    ),
    "loss of probabilities after nothing": (
        lambda: fit(regressor(), loss="cross_entropy"),
        "[cross_entropy] output layer 'dense_1' gives z, not probabilities of classes; "
        'add activation="softmax" to the last layer',
    ),
    "optimizer": (
        lambda: fit(classifier(), optimizer="adma"),
        "[optimizer] unknown optimizer 'adma'; did you mean 'adam' or 'nadam' or "
        "'adamw'? Known: adam, nadam, adamw, adadelta, adagrad, gradient_descent, "
        "lbfgs, lion, rmsprop, sgd",
    ),
    "optimizer, a class": (
        lambda: fit(classifier(), optimizer=nv.Adam),
        "[optimizer] the class Adam; expected an object of it; write Adam(...)",
    ),
    "optimizer, a key": (
        lambda: fit(classifier(), optimizer={"type": "adam", "lr": 0.1}),
        "[optimizer] lr: unknown key; Known: amsgrad, beta1, beta2, clip_norm, "
        "clip_value, epsilon, epsilon_hat, learning_rate, weight_decay",
    ),
    "metric": (
        lambda: fit(classifier(), metrics=["acuracy"]),
        "[metrics] unknown metric 'acuracy'; did you mean 'accuracy' or "
        "'top_k_accuracy' or 'auc'? Known: accuracy, top_k_accuracy, auc, "
        "average_precision, balanced_accuracy, f1, label_error_rate, log_loss, "
        "macro_f1, macro_precision, macro_recall, mae, mse, precision, r2, recall, rmse",
    ),
    "metric of classes": (
        lambda: fit(regressor(), y=np.r_[0.5, VALUES[1:]], metrics=["accuracy"]),
        "[metrics] accuracy for 'dense_1', whose target in row 0 is 0.5; expected "
        "classes; use r2, mae, mse, rmse",
    ),
    "metrics of an unknown output": (
        lambda: fit(classifier(), metrics={"dense_2": "f1"}),
        "[metrics] unknown output 'dense_2'; did you mean 'dense_1'? Known: dense_1",
    ),
    "activation": (
        lambda: nv.Network([nv.Input(4), nv.Dense(3, activation="thanh")]),
        "[activation] unknown activation 'thanh'; did you mean 'tanh' or 'tan' or "
        "'arctanh'? Known: tanh, tan, arctanh, "
        f"{', '.join(sorted({*activation_names()} - {'tanh', 'tan', 'arctanh'}))}",
    ),
    "initializer": (
        lambda: nv.Dense(3, initializer="he"),
        "[dense.initializer] unknown initializer 'he'; Known: constant, glorot_normal, "
        "glorot_uniform, he_normal, he_uniform, lecun_normal, lecun_uniform, normal, "
        "orthogonal, signs, truncated_normal, uniform, zeros",
    ),
    "initializer, a class": (
        lambda: nv.Dense(3, initializer=nv.initializers.HeNormal),
        "[dense.initializer] the class HeNormal; expected an object of it; write "
        "HeNormal(...)",
    ),
    "executor": (
        lambda: fit(classifier(), executor="jaxx"),
        "[executor] unknown executor 'jaxx'; did you mean 'jax'? Known: jax, native",
    ),
    "value to watch": (
        lambda: fit(classifier(), callbacks=nv.EarlyStopping(monitor="val_loss")),
        "[early_stopping] unknown value to monitor 'val_loss'; did you mean 'loss'? "
        "Known: loss, accuracy",
    ),
    "data set": (
        lambda: nv.data.load("digitz"),
        "[source] unknown data set or file 'digitz'; did you mean 'digits'? Known: "
        "digits, breast_cancer, diabetes, fashion_mnist, iris, mnist, wine",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_unknown_names_list_the_candidates(name: str) -> None:
    says(*UNFIT[name])


def test_unknown_keys_of_what_comes_back() -> None:
    net = classifier()
    says(
        lambda: fit(net).history["val_loss"],
        "[history] unknown series 'val_loss'; did you mean 'loss'? Known: loss, "
        "accuracy, learning_rate, seconds",
        KeyError,
    )
    says(
        lambda: net.parameters["dense.wieght"],
        "[parameters] unknown parameter 'dense.wieght'; did you mean 'dense.weight' or "
        "'dense_1.weight' or 'dense.bias'? Known: dense.weight, dense_1.weight, "
        "dense.bias, dense_1.bias",
        KeyError,
    )


# -- arguments of fit ------------------------------------------------------------------

ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "batch_size": (
        {"batch_size": 0},
        "[fit] batch_size = 0; expected a whole number (>= 1); change batch_size",
    ),
    "seed": (
        {"seed": 2**64},
        "[fit] seed = 18446744073709551616; expected a whole number (>= 0) and "
        "(<= 18446744073709551615); change seed",
    ),
    "threads": (
        {"threads": 10_000},
        "[fit] threads = 10000; expected a whole number (>= 1) and (<= 1024); change "
        "threads",
    ),
    "validation": (
        {"validation": 2.0},
        "[split] held-out fraction 2.0; expected a fraction in [0, 1); use 0.1 for a "
        "tenth",
    ),
    "validation, a whole number": (
        {"validation": 1},
        "[fit] validation = 1; expected a fraction in [0, 1), (X, y), (X, y, weights) "
        "or a Dataset; change validation=",
    ),
    "validation, inputs alone": (
        {"validation": X},
        "[fit] validation = ndarray; expected a fraction in [0, 1), (X, y), (X, y, "
        "weights) or a Dataset; change validation=",
    ),
    "validation of other width": (
        {"validation": (X[:, :2], LABELS)},
        "[input] data of shape (60, 2); expected (rows, 4); reshape it, or change "
        "nv.Input(...)",
    ),
    "sample_weight, length": (
        {"sample_weight": np.ones(5)},
        "[sample_weight] shape (5,), expected (60,); give one weight per row",
    ),
    "sample_weight, sign": (
        {"sample_weight": -np.ones(60)},
        "[sample_weight] row 0 weighs -1, expected a finite number >= 0; correct it, "
        "or use 0 to leave the row out",
    ),
    "sample_weight, zeros": (
        {"sample_weight": np.zeros(60)},
        "[weights] every row weighs 0; give some row a positive weight",
    ),
    "sample_weight, a word": (
        {"sample_weight": "balanced"},
        "[sample_weight] 'balanced', expected numbers; give one number per row",
    ),
    "sample_weight, ragged": (
        {"sample_weight": [[1], [1, 2]]},
        "[sample_weight] [[1], [1, 2]], expected numbers; give one number per row",
    ),
    "class_weight, a class": (
        {"class_weight": {5: 1.0}},
        "[class_weight] a weight for 5, but the classes are 0 to 2; use class indices "
        "as keys",
    ),
    "class_weight, a word": (
        {"class_weight": "balance"},
        "[class_weight] 'balance', expected 'balanced', a mapping or a sequence; use "
        '"balanced"',
    ),
    "class_weight, a word for a number": (
        {"class_weight": {0: "x"}},
        "[class_weight] 'x', expected numbers; give one number per class",
    ),
    "loss_weights, sign": (
        {"loss_weights": -1},
        "[loss weight] dense_1 = -1; expected a finite number (>= 0); change dense_1",
    ),
    "loss_weights, zero": (
        {"loss_weights": 0},
        "[loss weight] every loss weighs 0; expected a positive weight; change "
        "loss_weights=",
    ),
    "shuffle": (
        {"shuffle": "no"},
        "[fit] shuffle = 'no'; expected true or false; change shuffle",
    ),
    "two that stop early": (
        {"callbacks": [nv.EarlyStopping(), nv.EarlyStopping(patience=9)]},
        "[fit] two EarlyStopping callbacks; expected at most one; keep the one whose "
        "monitor matters",
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_fit(name: str) -> None:
    given, message = ARGUMENTS[name]
    net = classifier()
    before = net.values.copy()
    says(lambda: fit(net, **given), message)
    np.testing.assert_array_equal(net.values, before)


OTHER_TYPES: dict[str, tuple[Callable[[], Any], str]] = {
    "a list of layers as the network": (
        lambda: fit([1, 2]),
        "[fit] the network is [1, 2]; expected an nv.Network; pass it first, as in "
        "nv.fit(net, X, y)",
    ),
    "a number as a callback": (
        lambda: fit(classifier(), callbacks=[3]),
        "[fit] callback 3; expected nv.EarlyStopping, an nv.Callback or a function of "
        "the run; change callbacks=",
    ),
    "a class as a callback": (
        lambda: fit(classifier(), callbacks=[int]),
        "[fit] callback <class 'int'>; expected nv.EarlyStopping, an nv.Callback or a "
        "function of the run; change callbacks=",
    ),
    "a word as progress": (
        lambda: fit(classifier(), progress="no"),
        "[fit] progress = 'no'; expected true, false or a stream to write on; change "
        "progress",
    ),
}


@pytest.mark.parametrize("name", OTHER_TYPES)
def test_things_of_another_type(name: str) -> None:
    says(*OTHER_TYPES[name], TypeError)


@pytest.mark.parametrize("executor", ["native", "jax"])
def test_a_learning_rate_that_diverges(executor: str) -> None:
    net = regressor(seed=0)
    before = net.values.copy()
    given: dict[str, Any] = {"optimizer": nv.SGD(1e6), "epochs": 20}
    with pytest.raises(nv.DivergenceError) as caught:
        fit(net, y=VALUES, executor=executor, batch_size=6, **given)
    where, _, what = str(caught.value).partition(" became ")
    assert where in ("[dense] values", "[dense_1] values", "[loss] cost")
    assert what == (
        "infinite or NaN at learning rate 1e+06; expected finite numbers; lower the "
        "learning rate (try 1e+05), clip the gradient (clip_norm=1) or scale the "
        "inputs; the network keeps its weights from before training"
    )
    np.testing.assert_array_equal(net.values, before)


# -- several inputs and outputs --------------------------------------------------------

SEVERAL: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "one array for two inputs": (
        X,
        BOTH,
        {},
        "[network] 60 inputs; expected 2 (a, b); give one array for each",
    ),
    "nothing": (
        None,
        BOTH,
        {},
        "[network] 1 inputs; expected 2 (a, b); give one array for each",
    ),
    "an input missing": (
        {"a": A},
        BOTH,
        {},
        "[network] no data for input 'b'; expected a, b; add it",
    ),
    "other rows": (
        [A, B[:5]],
        BOTH,
        {},
        "[network] inputs have 60 and 5 rows; expected as many; give the same rows to "
        "each input",
    ),
    "nan in the second": ([A, B * np.nan], BOTH, {}, f"[b] nan at b[0, 0]; {FILL}"),
    "one target for two outputs": (
        [A, B],
        LABELS,
        {},
        "[network] 60 targets; expected 2 (kind, size); give one array for each",
    ),
    "a target missing": (
        [A, B],
        {"kind": LABELS},
        {},
        "[network] no targets for output 'size'; expected kind, size; add it",
    ),
    "nan in the second target": (
        [A, B],
        [LABELS, VALUES * np.nan],
        {},
        f"[size] nan at size[0]; {FILL}",
    ),
    "three losses": (
        [A, B],
        BOTH,
        {"loss": ["mse"] * 3},
        "[loss] 3 given; expected 2, one for each output (kind, size); give a list of "
        "that length",
    ),
    "a loss missing": (
        [A, B],
        BOTH,
        {"loss": {"kind": "cross_entropy"}},
        "[loss] no loss for output 'size'; expected one for each of kind, size; add it",
    ),
    "a loss for nothing": (
        [A, B],
        BOTH,
        {"loss": {"kinds": "cross_entropy"}},
        "[loss] unknown output 'kinds'; did you mean 'kind'? Known: kind, size",
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_inputs_and_outputs(name: str) -> None:
    inputs, targets, given, message = SEVERAL[name]
    says(lambda: fit(two_ends(), inputs, targets, **given), message)


def test_other_calls_on_several_outputs() -> None:
    net = two_ends()
    says(
        lambda: net.forward([A, B[:5]]),
        "[network] inputs have 60 and 5 rows; expected as many; give the same rows to "
        "each input",
    )
    says(
        lambda: net.predict_classes([A, B]),
        "[network] 2 outputs; expected one for predict_classes; use "
        "net.predict(X)[i].argmax(axis=1)",
    )


# -- networks --------------------------------------------------------------------------

FIRST = (
    "[graph] the first layer must say what comes in; expected nv.Input(shape); put "
    "e.g. nv.Input(784) first"
)
SEED = "expected a whole number (>= 0)"
x = nv.Input(2, name="x")
NETWORKS: dict[str, tuple[Callable[[], Any], str]] = {
    "no input": (lambda: nv.Network([nv.Dense(3)]), FIRST),
    "no layers": (lambda: nv.Network([]), FIRST),
    "nothing": (
        lambda: nv.Network(),
        "[network] expected a list of layers, or inputs= and outputs= of a graph; give "
        "one of the two",
    ),
    "one layer": (
        lambda: nv.Network(nv.Flatten()),
        "[graph] layers is Flatten(name=None); expected a list of layers; write e.g. "
        "nv.Network([nv.Input(4), nv.Dense(3)])",
    ),
    "sizes": (
        lambda: nv.Network([784, 30, 10]),
        "[graph] layer 0 is 784; expected a layer; write e.g. nv.Dense(3)",
    ),
    "a name for a layer": (
        lambda: nv.Network([nv.Input(3), "relu"]),
        "[graph] layer 1 is 'relu'; expected a layer; write e.g. nv.Dense(3)",
    ),
    "a class for a layer": (
        lambda: nv.Network([nv.Input(3), nv.Flatten]),
        "[graph] layer 1 is <class 'nervure.layers.reshape.Flatten'>; expected a "
        "layer; write e.g. nv.Dense(3)",
    ),
    "a name twice": (
        lambda: nv.Network([nv.Input(3), nv.Dense(2, name="a"), nv.Dense(2, name="a")]),
        "[graph] two layers are named 'a'; expected different names; change one",
    ),
    "a number as a name": (
        lambda: nv.Network([nv.Input(3), nv.Dense(2, name=3)]),
        "[graph] layer name 3; expected a word without slashes, of at most "
        "200 characters; change it",
    ),
    "a list called on": (
        lambda: nv.Network(inputs=x, outputs=nv.Add()([x])),
        "[graph] [Input(name='x', shape=(2,), time=False)] is used as a layer's input; "
        "expected layers called on each other, one argument for each; write e.g. "
        "nv.Add()(a, b)",
    ),
    "a number called on": (
        lambda: nv.Network(inputs=x, outputs=nv.Dense(2)(3.0)),
        "[graph] 3.0 is used as a layer's input; expected layers called on each other, "
        "one argument for each; write e.g. nv.Add()(a, b)",
    ),
    "a layer not called": (
        lambda: nv.Network(inputs=x, outputs=nv.Dense(2)),
        "[graph] layer 'dense' is used as a value; expected a layer called on its "
        "inputs, as in nv.Dense(8)(x); call it",
    ),
    "another layer as an input": (
        lambda: nv.Network(inputs=nv.Flatten(), outputs=nv.Dense(2)(x)),
        "[graph] inputs= holds Flatten(name=None); expected nv.Input(...) alone; name "
        "the places where data enter",
    ),
    "an input twice": (
        lambda: nv.Network(inputs=[x, x], outputs=nv.Dense(2)(x)),
        "[graph] inputs= holds the same nv.Input twice; expected each once; remove one",
    ),
    "no outputs": (
        lambda: nv.Network(inputs=x, outputs=[]),
        "[graph] outputs= is empty; expected at least one layer called on its inputs; "
        "name what the network gives",
    ),
    "rows into a layer along time": (
        lambda: nv.Network([nv.Input(2), nv.LSTM(1)]),
        "[lstm 'lstm'] input of shape (2,), expected a sequence (time, features); begin "
        "with nv.Input((None, features)), or bring it into shape with "
        "nv.Reshape((time, features))",
    ),
    "seed": (
        lambda: regressor(seed=-1),
        f"[network] seed = -1; {SEED}; change seed",
    ),
    "seed, none": (
        lambda: regressor(seed=None),
        f"[network] seed = None; {SEED}; change seed",
    ),
    "dtype": (
        lambda: regressor(dtype="float16"),
        "[network] unknown dtype 'float16'; did you mean 'float64' or 'float32'? "
        "Known: float64, float32",
    ),
    "parameters of another shape": (
        lambda: regressor().parameters.__setitem__("dense.bias", [1.0]),
        "[parameters] 'dense.bias' is given shape (1,); expected (8,); reshape it",
    ),
    "parameters of text": (
        lambda: regressor().parameters.__setitem__("dense.bias", "ones"),
        "[parameters] 'dense.bias' is given 'ones'; expected numbers of shape (8,); "
        "give an array of them",
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_are_none(name: str) -> None:
    says(*NETWORKS[name])


LAYERS: dict[str, tuple[Callable[[], Any], str]] = {
    "units 0": (lambda: nv.Dense(0), "[dense] units = 0; use at least 1 unit"),
    "units 2.5": (
        lambda: nv.Dense(2.5),
        "[dense] units = 2.5; use a whole number as units",
    ),
    "units None": (
        lambda: nv.Dense(None),
        "[dense] units = None; use a whole number as units",
    ),
    "units True": (
        lambda: nv.Dense(True),
        "[dense] units = True; use a whole number as units",
    ),
    "input 0": (lambda: nv.Input(0), "[input] shape (0,); use extents of at least 1"),
    "input 2.0": (
        lambda: nv.Input(2.0),
        "[input] shape = 2.0; use a whole number as shape",
    ),
    "input with None": (
        lambda: nv.Input((3, None)),
        "[input] shape = None; use a whole number as shape",
    ),
    "dropout 1": (
        lambda: nv.Dropout(1.0),
        "[dropout] rate = 1.0; use a fraction in [0, 1)",
    ),
    "dropout text": (
        lambda: nv.Dropout("a lot"),
        "[dropout] rate = 'a lot'; use a fraction in [0, 1)",
    ),
    "slice": (
        lambda: nv.Slice(0.5),
        "[slice] begin = 0.5; use a whole number as begin",
    ),
    "reshape": (
        lambda: nv.Reshape((2, "x")),
        "[reshape] shape = 'x'; use a whole number as shape",
    ),
    "axis": (
        lambda: nv.Concatenate(axis=None),
        "[concatenate] axis = None; use a whole number as axis",
    ),
    "alpha": (
        lambda: nv.Activation("elu", alpha="1"),
        "[activation] alpha = '1'; use a number of at least 0",
    ),
    "constant": (
        lambda: nv.Constant("1"),
        "[constant] value = '1'; use a finite number",
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_cannot_be(name: str) -> None:
    says(*LAYERS[name])


def test_perceptrons_are_not_trained() -> None:
    net = nv.Network([nv.Input(4), nv.Dense(1, activation="heaviside")])
    says(
        lambda: fit(net),
        "[dense.activation] heaviside has derivative 0 wherever it exists, so "
        "backpropagation learns nothing through it; train with "
        'activation="logistic" (its smooth version) or set the weights by hand',
    )


# -- after training on a data set ------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> nv.Network:
    net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")])
    nv.fit(net, nv.data.load("iris"), epochs=1, progress=False)
    return net


def test_rows_for_prediction_are_the_rows_of_training(trained: nv.Network) -> None:
    says(
        lambda: trained.predict([["a", "b", "c", "d"]]),
        "[rows] column 'sepal length (cm)' holds text ('a'); expected numbers, as in "
        "training; convert the column",
    )
    with pytest.raises(ValueError, match=r"^\[rows\] an array of shape \(1, 3\); expe"):
        trained.predict([[1, 2, 3]])


def test_a_dataset_that_does_not_fit_the_network() -> None:
    iris = nv.data.load("iris")
    says(
        lambda: fit(nv.Network([nv.Input(5), nv.Dense(3)]), iris, None),
        "[input] data of shape (150, 4); expected (rows, 5); reshape it, or change "
        "nv.Input(...)",
    )
    says(
        lambda: fit(classifier(2), iris, None),
        "[cross_entropy] target row 100 is class 2, but the network has 2 outputs "
        "(classes 0 to 1); recode the classes or give the last layer one unit per "
        "class",
    )


def test_a_network_is_evaluated_on_a_dataset_alone(trained: nv.Network) -> None:
    iris = nv.data.load("iris")
    found = trained.evaluate(iris)
    assert found == trained.evaluate(iris.inputs, iris.targets)
