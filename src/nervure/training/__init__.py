# SPDX-License-Identifier: BSD-3-Clause
"""Training: batches, steps, stopping, checkpoints, history."""

from __future__ import annotations

from nervure.spec.stopping import EarlyStopping
from nervure.training.callbacks import Callback
from nervure.training.fit import DivergenceError, fit
from nervure.training.history import History
from nervure.training.run import Run

__all__ = ["Callback", "DivergenceError", "EarlyStopping", "History", "Run", "fit"]
