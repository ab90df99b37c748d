# SPDX-License-Identifier: BSD-3-Clause
"""Transfer learning: frozen layers, other heads, rates by layer, cached features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.cli.app import run as cli
from nervure.executors import Model
from nervure.initializers import fans_of
from nervure.layers import LAYERS, Pass
from nervure.layers.source import Input
from nervure.spec.reading import parse_spec
from nervure.spec.tables import SpecError
from nervure.spec.written import write_spec
from nervure.training import trunk
from nervure.training.folder import RunFolderError
from nervure.training.prepare import prepare

RNG = np.random.default_rng(4)
X = RNG.normal(size=(48, 6, 6, 1)).astype(np.float32)
Y = (X[:, 1:4, 1:4].mean((1, 2, 3)) > 0).astype(np.int64)
QUICK: dict[str, Any] = {"epochs": 3, "batch_size": 8, "progress": False, "seed": 5}


def make(seed: int = 1, dtype: str = "float32") -> nv.Network:
    layers = [
        nv.Input((6, 6, 1)),
        nv.Conv2D(3, 3, activation="relu", name="block1_conv"),
        nv.BatchNorm(name="block1_norm"),
        nv.Conv2D(4, 3, activation="tanh", name="block2_conv"),
        nv.Flatten(),
        nv.Dropout(0.3),
        nv.Dense(5, activation="tanh", name="block10"),
        nv.Dense(2, activation="softmax", name="head"),
    ]
    net = nv.Network(layers, seed=seed, dtype=dtype)
    net.parameters["block1_norm.running_mean"][:] = [0.1, 0.2, 0.3]
    return net


def changed(net: nv.Network, before: nv.Network) -> set[str]:
    """Layers whose parameters are not what they were."""
    return {
        net.graph.nodes[s.node].group
        for s in net.layout.segments
        if (net.parameters[s.name] != before.parameters[s.name]).any()
    }


# -- freezing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "until", "frozen"),
    [
        (["block1"], None, {"block1_conv", "block1_norm"}),
        (["block1_conv"], None, {"block1_conv"}),
        (["block10", "head"], None, {"block10", "head"}),
        ([], "block10", {"block1_conv", "block1_norm", "block2_conv"}),
        (["block1_norm"], "head", {"block1_norm", "block2_conv", "block10"}),
        (["dropout"], None, set()),
    ],
)
def test_what_names_stand_for(names: list[str], until: Any, frozen: set[str]) -> None:
    net = make()
    net.freeze(*names, until=until)
    assert net.frozen == frozen
    net.unfreeze()
    assert not net.frozen


def test_one_layer_after_the_other() -> None:
    net = make()
    net.freeze("block1")
    net.freeze("head")
    net.unfreeze("block1_norm")
    assert net.frozen == {"block1_conv", "head"}
    net.unfreeze(until="block2")
    assert net.frozen == {"head"}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((["blok1"], None), "[freeze] unknown layer 'blok1'; did you mean 'block10'"),
        (([], None), "[freeze] no layer named; expected names of layers, or until="),
        (
            (["head"], "block1"),
            "until = 'block1' is not behind 'head'; expected a layer",
        ),
        (([], "input"), "until = 'input' is not behind 'input'"),
        (([3], None), "[freeze] 3 is no name of a layer; expected text, as 'head'"),
        (([""], None), "[freeze] unknown layer ''"),
    ],
)
def test_names_that_stand_for_nothing(given: Any, text: str) -> None:
    net = make()
    with pytest.raises(ValueError, match=r"^\[freeze\]") as error:
        net.freeze(*given[0], until=given[1])
    assert text in str(error.value)
    assert not net.frozen


@pytest.mark.parametrize("executor", ["native", "jax"])
@pytest.mark.parametrize(
    ("frozen", "learning"),
    [
        (["block1"], {"block2_conv", "block10", "head"}),
        (["block2", "head"], {"block1_conv", "block1_norm", "block10"}),
    ],
)
def test_frozen_layers_keep_their_weights(
    executor: str, frozen: list[str], learning: set[str]
) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    net = make()
    net.freeze(*frozen)
    before = net.copy()
    nv.fit(net, X, Y, executor=executor, optimizer=nv.AdamW(0.01), **QUICK)
    assert changed(net, before) == learning


def test_a_frozen_batch_norm_takes_its_running_statistics() -> None:
    """Its output while training is that of inference: so is the cost of a first step."""
    net = nv.Network(
        [nv.Input(3), nv.BatchNorm(), nv.Dense(1, name="y")], dtype="float64"
    )
    net.parameters["batch_norm.running_mean"] = [1.0, 2.0, 3.0]
    net.parameters["batch_norm.running_variance"] = [0.5, 2.0, 4.0]
    rows = np.arange(12.0).reshape(4, 3)
    costs = []
    for frozen in (False, True):
        one = net.copy()
        if frozen:
            one.freeze("batch_norm")
        wanted = one.evaluate(rows, np.ones(4), loss="mse")["loss"]
        run = nv.fit(one, rows, np.ones(4), loss="mse", epochs=1, progress=False)
        costs.append(abs(run.history["loss"][0] - wanted) < 1e-12)
        moved = (one.parameters["batch_norm.running_mean"] != [1.0, 2.0, 3.0]).any()
        assert moved == (not frozen)
    assert costs == [False, True]


def test_gradients_pass_a_frozen_batch_norm() -> None:
    """Below it something learns: dC/dx through running statistics, by differences."""
    net = make(dtype="float64")
    net.freeze("block1_norm")
    executor, objective = net.executor(), net.objective()
    from nervure.network.inputs import make_data

    data = make_data(net, X[:6].astype(float), Y[:6], objective)

    def cost() -> float:
        return executor.gradient(data, objective, training=True, seed=3)

    cost()
    analytic = net.gradients.copy()
    for name in ("block1_conv.weight", "block1_conv.bias"):
        segment = next(s for s in net.layout.segments if s.name == name)
        at, h = segment.offset + 1, 1e-5
        kept = net.values[at]
        found = []
        for k in (1, -1):
            net.values[at] = kept + k * h
            found.append(cost())
        net.values[at] = kept
        numeric = (found[0] - found[1]) / (2 * h)
        assert analytic[at] == pytest.approx(numeric, rel=1e-5, abs=1e-9)


def backward_steps(net: nv.Network) -> list[str]:
    plan = net.executor().planning.plan("train", 4, net.objective())  # type: ignore[attr-defined]
    pairs = zip(net.graph.nodes, plan.steps, strict=True)
    return [node.name for node, step in pairs if step.backward]


def test_the_backward_pass_ends_where_nothing_below_learns() -> None:
    net = make()
    assert backward_steps(net)[0] == "block1_conv"
    net.freeze(until="block10")
    assert backward_steps(net) == ["block10", "block10.activation", "head"]
    net.unfreeze("block1_conv")
    assert backward_steps(net)[:2] == ["block1_conv", "block1_conv.activation"]


def test_traces_show_everything_all_the_same() -> None:
    net = make()
    whole = net.trace(X[:4], Y[:4])["block1_conv"].gradient["weight"]
    net.freeze("block1", "block2", "block10")
    found = net.trace(X[:4], Y[:4])["block1_conv"].gradient["weight"]
    np.testing.assert_array_equal(found, whole)
    assert nv.check_gradients(net, X[:4], Y[:4], most=5).passed


def test_copies_files_and_words_know_what_is_frozen(tmp_path: Path) -> None:
    import pickle

    net = make()
    net.freeze("block1")
    net.save(tmp_path / "m.safetensors")
    again = nv.load(tmp_path / "m.safetensors")
    others = [net.copy(), net.astype("float64"), pickle.loads(pickle.dumps(net)), again]
    assert all(one.frozen == net.frozen for one in others)
    text = net.summary()
    assert "* frozen; " in text
    learn = net.layout.count - 30 - 12
    assert f"* frozen; {learn:,} parameters learn" in text
    assert "*" not in make().summary()


def test_a_file_that_freezes_what_it_has_not(tmp_path: Path) -> None:
    from nervure.network.modelfile import read_model, write_model

    path = tmp_path / "m.safetensors"
    make().save(path)
    tensors, document = read_model(path)
    write_model(path, tensors, {**document, "frozen": ["other"]})
    with pytest.raises(nv.ModelFileError, match=r"frozen: found \['other'\]; expected"):
        nv.load(path)


def test_everything_frozen_is_refused() -> None:
    net = make()
    net.freeze("block1", "block2", "block10", "head")
    with pytest.raises(ValueError, match="all layers with parameters are frozen"):
        nv.fit(net, X, Y, **QUICK)


def test_lbfgs_moves_only_what_learns() -> None:
    net = make()
    net.freeze(until="block10")
    before = net.copy()
    nv.fit(net, X, Y, optimizer="lbfgs", **QUICK)
    assert changed(net, before) == {"block10", "head"}


# -- heads -----------------------------------------------------------------------------


def test_another_head() -> None:
    net = make()
    net.freeze("block1", "head")
    other = net.replace_head(4)
    assert other.graph.output_shapes == ((4,),)
    assert other.frozen == {"block1_conv", "block1_norm"}
    same = {k for k in net.parameters if not k.startswith("head")}
    for name in same:
        np.testing.assert_array_equal(other.parameters[name], net.parameters[name])
    assert other.parameters["head.weight"].shape == (5, 4)
    assert other.parameters["head.weight"].std() > 0.1
    assert net.graph.output_shapes == ((2,),)  # as it was
    nv.fit(other, X, Y * 3, **QUICK)
    again, more = net.replace_head(2), net.replace_head(2, seed=9)
    found = [m.parameters["head.weight"] for m in (net, again, more)]
    assert (found[0] == found[1]).all()  # begun alike: nothing was trained yet
    assert (found[0] != found[2]).all()


def ending(*layers: nv.Layer) -> nv.Network:
    return nv.Network([nv.Input(3), nv.Dense(4, name="body"), *layers])


@pytest.mark.parametrize(
    ("layers", "classes", "kinds"),
    [
        ([nv.Dense(1, activation="logistic")], 3, ["dense", "softmax"]),
        ([nv.Dense(1, activation="sigmoid")], 1, ["dense", "activation"]),
        ([nv.Dense(1), nv.Activation("logistic")], 3, ["dense", "softmax"]),
        ([nv.Dense(7), nv.Softmax()], 3, ["dense", "softmax"]),
        ([nv.Dense(7, activation="log_softmax")], 2, ["dense", "log_softmax"]),
        ([nv.Dense(7)], 2, ["dense"]),
    ],
)
def test_heads_of_every_kind(layers: Any, classes: int, kinds: list[str]) -> None:
    net = ending(*layers).replace_head(classes)
    assert net.graph.output_shapes == ((classes,),)
    assert [n.layer.kind for n in net.graph.nodes][2:] == kinds


@pytest.mark.parametrize(
    ("net", "classes", "text"),
    [
        (
            ending(nv.BatchNorm()),
            3,
            "ends in 'batch_norm', a batch_norm; expected nv.De",
        ),
        (ending(nv.Dense(2, activation="softmax")), 0, "classes = 0; expected a whole"),
        (ending(nv.Dense(2, activation="softmax")), 1, "classes = 1 before a softmax"),
        (ending(nv.Dense(2)), 2.5, "classes = 2.5; expected a whole number"),
    ],
)
def test_heads_that_cannot_be_replaced(net: Any, classes: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"^\[replace_head\]") as error:
        net.replace_head(classes)
    assert text in str(error.value)


def test_several_outputs_have_no_head() -> None:
    x = nv.Input(2)
    net = nv.Network(inputs=x, outputs=[nv.Dense(1, name="a")(x), nv.Dense(2)(x)])
    with pytest.raises(ValueError, match=r"2 outputs \(a, dense\); expected one"):
        net.replace_head(3)


def test_the_head_of_a_published_architecture() -> None:
    net = nv.zoo.resnet20(classes=10, input_shape=(32, 32, 3))
    net.freeze("stem", until="block3")
    other = net.replace_head(3)
    assert other.graph.output_shapes == ((3,),)
    assert other.frozen == net.frozen
    assert {name.partition(".")[0] for name in net.frozen} >= {"block1", "block2"}
    assert not any(name.startswith("block3") for name in net.frozen)


# -- rates by layer --------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["native", "jax"])
def test_a_factor_scales_the_step(executor: str) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    steps = []
    for rates in (None, {"block1": 0.5, "block1_norm": 3.0}):
        net = make(dtype="float64")
        before = net.copy()
        given = {**QUICK, "epochs": 1, "batch_size": 48, "executor": executor}
        nv.fit(net, X, Y, optimizer=nv.SGD(0.1), learning_rates=rates, **given)
        names = [s.name for s in net.layout.segments if s.parameter.trainable]
        steps.append({n: net.parameters[n] - before.parameters[n] for n in names})
    for name, step in steps[1].items():
        factor = 0.5 if "1_conv" in name else 3.0 if "1_norm" in name else 1.0
        np.testing.assert_allclose(step, factor * steps[0][name], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        (
            {"blok1": 0.1},
            "[learning_rates] unknown layer 'blok1'; did you mean 'block10'",
        ),
        ({"head": 0}, "[learning_rates] head = 0; expected a finite number (> 0)"),
        ({"head": "fast"}, "[learning_rates] head = 'fast'; expected a finite number"),
        (0.1, "[learning_rates] 0.1; expected a table of factors by layer"),
    ],
)
def test_rates_that_do_not_fit(rates: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"^\[learning_rates\]") as error:
        nv.fit(make(), X, Y, learning_rates=rates, **QUICK)
    assert text in str(error.value)


def test_lbfgs_has_no_learning_rate() -> None:
    with pytest.raises(ValueError, match="lbfgs has no learning rate; expected an opt"):
        nv.fit(make(), X, Y, optimizer="lbfgs", learning_rates={"head": 2.0}, **QUICK)


# -- features --------------------------------------------------------------------------


def learner(net: nv.Network, **given: Any) -> trunk.Learner:
    objective = net.objective()
    prepared = prepare(net, X, Y, objective, validation=0.25)
    return trunk.learner_of(net, prepared, objective, "native", **given)


def test_features_of_a_frozen_trunk() -> None:
    net = make()
    net.freeze(until="block10")
    found = learner(net)
    assert found.cached
    nodes = [node.name for node in found.executor.model.graph.nodes]
    assert nodes[:3] == ["flatten", "dropout", "block10"]
    t = net.trace(X)
    np.testing.assert_allclose(
        found.data.inputs[0], t["flatten"].a, rtol=1e-5, atol=1e-6
    )
    assert found.validation is not None
    assert found.validation.inputs[0].shape == (12, 16)


@pytest.mark.parametrize(
    ("frozen", "given"),
    [
        ([], {}),
        (["block2"], {}),  # below it something learns
        (["block1", "block2"], {"changing": True}),
    ],
)
def test_where_there_is_no_trunk(frozen: list[str], given: Any) -> None:
    net = make()
    if frozen:
        net.freeze(*frozen)
    assert not learner(net, **given).cached


def test_what_is_too_large_is_computed_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = make()
    net.freeze("block1", "block2")
    monkeypatch.setattr(trunk, "FEATURE_BYTES", (48 + 12) * 16 * 4)
    assert learner(net).cached
    monkeypatch.setattr(trunk, "FEATURE_BYTES", (48 + 12) * 16 * 4 - 1)
    assert not learner(net).cached


def test_a_random_layer_ends_the_trunk() -> None:
    layers = [
        nv.Input(4),
        nv.Dense(3, name="a"),
        nv.Dropout(0.5),
        nv.Dense(3, name="b"),
    ]
    net = nv.Network([*layers, nv.Dense(2, activation="softmax")])
    net.freeze("a", "b")
    model = Model(
        net.graph, net.layout, net.values, net.gradients, frozenset({"a.weight"})
    )
    assert trunk.trunk_of(model) == {0}  # its bias learns
    assert trunk.trunk_of(net.executor().model) == {0, 1}


@pytest.mark.parametrize("optimizer", [nv.Adam(0.01), "lbfgs"])
@pytest.mark.parametrize("executor", ["native", "jax"])
def test_training_on_features_is_training_the_whole(
    executor: str, optimizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    found = []
    for limit in (trunk.FEATURE_BYTES, 0):
        monkeypatch.setattr(trunk, "FEATURE_BYTES", limit)
        net = make()
        net.freeze(until="block10")
        given = {**QUICK, "executor": executor, "optimizer": optimizer}
        run = nv.fit(net, X, Y, validation=0.25, **given)
        found.append((net.values.copy(), run.history))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    for name in ("loss", "validation_loss", "accuracy"):
        np.testing.assert_allclose(found[0][1][name], found[1][1][name], rtol=1e-4)


def test_a_trunk_with_two_ends() -> None:
    """A connection around the first layer that learns: both ends are features."""
    x = nv.Input(4)
    a = nv.Dense(3, activation="tanh", name="a")(x)
    b = nv.Dense(3, activation="tanh", name="b")(a)
    y = nv.Dense(2, activation="softmax", name="y")(nv.Concatenate()(b, nv.Add()(a, b)))
    net = nv.Network(inputs=x, outputs=y)
    net.freeze("a")
    rows = X[:, :4, 0, 0]
    objective = net.objective()
    found = trunk.learner_of(net, prepare(net, rows, Y, objective), objective, "native")
    assert found.executor.model.graph.nodes[0].name == "a.activation"
    net.unfreeze()
    net.freeze("b")
    assert not trunk.learner_of(
        net, prepare(net, rows, Y, objective), objective, "native"
    ).cached


def test_a_killed_run_on_features_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def stop(run: nv.Run) -> None:
        run.stop("here")

    given = {**QUICK, "validation": 0.25, "learning_rates": {"head": 2.0}}
    whole, cut = make(), make()
    for net in (whole, cut):
        net.freeze(until="block10")
    nv.fit(whole, X, Y, **given)
    nv.fit(cut, X, Y, callbacks=stop, directory=tmp_path / "a", **given)
    again = nv.resume(tmp_path / "a", X, Y, callbacks=(), progress=False)
    assert again.epoch == 3
    assert again.network.values.tobytes() == whole.values.tobytes()
    assert again.network.frozen == whole.frozen
    other = make()
    with pytest.raises(RunFolderError, match="trained with other frozen layers"):
        nv.fit(other, X, Y, directory=tmp_path / "a", resume=True, **given)


@pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.kind)
def test_layers_say_whether_they_draw(cls: Any) -> None:
    """Only a random layer's output in training depends on the seed."""
    if cls is Input or cls.composite:
        return
    for example in cls.examples():
        if example.layer.expand(*(Input(s) for s in example.inputs)) is not None:
            continue
        rng = np.random.default_rng(0)
        times = [(5,)] * example.layer.sequences + [()] * len(example.inputs)
        rows = [
            rng.normal(size=(64, *time, *shape))
            for time, shape in zip(times, example.inputs, strict=False)
        ]
        own = {
            p.name: p.initializer.sample(p.shape, fans_of(p.shape), rng)
            for p in example.layer.parameters(*example.inputs)
        }
        with np.errstate(all="ignore"):  # roots and logarithms of negative numbers
            found = [
                example.layer.formula(np, own, *rows, info=Pass(True, seed, 1, 2))
                for seed in (1, 2)
            ]
        if isinstance(found[0], tuple):  # the output, and further ones
            found = [np.concatenate([y.ravel() for y in one]) for one in found]
        assert np.array_equal(*found, equal_nan=True) or example.layer.random


# -- ensembles, specs and the command line ---------------------------------------------


def test_members_begin_from_the_frozen_layers() -> None:
    net = make()
    net.freeze("block1")
    ensemble = nv.Ensemble.of(net, 2, seed=30)
    assert changed(ensemble[0], net) == {"block2_conv", "block10", "head"}
    ensemble.fit(X, Y, **QUICK)
    assert "block1_norm" not in changed(ensemble[1], net)


SPEC = """
[[layer]]
type = "dense"
units = 6
activation = "relu"
name = "body"
[[layer]]
type = "dense"
units = 3
activation = "softmax"
[training]
epochs = 2
freeze = ["body"]
learning_rates = {dense = 0.5}
"""


def test_keys_of_the_spec() -> None:
    spec = parse_spec(SPEC)
    assert parse_spec(write_spec(spec)) == spec
    assert spec.training is not None
    given = spec.training.arguments()
    assert given["learning_rates"] == {"dense": 0.5}
    assert "freeze" not in given
    with pytest.raises(SpecError, match="did you mean 'freeze'"):
        parse_spec(SPEC.replace("freeze", "freze"))


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.toml").write_text(SPEC.replace('freeze = ["body"]\n', ""))
    words = ["train", "iris", "--spec", "net.toml", "-q"]
    assert cli([*words, "--out", "first"]) == 0
    (tmp_path / "more.toml").write_text(SPEC.replace("units = 3", "units = 178"))
    sets = ["--set", "training.weights=first/model.safetensors"]
    assert (
        cli([*words, "--out", "second", *sets, "--set", "training.freeze=[body]"]) == 2
    )
    capsys.readouterr()
    sets += ["--set", 'training.freeze=["body"]']
    assert cli([*words, "--out", "second", *sets]) == 0
    first, second = (
        nv.load(f"{name}/model.safetensors") for name in ("first", "second")
    )
    assert changed(second, first) == {"dense"}
    assert cli([*words, "--out", "both", "--ensemble", "2", *sets]) == 0
    for member in nv.load("both/model.safetensors"):
        assert changed(member, first) == {"dense"}
    assert second.frozen == {"body"}
    (tmp_path / "first" / "model.safetensors").rename(tmp_path / "gone")
    assert cli(["train", "--resume", "--out", "second", "-q"]) == 0
    assert cli(["inspect", "second"]) == 0
    assert "* frozen; 21 parameters learn" in capsys.readouterr().out
    assert cli([*words, "--out", "third", *sets]) == 2
    assert "first/model.safetensors] cannot be read" in capsys.readouterr().err


def test_weights_of_a_network_with_another_head(tmp_path: Path) -> None:
    from nervure.runs.loading import take_weights

    make().save(tmp_path / "m.safetensors")
    net = make(seed=2).replace_head(4)
    with pytest.warns(UserWarning, match="10 of 12 parameters taken; begun anew: head"):
        take_weights(net, tmp_path / "m.safetensors")
    assert changed(net, make().replace_head(4, seed=2)) == set()
    with pytest.raises(nv.ModelFileError, match="none of its weights fits"):
        take_weights(ending(nv.Dense(3)), tmp_path / "m.safetensors")
