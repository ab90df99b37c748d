# SPDX-License-Identifier: BSD-3-Clause
"""Whatever arrays cross into the engine are read as what they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.base.engine import engine
from nervure.executors import Data
from nervure.executors.plan import engine_plan
from nervure.network.inputs import make_data

RNG = np.random.default_rng(1)
ROWS = 200
X = RNG.normal(size=(ROWS, 6)).astype(np.float32).astype(np.float64)
AMOUNTS = (X[:, 0] - X[:, 1]).astype(np.float32).astype(np.float64)
CLASSES = (X[:, 0] > 0).astype(np.int32)
WEIGHTS = RNG.uniform(0.5, 2, ROWS).astype(np.float32).astype(np.float64)


def strided(a: np.ndarray) -> np.ndarray:
    wide = np.full((*a.shape, 3), 99, a.dtype)
    wide[..., 1] = a
    return wide[..., 1]


def misaligned(a: np.ndarray) -> np.ndarray:
    memory = bytearray(a.nbytes + 1)
    found = np.frombuffer(memory, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    found[...] = a
    assert not found.flags.aligned
    return found


def read_only(a: np.ndarray) -> np.ndarray:
    found = a.copy()
    found.setflags(write=False)
    return found


FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "strided": strided,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "columns first": lambda a: np.asfortranarray(a),
    "a view of columns": lambda a: strided(a.T).T,
    "repeated without memory": lambda a: np.broadcast_to(a, (2, *a.shape))[1],
    "read-only": read_only,
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder("S")),
    "misaligned": misaligned,
    "misaligned, other byte order": lambda a: misaligned(
        a.astype(a.dtype.newbyteorder("S"))
    ),
    "float32": lambda a: a.astype(np.float32) if a.dtype.kind == "f" else a,
    "longdouble": lambda a: a.astype(np.longdouble) if a.dtype.kind == "f" else a,
    "int8": lambda a: a.astype(np.int8) if a.dtype.kind == "i" else a,
    "uint16": lambda a: a.astype(np.uint16) if a.dtype.kind == "i" else a,
    "uint64": lambda a: a.astype(np.uint64) if a.dtype.kind == "i" else a,
    "lists": lambda a: a.tolist(),
    "an object of arrays": lambda a: a.astype(object),
    "a masked array without masks": lambda a: np.ma.masked_array(a),
}


def network(dtype: str, outputs: int) -> nv.Network:
    end = nv.Dense(outputs, activation="softmax") if outputs > 1 else nv.Dense(1)
    hidden = nv.Dense(5, activation="tanh")
    return nv.Network([nv.Input(6), hidden, end], seed=3, dtype=dtype)


def everything(
    dtype: str, x: Any, y: Any, weights: Any, outputs: int
) -> dict[str, np.ndarray]:
    """What every way into the engine gives."""
    net = network(dtype, outputs)
    trace = net.trace(x, y, sample_weight=weights)
    scores = net.evaluate(x, y, sample_weight=weights)
    given = {"sample_weight": weights, "batch_size": 32, "seed": 2}
    rates = nv.find_learning_rate(network(dtype, outputs), x, y, steps=8, **given)
    run = nv.fit(net, x, y, epochs=2, progress=False, validation=0.25, **given)
    return {
        "loss of a trace": np.array(trace.loss),
        "scores": np.array(list(scores.values())),
        "learning rates": np.array(rates.losses),
        "losses": np.array(run.history["validation_loss"]),
        "weights": net.values.copy(),
        "predictions": net.predict(x),
    }


@pytest.mark.parametrize("outputs", [1, 2], ids=["amounts", "classes"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_array_changes_no_bit(form: str, dtype: str, outputs: int) -> None:
    y = AMOUNTS if outputs == 1 else CLASSES
    plain = everything(dtype, X, y, WEIGHTS, outputs)
    make = FORMS[form]
    found = everything(dtype, make(X), make(y), make(WEIGHTS), outputs)
    for name, value in plain.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_column_of_a_large_array_as_weights() -> None:
    """Its temporary copy was freed while the engine read it."""
    data = np.random.default_rng(2).random((200_000, 8))
    net = network("float32", 1)
    given = {"batch_size": 50_000, "max_steps": 4, "progress": False}
    nv.fit(net, data[:, :6].copy(), data[:, 6], sample_weight=data[:, 7], **given)
    again = network("float32", 1)
    weights = data[:, 7].copy()
    nv.fit(again, data[:, :6].copy(), data[:, 6], sample_weight=weights, **given)
    assert np.array_equal(net.values, again.values)


def test_images_of_any_form_are_changed_alike() -> None:
    from nervure.data.augmentation import Flip, Shift, augment

    images = np.random.default_rng(3).random((6, 5, 4, 3)).astype(np.float32)
    plain, _ = augment(images, [Shift(1), Flip()], seed=4)
    for make in (strided, misaligned, read_only, np.asfortranarray):
        assert np.array_equal(
            augment(make(images), [Shift(1), Flip()], seed=4)[0], plain
        )


# -- what the engine refuses, whoever calls it ------------------------------------


def objective_and_data(outputs: int = 2) -> tuple[nv.Network, Any, Data]:
    net = network("float32", outputs)
    objective = net.objective()
    y = CLASSES if outputs > 1 else AMOUNTS
    return net, objective, make_data(net, X, y, objective, WEIGHTS)


def changed(data: Data, **fields: Any) -> Data:
    return Data(
        fields.get("inputs", data.inputs),
        fields.get("targets", data.targets),
        fields.get("weights", data.weights),
    )


@pytest.mark.parametrize(
    ("fields", "fact"),
    [
        ({"inputs": (X[:, :5].astype(np.float32),)}, "input: 5 numbers in each row"),
        ({"inputs": (X.astype(np.float32), X)}, "one array is needed for each input"),
        ({"inputs": (X.astype(np.float16),)}, "a type the engine does not read"),
        ({"inputs": (X.astype(np.float32)[:0],)}, "different numbers of rows"),
        ({"targets": (np.full(ROWS, 100_000_000, np.int32),)}, "class 100000000 of 2"),
        ({"targets": (np.full(ROWS, -1, np.int32),)}, "class -1 of 2"),
        ({"targets": (np.zeros((ROWS, 3), np.float32),)}, "one number for each output"),
        ({"targets": (np.zeros((ROWS, 2), np.int32),)}, "classes in several columns"),
        ({"targets": (CLASSES[:50],)}, "different numbers of rows"),
        ({"targets": (CLASSES, CLASSES)}, "not as many as losses"),
        ({"targets": (AMOUNTS,)}, "neither int32 nor of the net's type"),
        ({"weights": WEIGHTS[:7]}, "weights of rows: 7 elements; at least 200"),
        ({"weights": WEIGHTS.astype(np.float32)}, "weights of rows: no contiguous"),
    ],
)
def test_arrays_of_the_wrong_size_or_type_are_refused(
    fields: dict[str, Any], fact: str
) -> None:
    net, objective, data = objective_and_data()
    executor = net.executor()
    with pytest.raises(ValueError, match=r"^\[engine\]") as caught:
        executor.gradient(changed(data, **fields), objective)
    assert fact in str(caught.value)


def test_classes_for_a_loss_of_amounts_are_refused() -> None:
    net, objective, data = objective_and_data(outputs=1)
    labels = np.zeros(ROWS, np.int32)
    with pytest.raises(ValueError, match="classes, where the loss takes numbers"):
        net.executor().gradient(changed(data, targets=(labels,)), objective)


def test_no_rows_are_refused() -> None:
    net, objective, data = objective_and_data()
    empty = Data((data.inputs[0][:0],), (data.targets[0][:0],), np.empty(0, np.float64))
    with pytest.raises((ValueError, IndexError), match=r"engine|rows"):
        net.executor().gradient(empty, objective)


def test_gradients_without_targets_are_refused() -> None:
    """They were read where there are none."""
    net, objective, data = objective_and_data()
    message = (
        r"^\[executor\] 0 targets; expected 1, one for each cost; give data of that"
    )
    for call in (net.executor().gradient, net.executor().trace):
        with pytest.raises(ValueError, match=message):
            call(changed(data, targets=()), objective)


def test_parameters_that_are_assigned_are_copied_into_their_memory() -> None:
    """An array in its place was read beyond its end."""
    net = network("float32", 2)
    before, memory = net.forward(X), net.values
    size = len(memory)
    message = (
        rf"^\[parameters\] 'values' is given shape \(3,\); expected \({size},\); re"
    )
    with pytest.raises(ValueError, match=message):
        net.values = np.zeros(3, np.float32)
    with pytest.raises(AttributeError):
        net.gradients = np.zeros(3, np.float32)  # type: ignore[misc]
    assert np.array_equal(net.forward(X), before)
    net.values = [0.0] * size
    assert net.values is memory
    np.testing.assert_array_equal(net.forward(X), 0.5)


def test_the_engine_refuses_parameters_of_another_size() -> None:
    net, _objective, _data = objective_and_data()
    plan = net.executor().planning.that_fits("infer", 4, None)  # type: ignore[attr-defined]
    fields = engine_plan(net.graph, net.layout, plan, frozenset(), frozenset())
    with pytest.raises(ValueError, match=r"parameters: 3 elements; at least \d+"):
        engine.Executor32(fields, np.zeros(3, np.float32), net.gradients)


@pytest.mark.parametrize("kind", ["Data32", "Data64"])
def test_the_engine_converts_no_array(kind: str) -> None:
    dtype = np.float32 if kind == "Data32" else np.float64
    good = np.ones((4, 2), dtype)
    hold = getattr(engine, kind)
    hold([(good, 1.0)], [], None)
    bad = [strided(good), misaligned(good), np.ones((2, 4), dtype).T, [[1.0]], None]
    for array in bad:
        with pytest.raises(ValueError, match=r"^\[engine\] input: "):
            hold([(array, 1.0)], [], None)


def test_arrays_are_held_while_they_are_used() -> None:
    import gc
    import weakref

    array = np.ones((4, 2), np.float32)
    weights = np.ones(4)
    alive = [weakref.ref(array), weakref.ref(weights)]
    held = engine.Data32([(array, 1.0)], [], weights)
    del array, weights
    gc.collect()
    assert all(reference() is not None for reference in alive)
    del held
    gc.collect()
    assert not any(reference() is not None for reference in alive)
