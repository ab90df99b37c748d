# SPDX-License-Identifier: BSD-3-Clause
"""The declared space: which keys of a spec may take which values. Data only."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from nervure.base.checks import count, number
from nervure.base.words import short


@dataclass(frozen=True)
class Range:
    """What one key may be: some choices, or the numbers from low to high.

    Args:
        choices: values as the key takes them: numbers, words, tables.
        low, high: both whole, or real; both ends belong to it.
        step: distance of neighbours, from low on.
        log: whether orders of magnitude count alike; ``low`` is above 0 then.

    Raises:
        ValueError: neither choices nor two ends, or ends out of order.

    >>> Range(low=16, high=64).whole, Range(choices=("relu", "tanh")).ends
    (True, ('relu', 'tanh'))
    """

    choices: tuple[Any, ...] | None = None
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        if self.choices is not None:
            self._check_choices(self.choices)
            return
        if self.low is None or self.high is None:
            raise ValueError(
                "[range] neither choices nor two ends; expected one of them; write "
                "{low = 1e-4, high = 1e-1, log = true} or {choices = [32, 64]}"
            )
        number("range", "low", self.low, above=0 if self.log else float("-inf"))
        number("range", "high", self.high, above=float(self.low))
        if self.step is not None:
            number("range", "step", self.step, above=0)
            if self.log:
                raise ValueError(
                    "[range] log with a step; expected one of them; leave one out"
                )

    def _check_choices(self, choices: tuple[Any, ...]) -> None:
        if not choices:
            raise ValueError("[range] choices = []; expected at least one; add some")
        others = (self.low, self.high, self.step)
        if self.log or any(other is not None for other in others):
            raise ValueError(
                "[range] choices and other keys; expected choices alone, or low and "
                "high; leave one out"
            )

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole."""
        known = [n for n in (self.low, self.high, self.step) if n is not None]
        return all(isinstance(n, int) for n in known)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values to look at before a search: all choices, or both ends."""
        return (self.low, self.high) if self.choices is None else self.choices

    def ask(self, trial: Any, key: str) -> Any:
        """The value that an Optuna trial takes."""
        if self.choices is not None:
            words = [word_of(choice) for choice in self.choices]
            return self.choices[words.index(trial.suggest_categorical(key, words))]
        ends: dict[str, Any] = {"log": self.log, "step": self.step}
        if not self.whole:
            return trial.suggest_float(key, float(self.low or 0), self.high, **ends)
        ends["step"] = self.step or 1
        return trial.suggest_int(key, self.low, self.high, **ends)

    def of_word(self, word: Any) -> Any:
        """The value of what Optuna keeps (see `word_of`)."""
        choices = self.choices or ()
        words = [word_of(choice) for choice in choices]
        return choices[words.index(word)] if word in words else word


def word_of(choice: Any) -> Any:
    """A choice as Optuna stores it: tables and lists as text."""
    return choice if isinstance(choice, int | float | str) else json.dumps(choice)


@dataclass(frozen=True)
class TuneSpec:
    """The table ``[tune]`` of a spec: the search, and in ``space`` what it varies.

    ``space`` names keys as ``--set`` does: ``training.optimizer.learning_rate``,
    ``layer.0.units``, ``layer.dense.units``.

    Args:
        trials: networks to train in all, those of earlier calls included.
        seconds: no training goes on beyond it.
        monitor: series of the history that is judged, at the best epoch; None is
            ``validation_loss``.
        sampler: ``"tpe"`` (Bergstra et al. 2011) or ``"random"``.
        pruner: whether trials below the ``"median"`` of the others at their epoch are
            ended early.
        seed: of the sampler.
        jobs: networks trained at once.
    """

    space: dict[str, Range] = field(default_factory=dict[str, Range])
    trials: int = 50
    seconds: float | None = None
    monitor: str | None = None
    sampler: Literal["tpe", "random"] = "tpe"
    pruner: Literal["median", "none"] = "median"
    seed: int = 0
    jobs: int = 1

    def __post_init__(self) -> None:
        count("tune", "trials", self.trials, least=1)
        count("tune", "seed", self.seed, least=0, most=2**32 - 1)
        count("tune", "jobs", self.jobs, least=1, most=256)
        if self.seconds is not None:
            number("tune", "seconds", self.seconds, above=0)
        for key in self.space:
            if key.split(".")[0] not in ("layer", "training"):
                raise ValueError(
                    f"[tune.space] {short(key)} cannot vary; expected a key of layer "
                    "or training, so that all trials are judged on the same rows; "
                    "leave it out"
                )
