# SPDX-License-Identifier: BSD-3-Clause
"""The programs in other languages give nervure's answers, from the same raw bytes.

They need what is not Python's: ``NERVURE_TEST_NODE`` names a folder in which ``npm
install onnxruntime-web`` was run, ``NERVURE_TEST_ORT_INCLUDE`` one that holds
``onnxruntime_c_api.h``; without them these tests are skipped, and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import nervure as nv

EXAMPLES = Path(__file__).parents[2] / "examples" / "onnx"
NODE = os.environ.get("NERVURE_TEST_NODE")
INCLUDE = os.environ.get("NERVURE_TEST_ORT_INCLUDE")
ROWS = 40


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with a model and images, and the lines that are to be printed."""
    folder = tmp_path_factory.mktemp("digits")
    spec = folder / "spec.toml"
    spec.write_text(
        '[data]\nsource = "digits"\n[[layer]]\ntype = "conv2d"\nfilters = 4\n'
        'kernel = 3\nactivation = "relu"\n[[layer]]\ntype = "flatten"\n[[layer]]\n'
        'type = "dense"\nunits = 10\nactivation = "softmax"\n[training]\nepochs = 2\n'
    )
    run: Any = nv.fit_spec(nv.load_spec(spec), directory=folder / "run", progress=False)
    net = run.network
    images = nv.data.load("digits").inputs[:ROWS]
    nv.export(net, folder / "digits.onnx")
    (folder / "images.bin").write_bytes(np.ascontiguousarray(images).tobytes())
    best = net.predict(images).max(axis=1)
    labels = net.predict_classes(images)
    return folder, [f"{k} {p:.4f}" for k, p in zip(labels, best, strict=True)]


def agree(printed: str, wanted: list[str]) -> None:
    """Labels are the same, probabilities to their last digit."""
    lines = [line.split() for line in printed.splitlines()]
    rows = [line.split() for line in wanted]
    assert [line[0] for line in lines] == [row[0] for row in rows]
    found = [float(line[1]) for line in lines]
    np.testing.assert_allclose(found, [float(row[1]) for row in rows], atol=1.01e-4)


def output_of(*command: Any, **options: Any) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(NODE is None, reason="NERVURE_TEST_NODE names no folder")
def test_javascript(digits: Any, tmp_path: Path) -> None:
    folder, wanted = digits
    (tmp_path / "node_modules").symlink_to(Path(NODE or "") / "node_modules")
    program = shutil.copy(EXAMPLES / "predict.mjs", tmp_path)
    files = (folder / "digits.onnx", folder / "images.bin")
    agree(output_of("node", program, *files), wanted)


@pytest.mark.skipif(INCLUDE is None, reason="NERVURE_TEST_ORT_INCLUDE names no folder")
def test_c(digits: Any, tmp_path: Path) -> None:
    """With the library of onnxruntime's wheel."""
    folder, wanted = digits
    (library,) = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*")
    (tmp_path / "libonnxruntime.so.1").symlink_to(library)  # as it calls itself
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{tmp_path}"]
    program = tmp_path / "predict"
    output_of(
        "cc",
        *flags,
        "-isystem",
        INCLUDE,
        EXAMPLES / "predict.c",
        library,
        "-o",
        program,
    )
    files = (folder / "digits.onnx", folder / "images.bin")
    agree(output_of(program, *files), wanted)
    command = [program, "none.onnx", files[1]]
    missing = subprocess.run(command, capture_output=True, check=False)
    assert missing.returncode == 1
    assert b"none.onnx" in missing.stderr
