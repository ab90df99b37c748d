# SPDX-License-Identifier: BSD-3-Clause
"""Rules: one file each, with its page, its thresholds and what they were chosen by.

A rule is a module with ``PAGE``, ``LIVE`` (whether it may speak while training goes on)
and ``check(case)``, which gives a `Finding` or None.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

NAMES = (
    "attention_collapse",
    "batch_too_large",
    "batch_too_small_for_batch_norm",
    "bottleneck",
    "cannot_fit_one_batch",
    "class_imbalance",
    "constant_inputs",
    "dead_units",
    "double_softmax",
    "dropout_at_output",
    "dropout_too_strong",
    "duplicate_rows_across_split",
    "exploding_gradient",
    "exploding_state",
    "label_noise",
    "labels_shifted",
    "labels_shuffled",
    "layer_not_learning",
    "leaky_target",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "loss_mismatch",
    "loss_not_at_chance",
    "missing_nonlinearity",
    "non_finite",
    "oscillation",
    "over_regularized",
    "overfitting",
    "plateau",
    "saturated_units",
    "schedule_ends_too_early",
    "shifted_validation",
    "start_too_large",
    "start_too_small",
    "symmetric_start",
    "too_few_epochs",
    "underfitting",
    "unscaled_inputs",
    "unscaled_targets",
    "vanishing_gradient",
    "wrong_monitor",
)
"""Every rule; a new one is a file and a line here."""


@dataclass(frozen=True)
class Rule:
    """A rule as its module declares it."""

    page: Page
    live: bool
    check: Callable[[Case], Finding | None]


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in the order of `NAMES`."""
    modules = (importlib.import_module(f"{__name__}.{name}") for name in NAMES)
    return tuple(Rule(m.PAGE, cast(bool, m.LIVE), m.check) for m in modules)


def pages() -> dict[str, Page]:
    """All pages by code."""
    return {rule.page.code: rule.page for rule in rules()}
