# SPDX-License-Identifier: BSD-3-Clause
"""Imports point down the data's way, and what Python names the engine has too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from nervure._engine import engine
from nervure.layers import LAYERS
from nervure.layers.source import Input
from nervure.losses import LOSSES
from nervure.losses.custom import CustomLoss
from nervure.optimizers import OPTIMIZERS

SOURCE = Path(__file__).resolve().parents[1] / "src" / "nervure"

STAGES = (
    # What everything stands on: wording, plain values, files, the engine.
    "_names _wording _registry _plain _described _toml _atomic _memory _lazy _engine"
    " _stop_gradient random pictures",
    # What a network, a spec or a model file may name, and what data come in.
    "initializers regularizers optimizers losses metrics layers training.callbacks"
    " data",
    "graph _codes _entries",
    "parameters objective _heads",
    "plan",
    "executors",
    "predicting",
    "training.prepare",
    "network transfer trace sight summary ensemble",
    "zoo",
    "spec defaults tabular tuning.space",
    "uncertainty.conformal",
    "modelfile saving",
    "training",
    "uncertainty tuning",
    "sklearn",
    "cli __main__",
)
"""Stages of the data's way; a module imports from its own stage and those above it.

The longest name that fits a module decides: ``training.callbacks`` comes before
``training``.
"""

LATER = {
    "_registry": "asks the registries for their classes",
    "network": "its methods save, trace and evaluate",
    "ensemble": "its methods fit, save and evaluate",
}
"""Modules that may import from later stages, inside of functions, and why."""


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
MODULES.pop("", None)  # the package itself: names, loaded when they are used


def stage_of(module: str) -> int:
    ranks = {name: i for i, names in enumerate(STAGES) for name in names.split()}
    package = module
    while package not in ranks:
        package, _, _ = package.rpartition(".")
        assert package, f"{module} is not in STAGES; add it"
    return ranks[package]


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Modules of the package that a file imports: name, line, inside of a function."""

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, int, bool]]:
        for child in ast.iter_child_nodes(node):
            if is_for_types(child):
                continue
            if isinstance(child, ast.ImportFrom):
                yield from ((m, child.lineno, inside) for m in imported(child))
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(child, inside or function)

    return walk(ast.parse(path.read_text()), inside=False)


def imported(node: ast.ImportFrom) -> list[str]:
    if node.module == "nervure":
        return [a.name for a in node.names if a.name in MODULES]
    prefix, _, rest = (node.module or "").partition(".")
    return [rest] if prefix == "nervure" else []


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down_the_data_s_way(module: str) -> None:
    own = stage_of(module)
    wrong = [
        f"{MODULES[module].name}:{line} imports {name}, a later stage"
        for name, line, inside in imports_of(MODULES[module])
        if stage_of(name) > own and not (inside and module in LATER)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", LATER)
def test_exceptions_are_still_needed(module: str) -> None:
    found = imports_of(MODULES[module])
    assert any(inside and stage_of(n) > stage_of(module) for n, _, inside in found)


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
    wanted = {layer.native or layer.kind for layer in own}
    assert set(engine.kernels()) == wanted


def test_every_loss_has_a_native_form_and_every_native_form_a_loss() -> None:
    kinds = {loss.kind for loss in LOSSES if loss is not CustomLoss}
    fused = {f"{form}_{kind}" for kind in kinds for form in ("softmax", "logistic")}
    native = set(engine.losses())
    assert kinds <= native
    assert native <= kinds | fused


def test_every_optimizer_has_a_rule_and_every_rule_an_optimizer() -> None:
    rules = {o.rule or o.kind for o in OPTIMIZERS if o.stepwise}
    assert set(engine.rules()) == rules
