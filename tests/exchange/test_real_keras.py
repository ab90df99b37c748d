# SPDX-License-Identifier: BSD-3-Clause
"""Keras itself as the judge, where it is installed: the same answers from its files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("KERAS_BACKEND", "jax")

from keras_examples import LAYERS, MODELS, answers_of, filled, rows_of

keras: Any = pytest.importorskip("keras")

EVERY = MODELS | LAYERS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EVERY)
def test_a_network_answers_as_the_model_does(name: str, tmp_path: Path) -> None:
    model = filled(EVERY[name](keras))
    rows = rows_of(model)
    wanted = answers_of(model, rows)
    for path in (tmp_path / "model.keras", tmp_path / "model.h5"):
        model.save(path)
        net = nv.import_keras(path)
        found = net.forward(rows if len(rows) > 1 else rows[0])
        several = found if isinstance(found, list) else [found]
        for mine, theirs in zip(several, wanted, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_training_goes_on(tmp_path: Path) -> None:
    model = filled(MODELS["convolution"](keras))
    model.save(tmp_path / "model.keras")
    net = nv.import_keras(tmp_path / "model.keras").replace_head(2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 9, 8, 3)).astype(np.float32)
    y = (x.mean(axis=(1, 2, 3)) > 0).astype(int)
    run = nv.fit(net, x, y, epochs=8, progress=False, seed=1)
    assert run.history["loss"][-1] < run.history["loss"][0]
