# SPDX-License-Identifier: BSD-3-Clause
"""ONNX models run by others: ONNX Runtime, and ONNX's own reference in NumPy."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import nervure as nv

Array = Any
Run = Callable[[Any, Mapping[str, Array]], dict[str, Array]]


def by_runtime(model: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs by name from ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def by_reference(model: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs by name from ONNX's reference implementation, of any precision."""
    evaluator = ReferenceEvaluator(model)
    found = evaluator.run(None, dict(inputs))
    return dict(zip(evaluator.output_names, found, strict=True))


@pytest.fixture
def runtime() -> Run:
    return by_runtime


@pytest.fixture
def reference() -> Run:
    return by_reference


@pytest.fixture
def exported(tmp_path: Path) -> Callable[..., Any]:
    """The model that `nervure.export` writes, if ONNX's checker accepts it."""

    def export(net: Any, **options: Any) -> Any:
        path = tmp_path / "model.onnx"
        nv.export(net, path, **options)
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        return model

    return export


@pytest.fixture
def of_torch() -> Callable[..., bytes]:
    """What PyTorch writes of a module in evaluation, the rows of whose input are open.

    ``rows`` is their axis; options are those of ``torch.onnx.export``.
    """

    def export(module: Any, x: Array, rows: int = 0, **options: Any) -> bytes:
        torch = pytest.importorskip("torch")
        file = io.BytesIO()
        torch.onnx.export(
            module.eval(),
            (torch.from_numpy(x),),
            file,
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {rows: "n"}, "y": {0: "n"}},
            opset_version=17,
            **options,
        )
        return file.getvalue()

    return export


@pytest.fixture
def columns() -> Callable[[Mapping[str, Any]], dict[str, Array]]:
    """Columns as a model with one input for each takes them: ``(rows, 1)``."""
    return lambda frame: {k: np.asarray(v).reshape(-1, 1) for k, v in frame.items()}
