# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# scikit-learn has no types.
"""scikit-learn's callbacks (`sklearn.callback`, from 1.9 on) around the epochs."""

from __future__ import annotations

from typing import Any

from nervure.training.callbacks import Callback
from nervure.training.run import Run

try:
    import sklearn.callback as callbacks
except ImportError:  # before 1.9
    callbacks = None


class _NoCallbacks:
    """Stands in where scikit-learn has none."""


CallbackSupport: Any = getattr(callbacks, "CallbackSupportMixin", _NoCallbacks)
"""The mixin with `set_callbacks`, where scikit-learn has it."""


class EpochTasks(Callback):
    """Tells scikit-learn's callbacks of the fit and of each epoch in it."""

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any) -> None:
        self._estimator, self._context = estimator, context
        self._data = {"X": X, "y": y}

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any) -> EpochTasks:
        """The tasks of a fit that begins; none where nobody listens."""
        listening = getattr(estimator, "_skl_callbacks", None)
        if not listening and not hasattr(estimator, "_parent_callback_ctx"):
            return cls(estimator, None, X, y)
        context = estimator._init_callback_context(max_subtasks=estimator.epochs)
        context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
        return cls(estimator, context, X, y)

    @property
    def callbacks(self) -> list[Callback]:
        return [] if self._context is None else [self]

    def on_epoch_end(self, run: Run) -> None:
        task = self._context.subcontext(task_name="epoch")
        task.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        if task.call_on_fit_task_end(estimator=self._estimator, **self._data):
            run.stop("a callback of scikit-learn asked for it")

    def end(self) -> None:
        """The fit has ended."""
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._estimator, **self._data)
