# SPDX-License-Identifier: BSD-3-Clause
"""Editors and type checkers know every public name, its arguments and its members."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nervure as nv
from nervure.base.described import Described
from nervure.data.augmentation import AUGMENTATIONS
from nervure.initializers import INITIALIZERS
from nervure.layers import LAYERS
from nervure.losses import LOSSES
from nervure.optimizers import OPTIMIZERS, SCHEDULES
from nervure.regularizers import REGULARIZERS
from nervure.zoo import ARCHITECTURES

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = Path(__file__).with_name("editors")
WRONG = {
    number
    for number, line in enumerate((SAMPLES / "wrong.py").read_text().splitlines(), 1)
    if line.endswith("# wrong")
}
"""Lines of the sample in which a fault must be found."""


# -- public names ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*LAYERS, *LOSSES, *OPTIMIZERS, *REGULARIZERS])
def test_whatever_a_spec_may_name_is_a_public_name(kind: type[Described]) -> None:
    assert getattr(nv, kind.__name__, None) is kind
    assert kind.__name__ in nv.__all__


@pytest.mark.parametrize(
    ("module", "kinds"),
    [
        ("augmentation", AUGMENTATIONS),
        ("initializers", INITIALIZERS),
        ("layers", LAYERS),
        ("losses", LOSSES),
        ("schedules", SCHEDULES),
    ],
)
def test_modules_have_the_members_of_their_families(
    module: str, kinds: tuple[type[Described], ...]
) -> None:
    for kind in kinds:
        assert getattr(getattr(nv, module), kind.__name__, None) is kind


def test_every_architecture_is_a_function_of_the_zoo() -> None:
    for name, architecture in ARCHITECTURES.items():
        assert getattr(nv.zoo, name) is architecture


# -- the stub ----------------------------------------------------------------------


def test_the_stub_is_what_its_script_writes() -> None:
    words = [sys.executable, ROOT / "tools" / "stubs.py", "--check"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_stub_names_what_is_public_and_nothing_else() -> None:
    stub = Path(nv.__file__).with_suffix(".pyi")
    found = {
        alias.asname: (node.module, alias.name)
        for node in ast.parse(stub.read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {*found} == {*nv.__all__}
    for name, (module, original) in found.items():
        home = importlib.import_module(module or "")
        assert getattr(nv, name) is getattr(home, original)
    assert stub.with_name("py.typed").exists()


# -- type checkers, and completion -------------------------------------------------


EXPECTED = {"right.py": set[int](), "wrong.py": WRONG}


def test_pyright_finds_what_is_wrong_and_nothing_else() -> None:
    pytest.importorskip("pyright", reason="pyright is not installed")
    words = ["--outputjson", "--project", SAMPLES, "--pythonpath", sys.executable]
    told = json.loads(checked_by("pyright", *words))
    assert told["summary"]["filesAnalyzed"] == len(EXPECTED)
    found = {sample: set[int]() for sample in EXPECTED}
    for one in told["generalDiagnostics"]:
        found[Path(one["file"]).name].add(one["range"]["start"]["line"] + 1)
    assert found == EXPECTED


def test_mypy_finds_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    told = checked_by("mypy", "--strict", "--cache-dir", tmp_path, *EXPECTED)
    found = {sample: set[int]() for sample in EXPECTED}
    for sample, line in re.findall(r"^(\w+\.py):(\d+): error:", told, re.M):
        found[sample].add(int(line))
    assert found == EXPECTED


def checked_by(checker: str, *words: object) -> str:
    """What a type checker says of the samples, in which it finds faults."""
    command = [sys.executable, "-m", checker, *map(str, words)]
    done = subprocess.run(command, cwd=SAMPLES, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("nv.Den", "Dense"),
        ("nv.Ear", "EarlyStopping"),
        ("nv.schedules.Cos", "Cosine"),
        ("nv.zoo.resnet1", "resnet18"),
        ("nv.data.lo", "load"),
        ("nv.Dense(3, acti", "activation="),
        ("nv.fit(net, X, y, val", "validation="),
        ("nv.Network([]).summ", "summary"),
        ("nv.fit(net, X, y).hist", "history"),
    ],
)
def test_editors_complete(code: str, name: str) -> None:
    jedi = pytest.importorskip("jedi", reason="jedi is not installed")
    script = jedi.Script(f"import nervure as nv\n{code}")
    assert name in {found.name for found in script.complete()}


def test_editors_show_what_a_layer_takes() -> None:
    jedi = pytest.importorskip("jedi", reason="jedi is not installed")
    (shown,) = jedi.Script("import nervure as nv\nnv.Dense(").get_signatures()
    assert {"units", "activation"} <= {parameter.name for parameter in shown.params}
