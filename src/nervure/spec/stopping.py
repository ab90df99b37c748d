# SPDX-License-Identifier: BSD-3-Clause
"""EarlyStopping: when training ends by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nervure.base.checks import number


@dataclass(frozen=True)
class EarlyStopping:
    """Stops when a value has not improved for ``patience`` epochs.

    The network then has the weights of its best epoch.

    Args:
        patience: epochs without improvement that are waited for, at least 1.
        monitor: name in the history; None is the validation loss, or the training
            loss where there is no validation data.
        min_delta: smallest change that counts as an improvement.

    Source: Prechelt, *Early Stopping - But When?* (1998), criterion UP.

    >>> EarlyStopping(patience=3).monitor is None
    True
    """

    kind: ClassVar[str] = "early_stopping"

    patience: int = 5
    monitor: str | None = None
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        number(self.kind, "patience", self.patience, least=1)
        number(self.kind, "min_delta", self.min_delta, least=0)
