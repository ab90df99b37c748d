# SPDX-License-Identifier: BSD-3-Clause
"""The core runs alone; what needs a library that an extra brings says which."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from sklearn.datasets import load_digits, load_iris

import nervure as nv
from nervure.base.extras import EXTRAS, needed
from nervure.base.formulas import gaussian_cdf, logistic, normal_quantile

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "nervure"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "tensorboardX": "tensorboardx",
    "mlflow": "mlflow-skinny",
}
CORE = {"narwhals", "numpy", "safetensors", "typer"}
"""Third-party modules that are always there."""

BLOCKED = f"""
import sys
sys.modules |= dict.fromkeys({sorted(EXTRAS)})
import numpy as np
import nervure as nv
"""


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[><=~]", one)[0].lower() for one in requirements}


# -- what is declared --------------------------------------------------------------


def test_the_core_is_what_is_declared() -> None:
    declared = names_of(PROJECT["dependencies"])
    assert declared == {*CORE, "scipy-openblas32"}


@pytest.mark.parametrize("library", EXTRAS)
def test_the_extra_brings_the_library(library: str) -> None:
    extra = EXTRAS[library][0]
    wanted = DISTRIBUTIONS.get(library, library)
    assert wanted in names_of(PROJECT["optional-dependencies"][extra])


def test_all_brings_what_is_no_platform_of_its_own() -> None:
    extras = PROJECT["optional-dependencies"]
    brought = names_of(extras["all"])
    own = ("tables", "sklearn", "images", "plot", "tune", "onnx", "keras", "serve")
    for extra in own:
        assert names_of(extras[extra]) <= brought
    assert not {"jax", "ray", "torch"} & brought


def third_party(path: Path) -> Iterator[str]:
    """Libraries that a file imports by statements."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        roots = {name.partition(".")[0] for name in names}
        yield from roots - {*sys.stdlib_module_names, "nervure"}


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE))
)
def test_optional_libraries_are_imported_by_needed_alone(path: Path) -> None:
    """But where they are there: behind the doors of nervure.sklearn, of export and of
    serving, and behind JAX's arrays."""
    place = path.relative_to(SOURCE)
    doors = {
        "sklearn": {"sklearn", "scipy"},
        "exchange": {"onnx"},
        "serving": {"starlette", "uvicorn", "h11"},
    }
    there = doors.get(place.parts[0], {"jax"})
    there |= {"onnx"} if place.name == "exporting.py" else set()
    assert {*third_party(path)} <= CORE | there


# -- what is not there -------------------------------------------------------------

NEED = {
    "duckdb": [
        "open('rows.csv', 'w').write('a,b\\n1,2\\n'); nv.data.load('rows.csv')",
        "from pathlib import Path; from nervure.cli.predicting import write; "
        "write({'a': np.ones(2)}, Path('rows.csv'), 'parquet')",
    ],
    "sklearn": ["import nervure.sklearn", "nv.data.load('wine')"],
    "scipy": ["nv.fit(net, [[1.0]], [1.0], optimizer='lbfgs')"],
    "PIL": [
        "import os; os.makedirs('a/b'); open('a/b/c.png', 'w').close(); "
        "nv.data.load('a')",
        "from nervure.cli.pictures import write_sheet; "
        "write_sheet('sheet.png', [np.zeros((8, 8), np.uint8)])",
    ],
    "matplotlib": [
        "nv.find_learning_rate(net, [[1.0]] * 9, [1.0] * 9, loss='mse').plot()",
        "nv.plot.confusion([0, 1], [0, 1])",
    ],
    "optuna": ["from nervure.cli.app import run; run(['tune', 'iris', '--debug'])"],
    "jax": ["nv.fit(net, [[1.0]], [1.0], executor='jax')"],
    "onnx": ["nv.export(net, 'net.onnx')"],
    "starlette": ["from nervure.cli.app import run; run(['serve', 'x', '--debug'])"],
    "uvicorn": [
        "sys.modules['starlette'] = sys; from nervure.cli.app import run; "
        "run(['serve', 'x', '--debug'])"
    ],
    "h5py": ["open('net.h5', 'w').write('it'); nv.import_keras('net.h5')"],
    "tensorboardX": ["nv.TensorBoard('logs').write(nv.Record())"],
    "mlflow": ["nv.MLflow().write(nv.Record())"],
    "trackio": ["nv.Trackio('rows').write(nv.Record())"],
}
WHERE = {
    "duckdb": "rows.csv",
    "sklearn": "(nervure.sklearn|wine)",
    "scipy": "lbfgs",
    "PIL": "(a|sheet.png)",
    "matplotlib": "(find_learning_rate|plot.confusion)",
    "optuna": "tune",
    "jax": 'executor="jax"',
    "onnx": "export",
    "starlette": "serve",
    "uvicorn": "serve",
    "h5py": "net.h5",
    "tensorboardX": "TensorBoard",
    "mlflow": "MLflow",
    "trackio": "Trackio",
}
NET = "net = nv.Network([nv.Input(1), nv.Dense(1)])\n"


@pytest.mark.parametrize(
    ("library", "use"), [(name, use) for name, uses in NEED.items() for use in uses]
)
def test_whoever_needs_a_library_says_how_it_is_installed(
    library: str, use: str, tmp_path: Path
) -> None:
    done = python(BLOCKED + NET + use, tmp_path)
    extra, name = EXTRAS[library]
    told = done.stderr.splitlines()[-1]
    pattern = (
        rf"ImportError: \[{WHERE[library]}\] needs {name}, which is not installed; "
        rf"expected the extra '{extra}'; run: pip install \"nervure\[{extra}\]\""
    )
    assert re.fullmatch(pattern, told), done.stderr


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True
    )


def test_a_library_that_is_there_but_broken_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "duckdb").mkdir()
    (tmp_path / "duckdb" / "__init__.py").write_text("import something_else_missing")
    for name in [n for n in sys.modules if n.partition(".")[0] == "duckdb"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_else_missing"):
        needed("duckdb", "rows.csv")


# -- what goes on without ----------------------------------------------------------

WORKS = """
from nervure.metrics import METRICS
data = nv.data.load("digits")
net = nv.Network([nv.Input((8, 8, 1)), nv.Flatten(), nv.Dense(16, activation="gelu"),
                  nv.Dense(10, activation="softmax")])
metrics = [name for name, one in METRICS.items() if not one.of_labels]
run = nv.fit(net, data, epochs=2, validation=0.2, metrics=metrics,
             class_weight="balanced", directory="run", progress=False)
same = nv.load("run/model.safetensors")
same.trace(data.inputs[:9], data.targets[:9])
same.evaluate(data)
nv.check_gradients(nv.Network([nv.Input(2), nv.Dense(2, activation="gelu"),
                               nv.Dense(1, activation="logistic")], dtype="float64"),
                   [[1.0, 2.0]], [[1.0]], loss="binary_cross_entropy")
nv.uncertainty.scale_temperature(same, data.inputs, data.targets)
nv.data.load("iris")
nv.resume("run", data, epochs=3, progress=False)
from nervure.cli.app import run
for words in (["train", "iris", "-q", "--out", "b", "--set", "training.epochs=2"],
              ["evaluate", "b", "iris"], ["predict", "b", "iris", "--out", "c.csv"],
              ["inspect", "b"], ["zoo"]):
    assert run(words) == 0, words
"""


def test_the_core_alone_trains_measures_saves_and_predicts(tmp_path: Path) -> None:
    done = python(BLOCKED + WORKS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c.csv").read_text().startswith("prediction\n")


def test_the_data_sets_that_come_along_are_those_of_scikit_learn() -> None:
    digits, iris = load_digits(), load_iris()
    own = nv.data.read("digits")
    np.testing.assert_array_equal(own.inputs[..., 0], digits.images)
    np.testing.assert_array_equal(own.targets[0].values, digits.target)
    own = nv.data.read("iris")
    assert [*own.inputs.columns] == iris.feature_names
    for name, values in zip(iris.feature_names, iris.data.T, strict=True):
        np.testing.assert_array_equal(own.inputs[name].values, values)
    labels = own.targets[0].labels()
    assert labels == [str(iris.target_names[i]) for i in iris.target]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_formulas_have_the_values_of_scipy(dtype: str) -> None:
    z = np.concatenate([np.linspace(-40, 40, 801), [-1e9, 0, 1e9]]).astype(dtype)
    close = {"rtol": 1e-13 if dtype == "float64" else 3e-6, "atol": 1e-45}
    for own, theirs in (
        (gaussian_cdf, scipy.special.ndtr),
        (logistic, scipy.special.expit),
    ):
        assert own(np, z).dtype == dtype
        np.testing.assert_allclose(own(np, z), theirs(z.astype("float64")), **close)
    assert gaussian_cdf(np, 0.0) == logistic(np, 0.0) == 0.5


def test_the_normal_quantile_has_the_values_of_scipy() -> None:
    p = np.concatenate([np.logspace(-300, -0.4, 500), 1 - np.logspace(-16, -0.4, 50)])
    found = normal_quantile(p)
    np.testing.assert_allclose(found, scipy.special.ndtri(p), rtol=1e-13, atol=1e-15)
