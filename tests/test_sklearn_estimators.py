# SPDX-License-Identifier: BSD-3-Clause
"""NeuralNetClassifier, NeuralNetRegressor, AutoencoderTransformer, in scikit-learn."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import (
    load_digits,
    load_iris,
    make_multilabel_classification,
    make_regression,
)
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import nervure as nv
from nervure.sklearn import (
    AutoencoderTransformer,
    MLPClassifier,
    MLPRegressor,
    NeuralNetClassifier,
    NeuralNetRegressor,
    TableEncoder,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")

ALL = [MLPClassifier, MLPRegressor, NeuralNetClassifier, NeuralNetRegressor]
CLASSIFIERS = [MLPClassifier, NeuralNetClassifier]


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return StandardScaler().fit_transform(X)[order], y[order]


def net(**settings: object) -> NeuralNetClassifier:
    settings = {"random_state": 0, "epochs": 60, **settings}
    return NeuralNetClassifier([nv.Dense(16, activation="tanh")], **settings)


@parametrize_with_checks(
    [
        NeuralNetClassifier(),
        NeuralNetRegressor(),
        AutoencoderTransformer(),
        TableEncoder(),
    ]
)
def test_scikit_learn_checks(estimator, check) -> None:
    check(estimator)


def test_nervure_alone_does_not_import_scikit_learn() -> None:
    code = "import sys, nervure; nervure.fit; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- layers ---------------------------------------------------------------------------


def build(shape: tuple[int, ...], outputs: int) -> list:
    return [nv.Dense(5, activation="relu"), nv.Dense(outputs, activation="softmax")]


LAYERS = {
    "none": (None, ["dense", "activation", "dense", "softmax"]),
    "hidden": ([nv.Dense(5)], ["dense", "dense", "softmax"]),
    "whole": ([nv.Dense(3, activation="softmax")], ["dense", "softmax"]),
    "with input": ([nv.Input(4), nv.Dense(5)], ["dense", "dense", "softmax"]),
    "relu of three is hidden": (
        [nv.Dense(3, activation="relu")],
        ["dense", "activation", "dense", "softmax"],
    ),
    "function": (build, ["dense", "activation", "dense", "softmax"]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    layers, kinds = LAYERS[name]
    X, y = iris()
    model = NeuralNetClassifier(layers, epochs=2, random_state=0).fit(X, y)
    assert [n.layer.kind for n in model.network_.graph.nodes][1:] == kinds
    assert model.predict_proba(X).shape == (150, 3)


def test_a_network_is_copied_with_its_weights() -> None:
    X, y = iris()
    given = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=3)
    before = given.values.copy()
    model = NeuralNetClassifier(given, epochs=1, optimizer=nv.SGD(1e-9)).fit(X, y)
    np.testing.assert_array_equal(given.values, before)
    np.testing.assert_allclose(model.network_.values, before, atol=1e-6)


def test_a_network_that_has_run_can_be_cloned_and_sent_to_processes() -> None:
    X, y = iris()
    given = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=3)
    wanted = given.forward(X)
    model = NeuralNetClassifier(given, epochs=1)
    for copy in (clone(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(copy.layers.forward(X), wanted)
        assert copy.layers.values.ctypes.data % 64 == 0
        copy.fit(X, y)
    np.testing.assert_array_equal(given.forward(X), wanted)


def test_a_spec_file(tmp_path) -> None:
    text = '[[layer]]\ntype = "dense"\nunits = 3\nactivation = "softmax"\n'
    (tmp_path / "net.toml").write_text(text)
    X, y = iris()
    model = NeuralNetClassifier(tmp_path / "net.toml", epochs=2).fit(X, y)
    assert model.network_.layout.count == 15


def test_rows_take_the_shape_of_the_input() -> None:
    X, y = load_digits(return_X_y=True)
    layers = [nv.Input((8, 8)), nv.Flatten(), nv.Dense(10, activation="softmax")]
    model = NeuralNetClassifier(layers, epochs=3, random_state=0).fit(X / 16, y)
    assert model.predict(X[:5] / 16).shape == (5,)


def test_a_network_with_other_outputs_is_refused() -> None:
    X, y = iris()
    given = nv.Network([nv.Input(4), nv.Dense(5, activation="softmax")])
    message = (
        r"\[layers\] the network gives 'dense' of shape \(5,\); expected 3 outputs"
    )
    with pytest.raises(ValueError, match=message.replace("'dense'", ".*")):
        NeuralNetClassifier(given).fit(X, y)


def test_layers_of_another_kind_are_refused() -> None:
    X, y = iris()
    with pytest.raises(ValueError, match=r"\[layers\] 16; expected a list of layers"):
        NeuralNetClassifier(16).fit(X, y)


# -- targets --------------------------------------------------------------------------


def test_two_classes_are_one_logistic_output() -> None:
    X, y = iris()
    labels = np.where(y > 0, "yes", "no")
    model = net().fit(X, labels)
    assert model.network_.graph.output_shapes == ((1,),)
    assert model.score(X, labels) == 1
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_two_classes_of_a_softmax() -> None:
    X, y = iris()
    model = NeuralNetClassifier(
        [nv.Dense(2, activation="softmax")], epochs=60, batch_size=16, random_state=0
    )
    assert model.fit(X, y > 0).predict_proba(X).shape == (150, 2)
    assert model.score(X, y > 0) > 0.95


def test_several_labels() -> None:
    X, Y = make_multilabel_classification(n_samples=80, random_state=0)
    model = net(epochs=200, batch_size=16, optimizer=nv.Adam(0.01)).fit(X, Y)
    assert model.predict_proba(X).shape == Y.shape
    assert model.score(X, Y) > 0.8


def test_hinge_gives_scores_and_no_probabilities() -> None:
    X, y = iris()
    model = net(loss="hinge").fit(X, y)
    assert model.score(X, y) > 0.9
    assert not hasattr(model, "predict_proba")


def test_several_values() -> None:
    X, Y = make_regression(n_samples=100, n_targets=3, random_state=0)
    Y = Y / Y.std()
    model = NeuralNetRegressor(epochs=300, batch_size=16, random_state=0).fit(X, Y)
    assert model.predict(X).shape == (100, 3)
    assert model.score(X, Y) > 0.9


def test_quantiles(rng: np.random.Generator) -> None:
    X = rng.uniform(-1, 1, size=(2000, 1))
    y = X[:, 0] + rng.normal(size=2000)
    loss = nv.losses.Pinball((0.1, 0.5, 0.9))
    model = NeuralNetRegressor(
        [nv.Dense(8, activation="tanh")], loss=loss, epochs=60, random_state=0
    ).fit(X, y)
    below = (y[:, None] < model.predict(X)).mean(axis=0)
    np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.04)


def test_counts(rng: np.random.Generator) -> None:
    X = rng.uniform(-1, 1, size=(300, 1))
    y = rng.poisson(np.exp(1 + X[:, 0])).astype(float)
    model = NeuralNetRegressor(loss="poisson", random_state=0).fit(X, y)
    assert model.predict(X).min() > 0


# -- weights --------------------------------------------------------------------------


def test_class_weight_moves_the_border(rng: np.random.Generator) -> None:
    X = rng.normal(size=(400, 2))
    y = np.where(X[:, 0] + rng.normal(size=400) > 1, "rare", "common")
    plain = net().fit(X, y).predict(X)
    weighed = net(class_weight={"rare": 10.0}).fit(X, y).predict(X)
    balanced = net(class_weight="balanced").fit(X, y).predict(X)
    assert (weighed == "rare").sum() > (balanced == "rare").sum()
    assert (balanced == "rare").sum() > (plain == "rare").sum()


def test_class_weight_is_sample_weight() -> None:
    X, y = iris()
    by_class = net(class_weight={0: 3.0}).fit(X, y)
    by_row = net().fit(X, y, sample_weight=np.where(y == 0, 3.0, 1.0))
    np.testing.assert_array_equal(by_class.predict_proba(X), by_row.predict_proba(X))


def test_class_weight_leaves_metrics_plain() -> None:
    X, y = iris()
    held = {"eval_set": (X[:40], y[:40])}
    model = net(class_weight={0: 9.0}, metrics=["accuracy"], epochs=5)
    found = model.fit(X[40:], y[40:], **held).history_["validation_accuracy"][-1]
    assert found == pytest.approx(model.score(X[:40], y[:40]))


def test_held_out_rows_are_weighed_as_the_training_rows() -> None:
    X, y = iris()
    weights = np.where(y == 0, 3.0, 1.0)
    by_class = net(class_weight={0: 3.0}).fit(X, y, eval_set=(X, y))
    by_row = net().fit(X, y, sample_weight=weights, eval_set=(X, y, weights))
    assert by_class.history_["validation_loss"] == by_row.history_["validation_loss"]


# -- parameters within parameters -----------------------------------------------------


def test_a_search_over_what_parameters_are_described_by() -> None:
    X, y = iris()
    grid = {
        "optimizer": ["sgd", nv.Adam()],
        "optimizer__learning_rate": [1e-6, 0.05],
        "layers__0__units": [2, 16],
    }
    model = net(epochs=8)
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    best = search.best_estimator_
    assert best.optimizer.learning_rate == 0.05
    assert best.network_.graph.nodes[1].layer.units == best.layers[0].units
    assert model.layers[0].units == 16  # the given one is untouched


def test_parameters_within_parameters_are_listed_and_set() -> None:
    schedule = nv.schedules.Exponential(0.1, factor=0.5)
    model = net(
        optimizer=nv.SGD(schedule),
        regularizer=nv.L2(0.1),
        early_stopping=4,
        loss="huber",
    )
    assert model.get_params()["loss"] == "huber"  # as it was given
    deep = model.get_params()
    assert deep["optimizer__learning_rate"] == schedule
    assert deep["optimizer__learning_rate__factor"] == 0.5
    assert deep["regularizer__strength"] == 0.1
    assert deep["early_stopping__patience"] == 4
    assert deep["loss__delta"] == 1.0
    assert deep["layers__0__units"] == 16
    assert not any("__" in name for name in model.get_params(deep=False))
    model.set_params(optimizer__learning_rate__factor=0.25, early_stopping__patience=2)
    assert model.optimizer.learning_rate.factor == 0.25
    assert model.early_stopping == nv.EarlyStopping(patience=2)
    assert schedule.factor == 0.5
    assert clone(model).get_params() == model.get_params()
    again = clone(model).set_params(**model.get_params())
    assert again.loss == nv.Huber()  # what the name stood for, its parts set
    encoder = net(table_encoder=TableEncoder()).set_params(
        table_encoder__numbers="robust"
    )
    assert encoder.table_encoder.numbers == "robust"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("optimizer__lr", r"\[optimizer\] unknown parameter 'lr'; .*learning_rate"),
        ("layers__1__units", r"\[layers\] unknown parameter '1'; "),
        ("loss__delta", r"\[loss\] None, which has no parameter 'delta'; .*set loss="),
        ("scheduler__rate", "Invalid parameter 'scheduler'"),
    ],
)
def test_parameters_that_are_not_there(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        net().set_params(**{name: 1})


def test_what_is_wrong_is_left_to_fit() -> None:
    model = net(optimizer="adan")
    assert "optimizer__learning_rate" not in model.get_params()
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        model.fit(*iris())


# -- images ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("layers", [[nv.Conv2D(4, 3), nv.Flatten()], "lenet1"])
def test_images(rng: np.random.Generator, dtype: type, layers: object) -> None:
    images = rng.integers(0, 9, size=(40, 28, 28, 1)).astype(dtype)
    y = images.mean(axis=(1, 2, 3)) > 4
    model = NeuralNetClassifier(layers, epochs=1, random_state=0).fit(images, y)
    assert model.network_.graph.input_shapes == ((28, 28, 1),)
    assert model.network_.dtype == ("float64" if dtype == np.float64 else "float32")
    flat = NeuralNetClassifier("lenet1", epochs=1, random_state=0)
    if layers == "lenet1" and dtype == np.float32:
        flat.fit(images.reshape(40, -1), y)
        np.testing.assert_array_equal(
            flat.predict_proba(images.reshape(40, -1)), model.predict_proba(images)
        )
    with pytest.raises(
        ValueError, match=r"shape \(28, 14, 2\); expected \(28, 28, 1\)"
    ):
        model.predict(images.reshape(40, 28, 14, 2))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(images), model.predict(images))


# -- training -------------------------------------------------------------------------


def test_early_stopping_on_an_eval_set() -> None:
    X, y = iris()
    model = net(epochs=500, early_stopping=3, optimizer=nv.Adam(0.05))
    model.fit(X[:60], y[:60], eval_set=(X[60:], y[60:]))
    losses = model.history_["validation_loss"]
    assert model.n_iter_ == len(losses) < 500
    assert model.best_epoch_ == int(np.argmin(losses)) == len(losses) - 4
    assert "validation_loss has not improved for 3 epochs" in model.stopped_
    found = model.network_.evaluate(X[60:], y[60:])["loss"]
    assert found == pytest.approx(min(losses))


def test_early_stopping_holds_rows_out() -> None:
    X, y = iris()
    model = net(epochs=5, early_stopping=True, validation_fraction=0.2).fit(X, y)
    assert "validation_loss" in model.history_
    model = net(epochs=5, early_stopping=True, validation_fraction=0).fit(X, y)
    assert "validation_loss" not in model.history_


def test_callbacks_and_metrics() -> None:
    X, y = iris()
    seen: list[int] = []
    model = net(
        epochs=4, metrics=["accuracy"], callbacks=[lambda r: seen.append(r.epoch)]
    )
    model.fit(X, y)
    assert seen == [1, 2, 3, 4]
    assert len(model.history_["accuracy"]) == 4


@pytest.mark.skipif(
    not hasattr(NeuralNetClassifier, "set_callbacks"), reason="scikit-learn before 1.9"
)
def test_callbacks_of_scikit_learn() -> None:
    class Counting:
        begun = ended = 0

        def setup(self, estimator, context) -> None:
            pass

        def teardown(self, estimator, context) -> None:
            pass

        def on_fit_task_begin(self, estimator, context) -> None:
            self.begun += context.task_name == "epoch"

        def on_fit_task_end(self, estimator, context) -> bool:
            self.ended += context.task_name == "epoch"
            return self.ended == 3

    X, y = iris()
    counting = Counting()
    model = net(epochs=10)
    model.set_callbacks(counting)
    assert model.fit(X, y).n_iter_ == 3
    assert (counting.begun, counting.ended) == (3, 3)


def test_warm_start_goes_on() -> None:
    X, y = iris()
    cold, warm = net(epochs=5), net(epochs=5, warm_start=True)
    for _ in range(3):
        cold.fit(X, y)
        warm.fit(X, y)
    assert warm.loss_ < cold.loss_
    with pytest.raises(ValueError, match="classes not in"):
        warm.fit(X, y + 5)


def test_partial_fit_keeps_the_optimizer_and_survives_pickle() -> None:
    X, y = iris()
    whole = net(epochs=6, batch_size=40).fit(X, y)
    parts = net(epochs=6, batch_size=40)
    for _ in range(6):
        parts.partial_fit(X, y, classes=[0, 1, 2])
        parts = pickle.loads(pickle.dumps(parts))
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    assert parts.n_iter_ == 6
    assert parts.loss_curve_ == whole.loss_curve_


def test_partial_fit_stops_early_on_an_eval_set() -> None:
    X, y = iris()
    given = {"epochs": 300, "early_stopping": 3, "optimizer": nv.Adam(0.05)}
    held = (X[60:], y[60:])
    whole = net(**given).fit(X[:60], y[:60], eval_set=held)
    parts = net(**given)
    calls = 0
    while getattr(parts, "stopped_", None) is None:
        parts.partial_fit(X[:60], y[:60], classes=[0, 1, 2], eval_set=held)
        calls += 1
    assert calls == whole.n_iter_
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    parts.partial_fit(X[:60], y[:60], eval_set=held)
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))


def test_partial_fit_before_all_classes_are_seen() -> None:
    X, y = iris()
    model = net()
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(X, y)
    model.partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, y, classes=[0, 1])
    assert not hasattr(net(optimizer="lbfgs"), "partial_fit")


def test_the_same_random_state_gives_the_same_bits_on_any_threads() -> None:
    X, y = load_digits(return_X_y=True)
    one, two = (
        NeuralNetClassifier(
            [nv.Dense(128, activation="relu"), nv.Dropout(0.2)],
            epochs=2,
            random_state=4,
            n_threads=threads,
        ).fit(X, y)
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    other = clone(one).set_params(random_state=5).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), one.predict_proba(X))


def test_dtype() -> None:
    X, y = iris()
    assert net(epochs=1).fit(X, y).network_.dtype == "float64"
    assert net(epochs=1).fit(X.astype(np.float32), y).network_.dtype == "float32"
    assert net(epochs=1, dtype="float32").fit(X, y).network_.dtype == "float32"


def test_bad_arguments_are_named() -> None:
    X, y = iris()
    with pytest.raises(ValueError, match="'epochs' parameter"):
        net(epochs=0).fit(X, y)
    with pytest.raises(ValueError, match=r"\[early_stopping\] 'yes'; expected True"):
        net(early_stopping="yes").fit(X, y)
    with pytest.raises(ValueError, match=r"\[eval_set\] expected \(X, y\)"):
        net().fit(X, y, eval_set=X)


def test_many_fits_hold_no_memory() -> None:
    X, y = iris()
    model = NeuralNetClassifier([nv.Dense(8)], epochs=2, random_state=0)
    for _ in range(3):
        clone(model).fit(X, y).predict(X)
    tracemalloc.start()
    for i in range(100):
        clone(model).fit(X, y).predict(X[: 1 + i])
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 200_000


@pytest.mark.parametrize("executor", ["native", "jax"])
def test_executors_agree(executor: str) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    X, y = iris()
    settings = {"epochs": 3, "batch_size": 50, "dtype": "float32"}
    found = net(executor=executor, **settings).fit(X, y).predict_proba(X)
    wanted = net(**settings).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


# -- scikit-learn around it -----------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ALL)
def test_pickle_is_data_and_predicts_the_same(estimator: type) -> None:
    X, y = iris()
    model = estimator(random_state=0).fit(X, y)
    text = pickle.dumps(model)
    np.testing.assert_array_equal(pickle.loads(text).predict(X), model.predict(X))
    state = model.__getstate__()
    assert not any(isinstance(value, nv.Network) for value in state.values())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_grid_search(estimator: type, backend: str) -> None:
    import joblib

    X, y = iris()
    steps = make_pipeline(StandardScaler(), estimator(random_state=0))
    name = estimator.__name__.lower()
    size = "batch_size"
    search = GridSearchCV(steps, {f"{name}__{size}": [10, 50]}, cv=3, n_jobs=2)
    with joblib.parallel_backend(backend):
        search.fit(X, y)
    assert search.best_score_ > 0.9
    alone = GridSearchCV(steps, search.param_grid, cv=3).fit(X, y)
    np.testing.assert_array_equal(
        alone.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_calibration_importance_and_cross_validation(estimator: type) -> None:
    X, y = iris()
    model = estimator(random_state=0)
    assert cross_validate(model, X, y, cv=3)["test_score"].min() > 0.85
    assert CalibratedClassifierCV(model, cv=3).fit(X, y).score(X, y) > 0.85
    fitted = model.fit(X, y)
    found = permutation_importance(fitted, X, y, n_repeats=2, random_state=0)
    assert found.importances_mean.argmax() in (2, 3)


def test_sample_weight_and_eval_set_are_routed() -> None:
    X, y = iris()
    weights = np.where(y == 0, 5.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = net().set_fit_request(sample_weight=True, eval_set=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, model)
        pipe.fit(X, y, sample_weight=weights, eval_set=(X, y))
    assert "validation_loss" in pipe[-1].history_


def test_data_frames(rng: np.random.Generator) -> None:
    pd = pytest.importorskip("pandas")
    X, y = iris()
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = net().fit(frame, pd.Series(y))
    assert model.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(model.predict(frame), net().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("abdc")])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


# -- autoencoder ----------------------------------------------------------------------


def test_autoencoder_learns_a_code(rng: np.random.Generator) -> None:
    hidden = rng.normal(size=(300, 2))
    X = np.tanh(hidden @ rng.normal(size=(2, 8)))
    model = AutoencoderTransformer(2, epochs=300, batch_size=32, random_state=0)
    codes = model.fit_transform(X)
    again = model.inverse_transform(codes)
    assert codes.shape == (300, 2)
    assert ((again - X) ** 2).mean() < 0.1 * X.var()
    np.testing.assert_allclose(again, model.network_.forward(X), rtol=1e-10)


def test_autoencoder_with_own_layers_names_its_columns_and_pickles() -> None:
    X, _ = iris()
    model = AutoencoderTransformer(
        3,
        encoder=[nv.Dense(6, activation="tanh")],
        decoder=[],
        epochs=2,
        random_state=0,
    ).set_output(transform="pandas")
    frame = model.fit_transform(X)
    wanted = [f"autoencodertransformer{i}" for i in range(3)]
    assert frame.columns.tolist() == wanted
    again = pickle.loads(pickle.dumps(model.set_params(n_components=2)))
    np.testing.assert_array_equal(again.transform(X), frame)
    with pytest.raises(ValueError, match="X has 2 columns; expected a code of 3"):
        again.inverse_transform(np.zeros((1, 2)))


VARIANTS = {
    "plain": {},
    "denoising": {"noise": 0.1, "masking": 0.1},
    "l1": {"l1": 0.01},
    "sparsity": {"sparsity": (0.2, 0.1)},
    "contraction": {"contraction": 0.01},
    "variational": {"beta": 0.01},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_autoencoder_of_each_kind_scores_rows(variant: str) -> None:
    """The very network of nv.Autoencoder; a pickle of it goes on."""
    X, _ = iris()
    model = AutoencoderTransformer(
        2, epochs=40, random_state=0, early_stopping=20, **VARIANTS[variant]
    ).fit(X)
    scores = model.score_samples(X)
    np.testing.assert_allclose(scores, -model.autoencoder_.score(X), rtol=1e-6)
    assert scores.mean() > model.score_samples(X[:, ::-1]).mean()
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    again = pickle.loads(pickle.dumps(model.set_params(warm_start=True, epochs=2)))
    np.testing.assert_array_equal(again.score_samples(X), scores)
    model.fit(X)
    again.fit(X)
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    assert (model.score_samples(X) != scores).any()


def test_a_variational_autoencoder_draws_rows() -> None:
    X, _ = iris()
    model = AutoencoderTransformer(2, beta=0.1, epochs=20, random_state=0).fit(X)
    rows = model.sample(5, random_state=1)
    assert rows.shape == (5, 4)
    np.testing.assert_array_equal(rows, model.sample(5, random_state=1))
    assert not hasattr(AutoencoderTransformer(), "sample")
    with pytest.raises(ValueError, match="'masking' parameter of Autoencoder"):
        AutoencoderTransformer(masking=1.0).fit(X)


def test_rows_of_one_class_may_come_first() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 3)), np.repeat(["a", "b", "c"], 30)
    for model in (NeuralNetClassifier(random_state=0), MLPClassifier(random_state=0)):
        for begin in range(0, 90, 30):
            rows = slice(begin, begin + 30)
            model.partial_fit(X[rows], y[rows], classes=["a", "b", "c"])
        assert [*model.classes_] == ["a", "b", "c"]
        assert model.predict_proba(X).shape == (90, 3)
    with pytest.raises(ValueError, match="expected at least two classes"):
        nv.fit(
            nv.Network([nv.Input(3), nv.Dense(2, activation="softmax")]), X, y == "d"
        )
