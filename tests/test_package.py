# SPDX-License-Identifier: BSD-3-Clause
"""The installed package: what an import costs, which engine it takes, its doctests."""

from __future__ import annotations

import doctest
import importlib
import importlib.metadata
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nervure
from nervure.base.engine import usable

HEAVY = {
    *("duckdb", "jax", "narwhals", "pandas", "polars", "pyarrow", "rich"),
    *("PIL", "safetensors", "scipy", "sklearn", "torch", "typer"),
}

try:
    FILES = importlib.metadata.files("nervure") or []
except importlib.metadata.PackageNotFoundError:
    FILES = []
installed = pytest.mark.skipif(
    not FILES, reason="nervure is on the path, not installed"
)

SMALL_NET = """
net = nv.Network([nv.Input(4), nv.Dense(8, activation="tanh"), nv.Dense(3)], seed=1)
net.forward([[1.0, 2.0, 3.0, 4.0]])
"""

TRAINED = """
import numpy as np
X = np.random.default_rng(0).normal(size=(60, 4))
run = nv.fit(net, X, X[:, :3], loss="mse", optimizer=nv.SGD(0.05), epochs=3,
             batch_size=7, progress=False, seed=3)
"""


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own."""
    clean = {k: v for k, v in os.environ.items() if k != "NERVURE_ISA"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def answer(code: str, **environment: str) -> Any:
    """What the code prints, read as JSON."""
    done = python(code, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# -- the cost of an import ---------------------------------------------------------


@pytest.mark.parametrize(
    "use", ["", SMALL_NET, SMALL_NET + TRAINED], ids=["import", "forward", "fit"]
)
def test_heavy_libraries_are_not_imported(use: str) -> None:
    loaded = answer(
        f"import nervure as nv\n{use}\n"
        "import json, sys\nprint(json.dumps([*sys.modules]))"
    )
    assert not {name.partition(".")[0] for name in loaded} & HEAVY


def test_an_import_loads_one_file_of_the_package() -> None:
    loaded = answer(
        "import json, sys, nervure\n"
        "print(json.dumps([m for m in sys.modules if m.startswith('nervure')]))"
    )
    assert loaded == ["nervure"]


def test_every_public_name_is_there() -> None:
    assert {*nervure.__all__} <= {*dir(nervure)}
    for name in nervure.__all__:
        assert getattr(nervure, name) is not None


def test_no_module_has_the_name_of_what_its_package_loads_late() -> None:
    """Once it was imported, the package would show it in the place of that."""
    for package in ("", ".data", ".plot", ".spec", ".tuning", ".uncertainty"):
        module = importlib.import_module(f"nervure{package}")
        files = {found.name for found in pkgutil.iter_modules(module.__path__)}
        homes: dict[str, str] = vars(module)["_HOMES"]
        assert homes
        assert not files & homes.keys()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Densse'"):
        _ = nervure.Densse


@installed
def test_the_version_is_that_of_the_distribution() -> None:
    assert importlib.metadata.version("nervure") == nervure.__version__


# -- instruction sets --------------------------------------------------------------

USABLE = usable()
REPORT = """
from nervure.base.engine import engine
import json
print(json.dumps([engine.level, run.history["loss"]]))
"""


@installed
@pytest.mark.parametrize("level", USABLE)
def test_every_level_trains(level: str) -> None:
    found, losses = answer(
        "import nervure as nv\n" + SMALL_NET + TRAINED + REPORT, NERVURE_ISA=level
    )
    newest_losses = answer("import nervure as nv\n" + SMALL_NET + TRAINED + REPORT)[1]
    assert found == level
    assert losses[-1] < losses[0]
    assert losses == pytest.approx(newest_losses, rel=1e-4)


@pytest.mark.parametrize("wanted", ["v5", "avx2", "V3"])
def test_a_level_that_is_not_there_is_refused(wanted: str) -> None:
    done = python("import nervure.base.engine", NERVURE_ISA=wanted)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: [NERVURE_ISA] {wanted!r} cannot run here; expected one of "
        f"{', '.join(USABLE)}, which were built and which this processor has; unset "
        "the variable for the newest, or install nervure again"
    )


def test_an_empty_level_is_none() -> None:
    code = "import json, nervure.base.engine as e; print(json.dumps(e.engine.level))"
    assert answer(code, NERVURE_ISA="") == USABLE[-1]


# -- what is installed -------------------------------------------------------------


@installed
def test_nothing_but_the_package_is_installed() -> None:
    roots = {Path(file).parts[0] for file in FILES} - {"..", "__pycache__"}
    expected = {"nervure", f"nervure-{nervure.__version__}.dist-info"}
    editable = {root for root in roots if root.startswith(("_nervure_", "_editable"))}
    assert roots - editable <= expected
    assert not [f for f in FILES if f.suffix in {".cpp", ".h", ".a", ".cmake", ".o"}]


# -- examples in docstrings --------------------------------------------------------


def modules() -> list[str]:
    found = pkgutil.walk_packages(nervure.__path__, "nervure.")
    names = [m.name for m in found if not m.name.startswith("nervure._engine_")]
    return ["nervure", *(n for n in names if not n.endswith(("__main__", "._cpu")))]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name)).failed == 0
