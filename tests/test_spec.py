# SPDX-License-Identifier: BSD-3-Clause
"""Specs: round trips over every registry, and every fault with its key."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nervure as nv
from nervure.base import plain, toml
from nervure.base.described import default_of, hints_of, kinds_of
from nervure.graph.node import Entry, layer_to_dict, names_of
from nervure.graph.written import entries_of, graph_of
from nervure.initializers import INITIALIZERS, Constant, HeNormal, Initializer, Normal
from nervure.layers import (
    LAYERS,
    Activation,
    Concatenate,
    Dense,
    Input,
    activation_names,
)
from nervure.losses import LOSSES, CrossEntropy, Huber, Loss
from nervure.metrics import METRICS
from nervure.optimizers import (
    OPTIMIZERS,
    SCHEDULES,
    Adam,
    Optimizer,
    Schedule,
    optimizer,
)
from nervure.optimizers.schedules import Cosine, WarmUp
from nervure.regularizers import REGULARIZERS, Regularizer
from nervure.spec.reading import apply_sets, load_spec, parse_spec
from nervure.spec.tables import DataSpec, Spec, SpecError, TrainingSpec
from nervure.spec.written import save_spec, spec_to_dict, write_spec
from nervure.training import EarlyStopping, fit

SMALL = """
[data]
source = "digits"
validation = 0.1

[[layer]]
type = "dense"
units = 100
activation = "relu"

[[layer]]
type = "dense"
units = 10
activation = "softmax"

[training]
loss = "cross_entropy"
optimizer = {type = "adam", learning_rate = 0.01}
batch_size = 64
epochs = 20
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "net.toml")
    return str(caught.value).splitlines()


def layer_spec(*lines: str) -> str:
    return "[[layer]]\n" + "\n".join(lines) + "\n"


# -- round trips ----------------------------------------------------------------------


def test_the_design_s_example() -> None:
    spec = parse_spec(SMALL)
    assert spec.data == DataSpec("digits", validation=0.1)
    assert spec.layers[0] == Entry(Dense(100, activation="relu"))
    assert spec.training is not None
    assert spec.training.optimizer == Adam(0.01)
    assert spec.training.loss == CrossEntropy()
    assert (spec.training.batch_size, spec.training.epochs) == (64, 20)


def test_written_as_people_write_it() -> None:
    assert write_spec(parse_spec(SMALL)) == SMALL.lstrip()


SAMPLES: dict[Any, Any] = {int: 3, float: 0.25, str: "a", bool: True, Any: 0.5}


def made(cls: Any) -> list[Any]:
    """Objects of a class: its examples, else one with sample values where required."""
    if hasattr(cls, "examples"):
        rows = cls.examples()
        return [getattr(row, "layer", None) or row.loss for row in rows]
    hints = hints_of(cls)
    required = [
        f
        for f in dataclasses.fields(cls)
        if f.init and default_of(f) is dataclasses.MISSING
    ]
    return [cls(**{f.name: sample(hints[f.name]) for f in required})]


def sample(hint: Any) -> Any:
    """A value of an annotation."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in SAMPLES:
        return SAMPLES[hint]
    if origin in (tuple, list, Sequence):
        size = 1 if len(args) == 1 or args[-1] is Ellipsis else len(args)
        return tuple(sample(arg) for arg in args[:size])
    if hasattr(hint, "kind"):
        return made(kinds_of(hint)[0])[0]
    return sample(args[0])


REGISTRIES = [
    *((Loss, cls) for cls in LOSSES),
    *((Optimizer, cls) for cls in OPTIMIZERS),
    *((Schedule, cls) for cls in SCHEDULES),
    *((Initializer, cls) for cls in INITIALIZERS),
    *((Regularizer, cls) for cls in REGULARIZERS),
]


def name(value: object) -> str:
    return value.__name__ if isinstance(value, type) else ""


@pytest.mark.parametrize("cls", LAYERS, ids=name)
def test_every_layer_survives_toml(cls: Any) -> None:
    layers = made(cls)
    layers += [dataclasses.replace(layer, name="own") for layer in layers[:1]]
    for layer in layers:
        entries = (Entry(Input(4)), Entry(layer, layer.name or "", None))
        text = write_spec(Spec(entries))
        assert parse_spec(text) == Spec(entries), text


@pytest.mark.parametrize(("base", "cls"), REGISTRIES, ids=name)
def test_every_described_class_survives_toml(base: Any, cls: Any) -> None:
    for value in made(cls):
        table = toml.parse(toml.write({"value": plain.write(value, base)}))
        faults = plain.Faults("test")
        assert plain.read(base, table["value"], faults.at()) == value, faults.lines


@pytest.mark.parametrize(("base", "cls"), REGISTRIES, ids=name)
def test_every_numeric_field_survives_toml(base: Any, cls: Any) -> None:
    """Not only defaults: each number is moved a little and comes back moved."""
    for value in made(cls):
        for field in dataclasses.fields(value):
            old = getattr(value, field.name)
            if not isinstance(old, float | bool):
                continue
            new = (not old) if isinstance(old, bool) else old * 1.03125
            try:
                moved = dataclasses.replace(value, **{field.name: new})
            except ValueError:  # out of the field's range
                continue
            table = toml.parse(toml.write({"v": plain.write(moved, base)}))["v"]
            faults = plain.Faults("test")
            assert plain.read(base, table, faults.at()) == moved, faults.lines


@pytest.mark.parametrize(("base", "cls"), REGISTRIES, ids=name)
def test_every_unknown_key_is_refused(base: Any, cls: Any) -> None:
    table = {"type": cls.kind, **plain.write_fields(made(cls)[0]), "wrong_key": 1}
    faults = plain.Faults("test")
    assert plain.read(base, table, faults.at("value")) is plain.BAD
    assert faults.lines[0].startswith("[test] value.wrong_key: unknown key; ")


FULL = Spec(
    layers=(
        Entry(Input((8, 8)), "x"),
        Entry(
            Dense(
                3,
                activation=Activation("leaky_relu", alpha=0.2),
                initializer=HeNormal(),
                bias_initializer=Constant(0.1),
                name="a",
            ),
            "a",
            ("x",),
        ),
        Entry(Dense(2, initializer=Normal(std=0.01)), "", ("x",)),
        Entry(Concatenate(name="both"), "both", ("a", "dense")),
    ),
    data=DataSpec("rows.csv", target=("a", "b"), validation=0.1, test=0.25),
    training=TrainingSpec(
        loss=(CrossEntropy(), Huber(delta=2.0)),
        optimizer=Adam(WarmUp(Cosine(0.1, epochs=3.0), steps=5)),
        metrics=("accuracy",),
        early_stopping=EarlyStopping(3, "loss", 1e-4),
        loss_weights=(1.0, 0.5),
        class_weight={"0": 1.0, "a b": 2.0},
        max_seconds=1.5,
        seed=2**63,
        executor="jax",
    ),
    outputs=("both", "dense"),
    dtype="float64",
)


def _named(spec: Spec) -> Spec:
    """As `parse_spec` gives it: layers carry their entries' names."""
    from nervure.graph.entries import with_name

    return dataclasses.replace(spec, layers=tuple(map(with_name, spec.layers)))


def test_a_full_spec_survives() -> None:
    assert parse_spec(write_spec(FULL)) == _named(FULL)


def test_tables_survive_too() -> None:
    assert parse_spec(spec_to_dict(FULL)) == _named(FULL)


def test_writing_is_stable() -> None:
    text = write_spec(FULL)
    assert write_spec(parse_spec(text)) == text


def test_schedules_nest() -> None:
    for cls in SCHEDULES:
        optimizer = Adam(learning_rate=made(cls)[0])
        spec = Spec(
            (Entry(Dense(1)),), training=TrainingSpec(CrossEntropy(), optimizer)
        )
        assert parse_spec(write_spec(spec)) == spec


def test_shorthand_is_a_name() -> None:
    assert layer_to_dict(Dense(2, initializer=HeNormal()))["initializer"] == "he_normal"


def test_a_layer_as_activation_is_not_taken_for_a_name() -> None:
    table = layer_to_dict(Dense(2, activation=Activation("relu")))
    assert table["activation"] == {"type": "activation", "function": "relu"}


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    spec = Spec((Entry(Dense(np.int64(3))),), DataSpec(test=np.float64(0.5)))  # type: ignore[arg-type]
    assert write_spec(spec).split("\n")[1::4] == ["test = 0.5", "units = 3"]


def test_files(tmp_path: Path) -> None:
    path = save_spec(FULL, tmp_path / "spec.toml")
    assert load_spec(path) == _named(FULL)
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert load_spec(path) == parse_spec(SMALL)


def test_code_is_not_written() -> None:
    from nervure.losses import CustomLoss

    training = TrainingSpec(CustomLoss(lambda output, target: (0.0, output)))
    with pytest.raises(SpecError) as caught:
        write_spec(Spec((Entry(Dense(1)),), training=training))
    assert str(caught.value).startswith("[spec] training.loss.function is function <")
    assert str(caught.value).endswith("code cannot be written to a file")


# -- faults ---------------------------------------------------------------------------


def test_all_faults_at_once() -> None:
    text = """
    [dta]
    [[layer]]
    type = "dense"
    units = "many"
    activation = 3
    [[layer]]
    type = "dens"
    [[layer]]
    type = "dense"
    unitz = 10
    [training]
    loss = "cross_entrpy"
    optimizer = {type = "adam", learning_rate = "fast", beta3 = 1}
    epochs = true
    """
    lines = faults_of(text)
    keys = [line.split(": ")[0] for line in lines]
    assert keys == [
        "[net.toml] dta",
        "[net.toml] training.loss",
        "[net.toml] training.optimizer.beta3",
        "[net.toml] training.optimizer.learning_rate",
        "[net.toml] training.epochs",
        "[net.toml] layer[0].units",
        "[net.toml] layer[0].activation",
        "[net.toml] layer[1].type",
        "[net.toml] layer[2].unitz",
        "[net.toml] layer[2].units",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            layer_spec('type = "dense"', "units = 3", "unitz = 4"),
            "layer[0].unitz: unknown key; did you mean 'units' or 'initializer'? "
            "Known: units, initializer, activation, bias, bias_initializer, name",
        ),
        (
            layer_spec('type = "dense"'),
            "layer[0].units: missing; expected an integer; add units = ...",
        ),
        (
            layer_spec('type = "dense"', 'units = "3"'),
            "layer[0].units: found text '3'; expected an integer",
        ),
        (
            layer_spec('type = "dense"', "units = true"),
            "layer[0].units: found true; expected an integer",
        ),
        (
            layer_spec('type = "dense"', "units = 3.0"),
            "layer[0].units: found 3.0; expected an integer",
        ),
        (
            layer_spec('type = "dense"', "units = 3", 'activation = "rellu"'),
            "layer[0]: unknown activation 'rellu'; did you mean 'relu' or 'relu6' or "
            "'prelu'? Known: relu, relu6, prelu, "
            f"{', '.join(sorted({*activation_names()} - {'relu', 'relu6', 'prelu'}))}",
        ),
        (
            layer_spec('type = "dense"', "units = 0"),
            "layer[0]: units = 0; use at least 1 unit",
        ),
        (
            layer_spec('type = "dense"', "units = 1e400"),
            "layer[0].units: found inf; expected a finite number",
        ),
        (
            layer_spec('type = "dense"', "units = 99999999999999999999"),
            "layer[0].units: 99999999999999999999 is too large; expected at most 64 "
            "bits",
        ),
        (
            layer_spec('type = "dense"', "units = 3", "initializer = 0"),
            "layer[0].initializer: found 0; expected an initializer (a name or a table "
            "with 'type')",
        ),
        (
            layer_spec('type = "dense"', "units = 3", "initializer = {std = 1.0}"),
            "layer[0].initializer.type: missing; expected one of constant, "
            "glorot_normal, glorot_uniform, he_normal, he_uniform, lecun_normal, "
            "lecun_uniform, normal, orthogonal, signs, truncated_normal, uniform, zeros",
        ),
        (
            layer_spec(
                'type = "dense"',
                "units = 3",
                'initializer = {type = "normal", std = -1}',
            ),
            "layer[0].initializer: std = -1.0; expected a finite number (>= 0); change "
            "std",
        ),
        (
            layer_spec('type = "reshape"', 'shape = [2, "x"]'),
            "layer[0].shape[1]: found text 'x'; expected an integer",
        ),
        (
            layer_spec('type = "reshape"', "shape = 1979-05-27"),
            "layer[0].shape: found date datetime.date(1979, 5, 27); expected a list "
            "(each: an integer)",
        ),
        (
            "layer = 3",
            "layer: found 3; expected at least one [[layer]] table, or [network]",
        ),
        (
            "[data]",
            "layer: missing; expected at least one [[layer]] table, or [network]",
        ),
        ("layer = [3]", "layer[0]: found 3; expected a table with 'type'"),
        (
            SMALL.replace("0.1", "1.5"),
            "data: validation = 1.5; expected a finite number (>= 0) and (< 1); change "
            "validation",
        ),
        (
            SMALL.replace('"cross_entropy"', "3"),
            "training.loss: found 3; expected a loss (a name or a table with 'type')",
        ),
        (
            SMALL.replace('"cross_entropy"', '{type = "pinball", quantil = 0.5}'),
            "training.loss.quantil: unknown key; did you mean 'quantile'? Known: "
            "quantile",
        ),
        (
            SMALL + 'metrics = ["accurate"]',
            "training: unknown metric 'accurate'; did you mean 'accuracy' or "
            "'top_k_accuracy'? Known: accuracy, top_k_accuracy, "
            + ", ".join(sorted(set(METRICS) - {"accuracy", "top_k_accuracy"})),
        ),
        (
            SMALL + 'executor = "gpu"',
            "training.executor: unknown value 'gpu'; Known: jax, native",
        ),
        (
            SMALL + "metrics = 1",
            "training.metrics: found 1; expected a list (each: text)",
        ),
        (
            SMALL + "early_stopping = {patience = 0}",
            "training.early_stopping: patience = 0; expected a finite number (>= 1); "
            "change patience",
        ),
        ("dtype = 32\n" + SMALL, "dtype: unknown value 32; Known: float32, float64"),
        (
            'outputs = ["dens"]\n' + SMALL,
            "outputs[0]: unknown layer 'dens'; did you mean 'dense' or 'dense_1'? "
            "Known: dense, dense_1, input",
        ),
    ],
)
def test_each_fault_has_its_key(text: str, line: str) -> None:
    assert faults_of(text)[0] == f"[net.toml] {line}"


def test_several_bad_values_of_one_table() -> None:
    text = SMALL.replace("batch_size = 64", "batch_size = 0").replace("20", "-1")
    assert faults_of(text) == [
        "[net.toml] training: batch_size = 0; expected a finite number (>= 1); change "
        "batch_size",
        "[net.toml] training: epochs = -1; expected a finite number (>= 1); change "
        "epochs",
    ]


def test_names_and_inputs() -> None:
    text = """
    [[layer]]
    type = "dense"
    name = "a"
    units = 3
    inputs = ["inputt"]
    [[layer]]
    type = "dense"
    name = "a"
    units = 3
    inputs = ["input", "a"]
    """
    assert faults_of(text) == [
        "[net.toml] layer[0].name: 'a' names 2 layers; expected one for each; rename "
        "it",
        "[net.toml] layer[0].inputs[0]: unknown layer 'inputt'; did you mean 'input'? "
        "Known: input, a",
        "[net.toml] layer[1].name: 'a' names 2 layers; expected one for each; rename "
        "it",
        "[net.toml] layer[1].inputs: found 2 names; expected 1",
    ]


def test_an_input_layer_that_is_not_first() -> None:
    text = layer_spec('type = "dense"', "units = 3") + layer_spec(
        'type = "input"', "shape = 3"
    )
    assert faults_of(text) == [
        "[net.toml] layer[0]: nothing feeds it; expected an input; put the input layer "
        "first, or give inputs"
    ]


def test_automatic_names() -> None:
    entries = [
        Entry(Dense(1)),
        Entry(Dense(1), "dense_1"),
        Entry(Dense(1)),
    ]
    assert names_of(entries) == ["dense", "dense_1", "dense_2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[[layer]]\nunits = = 3",
            "[net.toml] line 2, column 9: invalid value; expected TOML, such as: units "
            "= 100",
        ),
        (
            "a = 1" + "0" * 5000,
            "[net.toml] Exceeds the limit (4300 digits) for integer string conversion",
        ),
        ("a = " + "[" * 5000, "[net.toml] nested too deeply; expected a few levels"),
        *(
            (
                part * 30 + "a = 1",
                "[net.toml] a key has more than 24 parts; expected a few; shorten it",
            )
            for part in ("a.", "a . ", '"a b".', "'a'.", r'"a\"b".')
        ),
        (
            "a = " + "[" * 60 + "]" * 60,
            "[net.toml] tables are nested more than 24 deep; expected fewer",
        ),
        (
            "#" * (1 << 21),
            "[net.toml] larger than 1 MiB; expected a spec of some kilobytes; check "
            "that this is the right file",
        ),
    ],
)
def test_text_that_is_no_spec(text: str, message: str) -> None:
    assert faults_of(text)[0].startswith(message)


def test_too_many_layers_and_faults() -> None:
    many = layer_spec('type = "softmax"') * 10_001
    assert faults_of(many) == ["[net.toml] layer: found 10001; expected at most 10000"]
    wrong = faults_of(layer_spec('type = "dense"') * 500)
    assert len(wrong) == 51
    assert wrong[-1] == "... and more"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "no.toml"
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value) == (
        f"[{path}] cannot be read: no such file or directory; expected a spec file "
        "(TOML); check the path"
    )
    path.write_bytes(b"\x80\x81")
    with pytest.raises(SpecError, match="byte 0 is not UTF-8; expected a spec"):
        load_spec(path)
    path.write_bytes(b"\x80" * (2 << 20))
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        load_spec(path)
    with pytest.raises(SpecError, match="cannot be read: is a directory"):
        load_spec(tmp_path)


# -- graphs and fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    "net",
    [
        lambda: nv.Network([nv.Input(4), nv.Dense(3, activation="relu"), nv.Dense(2)]),
        lambda: nv.Network([nv.Input(4), nv.Dense(3, name="a"), nv.Dense(2)]),
        lambda: skip_network(),
    ],
)
def test_graphs_survive_the_spec(net: Any) -> None:
    graph = net().graph
    text = write_spec(Spec(entries_of(graph), outputs=graph.output_names))
    spec = parse_spec(text)
    again = graph_of(spec.layers, spec.outputs)
    assert [n.name for n in again.nodes] == [n.name for n in graph.nodes]
    assert [n.inputs for n in again.nodes] == [n.inputs for n in graph.nodes]
    assert again.output_names == graph.output_names


def skip_network() -> nv.Network:
    """Two outputs, one of which feeds the other; a bias node; names of all kinds."""
    x = nv.Input(4)
    hidden = nv.Dense(3, activation="tanh", name="hidden")(x)
    one = nv.Constant()
    skip = nv.Concatenate()(x, hidden, one)
    first = nv.Dense(2)(skip)
    return nv.Network(inputs=x, outputs=[first, nv.Dense(1)(first)])


def test_a_plain_sequence_is_written_plainly() -> None:
    net = nv.Network([nv.Input(4), nv.Dense(3, activation="relu"), nv.Dense(2)])
    assert write_spec(Spec(entries_of(net.graph))).split("\n\n") == [
        '[[layer]]\ntype = "input"\nshape = [4]',
        '[[layer]]\ntype = "dense"\nunits = 3\nactivation = "relu"',
        '[[layer]]\ntype = "dense"\nunits = 2\n',
    ]


def test_an_input_is_put_first() -> None:
    graph = graph_of(parse_spec(SMALL).layers, input_shape=(64,))
    assert [entry.name for entry in graph.entries] == ["input", "dense", "dense_1"]
    assert graph.entries[1].inputs == ("input",)


def test_training_takes_what_fit_takes() -> None:
    """Every argument of fit is a key of [training] with the same default."""
    given = {
        name: parameter.default
        for name, parameter in inspect.signature(fit).parameters.items()
    }
    elsewhere = (
        "network X y validation callbacks sample_weight directory resume augmentation"
    )
    for name in [*elsewhere.split(), "progress", "threads"]:
        del given[name]
    given["optimizer"] = optimizer(given["optimizer"])
    assert TrainingSpec().arguments() == {**given, "callbacks": []}


def test_class_weights_by_label_and_by_index() -> None:
    spec = TrainingSpec(class_weight={"yes": 2.0})
    assert spec.arguments(["no", "yes"])["class_weight"] == {1: 2.0}
    spec = TrainingSpec(class_weight={"1": 2.0})
    assert spec.arguments()["class_weight"] == {1: 2.0}
    assert spec.arguments([1, 0])["class_weight"] == {0: 2.0}
    with pytest.raises(SpecError) as caught:
        spec.arguments(["no", "yes"])
    assert str(caught.value) == (
        "[training.class_weight] unknown class '1'; Known: no, yes"
    )


# -- --set ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("training.epochs=3", ("training", "epochs"), 3),
        ("layer.0.units=50", ("layer", 0, "units"), 50),
        ("layer.1.activation=tanh", ("layer", 1, "activation"), "tanh"),
        ("data.source = a=b.csv", ("data", "source"), "a=b.csv"),
        ("data.target='class'", ("data", "target"), "class"),
        ('training.metrics=["accuracy"]', ("training", "metrics"), ["accuracy"]),
        (
            "training.loss.label_smoothing=0.1",
            ("training", "loss", "type"),
            "cross_entropy",
        ),
        ("dtype=float64", ("dtype",), "float64"),
    ],
)
def test_set_changes_one_key(setting: str, path: tuple[Any, ...], value: Any) -> None:
    tables = toml.parse(SMALL)
    changed: Any = apply_sets(tables, [setting])
    assert tables == toml.parse(SMALL)
    for part in path:
        changed = changed[part]
    assert changed == value


def test_set_finds_layers_by_name() -> None:
    tables = {"layer": [{"type": "dense", "name": "stem", "units": 1}]}
    assert apply_sets(tables, ["layer.stem.units=2"])["layer"][0]["units"] == 2


def test_set_reaches_the_parsed_spec(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text(SMALL)
    spec = load_spec(path, ["training.epochs=3", "training.optimizer=sgd"])
    assert spec.training is not None
    assert spec.training.epochs == 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "training.epochs",
            "[--set] found 'training.epochs'; expected key=value, as training.epochs=3",
        ),
        (
            "training..epochs=1",
            "[--set] found 'training..epochs=1'; expected key=value",
        ),
        (
            "layer.7.units=3",
            "[--set] layer.7: there is no such entry; found 2, counted from 0; "
            "expected a number below that, or a layer's name",
        ),
        (
            "training.epochs.x=3",
            "[--set] training.epochs.x: leads into 20; expected a table",
        ),
    ],
)
def test_set_faults(setting: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        apply_sets(toml.parse(SMALL), [setting])
    assert str(caught.value).startswith(message)


def test_a_key_that_set_misspells_is_listed_with_candidates(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text(SMALL)
    with pytest.raises(
        SpecError, match=r"training\.epoch: unknown key; did you mean 'epochs'"
    ):
        load_spec(path, ["training.epoch=3"])


# -- strangers ------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["dense", "adam", "relu", "type", "cross_entropy", "normal"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "units",
                    "name",
                    "inputs",
                    "shape",
                    "learning_rate",
                    "std",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(VALUES, VALUES, VALUES)
def test_any_tables_give_a_spec_or_a_spec_error(
    layer: Any, training: Any, data: Any
) -> None:
    tables = {"layer": [layer], "training": training, "data": data}
    with contextlib.suppress(SpecError):
        assert isinstance(parse_spec(tables), Spec)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.integers(0, len(SMALL)), st.integers(0, 40))
def test_any_text_gives_a_spec_or_a_spec_error(piece: str, at: int, cut: int) -> None:
    text = SMALL[:at] + piece + SMALL[at + cut :]
    with contextlib.suppress(SpecError):
        assert isinstance(parse_spec(text), Spec)
