# SPDX-License-Identifier: BSD-3-Clause
"""Libraries that only some runs need: extras bring them, and errors say which."""

from __future__ import annotations

import importlib
from typing import Any

EXTRAS = {
    "duckdb": ("tables", "DuckDB"),
    "sklearn": ("sklearn", "scikit-learn"),
    "scipy": ("sklearn", "SciPy"),
    "PIL": ("images", "Pillow"),
    "matplotlib": ("plot", "Matplotlib"),
    "optuna": ("tune", "Optuna"),
    "jax": ("jax", "JAX"),
    "onnx": ("onnx", "ONNX"),
    "starlette": ("serve", "Starlette"),
    "uvicorn": ("serve", "uvicorn"),
    "h5py": ("keras", "h5py"),
    "tensorboardX": ("tensorboard", "tensorboardX"),
    "mlflow": ("mlflow", "MLflow"),
    "trackio": ("trackio", "trackio"),
}
"""Of each library the extra of nervure that brings it, and how it is called."""


def needed(module: str, where: str) -> Any:
    """A module of a library that an extra brings, imported.

    ``where`` is what cannot go on without it, in the words of errors: a file, an
    option, a name.

    Raises:
        ImportError: it is not installed; the message says how it will be.

    >>> float(needed("scipy.special", "lbfgs").expit(0.0))
    0.5
    """
    library = module.partition(".")[0]
    extra, name = EXTRAS[library]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != library:
            raise  # it is there, but what it needs itself is not
        raise ImportError(
            f"[{where}] needs {name}, which is not installed; expected the extra "
            f'{extra!r}; run: pip install "nervure[{extra}]"'
        ) from error
