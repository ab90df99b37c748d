# SPDX-License-Identifier: BSD-3-Clause
"""Graphs: order, names, expansion, shapes, and every refusal by its text."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nervure as nv
from nervure.graph.graph import MOST_NODES, Graph, GraphError
from nervure.graph.node import Entry
from nervure.graph.symbols import from_symbols, sequence
from nervure.layers import Add, Concatenate, Dense, Dropout, Input, LayerError


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def error(call, kind=GraphError) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# -- names and order -------------------------------------------------------------------


def test_layers_are_named_by_kind_and_counted() -> None:
    graph = Graph.of(sequence([Input(3), Dense(2), Dense(2), Dropout(0.1), Dense(1)]))
    assert names(graph) == ["input", "dense", "dense_1", "dropout", "dense_2"]


def test_given_names_stay_and_automatic_ones_avoid_them() -> None:
    layers = [Input(3), Dense(2, name="dense_1"), Dense(2), Dense(1), Dense(4)]
    graph = Graph.of(sequence(layers))
    assert names(graph) == ["input", "dense_1", "dense", "dense_2", "dense_3"]


def test_an_activation_is_a_node_of_its_layers_group() -> None:
    graph = Graph.of(sequence([Input(3), Dense(2, activation="relu", name="h")]))
    assert names(graph) == ["input", "h", "h.activation"]
    assert graph.groups == {"input": (0,), "h": (1, 2)}
    assert graph.output_names == ("h",)
    assert graph.nodes[1].layer.initializer.kind == "he_normal"
    assert [p.name for p in graph.nodes[1].parameters] == ["weight", "bias"]
    assert graph.nodes[2].parameters == ()


def test_softmax_as_activation_expands_to_its_own_kind() -> None:
    graph = Graph.of(sequence([Input(3), Dense(2, activation="softmax")]))
    assert names(graph) == ["input", "dense", "dense.softmax"]


def test_a_node_name_that_is_taken_gets_a_number() -> None:
    entries = [
        Entry(Input(2), "x"),
        Entry(Dense(2, activation="tanh"), "h", ("x",)),
        Entry(Dense(1), "h.activation", ("h",)),
    ]
    graph = Graph.of(entries)
    assert len(set(names(graph))) == 4
    assert graph.output_names == ("h.activation",)


def test_entries_in_any_order_become_a_graph() -> None:
    entries = [
        Entry(Dense(1), "y", ("h",)),
        Entry(Dense(5), "h", ("x",)),
        Entry(Input(2), "x"),
    ]
    graph = Graph.of(entries)
    assert names(graph) == ["x", "h", "y"]
    assert graph.inputs == (0,)
    assert graph.outputs == (2,)


@given(st.permutations(list(range(7))))
def test_every_node_stands_behind_its_inputs(order: list[int]) -> None:
    entries = [
        Entry(Input(2), "a"),
        Entry(Input(2), "b"),
        Entry(Dense(2), "c", ("a",)),
        Entry(Add(), "d", ("c", "b")),
        Entry(Concatenate(), "e", ("a", "d", "c")),
        Entry(Dense(3, activation="relu"), "f", ("e",)),
        Entry(Dense(1), "g", ("d",)),
    ]
    graph = Graph.of([entries[i] for i in order])
    for i, node in enumerate(graph.nodes):
        assert all(feed < i for feed in node.inputs)
    assert set(graph.output_names) == {"f", "g"}
    assert graph.nodes[graph.index["e"]].shape == (6,)


# -- symbols ---------------------------------------------------------------------------


def test_symbols_make_skips_several_inputs_and_outputs() -> None:
    a, b = Input(4, name="a"), Input(3, name="b")
    h = Dense(8, activation="tanh")(a)
    both = Concatenate()(h, b, a)
    y, z = Dense(1, name="y")(both), Dense(2, name="z")(h)
    entries, outputs = from_symbols([z, y], [b, a])
    graph = Graph.of(entries, outputs)
    assert graph.output_names == ("z", "y")
    assert graph.output_shapes == ((2,), (1,))
    assert graph.input_shapes == ((3,), (4,))
    assert graph.nodes[graph.index["concatenate"]].shape == (15,)
    assert len(graph.consumers(graph.index["a"])) == 2


def test_one_layer_object_called_twice_is_two_nodes() -> None:
    x = Input(2)
    layer = Dense(3)
    graph = Graph.of(*from_symbols([Add()(layer(x), layer(x))]))
    assert names(graph) == ["input", "dense", "dense_1", "add"]


def test_equal_inputs_are_different_places() -> None:
    a, b = Input(2), Input(2)
    graph = Graph.of(*from_symbols([Add()(a, b)], [a, b]))
    assert len(graph.inputs) == 2


def test_the_same_value_may_feed_a_layer_twice() -> None:
    x = Input(3)
    net = nv.Network(inputs=x, outputs=nv.Multiply()(x, x))
    np.testing.assert_array_equal(net.forward([[1.0, 2.0, 3.0]]), [[1, 4, 9]])


def test_deep_graphs_do_not_recurse() -> None:
    layers = [Input(1), *(Dense(1, name=f"d{i}") for i in range(3000))]
    assert len(Graph.of(sequence(layers)).nodes) == 3001
    symbol = Input(1)
    for _ in range(3000):
        symbol = nv.Activation("tanh")(symbol)
    assert len(Graph.of(*from_symbols([symbol])).nodes) == 3001


# -- shapes and costs ------------------------------------------------------------------


def test_shapes_parameters_and_flops_are_inferred() -> None:
    graph = Graph.of(
        sequence([Input((4, 3)), nv.Flatten(), Dense(5, activation="relu"), Dense(2)])
    )
    assert [node.shape for node in graph.nodes] == [(4, 3), (12,), (5,), (5,), (2,)]
    shapes = [[p.shape for p in node.parameters] for node in graph.nodes]
    assert shapes == [[], [], [(12, 5), (5,)], [], [(5, 2), (2,)]]
    dense = 2 * 12 * 5 + 5, 2 * 5 * 2 + 2
    assert graph.nodes[2].flops == dense[0]
    assert graph.flops == sum(dense) + 5


def test_random_keys_depend_on_names_alone() -> None:
    one = Graph.of(sequence([Input(3), Dropout(0.5, name="d")]))
    two = Graph.of(sequence([Input(3), Dense(3), Dense(3), Dropout(0.2, name="d")]))
    assert one.nodes[-1].random_key == two.nodes[-1].random_key
    assert len({node.random_key for node in two.nodes}) == 4


# -- refusals --------------------------------------------------------------------------


def test_a_cycle_names_two_layers_of_it() -> None:
    entries = [
        Entry(Input(2), "x"),
        Entry(Add(), "a", ("x", "b")),
        Entry(Dense(2), "b", ("a",)),
    ]
    assert error(lambda: Graph.of(entries)) == (
        "[graph] 'b' and 'a' depend on each other; expected edges without a cycle; "
        "remove one of the edges"
    )


def test_a_layer_that_feeds_itself() -> None:
    text = error(lambda: Graph.of([Entry(Dense(2), "a", ("a",))]))
    assert text.startswith("[graph] 'a' and 'a' depend on each other")


def test_an_unknown_input_lists_the_layers() -> None:
    entries = [Entry(Input(2), "pixels"), Entry(Dense(2), "h", ("pixel",))]
    assert error(lambda: Graph.of(entries)) == (
        "[h] unknown input 'pixel'; did you mean 'pixels'? Known: pixels, h"
    )


def test_an_unknown_output_lists_the_layers() -> None:
    entries = [Entry(Input(2), "x"), Entry(Dense(2), "dense", ("x",))]
    assert error(lambda: Graph.of(entries, ["dens"])) == (
        "[graph] unknown output 'dens'; did you mean 'dense'? Known: dense, x"
    )


def test_names_used_twice() -> None:
    layers = [Input(2), Dense(2, name="a"), Dense(2, name="a")]
    assert error(lambda: Graph.of(sequence(layers))) == (
        "[graph] two layers are named 'a'; expected different names; change one"
    )


def test_an_output_named_twice() -> None:
    x = Input(2)
    y = Dense(1, name="y")(x)
    assert error(lambda: nv.Network(inputs=x, outputs=[y, y])) == (
        "[graph] output 'y' is named twice; expected different layers; name it once"
    )


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a\nb", "a\0b"])
def test_names_are_words(name: str) -> None:
    text = error(lambda: Graph.of(sequence([Input(2), Dense(2, name=name)])))
    assert text == (
        f"[graph] layer name {name!r}; expected a word without slashes, of at most 200 characters; change it"
    )


@pytest.mark.parametrize("layers", [[], [Dense(3)], [Dense(3), Input(2)]])
def test_a_list_begins_with_an_input(layers: list[nv.Layer]) -> None:
    assert error(lambda: nv.Network(layers)) == (
        "[graph] the first layer must say what comes in; expected nv.Input(shape); "
        "put e.g. nv.Input(784) first"
    )


@pytest.mark.parametrize("source", [Input(4), nv.Constant(1.0)])
def test_a_list_has_one_source(source: nv.Layer) -> None:
    text = error(lambda: nv.Network([Input(3), Dense(2), source, Dense(1)]))
    assert text.startswith("[graph] a second source, '")
    assert text.endswith(
        "in a list of layers; expected one nv.Input, the first; call layers on each "
        "other and use nv.Network(inputs=..., outputs=...)"
    )


def test_a_graph_needs_an_input() -> None:
    text = error(lambda: nv.Network(outputs=Dense(2)(nv.Constant(1.0))))
    assert text == "[graph] no input; put nv.Input(...) first"


def test_a_layer_that_was_not_called() -> None:
    text = error(lambda: from_symbols([Dense(2)(Dense(3))]))
    assert text == (
        "[graph] layer 'dense' is used as a value; expected a layer called on its "
        "inputs, as in nv.Dense(8)(x); call it"
    )


def test_an_input_that_is_not_declared() -> None:
    a, b = Input(2, name="a"), Input(2, name="b")
    assert error(lambda: nv.Network(inputs=a, outputs=Add()(a, b))) == (
        "[graph] the outputs depend on 'b', which is not among inputs=; expected every "
        "nv.Input there; add it"
    )


def test_arity() -> None:
    x = Input(2)
    assert error(lambda: nv.Network(outputs=Dense(2)(x, x)), LayerError) == (
        "[dense 'dense'] 2 inputs; expected 1; connect it as nv.Layer(...)(x)"
    )
    assert error(lambda: nv.Network(outputs=Add()()), LayerError) == (
        "[add 'add'] 0 inputs; expected at least one; connect it as nv.Layer(...)(x)"
    )


def test_shapes_that_do_not_fit_name_the_layer() -> None:
    layers = [Input(4), nv.MaxPool2D(2, name="top")]
    text = error(lambda: nv.Network(layers), LayerError)
    assert text == (
        "[max_pool2d 'top'] input of shape (4,), expected (height, width, channels); "
        "give samples with 2 spatial axes"
    )


def test_layers_or_a_graph_but_not_both() -> None:
    x = Input(2)
    text = "[network] expected a list of layers, or inputs= and outputs= of a graph"
    for arguments in (
        {},
        {"layers": [x], "outputs": Dense(1)(x)},
        {"inputs": x},
        {"layers": [x], "inputs": x},
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            nv.Network(**arguments)


def test_graphs_are_bounded() -> None:
    entries = [Entry(Input(1), f"x{i}") for i in range(MOST_NODES + 1)]
    assert error(lambda: Graph.of(entries)) == (
        "[graph] 20,001 layers; expected at most 20,000; use fewer layers"
    )
