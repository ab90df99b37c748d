# SPDX-License-Identifier: BSD-3-Clause
"""Imports point down the data's way, in no circle; the engine has what Python names."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from nervure.base.engine import engine
from nervure.layers import LAYERS
from nervure.layers.source import Input
from nervure.losses import LOSSES
from nervure.losses.custom import CustomLoss
from nervure.optimizers import OPTIMIZERS

SOURCE = Path(__file__).resolve().parents[1] / "src" / "nervure"
DOCUMENT = SOURCE.parents[1] / "ARCHITECTURE.md"
ROOMS = re.findall(r"^\| \[(\w+)(?:/|\.py)\]\(src/nervure/", DOCUMENT.read_text(), re.M)
"""The folders and files of the package as ARCHITECTURE.md lists them: the data's way.

A room imports from those above it, and within itself.
"""


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
MODULES.pop("", None)  # the package itself: names, loaded when they are used


def imports_of(module: str) -> set[str]:
    """Modules that a file imports, wherever: in functions and for types too."""
    nodes = ast.walk(ast.parse(MODULES[module].read_text()))
    found = (imported(node) for node in nodes if isinstance(node, ast.ImportFrom))
    return {name for names in found for name in names} - {module}


def imported(node: ast.ImportFrom) -> Iterator[str]:
    prefix, _, base = (node.module or "").partition(".")
    if prefix != "nervure":
        return
    for alias in node.names:
        full = f"{base}.{alias.name}" if base else alias.name
        if full in MODULES or base in MODULES:
            yield full if full in MODULES else base


def circles(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """The first circle of a graph, as its places in order; nothing if there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_the_document_lists_the_rooms_that_there_are() -> None:
    found = {module.partition(".")[0] for module in MODULES} - {"__main__"}
    assert len(ROOMS) == len(set(ROOMS))
    assert set(ROOMS) == found


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down_the_data_s_way(module: str) -> None:
    rank = {room: i for i, room in enumerate([*ROOMS, "__main__"])}
    own = rank[module.partition(".")[0]]
    wrong = [n for n in imports_of(module) if rank[n.partition(".")[0]] > own]
    assert not wrong, f"{module} imports what comes after it: {', '.join(wrong)}"


def test_no_import_runs_in_a_circle() -> None:
    found = circles({module: imports_of(module) for module in MODULES})
    assert not found, " -> ".join(found)


def test_circles_are_found() -> None:
    assert not circles({"a": ["b"], "b": ["c"], "c": []})
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]})


def test_nobody_imports_relatively_or_by_a_plain_import() -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}:{node.lineno}"
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
                assert not any(n.startswith("nervure.") for n in names), module


# -- registries and the engine -----------------------------------------------------


def test_every_layer_has_a_kernel_and_every_kernel_a_layer() -> None:
    own = [kind for kind in LAYERS if kind is not Input and not kind.composite]
    layers = [example.layer for kind in own for example in kind.examples()]
    wanted = {layer.native or layer.kind for layer in layers}
    assert set(engine.kernels()) == wanted


def test_every_loss_has_a_native_form_and_every_native_form_a_loss() -> None:
    own = [loss for loss in LOSSES if loss is not CustomLoss]
    kinds = {loss.kind for loss in own}
    fused = {f"{form}_{loss.kind}" for loss in own for form in loss.fuses}
    native = set(engine.losses())
    assert kinds <= native
    assert native <= kinds | fused


def test_every_optimizer_has_a_rule_and_every_rule_an_optimizer() -> None:
    rules = {o.rule or o.kind for o in OPTIMIZERS if o.stepwise}
    assert set(engine.rules()) == rules
