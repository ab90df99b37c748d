# SPDX-License-Identifier: BSD-3-Clause
"""Documents made to take all time or memory end in one short error, or are read."""

from __future__ import annotations

import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.base.words import MOST_KNOWN, short, unknown
from nervure.graph.graph import Graph
from nervure.graph.node import MOST_EDGES, Entry, GraphError
from nervure.graph.written import graph_of
from nervure.network.modelfile import ModelFileError, network_from_document, read_model
from nervure.spec import SpecError, parse_spec

MANY = 9_000


def node(name: str, inputs: list[str], kind: str = "activation") -> dict[str, Any]:
    own = {"function": "relu"} if kind == "activation" else {}
    own |= {"shape": [3]} if kind == "input" else {}
    return {"name": name, "inputs": inputs, "layer": {"type": kind, **own}}


def chain(count: int) -> list[dict[str, Any]]:
    names = ["x", *(f"a{i}" for i in range(count))]
    steps = zip(names[1:], names, strict=False)
    return [node("x", [], "input"), *(node(name, [last]) for name, last in steps)]


def fault(document: dict[str, Any]) -> str:
    with pytest.raises(ModelFileError) as caught:
        network_from_document(document)
    return str(caught.value)


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("last_first", [False, True])
def test_a_node_that_lists_all_others_again_and_again(last_first: bool) -> None:
    """Its inputs were gone through anew for each of them."""
    fan = node("sum", [f"a{i}" for i in range(MANY)] * 60, "add")
    nodes = [node("x", [], "input"), *(node(f"a{i}", ["x"]) for i in range(MANY)), fan]
    found = fault({"nodes": nodes[::-1] if last_first else nodes})
    assert found == (
        "[model] network.nodes: found 549,000 inputs in all; expected at most 100,000"
    )


def test_a_graph_of_too_many_edges_is_refused_by_python_too() -> None:
    entries = [Entry(nv.Input(1), "x"), Entry(nv.Add(), "y", ("x",) * (MOST_EDGES + 1))]
    message = (
        r"^\[graph\] 100,001 edges between layers; expected at most 100,000; use fe"
    )
    with pytest.raises(GraphError, match=message):
        Graph.of(entries)


def test_outputs_that_list_all_nodes_again_and_again() -> None:
    outputs = [f"a{i}" for i in range(99)] * 60
    found = fault({"nodes": chain(99), "outputs": outputs})
    assert found == (
        "[model] network.outputs: found 5,940; expected at most one for a node"
    )


def test_an_output_named_twice_is_found_among_many() -> None:
    document = {
        "nodes": chain(MANY),
        "outputs": [*(f"a{i}" for i in range(MANY)), "a7"],
    }
    network = network_from_document(document)
    with pytest.raises(GraphError, match=r"output 'a7' is named twice"):
        graph_of(network.entries, network.outputs)


def test_unknown_names_among_thousands_that_are_like_them() -> None:
    nodes = [node(("ab" * 25) + f"{i:010d}", ["ba" * 30]) for i in range(MANY)]
    lines = fault({"nodes": [node("x", [], "input"), *nodes]}).splitlines()
    assert 2 < len(lines) <= 51
    assert lines[-1] == "... and more"
    assert sum(map(len, lines)) < 7_000
    assert "unknown layer 'bababa" in lines[0]
    assert lines[0].endswith(" more")
    assert max(map(len, lines)) < MOST_KNOWN + 500


def test_long_names_are_cut_in_errors() -> None:
    """The names of all layers stood in each of fifty lines: 453 MB."""
    nodes = [node("n" * 3000 + str(i), ["y"]) for i in range(3000)]
    assert len(fault({"nodes": [node("x", [], "input"), *nodes]})) < 150_000


@pytest.mark.parametrize("name", ["n" * 201, "a/b", "a\\b", "a\nb", "\ud800"])
def test_names_that_no_file_should_hold(name: str) -> None:
    message = (
        r"^\[graph\] layer name '.*; expected a word without slashes, of at most 2"
    )
    with pytest.raises(GraphError, match=message):
        Graph.of([Entry(nv.Input(1), "x"), Entry(nv.Dense(1), name, ("x",))][::-1])


def test_values_in_errors_are_cut_before_they_are_written() -> None:
    text = '[[layer]]\ntype = "conv2d"\nfilters = 1\nkernel = [' + "3," * 300_000 + "3]"
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert len(str(caught.value)) < 1_500
    assert "use " in str(caught.value) or "give " in str(caught.value)


def test_a_long_nested_value_is_shown_briefly() -> None:
    value: Any = 0
    for _ in range(30):
        value = [value] * 30
    assert len(short(value)) <= 60


def test_lists_of_known_names_end_in_a_count() -> None:
    names = [f"column_{i:05d}" for i in range(20_000)]
    text = unknown("data", "column", "column_00x07", names)
    assert text.startswith(
        "[data] unknown column 'column_00x07'; did you mean 'column_"
    )
    assert text.endswith(f" and {20_000 - text.count('column_') + 4:,} more")
    assert len(text) < MOST_KNOWN + 200


# -- files -----------------------------------------------------------------------------


def file_of(path: Path, document: str) -> Path:
    quoted = json.dumps(document)
    header = f'{{"__metadata__":{{"nervure":{quoted}}}}}'.encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


def test_a_document_of_millions_of_lists_is_refused_as_text(tmp_path: Path) -> None:
    """31 MiB of nested lists took 1.6 GB."""
    lists = "[" + ",".join(["[[],[]]"] * 400_000) + "]"
    path = file_of(tmp_path / "a.safetensors", f'{{"format":1,"network":{lists}}}')
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=r"damaged: the header has over 1,000"):
            read_model(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 15 * path.stat().st_size


def test_half_a_character_is_no_text(tmp_path: Path) -> None:
    """It could be read, but neither written nor printed."""
    text = '{"format":1,"network":{"nodes":[{"name":"\\ud800"}]}}'
    path = file_of(tmp_path / "a.safetensors", text)
    with pytest.raises(ModelFileError, match="the document holds halves of characters"):
        read_model(path)
    pair = file_of(tmp_path / "b.safetensors", '{"format":1,"note":"\\ud83d\\ude00"}')
    assert read_model(pair)[1]["note"] == "\U0001f600"


# -- what is read ----------------------------------------------------------------------


def test_thousands_of_layers_in_any_order_are_planned() -> None:
    """Each buffer was compared with each other one, in Python."""
    nodes = chain(4_000)[::-1]
    network = network_from_document({"nodes": nodes})
    net = nv.Network.from_graph(graph_of(network.entries, network.outputs))
    x = np.array([[1.0, -2.0, 3.0]], np.float32)
    np.testing.assert_array_equal(net.forward(x), np.maximum(x, 0))


def test_thousands_of_embeddings_find_their_inputs() -> None:
    count = 1_500
    nodes = [node(f"x{i}", [], "input") for i in range(count)]
    for i in range(count):
        layer = {"type": "embedding", "categories": 3, "dim": 1}
        nodes.append({"name": f"e{i}", "inputs": [f"x{i}"], "layer": layer})
    network = network_from_document({"nodes": nodes})
    graph = graph_of(network.entries, network.outputs)
    assert [codes.input for codes in graph.codes] == list(range(count))
    assert all(codes.columns.tolist() == [0, 1, 2] for codes in graph.codes)
